//! M-3: the registers of each `ar.run` of a program, for the ports of the RTL.

use systole_machine::isa::{Instruction, Operation};
use systole_rtl::Run;

/// By instruction; none where it is no `ar.run`.
pub(crate) fn runs(instructions: &[Instruction]) -> Vec<Option<Run>> {
    let mut registers = Run::default();
    instructions.iter().map(|instruction| take(&mut registers, &instruction.operation)).collect()
}

fn take(r: &mut Run, operation: &Operation) -> Option<Run> {
    match *operation {
        Operation::ArrayInput { height, width, row_pitch, pixel_pitch, .. } => {
            (r.height, r.width, r.row_pitch, r.pixel_pitch) =
                (height.get(), width.get(), row_pitch.get(), pixel_pitch.get());
        }
        Operation::ArrayWindow {
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
            packed,
            ..
        } => {
            (r.kernel_h, r.kernel_w, r.stride_h, r.stride_w) =
                (kernel_h.get(), kernel_w.get(), stride_h.get(), stride_w.get());
            (r.dilation_h, r.dilation_w, r.pad_top, r.pad_left) =
                (dilation_h.get(), dilation_w.get(), pad_top.get(), pad_left.get());
            r.packed = packed.0;
        }
        Operation::ArrayOutput { height, width, channels, block_step, outputs, .. } => {
            (r.height_out, r.width_out, r.channels) = (height.get(), width.get(), channels.get());
            (r.block_step, r.outputs) = (block_step.get(), outputs.get());
        }
        Operation::ArrayQuant {
            zero_activation,
            zero_weight,
            signed_activation,
            signed_weight,
            wide_activation,
            ..
        } => {
            (r.zero_activation, r.zero_weight) = (zero_activation.get(), zero_weight.get());
            (r.signed_activation, r.signed_weight, r.wide_activation) =
                (signed_activation.0, signed_weight.0, wide_activation.0);
        }
        Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, .. } => {
            return Some(Run {
                activation: activation.get(),
                weight: weight.get(),
                accumulator: accumulator.get(),
                blocks: blocks.get(),
                accumulate: accumulate.0,
                dataflow,
                ..*r
            });
        }
        _ => {}
    }
    None
}
