//! The instruction table, the one place where an instruction is written; enum, encoding and metadata derive from it.
//!
//! A word has 128 bits: opcode in bits 0..8, wait mask 8..16, signal mask 16..24, then the fields in order from bit 24 up, least significant
//! first; the bits above the last field are reserved and zero.

use super::operand::{
    ActivationFormat, DataflowChoice, Flag, ImageAxis, Operand, OutputFormat, Real, RequantMode, Signed, Space,
    Unsigned, VectorOperand, WeightFormat,
};
use super::{Instruction, Unit, UnitMask};

type U2 = Unsigned<2>;
type U8 = Unsigned<8>;
type U12 = Unsigned<12>;
type U16 = Unsigned<16>;
type U22 = Unsigned<22>;
type U24 = Unsigned<24>;
type U32 = Unsigned<32>;
type U40 = Unsigned<40>;
type I8 = Signed<8>;
type I16 = Signed<16>;
type I32 = Signed<32>;

/// Calls `$m!` with every row: `#[doc] opcode Unit Variant "mnemonic" { #[doc] field: Kind, … }`.
#[macro_export]
macro_rules! for_each_instruction { ($m:ident) => { $m! {
    /// Shape of the following loads: `planes` × `rows` × `row_bytes`.
    0x10 Load LoadShape "ld.shape" { row_bytes: U24, rows: U16, planes: U16 }
    /// Distances in DRAM between rows and between planes, bytes.
    0x11 Load LoadDramPitch "ld.dram" { row_pitch: U40, plane_pitch: U40 }
    /// Distances in the buffer between rows and between planes, bytes.
    0x12 Load LoadBufferPitch "ld.buffer" { row_pitch: U32, plane_pitch: U32 }
    /// Copies from DRAM into a buffer.
    0x13 Load LoadRun "ld.run" { dram: U40, buffer: U32, space: Space }
    /// Decodes a stream of `bytes` bytes from DRAM into the weight buffer (rule N-29); `ld.shape` says how many bytes come out.
    0x14 Load LoadDecode "ld.decode" { dram: U40, buffer: U32, bytes: U24 }
    /// Only tokens.
    0x1f Load LoadSync "ld.sync" { }
    /// The input tile in the activation buffer: rows and columns present, bytes between rows and between pixels.
    0x20 Array ArrayInput "ar.input" { height: U16, width: U16, row_pitch: U32, pixel_pitch: U24, array: U2 }
    /// The window; positions outside the input tile feed 0. With `packed`, one run per kernel row covers all taps.
    0x21 Array ArrayWindow "ar.window" { kernel_h: U12, kernel_w: U12, stride_h: U8, stride_w: U8, dilation_h: U8, dilation_w: U8, pad_top: U8, pad_left: U8, packed: Flag, array: U2 }
    /// Output pixels of a block; channels per tap; bytes that the input address moves from one block to the next; output channels of a block (input-stationary).
    0x22 Array ArrayOutput "ar.output" { height: U16, width: U16, channels: U24, block_step: U24, outputs: U16, array: U2 }
    /// Zero points subtracted at the edge of the array, whether operands are signed bytes, and whether activations have two bytes.
    0x23 Array ArrayQuant "ar.quant" { zero_activation: I16, zero_weight: I16, signed_activation: Flag, signed_weight: Flag, wide_activation: Flag, array: U2 }
    /// Convolves: for each block all folds, in the order of its dataflow.
    0x24 Array ArrayRun "ar.run" { activation: U32, weight: U32, accumulator: U22, blocks: U12, accumulate: Flag, dataflow: DataflowChoice, array: U2 }
    /// How weights and activations are packed (rules N-28, M-14).
    0x25 Array ArrayFormats "ar.formats" { weight: WeightFormat, activation: ActivationFormat, array: U2 }
    /// Only tokens.
    0x2f Array ArraySync "ar.sync" { array: U2 }
    /// Output shape of the following operations; `block_channels` are the channels in one accumulator block (`ve.requant` only).
    0x30 Vector VectorShape "ve.shape" { height: U16, width: U16, channels: U24, block_channels: U16 }
    /// Bytes between rows and between pixels of an operand in the activation buffer.
    0x31 Vector VectorPitch "ve.pitch" { operand: VectorOperand, row_pitch: U32, pixel_pitch: U24 }
    /// Zero points, clamp, whether operands are signed bytes, and whether they have two bytes.
    0x32 Vector VectorQuant "ve.quant" { zero_a: I16, zero_b: I16, zero_out: I16, low: I16, high: I16, signed_a: Flag, signed_b: Flag, signed_out: Flag, wide_a: Flag, wide_b: Flag, wide_out: Flag }
    /// Scales of the operands.
    0x33 Vector VectorScale "ve.scale" { a: Real, b: Real, out: Real }
    /// Pooling window over the input tile of `in_height` × `in_width`.
    0x34 Vector VectorWindow "ve.window" { kernel_h: U12, kernel_w: U12, stride_h: U8, stride_w: U8, pad_top: U8, pad_left: U8, pad_bottom: U8, pad_right: U8, in_height: U16, in_width: U16 }
    /// Attributes of local response normalisation (rule N-13): channels of a window, α, β, k.
    0x35 Vector VectorNorm "ve.norm" { size: U8, alpha: Real, beta: Real, bias: Real }
    /// Multiplier and shift of an operand's integer scaling (rule N-17).
    0x36 Vector VectorFixed "ve.fixed" { operand: VectorOperand, multiplier: I32, shift: I8 }
    /// Distances of the window's taps; 0 counts as 1.
    0x37 Vector VectorDilation "ve.dilation" { dilation_h: U8, dilation_w: U8 }
    /// Accumulators to activations (rule N-1); parameters per channel: bias i32, then multiplier f32, or multiplier i32 and shift i32, or shift i32.
    0x38 Vector VectorRequant "ve.requant" { accumulator: U22, params: U32, out: U32, mode: RequantMode, transposed: Flag }
    /// Sum of two tensors (rule N-6), or their difference (rule N-25).
    0x39 Vector VectorAdd "ve.add" { a: U32, b: U32, out: U32, mode: RequantMode, subtract: Flag }
    /// Product of two tensors (rule N-7).
    0x3a Vector VectorMul "ve.mul" { a: U32, b: U32, out: U32, mode: RequantMode }
    /// Sum of a tensor and a constant per channel (rule N-6), or their difference (rule N-25); parameters: quantised value i32, 0.
    0x3b Vector VectorAddChannel "ve.addc" { a: U32, params: U32, out: U32, mode: RequantMode, subtract: Flag }
    /// Product of a tensor and a constant per channel (rule N-7); parameters: quantised value i32, 0.
    0x3c Vector VectorMulChannel "ve.mulc" { a: U32, params: U32, out: U32, mode: RequantMode }
    /// Batch norm (rule N-8); parameters: a f32, b f32.
    0x3d Vector VectorAffine "ve.affine" { a: U32, params: U32, out: U32 }
    /// Change of scale (rule N-9).
    0x3e Vector VectorRescale "ve.rescale" { a: U32, out: U32, mode: RequantMode }
    /// Where `ve.gather` samples: row and column of the image at which the first output pixel's window begins.
    0x3f Vector VectorDeform "ve.deform" { origin_y: I32, origin_x: I32 }
    /// Maximum over windows (rule N-4).
    0x40 Vector VectorMaxPool "ve.maxpool" { a: U32, out: U32 }
    /// Average over windows (rule N-5).
    0x41 Vector VectorAveragePool "ve.avgpool" { a: U32, out: U32, include_pad: Flag, mode: RequantMode }
    /// Softmax over the channels of each pixel (rule N-10).
    0x42 Vector VectorSoftmax "ve.softmax" { a: U32, out: U32 }
    /// Local response normalisation over the channels of each pixel (rule N-13).
    0x43 Vector VectorLrn "ve.lrn" { a: U32, out: U32 }
    /// Sum of `operands` tensors one behind the other (rule N-14); parameters per tensor: scale f32, zero point i32.
    0x44 Vector VectorSum "ve.sum" { a: U32, params: U32, out: U32, operands: U8 }
    /// Convolution of each channel by itself (rule N-31); parameters: records as `ve.requant`'s, then the weights, a byte each, `[tap][channel]`.
    0x45 Vector VectorDepthwise "ve.depthwise" { a: U32, params: U32, out: U32, mode: RequantMode }
    /// Bytes by a table of 256 entries (rule N-24), one for all channels or one for each.
    0x46 Vector VectorTable "ve.table" { a: U32, params: U32, out: U32, per_channel: Flag }
    /// Maximum of two tensors, or of a tensor and a constant per channel (rule N-25).
    0x47 Vector VectorMax "ve.max" { a: U32, b: U32, out: U32, mode: RequantMode, per_channel: Flag }
    /// Minimum of two tensors, or of a tensor and a constant per channel (rule N-25).
    0x48 Vector VectorMin "ve.min" { a: U32, b: U32, out: U32, mode: RequantMode, per_channel: Flag }
    /// Quotient of two tensors, or of a tensor and a constant per channel (rule N-25).
    0x49 Vector VectorDiv "ve.div" { a: U32, b: U32, out: U32, per_channel: Flag }
    /// What moved taps read of an image, bilinearly (rule N-26); b holds the offsets of each tap, the output the channels of each tap.
    0x4a Vector VectorGather "ve.gather" { a: U32, b: U32, out: U32 }
    /// Tap of each window's maximum (rule N-27).
    0x4b Vector VectorArgMax "ve.argmax" { a: U32, out: U32 }
    /// Puts the values of windows back at the taps that b names (rule N-27).
    0x4c Vector VectorUnpool "ve.unpool" { a: U32, b: U32, out: U32 }
    /// The image in another size, bilinearly (rule N-30), from the part of it that a holds.
    0x4d Vector VectorResize "ve.resize" { a: U32, out: U32 }
    /// How results are stored: as they are, their signs (rule N-28), or the sums that they are made of (rule N-16); see M-14.
    0x4e Vector VectorFormat "ve.format" { out: OutputFormat }
    /// Only tokens.
    0x4f Vector VectorSync "ve.sync" { }
    /// Shape of the following stores: `planes` × `rows` × `row_bytes`.
    0x50 Store StoreShape "st.shape" { row_bytes: U24, rows: U16, planes: U16 }
    /// Distances in DRAM between rows and between planes, bytes.
    0x51 Store StoreDramPitch "st.dram" { row_pitch: U40, plane_pitch: U40 }
    /// Distances in the buffer between rows and between planes, bytes.
    0x52 Store StoreBufferPitch "st.buffer" { row_pitch: U32, plane_pitch: U32 }
    /// Copies from the activation buffer to DRAM.
    0x53 Store StoreRun "st.run" { dram: U40, buffer: U32 }
    /// Only tokens.
    0x5f Store StoreSync "st.sync" { }
    /// Where the rows or the columns of a resized image lie in the original: output o at `((first_out + o)·factor + h) / divisor − h`, h being ½ with `centred` and 0 without.
    0x60 Vector VectorAxis "ve.axis" { axis: ImageAxis, first_out: U16, first_in: U16, factor: Real, divisor: Real, centred: Flag }
} } }

