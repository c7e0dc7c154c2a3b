//! Values that no file gives: seeded weights, and images for default inputs and calibration.
//!
//! Every value is a function of (seed, name, index) alone: ChaCha8 with the seed as its key and eight bytes of the name's SHA-256 as
//! its stream, turned into floats by integer sums and single IEEE operations. No libm, no fused operations: every platform
//! draws the same bits. What the values *mean* (which constant gets which distribution) is the zoo's business.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use crate::tensor::{Distribution, Tensor};

/// Uniforms summed for one normal: their sum has variance 12 / 12 = 1.
const UNIFORMS_PER_NORMAL: usize = 12;
/// Random bytes that a normal and a uniform take.
const NORMAL_BYTES: usize = 2 * UNIFORMS_PER_NORMAL;
const UNIFORM_BYTES: usize = 4;
/// And a weight that may be pruned: a uniform, then a normal.
const PRUNED_BYTES: usize = UNIFORM_BYTES + NORMAL_BYTES;
/// Standard deviations at which weights that share values are cut.
const CUT: f32 = 2.0;
/// Bytes drawn at a time: whole normals and uniforms.
const BLOCK: usize = 256 * NORMAL_BYTES;
/// Cells of an image's coarse grid, along each of its two axes.
const GRID: usize = 8;
/// Scale of the grid's values. Interpolation averages neighbouring cells (variance about (2/3)² of a cell's); 1.5 makes up for it.
const GRID_STD: f32 = 1.5;
/// Standard deviation of an image's noise.
const NOISE_STD: f32 = 0.1;

/// The values of a seeded constant, row-major in its logical shape. The tensor gives name and shape only.
pub fn values(tensor: &Tensor, distribution: Distribution, seed: u64) -> Vec<f32> {
    let mut draws = Draws::new(&tensor.name, seed);
    let n = tensor.elements();
    let mut out = Vec::with_capacity(n);
    while out.len() < n {
        let wanted = n - out.len();
        let block = draws.block();
        match distribution {
            Distribution::Normal { std } => {
                out.extend(block.chunks_exact(NORMAL_BYTES).take(wanted).map(|bytes| normal(bytes) * std));
            }
            Distribution::Uniform { low, high } => {
                out.extend(block.chunks_exact(UNIFORM_BYTES).take(wanted).map(|bytes| uniform(bytes, low, high)));
            }
            Distribution::Pruned { std, density, levels } => {
                let one = |bytes: &[u8]| pruned(bytes, density, levels) * std;
                out.extend(block.chunks_exact(PRUNED_BYTES).take(wanted).map(one));
            }
            few => out.extend(block.iter().take(wanted).map(|&byte| one_of_few(byte, few))),
        }
    }
    out
}

/// Image number `index` for the input `name`, row-major in `shape` (`[n, c, h, w]`; missing trailing axes are 1): smooth (a grid of
/// 8 × 8 normal values, interpolated) plus a little noise; mean about 0, standard deviation about 1.
///
/// A batch of n images is images `index · n` to `index · n + n − 1` of the batch-1 shape, so that a result does not depend on the batch.
pub fn image(shape: &[usize], name: &str, index: u64, seed: u64) -> Vec<f32> {
    let n = shape.first().copied().unwrap_or(1);
    let axis = |i: usize| shape.get(i).copied().unwrap_or(1);
    let (channels, height, width) = (axis(1), axis(2), shape.iter().skip(3).product());
    let mut out = Vec::with_capacity(n * channels * height * width);
    for item in 0..n {
        let number = index.wrapping_mul(n as u64).wrapping_add(item as u64);
        let mut draws = Draws::new(&format!("{name}#{number}"), seed);
        for _ in 0..channels {
            plane(&mut draws, height, width, &mut out);
        }
    }
    out
}

/// Appends one channel `[height, width]` of an image.
fn plane(draws: &mut Draws, height: usize, width: usize, out: &mut Vec<f32>) {
    let grid: [[f32; GRID]; GRID] = std::array::from_fn(|_| std::array::from_fn(|_| draws.normal() * GRID_STD));
    for y in 0..height {
        let (top, bottom, fy) = cell(y, height);
        for x in 0..width {
            let (left, right, fx) = cell(x, width);
            let upper = mix(grid[top][left], grid[top][right], fx);
            let lower = mix(grid[bottom][left], grid[bottom][right], fx);
            out.push(mix(upper, lower, fy) + draws.normal() * NOISE_STD);
        }
    }
}

