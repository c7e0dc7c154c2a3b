//! What programs reached, by name, and what a run must reach.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use systole_machine::isa::table::rows;
use systole_machine::isa::{Instruction, Operation, RequantMode, Unit, UnitMask, VectorOperand};
use systole_machine::spec::{Dram, Requantisation};
use systole_simulator::contract::{Outcome, Span, Stall, Timing, Trap};
use systole_simulator::generator::Case;

use crate::packed;
use crate::rarely::RARELY;

/// Occurrences by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(BTreeMap<String, u64>);

impl Counted {
    /// What one program reached.
    pub(crate) fn of(case: &Case, timing: &Timing) -> Self {
        let mut all = Counted::default();
        all.one(format!("style {:?}", case.style));
        all.machine(case);
        all.outcome(case, timing);
        all.refused(case, timing);
        all.stalls(timing);
        all.banks(case, timing);
        all.instructions(case, timing);
        all.meetings(case, timing);
        if timing.outcome == Outcome::Halted {
            case.notes.iter().for_each(|note| all.one((*note).to_owned()));
        }
        all
    }

    /// Sums.
    pub(crate) fn add(&mut self, other: &Counted) {
        other.0.iter().for_each(|(name, count)| *self.0.entry(name.clone()).or_default() += count);
    }

    /// Everything that a run of so many programs must reach and did not: name, occurrences, those needed.
    pub(crate) fn missed(&self, programs: u64) -> Vec<(String, u64, u64)> {
        let count = |name: &String| self.0.get(name).copied().unwrap_or(0);
        let needed = required(programs).into_iter();
        needed
            .map(|(name, least)| (count(&name), name, least))
            .filter(|(found, _, least)| found < least)
            .map(|(found, name, least)| (name, found, least))
            .collect()
    }

    fn one(&mut self, name: String) {
        *self.0.entry(name).or_default() += 1;
    }

    fn when(&mut self, name: &str, condition: bool) {
        if condition {
            self.one(name.to_owned());
        }
    }

    fn machine(&mut self, case: &Case) {
        let m = &case.machine;
        self.one(format!("machine: {} weight registers", m.array.weight_registers));
        self.when("machine: one row", m.array.rows == 1);
        self.when("machine: one column", m.array.columns == 1);
        self.when("machine: over 16 rows or columns", m.array.rows.max(m.array.columns) > 16);
        self.when("machine: without float32", !m.vector.float32);
        self.when("machine: vector latency 0", m.vector.latency_cycles == 0);
        self.when("machine: port of one byte", m.activation.port_bytes == 1);
        self.when("machine: several ports", m.activation.ports > 1);
        self.when("machine: one bank", m.activation.banks == 1);
        self.when("machine: queue of one", m.control.queue_depth.contains(&1));
        self.when("machine: several arrays", m.array.count > 1);
        self.when("machine: four arrays", m.array.count == 4);
        self.when("machine: one memory for both", m.unified);
        self.when("machine: one burst outstanding", m.outstanding_bursts == 1);
        let modes = match m.vector.requantisation {
            Requantisation::Float32 => "float32",
            Requantisation::FixedPoint { double_rounding: false, .. } => "fixed",
            Requantisation::FixedPoint { double_rounding: true, .. } => "fixed_double",
            Requantisation::Shift => "shift",
        };
        self.one(format!("machine: requantisation {modes}"));
        let dram = match &m.dram {
            Dram::Ideal { .. } => "ideal",
            Dram::Simple { .. } => "simple",
            Dram::Banked(_) => "banked",
        };
        self.one(format!("machine: {dram} DRAM"));
    }

    /// What a banked DRAM did.
    fn banks(&mut self, case: &Case, timing: &Timing) {
        let Dram::Banked(dram) = &case.machine.dram else { return };
        let counts = &timing.dram;
        self.when("banked: row hit", counts.hits > 0);
        self.when("banked: closed row", counts.misses > 0);
        self.when("banked: row conflict", counts.conflicts > 0);
        self.when("banked: refresh", counts.refreshes > 0);
        self.when("banked: read after write", counts.turnarounds > 0);
        self.when("banked: younger burst first", counts.reordered > 0);
        self.when("banked: burst passed too often", counts.starved > 0);
        self.when("banked: several channels at work", counts.bursts.iter().filter(|bursts| **bursts > 0).count() > 1);
        self.when("banked: closed page", dram.closed_page && counts.bursts.iter().any(|bursts| *bursts > 0));
        self.when("banked: more bursts than the queue holds", u64::from(dram.queue_depth) < counts.bursts.iter().sum());
    }