/// Why a word is no instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No row of the table has this opcode.
    #[error("opcode {0:#04x} is not in the instruction table")]
    UnknownOpcode(u8),
    /// A field holds a pattern without meaning.
    #[error("{mnemonic}: field `{field}` holds {bits:#x}, which means nothing")]
    BadField {
        /// The row.
        mnemonic: &'static str,
        /// The field.
        field: &'static str,
        /// What it holds.
        bits: u64,
    },
    /// A reserved bit is set.
    #[error("{mnemonic}: a reserved bit is set")]
    Reserved {
        /// The row.
        mnemonic: &'static str,
    },
}

/// A field, as documentation and assembler see it.
#[derive(Clone, Debug)]
pub struct FieldRow {
    /// Its name.
    pub name: &'static str,
    /// Its kind, as [`Operand::kind`] names it.
    pub kind: String,
    /// Lowest bit in the word.
    pub low_bit: u32,
    /// Width.
    pub bits: u32,
}

/// A row of the table, as documentation, assembler and generators see it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Bits 0..8.
    pub opcode: u8,
    /// The unit.
    pub unit: Unit,
    /// Name in assembly.
    pub mnemonic: &'static str,
    /// The row's doc comment.
    pub doc: String,
    /// Its fields.
    pub fields: Vec<FieldRow>,
}

