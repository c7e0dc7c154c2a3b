//! Copies between tensors as boxes: nests of loops that step through the source and the result at the same time.
//!
//! Every operator that only moves values is some of these. Not here: which operator is which (`layers::moves`), and bytes (`lower::moves`).

use crate::layers::Dims;

/// A copy from a tensor, and from nowhere, into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What is copied; no element of the result twice.
    pub pieces: Vec<Piece>,
}

/// What a box is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The layer's input.
    Input,
    /// One value everywhere.
    Fill,
}

/// A box: every combination of its loops is an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where its elements are from.
    pub source: Source,
    /// The first element in the source: image, row, column, channel.
    pub from: Dims,
    /// The first element in the result.
    pub to: Dims,
    /// In any order.
    pub loops: Vec<Loop>,
}

/// `count` elements, each a step from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// How many.
    pub count: usize,
    /// Step in the source: images, rows, columns, channels.
    pub from: Dims,
    /// Step in the result.
    pub to: Dims,
}

impl Loop {
    /// Along an axis of the source and one of the result.
    pub(super) fn along(count: usize, from: (usize, usize), to: (usize, usize)) -> Self {
        let step = |(axis, step): (usize, usize)| {
            let mut dims = [0; 4];
            dims[axis] = step;
            dims
        };
        Loop { count, from: step(from), to: step(to) }
    }
}

/// A stretch of an axis: indices of the result from `to` on that step through the source from `from` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    from: usize,
    to: usize,
    /// Count, step in the source, step in the result; the outer loop first.
    loops: Vec<(usize, usize, usize)>,
}

/// Where the elements of an axis of the result are from, as few runs: stretches of equal steps, and rows of such stretches.
pub(super) fn runs(list: &[usize]) -> Vec<Run> {
    let mut stretches: Vec<(usize, usize, usize, usize)> = vec![];
    let mut next = 0;
    while let Some(&from) = list.get(next) {
        let step = list.get(next + 1).and_then(|second| second.checked_sub(from)).unwrap_or(0);
        let follows = |&count: &usize| list.get(next + count) == Some(&(from + count * step));
        let count = 1 + (1..list.len()).take_while(follows).count();
        stretches.push((from, next, count, step));
        next += count;
    }
    let mut runs = vec![];
    let mut rest = stretches.as_slice();
    while let Some((&(from, to, count, step), tail)) = rest.split_first() {
        let apart = tail.first().and_then(|second| second.0.checked_sub(from)).unwrap_or(0);
        let alike = |&index: &usize| rest.get(index) == Some(&(from + index * apart, to + index * count, count, step));
        let times = 1 + (1..rest.len()).take_while(alike).count();
        runs.push(Run { from, to, loops: vec![(times, apart, count), (count, step, 1)] });
        rest = &rest[times..];
    }
    runs
}

/// The copy whose element (n, y, x, c) is the source's element at these axes' lists.
pub(super) fn by_lists(lists: &[Vec<usize>; 4], shift: Dims) -> Vec<Piece> {
    let mut pieces = vec![Piece { source: Source::Input, from: [0; 4], to: shift, loops: vec![] }];
    for (axis, list) in lists.iter().enumerate() {
        let runs = runs(list);
        let with = |piece: &Piece, run: &Run| {
            let mut piece = piece.clone();
            piece.from[axis] = run.from;
            piece.to[axis] += run.to;
            let nest = run.loops.iter().map(|&(count, from, to)| Loop::along(count, (axis, from), (axis, to)));
            piece.loops.extend(nest);
            piece
        };
        pieces = pieces.iter().flat_map(|piece| runs.iter().map(move |run| with(piece, run))).collect();
    }
    pieces
}

/// How many pieces [`by_lists`] makes.
pub(super) fn count_by_lists(lists: &[Vec<usize>; 4]) -> usize {
    lists.iter().map(|list| runs(list).len()).fold(1, usize::saturating_mul)
}