    fn outcome(&mut self, case: &Case, timing: &Timing) {
        match &timing.outcome {
            Outcome::Halted => self.one("outcome halted".to_owned()),
            Outcome::Trap { trap, instruction } => {
                self.one(format!("trap {trap:?}"));
                let stuck = timing.spans[..*instruction].iter().any(Option::is_none);
                self.when("trap beyond an instruction that waits for ever", stuck);
                let culprit = &case.instructions[*instruction];
                let absent = |unit: Unit| unit.array().is_some_and(|k| k >= case.machine.array.count as usize);
                let names = |mask: UnitMask| Unit::ALL.into_iter().any(|unit| mask.contains(unit) && absent(unit));
                let token = names(culprit.wait) || names(culprit.signal);
                self.when("trap: token of a missing array", *trap == Trap::BadToken && token);
                self.when("trap: missing array", *trap == Trap::Unsupported && absent(culprit.unit()));
            }
            Outcome::Deadlock { waiting } => {
                self.one("outcome deadlock".to_owned());
                self.when("deadlock of several units", waiting.len() > 1);
                for head in waiting {
                    head.missing.iter().for_each(|from| self.one(missing(*from, head.unit)));
                }
            }
        }
    }

    /// Traps of integer scalings and of wide operands.
    fn refused(&mut self, case: &Case, timing: &Timing) {
        let Outcome::Trap { trap, instruction } = timing.outcome else { return };
        let (before, run) = (&case.instructions[..instruction], &case.instructions[instruction]);
        let other = mode(&run.operation).is_some_and(|mode| mode != RequantMode::Float32);
        let decodes = run.operation.mnemonic() == "ld.decode";
        self.when("trap Unsupported: no decoder", trap == Trap::Unsupported && decodes);
        self.when("trap BadShape: a stream longer than what it stands for", trap == Trap::BadShape && decodes);
        self.when("trap Unsupported: a mode that the machine lacks", trap == Trap::Unsupported && other);
        self.when("trap BadShape: a shift out of range", trap == Trap::BadShape && bad_shift(before, &run.operation));
        let quant = before.iter().rev().find_map(|instruction| match instruction.operation {
            Operation::ArrayQuant { wide_activation, .. } => Some(wide_activation.0),
            _ => None,
        });
        let bits = if quant == Some(true) { 16 } else { 8 };
        let lacks = case.machine.array.interval_cycles(bits).is_none();
        let array = matches!(run.operation, Operation::ArrayRun { .. });
        let name = "trap Unsupported: operands that the array does not list";
        self.when(name, trap == Trap::Unsupported && array && lacks);
        let packed = packed::refused(before, &run.operation).filter(|_| trap == Trap::Unsupported);
        packed.into_iter().for_each(|name| self.one(name.to_owned()));
    }

    fn stalls(&mut self, timing: &Timing) {
        for unit in Unit::ALL {
            for stall in Stall::ALL {
                let cycles = timing.units[unit as usize].stalls[stall as usize];
                self.when(&stalled(unit, stall), cycles > 0);
            }
        }
    }

    fn instructions(&mut self, case: &Case, timing: &Timing) {
        for (instruction, span) in case.instructions.iter().zip(&timing.spans) {
            if span.is_some() {
                self.one(started(instruction.operation.mnemonic()));
                if let Some(mode) = mode(&instruction.operation) {
                    self.one(scaled(instruction.operation.mnemonic(), mode));
                }
            }
        }
    }

