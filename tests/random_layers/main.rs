//! Random layers on random machines: golden, fast engine and reference engine agree on every element.
//!
//! Machines have 1 to 40 rows and columns and buffers down to the smallest that hold a tile; where one is too small, could overflow its sums or lacks
//! single precision for a float island, the compiler must refuse by name. The run counts what it hit and fails where it hit nothing. `SYSTOLE_LAYERS` sets the number of cases, `SYSTOLE_SEED` the first seed.

mod channels;
mod dice;
mod machine;
mod moves;
mod network;
mod packed;
mod pairs;
mod repeats;
mod run;
mod sums;
mod taps;
mod transposed;

use std::collections::BTreeMap;

use rayon::prelude::*;

use run::{REFUSALS, Verdict, run_case};

/// What a run of the default size must have met.
const EXPECTED_HITS: &[&str] = &[
    "dense convolution",
    "depthwise convolution",
    "grouped convolution",
    "dilation",
    "asymmetric padding",
    "windows of padding alone",
    "weights u8",
    "weights i8 around 0",
    "weights i8 with a zero point",
    "bias near overflow",
    "fully connected",
    "average pooling",
    "max pooling",
    "global average pooling",
    "rescale",
    "batch norm",
    "constant per channel",
    "two tensors",
    "concat",
    "softmax",
    "lrn of even size",
    "lrn of odd size",
    "lrn over all channels",
    "sum of many",
    "channel shuffle",
    "clamp",
    "packed taps",
    "streamed weights",
    "sliced input channels",
    "chunks over arrays",
    "tiles over arrays",
    "copies for each array",
    "one scratchpad",
    "one scratchpad of one bank",
    "one weight register",
    "two weight registers",
    "weight-stationary",
    "output-stationary",
    "input-stationary",
    "several dataflows",
    "dot products",
    "sums under 32 bits",
    "sums of 32 bits",
    "sums over 32 bits",
    "saturating sums",
    "float32",
    "fixed point, one rounding",
    "fixed point, two roundings",
    "fixed point, narrow multiplier",
    "shift",
    "16-bit input of the array",
    "16-bit result",
    "16-bit operand of the vector unit",
    "no single precision",
    "transposed convolution",
    "depthwise transposed convolution",
    "grouped transposed convolution",
    "stride over the kernel",
    "output padding",
    "rows of bias alone",
    "stride and dilation",
    "transposed convolution into a concatenation",
    "phases apart",
    "phases side by side",
    "Sigmoid",
    "Tanh",
    "HardSwish",
    "HardSigmoid",
    "LeakyRelu",
    "Elu",
    "PRelu",
    "Sub",
    "Div",
    "Max",
    "Min",
    "constant per channel of rule N-25",
    "two tensors of rule N-25",
    "global max pooling",
    "slice as a view",
    "slice of any steps",
    "copy inside a border",
    "result inside a border",
    "mirrored padding",
    "space to depth",
    "depth to space",
    "nearest, whole factors",
    "nearest, any factors",
    "linear, whole factors",
    "linear, any factors",
    "linear, smaller",
    "linear, half pixel",
    "linear, half pixel as PyTorch has it",
    "linear, corners aligned",
    "linear, asymmetric",
    "linear, several tiles of rows",
    "linear, several tiles of a row",
    "linear, wide operand",
    "transposition of channels and pixels",
    "reshape",
    "deformable convolution",
    "deformable, several groups",
    "deformable, several offset groups",
    "sample inside the image",
    "sample over the edge",
    "sample outside the image",
    "sample between pixels",
    "unpooling",
    "unpooling of windows that overlap",
    "unpooling of windows with gaps",
    "dilated pooling",
    "depthwise on the vector unit",
    "depthwise on the vector unit, 16 bit",
    "depthwise on the vector unit, dilated",
    "depthwise on the vector unit, integer scaling",
    "images repeat",
    "channels repeat",
    "rows repeat",
    "columns repeat",
    "all pixels repeat",
    "a gate of means",
    "the first operand repeats",
    "both operands repeat",
];

/// What happened in all cases.
#[derive(Default)]
struct Tally {
    ran: u64,
    refused: BTreeMap<&'static str, u64>,
    hits: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

impl Tally {
    fn count(&mut self, seed: u64, result: Result<Verdict, String>) {
        match result {
            Ok(Verdict::Ran(seen)) => {
                self.ran += 1;
                for hit in seen {
                    *self.hits.entry(hit).or_default() += 1;
                }
            }
            Ok(Verdict::Refused(why)) => *self.refused.entry(why).or_default() += 1,
            Err(message) => self.failures.push(format!("seed {seed}: {message}")),
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_layers_agree() {
    let (cases, first) = (setting("SYSTOLE_LAYERS", 600), setting("SYSTOLE_SEED", 1));
    let results: Vec<_> = (first..first + cases)
        .into_par_iter()
        .map(|seed| (seed, std::panic::catch_unwind(|| run_case(seed)).unwrap_or_else(|_| Err("panicked".into()))))
        .collect();
    let mut tally = Tally::default();
    results.into_iter().for_each(|(seed, result)| tally.count(seed, result));
    let Tally { ran, refused, hits, failures } = tally;
    println!("{ran} ran, refused: {refused:?}; {hits:#?}");
    assert!(
        failures.is_empty(),
        "{} of {cases} failed:\n{}",
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
    for (_, why) in REFUSALS {
        assert!(refused.contains_key(why), "no machine was {why}");
    }
    assert!(ran > cases / 3, "only {ran} of {cases} ran");
    for expected in EXPECTED_HITS.iter().chain(packed::EXPECTED_HITS).chain(sums::EXPECTED_HITS).copied() {
        assert!(hits.contains_key(expected), "never hit: {expected}");
    }
}