/// The two grid cells around pixel `i` of `n`, and how far the pixel lies towards the second, in `[0, 1)`.
fn cell(i: usize, n: usize) -> (usize, usize, f32) {
    let position = i as f32 * GRID as f32 / n as f32;
    let first = (position as usize).min(GRID - 1);
    (first, (first + 1).min(GRID - 1), position - first as f32)
}

/// From `a` (t = 0) to `b` (t = 1).
fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// A stream of random bytes that belongs to one name.
struct Draws {
    rng: ChaCha8Rng,
    block: Box<[u8; BLOCK]>,
    next: usize,
}

impl Draws {
    fn new(name: &str, seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        let digest = Sha256::digest(name.as_bytes());
        let mut stream = [0; 8];
        stream.copy_from_slice(&digest[..8]);
        rng.set_stream(u64::from_le_bytes(stream));
        Draws { rng, block: Box::new([0; BLOCK]), next: BLOCK }
    }

    /// The next [`BLOCK`] bytes.
    fn block(&mut self) -> &[u8; BLOCK] {
        self.rng.fill_bytes(&mut self.block[..]);
        &self.block
    }

    fn normal(&mut self) -> f32 {
        if self.next == BLOCK {
            self.block();
            self.next = 0;
        }
        self.next += NORMAL_BYTES;
        normal(&self.block[self.next - NORMAL_BYTES..self.next])
    }
}

/// Standard normal, by the sum of twelve 16-bit uniforms less its mean, exactly.
fn normal(bytes: &[u8]) -> f32 {
    let sum: i32 = bytes.chunks_exact(2).map(|pair| i32::from(u16::from_le_bytes([pair[0], pair[1]]))).sum();
    (2 * sum - UNIFORMS_PER_NORMAL as i32 * 65535) as f32 / 131072.0
}

/// A value of a distribution that has few; the others have none here.
fn one_of_few(byte: u8, distribution: Distribution) -> f32 {
    match distribution {
        Distribution::Signs { scale } => [-scale, scale][usize::from(byte & 1)],
        Distribution::Ternary { positive, negative } => {
            let positives = 171.0 * negative / (positive + negative);
            match f32::from(byte) {
                byte if byte < positives => positive,
                byte if byte < 171.0 => -negative,
                _ => 0.0,
            }
        }
        Distribution::Levels { scale } => [-2.0 * scale, -scale, scale, 2.0 * scale][usize::from(byte & 3)],
        Distribution::Normal { .. } | Distribution::Uniform { .. } | Distribution::Pruned { .. } => 0.0,
    }
}

/// 0, or with probability `density` a standard normal, cut, and rounded away from 0 to one of `levels` values: multiples of a step, as many of either sign,
/// the largest where the cut is.
fn pruned(bytes: &[u8], density: f32, levels: u16) -> f32 {
    let (kept, value) = bytes.split_at(UNIFORM_BYTES);
    if uniform(kept, 0.0, 1.0) >= density {
        return 0.0;
    }
    let (value, half) = (normal(value), f32::from(levels / 2).max(1.0));
    // From 1 to half of the levels, on either side.
    let level = (value.abs() * half / CUT).ceil().clamp(1.0, half);
    (level * CUT / half).copysign(value)
}

