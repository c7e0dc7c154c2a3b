//! Streams against a decoder that is nothing but N-29 read aloud, and against figures by hand.

use proptest::prelude::*;

use super::*;

/// N-29: a table from words to symbols, bits as a list.
fn decode(stream: &[u8], wanted: usize) -> Vec<u8> {
    let fill = stream[0];
    let mut out = vec![];
    let mut rest = &stream[1..];
    let mut codes = vec![];
    for _ in 0..2 {
        let counts: Vec<usize> = rest[..15].iter().map(|&count| count.into()).collect();
        let total: usize = counts.iter().sum();
        let mut symbols = rest[15..15 + total].iter();
        let mut words = std::collections::BTreeMap::new();
        let mut word = 0u32;
        for (index, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                words.insert((index + 1, word), *symbols.next().expect("a symbol for each word"));
                word += 1;
            }
            word *= 2;
        }
        codes.push(words);
        rest = &rest[15 + total..];
    }
    let mut bits = rest.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
    let mut symbol = |code: usize| {
        let (mut length, mut word) = (0, 0);
        loop {
            (length, word) = (length + 1, 2 * word + bits.next().expect("bits are left"));
            if let Some(&symbol) = codes[code].get(&(length, word)) {
                return symbol;
            }
            assert!(length < 15, "no word");
        }
    };
    while out.len() < wanted {
        if !codes[0].is_empty() {
            let run = symbol(0);
            out.extend(std::iter::repeat_n(fill, usize::from(run).min(wanted - out.len())));
            if run == 255 || out.len() == wanted {
                continue;
            }
        }
        out.push(symbol(1));
    }
    out
}

/// Every stream that the encoder makes of a tile, shorter or not.
fn round_trips(tile: &[u8], fill: u8) {
    for plan in [Plan::with_runs(tile, fill), Plan::values_alone(tile)] {
        let stream = plan.stream(tile, fill);
        assert_eq!(stream.len() as u64, plan.bytes());
        assert_eq!(decode(&stream, tile.len()), tile);
    }
}

#[test]
fn a_stream_by_hand() {
    // Runs 0 and 2 and the end: words of one and two bits, 0 most frequent. Values 5 (twice) and 9.
    let tile = [5, 0, 0, 9, 5, 0];
    let stream = Plan::with_runs(&tile, 0).stream(&tile, 0);
    let mut expected = vec![0];
    expected.extend([1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 255]);
    expected.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 9]);
    // run 0: 0, value 5: 0, run 2: 10, value 9: 1, run 0: 0, value 5: 0, run 255: 11.
    expected.push(0b0010_1001);
    expected.push(0b1000_0000);
    assert_eq!(stream, expected);
}

#[test]
fn pruned_and_shared_weights_get_short() {
    // One in ten of 16 values: 4 bits a value, and about 4.7 for a run of mean 9.
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let tile: Vec<u8> = (0..100_000).map(|_| if random(10) == 0 { 1 + random(16) as u8 } else { 0 }).collect();
    let stream = encode(&tile, 0).expect("shorter");
    let bits = 8.0 * stream.len() as f64 / tile.len() as f64;
    assert!((0.80..0.92).contains(&bits), "{bits} bits a weight");
    assert_eq!(decode(&stream, tile.len()), tile);
}

#[test]
fn what_cannot_get_shorter_is_left() {
    let noise: Vec<u8> = (0..4096u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(encode(&noise, 0), None);
    assert_eq!(encode(&[7; 20], 0), None);
    assert_eq!(encode(&[], 0), None);
}

/// Words of eight bits alone would be 256, more than a byte counts; and occurrences that grow like Fibonacci's numbers ask for words of over 15 bits.
#[test]
fn codes_at_their_limits() {
    let even: Vec<u8> = (0..8192u32).map(|index| index as u8).collect();
    round_trips(&even, 0);
    let mut occurrences = vec![1usize, 1];
    while occurrences.len() < 22 {
        occurrences.push(occurrences.iter().rev().take(2).sum());
    }
    let steep: Vec<u8> =
        occurrences.iter().enumerate().flat_map(|(value, &count)| vec![value as u8 + 1; count]).collect();
    round_trips(&steep, 0);
    let mut counts = [0; 256];
    steep.iter().for_each(|&value| counts[usize::from(value)] += 1);
    let code = Code::of(&counts);
    assert_eq!((0..=255).map(|symbol| code.word(symbol).1).max(), Some(15));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_tile_comes_back(
        fill: u8,
        pieces in prop::collection::vec((0usize..700, prop::collection::vec(0u8..40, 0..30)), 0..12),
        spread in 1u8..6,
    ) {
        let mut tile = vec![];
        for (zeros, values) in pieces {
            tile.extend(std::iter::repeat_n(fill, zeros));
            tile.extend(values.iter().map(|value| value.wrapping_mul(spread)));
        }
        if !tile.is_empty() {
            round_trips(&tile, fill);
        }
    }
}