    /// Things that happen between instructions.
    fn meetings(&mut self, case: &Case, timing: &Timing) {
        let spans: Vec<(usize, Span)> =
            timing.spans.iter().enumerate().filter_map(|(index, span)| Some((index, (*span)?))).collect();
        let interval = u64::from(case.machine.control.issue_interval_cycles);
        let blocked =
            spans.windows(2).any(|pair| pair[1].0 == pair[0].0 + 1 && pair[1].1.fetch > pair[0].1.fetch + interval);
        self.when("fetch blocked by a full queue", blocked);
        for unit in Unit::ALL {
            let of_unit: Vec<(usize, Span)> =
                spans.iter().copied().filter(|(index, _)| case.instructions[*index].unit() == unit).collect();
            self.overlaps(case, unit, &of_unit);
        }
        self.together(case, &spans);
        self.arrays(case, timing, &spans);
    }

    fn overlaps(&mut self, case: &Case, unit: Unit, spans: &[(usize, Span)]) {
        let (mut run_end, mut end) = (0, 0);
        let (mut overlap, mut waits) = (false, false);
        for &(index, span) in spans {
            if is_control(&case.instructions[index].operation) {
                waits |= span.end > span.start + 1;
            } else {
                overlap |= span.start < run_end;
                waits |= unit.array().is_none() && span.end == end;
                run_end = span.end;
            }
            end = span.end;
        }
        self.when(&format!("overlapping runs of {}", unit.name()), overlap);
        self.when(&format!("retirement of {} waits", unit.name()), waits);
    }

    /// Runs of several arrays.
    fn arrays(&mut self, case: &Case, timing: &Timing, spans: &[(usize, Span)]) {
        let is_run = |index: usize| case.instructions[index].operation.mnemonic() == "ar.run";
        let runs: Vec<(Unit, Span)> = spans
            .iter()
            .filter(|(index, _)| is_run(*index))
            .map(|&(index, span)| (case.instructions[index].unit(), span))
            .collect();
        let (mut at_once, mut same_cycle, mut behind) = (0, false, false);
        let refused = timing.units[Unit::Array1 as usize].stalls[Stall::Port as usize] > 0;
        for &(unit, span) in &runs {
            let others = runs.iter().filter(|(_, other)| other.start <= span.start && span.start < other.end);
            let units: BTreeSet<Unit> = others.map(|(other, _)| *other).collect();
            at_once = at_once.max(units.len());
            for &(other, ran) in &runs {
                same_cycle |= unit != other && span.start == ran.start;
                let after = unit == Unit::Array1 && other == Unit::Array && span.start == ran.end;
                behind |= refused && after && span.start > span.fetch + 1;
            }
        }
        self.when("two arrays running at once", at_once >= 2);
        self.when("three or four arrays running at once", at_once >= 3);
        self.when("two arrays start in one cycle", same_cycle);
        self.when("array1 waits for a port of array", behind);
    }

    fn together(&mut self, case: &Case, spans: &[(usize, Span)]) {
        let (mut same_cycle, mut backwards, mut contention, mut four) = (false, false, false, false);
        let of = |index: usize| &case.instructions[index];
        let simple = matches!(case.machine.dram, Dram::Simple { .. });
        for &(index, span) in spans {
            for &(other, ended) in spans {
                let signals = of(other).signal.contains(of(index).unit()) && of(index).wait.contains(of(other).unit());
                same_cycle |= signals && ended.end == span.start;
                backwards |= signals && other > index && ended.end <= span.start;
                let both = (of(index).operation.mnemonic(), of(other).operation.mnemonic()) == ("ld.run", "st.run");
                contention |= simple && both && span.start < ended.end && ended.start < span.end;
            }
            let at = spans.iter().filter(|(_, one)| one.start <= span.start && span.start < one.end);
            let at = at.filter(|(other, _)| !is_control(&of(*other).operation));
            let units = at.fold(0u8, |units, (other, _)| units | 1 << of(*other).unit() as u8);
            four |= units & 15 == 15;
        }
        self.when("token given and taken in one cycle", same_cycle);
        self.when("token from later in the program", backwards);
        self.when("load and store on the bus together", contention);
        self.when("all four units at work", four);
    }
}