/// The frame around a box that lies at `first` in a tensor of `whole`, as boxes of fill.
pub(super) fn frame(whole: Dims, first: Dims, size: Dims) -> Vec<Piece> {
    let mut pieces = vec![];
    for axis in 0..4 {
        let end = first[axis] + size[axis];
        for (start, count) in [(0, first[axis]), (end, whole[axis] - end)] {
            if count == 0 {
                continue;
            }
            // Axes before this one stay inside the box, those behind it take all.
            let extent = |other: usize| match other.cmp(&axis) {
                std::cmp::Ordering::Less => (first[other], size[other]),
                std::cmp::Ordering::Equal => (start, count),
                std::cmp::Ordering::Greater => (0, whole[other]),
            };
            let extents = [0, 1, 2, 3].map(extent);
            let loops = (0..4).map(|other| Loop::along(extents[other].1, (other, 1), (other, 1))).collect();
            pieces.push(Piece { source: Source::Fill, from: [0; 4], to: extents.map(|(start, _)| start), loops });
        }
    }
    pieces
}

/// Places of n, c, h, w in [`Dims`].
pub(super) const AXES: [usize; 4] = [0, 3, 1, 2];

/// The copy between two shapes `[n, c, h, w]` of the same elements in the same logical order; `None` beyond `most` pieces.
pub(super) fn reinterpreted(from: [usize; 4], to: [usize; 4], most: usize) -> Option<Vec<Piece>> {
    nested(from, to).map(|piece| vec![piece]).or_else(|| stretches(from, to, most))
}

/// Pieces along which both walk their last axis.
fn stretches(from: [usize; 4], to: [usize; 4], most: usize) -> Option<Vec<Piece>> {
    let last = |shape: [usize; 4]| (0..4).rev().find(|&axis| shape[axis] > 1).unwrap_or(3);
    let axes = [last(from), last(to)];
    let lengths = [from[axes[0]], to[axes[1]]];
    let place = |shape: [usize; 4], mut index: usize| {
        let mut dims = [0; 4];
        for (length, axis) in shape.into_iter().zip(AXES).rev() {
            dims[axis] = index % length;
            index /= length;
        }
        dims
    };
    let total: usize = from.iter().product();
    let (mut pieces, mut next) = (vec![], 0);
    while next < total {
        if pieces.len() == most {
            return None;
        }
        let count = lengths.into_iter().map(|length| length - next % length).min().unwrap_or(1);
        let loops = vec![Loop::along(count, (AXES[axes[0]], 1), (AXES[axes[1]], 1))];
        pieces.push(Piece { source: Source::Input, from: place(from, next), to: place(to, next), loops });
        next += count;
    }
    Some(pieces)
}

