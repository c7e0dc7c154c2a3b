//! T-8: the load channel: one request a cycle, bursts written in order over the ports of a buffer.

use std::collections::VecDeque;

use systole_machine::isa::Unit;
use systole_machine::spec::Machine;

use super::dram::{Burst, Cutter};
use super::footprint::Access;
use super::ports::{Bank, Ports};
use super::work::{Memory, Transfer};
use crate::contract::Memories;

/// A burst being written: cycles left, banks held.
struct Moving {
    left: u64,
    banks: Vec<Bank>,
}

/// The channel.
pub(super) struct Load {
    burst_bytes: u32,
    outstanding: usize,
    /// Bytes a cycle: activation buffer, weight buffer.
    port_bytes: [u64; 2],
    requesting: Option<Cutter>,
    /// Requested and not yet written, in order, with their buffer.
    pending: VecDeque<(Burst, Memory)>,
    /// How many of them have arrived.
    arrived: usize,
    /// The first of them, while it is written.
    moving: Option<Moving>,
}

impl Load {
    pub(super) fn new(machine: &Machine) -> Self {
        Load {
            burst_bytes: machine.dram.burst_bytes(),
            outstanding: machine.outstanding_bursts as usize,
            port_bytes: [machine.activation.port_bytes.into(), machine.weight.port_bytes.into()],
            requesting: None,
            pending: VecDeque::new(),
            arrived: 0,
            moving: None,
        }
    }

    pub(super) fn start(&mut self, transfer: Transfer) {
        self.requesting = Some(Cutter::new(transfer, self.burst_bytes));
    }

    /// Whether requests are left: the unit is not released.
    pub(super) fn engaged(&self) -> bool {
        self.requesting.is_some()
    }

    /// Whether a burst is being written.
    pub(super) fn moving(&self) -> bool {
        self.moving.is_some()
    }

    pub(super) fn arrive(&mut self) {
        self.arrived += 1;
    }

    /// Beginning of a cycle: a write that has had its cycles is done. True when it was its instruction's last.
    pub(super) fn settle(&mut self, ports: &mut Ports, memories: &mut Memories) -> bool {
        let Some(moving) = self.moving.take_if(|moving| moving.left == 0) else { return false };
        ports.release(Unit::Load, &moving.banks);
        let Some((burst, memory)) = self.pending.pop_front() else { return false };
        self.arrived -= 1;
        let target = if memory == Memory::Weight { &mut memories.weight } else { &mut memories.activation };
        for byte in 0..burst.bytes {
            target[(burst.buffer + byte) as usize] = memories.dram[(burst.dram + byte) as usize];
        }
        burst.last
    }

    /// The banks for the write of the next burst, where nothing but ports can keep it.
    pub(super) fn wants(&self, ports: &Ports) -> Option<Vec<Bank>> {
        let (burst, memory) = self.pending.front()?;
        let ready = self.moving.is_none() && self.arrived > 0;
        ready.then(|| ports.banks(&[buffer_access(burst, *memory, true)]))
    }

    /// Whether the next burst is requested of the bus.
    pub(super) fn wants_bus(&self) -> bool {
        self.requesting.is_some() && self.pending.len() < self.outstanding
    }

    /// Begins the write for which it got these banks, and notes the request.
    pub(super) fn commit(&mut self, banks: Option<Vec<Bank>>, requested: bool) {
        if let Some(banks) = banks
            && let Some((burst, memory)) = self.pending.front()
        {
            let port_bytes = self.port_bytes[usize::from(*memory == Memory::Weight)];
            self.moving = Some(Moving { left: (burst.bytes as u64).div_ceil(port_bytes), banks });
        }
        let Some(cutter) = self.requesting.as_mut().filter(|_| requested) else { return };
        let burst = cutter.peek();
        cutter.advance();
        self.pending.push_back((burst, cutter.transfer.memory()));
        if burst.last {
            self.requesting = None;
        }
    }

    /// The cycle passes.
    pub(super) fn step(&mut self) {
        if let Some(moving) = &mut self.moving {
            moving.left -= 1;
        }
    }
}

/// A burst's bytes in a buffer.
pub(super) fn buffer_access(burst: &Burst, memory: Memory, write: bool) -> Access {
    Access { memory, write, first: burst.buffer.into(), end: (burst.buffer + burst.bytes).into() }
}
