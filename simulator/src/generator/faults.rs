//! What is wrong with a program: tokens dropped and added, masks, fields a little or far off. What comes of it is the engines' to say.

use systole_machine::isa::{Instruction, Operation, Unit, UnitMask, format};
use systole_machine::spec::Machine;

use super::builder::Step;
use super::draw::Draw;
use super::footprint::Memory;
use super::{arrays_of, present};

/// Takes one token out: signal and wait of a pair, or one of the two, which moves all later pairs.
pub(super) fn drop_token(draw: &mut Draw, steps: &mut [Step]) {
    let pairs: Vec<(Unit, Unit)> = Unit::ALL.iter().flat_map(|from| Unit::ALL.map(|to| (*from, to))).collect();
    let used = |(from, to): &(Unit, Unit)| {
        steps.iter().any(|step| step.instruction.unit() == *from && step.instruction.signal.contains(*to))
    };
    let pairs: Vec<(Unit, Unit)> = pairs.into_iter().filter(used).collect();
    if pairs.is_empty() {
        return;
    }
    let (from, to) = draw.pick(&pairs);
    let signals: Vec<usize> = (0..steps.len())
        .filter(|&k| steps[k].instruction.unit() == from && steps[k].instruction.signal.contains(to))
        .collect();
    let waits: Vec<usize> = (0..steps.len())
        .filter(|&k| steps[k].instruction.unit() == to && steps[k].instruction.wait.contains(from))
        .collect();
    let which = draw.range(0, signals.len() as u64 - 1) as usize;
    let (signal, wait) = draw.weighted(&[(70, (true, true)), (20, (true, false)), (10, (false, true))]);
    if signal {
        steps[signals[which]].instruction.signal.0 &= !(1 << to as u8);
    }
    if wait && let Some(&taker) = waits.get(which) {
        steps[taker].instruction.wait.0 &= !(1 << from as u8);
    }
}

/// Adds a wait or a signal that nothing answers, or takes one away.
pub(super) fn disturb_tokens(draw: &mut Draw, steps: &mut [Step], machine: &Machine) {
    let units = present(machine);
    for _ in 0..draw.small(1, 4) {
        let (unit, other) = (draw.pick(&units), draw.pick(&units));
        let of_unit: Vec<usize> = (0..steps.len()).filter(|&k| steps[k].instruction.unit() == unit).collect();
        if other != unit && !of_unit.is_empty() {
            let instruction = &mut steps[draw.pick(&of_unit)].instruction;
            let mask = if draw.chance(50) { &mut instruction.signal } else { &mut instruction.wait };
            *mask = UnitMask(mask.0 ^ 1 << other as u8);
        }
    }
}

/// A mask with a bit that may not be there.
pub(super) fn bad_mask(draw: &mut Draw, steps: &mut [Step]) {
    let instruction = any(draw, steps);
    let own = instruction.unit() as u64;
    let bit = draw.pick(&[own, own, 4, 5, 6, 7]);
    let mask = if draw.chance(50) { &mut instruction.wait } else { &mut instruction.signal };
    *mask = UnitMask(mask.0 | 1 << bit);
}

/// Sends an instruction of an array to one that may not be there.
pub(super) fn missing_array(draw: &mut Draw, steps: &mut [Step], machine: &Machine) {
    let of_array = |step: &Step| step.instruction.unit().array().is_some();
    let candidates: Vec<usize> = (0..steps.len()).filter(|&k| of_array(&steps[k])).collect();
    if candidates.is_empty() {
        return;
    }
    let operation = &mut steps[draw.pick(&candidates)].instruction.operation;
    let Some(row) = format::by_mnemonic(operation.mnemonic()).map(|format| &format.row) else { return };
    if let Some(field) = row.fields.iter().position(|field| field.name == "array") {
        let number = arrays_of(machine).len() as u64 + draw.range(0, 1);
        alter(operation, field, |_, most| number.min(most));
    }
}

/// A field of any instruction off by one, zero, the largest value, or random.
pub(super) fn jitter(draw: &mut Draw, steps: &mut [Step]) {
    let candidates: Vec<usize> =
        (0..steps.len()).filter(|&k| !steps[k].instruction.operation.field_bits().is_empty()).collect();
    if candidates.is_empty() {
        return;
    }
    let step = &mut steps[draw.pick(&candidates)];
    let field = draw.range(0, step.instruction.operation.field_bits().len() as u64 - 1) as usize;
    let change = draw.weighted(&[(30, 0), (30, 1), (20, 2), (10, 3), (10, 4)]);
    let random = draw.bits();
    alter(&mut step.instruction.operation, field, |bits, most| match change {
        0 => 0,
        1 => bits.wrapping_sub(1) & most,
        2 => bits.wrapping_add(1) & most,
        3 => most,
        _ => random & most,
    });
}

