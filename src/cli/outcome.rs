//! How a run that did not halt is told: unit, instruction and its text, missing tokens.

use systole_machine::isa::assembler::disassemble;
use systole_machine::program::Program;
use systole_simulator::contract::{Outcome, Timing, Trap};

use crate::problem::{Failure, Problem};

/// Fails unless the program halted.
///
/// # Errors
/// A program failure (exit code 3) with a block for the trap, or for each waiting unit.
pub(super) fn halted(timing: &Timing, program: &Program) -> Result<(), Failure> {
    match &timing.outcome {
        Outcome::Halted => Ok(()),
        Outcome::Trap { trap, instruction } => {
            let problem = Problem::new(format!(
                "trap {trap:?} at instruction {instruction}, after {} cycles",
                timing.total_cycles
            ));
            Err(Failure::Program(vec![problem.at(place(program, *instruction)).because(meaning(*trap))]))
        }
        Outcome::Deadlock { waiting } => {
            let problem = |head: &systole_simulator::contract::Waiting| {
                let unit = head.unit.name();
                let missing: Vec<&str> = head.missing.iter().map(|unit| unit.name()).collect();
                let cause =
                    format!("the {unit} unit waits for a token from {} that nobody will give", missing.join(" and "));
                Problem::new(format!("deadlock after {} cycles: the {unit} unit is stuck", timing.total_cycles))
                    .at(place(program, head.instruction))
                    .because(cause)
            };
            let mut problems: Vec<Problem> = waiting.iter().map(problem).collect();
            if problems.is_empty() {
                problems.push(Problem::new(format!("deadlock after {} cycles", timing.total_cycles)));
            }
            Err(Failure::Program(problems))
        }
    }
}

fn meaning(trap: Trap) -> &'static str {
    match trap {
        Trap::BadToken => "a token mask names the instruction's own unit, or one that the machine lacks (M-10)",
        Trap::Unsupported => "the machine lacks what the operation needs (M-10)",
        Trap::BadShape => "the registers that it uses describe no valid shape (M-10)",
        Trap::OutOfBounds => "it reads or writes outside a memory (M-10)",
        Trap::Race => "it touches bytes that an instruction of another unit touches, and no token orders them (M-12)",
        Trap::TokenOverflow => "a semaphore could pass its maximum (M-12)",
    }
}

/// The instruction's index, layer and text.
fn place(program: &Program, index: usize) -> String {
    let layer = program.source.get(index).and_then(|&layer| program.layers.get(layer as usize));
    let of = layer.map_or(String::new(), |layer| format!(", layer `{}`", layer.name));
    format!("instruction {index}{of}: {}", assembly(program, index))
}

/// The line of assembly of one instruction.
fn assembly(program: &Program, index: usize) -> String {
    let Some(&instruction) = program.instructions.get(index) else { return String::new() };
    let alone = Program {
        machine_yaml: String::new(),
        model: Default::default(),
        dram_bytes: 0,
        instructions: vec![instruction],
        source: vec![u32::MAX],
        layers: vec![],
        image: vec![],
        tensors: vec![],
    };
    disassemble(&alone).lines().last().unwrap_or_default().to_owned()
}
