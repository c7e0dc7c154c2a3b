//! What a DMA channel moves: rows cut into bursts (T-7), the bus that both channels share, and the state of the two channels.
//!
//! When bursts move is `channels`.

use std::collections::VecDeque;
use std::ops::Range;

use systole_machine::spec::{Dram, Machine};

use super::banked;
use super::decode::Stream;
use super::footprint::Memory;
use super::mutant::{Mutant, on};
use super::ports::Ports;
use super::timeline::NEVER;
use super::work::Transfer;
use crate::contract::DramCounts;

/// The DRAM bus (T-7). Time is a whole cycle and a fraction over `denominator`.
pub(super) struct Bus {
    ideal: bool,
    latency: u64,
    denominator: u64,
    duration: (u64, u64),
    free: (u64, u64),
    /// Banks instead.
    banked: Option<banked::Memory>,
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Bus {
    fn plain(ideal: bool) -> Self {
        Bus { ideal, latency: 0, denominator: 1, duration: (0, 0), free: (0, 0), banked: None }
    }

    pub(super) fn new(machine: &Machine) -> Self {
        match &machine.dram {
            Dram::Ideal { .. } => Bus::plain(true),
            Dram::Banked(banked) => {
                Bus { banked: Some(banked::Memory::new(banked, machine.clock_hz)), ..Bus::plain(false) }
            }
            &Dram::Simple { bandwidth_bytes_per_s, latency_cycles, burst_bytes } => {
                let cycles = u128::from(burst_bytes) * u128::from(machine.clock_hz);
                let bandwidth = u128::from(bandwidth_bytes_per_s.max(1));
                let common = gcd(cycles, bandwidth).max(1);
                let (cycles, bandwidth) = (cycles / common, bandwidth / common);
                Bus {
                    latency: latency_cycles,
                    denominator: bandwidth as u64,
                    duration: ((cycles / bandwidth) as u64, (cycles % bandwidth) as u64),
                    ..Bus::plain(false)
                }
            }
        }
    }

    /// The core cycle of the next command of a banked DRAM.
    pub(super) fn wake(&self) -> u64 {
        self.banked.as_ref().map_or(NEVER, banked::Memory::wake)
    }

    pub(super) fn counts(&self) -> DramCounts {
        self.banked.as_ref().map_or_else(DramCounts::default, banked::Memory::counts)
    }

    /// The commands of a core cycle.
    pub(super) fn step(&mut self, now: u64) {
        if let Some(banked) = &mut self.banked {
            banked.step(now);
        }
    }

    /// The next arrival of a banked DRAM that has become known.
    pub(super) fn arrival(&mut self, store: bool) -> Option<u64> {
        self.banked.as_mut()?.arrival(store)
    }

    /// Requests a burst at a cycle; the cycle at which it arrives or is done, [`NEVER`] while that is not known.
    pub(super) fn request(&mut self, now: u64, store: bool, address: u64) -> u64 {
        if let Some(banked) = &mut self.banked {
            banked.request(now, store, address);
            return NEVER;
        }
        if self.ideal {
            return now + 1 + u64::from(on(Mutant::IdealLater));
        }
        let start = if self.free.0 >= now && !on(Mutant::BusAlwaysFree) { self.free } else { (now, 0) };
        let (mut whole, mut part) = (start.0 + self.duration.0, start.1 + self.duration.1);
        if part >= self.denominator {
            (whole, part) = (whole + 1, part - self.denominator);
        }
        self.free = (whole, part);
        let partial = part > 0 && !on(Mutant::BusRoundsDown);
        whole + u64::from(partial) + self.latency + u64::from(on(Mutant::LatencyLonger))
    }
}

/// One burst as the buffer sees it.
#[derive(Clone, Copy)]
pub(super) struct Burst {
    /// Cycles that it holds its ports.
    pub(super) cycles: u64,
    banks: (u32, u32),
    /// Its first byte in DRAM.
    pub(super) dram: u64,
    /// From its arrival to the first of its bytes that can be written.
    pub(super) delay: u64,
    /// Whether it is the last one of its instruction.
    pub(super) last: bool,
}

impl Burst {
    /// The banks that it touches.
    pub(super) fn banks(&self) -> Range<u32> {
        self.banks.0..self.banks.1
    }
}

/// A stream on its way through the decoder (T-8).
#[derive(Clone, Copy)]
struct Decoding {
    stream: Stream,
    /// Bytes that are written a cycle.
    bytes_per_cycle: u64,
    latency: u64,
}

/// The bursts of a transfer still to come, in order (T-7).
pub(super) struct Bursts {
    transfer: Transfer,
    /// What decodes them, where something does.
    decoding: Option<Decoding>,
    memory: Memory,
    burst_bytes: u64,
    port_bytes: u64,
    whole_cycles: u64,
    row: u64,
    plane: u64,
    offset: u64,
    dram: u64,
    buffer: u64,
    /// The bank of the last burst: addresses and numbers.
    bank: (u64, u64),
    numbers: (u32, u32),
}

impl Bursts {
    pub(super) fn new(transfer: &Transfer, machine: &Machine) -> Self {
        let burst_bytes = u64::from(machine.dram.burst_bytes().max(1));
        let (memory, buffer) = match transfer.weight {
            true => (Memory::Weight, &machine.weight),
            false => (Memory::Activation, &machine.activation),
        };
        let port_bytes = u64::from(buffer.port_bytes.max(1));
        Bursts {
            transfer: *transfer,
            decoding: None,
            memory,
            burst_bytes,
            port_bytes,
            whole_cycles: burst_bytes.div_ceil(port_bytes),
            row: 0,
            plane: 0,
            offset: 0,
            dram: transfer.dram,
            buffer: transfer.buffer,
            bank: (1, 0),
            numbers: (0, 0),
        }
    }