/// What to do to a field.
#[derive(Clone, Copy)]
enum Change {
    Zero,
    Less,
    More,
    /// The array's columns and one more.
    OverColumns,
    Most,
    Flip,
    /// These bits.
    To(u64),
}

/// Rules of M-10, 3 by the field that breaks them, where pitches are tight.
const BAD_SHAPES: &[(&str, &str, Change)] = &[
    ("ld.shape", "row_bytes", Change::Zero),
    ("ld.shape", "rows", Change::Zero),
    ("ld.shape", "planes", Change::Zero),
    ("ld.buffer", "row_pitch", Change::Less),
    ("ld.buffer", "plane_pitch", Change::Less),
    ("st.shape", "row_bytes", Change::Zero),
    ("st.shape", "rows", Change::Zero),
    ("st.shape", "planes", Change::Zero),
    ("st.buffer", "row_pitch", Change::Less),
    ("st.buffer", "plane_pitch", Change::Less),
    ("st.dram", "row_pitch", Change::Less),
    ("st.dram", "plane_pitch", Change::Less),
    ("ar.input", "height", Change::Zero),
    ("ar.input", "width", Change::Zero),
    ("ar.input", "row_pitch", Change::Less),
    ("ar.input", "pixel_pitch", Change::Less),
    ("ar.window", "kernel_h", Change::Zero),
    ("ar.window", "kernel_w", Change::Zero),
    ("ar.window", "stride_h", Change::Zero),
    ("ar.window", "stride_w", Change::Zero),
    ("ar.window", "dilation_h", Change::Zero),
    ("ar.window", "dilation_w", Change::Zero),
    ("ar.window", "dilation_w", Change::More),
    ("ar.window", "packed", Change::Most),
    ("ar.output", "height", Change::Zero),
    ("ar.output", "width", Change::Zero),
    ("ar.output", "channels", Change::Zero),
    ("ar.output", "channels", Change::Less),
    ("ar.run", "blocks", Change::Zero),
    ("ve.shape", "height", Change::Zero),
    ("ve.shape", "width", Change::Zero),
    ("ve.shape", "channels", Change::Zero),
    ("ve.shape", "channels", Change::More),
    ("ve.shape", "block_channels", Change::Zero),
    ("ve.shape", "block_channels", Change::OverColumns),
    ("ve.shape", "block_channels", Change::OverColumns),
    ("ve.pitch", "row_pitch", Change::Less),
    ("ve.pitch", "row_pitch", Change::Less),
    ("ve.pitch", "pixel_pitch", Change::Less),
    ("ve.quant", "high", Change::Less),
    ("ve.window", "kernel_h", Change::Zero),
    ("ve.window", "kernel_w", Change::Zero),
    ("ve.window", "stride_h", Change::Zero),
    ("ve.window", "stride_w", Change::Zero),
    ("ve.window", "in_height", Change::Zero),
    ("ve.window", "in_width", Change::Zero),
    ("ld.decode", "bytes", Change::Zero),
    ("ld.decode", "bytes", Change::Most),
];

/// Fields that decide whether a machine has what an instruction needs, and shifts without meaning (63, −1, −32).
const REFUSED: &[(&str, &str, Change)] = &[
    ("ar.quant", "wide_activation", Change::Flip),
    ("ar.quant", "wide_activation", Change::Flip),
    ("ar.quant", "wide_activation", Change::Flip),
    ("ar.quant", "wide_activation", Change::Flip),
    ("ar.quant", "wide_activation", Change::Flip),
    ("ve.quant", "wide_a", Change::Flip),
    ("ve.quant", "wide_out", Change::Flip),
    ("ar.formats", "weight", Change::Flip),
    ("ar.formats", "weight", Change::Flip),
    ("ar.formats", "activation", Change::Flip),
    ("ve.format", "out", Change::Flip),
    ("ve.fixed", "shift", Change::Zero),
    ("ve.fixed", "shift", Change::To(63)),
    ("ve.fixed", "shift", Change::To(0xff)),
    ("ve.fixed", "shift", Change::Zero),
    ("ve.fixed", "shift", Change::To(63)),
    ("ve.fixed", "shift", Change::To(0xff)),
    ("ve.fixed", "shift", Change::To(0xe0)),
    ("ve.fixed", "shift", Change::To(63)),
    ("ve.fixed", "shift", Change::To(0xe0)),
    ("ve.requant", "mode", Change::Flip),
    ("ve.add", "mode", Change::Flip),
    ("ve.avgpool", "mode", Change::Flip),
];

