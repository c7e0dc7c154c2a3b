//! Which input pixels an output pixel of a resized line takes, and by how much, as ONNX's Resize says.

use systole_network::op::Interpolation;

/// How output pixels find their places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Places {
    /// Centres correspond.
    HalfPixel,
    /// Centres correspond, and the middles of both lines where the output's extent is not the scaled one exactly.
    HalfPixelSymmetric,
    /// As `HalfPixel`, but −½ for a line of one pixel.
    PytorchHalfPixel,
    /// First and last pixels correspond.
    AlignCorners,
    /// Leading edges correspond.
    Asymmetric,
    /// First and last pixels of a part correspond; in shares of the line.
    Crop { start: f64, end: f64 },
}

/// How values between pixels come about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    /// One pixel.
    Nearest(Interpolation),
    /// Two, or with `antialias` as many as an output pixel covers.
    Linear { antialias: bool },
    /// Four or more, with Keys' kernel of coefficient `a`.
    Cubic { antialias: bool, a: f64 },
}

/// A line that changes its extent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) input: usize,
    pub(super) output: usize,
    /// Output pixels for each input pixel.
    pub(super) scale: f64,
    pub(super) places: Places,
    pub(super) mode: Mode,
    /// Pixels beyond the edge have no weight, instead of being the edge's.
    pub(super) exclude: bool,
}

/// `[output, input]`.
pub(super) struct Matrix {
    pub(super) weights: Vec<f32>,
    /// Whether the output pixel lies in the input.
    pub(super) inside: Vec<bool>,
}

impl Line {
    pub(super) fn matrix(&self) -> Matrix {
        let mut made = Matrix { weights: vec![], inside: vec![] };
        let last = (self.input - 1) as f64;
        for pixel in 0..self.output {
            let x = self.place(pixel as f64);
            let inside = !matches!(self.places, Places::Crop { .. }) || (0.0..=last).contains(&x);
            let mut row = vec![0.0; self.input];
            if inside {
                self.add_weights(x, &mut row);
            }
            made.inside.push(inside);
            made.weights.extend(row.iter().map(|&weight: &f64| weight as f32));
        }
        made
    }

    /// Where output pixel `x` lies in the input.
    fn place(&self, x: f64) -> f64 {
        let (input, whole) = (self.input as f64, self.scale * self.input as f64);
        let centre = (x + 0.5) / self.scale - 0.5;
        match self.places {
            Places::HalfPixel => centre,
            Places::HalfPixelSymmetric => input / 2.0 * (1.0 - self.output as f64 / whole) + centre,
            Places::PytorchHalfPixel if whole == 1.0 => -0.5,
            Places::PytorchHalfPixel => centre,
            Places::AlignCorners if whole == 1.0 => 0.0,
            Places::AlignCorners => x * (input - 1.0) / (whole - 1.0),
            Places::Asymmetric => x / self.scale,
            Places::Crop { start, end } if whole == 1.0 => (start + end) * (input - 1.0) / 2.0,
            Places::Crop { start, end } => start * (input - 1.0) + x * (end - start) * (input - 1.0) / (whole - 1.0),
        }
    }

    fn add_weights(&self, x: f64, row: &mut [f64]) {
        let taps: Vec<(f64, f64)> = match self.mode {
            Mode::Nearest(nearest) => vec![(nearest_to(x, nearest), 1.0)],
            Mode::Linear { antialias } => {
                let stretch = if antialias { self.scale.min(1.0) } else { 1.0 };
                reach(x, 1.0 / stretch).map(|at| (at, (1.0 - ((at - x) * stretch).abs()).clamp(0.0, 1.0))).collect()
            }
            Mode::Cubic { antialias, a } => {
                let stretch = if antialias { self.scale.min(1.0) } else { 1.0 };
                reach(x, 2.0 / stretch).map(|at| (at, keys((at - x) * stretch, a))).collect()
            }
        };
        let last = (self.input - 1) as f64;
        let counts = |at: f64| !self.exclude || (0.0..=last).contains(&at);
        let total: f64 = taps.iter().filter(|tap| counts(tap.0)).map(|tap| tap.1).sum();
        for (at, weight) in taps.into_iter().filter(|tap| counts(tap.0)) {
            row[at.clamp(0.0, last) as usize] += weight / total;
        }
    }
}

/// Pixels nearer to `x` than `radius`.
fn reach(x: f64, radius: f64) -> impl Iterator<Item = f64> {
    let (first, last) = ((x - radius).floor() as i64, (x + radius).ceil() as i64);
    (first..=last).map(|at| at as f64).filter(move |at| (at - x).abs() < radius)
}

fn nearest_to(x: f64, nearest: Interpolation) -> f64 {
    match nearest {
        Interpolation::NearestPreferCeil => (x + 0.5).floor(),
        Interpolation::NearestFloor => x.floor(),
        Interpolation::NearestCeil => x.ceil(),
        _ => (x - 0.5).ceil(),
    }
}

/// Keys' cubic convolution kernel.
fn keys(x: f64, a: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        _ if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(line: Line) -> Vec<f32> {
        line.matrix().weights
    }

    #[test]
    fn weights_by_hand() {
        let line = Line {
            input: 2,
            output: 4,
            scale: 2.0,
            places: Places::HalfPixel,
            mode: Mode::Linear { antialias: false },
            exclude: false,
        };
        assert_eq!(matrix(line), [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);
        // Half the size: a pixel covers two on each side, weighted 1/4, 3/4, 3/4, 1/4, the outermost beyond the edge.
        let halved = Line { input: 4, output: 2, scale: 0.5, mode: Mode::Linear { antialias: true }, ..line };
        assert_eq!(matrix(halved)[..4], [0.5, 0.375, 0.125, 0.0]);
        let cropped = Line { places: Places::Crop { start: 0.5, end: 1.5 }, output: 2, scale: 1.0, ..line };
        let made = cropped.matrix();
        assert_eq!((made.weights, made.inside), (vec![0.5, 0.5, 0.0, 0.0], vec![true, false]));
    }

    #[test]
    fn keys_kernel_is_one_in_sum() {
        for x in [0.0, 0.1, 0.5, 0.75] {
            let sum: f64 = (-1..=2).map(|at| keys(f64::from(at) - x, -0.75)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{x}");
        }
    }
}
