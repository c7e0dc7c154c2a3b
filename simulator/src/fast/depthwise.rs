//! Sums of a depthwise convolution (N-31), one output pixel at a time. Biases, scaling and storing are `general`'s.

use super::elementwise::Reader;
use super::mutant::{Mutant, on};
use super::plain::Adder;
use super::pool::Window;
use super::work::VectorWork;

/// The sums of pixel (y, x), channel by channel, without biases.
pub(super) fn sums(work: &VectorWork, adder: Adder, memory: &[u8], (y, x): (usize, usize)) -> Vec<i64> {
    let channels = work.channels as usize;
    let table = &memory[(work.params + work.record() * work.channels) as usize..][..channels * work.weights() as usize];
    let mut sums = vec![0i64; channels];
    if on(Mutant::DepthwisePadding) {
        sums.fill(i64::from(work.zero_a) * i64::from(work.pad_top > 0));
    }
    let window = Window::new(work, y, x);
    let taps = window.taps(work).zip(window.pixels(work, memory));
    let weights = Reader::new(work.signed_b, work.zero_b);
    // Products have 34 bits, so that as many as a window can have add up in 64: modulo 2^w once is modulo 2^w always.
    let exact = adder.wraps();
    for (tap, pixel) in taps {
        let row = &table[tap as usize * channels..][..channels];
        if work.wide[0] {
            let (pairs, _) = pixel.as_chunks::<2>();
            let elements = pairs.iter().map(|&pair| i32::from(i16::from_le_bytes(pair)) - work.zero_a);
            add(&mut sums, elements, row, weights, (adder, exact));
        } else {
            let reader = Reader::new(work.signed_a, work.zero_a);
            add(&mut sums, pixel.iter().map(|&byte| reader.read(byte)), row, weights, (adder, exact));
        }
    }
    if exact {
        sums.iter_mut().for_each(|sum| *sum = adder.add(*sum, 0));
    }
    sums
}

/// Adds a tap of every channel.
#[inline(always)]
fn add(
    sums: &mut [i64],
    elements: impl Iterator<Item = i32>,
    row: &[u8],
    weights: Reader,
    (adder, exact): (Adder, bool),
) {
    for ((sum, element), weight) in sums.iter_mut().zip(elements).zip(row) {
        let product = i64::from(element) * i64::from(weights.read(*weight));
        *sum = if exact { *sum + product } else { adder.add(*sum, product) };
    }
}
