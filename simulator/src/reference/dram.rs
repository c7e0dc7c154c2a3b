//! T-7: bursts, and the bus of DRAM. Each cycle the bus moves `bandwidth` units, a burst is `burst_bytes · clock` of them, so fractions of a cycle are exact.
//! No data moves here.

use std::collections::VecDeque;

use systole_machine::isa::Unit;
use systole_machine::spec::{Dram, Machine};

use super::banked::Controllers;
use super::work::Transfer;
use crate::contract::DramCounts;

/// A burst of a DMA run: one piece of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Burst {
    pub(super) dram: i64,
    pub(super) buffer: i64,
    pub(super) bytes: i64,
    /// Of them, in the buffer: as many, but for a stream's.
    pub(super) buffer_bytes: i64,
    /// The run's last.
    pub(super) last: bool,
}

/// Cuts a run into bursts, in order plane, row, piece.
pub(super) struct Cutter {
    pub(super) transfer: Transfer,
    burst_bytes: i64,
    plane: i64,
    row: i64,
    offset: i64,
}

impl Cutter {
    pub(super) fn new(transfer: Transfer, burst_bytes: u32) -> Self {
        Cutter { transfer, burst_bytes: burst_bytes.into(), plane: 0, row: 0, offset: 0 }
    }

    /// The next burst; after the last one it must not be asked.
    pub(super) fn peek(&self) -> Burst {
        let t = &self.transfer;
        let dram = t.dram + self.plane * t.dram_plane + self.row * t.dram_row + self.offset;
        let row = t.buffer + self.plane * t.buffer_plane + self.row * t.buffer_row;
        let left = t.row_bytes - self.offset;
        let bytes = left.min(self.burst_bytes - dram % self.burst_bytes);
        let last = bytes == left && self.row + 1 == t.rows && self.plane + 1 == t.planes;
        // T-8: a stream's decoded bytes come out evenly.
        let place = |byte: i64| t.decoded.map_or(byte, |decoded| byte * decoded / t.row_bytes);
        let (first, end) = (place(self.offset), place(self.offset + bytes));
        Burst { dram, buffer: row + first, bytes, buffer_bytes: end - first, last }
    }

    pub(super) fn advance(&mut self) {
        self.offset += self.peek().bytes;
        if self.offset == self.transfer.row_bytes {
            (self.offset, self.row) = (0, self.row + 1);
        }
        if self.row == self.transfer.rows {
            (self.row, self.plane) = (0, self.plane + 1);
        }
    }
}

/// Bus and latency, or banks.
pub(super) struct Bus {
    dram: Dram,
    clock_hz: u64,
    /// Requested and not yet over the bus: channel, units left.
    waiting: VecDeque<(Unit, u128)>,
    /// Over the bus: channel, cycle of arrival; in order of both.
    travelling: VecDeque<(Unit, u64)>,
    /// The controllers of a banked DRAM; then the two queues above are empty.
    banked: Option<Controllers>,
    /// Bursts requested by loads and by stores.
    pub(super) bursts: [u64; 2],
}

impl Bus {
    pub(super) fn new(machine: &Machine) -> Self {
        Bus {
            dram: machine.dram.clone(),
            clock_hz: machine.clock_hz,
            waiting: VecDeque::new(),
            travelling: VecDeque::new(),
            banked: Controllers::of(machine),
            bursts: [0; 2],
        }
    }

    pub(super) fn burst_bytes(&self) -> u32 {
        self.dram.burst_bytes()
    }

    /// A burst's turn comes after all earlier requests.
    pub(super) fn request(&mut self, channel: Unit, address: u64) {
        self.bursts[usize::from(channel == Unit::Store)] += 1;
        if let Some(banked) = &mut self.banked {
            return banked.request(channel, address);
        }
        let work = u128::from(self.dram.burst_bytes()) * u128::from(self.clock_hz);
        self.waiting.push_back((channel, work));
    }

    pub(super) fn counts(&self) -> DramCounts {
        self.banked.as_ref().map_or_else(DramCounts::default, Controllers::counts)
    }

    /// One cycle of the bus, after the requests of that cycle.
    pub(super) fn step(&mut self, now: u64) {
        if let Some(banked) = &mut self.banked {
            banked.step(now);
        }
        let (mut budget, latency) = match self.dram {
            Dram::Ideal { .. } | Dram::Banked(_) => (u128::MAX, 0),
            Dram::Simple { bandwidth_bytes_per_s, latency_cycles, .. } => {
                (u128::from(bandwidth_bytes_per_s), latency_cycles)
            }
        };
        while let Some((channel, left)) = self.waiting.front_mut() {
            let moved = budget.min(*left);
            budget -= moved;
            *left -= moved;
            if *left > 0 {
                break;
            }
            // It ended within this cycle, so at the beginning of the next one it has ended.
            self.travelling.push_back((*channel, now + 1 + latency));
            self.waiting.pop_front();
        }
    }

    /// The channel of the next burst that has arrived, or is done, at the beginning of `now`.
    pub(super) fn arrive(&mut self, now: u64) -> Option<Unit> {
        if let Some(banked) = &mut self.banked {
            return banked.arrive(now);
        }
        self.travelling
            .front()
            .is_some_and(|&(_, at)| at <= now)
            .then(|| self.travelling.pop_front())
            .flatten()
            .map(|t| t.0)
    }
}
