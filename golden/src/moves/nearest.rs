//! `Resize` by the nearest pixels.

use systole_network::op::{Interpolation, Resize};

use super::{Places, Sources, along_axes};
use crate::call::Call;
use crate::error::GoldenError;

/// The pixel of `length` that stands for the place `x`.
fn pixel(x: f32, length: usize, interpolation: Interpolation) -> Option<usize> {
    let tie = x - x.floor() == 0.5;
    let nearest = match interpolation {
        Interpolation::NearestFloor => x.floor(),
        Interpolation::NearestCeil => x.ceil(),
        Interpolation::NearestPreferFloor if tie => x.floor(),
        Interpolation::NearestPreferCeil if tie => x.ceil(),
        Interpolation::NearestPreferFloor | Interpolation::NearestPreferCeil => x.round(),
        Interpolation::Linear => return None,
    };
    Some((nearest.max(0.0) as usize).min(length - 1))
}

/// By rows and columns.
pub(super) fn sources(call: &Call<'_>, resize: &Resize) -> Result<Sources, GoldenError> {
    let Places { input, axes } = Places::of(call, resize)?;
    let list = |axis: usize| -> Vec<Option<usize>> {
        axes[axis].iter().map(|&x| pixel(x, input[1 + axis], resize.interpolation)).collect()
    };
    let planes = (0..input[0]).map(Some).collect();
    Ok(along_axes(&input, &[planes, list(0), list(1)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_by_hand() {
        let all = |interpolation| [-0.6, -0.5, 0.4, 0.5, 1.5, 1.6, 2.7].map(|x| pixel(x, 3, interpolation));
        assert_eq!(all(Interpolation::NearestPreferFloor), [0, 0, 0, 0, 1, 2, 2].map(Some));
        assert_eq!(all(Interpolation::NearestPreferCeil), [0, 0, 0, 1, 2, 2, 2].map(Some));
        assert_eq!(all(Interpolation::NearestFloor), [0, 0, 0, 0, 1, 1, 2].map(Some));
        assert_eq!(all(Interpolation::NearestCeil), [0, 0, 1, 1, 2, 2, 2].map(Some));
    }
}