fn is_control(operation: &Operation) -> bool {
    let name = operation.mnemonic();
    match operation.unit() {
        Unit::Vector => [
            "shape", "pitch", "quant", "scale", "fixed", "window", "dilation", "norm", "deform", "axis", "format",
            "sync",
        ]
        .iter()
        .any(|end| name.ends_with(&format!(".{end}"))),
        _ => !name.ends_with(".run") && name != "ld.decode",
    }
}

fn started(mnemonic: &str) -> String {
    format!("started {mnemonic}")
}

fn scaled(mnemonic: &str, mode: RequantMode) -> String {
    format!("started {mnemonic} in mode {mode:?}")
}

/// The field `mode`, where there is one.
fn mode(operation: &Operation) -> Option<RequantMode> {
    match *operation {
        Operation::VectorRequant { mode, .. }
        | Operation::VectorAdd { mode, .. }
        | Operation::VectorMul { mode, .. }
        | Operation::VectorAddChannel { mode, .. }
        | Operation::VectorMulChannel { mode, .. }
        | Operation::VectorRescale { mode, .. }
        | Operation::VectorMax { mode, .. }
        | Operation::VectorMin { mode, .. }
        | Operation::VectorAveragePool { mode, .. }
        | Operation::VectorDepthwise { mode, .. } => Some(mode),
        _ => None,
    }
}

/// Whether the output's shift, which all scalings by registers read, has no meaning in the operation's mode.
fn bad_shift(before: &[Instruction], operation: &Operation) -> bool {
    let least = match mode(operation) {
        None | Some(RequantMode::Float32) => return false,
        Some(RequantMode::Fixed) => 1,
        Some(RequantMode::FixedDouble) => 0,
        Some(RequantMode::Shift) => -31,
    };
    let reads = !matches!(operation.mnemonic(), "ve.requant" | "ve.avgpool" | "ve.max" | "ve.min" | "ve.depthwise");
    let shift = before.iter().rev().find_map(|instruction| match instruction.operation {
        Operation::VectorFixed { operand: VectorOperand::Out, shift, .. } => Some(shift.get()),
        _ => None,
    });
    reads && !(least..=62).contains(&shift.unwrap_or(0))
}

fn stalled(unit: Unit, stall: Stall) -> String {
    format!("{} stalled: {}", unit.name(), stall.name())
}

fn missing(from: Unit, to: Unit) -> String {
    format!("deadlock: {} lacks a token of {}", to.name(), from.name())
}

/// Names and least counts.
fn required(programs: u64) -> Vec<(String, u64)> {
    let often = (programs / 100).max(1);
    let rarely = (programs / 1000).max(1);
    let mut all: Vec<(String, u64)> = rows().iter().map(|row| (started(row.mnemonic), often)).collect();
    let scale = [
        "ve.requant",
        "ve.add",
        "ve.mul",
        "ve.addc",
        "ve.mulc",
        "ve.rescale",
        "ve.avgpool",
        "ve.max",
        "ve.min",
        "ve.depthwise",
    ];
    for mnemonic in scale {
        all.extend(RequantMode::ALL.iter().map(|mode| (scaled(mnemonic, *mode), often)));
    }
    all.push(("outcome halted".to_owned(), programs / 2));
    for trap in ["BadToken", "Unsupported", "BadShape", "OutOfBounds", "Race", "TokenOverflow"] {
        all.push((format!("trap {trap}"), rarely));
    }
    let of_all_machines = |unit: Unit| Unit::WITH_ONE_ARRAY.contains(&unit);
    for unit in Unit::ALL {
        for from in Unit::ALL.into_iter().filter(|from| *from != unit) {
            let both = of_all_machines(unit) && of_all_machines(from);
            all.push((stalled(unit, Stall::ALL[from as usize]), if both { often } else { rarely }));
            if both {
                all.push((missing(from, unit), rarely));
            }
        }
        all.push((stalled(unit, Stall::Port), if of_all_machines(unit) { often } else { rarely }));
        if matches!(unit, Unit::Load | Unit::Store) {
            all.push((stalled(unit, Stall::Dram), often));
        }
    }
    all.extend(packed::OFTEN.iter().map(|name| ((*name).to_owned(), often)));
    all.extend(packed::RARELY.iter().map(|name| ((*name).to_owned(), rarely)));
    all.extend(OFTEN.iter().map(|name| ((*name).to_owned(), often)));
    all.extend(RARELY.iter().map(|name| ((*name).to_owned(), rarely)));
    all
}

