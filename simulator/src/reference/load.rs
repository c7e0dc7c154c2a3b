//! T-8: the load channel: one request a cycle, bursts written in order over the ports of a buffer.

use std::collections::VecDeque;

use systole_machine::isa::Unit;
use systole_machine::spec::Machine;

use super::decoder::Decoder;
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

/// A burst that is on its way.
struct Pending {
    burst: Burst,
    memory: Memory,
    /// Of the stream that it is a part of, all decoded bytes.
    stream: Option<i64>,
}

/// A stream being decoded, and where its next byte goes.
struct Decoding {
    decoder: Decoder,
    next: i64,
}

/// The channel.
pub(super) struct Load {
    burst_bytes: u32,
    outstanding: usize,
    /// Bytes a cycle: activation buffer, weight buffer.
    port_bytes: [u64; 2],
    /// Of the decoder, bytes a cycle and cycles to the first of them.
    decoder_bytes: u64,
    decoder_latency: u64,
    requesting: Option<Cutter>,
    /// Requested and not yet written, in order.
    pending: VecDeque<Pending>,
    /// Of those that have arrived, the cycles that each still spends in the decoder.
    arrived: VecDeque<u64>,
    decoding: Option<Decoding>,
    /// The first of them, while it is written.
    moving: Option<Moving>,
}

impl Load {
    pub(super) fn new(machine: &Machine) -> Self {
        Load {
            burst_bytes: machine.dram.burst_bytes(),
            outstanding: machine.outstanding_bursts as usize,
            port_bytes: [machine.activation.port_bytes.into(), machine.weight.port_bytes.into()],
            decoder_bytes: machine.weight_decoder.map_or(0, |decoder| decoder.output_bytes.into()),
            decoder_latency: machine.weight_decoder.map_or(0, |decoder| decoder.latency_cycles.into()),
            requesting: None,
            pending: VecDeque::new(),
            arrived: VecDeque::new(),
            decoding: None,
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

    /// The banks of the burst that moves.
    pub(super) fn moving_banks(&self) -> Option<&[Bank]> {
        self.moving.as_ref().map(|moving| moving.banks.as_slice())
    }

    /// The earliest burst that has not.
    pub(super) fn arrive(&mut self) {
        let stream = self.pending.get(self.arrived.len()).is_some_and(|pending| pending.stream.is_some());
        self.arrived.push_back(if stream { self.decoder_latency } else { 0 });
    }

    /// Beginning of a cycle: a write that has had its cycles is done. True when it was its instruction's last.
    pub(super) fn settle(&mut self, ports: &mut Ports, memories: &mut Memories) -> bool {
        let Some(moving) = self.moving.take_if(|moving| moving.left == 0) else { return false };
        ports.release(Unit::Load, &moving.banks);
        let Some(Pending { burst, memory, stream }) = self.pending.pop_front() else { return false };
        self.arrived.pop_front();
        if let Some(decoded) = stream {
            self.decode(&burst, memory, decoded, memories);
            return burst.last;
        }
        let target = if memory == Memory::Weight { &mut memories.weight } else { &mut memories.activation };
        for byte in 0..burst.bytes {
            target[(burst.buffer + byte) as usize] = memories.dram[(burst.dram + byte) as usize];
        }
        burst.last
    }

    /// A burst's bytes go through the decoder; behind the last one comes what is still wanted. The bytes that come out of a burst are not just those of its
    /// share, but nobody may look before the end (M-12).
    fn decode(&mut self, burst: &Burst, memory: Memory, decoded: i64, memories: &mut Memories) {
        let begin = || Decoding { decoder: Decoder::new(decoded), next: burst.buffer };
        let decoding = self.decoding.get_or_insert_with(begin);
        let target = if memory == Memory::Weight { &mut memories.weight } else { &mut memories.activation };
        let mut out = Vec::new();
        for byte in 0..burst.bytes {
            out.extend(decoding.decoder.take(memories.dram[(burst.dram + byte) as usize]));
        }
        if burst.last {
            out.extend(decoding.decoder.finish());
        }
        for byte in out {
            target[decoding.next as usize] = byte;
            decoding.next += 1;
        }
        if burst.last {
            self.decoding = None;
        }
    }

    /// The banks for the write of the next burst, where nothing but ports can keep it.
    pub(super) fn wants(&self, ports: &Ports) -> Option<Vec<Bank>> {
        let Pending { burst, memory, .. } = self.pending.front()?;
        let ready = self.moving.is_none() && self.arrived.front() == Some(&0);
        ready.then(|| ports.banks(&[buffer_access(burst, *memory, true)]))
    }

    /// The DRAM address of the next burst, where it is requested of the bus.
    pub(super) fn wants_bus(&self) -> Option<u64> {
        let cutter = self.requesting.as_ref().filter(|_| self.pending.len() < self.outstanding)?;
        Some(cutter.peek().dram as u64)
    }

    /// Begins the write for which it got these banks, and notes the request.
    pub(super) fn commit(&mut self, banks: Option<Vec<Bank>>, requested: bool) {
        if let Some(banks) = banks
            && let Some(Pending { burst, memory, stream }) = self.pending.front()
        {
            let port_bytes = self.port_bytes[usize::from(*memory == Memory::Weight)];
            let bytes = if stream.is_some() { port_bytes.min(self.decoder_bytes) } else { port_bytes };
            self.moving = Some(Moving { left: (burst.buffer_bytes as u64).div_ceil(bytes), banks });
        }
        let Some(cutter) = self.requesting.as_mut().filter(|_| requested) else { return };
        let burst = cutter.peek();
        cutter.advance();
        let (memory, stream) = (cutter.transfer.memory(), cutter.transfer.decoded);
        self.pending.push_back(Pending { burst, memory, stream });
        if burst.last {
            self.requesting = None;
        }
    }

    /// The cycle passes.
    pub(super) fn step(&mut self) {
        if let Some(moving) = &mut self.moving {
            moving.left -= 1;
        }
        self.arrived.iter_mut().for_each(|left| *left = left.saturating_sub(1));
    }
}

/// A burst's bytes in a buffer.
pub(super) fn buffer_access(burst: &Burst, memory: Memory, write: bool) -> Access {
    Access { memory, write, first: burst.buffer.into(), end: (burst.buffer + burst.buffer_bytes).into() }
}