    /// Those of a stream: a row in DRAM.
    pub(super) fn decoding(stream: &Stream, machine: &Machine) -> Self {
        let (dram, row_bytes) = (stream.dram, stream.bytes);
        let row = Transfer { dram, row_bytes, rows: 1, planes: 1, weight: true, ..Transfer::default() };
        let mut bursts = Bursts::new(&row, machine);
        bursts.decoding = machine.weight_decoder.map(|decoder| Decoding {
            stream: *stream,
            bytes_per_cycle: if on(Mutant::DecoderAsWideAsPort) {
                bursts.port_bytes
            } else {
                bursts.port_bytes.min(decoder.output_bytes.max(1).into())
            },
            latency: if on(Mutant::DecoderAtOnce) { 0 } else { decoder.latency_cycles.into() },
        });
        bursts
    }

    /// The next burst. Must not be called after the last one.
    pub(super) fn next(&mut self, ports: &Ports) -> Burst {
        let aligned = if on(Mutant::BurstUnaligned) { self.offset } else { self.dram + self.offset };
        let piece = self.burst_bytes - aligned % self.burst_bytes;
        let bytes = piece.min(self.transfer.row_bytes - self.offset);
        if let Some(decoding) = self.decoding {
            return self.decoded(&decoding, bytes, ports);
        }
        let first = self.buffer + self.offset;
        let banks = self.banks(first, first + bytes, ports);
        let mut cycles = if bytes == self.burst_bytes { self.whole_cycles } else { bytes.div_ceil(self.port_bytes) };
        if on(Mutant::WriteRoundsDown) {
            cycles = (bytes / self.port_bytes).max(1);
        }
        let dram = self.dram + self.offset;
        self.offset += bytes;
        let last = self.offset == self.transfer.row_bytes && self.next_row();
        Burst { cycles, banks, dram, delay: 0, last }
    }

    /// The next burst of a stream, of so many bytes.
    fn decoded(&mut self, decoding: &Decoding, bytes: u64, ports: &Ports) -> Burst {
        let (first, end) = decoding.stream.share(self.offset, self.offset + bytes);
        let dram = self.dram + self.offset;
        self.offset += bytes;
        Burst {
            cycles: (end - first).div_ceil(decoding.bytes_per_cycle),
            banks: self.banks(first, end, ports),
            dram,
            delay: decoding.latency,
            last: self.offset == self.transfer.row_bytes,
        }
    }

    /// Goes to the next row; whether there is none.
    fn next_row(&mut self) -> bool {
        let t = &self.transfer;
        self.offset = 0;
        self.row += 1;
        if self.row == t.rows {
            self.row = 0;
            self.plane += 1;
        }
        self.dram = t.dram + self.plane * t.dram_plane + self.row * t.dram_row;
        self.buffer = t.buffer + self.plane * t.buffer_plane + self.row * t.buffer_row;
        self.plane == t.planes
    }

    /// Divides only where the bank changes.
    fn banks(&mut self, first: u64, end: u64, ports: &Ports) -> (u32, u32) {
        if first < self.bank.0 || end > self.bank.1 {
            self.numbers = ports.banks_of(self.memory, first, end);
            let size = ports.bank_size(self.memory);
            self.bank = (first / size * size, first / size * size + size);
            if end > self.bank.1 {
                self.bank = (1, 0);
            }
        }
        self.numbers
    }
}

/// What both channels have.
#[derive(Default)]
pub(super) struct Channel {
    /// The instruction whose bursts are being issued, and what is left of it.
    pub(super) current: Option<(usize, Bursts)>,
    /// Started instructions that have not ended, with their own end where it is known already.
    pub(super) retiring: VecDeque<(usize, Option<u64>)>,
    /// End of the last move over a port, begun already.
    pub(super) move_end: u64,
    /// Since when the next move has been refused a port.
    pub(super) refused_since: Option<u64>,
    /// Configuration instructions that started during that refusal: busy cycles, no stall.
    pub(super) refused_busy: u64,
    /// Not before this cycle does a refused move get its ports.
    pub(super) retry: u64,
    /// Bursts requested.
    pub(super) bursts: u64,
}

/// The load channel (T-8).
#[derive(Default)]
pub(super) struct LoadChannel {
    pub(super) channel: Channel,
    /// Requested and not yet being written: arrival, burst, instruction.
    pub(super) arriving: VecDeque<(u64, Burst, usize)>,
    /// Not before this cycle the next request.
    pub(super) next_request: u64,
}

/// The store channel (T-9).
#[derive(Default)]
pub(super) struct StoreChannel {
    pub(super) channel: Channel,
    /// The burst being read, and its instruction.
    pub(super) reading: Option<(Burst, usize)>,
    /// The burst that was refused a port.
    pub(super) next: Option<Burst>,
    /// When the bursts that were read are done, in order; [`NEVER`] while that is not known.
    pub(super) done: VecDeque<u64>,
    /// For each of those that are not known: the instruction, where it is its last.
    pub(super) lasts: VecDeque<Option<usize>>,
}