/// Uniform in `[low, high)`, by 24 random bits.
fn uniform(bytes: &[u8], low: f32, high: f32) -> f32 {
    let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) >> 8;
    let value = low + (high - low) * (bits as f32 / 16777216.0);
    // The sum may round up to `high`, which does not belong to the range.
    if value >= high && high > low { high.next_down() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn tensor(name: &str, n: usize) -> Tensor {
        Tensor { name: name.into(), shape: vec![n], dtype: DType::F32, quant: None, data: None }
    }

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        (mean, (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn normals_have_the_stated_moments_and_tails() {
        let draws = values(&tensor("w", 200_000), Distribution::Normal { std: 0.5 }, 0);
        let (mean, std) = moments(&draws);
        assert!(mean.abs() < 0.005 && (std - 0.5).abs() < 0.005, "mean {mean}, std {std}");
        let beyond_two = draws.iter().filter(|v| v.abs() > 1.0).count() as f64 / draws.len() as f64;
        assert!((beyond_two - 0.0455).abs() < 0.004, "{beyond_two} beyond two standard deviations");
    }

    #[test]
    fn uniforms_fill_their_half_open_range() {
        let draws = values(&tensor("s", 100_000), Distribution::Uniform { low: 0.7, high: 1.2 }, 3);
        assert!(draws.iter().all(|&v| (0.7..1.2).contains(&v)));
        let (mean, std) = moments(&draws);
        assert!((mean - 0.95).abs() < 0.003 && (std - 0.5 / 12f64.sqrt()).abs() < 0.002, "mean {mean}, std {std}");
    }

    #[test]
    fn few_values_come_as_often_as_they_should() {
        let draw = |distribution| values(&tensor("w", 60_000), distribution, 1);
        let share = |draws: &[f32], value: f32| draws.iter().filter(|v| **v == value).count() as f32 / 60_000.0;
        let signs = draw(Distribution::Signs { scale: 0.5 });
        assert!([0.5, -0.5].iter().all(|v| (share(&signs, *v) - 0.5).abs() < 0.01));
        let ternary = draw(Distribution::Ternary { positive: 0.3, negative: 0.2 });
        let shares = [(0.3, 0.4 * 2.0 / 3.0), (0.0, 1.0 / 3.0), (-0.2, 0.6 * 2.0 / 3.0)];
        assert!(shares.iter().all(|(v, expected)| (share(&ternary, *v) - expected).abs() < 0.01));
        let levels = draw(Distribution::Levels { scale: 0.1 });
        assert!([0.1, -0.1, 0.2, -0.2].iter().all(|v| (share(&levels, *v) - 0.25).abs() < 0.01));
    }

    #[test]
    fn pruned_weights_are_few_and_share_their_values() {
        let weights = values(&tensor("fc", 200_000), Distribution::Pruned { std: 0.5, density: 0.09, levels: 32 }, 0);
        let kept: Vec<f32> = weights.iter().copied().filter(|&w| w != 0.0).collect();
        assert!((kept.len() as f64 / 200_000.0 - 0.09).abs() < 0.002, "{} kept", kept.len());
        let different: std::collections::BTreeSet<u32> = kept.iter().map(|w| w.to_bits()).collect();
        assert_eq!(different.len(), 32);
        let (mean, std) = moments(&kept);
        assert!(mean.abs() < 0.02 && (std - 0.5).abs() < 0.03, "mean {mean}, std {std}");
        // 1 is the cut at two deviations, 1/16 the step: 127 steps of a quantised channel fall on multiples of 7.9.
        assert!(kept.iter().all(|w| w.abs() <= 1.0 && (w * 16.0).fract() == 0.0));
        assert!(kept.contains(&1.0) && kept.contains(&-1.0));
    }

    #[test]
    fn names_and_seeds_give_independent_streams_and_lengths_share_a_prefix() {
        let normal = Distribution::Normal { std: 1.0 };
        let base = values(&tensor("a", 1000), normal, 0);
        assert_eq!(base[..10], values(&tensor("a", 10), normal, 0));
        let equal = |other: &[f32]| base.iter().zip(other).filter(|(a, b)| a == b).count();
        assert!(equal(&values(&tensor("b", 1000), normal, 0)) < 10);
        assert!(equal(&values(&tensor("a", 1000), normal, 1)) < 10);
    }

    /// Bits from an implementation of ChaCha8 and of the conversions in another language.
    #[test]
    fn bits_are_the_same_everywhere() {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let normals = values(&tensor("conv1_weight", 4), Distribution::Normal { std: 1.0 }, 0);
        assert_eq!(bits(normals), [0x3d82_a800, 0xbeb3_2e00, 0xbcf0_4000, 0x3fb9_3d00]);
        let uniforms = values(&tensor("bn_scale", 4), Distribution::Uniform { low: 0.7, high: 1.2 }, 7);
        assert_eq!(bits(uniforms), [0x3f89_e8aa, 0x3f84_42da, 0x3f5b_d825, 0x3f81_343e]);
    }

    #[test]
    fn images_are_smooth_normalised_and_independent_of_the_batch() {
        let one = image(&[1, 3, 64, 64], "input", 1, 0);
        let (mean, std) = moments(&one);
        assert!(mean.abs() < 0.5 && (0.6..1.4).contains(&std), "mean {mean}, std {std}");
        let steps: Vec<f32> = one.chunks(64).flat_map(|row| row.windows(2).map(|p| p[1] - p[0])).collect();
        assert!(moments(&steps).1 < 0.4 * std, "neighbours differ too much");
        let pair = image(&[2, 3, 64, 64], "input", 0, 0);
        assert_eq!(pair[3 * 64 * 64..], one);
        assert_ne!(pair[..3 * 64 * 64], one);
        assert_eq!(image(&[4, 10], "x", 0, 0).len(), 40);
    }
}
