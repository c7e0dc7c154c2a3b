//! Waves, read back: they are the run. State signals add up to the counters, edges are the spans, counts keep within the machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use systole::waves::{self, Source};
use systole_machine::config;
use systole_machine::isa::{Instruction, Unit};
use systole_machine::program::Program;
use systole_machine::spec::Machine;
use systole_simulator::contract::{Job, Outcome, Stall, Timing, Trace};
use systole_simulator::{fast, generator, reference};

/// Random programs that are drawn.
const PROGRAMS: u64 = 250;
const FUEL_CYCLES: u64 = 2_000_000;

/// A wave as a viewer reads it: by full name, cycles and values; `None` is high impedance.
struct Wave {
    signals: BTreeMap<String, Vec<(u64, Option<u64>)>>,
    /// By full name of the variable: value and name.
    names: BTreeMap<String, BTreeMap<u64, String>>,
    /// Of the last time in the file.
    last_cycle: u64,
}

impl Wave {
    fn read(path: &Path, clock_hz: u64) -> Wave {
        let mut file = wellen::simple::read(path).expect("a wave");
        let cycle = |time: u64| (u128::from(time) * u128::from(clock_hz)).div_ceil(1_000_000_000_000) as u64;
        let hierarchy = file.hierarchy();
        assert_eq!(hierarchy.timescale().and_then(|scale| scale.unit.to_exponent()), Some(-12));
        let mut names = BTreeMap::new();
        let mut all = vec![];
        for variable in hierarchy.all_vars().map(|variable| &hierarchy[variable]) {
            let name = variable.full_name(hierarchy);
            if let Some((_, table)) = variable.enum_type(hierarchy) {
                let entry = |(value, name): &(&str, &str)| (number(value).expect("a number"), (*name).to_owned());
                names.insert(name.clone(), table.iter().map(entry).collect());
            }
            all.push((name, variable.signal_ref()));
        }
        file.load_signals(&all.iter().map(|one| one.1).collect::<Vec<_>>());
        let times: Vec<u64> = file.time_table().iter().map(|&time| cycle(time)).collect();
        let changes = |(name, signal): (String, wellen::SignalRef)| {
            let signal = file.get_signal(signal).expect("loaded");
            let value = |value: wellen::SignalValueRef| number(&value.to_bit_string().expect("bits"));
            (name, signal.iter_changes().map(|(time, v)| (times[time as usize], value(v))).collect())
        };
        let signals = all.into_iter().map(changes).collect();
        Wave { signals, names, last_cycle: times.last().copied().unwrap_or(0) }
    }

    fn signal(&self, name: &str) -> &[(u64, Option<u64>)] {
        self.signals.get(name).unwrap_or_else(|| panic!("no `{name}` in {:?}", self.signals.keys()))
    }

    /// Cycles that a signal spends at each value, to the end.
    fn durations(&self, name: &str, total: u64) -> BTreeMap<Option<u64>, u64> {
        let changes = self.signal(name);
        let mut durations = BTreeMap::new();
        for (index, &(start, value)) in changes.iter().enumerate() {
            let end = changes.get(index + 1).map_or(total, |next| next.0);
            *durations.entry(value).or_default() += end.min(total).saturating_sub(start);
        }
        durations
    }

    fn largest(&self, name: &str) -> u64 {
        self.signal(name).iter().filter_map(|change| change.1).max().unwrap_or(0)
    }
}

fn number(bits: &str) -> Option<u64> {
    u64::from_str_radix(bits, 2).ok()
}

