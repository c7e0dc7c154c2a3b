//! From program and timing to a [`Report`]. Numbers only; what they look like is the business of the other files.

use std::collections::BTreeMap;

use systole_machine::isa::{UNITS, Unit};
use systole_machine::program::{LayerEntry, Program, Role};
use systole_machine::spec::{Energy, Machine};
use systole_simulator::contract::{STALLS, Span, Stall, Timing};

use super::traffic::{Memory, Moved, Traffic, union};
use super::waits::{Stretch, cycles_within, stretches};
use super::widths;
use super::{DramTraffic, Hardware, Host, Layer, Model, Report, Roofline, SCHEMA, Sram, Total, UnitCycles};
use crate::compare::Verification;
use crate::pipeline::Seconds;

/// Cycles of a window of the peak DRAM bandwidth.
pub const WINDOW_CYCLES: u64 = 4096;

/// What a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The program.
    pub program: &'a Program,
    /// Its machine.
    pub machine: &'a Machine,
    /// A run of it that halted.
    pub timing: &'a Timing,
    /// The argument that named the model.
    pub model_source: &'a str,
    /// The argument that named the machine.
    pub hardware_source: &'a str,
    /// Of weights and inputs that no file gave.
    pub seed: u64,
}

/// Sums over the instructions of one layer.
#[derive(Clone, Debug, Default)]
struct LayerSums {
    span: Option<(u64, u64)>,
    runs: [u64; UNITS],
    /// Of its runs, by unit: first start and last end.
    work: [Option<(u64, u64)>; UNITS],
    moved: Moved,
}

impl LayerSums {
    fn add(&mut self, moved: Moved) {
        self.moved.dram_read += moved.dram_read;
        self.moved.dram_write += moved.dram_write;
        self.moved.dram_saved += moved.dram_saved;
        self.moved.vector_elements += moved.vector_elements;
        for memory in 0..3 {
            self.moved.read[memory] += moved.read[memory];
            self.moved.written[memory] += moved.written[memory];
        }
        self.moved.touched.extend(moved.touched);
    }

    /// The most multiply-accumulates that the unit of the layer does in a cycle.
    fn peak(&self, machine: &Machine, weight_bits: Option<u32>) -> u64 {
        match self.main_unit() {
            Unit::Vector => machine.vector_macs_per_cycle().max(1),
            _ => widths::peak(machine, weight_bits),
        }
    }

    /// The unit whose work the layer is about.
    fn main_unit(&self) -> Unit {
        let works = |unit: &Unit| self.runs[*unit as usize] > 0;
        // Of several arrays the one with most runs, the first of equals.
        let array = Unit::ARRAYS.into_iter().rev().filter(works).max_by_key(|&unit| self.runs[unit as usize]);
        array.or_else(|| [Unit::Vector, Unit::Load].into_iter().find(works)).unwrap_or(Unit::Store)
    }

