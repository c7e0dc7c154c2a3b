//! Where the lines of a resized image lie in the original (N-30), in the form in which `ve.axis` has it.

use systole_network::op::{Coordinates, Interpolation, Resize};

use super::Dims;

/// Along an axis: output o lies at `(o·factor + h) / divisor − h`, h being ½ where centres correspond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Places {
    pub(crate) factor: f32,
    pub(crate) divisor: f32,
    pub(crate) centred: bool,
}

impl Places {
    /// Those of the rows (axis 0) or columns (axis 1) of an image of `lengths`.
    pub(crate) fn of(resize: &Resize, axis: usize, lengths: [usize; 2]) -> Self {
        let (length, size, scale) = (lengths[axis], resize.size[axis], resize.scale[axis]);
        let (factor, divisor, centred) = match resize.coordinates {
            Coordinates::PytorchHalfPixel | Coordinates::AlignCorners if size == 1 => (0.0, 1.0, false),
            Coordinates::AlignCorners => ((length - 1) as f32, (size - 1) as f32, false),
            Coordinates::Asymmetric => (1.0, scale, false),
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (1.0, scale, true),
        };
        Places { factor, divisor, centred }
    }

    /// x of N-30.
    fn at(&self, o: usize) -> f32 {
        let half = if self.centred { 0.5 } else { 0.0 };
        (o as f32 * self.factor + half) / self.divisor - half
    }

    /// The lines of an image of `length` that output `o` is a mean of.
    fn between(&self, o: usize, length: usize) -> [usize; 2] {
        let lower = (self.at(o).max(0.0) as usize).min(length - 1);
        [lower, (lower + 1).min(length - 1)]
    }
}

/// For each output row, and each output column, the first and the last line of the image that it reads.
pub(crate) fn lines(resize: &Resize, lengths: [usize; 2]) -> [Vec<[usize; 2]>; 2] {
    [0, 1].map(|axis| {
        let places = Places::of(resize, axis, lengths);
        (0..resize.size[axis]).map(|o| places.between(o, lengths[axis])).collect()
    })
}

/// The nearest pixels of a resized image's rows and columns.
pub(super) fn nearest(resize: &Resize, from: Dims) -> [Vec<usize>; 4] {
    let list = |axis: usize| -> Vec<usize> {
        let lengths = [from[1], from[2]];
        let places = Places::of(resize, axis, lengths);
        let pixel = |x: f32| {
            let (below, above) = (x.floor(), x.ceil());
            let lower = match resize.interpolation {
                Interpolation::NearestFloor => true,
                Interpolation::NearestCeil => false,
                Interpolation::NearestPreferFloor => x - below <= 0.5,
                _ => x - below < 0.5,
            };
            let chosen = if lower { below } else { above };
            (chosen.max(0.0) as usize).min(lengths[axis] - 1)
        };
        (0..resize.size[axis]).map(|o| pixel(places.at(o))).collect()
    };
    [(0..from[0]).collect(), list(0), list(1), (0..from[3]).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_on_both_sides_of_places_by_hand() {
        let lines = |coordinates, size: usize, length: usize| {
            let scale = [size as f32 / length as f32, 1.0];
            let resize = Resize { size: [size, 1], scale, coordinates, interpolation: Interpolation::Linear };
            lines(&resize, [length, 1])[0].clone()
        };
        // −¼, ¼, ¾, 1¼.
        assert_eq!(lines(Coordinates::HalfPixel, 4, 2), [[0, 1], [0, 1], [0, 1], [1, 1]]);
        // 0, 1½, 3.
        assert_eq!(lines(Coordinates::AlignCorners, 3, 4), [[0, 1], [1, 2], [3, 3]]);
        // ½, 2½, 4½.
        assert_eq!(lines(Coordinates::HalfPixel, 3, 6), [[0, 1], [2, 3], [4, 5]]);
        assert_eq!(lines(Coordinates::Asymmetric, 3, 6), [[0, 1], [2, 3], [4, 5]]);
        assert_eq!(lines(Coordinates::HalfPixel, 1, 6), [[2, 3]]);
        assert_eq!(lines(Coordinates::PytorchHalfPixel, 1, 6), [[0, 1]]);
    }
}