/// What the wave must be, from the run alone.
fn check(wave: &Wave, program: &[Instruction], machine: &Machine, timing: &Timing) {
    let total = timing.total_cycles;
    assert_eq!(wave.last_cycle, total.max(1));
    assert_eq!(wave.durations("systole.running", total).get(&Some(1)).copied().unwrap_or(0), total);
    let units = Unit::ALL.into_iter().filter(|unit| unit.array().is_none_or(|n| n < machine.array.count as usize));
    let units: Vec<Unit> = units.collect();
    for &unit in &units {
        check_state(wave, timing, unit);
        check_spans(wave, program, timing, unit);
        let queue = format!("systole.{}.queue", unit.name());
        assert!(wave.largest(&queue) <= machine.control.queue_depth_of(unit).into(), "{queue}");
        for &to in &units {
            check_tokens(wave, program, machine, timing, [unit, to]);
        }
    }
    for channel in ["load", "store"] {
        let outstanding = format!("systole.{channel}.outstanding");
        assert!(wave.largest(&outstanding) <= machine.outstanding_bursts.into(), "{outstanding}");
        assert_eq!(wave.signal(&outstanding).last().and_then(|last| last.1), Some(0), "{outstanding}");
    }
    for (buffer, ports) in [("activation", machine.activation.ports), ("accumulator", machine.accumulator.ports)] {
        let prefix = format!("systole.ports.{buffer}.bank");
        for (name, changes) in wave.signals.iter().filter(|(name, _)| name.starts_with(&prefix)) {
            assert!(changes.iter().all(|change| change.1.is_some_and(|set| set.count_ones() <= ports)), "{name}");
        }
    }
}

/// T-10: each cause as often as the counters say.
fn check_state(wave: &Wave, timing: &Timing, unit: Unit) {
    let name = format!("systole.{}.state", unit.name());
    let durations = wave.durations(&name, timing.total_cycles);
    let cycles = timing.units[unit as usize];
    let stalls = Stall::ALL.map(|stall| (stall.name(), cycles.stalls[stall as usize]));
    for (state, expected) in [("busy", cycles.busy), ("idle", cycles.idle)].into_iter().chain(stalls) {
        let (code, _) = wave.names[&name].iter().find(|entry| entry.1 == state).expect("every state has a name");
        assert_eq!(durations.get(&Some(*code)).copied().unwrap_or(0), expected, "{name} = {state}");
    }
}

/// T-2, T-3: starts and ends as edges.
fn check_spans(wave: &Wave, program: &[Instruction], timing: &Timing, unit: Unit) {
    let at = |name: &str| wave.signal(&format!("systole.{}.{name}", unit.name()));
    let mut starts: BTreeMap<u64, u64> = BTreeMap::new();
    for &(cycle, index) in at("instruction") {
        index.map(|index| starts.insert(index, cycle));
    }
    let mine = |index: &usize| program[*index].unit() == unit;
    let expected = (0..program.len()).filter(mine).filter_map(|index| timing.spans[index].map(|span| (index, span)));
    let expected: Vec<_> = expected.collect();
    assert_eq!(starts, expected.iter().map(|(index, span)| (*index as u64, span.start)).collect());
    // An instruction has ended once a later one, or none, is the next to retire.
    let mut retiring = at("retiring").iter().peekable();
    for (index, span) in expected {
        while retiring.next_if(|change| change.0 <= span.start || change.1 == Some(index as u64)).is_some() {}
        let end = retiring.clone().find(|change| change.1.is_none_or(|oldest| oldest > index as u64));
        let covered = at("retiring").iter().rfind(|change| change.0 <= span.start).and_then(|change| change.1);
        assert!(covered.is_some_and(|oldest| oldest <= index as u64), "instruction {index} is under way");
        assert_eq!(end.map(|change| change.0), Some(span.end), "end of instruction {index}");
    }
    let fetched = at("queue").iter().filter(|change| change.1.is_none()).count();
    assert_eq!(fetched, 0, "a queue always has a fill");
}

/// M-8: never below zero, never above the maximum, at the end what was given and not taken.
fn check_tokens(wave: &Wave, program: &[Instruction], machine: &Machine, timing: &Timing, [from, to]: [Unit; 2]) {
    let name = format!("systole.tokens.{}_to_{}", from.name(), to.name());
    let started = |unit: Unit| {
        let all = program.iter().zip(&timing.spans);
        all.filter(move |(i, span)| i.unit() == unit && span.is_some()).map(|(instruction, _)| instruction)
    };
    let given = started(from).filter(|instruction| instruction.signal.contains(to)).count() as u64;
    let taken = started(to).filter(|instruction| instruction.wait.contains(from)).count() as u64;
    if given + taken == 0 && !wave.signals.contains_key(&name) {
        return;
    }
    assert!(wave.largest(&name) <= machine.control.token_max.into(), "{name}");
    assert_eq!(wave.signal(&name).last().and_then(|last| last.1), Some(given - taken), "{name}");
}

