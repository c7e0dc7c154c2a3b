//! The registers of an `ar.run` (M-3, M-5) as the RTL takes them: one port each.

use systole_machine::isa::DataflowChoice;

/// An `ar.run` with its registers; names are those of `docs/isa.md`, `ar.output`'s size is `height_out`, `width_out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the instruction table documents them")]
pub struct Run {
    pub dataflow: DataflowChoice,
    pub packed: bool,
    pub accumulate: bool,
    pub signed_activation: bool,
    pub signed_weight: bool,
    pub wide_activation: bool,
    pub zero_activation: i64,
    pub zero_weight: i64,
    pub height: u64,
    pub width: u64,
    pub row_pitch: u64,
    pub pixel_pitch: u64,
    pub kernel_h: u64,
    pub kernel_w: u64,
    pub stride_h: u64,
    pub stride_w: u64,
    pub dilation_h: u64,
    pub dilation_w: u64,
    pub pad_top: u64,
    pub pad_left: u64,
    pub height_out: u64,
    pub width_out: u64,
    pub channels: u64,
    pub block_step: u64,
    pub outputs: u64,
    pub activation: u64,
    pub weight: u64,
    pub accumulator: u64,
    pub blocks: u64,
}

/// Ports of a run, as named in `systole_types::run_t`, and their bits.
pub(crate) const PORTS: [(&str, u32); 31] = [
    ("dataflow", 2),
    ("packed_taps", 1),
    ("accumulate", 1),
    ("signed_activation", 1),
    ("signed_weight", 1),
    ("wide_activation", 1),
    ("zero_activation", 16),
    ("zero_weight", 16),
    ("height", 16),
    ("width", 16),
    ("row_pitch", 32),
    ("pixel_pitch", 24),
    ("kernel_h", 12),
    ("kernel_w", 12),
    ("stride_h", 8),
    ("stride_w", 8),
    ("dilation_h", 8),
    ("dilation_w", 8),
    ("pad_top", 8),
    ("pad_left", 8),
    ("height_out", 16),
    ("width_out", 16),
    ("channels", 24),
    ("block_step", 24),
    ("outputs", 16),
    ("activation", 32),
    ("weight", 32),
    ("accumulator", 22),
    ("blocks", 12),
    ("beats", 32),
    ("row_cycles", 32),
];

impl Run {
    /// Values of the ports `run_…`, without `beats` and `row_cycles`, which depend on the machine.
    pub fn ports(&self) -> Vec<(&'static str, u64)> {
        let dataflow = match self.dataflow {
            DataflowChoice::WeightStationary => 0,
            DataflowChoice::OutputStationary => 1,
            DataflowChoice::InputStationary => 2,
        };
        let values = [
            dataflow,
            self.packed.into(),
            self.accumulate.into(),
            self.signed_activation.into(),
            self.signed_weight.into(),
            self.wide_activation.into(),
            self.zero_activation as u64 & 0xffff,
            self.zero_weight as u64 & 0xffff,
            self.height,
            self.width,
            self.row_pitch,
            self.pixel_pitch,
            self.kernel_h,
            self.kernel_w,
            self.stride_h,
            self.stride_w,
            self.dilation_h,
            self.dilation_w,
            self.pad_top,
            self.pad_left,
            self.height_out,
            self.width_out,
            self.channels,
            self.block_step,
            self.outputs,
            self.activation,
            self.weight,
            self.accumulator,
            self.blocks,
        ];
        PORTS.iter().map(|port| port.0).zip(values).collect()
    }

    /// Elements of a run of a kernel row, and how many runs a kernel row has.
    pub(crate) fn kernel_row(&self) -> (u64, u64) {
        if self.packed { (self.kernel_w * self.channels, 1) } else { (self.channels, self.kernel_w) }
    }
}