fn take<T: Operand>(word: u128, bit: &mut u32) -> Result<T, u64> {
    let bits = ((word >> *bit) & ((1u128 << T::BITS) - 1)) as u64;
    *bit += T::BITS;
    T::from_bits(bits).ok_or(bits)
}

fn put<T: Operand>(word: &mut u128, bit: &mut u32, value: T) {
    *word |= u128::from(value.to_bits()) << *bit;
    *bit += T::BITS;
}

macro_rules! derive_table { ($(#[doc = $doc:literal] $opcode:literal $unit:ident $variant:ident $mnemonic:literal { $($field:ident: $kind:ident),* $(,)? })+) => {
    /// What an instruction does; one variant a row of the table.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[allow(missing_docs, reason = "the fields are documented by the row and in docs/machine.md")]
    pub enum Operation { $(#[doc = $doc] $variant { $($field: $kind),* }),+ }

    $(const _: () = assert!(24 $(+ <$kind as Operand>::BITS)* <= 128, "row wider than a word");)+

    impl Operation {
        /// The unit of its row; `Unit::Array` for every array.
        pub(super) fn row_unit(&self) -> Unit {
            match self { $(Operation::$variant { .. } => Unit::$unit),+ }
        }

        /// Name in assembly.
        pub fn mnemonic(&self) -> &'static str {
            match self { $(Operation::$variant { .. } => $mnemonic),+ }
        }

        /// The fields' raw bits in order.
        pub fn field_bits(&self) -> Vec<u64> {
            match *self { $(Operation::$variant { $($field),* } => vec![$($field.to_bits()),*]),+ }
        }

        /// From an opcode and the fields' raw bits in order.
        ///
        /// # Errors
        /// An opcode that no row has, or a field with a meaningless pattern. The slice must have as many entries as the row has fields.
        pub fn from_field_bits(opcode: u8, bits: &[u64]) -> Result<Self, DecodeError> {
            match opcode {
                $($opcode => {
                    #[allow(unused_mut, unused_variables, reason = "rows without fields")]
                    let mut values = bits.iter().copied();
                    Ok(Operation::$variant { $($field: {
                        let bits = values.next().unwrap_or(u64::MAX);
                        <$kind as Operand>::from_bits(bits)
                            .ok_or(DecodeError::BadField { mnemonic: $mnemonic, field: stringify!($field), bits })?
                    }),* })
                })+
                other => Err(DecodeError::UnknownOpcode(other)),
            }
        }
    }

    impl Instruction {
        /// The instruction's word.
        pub fn encode(&self) -> u128 {
            match self.operation { $(Operation::$variant { $($field),* } => {
                #[allow(unused_mut, reason = "rows without fields")]
                let mut word = $opcode as u128 | u128::from(self.wait.0) << 8 | u128::from(self.signal.0) << 16;
                #[allow(unused_mut, unused_variables, reason = "rows without fields")]
                let mut bit = 24;
                $(put(&mut word, &mut bit, $field);)*
                word
            }),+ }
        }

        /// Reads a word.
        ///
        /// # Errors
        /// Unknown opcode, meaningless field, reserved bit set.
        pub fn decode(word: u128) -> Result<Self, DecodeError> {
            let mut bit = 24;
            let (operation, mnemonic) = match (word & 0xff) as u8 {
                $($opcode => (Operation::$variant { $($field: take::<$kind>(word, &mut bit)
                    .map_err(|bits| DecodeError::BadField { mnemonic: $mnemonic, field: stringify!($field), bits })?),* }, $mnemonic),)+
                other => return Err(DecodeError::UnknownOpcode(other)),
            };
            if bit < 128 && word >> bit != 0 {
                return Err(DecodeError::Reserved { mnemonic });
            }
            Ok(Instruction { wait: UnitMask((word >> 8) as u8), signal: UnitMask((word >> 16) as u8), operation })
        }
    }

    /// The table as data, in order of opcode.
    #[allow(unused_mut, unused_assignments, unused_variables, reason = "the last field's end is nobody's start")]
    pub fn rows() -> Vec<Row> {
        vec![$({
            let mut low_bit = 24;
            Row { opcode: $opcode, unit: Unit::$unit, mnemonic: $mnemonic, doc: $doc.trim().to_owned(), fields: vec![$({
                let field = FieldRow { name: stringify!($field), kind: <$kind as Operand>::kind(), low_bit, bits: <$kind as Operand>::BITS };
                low_bit += <$kind as Operand>::BITS;
                field
            }),*] }
        }),+]
    }
} }

for_each_instruction!(derive_table);

impl Operation {
    /// The array that an instruction of the array is for; `None` for those of other units.
    fn array(&self) -> Option<u64> {
        match self {
            Operation::ArrayInput { array, .. }
            | Operation::ArrayWindow { array, .. }
            | Operation::ArrayOutput { array, .. }
            | Operation::ArrayQuant { array, .. }
            | Operation::ArrayFormats { array, .. }
            | Operation::ArrayRun { array, .. }
            | Operation::ArraySync { array } => Some(array.get()),
            _ => None,
        }
    }

    /// The unit whose queue it goes to.
    pub fn unit(&self) -> Unit {
        match self.array() {
            Some(index) => Unit::ARRAYS[index as usize % Unit::ARRAYS.len()],
            None => self.row_unit(),
        }
    }
}
