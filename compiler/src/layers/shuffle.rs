//! Transpositions that only exchange channels, as copies between the elements of a pixel.
//!
//! `[n, g, c / g, h, w]` transposed to `[n, c / g, g, h, w]` is the channel shuffle of grouped convolutions; any permutation of any number
//! of axes that together make up the channels is the same thing. Not here: transpositions that move pixels.

use crate::layers::Dims;

/// Inside each pixel, for every offset `(from, to)`: `count` runs of `run` elements, `from_step` apart, go to runs `to_step` apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shuffle {
    /// Contiguous elements.
    pub run: usize,
    /// Runs of an offset.
    pub count: usize,
    /// Elements from run to run in the input's pixel.
    pub from_step: usize,
    /// Elements from run to run in the output's pixel.
    pub to_step: usize,
    /// First element in the input's and in the output's pixel.
    pub offsets: Vec<(usize, usize)>,
}

/// An axis of the channels: its length, and the distance of its steps before and after.
#[derive(Clone, Copy)]
struct Axis {
    length: usize,
    from: usize,
    to: usize,
}

/// Where a logical shape splits into image, channels and pixels of `dims`: the first axis of the pixels.
pub(super) fn pixel_axis(shape: &[usize], dims: Dims) -> Option<usize> {
    let product = |axes: &[usize]| axes.iter().product::<usize>();
    let splits = |k: &usize| product(&shape[1..*k]) == dims[3] && product(&shape[*k..]) == dims[1] * dims[2];
    (shape.first() == Some(&dims[0])).then(|| (1..=shape.len()).find(splits)).flatten()
}

/// The copies of the transposition of a tensor of this shape and these physical dimensions; `None` when it moves pixels.
pub(super) fn shuffle(shape: &[usize], perm: &[usize], dims: Dims) -> Option<Shuffle> {
    let first = pixel_axis(shape, dims)?;
    // Axes of one element may stand anywhere.
    let order: Vec<usize> = perm.iter().copied().filter(|&axis| shape[axis] > 1).collect();
    let pixels = |axis: &&usize| **axis >= first;
    let moved = order.iter().skip_while(|axis| !pixels(axis)).any(|axis| !pixels(&axis));
    let pixels_in_order = order.iter().filter(pixels).is_sorted();
    let image_first = dims[0] == 1 || perm.first() == Some(&0);
    if moved || !pixels_in_order || !image_first {
        return None;
    }
    let channels: Vec<usize> = order.into_iter().filter(|&axis| (1..first).contains(&axis)).collect();
    let from = |axis: usize| shape[axis + 1..first].iter().product::<usize>();
    let to = |place: usize| channels[place + 1..].iter().map(|&axis| shape[axis]).product::<usize>();
    let axes =
        channels.iter().enumerate().map(|(place, &axis)| Axis { length: shape[axis], from: from(axis), to: to(place) });
    Some(copies(axes.collect()))
}

fn copies(axes: Vec<Axis>) -> Shuffle {
    // Neighbours that stay neighbours are one axis.
    let mut merged: Vec<Axis> = vec![];
    for axis in axes {
        match merged.last_mut() {
            Some(last) if last.from == axis.from * axis.length && last.to == axis.to * axis.length => {
                *last = Axis { length: last.length * axis.length, ..axis };
            }
            _ => merged.push(axis),
        }
    }
    let stays = merged.iter().position(|axis| axis.from == 1 && axis.to == 1);
    let innermost = stays.map_or(Axis { length: 1, from: 1, to: 1 }, |place| merged.remove(place));
    let longest = (0..merged.len()).max_by_key(|&place| merged[place].length);
    let runs =
        longest.map_or(Axis { length: 1, from: innermost.length, to: innermost.length }, |place| merged.remove(place));
    let mut offsets = vec![(0, 0)];
    for axis in merged {
        let steps =
            |&(from, to): &(usize, usize)| (0..axis.length).map(move |i| (from + i * axis.from, to + i * axis.to));
        offsets = offsets.iter().flat_map(steps).collect();
    }
    Shuffle { run: innermost.length, count: runs.length, from_step: runs.from, to_step: runs.to, offsets }
}

impl Shuffle {
    /// Whether every byte stays where it is.
    pub fn is_identity(&self) -> bool {
        self.count == 1 && self.offsets.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the copies make of the channels `0, 1, 2, …`.
    fn applied(shuffle: &Shuffle, channels: usize) -> Vec<usize> {
        let mut out = vec![usize::MAX; channels];
        for &(from, to) in &shuffle.offsets {
            for run in 0..shuffle.count {
                for byte in 0..shuffle.run {
                    out[to + run * shuffle.to_step + byte] = from + run * shuffle.from_step + byte;
                }
            }
        }
        out
    }

    /// By the meaning of a transposition, element by element.
    fn expected(shape: &[usize], perm: &[usize]) -> Vec<usize> {
        let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        let total: usize = shape.iter().product();
        (0..total)
            .map(|mut index| {
                let mut source = 0;
                for &axis in perm.iter().rev() {
                    source += index % shape[axis] * strides[axis];
                    index /= shape[axis];
                }
                source
            })
            .collect()
    }

    #[test]
    fn every_permutation_of_channel_axes() {
        let mut several = 0;
        for channel_shape in [[2, 3, 4], [4, 1, 5], [3, 3, 2], [1, 6, 1]] {
            for channel_perm in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let shape = [&[1], &channel_shape[..], &[5, 7]].concat();
                let perm: Vec<usize> = [&[0], &channel_perm.map(|axis: usize| axis + 1)[..], &[4, 5]].concat();
                let channels: usize = channel_shape.iter().product();
                let made = shuffle(&shape, &perm, [1, 5, 7, channels]).expect("only channels move");
                let wanted = expected(&channel_shape, &channel_perm);
                assert_eq!(applied(&made, channels), wanted, "{channel_shape:?} by {channel_perm:?}");
                assert_eq!(made.is_identity(), wanted.is_sorted());
                several += usize::from(made.offsets.len() > 1);
            }
        }
        assert!(several > 8);
    }

    #[test]
    fn what_moves_pixels_is_none() {
        assert_eq!(shuffle(&[1, 6, 5, 7], &[0, 2, 3, 1], [1, 5, 7, 6]), None);
        assert_eq!(shuffle(&[1, 6, 5, 7], &[0, 1, 3, 2], [1, 5, 7, 6]), None);
        assert_eq!(shuffle(&[2, 6, 5, 7], &[1, 0, 2, 3], [2, 5, 7, 6]), None);
        assert!(shuffle(&[1, 6, 1, 1], &[0, 2, 3, 1], [1, 1, 1, 6]).is_some_and(|s| s.is_identity()));
    }
}