/// Breaks a rule of M-10, 2 or that of shifts, or comes near to it.
pub(super) fn refused(draw: &mut Draw, steps: &mut [Step]) {
    // Shifts are registers of few programs.
    if draw.chance(30) {
        let shifts: Vec<_> = REFUSED.iter().copied().filter(|change| change.0 == "ve.fixed").collect();
        return one_of(draw, steps, &shifts, 0);
    }
    one_of(draw, steps, REFUSED, 0);
}

/// Breaks a rule of M-10, 3, or comes as near to that as one step.
pub(super) fn bad_shape(draw: &mut Draw, steps: &mut [Step], columns: u32) {
    // Streams are few, and one rule among many.
    if draw.chance(22) {
        return one_of(draw, steps, &BAD_SHAPES[BAD_SHAPES.len() - 2..], columns);
    }
    one_of(draw, steps, BAD_SHAPES, columns);
}

/// One of the changes to one instruction of its kind, if there is one.
fn one_of(draw: &mut Draw, steps: &mut [Step], changes: &[(&str, &str, Change)], columns: u32) {
    let (mnemonic, name, change) = draw.pick(changes);
    let is_it = |step: &Step| step.instruction.operation.mnemonic() == mnemonic;
    let candidates: Vec<usize> = (0..steps.len()).filter(|&k| is_it(&steps[k])).collect();
    let Some(row) = format::by_mnemonic(mnemonic).map(|format| &format.row) else { return };
    let (false, Some(field)) = (candidates.is_empty(), row.fields.iter().position(|field| field.name == name)) else {
        return;
    };
    alter(&mut steps[draw.pick(&candidates)].instruction.operation, field, |bits, most| match change {
        Change::Zero => 0,
        Change::Less => bits.wrapping_sub(1) & most,
        Change::More => bits.wrapping_add(1) & most,
        Change::OverColumns => u64::from(columns) + 1,
        Change::Most => most,
        Change::Flip => bits ^ 1,
        Change::To(bits) => bits & most,
    });
}

/// Changes the order of instructions of different units. Tokens pair as before, since each unit keeps its order; whether fetch gets to the giver before a
/// queue is full of takers is another matter.
pub(super) fn reorder(draw: &mut Draw, steps: &mut [Step]) {
    let distance = draw.small(1, 12) as usize;
    for _ in 0..draw.range(1, 2 * steps.len() as u64) {
        let mut at = draw.range(0, steps.len() as u64 - 1) as usize;
        for _ in 0..distance {
            if at + 1 < steps.len() && steps[at].instruction.unit() != steps[at + 1].instruction.unit() {
                steps.swap(at, at + 1);
                at += 1;
            }
        }
    }
}

/// Moves an operand to the end of its memory, or a little beyond.
pub(super) fn push_out(draw: &mut Draw, steps: &mut [Step], machine: &Machine, dram_bytes: u64) {
    let candidates: Vec<usize> = (0..steps.len()).filter(|&k| !steps[k].accesses.is_empty()).collect();
    if candidates.is_empty() {
        return;
    }
    let step = &mut steps[draw.pick(&candidates)];
    let access = draw.pick(&step.accesses);
    let capacity = match access.memory {
        Memory::Activation => machine.activation.capacity_bytes,
        Memory::Weight => machine.weight.capacity_bytes,
        Memory::Accumulator => machine.accumulator_vectors(),
        Memory::Dram => dram_bytes,
    };
    // One operand may have several ranges (rows of a transfer, blocks of an array's input): of the same memory, and all read or all written.
    let same = || step.accesses.iter().filter(|other| (other.memory, other.write) == (access.memory, access.write));
    let one = matches!(step.instruction.unit(), Unit::Vector);
    let first = if one { access.first } else { same().map(|a| a.first).min().unwrap_or(0) };
    let end = if one { access.end } else { same().map(|a| a.end).max().unwrap_or(0) };
    let by = capacity.saturating_sub(end) + draw.pick(&[0, 1, 1, 1, 2, 1000]);
    for field in 0..step.instruction.operation.field_bits().len() {
        alter(
            &mut step.instruction.operation,
            field,
            |bits, most| if bits == first { (bits + by).min(most) } else { bits },
        );
    }
}

/// Changes a field by its bits and their largest value; patterns that mean nothing change nothing.
fn alter(operation: &mut Operation, field: usize, change: impl FnOnce(u64, u64) -> u64) {
    let Some(row) = format::by_mnemonic(operation.mnemonic()).map(|format| &format.row) else { return };
    let mut bits = operation.field_bits();
    bits[field] = change(bits[field], (1 << row.fields[field].bits) - 1);
    if let Ok(altered) = Operation::from_field_bits(row.opcode, &bits) {
        *operation = altered;
    }
}

fn any<'s>(draw: &mut Draw, steps: &'s mut [Step]) -> &'s mut Instruction {
    let index = draw.range(0, steps.len() as u64 - 1) as usize;
    &mut steps[index].instruction
}
