//! Steps → instruction words: registers are set only when they change.
//!
//! Registers that hold scales and zero points are set once a layer even if the values stay: whether they do depends on calibration,
//! and the instruction stream of `estimate`, which has none, must be as long as that of `verify`.

use std::collections::BTreeMap;

use systole_machine::isa::{
    ActivationFormat, Instruction, Operation, OutputFormat, UNITS, Unit, UnitMask, Unsigned, WeightFormat,
};

use crate::schedule::Step;

/// A configuration instruction's unit and mnemonic, and the operand or axis that it names.
type Register = (Unit, &'static str, u8);

/// Which register a configuration instruction sets.
fn register(operation: &Operation) -> Register {
    let operand = match operation {
        Operation::VectorPitch { operand, .. } | Operation::VectorFixed { operand, .. } => *operand as u8,
        Operation::VectorAxis { axis, .. } => *axis as u8,
        _ => 0,
    };
    (operation.unit(), operation.mnemonic(), operand)
}

/// The register of formats (M-14) that a run reads, as it is for operands and results that are not packed: what it holds at first.
fn plain_formats(run: &Operation) -> Option<Operation> {
    match run.unit() {
        Unit::Vector => Some(Operation::VectorFormat { out: OutputFormat::Plain }),
        unit => Some(Operation::ArrayFormats {
            weight: WeightFormat::Byte,
            activation: ActivationFormat::Byte,
            array: Unsigned::new(unit.array()? as u64).ok()?,
        }),
    }
}

/// Whether a register's contents come from calibration.
fn is_calibrated(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::ArrayQuant { .. }
            | Operation::VectorQuant { .. }
            | Operation::VectorScale { .. }
            | Operation::VectorFixed { .. }
    )
}

fn one<const B: u32>() -> Unsigned<B> {
    Unsigned::new(1).unwrap_or_default()
}

/// Instructions, and the layer of each.
pub fn emit(steps: &[Step]) -> (Vec<Instruction>, Vec<u32>) {
    let mut registers: BTreeMap<Register, (Operation, u32)> = BTreeMap::new();
    // What 0, with which it starts, counts as.
    let adjacent = Operation::VectorDilation { dilation_h: one(), dilation_w: one() };
    registers.insert(register(&adjacent), (adjacent, 0));
    let mut instructions = Vec::with_capacity(steps.len() * 2);
    let mut source = Vec::with_capacity(steps.len() * 2);
    for step in steps {
        // Steps that pack nothing do not say so.
        let plain = plain_formats(&step.run).filter(|plain| {
            let held = registers.get(&register(plain));
            let stated = step.setup.iter().any(|setup| register(setup) == register(plain));
            !stated && held.is_some_and(|(operation, _)| operation != plain)
        });
        for &setup in step.setup.iter().chain(&plain) {
            let before = registers.insert(register(&setup), (setup, step.layer));
            let kept = before.is_some_and(|(operation, layer)| {
                operation == setup && (layer == step.layer || !is_calibrated(&setup))
            });
            if !kept {
                instructions.push(Instruction::new(setup));
                source.push(step.layer);
            }
        }
        let mask = |units: [bool; UNITS]| {
            Unit::ALL.into_iter().filter(|&unit| units[unit as usize]).fold(UnitMask::default(), UnitMask::with)
        };
        instructions.push(Instruction { wait: mask(step.waits), signal: mask(step.signals), operation: step.run });
        source.push(step.layer);
    }
    (instructions, source)
}