fn drawn(path: &Path, program: &Program, machine: &Machine, timing: &Timing, trace: &Trace) -> Vec<u8> {
    waves::write(path, Source { program, machine, timing, trace }).expect("writable");
    std::fs::read(path).expect("written")
}

#[test]
fn random_programs_are_drawn_alike_by_both_engines() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("wave.fst");
    let mut stuck = 0;
    for seed in 9_000_000..9_000_000 + PROGRAMS {
        let case = generator::case(seed);
        let program = Program {
            machine_yaml: String::new(),
            model: Default::default(),
            dram_bytes: case.dram_bytes,
            instructions: case.instructions.clone(),
            source: vec![u32::MAX; case.instructions.len()],
            layers: vec![],
            image: vec![],
            tensors: vec![],
        };
        let job = Job { machine: &case.machine, instructions: &case.instructions, dram_bytes: case.dram_bytes };
        let (timing, trace) = fast::traced_timing(&job);
        let (slow_timing, slow_trace, _) = reference::traced_run(&job, &[], FUEL_CYCLES).expect("runs");
        let fast_bytes = drawn(&path, &program, &case.machine, &timing, &trace);
        let slow_bytes = drawn(&path, &program, &case.machine, &slow_timing, &slow_trace);
        assert_eq!(fast_bytes, slow_bytes, "seed {seed}");
        stuck += u64::from(timing.outcome != Outcome::Halted);
        let wave = Wave::read(&path, case.machine.clock_hz);
        check(&wave, &case.instructions, &case.machine, &timing);
    }
    assert!(stuck > 0, "no program that traps or gets stuck was drawn");
}

#[test]
fn a_network_is_drawn_on_the_command_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let place = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let systole = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_systole")).args(arguments).output().expect("starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (program, wave) = (place("p.sysb"), place("w.fst"));
    assert_eq!(systole(&["compile", "zoo:lenet-5", "--hw", "edge-16x16", "-o", &program]).0, Some(0));
    for engine in ["fast", "reference"] {
        let (code, told) = systole(&["simulate", &program, "--timing-only", "--engine", engine, "--fst", &wave]);
        assert_eq!(code, Some(0), "{told}");
        std::fs::rename(&wave, place(engine)).expect("written");
    }
    assert!(std::fs::read(place("fast")).expect("written") == std::fs::read(place("reference")).expect("written"));
    let program = Program::from_bytes(&std::fs::read(&program).expect("written")).expect("a program");
    let machine = config::load(&program.machine_yaml, "edge-16x16").expect("valid");
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: program.dram_bytes };
    let read = Wave::read(Path::new(&place("fast")), machine.clock_hz);
    check(&read, &program.instructions, &machine, &fast::timing(&job));
    let layers: Vec<&String> = read.names["systole.array.layer"].values().collect();
    assert_eq!(layers.len(), program.layers.len());
    assert!(read.names["systole.load.mnemonic"].values().any(|name| name == "ld.run"));
    let (code, told) = systole(&["simulate", &place("p.sysb"), "--fst", &wave, "--fst-pe"]);
    assert!(code == Some(2) && told.contains("--engine reference"), "{told}");
    let (code, told) = systole(&["simulate", &place("p.sysb"), "--fst", &place("nowhere/w.fst")]);
    assert!(code == Some(2) && told.contains("nowhere/w.fst`") && told.contains("make it first"), "{told}");
}

