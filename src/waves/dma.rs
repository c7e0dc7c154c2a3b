//! Signals of a DMA channel: bursts (T-7, T-8, T-9).

use super::changes::{count, layered};
use super::scope::{Signal, bits_for};
use super::source::Source;

/// The signals of the load channel (0) or the store channel (1).
pub(super) fn signals<'a>(source: Source<'a>, number: usize) -> Vec<Signal<'a>> {
    let channel = &source.trace.channels[number];
    let (requests, arrivals) = (channel.requests.iter().copied(), channel.arrivals.iter().copied());
    let moving = channel.moves.iter().map(|burst| (burst.start, burst.end, 1));
    // A load's burst counts from its request to the end of its write, a store's from the beginning of its read until it is done.
    let outstanding = if number == 0 {
        count(requests.clone(), channel.moves.iter().map(|burst| burst.end))
    } else {
        count(channel.moves.iter().map(|burst| burst.start), arrivals.clone())
    };
    let bits = bits_for(source.machine.outstanding_bursts.into());
    vec![
        Signal::new("outstanding", bits, outstanding),
        Signal::new("at_dram", bits, count(requests, arrivals)),
        Signal::new("moving", 1, layered(vec![Box::new(moving)], |active| Some(active[0].unwrap_or(0)))),
    ]
}
