//! What a run may record beside its [`Timing`](super::Timing), for those who draw it: fetches, held ports, bursts. Equal for both engines, on every program.
//!
//! An engine that is not asked for it records nothing. Banks are numbered from 0: those of the activation buffer, of the weight buffer (none where
//! it is the same memory), of the accumulators.

use std::ops::Range;

/// Recorded along a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Fetch cycle of every instruction that was fetched, also of those that never start.
    pub fetches: Vec<u64>,
    /// Ports that array and vector run instructions hold from start to end (T-4), by instruction.
    pub held: Vec<Held>,
    /// The load channel and the store channel.
    pub channels: [ChannelTrace; 2],
}

/// Neighbouring banks of which an instruction holds a port each, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its index.
    pub instruction: usize,
    /// The banks.
    pub banks: Range<u32>,
}

/// The bursts of a DMA channel. Cycles ascend in each list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelTrace {
    /// When bursts are requested of the bus (T-7).
    pub requests: Vec<u64>,
    /// When they have arrived (loads) or are done (stores).
    pub arrivals: Vec<u64>,
    /// Their ways over the ports, in order.
    pub moves: Vec<Move>,
}

/// A burst that moves over a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The first cycle at which it lacked nothing but a port.
    pub ready: u64,
    /// The first cycle in which it moves.
    pub start: u64,
    /// The cycle at whose beginning it has moved.
    pub end: u64,
    /// The banks that it touches.
    pub banks: Range<u32>,
}

impl Trace {
    /// Adds the banks that an instruction holds, which ascend.
    pub(crate) fn hold(&mut self, instruction: usize, banks: impl IntoIterator<Item = u32>) {
        let first = self.held.len();
        for bank in banks {
            match self.held[first..].last_mut() {
                Some(held) if held.banks.end == bank => held.banks.end += 1,
                _ => self.held.push(Held { instruction, banks: bank..bank + 1 }),
            }
        }
    }

    /// Brings what was recorded in order of time into the order of the lists.
    pub(crate) fn sort(&mut self) {
        self.held.sort_by_key(|held| (held.instruction, held.banks.start));
        self.channels.iter_mut().for_each(|channel| channel.arrivals.sort_unstable());
    }
}