const OFTEN: &[&str] = &[
    "machine: 1 weight registers",
    "machine: 2 weight registers",
    "machine: requantisation float32",
    "machine: requantisation fixed",
    "machine: requantisation fixed_double",
    "machine: requantisation shift",
    "machine: ideal DRAM",
    "machine: simple DRAM",
    "machine: banked DRAM",
    "banked: row hit",
    "banked: closed row",
    "banked: row conflict",
    "banked: refresh",
    "banked: read after write",
    "banked: younger burst first",
    "banked: several channels at work",
    "banked: closed page",
    "banked: more bursts than the queue holds",
    "machine: one row",
    "machine: one column",
    "machine: without float32",
    "machine: vector latency 0",
    "machine: port of one byte",
    "machine: several ports",
    "machine: one bank",
    "machine: queue of one",
    "machine: one burst outstanding",
    "machine: several arrays",
    "machine: four arrays",
    "machine: one memory for both",
    "one memory: operands in different banks",
    "one bank: weight-stationary, 1 register",
    "one bank: weight-stationary, 2 registers",
    "one bank: output-stationary, 1 register",
    "one bank: output-stationary, 2 registers",
    "one bank: input-stationary, 1 register",
    "one bank: input-stationary, 2 registers",
    "two arrays running at once",
    "array1 waits for a port of array",
    "outcome deadlock",
    "fetch blocked by a full queue",
    "overlapping runs of load",
    "overlapping runs of array",
    "overlapping runs of store",
    "retirement of load waits",
    "retirement of array waits",
    "retirement of store waits",
    "token given and taken in one cycle",
    "load and store on the bus together",
    "array: several taps packed",
    "array: unpacked taps",
    "array: padding",
    "array: stride",
    "array: dilation",
    "array: several chunks",
    "array: last chunk short",
    "array: several blocks",
    "array: several folds",
    "array: accumulate",
    "array: output-stationary",
    "array: output-stationary, last group short",
    "array: input-stationary",
    "array: input-stationary, last group short",
    "array: another dataflow than before",
    "array: dot products",
    "array: slow PEs",
    "array: reduced rate",
    "array: wide activations",
    "array: wide activations alone",
    "array: wide at a rate of its own",
    "array: wide, packed",
    "array: wide, output-stationary",
    "array: wide, input-stationary",
    "array: narrow sums",
    "array: wide sums",
    "array: saturating sums",
    "requant: transposed",
    "requant: wide, transposed",
    "requant: records of 12, transposed",
    "vector: wide a",
    "vector: wide b",
    "vector: wide output",
    "vector: several widths",
    "vector: pixels of an operand repeat",
    "vector: rows of an operand repeat",
    "vector: one pixel for all",
    "pool: wide",
    "requant: transposed, several groups",
    "requant: several blocks",
    "requant: blocks under the columns",
    "depthwise: several taps",
    "depthwise: padding",
    "depthwise: dilation",
    "depthwise: wide",
    "depthwise: several turns",
    "pool: padding",
    "pool: dilation",
    "lrn: an even window",
    "sum: three or more tensors",
    "pool: a window outside the input",
    "vector: parameters loaded",
    "table: one for all channels",
    "vector: a difference",
    "vector: constants of N-25",
    "gather: several taps",
    "argmax: several taps",
    "unpool: windows that overlap",
    "resize: between rows and columns",
    "resize: a tile behind the first",
    "resize: before the tile",
    "resize: behind the tile",
    "resize: down",
    "resize: corners aligned",
    "resize: a window of no tap",
    "load repeats DRAM bytes",
    "load of planes of rows",
    "decode: a stream",
    "decode: the front of a stream",
    "decode: any bytes",
];

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, count)| writeln!(f, "{count:8}  {name}"))
    }
}
