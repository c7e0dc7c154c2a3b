//! Packed operands (M-14) as bytes, so that a run of any format is one of bytes: its values do not depend on how they are stored.

use systole_machine::isa::WeightFormat;
use systole_machine::spec::Array;

use super::folds::Folds;
use super::work::Convolution;

/// A run with operands of bytes in place of packed ones.
pub(super) struct Unpacked {
    run: Convolution,
    /// Where activations were bits.
    activation: Option<Vec<u8>>,
    /// Where weights were under 8 bits.
    weight: Option<Vec<u8>>,
}

impl Unpacked {
    /// The run and its operands; what was not packed is where it was.
    pub(super) fn given<'a>(&'a self, activation: &'a [u8], weight: &'a [u8]) -> (&'a Convolution, &'a [u8], &'a [u8]) {
        (&self.run, self.activation.as_deref().unwrap_or(activation), self.weight.as_deref().unwrap_or(weight))
    }
}

/// `None` where nothing is packed. The footprint must be inside the memories.
pub(super) fn operands(run: &Convolution, array: &Array, activation: &[u8], weight: &[u8]) -> Option<Unpacked> {
    if !run.binary && run.weights == WeightFormat::Byte {
        return None;
    }
    let mut unpacked = Unpacked { run: *run, activation: None, weight: None };
    let own = &mut unpacked.run;
    if run.weights != WeightFormat::Byte {
        let (rows, lanes) = Folds::new(run, array).weight_rows(run);
        unpacked.weight =
            Some(rows_of_bytes(run.weights, &weight[run.weight as usize..], rows as usize, lanes as usize));
        (own.weight, own.weights, own.signed_weight) = (0, WeightFormat::Byte, true);
    }
    if run.binary {
        let last = (run.blocks - 1) * run.block_step + (run.height - 1) * run.row_pitch;
        let end = last + (run.width - 1) * run.pixel_pitch + run.pixel_bytes();
        let bits = &activation[run.activation as usize..][..end as usize];
        unpacked.activation = Some(bits.iter().flat_map(|&byte| decode(WeightFormat::Binary, byte)).collect());
        (own.activation, own.binary, own.wide, own.signed_activation) = (0, false, false, true);
        // A bit has become a byte, a byte eight of them.
        own.row_pitch *= 8;
        own.pixel_pitch *= 8;
        own.block_step *= 8;
    }
    Some(unpacked)
}

/// Rows of `lanes` weights, each of which begins at a byte.
fn rows_of_bytes(format: WeightFormat, packed: &[u8], rows: usize, lanes: usize) -> Vec<u8> {
    let row_bytes = (lanes * format.bits() as usize).div_ceil(8);
    let mut bytes = Vec::with_capacity(rows * lanes);
    for row in packed[..rows * row_bytes].chunks_exact(row_bytes) {
        bytes.extend(row.iter().flat_map(|&byte| decode(format, byte)).take(lanes));
    }
    bytes
}

/// The values in a byte, lowest bits first, in two's complement.
fn decode(format: WeightFormat, byte: u8) -> impl Iterator<Item = u8> {
    let bits = format.bits();
    (0..8 / bits).map(move |place| {
        let above = 8 - bits;
        let code = byte << (above - bits * place);
        // At the top of the byte: shifted down with or without its sign.
        let (signed, unsigned) = ((code as i8) >> above, code >> above);
        match format {
            WeightFormat::Byte | WeightFormat::Int4 | WeightFormat::Int2 => signed as u8,
            WeightFormat::Levels => [-2i8, -1, 1, 2][usize::from(unsigned)] as u8,
            WeightFormat::Binary => (2 * unsigned as i8 - 1) as u8,
        }
    })
}