/// One piece, where each axis of one is a part of an axis of the other or the other way round.
fn nested(from: [usize; 4], to: [usize; 4]) -> Option<Piece> {
    let (mut a, mut b) = (from.iter().zip(AXES).rev(), to.iter().zip(AXES).rev());
    let mut loops = vec![];
    // What is left of the axis in each, and the step there.
    let (mut source, mut result) = ((1, 0, 1), (1, 0, 1));
    loop {
        while source.0 == 1 {
            let Some((&length, axis)) = a.next() else { break };
            source = (length, axis, 1);
        }
        while result.0 == 1 {
            let Some((&length, axis)) = b.next() else { break };
            result = (length, axis, 1);
        }
        let count = source.0.min(result.0);
        if count == 1 {
            let done = source.0 == result.0;
            return done.then_some(Piece { source: Source::Input, from: [0; 4], to: [0; 4], loops });
        }
        if !source.0.is_multiple_of(count) || !result.0.is_multiple_of(count) {
            return None;
        }
        loops.push(Loop::along(count, (source.1, source.2), (result.1, result.2)));
        source = (source.0 / count, source.1, source.2 * count);
        result = (result.0 / count, result.1, result.2 * count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every element of the pieces, `(source, from, to)`.
    fn elements(pieces: &[Piece]) -> Vec<(Source, Dims, Dims)> {
        let mut all = vec![];
        for piece in pieces {
            let mut some = vec![(piece.source, piece.from, piece.to)];
            for each in &piece.loops {
                let step = |(source, from, to): (Source, Dims, Dims), i: usize| {
                    let moved = |dims: Dims, by: Dims| [0, 1, 2, 3].map(|axis| dims[axis] + i * by[axis]);
                    (source, moved(from, each.from), moved(to, each.to))
                };
                some = some.iter().flat_map(|&element| (0..each.count).map(move |i| step(element, i))).collect();
            }
            all.extend(some);
        }
        all.sort_by_key(|&(_, _, to)| to);
        all
    }

    fn sources(list: &[usize]) -> Vec<usize> {
        let lists = [vec![0], list.to_vec(), vec![0], vec![0]];
        elements(&by_lists(&lists, [0; 4])).iter().map(|(_, from, _)| from[1]).collect()
    }

    #[test]
    fn runs_give_the_list_again_and_are_few() {
        let few: [(&[usize], usize); 7] = [
            (&[0, 1, 2, 3], 1),
            (&[0, 2, 4], 1),
            (&[0, 0, 1, 1, 2, 2], 1),
            (&[0, 0, 0, 2, 2, 2], 1),
            (&[2, 1, 0, 1, 2], 3),
            (&[5], 1),
            (&[3, 3, 3], 1),
        ];
        for (list, most) in few {
            assert_eq!(sources(list), list);
            assert!(runs(list).len() <= most, "{list:?}: {:?}", runs(list));
        }
        // Any list.
        let mut state = 1usize;
        for length in 1..200 {
            let list: Vec<usize> = (0..length % 17 + 1)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) % 4
                })
                .collect();
            assert_eq!(sources(&list), list);
        }
    }

    #[test]
    fn a_frame_is_everything_but_the_box() {
        let (whole, first, size) = ([1, 5, 4, 3], [0, 1, 2, 0], [1, 3, 2, 2]);
        let inside = |at: &Dims| (0..4).all(|axis| (first[axis]..first[axis] + size[axis]).contains(&at[axis]));
        let frame: Vec<Dims> = elements(&frame(whole, first, size)).iter().map(|&(_, _, to)| to).collect();
        let mut expected = vec![];
        for y in 0..5 {
            for x in 0..4 {
                expected.extend((0..3).map(|c| [0, y, x, c]).filter(|at| !inside(at)));
            }
        }
        assert_eq!(frame, expected);
    }

    #[test]
    fn shapes_of_one_order() {
        let logical = |[n, y, x, c]: Dims, [_, channels, h, w]: [usize; 4]| ((n * channels + c) * h + y) * w + x;
        for (from, to) in [
            ([1, 6, 4, 5], [1, 24, 1, 5]),
            ([2, 6, 4, 5], [1, 2, 24, 5]),
            ([1, 12, 2, 2], [2, 3, 4, 2]),
            ([1, 1, 8, 1], [1, 2, 2, 2]),
            ([3, 1, 1, 1], [1, 1, 1, 3]),
            ([1, 4, 6, 1], [1, 6, 4, 1]),
            ([2, 8, 3, 10], [2, 1, 3, 80]),
            ([1, 10, 10, 3], [1, 5, 5, 12]),
        ] {
            let pieces = elements(&reinterpreted(from, to, 100).expect("few pieces"));
            assert_eq!(pieces.len(), from.iter().product::<usize>());
            assert!(pieces.iter().all(|&(_, a, b)| logical(a, from) == logical(b, to)), "{from:?} {to:?}");
        }
        assert_eq!(reinterpreted([1, 4, 6, 1], [1, 6, 4, 1], 5), None);
        assert_eq!(reinterpreted([1, 6, 4, 5], [1, 24, 1, 5], 1).map(|pieces| pieces.len()), Some(1));
    }
}
