//! A program: instructions, constant image, tensor table and source map, for one machine and one batch size.
//!
//! The file format is [`container`]; this is what it holds.

pub mod check;
pub mod container;

use crate::isa::Instruction;

/// How a tensor's elements lie in DRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[n][h][w][c]`, with pitches (M-2). The logical shape is `[n, c, h, w]`; for a tensor of shape `[n, k]` that views one of
    /// `[n, c, h, w]`, `dims` of the entry keeps the latter, so that logical element order is that of `[n][c][h][w]`.
    Nhwc,
}

/// Element type in the tensor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Signed byte.
    I8,
    /// Unsigned byte.
    U8,
    /// Signed, two bytes, little-endian.
    I16,
    /// −1 and 1 as bits 0 and 1, a pixel's channels from a byte's lowest bit up (M-14).
    B1,
    /// Signed, four bytes, little-endian: sums (rule N-16).
    I32,
}

impl ElementType {
    /// Bits of an element.
    pub fn bits(self) -> u64 {
        match self {
            ElementType::B1 => 1,
            ElementType::I8 | ElementType::U8 => 8,
            ElementType::I16 => 16,
            ElementType::I32 => 32,
        }
    }

    /// Bytes of an element by itself, where a bit takes a whole one.
    pub fn bytes(self) -> u64 {
        self.bits().div_ceil(8)
    }

    /// Bytes of so many channels of a pixel in DRAM.
    pub fn pixel_bytes(self, channels: u64) -> u64 {
        channels.saturating_mul(self.bits()).div_ceil(8)
    }

    /// Smallest and largest value.
    pub fn range(self) -> (i32, i32) {
        match self {
            ElementType::I8 => (-128, 127),
            ElementType::U8 => (0, 255),
            ElementType::I16 => (-32_768, 32_767),
            ElementType::B1 => (-1, 1),
            ElementType::I32 => (i32::MIN, i32::MAX),
        }
    }
}

/// What a tensor is to the program's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Written into DRAM before the run.
    Input,
    /// A result.
    Output,
    /// In between; readable in DRAM after the run.
    Intermediate,
}

/// An activation tensor in DRAM.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorEntry {
    /// The model's name.
    pub name: String,
    /// Logical shape.
    pub shape: Vec<u64>,
    /// `[n, c, h, w]` as it lies in memory (see [`Layout`]).
    pub dims: [u64; 4],
    /// Element type.
    pub element: ElementType,
    /// What it is.
    pub role: Role,
    /// How it lies in memory.
    pub layout: Layout,
    /// First byte in DRAM.
    pub address: u64,
    /// Bytes from one pixel to the next (over the channel count when the tensor is a slice of a concatenation).
    pub pixel_pitch: u64,
    /// Bytes from one row to the next (over `w` pixels when the tensor is a box inside a larger one).
    pub row_pitch: u64,
    /// Bytes from one image to the next.
    pub image_pitch: u64,
    /// Real value = `scale · (q − zero_point)`.
    pub scale: f32,
    /// See `scale`.
    pub zero_point: i32,
    /// For an input or output that the model has in float: that tensor's name.
    pub float_name: Option<String>,
}

impl TensorEntry {
    /// Addresses of its pixels, in the order of image, row, column. Sound only where the program has no flaws ([`check::flaws`]).
    pub fn pixels(&self) -> impl Iterator<Item = u64> + '_ {
        let [n, _, h, w] = self.dims;
        let row = move |first: u64| (0..w).map(move |x| first + x * self.pixel_pitch);
        (0..n * h).flat_map(move |at| row(self.address + at / h * self.image_pitch + at % h * self.row_pitch))
    }

    /// Whether its pixels follow each other without gaps.
    pub fn is_dense(&self) -> bool {
        let [n, c, h, w] = self.dims;
        let pixel = self.element.pixel_bytes(c);
        let dense = |count: u64, pitch: u64, bytes: u64| count < 2 || pitch == bytes;
        dense(w, self.pixel_pitch, pixel)
            && dense(h, self.row_pitch, w * pixel)
            && dense(n, self.image_pitch, h * w * pixel)
    }
}

/// A fused operator, as reports list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerEntry {
    /// Name of its first node.
    pub name: String,
    /// The model's nodes in it.
    pub nodes: Vec<String>,
    /// Operator.
    pub op: String,
    /// Multiply-accumulates of convolution and fully connected parts, whole batch.
    pub macs: u64,
    /// Bits of a weight as the network has it, whatever width it is stored in; 0 without weights.
    pub weight_bits: u32,
    /// Compulsory DRAM bytes: weights as stored, network inputs and outputs that it touches.
    pub compulsory_bytes: u64,
    /// The mapping in a line.
    pub mapping: String,
}

/// Totals of the model, for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelEntry {
    /// The network's name.
    pub name: String,
    /// Multiply-accumulates of batch 1.
    pub macs: u64,
    /// Learnable parameters.
    pub parameters: u64,
    /// Bytes of the weights and biases as stored.
    pub weight_bytes: u64,
    /// Images per run.
    pub batch: u64,
}

/// Bytes of the constant image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte in DRAM.
    pub address: u64,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// A program.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The resolved machine, as YAML.
    pub machine_yaml: String,
    /// Totals.
    pub model: ModelEntry,
    /// Size of DRAM that the program uses.
    pub dram_bytes: u64,
    /// The instruction stream.
    pub instructions: Vec<Instruction>,
    /// Layer of each instruction: as many entries as instructions; an index into `layers`, or `u32::MAX` for none.
    pub source: Vec<u32>,
    /// Layers in order of execution.
    pub layers: Vec<LayerEntry>,
    /// Constants in DRAM; in order of address, not overlapping. Empty where the program was compiled without values.
    pub image: Vec<Segment>,
    /// Tensors in DRAM.
    pub tensors: Vec<TensorEntry>,
}
