//! The checker accepts what the compiler makes and refuses it after one field was spoiled.
//!
//! A spoiled program is not always wrong (a token may be redundant); what is asserted is that each kind of spoiling is refused
//! at least in the share of cases that the kind deserves, and that none panics.

use systole_compiler::check::check;
use systole_compiler::compile::{Constants, Header, compile};
use systole_compiler::passes::{Values, legalise};
use systole_machine::isa::{Instruction, Operation, UnitMask, Unsigned};
use systole_machine::program::{ModelEntry, Program};
use systole_machine::spec::{
    Array, Buffer, Control, Dataflow, Dram, Machine, OperandWidth, Overflow, Requantisation, Vector,
};
use systole_network::policy::NumericPolicy;

fn machine() -> Machine {
    let buffer = |capacity_bytes, banks, port_bytes| Buffer { capacity_bytes, banks, port_bytes, ports: 1 };
    Machine {
        name: "small".into(),
        clock_hz: 800_000_000,
        array: Array {
            rows: 8,
            columns: 8,
            count: 1,
            dataflows: vec![Dataflow::WeightStationary],
            dot_product_width: 1,
            pe_latency_cycles: 1,
            operands: vec![OperandWidth { bits: 8, rate_milli: 1000 }],
            weight_registers: 2,
            activation_bits: 8,
            accumulator_bits: 32,
            overflow: Overflow::Wrap,
        },
        activation: buffer(64 << 10, 8, 16),
        weight: buffer(32 << 10, 2, 8),
        unified: false,
        accumulator: buffer(16 << 10, 2, 32),
        vector: Vector {
            lanes: 8,
            requantise_per_cycle: 8,
            latency_cycles: 2,
            float32: true,
            depthwise: false,
            requantisation: Requantisation::Float32,
        },
        outstanding_bursts: 8,
        weight_decoder: None,
        dram: Dram::Ideal { burst_bytes: 64 },
        control: Control { queue_depth: [16; 4], issue_interval_cycles: 1, token_max: 255 },
        energy: None,
    }
}

fn program() -> Program {
    let graph = systole_network::zoo::build_scaled("resnet-18", 4, 32).expect("in the zoo");
    let quantised = legalise(&graph, &NumericPolicy::default(), &Values::Structure).expect("legal");
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    compile(&quantised, &machine(), header, Constants::None).expect("compiles").program
}

/// Spoils each instruction in turn; returns how many were spoiled and how many of those were refused.
fn spoil(mut change: impl FnMut(&Instruction) -> Option<Instruction>) -> (usize, usize) {
    let mut program = program();
    let (mut tried, mut refused) = (0, 0);
    for index in (0..program.instructions.len()).step_by(7) {
        let original = program.instructions[index];
        let Some(spoiled) = change(&original) else { continue };
        program.instructions[index] = spoiled;
        tried += 1;
        refused += usize::from(check(&program, &machine()).is_err());
        program.instructions[index] = original;
    }
    (tried, refused)
}

#[test]
fn what_the_compiler_makes_is_accepted() {
    assert_eq!(check(&program(), &machine()), Ok(()));
}

#[test]
fn a_lost_wait_is_refused() {
    let (tried, refused) = spoil(|i| (!i.wait.is_empty()).then(|| Instruction { wait: UnitMask::default(), ..*i }));
    assert!(tried > 20, "only {tried} instructions wait");
    assert_eq!(refused, tried, "tokens no longer pair up (C-1)");
}

#[test]
fn a_lost_signal_is_refused() {
    let (tried, refused) = spoil(|i| (!i.signal.is_empty()).then(|| Instruction { signal: UnitMask::default(), ..*i }));
    assert!(tried > 20, "only {tried} instructions signal");
    assert_eq!(refused, tried, "tokens no longer pair up (C-1)");
}

#[test]
fn a_read_from_elsewhere_is_refused() {
    let (tried, refused) = spoil(|i| match i.operation {
        Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, array } => {
            let activation = Unsigned::new(activation.get() + 60_000).ok()?;
            let operation =
                Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, array };
            Some(Instruction { operation, ..*i })
        }
        _ => None,
    });
    assert!(tried > 5);
    assert_eq!(refused, tried, "nothing was loaded there for this layer (C-3)");
}

/// The first load of a layer into a memory: nothing of that layer can lie there yet. (Where an earlier tile of the same layer left a
/// byte, the checker cannot tell it from the right one.)
#[test]
fn a_first_load_to_elsewhere_is_refused() {
    let mut program = program();
    let (mut seen, mut tried) = (std::collections::BTreeSet::new(), 0);
    for index in 0..program.instructions.len() {
        let original = program.instructions[index];
        let Operation::LoadRun { dram, buffer, space } = original.operation else { continue };
        if !seen.insert((program.source[index], space as u8)) {
            continue;
        }
        let buffer = Unsigned::new(buffer.get() + 1).expect("a buffer address");
        program.instructions[index].operation = Operation::LoadRun { dram, buffer, space };
        tried += 1;
        assert!(check(&program, &machine()).is_err(), "instruction {index}: the first byte is missing (C-3)");
        program.instructions[index] = original;
    }
    assert!(tried > 30, "only {tried}");
}

#[test]
fn a_machine_with_too_small_semaphores_is_refused_by_name() {
    let mut machine = machine();
    machine.control.token_max = 1;
    let error = check(&program(), &machine).expect_err("some semaphore reaches 2");
    assert_eq!(error.kind, systole_compiler::error::ErrorKind::Unsupported);
    assert!(error.message.contains("token_max"), "{error}");
}
