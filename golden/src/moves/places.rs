//! Where the pixels of a resized image lie in the original: the first half of rule N-30.

use systole_network::op::{Coordinates, Resize};

use crate::call::Call;
use crate::error::GoldenError;

/// The place of output pixel `o` of an axis of `input` and `output` pixels, in single precision; it may lie beyond the edges.
fn place(o: usize, [input, output]: [usize; 2], scale: f32, coordinates: Coordinates) -> f32 {
    let x = o as f32;
    match coordinates {
        Coordinates::AlignCorners | Coordinates::PytorchHalfPixel if output == 1 => 0.0,
        Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (x + 0.5) / scale - 0.5,
        Coordinates::AlignCorners => x * (input - 1) as f32 / (output - 1) as f32,
        Coordinates::Asymmetric => x / scale,
    }
}

/// Places of all rows and of all columns of the output.
pub(crate) struct Places {
    /// `[n · c, h, w]` of the input.
    pub(crate) input: [usize; 3],
    /// By axis.
    pub(crate) axes: [Vec<f32>; 2],
}

impl Places {
    /// Of this node; refused when its attributes contradict its tensors.
    pub(crate) fn of(call: &Call<'_>, resize: &Resize) -> Result<Places, GoldenError> {
        let [n, c, h, w] = call.nchw(0)?;
        call.expect_output([n, c, resize.size[0], resize.size[1]])?;
        if resize.scale.iter().any(|scale| !scale.is_finite() || *scale <= 0.0) {
            return Err(call.malformed(format!("scales of {:?}", resize.scale)));
        }
        let axis = |axis: usize| {
            let lengths = [[h, w][axis], resize.size[axis]];
            (0..lengths[1]).map(|o| place(o, lengths, resize.scale[axis], resize.coordinates)).collect()
        };
        Ok(Places { input: [n * c, h, w], axes: [axis(0), axis(1)] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_by_hand() {
        let all = |lengths: [usize; 2], scale, coordinates| {
            (0..lengths[1]).map(|o| place(o, lengths, scale, coordinates)).collect::<Vec<f32>>()
        };
        assert_eq!(all([2, 4], 2.0, Coordinates::HalfPixel), [-0.25, 0.25, 0.75, 1.25]);
        assert_eq!(all([4, 2], 0.5, Coordinates::HalfPixel), [0.5, 2.5]);
        assert_eq!(all([4, 1], 0.25, Coordinates::HalfPixel), [1.5]);
        assert_eq!(all([4, 1], 0.25, Coordinates::PytorchHalfPixel), [0.0]);
        assert_eq!(all([4, 1], 0.25, Coordinates::AlignCorners), [0.0]);
        assert_eq!(all([3, 5], 5.0 / 3.0, Coordinates::AlignCorners), [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(all([2, 4], 2.0, Coordinates::Asymmetric), [0.0, 0.5, 1.0, 1.5]);
    }
}