    /// First start and last end of the work of all arrays.
    fn array_work(&self) -> Option<(u64, u64)> {
        let work = Unit::ARRAYS.into_iter().filter_map(|unit| self.work[unit as usize]);
        work.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// The first cycle at which the layer has an array or, without array work, the vector unit.
    fn taken(&self) -> Option<u64> {
        let work = self.array_work().or(self.work[Unit::Vector as usize]);
        work.map(|(start, _)| start)
    }

    /// End of the last array run.
    fn array_end(&self) -> u64 {
        self.array_work().map_or(0, |(_, end)| end)
    }

    /// End of the last array or vector run.
    fn work_end(&self) -> u64 {
        self.array_end().max(self.work[Unit::Vector as usize].map_or(0, |(_, end)| end))
    }
}

/// Builds the report of a run.
pub fn report(subject: &Subject<'_>, verify: Option<Verification>, seconds: Seconds) -> Report {
    let Subject { program, machine, timing, .. } = *subject;
    let sums = layer_sums(subject);
    let layers = layers(subject, &sums);
    Report {
        schema: SCHEMA,
        systole: env!("CARGO_PKG_VERSION").to_owned(),
        model: Model {
            name: program.model.name.clone(),
            source: subject.model_source.to_owned(),
            macs: program.model.macs,
            parameters: program.model.parameters,
            weight_bytes: program.model.weight_bytes,
            batch: program.model.batch,
            seed: subject.seed,
        },
        hardware: hardware(machine, subject.hardware_source),
        total: total(subject, &sums, &layers, timing),
        layers,
        verify,
        host: Host {
            import_s: seconds.import,
            compile_s: seconds.compile,
            timing_s: seconds.timing,
            data_s: seconds.data,
            golden_s: seconds.golden,
            threads: rayon::current_num_threads(),
        },
    }
}

fn hardware(machine: &Machine, source: &str) -> Hardware {
    let derived = systole_machine::config::derived(machine);
    Hardware {
        name: machine.name.clone(),
        source: source.to_owned(),
        clock_mhz: machine.clock_hz as f64 / 1e6,
        peak_macs_per_cycle: derived.peak_macs_per_cycle,
        peak_tops: derived.peak_tops,
        dram_gb_s: bandwidth(machine).map(|bandwidth| bandwidth as f64 / 1e9),
    }
}

/// Bytes a second; `None` where infinite.
fn bandwidth(machine: &Machine) -> Option<u64> {
    machine.dram.bandwidth_bytes_per_s()
}

fn layer_sums(subject: &Subject<'_>) -> Vec<LayerSums> {
    let Subject { program, machine, timing, .. } = *subject;
    let mut sums = vec![LayerSums::default(); program.layers.len()];
    let mut traffic = Traffic::new(machine);
    for ((instruction, &layer), span) in program.instructions.iter().zip(&program.source).zip(&timing.spans) {
        let moved = traffic.next(instruction);
        let Some(sum) = sums.get_mut(layer as usize) else { continue };
        let configures = moved == Moved::default();
        let unit = instruction.unit() as usize;
        sum.runs[unit] += u64::from(!configures);
        if let Some(span) = span {
            widen(&mut sum.span, *span);
            if !configures {
                widen(&mut sum.work[unit], *span);
            }
        }
        sum.add(moved);
    }
    sums
}

fn widen(range: &mut Option<(u64, u64)>, span: Span) {
    let (start, end) = range.unwrap_or((span.start, span.end));
    *range = Some((start.min(span.start), end.max(span.end)));
}

/// The cycles that each layer is given: from where the layers before it stop to its own last end, or to where a later layer takes over the
/// array (the vector unit, for a layer without array work) while this one still stores; never before this layer's array work has ended.
///
/// The intervals follow one another, and none is shorter than the array's work for its layer.
fn intervals(sums: &[LayerSums]) -> Vec<(u64, u64)> {
    let mut taken = vec![u64::MAX; sums.len()];
    for index in (1..sums.len()).rev() {
        taken[index - 1] = taken[index].min(sums[index].taken().unwrap_or(u64::MAX));
    }
    let mut from = 0;
    let given = sums.iter().zip(taken).map(|(sum, taken)| {
        let end = sum.span.map_or(0, |(_, end)| end).min(taken).max(sum.array_end()).max(from);
        (std::mem::replace(&mut from, end), end)
    });
    given.collect()
}

fn layers(subject: &Subject<'_>, sums: &[LayerSums]) -> Vec<Layer> {
    let Subject { program, machine, timing, .. } = *subject;
    let waits = Unit::ALL.map(|unit| match unit {
        Unit::Load | Unit::Store => vec![],
        _ => stretches(&program.instructions, &timing.spans, unit),
    });
    let mut layers = vec![];
    let widths = widths::of_layers(program);
    for (((entry, sum), interval), weight_bits) in program.layers.iter().zip(sums).zip(intervals(sums)).zip(widths) {
        let (start_cycle, end_cycle) = sum.span.unwrap_or((interval.0, interval.0));
        let cycles = interval.1 - interval.0;
        let (bound_by, stalls) = bound(machine, sum, &waits, interval);
        layers.push(Layer {
            name: entry.name.clone(),
            nodes: entry.nodes.clone(),
            op: entry.op.clone(),
            macs: entry.macs,
            start_cycle,
            end_cycle,
            cycles,
            unit: if sum.main_unit().array().is_some() { Unit::Array } else { sum.main_unit() }.name(),
            // Where neighbours on different units overlap, both may have worked in cycles of one.
            utilization: ratio(entry.macs as f64, cycles as f64 * sum.peak(machine, weight_bits) as f64).min(1.0),
            bound_by,
            dram_read_bytes: sum.moved.dram_read,
            dram_write_bytes: sum.moved.dram_write,
            dram_bytes_saved: sum.moved.dram_saved,
            stall_cycles: by_name(machine, stalls),
            energy_uj: machine.energy.as_ref().map(|energy| energy_uj(energy, entry, &sum.moved)),
            weight_bits,
            widened: entry.weight_bits > 0 && weight_bits.is_some_and(|bits| bits > entry.weight_bits),
            mapping: entry.mapping.clone(),
        });
    }
    layers
}

/// What the cycles of a layer went to, and the stalls of its main unit within them.
fn bound(
    machine: &Machine,
    sum: &LayerSums,
    waits: &[Vec<Stretch>; UNITS],
    (from, to): (u64, u64),
) -> (&'static str, [u64; STALLS]) {
    let main = sum.main_unit();
    let (stretches, work) = match main {
        Unit::Array | Unit::Array1 | Unit::Array2 | Unit::Array3 => (&waits[main as usize], "compute"),
        Unit::Vector => (&waits[main as usize], "vector"),
        Unit::Load => return ("dram", [0; STALLS]),
        Unit::Store => return ("store", [0; STALLS]),
    };
    let (busy, stalls) = cycles_within(stretches, from, to);
    if 2 * busy >= to - from {
        return (if fills_bus(machine, sum, to - from) { "dram" } else { work }, stalls);
    }
    // Idle cycles after the unit's last work for the layer are the store's.
    let work_end = sum.work_end().clamp(from, to);
    let (tail_busy, tail_stalls) = cycles_within(stretches, work_end, to);
    let drain = (to - work_end) - tail_busy - tail_stalls.iter().sum::<u64>();
    let idle = (to - from) - busy - stalls.iter().sum::<u64>();
    let mut causes = [("fetch", idle - drain), ("dram", 0), ("array", 0), ("vector", 0), ("store", drain), ("port", 0)];
    for (stall, cycles) in Stall::ALL.into_iter().zip(stalls) {
        causes.iter_mut().filter(|(word, _)| *word == waited_for(stall)).for_each(|(_, sum)| *sum += cycles);
    }
    // Ties go to the last in order.
    let word = causes.into_iter().max_by_key(|(_, cycles)| *cycles).map_or("fetch", |(word, _)| word);
    (word, stalls)
}

/// Whether the layer's bursts alone take nine tenths of its cycles: then a unit that seems busy is fed no faster than the bus allows.
fn fills_bus(machine: &Machine, sum: &LayerSums, cycles: u64) -> bool {
    let bytes = u128::from(sum.moved.dram_read + sum.moved.dram_write);
    bandwidth(machine).is_some_and(|bandwidth| {
        10 * bytes * u128::from(machine.clock_hz) >= 9 * u128::from(cycles) * u128::from(bandwidth)
    })
}

/// The unit behind a token, as a word: what is loaded comes from DRAM.
fn waited_for(stall: Stall) -> &'static str {
    match stall {
        Stall::TokenLoad | Stall::Dram => "dram",
        Stall::TokenArray | Stall::TokenArray1 | Stall::TokenArray2 | Stall::TokenArray3 => "array",
        Stall::TokenVector => "vector",
        Stall::TokenStore => "store",
        Stall::Port => "port",
    }
}

