//! Operands of element-wise layers that have one index where the result has many (M-6's repeating pixels and rows).
//!
//! Rows and columns repeat by a pitch of 0. Channels have no pitch: where one of the operands repeats them, the layer works *by elements*, on an
//! image whose rows are the pixels and whose pixels are the channels.

use crate::layers::Dims;
use crate::lower::Cut;

/// Along what an operand repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// Images.
    pub images: bool,
    /// Rows and columns.
    pub pixels: [bool; 2],
    /// Channels.
    pub channels: bool,
}

impl Repeats {
    /// Of an operand of these dimensions in a layer with that result.
    pub fn of(own: Dims, output: Dims) -> Self {
        let [images, rows, columns, channels] = [0, 1, 2, 3].map(|axis| own[axis] == 1 && output[axis] > 1);
        Repeats { images, pixels: [rows, columns], channels }
    }

    /// The part of the operand that a box of the result reads.
    pub(crate) fn cut(self, cut: Cut) -> Cut {
        let [rows, columns] = self.pixels;
        let first = [if rows { 0 } else { cut.first[0] }, if columns { 0 } else { cut.first[1] }];
        Cut {
            image: if self.images { 0 } else { cut.image },
            first,
            size: self.size(cut.size),
            channels: if self.channels { (0, 1) } else { cut.channels },
        }
    }

    /// Rows and columns that a tile of so many reads.
    pub(crate) fn size(self, [rows, columns]: [usize; 2]) -> [usize; 2] {
        let [by_row, by_column] = self.pixels;
        [if by_row { 1 } else { rows }, if by_column { 1 } else { columns }]
    }

    /// Channels that a tile of so many reads.
    pub(crate) fn channels_of(self, channels: usize) -> usize {
        if self.channels { 1 } else { channels }
    }
}

/// Whether a layer with these operands works by elements.
pub fn by_elements(operands: [Repeats; 2]) -> bool {
    operands.iter().any(|operand| operand.channels)
}

/// Whether pitches can express it: by elements, an operand has all pixels of the result or one.
pub fn has_pitches(operands: [Repeats; 2], output: Dims) -> bool {
    let whole = |operand: Repeats| {
        (0..2).all(|axis| {
            operand.pixels[axis] == operand.pixels[1 - axis] || output[1 + axis] == 1 || output[2 - axis] == 1
        })
    };
    !by_elements(operands) || operands.into_iter().all(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pitches_express() {
        let output = [1, 4, 5, 6];
        let has = |a: Dims, b: Dims| has_pitches([Repeats::of(a, output), Repeats::of(b, output)], output);
        assert!(has(output, [1, 1, 1, 6]) && has(output, [1, 4, 1, 6]) && has([1, 1, 5, 6], [1, 4, 1, 6]));
        assert!(has(output, [1, 4, 5, 1]) && has([1, 1, 1, 6], [1, 4, 5, 1]) && has(output, [1; 4]));
        assert!(!has(output, [1, 4, 1, 1]) && !has([1, 4, 5, 1], [1, 1, 5, 6]));
        // Of one row, one column is all of it.
        let line = [1, 1, 5, 6];
        assert!(has_pitches([Repeats::of(line, line), Repeats::of([1; 4], line)], line));
    }
}
