//! `ld.decode` (M-15): both engines and a decoder that is nothing but N-29 read aloud make the same bytes of every stream, good or not.

#[path = "tightness/harness.rs"]
#[expect(dead_code, reason = "only the machine is used here")]
mod harness;

use proptest::prelude::*;
use systole_machine::isa::assembler::assemble;
use systole_machine::spec::{Machine, WeightDecoder};
use systole_simulator::compare::compare;
use systole_simulator::contract::{Job, Outcome};
use systole_simulator::{fast, reference};

const DRAM_BYTES: u64 = 4096;
const FUEL_CYCLES: u64 = 100_000;

/// N-29 by lists of words; `None` where the stream ends, or means nothing, before all is out.
fn rest_is_fill(stream: &[u8], wanted: usize, out: &mut Vec<u8>) -> Option<()> {
    let (&fill, mut header) = stream.split_first()?;
    let mut codes: Vec<Vec<(usize, u64, u8)>> = vec![];
    for _ in 0..2 {
        let counts = header.get(..15)?;
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let mut symbols = header.get(15..15 + total)?.iter();
        let (mut words, mut first) = (vec![], 0u64);
        for (length, &count) in (1..).zip(counts) {
            words.extend((0..u64::from(count)).zip(&mut symbols).map(|(k, &symbol)| (length, first + k, symbol)));
            first = 2 * (first + u64::from(count));
        }
        codes.push(words);
        header = &header[15 + total..];
    }
    let mut bits = header.iter().flat_map(|byte| (0..8).rev().map(move |bit| u64::from(byte >> bit & 1)));
    let mut symbol = |code: usize| {
        let mut word = 0;
        for length in 1..=15 {
            word = 2 * word + bits.next()?;
            if let Some(found) = codes[code].iter().find(|entry| (entry.0, entry.1) == (length, word)) {
                return Some(found.2);
            }
        }
        None
    };
    while out.len() < wanted {
        if !codes[0].is_empty() {
            let run = symbol(0)?;
            out.extend(vec![fill; usize::from(run).min(wanted - out.len())]);
            if run == 255 || out.len() == wanted {
                continue;
            }
        }
        out.push(symbol(1)?);
    }
    Some(())
}

fn expected(stream: &[u8], wanted: usize) -> Vec<u8> {
    let mut out = vec![];
    rest_is_fill(stream, wanted, &mut out);
    out.resize(wanted, stream[0]);
    out
}

fn machine(burst_bytes: u32) -> Machine {
    harness::with(|machine| {
        machine.weight.capacity_bytes = 4096;
        machine.weight_decoder = Some(WeightDecoder { output_bytes: 3, latency_cycles: 5 });
        if let systole_machine::spec::Dram::Simple { burst_bytes: burst, .. } = &mut machine.dram {
            *burst = burst_bytes;
        }
    })
}

/// What lies in the weight buffer after the stream was decoded into `wanted` bytes from byte 1 on.
fn decoded(stream: &[u8], wanted: usize, burst_bytes: u32) -> Vec<u8> {
    let machine = machine(burst_bytes);
    let text =
        format!("ld.shape row_bytes={wanted}, rows=1, planes=1\nld.decode dram=7, buffer=1, bytes={}\n", stream.len());
    let program = assemble(&text).expect("assembly");
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: DRAM_BYTES };
    let image = [(7, stream)];
    let slow = reference::run(&job, &image, FUEL_CYCLES).expect("fuel enough");
    let quick = fast::run(&job, &image).expect("the image fits");
    assert_eq!(slow.0.outcome, Outcome::Halted);
    assert_eq!(compare(&slow, &quick).map(|divergence| divergence.to_string()), None, "{stream:?}");
    let weight = slow.1.weight;
    assert!(weight[..1].iter().chain(&weight[1 + wanted..]).all(|&byte| byte == 0), "beside the decoded bytes");
    weight[1..1 + wanted].to_vec()
}

/// The example of N-29, with as many bytes wanted as the stream has, or more: the last run makes them up.
#[test]
fn the_example_of_the_rule() {
    let mut stream = vec![0];
    stream.extend([1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 255]);
    stream.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 249, 0x60, 0xe0]);
    for wanted in [38, 50, 263] {
        let mut bytes = vec![249, 0, 0, 0, 0, 7, 7, 249];
        bytes.resize(wanted, 0);
        assert_eq!(expected(&stream, wanted), bytes);
        assert_eq!(decoded(&stream, wanted, 16), bytes);
    }
    // Cut short anywhere: what was read whole is there, the rest is fill.
    for length in 1..stream.len() {
        assert_eq!(decoded(&stream[..length], 60, 4), expected(&stream[..length], 60), "{length} bytes");
    }
}

/// A code of any counts: too few words, too many, none.
fn code() -> impl Strategy<Value = Vec<u8>> {
    let count = prop_oneof![6 => Just(0u8), 3 => 0u8..3, 1 => 0u8..20];
    prop::collection::vec(count, 15).prop_flat_map(|counts| {
        let total = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        let symbol = prop_oneof![5 => 0u8..20, 1 => Just(255u8), 1 => any::<u8>()];
        (Just(counts), prop::collection::vec(symbol, total)).prop_map(|(counts, symbols)| [counts, symbols].concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_stream_means_the_same_to_all(
        fill: u8, runs in code(), values in code(), bits in prop::collection::vec(any::<u8>(), 0..90), more in prop_oneof![0usize..500, 1100usize..2500], log in 0u32..6,
    ) {
        let stream: Vec<u8> = [vec![fill], runs, values, bits].concat();
        let stream = &stream[..stream.len().min(500)];
        // The fast engine looks words up where over a thousand bytes are wanted.
        let wanted = stream.len() + more;
        prop_assert_eq!(decoded(stream, wanted, 1 << log), expected(stream, wanted));
    }

    #[test]
    fn and_so_do_any_bytes(stream in prop::collection::vec(any::<u8>(), 1..300), more in 0usize..300) {
        let wanted = stream.len() + more;
        prop_assert_eq!(decoded(&stream, wanted, 16), expected(&stream, wanted));
    }
}