#[test]
fn a_program_that_gets_stuck_is_drawn_before_it_is_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let place = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let machine = include_str!("../hw-configs/edge-16x16.yaml");
    let yaml: String = machine.lines().map(|line| format!("| {line}\n")).collect();
    std::fs::write(place("stuck.s"), format!(".machine\n{yaml}ar.sync wait(load)\nld.sync\n")).expect("writable");
    let systole = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_systole")).args(arguments).output().expect("starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, told) = systole(&["asm", &place("stuck.s"), "-o", &place("p.sysb")]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = systole(&["simulate", &place("p.sysb"), "--fst", &place("w.fst")]);
    assert!(code == Some(3) && told.contains("deadlock"), "{told}");
    let wave = Wave::read(Path::new(&place("w.fst")), 800_000_000);
    let waits = wave.names["systole.array.state"].iter().find(|entry| entry.1 == "token_load").expect("a name").0;
    // Fetched at 0; the array waits from 1 on, to the end of the other instruction.
    assert_eq!(wave.signal("systole.array.state"), [(0, Some(0)), (1, Some(*waits)), (3, Some(0))]);
    assert_eq!(wave.signal("systole.array.queue").last().and_then(|last| last.1), Some(1));
}

/// The kinds of the file's blocks: readers other than the one above stop at a block to be skipped, or take one hierarchy alone.
fn blocks(mut file: &[u8]) -> Vec<u8> {
    let mut kinds = vec![];
    while let [kind, rest @ ..] = file {
        kinds.push(*kind);
        let (length, _) = rest.split_first_chunk::<8>().expect("a length");
        file = &rest[u64::from_be_bytes(*length) as usize..];
    }
    kinds
}

/// T-5 with two weight registers, v = L = 1: vector m meets PE (r, c) at S + m + r + c, and stands in its registers one cycle later.
#[test]
fn registers_of_pes_are_those_of_the_rule() {
    let page = include_str!("../docs/timing.md");
    let yaml =
        page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has a machine");
    let machine = config::load(yaml, "docs/timing.md").expect("valid");
    let text = "
        ld.shape row_bytes=12, rows=1, planes=1
        ld.run dram=0, buffer=0, space=act
        ld.shape row_bytes=16, rows=1, planes=1
        ld.run dram=64, buffer=0, space=wgt signal(array)
        ar.input height=1, width=3, row_pitch=12, pixel_pitch=4
        ar.window kernel_h=1, kernel_w=1, stride_h=1, stride_w=1, dilation_h=1, dilation_w=1, pad_top=0, pad_left=0, packed=false
        ar.output height=1, width=3, channels=4, block_step=0
        ar.run activation=0, weight=0, accumulator=0, blocks=1, accumulate=false wait(load)";
    let program = systole_machine::isa::assembler::assemble(text).expect("assembles");
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: 4096 };
    let (x, w): (Vec<u8>, Vec<u8>) = ((1..=12).collect(), (0..16).map(|k| 7 * k % 11 + 1).collect());
    let image: [(u64, &[u8]); 2] = [(0, &x), (64, &w)];
    let (timing, trace, _) = reference::traced_run(&job, &image, FUEL_CYCLES).expect("runs");
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("pe.fst");
    let source = Source { program: &program, machine: &machine, timing: &timing, trace: &trace };
    waves::write_with_registers(&path, source, |probe| {
        reference::probed_run(&job, &image, FUEL_CYCLES, probe).expect("runs");
        Ok(())
    })
    .expect("writable");
    assert_eq!(blocks(&std::fs::read(&path).expect("written")), [0, 6, 3, 8]);
    let wave = Wave::read(&path, machine.clock_hz);
    check(&wave, &program.instructions, &machine, &timing);
    let first = timing.spans[7].expect("ran").start + 4;
    for (m, r, c) in (0..3).flat_map(|m| (0..4).flat_map(move |r| (0..4).map(move |c| (m, r, c)))) {
        let at = |register: &str| {
            let changes = wave.signal(&format!("systole.array.pe.r{r}.c{c}.{register}"));
            changes.iter().rfind(|change| change.0 <= first + (m + r + c) as u64 + 1).and_then(|change| change.1)
        };
        let products = (0..=r).map(|row| u64::from(x[4 * m + row]) * u64::from(w[4 * row + c]));
        assert_eq!(at("streamed"), Some(x[4 * m + r].into()), "vector {m} at ({r}, {c})");
        assert_eq!(at("active"), Some(w[4 * r + c].into()), "({r}, {c})");
        assert_eq!(at("sum"), Some(products.sum()), "vector {m} at ({r}, {c})");
    }
}