/// The units that the machine has: of the arrays the first ones.
fn units(machine: &Machine) -> impl Iterator<Item = Unit> {
    let count = machine.array.count as usize;
    Unit::ALL.into_iter().filter(move |unit| unit.array().is_none_or(|number| number < count))
}

/// The causes that the machine has: tokens of its units, ports, DRAM. The first causes are the units' (T-10).
fn by_name(machine: &Machine, stalls: [u64; STALLS]) -> BTreeMap<&'static str, u64> {
    let tokens = units(machine).map(|unit| Stall::ALL[unit as usize]);
    let causes = tokens.chain([Stall::Port, Stall::Dram]);
    causes.map(|stall| (stall.name(), stalls[stall as usize])).collect()
}

fn total(subject: &Subject<'_>, sums: &[LayerSums], layers: &[Layer], timing: &Timing) -> Total {
    let Subject { program, machine, .. } = *subject;
    let cycles = timing.total_cycles;
    let seconds = cycles as f64 / machine.clock_hz as f64;
    let of_array = layers.iter().filter(|layer| layer.unit != Unit::Vector.name());
    let work: f64 = of_array.map(|layer| layer.macs as f64 / widths::peak(machine, layer.weight_bits) as f64).sum();
    let mut stalls = [0; STALLS];
    for unit in &timing.units {
        stalls.iter_mut().zip(unit.stalls).for_each(|(sum, cycles)| *sum += cycles);
    }
    let of_unit = |unit: Unit| {
        let counted = timing.units[unit as usize];
        let stall_cycles = by_name(machine, counted.stalls);
        (unit.name(), UnitCycles { busy: counted.busy, idle: counted.idle, stall_cycles })
    };
    let count =
        |unit: Unit| program.instructions.iter().filter(|instruction| instruction.unit() == unit).count() as u64;
    Total {
        cycles,
        latency_ms: seconds * 1e3,
        inferences_per_s: ratio(program.model.batch as f64, seconds),
        array_utilization: ratio(work, cycles as f64),
        vector_macs: vector_macs(layers),
        roofline: roofline(program, machine, layers, cycles),
        dram: dram(subject, layers, seconds),
        sram: sram(machine, sums, seconds),
        idle_cycles: cycles - layers.iter().map(|layer| layer.cycles).sum::<u64>(),
        stall_cycles: by_name(machine, stalls),
        units: units(machine).map(of_unit).collect(),
        energy_uj: machine.energy.is_some().then(|| layers.iter().filter_map(|layer| layer.energy_uj).sum()),
        instructions: units(machine).map(|unit| (unit.name(), count(unit))).collect(),
    }
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Weights as stored, network inputs and outputs, each once.
fn compulsory_bytes(program: &Program) -> u64 {
    let edge = program.tensors.iter().filter(|entry| entry.role != Role::Intermediate);
    program.model.weight_bytes
        + edge
            .map(|entry| entry.dims[0] * entry.dims[2] * entry.dims[3] * entry.element.pixel_bytes(entry.dims[1]))
            .sum::<u64>()
}

/// Multiply-accumulates that the vector unit did.
fn vector_macs(layers: &[Layer]) -> u64 {
    layers.iter().filter(|layer| layer.unit == Unit::Vector.name()).map(|layer| layer.macs).sum()
}

/// Exact: cycles as fractions over peak · bandwidth, rounded up once at the end. Units work side by side, layers do not; a layer may be on either unit.
fn roofline(program: &Program, machine: &Machine, all: &[Layer], cycles: u64) -> Roofline {
    // MACs as at the peak of 8-bit operands: fewer where they are narrower.
    let peak = u128::from(machine.peak_macs_per_cycle().max(1));
    let vector = u128::from(machine.vector_macs_per_cycle().max(1));
    let of_array =
        |layer: &Layer| (u128::from(layer.macs) * peak).div_ceil(u128::from(widths::peak(machine, layer.weight_bits)));
    // Whichever unit is faster.
    let work = |layer: &Layer| of_array(layer).min((u128::from(layer.macs) * peak).div_ceil(vector));
    let layers = || program.layers.iter().zip(all);
    let macs: u128 = all.iter().filter(|layer| layer.unit != Unit::Vector.name()).map(of_array).sum();
    let clock = u128::from(machine.clock_hz);
    let narrow = |cycles: u128| u64::try_from(cycles).unwrap_or(u64::MAX);
    let compute_cycles = narrow(macs.div_ceil(peak).max(u128::from(vector_macs(all)).div_ceil(vector)));
    let (dram_cycles, layer_cycles) = match bandwidth(machine).map(u128::from) {
        None => (0, compute_cycles),
        Some(bandwidth) => {
            let larger = |layer: (&LayerEntry, &Layer)| {
                (work(layer.1) * bandwidth).max(u128::from(layer.0.compulsory_bytes) * clock * peak)
            };
            let sum: u128 = layers().map(larger).fold(0, u128::saturating_add);
            let dram = (u128::from(compulsory_bytes(program)) * clock).div_ceil(bandwidth);
            (narrow(dram), narrow(sum.div_ceil(peak * bandwidth)))
        }
    };
    Roofline { compute_cycles, dram_cycles, layer_cycles, attained: ratio(layer_cycles as f64, cycles as f64) }
}

fn dram(subject: &Subject<'_>, layers: &[Layer], seconds: f64) -> DramTraffic {
    let [read_bytes, write_bytes] = subject.timing.dram_bus_bytes;
    let banks = super::banks::banks(subject.machine, subject.timing);
    DramTraffic {
        read_bytes,
        write_bytes,
        bytes_saved: layers.iter().map(|layer| layer.dram_bytes_saved).sum(),
        compulsory_bytes: compulsory_bytes(subject.program),
        average_gb_s: ratio((read_bytes + write_bytes) as f64 / 1e9, seconds),
        peak_gb_s: peak_gb_s(subject),
        row_hit_rate: banks.as_ref().map(|banks| banks.row_hit_rate),
        banks,
    }
}

/// See [`DramTraffic::peak_gb_s`].
fn peak_gb_s(subject: &Subject<'_>) -> f64 {
    let Subject { program, machine, timing, .. } = *subject;
    let mut traffic = Traffic::new(machine);
    let transfers = program.instructions.iter().zip(&timing.spans).filter_map(|(instruction, span)| {
        let moved = traffic.next(instruction);
        span.map(|span| (span.start, span.end, moved.dram_read + moved.dram_write))
    });
    let peak = busiest_window(transfers, timing.total_cycles) * machine.clock_hz as f64;
    bandwidth(machine).map_or(peak, |limit| peak.min(limit as f64)) / 1e9
}

/// Bytes a cycle in the busiest window; `transfers`: start, end and bytes. What does not fill a window at the end belongs to the one before, so
/// that the average of all cycles is never above this.
fn busiest_window(transfers: impl Iterator<Item = (u64, u64, u64)>, cycles: u64) -> f64 {
    let last = (cycles / WINDOW_CYCLES).max(1) - 1;
    let bounds =
        |window: u64| (window * WINDOW_CYCLES, if window == last { cycles } else { (window + 1) * WINDOW_CYCLES });
    let mut windows = vec![0.0; last as usize + 1];
    for (start, end, bytes) in transfers.filter(|&(start, end, bytes)| bytes > 0 && end > start) {
        for window in (start / WINDOW_CYCLES).min(last)..=((end - 1) / WINDOW_CYCLES).min(last) {
            let (from, to) = bounds(window);
            let within = end.min(to).saturating_sub(start.max(from));
            windows[window as usize] += bytes as f64 * within as f64 / (end - start) as f64;
        }
    }
    let rate = |(window, bytes): (usize, f64)| {
        let (from, to) = bounds(window as u64);
        ratio(bytes, (to - from) as f64)
    };
    windows.into_iter().enumerate().map(rate).fold(0.0, f64::max)
}

fn sram(machine: &Machine, sums: &[LayerSums], seconds: f64) -> Vec<Sram> {
    let capacities = [machine.activation, machine.weight, machine.accumulator].map(|buffer| buffer.capacity_bytes);
    Memory::ALL
        .into_iter()
        .zip(capacities)
        .filter(|(memory, _)| !(machine.unified && *memory == Memory::Weight))
        .map(|(memory, capacity_bytes)| {
            let touched = |sum: &LayerSums| {
                let ranges = sum.moved.touched.iter().filter(|(of, ..)| *of == memory);
                union(ranges.map(|&(_, first, end)| (first, end)).collect())
            };
            let read_bytes = sums.iter().map(|sum| sum.moved.read[memory as usize]).sum();
            let write_bytes = sums.iter().map(|sum| sum.moved.written[memory as usize]).sum();
            Sram {
                memory: memory.name(machine).to_owned(),
                capacity_bytes,
                peak_bytes: sums.iter().map(touched).max().unwrap_or(0),
                read_bytes,
                write_bytes,
                average_gb_s: ratio((read_bytes + write_bytes) as f64 / 1e9, seconds),
            }
        })
        .collect()
}

/// Picojoules of every action of the layer, as microjoules.
fn energy_uj(energy: &Energy, entry: &LayerEntry, moved: &Moved) -> f64 {
    let on_chip = [energy.activation_byte_pj, energy.weight_byte_pj, energy.accumulator_byte_pj];
    let bytes = moved.read.iter().zip(moved.written).map(|(&read, written)| (read + written) as f64);
    let picojoules = entry.macs as f64 * energy.mac_pj
        + moved.vector_elements as f64 * energy.vector_op_pj
        + (moved.dram_read + moved.dram_write) as f64 * energy.dram_byte_pj
        + on_chip.iter().zip(bytes).map(|(each, bytes)| each * bytes).sum::<f64>();
    picojoules / 1e6
}

#[cfg(test)]
mod tests;
