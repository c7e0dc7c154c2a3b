//! T-9: the store channel: bursts read in order over the ports of the activation buffer, then sent over the bus.

use std::collections::VecDeque;

use systole_machine::isa::Unit;
use systole_machine::spec::Machine;

use super::dram::{Burst, Cutter};
use super::load::buffer_access;
use super::ports::{Bank, Ports};
use super::work::{Memory, Transfer};
use crate::contract::Memories;

/// A burst being read.
struct Moving {
    burst: Burst,
    left: u64,
    banks: Vec<Bank>,
}

/// A burst read and not done.
struct Sent {
    dram: i64,
    bytes: Vec<u8>,
    last: bool,
}

/// The channel.
pub(super) struct Store {
    burst_bytes: u32,
    outstanding: usize,
    port_bytes: u64,
    reading: Option<Cutter>,
    moving: Option<Moving>,
    /// Requested of the bus, in order.
    sent: VecDeque<Sent>,
    /// A read has ended at the beginning of this cycle.
    request: bool,
}

impl Store {
    pub(super) fn new(machine: &Machine) -> Self {
        Store {
            burst_bytes: machine.dram.burst_bytes(),
            outstanding: machine.outstanding_bursts as usize,
            port_bytes: machine.activation.port_bytes.into(),
            reading: None,
            moving: None,
            sent: VecDeque::new(),
            request: false,
        }
    }

    pub(super) fn start(&mut self, transfer: Transfer) {
        self.reading = Some(Cutter::new(transfer, self.burst_bytes));
    }

    /// Whether reads are left or under way: the unit is not released.
    pub(super) fn engaged(&self) -> bool {
        self.reading.is_some() || self.moving.is_some()
    }

    /// Whether a burst is being read.
    pub(super) fn moving(&self) -> bool {
        self.moving.is_some()
    }

    /// The earliest burst is done. True when it was its instruction's last.
    pub(super) fn arrive(&mut self, memories: &mut Memories) -> bool {
        let Some(sent) = self.sent.pop_front() else { return false };
        for (address, byte) in (sent.dram..).zip(&sent.bytes) {
            memories.dram[address as usize] = *byte;
        }
        sent.last
    }

    /// Beginning of a cycle: a read that has had its cycles is done; it is requested of the bus in this cycle.
    pub(super) fn settle(&mut self, ports: &mut Ports, memories: &Memories) {
        let Some(moving) = self.moving.take_if(|moving| moving.left == 0) else { return };
        ports.release(Unit::Store, &moving.banks);
        let burst = moving.burst;
        let bytes = (burst.buffer..burst.buffer + burst.bytes).map(|at| memories.activation[at as usize]).collect();
        self.sent.push_back(Sent { dram: burst.dram, bytes, last: burst.last });
        self.request = true;
    }

    /// The banks for the read of the next burst, where nothing but ports can keep it.
    pub(super) fn wants(&self, ports: &Ports) -> Option<Vec<Bank>> {
        let cutter = self.reading.as_ref()?;
        let ready = self.moving.is_none() && self.sent.len() < self.outstanding;
        ready.then(|| ports.banks(&[buffer_access(&cutter.peek(), Memory::Activation, false)]))
    }

    /// Whether the burst whose read has just ended is requested of the bus: it is, at once.
    pub(super) fn wants_bus(&self) -> bool {
        self.request
    }

    /// Begins the read for which it got these banks.
    pub(super) fn commit(&mut self, banks: Option<Vec<Bank>>) {
        self.request = false;
        let Some(banks) = banks else { return };
        let Some(cutter) = &mut self.reading else { return };
        let burst = cutter.peek();
        cutter.advance();
        self.moving = Some(Moving { burst, left: (burst.bytes as u64).div_ceil(self.port_bytes), banks });
        if burst.last {
            self.reading = None;
        }
    }

    /// The cycle passes.
    pub(super) fn step(&mut self) {
        if let Some(moving) = &mut self.moving {
            moving.left -= 1;
        }
    }
}
