//! How wide the weights of each layer are as stored (M-14), and the array's peak with such.

use systole_machine::isa::{Operation, Unit};
use systole_machine::program::Program;
use systole_machine::spec::Machine;

/// Bits of a layer's weights, by the registers of its array runs; `None` for a layer without.
pub(super) fn of_layers(program: &Program) -> Vec<Option<u32>> {
    let mut widths = vec![None; program.layers.len()];
    let mut formats = [8; Unit::ARRAYS.len()];
    for (instruction, &layer) in program.instructions.iter().zip(&program.source) {
        let Some(array) = instruction.unit().array() else { continue };
        match instruction.operation {
            Operation::ArrayFormats { weight, .. } => formats[array] = weight.bits(),
            Operation::ArrayRun { .. } => {
                if let Some(width) = widths.get_mut(layer as usize) {
                    *width = Some(formats[array]);
                }
            }
            _ => {}
        }
    }
    widths
}

/// Multiply-accumulates a cycle at most with weights of so many bits: where they have under 8, more than with bytes if the array has a rate for them.
pub(super) fn peak(machine: &Machine, weight_bits: Option<u32>) -> u64 {
    let array = &machine.array;
    let interval = weight_bits.filter(|bits| *bits < 8).and_then(|bits| array.interval_cycles(bits));
    match interval {
        Some(interval) => {
            let multipliers = [array.count, array.rows, array.columns, array.dot_product_width];
            (multipliers.into_iter().map(u64::from).product::<u64>() / interval).max(1)
        }
        None => machine.peak_macs_per_cycle().max(1),
    }
}
