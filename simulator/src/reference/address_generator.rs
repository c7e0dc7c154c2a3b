//! M-5: which fold comes when, and the elements that it feeds: operands and weights by block, chunk, place in the chunk, pixel or output. No time.

use systole_machine::isa::{DataflowChoice, WeightFormat};
use systole_machine::spec::Machine;

use super::work::{Convolution, div_ceil};

/// R, C, D and the elements of a chunk.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) rows: i64,
    pub(super) columns: i64,
    pub(super) products: i64,
}

impl Shape {
    pub(super) fn of(machine: &Machine) -> Self {
        let array = &machine.array;
        Shape { rows: array.rows.into(), columns: array.columns.into(), products: array.dot_product_width.into() }
    }

    /// Q.
    pub(super) fn chunk(&self, dataflow: DataflowChoice) -> i64 {
        match dataflow {
            DataflowChoice::WeightStationary | DataflowChoice::InputStationary => self.rows * self.products,
            DataflowChoice::OutputStationary => self.products,
        }
    }

    /// G, the groups of pixels of a block.
    pub(super) fn groups(&self, c: &Convolution) -> i64 {
        match c.dataflow {
            DataflowChoice::WeightStationary => 1,
            DataflowChoice::InputStationary => div_ceil(c.pixels(), self.columns),
            DataflowChoice::OutputStationary => div_ceil(c.pixels(), self.rows),
        }
    }
}

/// A chunk f of a block.
#[derive(Clone, Copy, Default)]
pub(super) struct Chunk {
    kernel_row: i64,
    /// The tap of an unpacked run.
    run: i64,
    /// Within the run.
    place: i64,
    /// f.
    pub(super) number: i64,
}

/// What the array does between two tiles, or between two drains: M-5's fold.
#[derive(Clone)]
pub(super) struct Fold {
    pub(super) convolution: Convolution,
    shape: Shape,
    block: i64,
    group: i64,
    /// T-5: a bank holds activations and weights of the run.
    pub(super) one_bank: bool,
    /// Weight- and input-stationary: the fold's. Output-stationary: the first.
    pub(super) chunk: Chunk,
}

impl Fold {
    /// The first fold of a convolution.
    pub(super) fn first(convolution: Convolution, shape: Shape, one_bank: bool) -> Self {
        Fold { convolution, shape, block: 0, group: 0, one_bank, chunk: Chunk::default() }
    }

    /// The next one, if there is one: chunks innermost (where they are folds), then groups, then blocks.
    pub(super) fn next(&self) -> Option<Fold> {
        let mut next = self.clone();
        if self.convolution.dataflow != DataflowChoice::OutputStationary
            && let Some(chunk) = self.following(self.chunk)
        {
            next.chunk = chunk;
            return Some(next);
        }
        (next.chunk, next.group) = (Chunk::default(), self.group + 1);
        if next.group == self.shape.groups(&self.convolution) {
            (next.group, next.block) = (0, self.block + 1);
        }
        (next.block < self.convolution.blocks).then_some(next)
    }

    /// The chunk of the block behind this one: places innermost, then taps, then kernel rows.
    pub(super) fn following(&self, chunk: Chunk) -> Option<Chunk> {
        let c = &self.convolution;
        let mut next = Chunk { place: chunk.place + 1, number: chunk.number + 1, ..chunk };
        if next.place == c.chunks(self.length()) {
            (next.place, next.run) = (0, next.run + 1);
        }
        if next.run == c.runs() {
            (next.run, next.kernel_row) = (0, next.kernel_row + 1);
        }
        (next.kernel_row < c.kernel_h).then_some(next)
    }

    /// Q.
    fn length(&self) -> i64 {
        self.shape.chunk(self.convolution.dataflow)
    }

    /// V or K: vectors that stream, or steps.
    pub(super) fn vectors(&self) -> i64 {
        let c = &self.convolution;
        match c.dataflow {
            DataflowChoice::WeightStationary => c.pixels(),
            DataflowChoice::InputStationary => c.outputs,
            DataflowChoice::OutputStationary => c.block_chunks(self.length()),
        }
    }

    /// Whether its sums are the first that their words get, and nothing is to be kept.
    pub(super) fn replaces(&self) -> bool {
        self.chunk.number == 0 && !self.convolution.accumulate
    }

    /// The accumulator vector of a streamed vector; output-stationary, that of a row.
    pub(super) fn accumulator(&self, index: i64) -> i64 {
        let c = &self.convolution;
        let vector = match c.dataflow {
            DataflowChoice::WeightStationary => self.block * c.pixels() + index,
            DataflowChoice::InputStationary => (self.block * self.shape.groups(c) + self.group) * c.outputs + index,
            DataflowChoice::OutputStationary => self.block * c.pixels() + self.group * self.shape.rows + index,
        };
        c.accumulator + vector
    }

    /// Output-stationary: the rows that have a pixel.
    pub(super) fn pixel_rows(&self) -> i64 {
        (self.convolution.pixels() - self.group * self.shape.rows).min(self.shape.rows)
    }

    /// The vector that streams: D elements for each row.
    pub(super) fn streamed(&self, vector: i64, activation: &[u8], weight: &[u8]) -> Vec<i32> {
        let elements = 0..self.length();
        if self.convolution.dataflow == DataflowChoice::InputStationary {
            elements.map(|j| self.weight_of_output(j, vector, weight)).collect()
        } else {
            elements.map(|j| self.operand(self.chunk, j, vector, activation)).collect()
        }
    }

    /// What stays in a row of PEs: D elements for each column.
    pub(super) fn stationary(&self, row: usize, activation: &[u8], weight: &[u8]) -> Vec<i32> {
        let mut elements = Vec::new();
        for column in 0..self.shape.columns {
            for j in row as i64 * self.shape.products..(row as i64 + 1) * self.shape.products {
                elements.push(if self.convolution.dataflow == DataflowChoice::InputStationary {
                    self.operand(self.chunk, j, self.group * self.shape.columns + column, activation)
                } else {
                    self.weight(self.chunk, j, column, weight)
                });
            }
        }
        elements
    }

    /// Output-stationary: a step's operands, D for each row, and weights, D for each column.
    pub(super) fn step(&self, chunk: Chunk, activation: &[u8], weight: &[u8]) -> (Vec<i32>, Vec<i32>) {
        let products = self.shape.products;
        let pixel = |index: i64| self.group * self.shape.rows + index / products;
        let operands = (0..self.shape.rows * products)
            .map(|index| self.operand(chunk, index % products, pixel(index), activation))
            .collect();
        let weights = (0..self.shape.columns * products)
            .map(|index| self.weight(chunk, index % products, index / products, weight))
            .collect();
        (operands, weights)
    }

    /// X(b, f, j, p).
    fn operand(&self, chunk: Chunk, j: i64, pixel: i64, activation: &[u8]) -> i32 {
        let c = &self.convolution;
        let element = chunk.place * self.length() + j;
        if element >= c.run_elements() || pixel >= c.pixels() {
            return 0;
        }
        let (y, x) = (pixel / c.width_out, pixel % c.width_out);
        let (tap, channel) = if c.packed { (element / c.channels, element % c.channels) } else { (chunk.run, element) };
        let row = y * c.stride_h + chunk.kernel_row * c.dilation_h - c.pad_top;
        let column = x * c.stride_w + tap * c.dilation_w - c.pad_left;
        if !(0..c.height).contains(&row) || !(0..c.width).contains(&column) {
            return 0;
        }
        let address = c.activation + self.block * c.block_step + row * c.row_pitch + column * c.pixel_pitch;
        if c.binary_activation() {
            let bit = activation[(address + channel / 8) as usize] >> (channel % 8) & 1;
            return 2 * i32::from(bit) - 1 - c.zero_activation as i32;
        }
        let address = address + c.activation_bytes(channel);
        if c.wide_activation {
            let bytes = [activation[address as usize], activation[address as usize + 1]];
            return i32::from(i16::from_le_bytes(bytes)) - c.zero_activation as i32;
        }
        number(activation[address as usize], c.signed_activation, c.zero_activation)
    }

    /// b·F + f.
    fn tile(&self, chunk: Chunk) -> i64 {
        self.block * self.convolution.block_chunks(self.length()) + chunk.number
    }

    /// W(b, f, j, n), weight- and output-stationary: outputs innermost.
    fn weight(&self, chunk: Chunk, j: i64, column: i64, weight: &[u8]) -> i32 {
        let c = &self.convolution;
        self.weight_in_row(self.tile(chunk) * self.length() + j, column, c.weight_bytes(self.shape.columns), weight)
    }

    /// W(b, f, j, n), input-stationary: elements innermost.
    fn weight_of_output(&self, j: i64, output: i64, weight: &[u8]) -> i32 {
        let c = &self.convolution;
        self.weight_in_row(self.tile(self.chunk) * c.outputs + output, j, c.weight_bytes(self.length()), weight)
    }

    /// M-14: a weight of a row of so many bytes.
    fn weight_in_row(&self, row: i64, place: i64, row_bytes: i64, weight: &[u8]) -> i32 {
        let c = &self.convolution;
        let bits = i64::from(c.weight_format.bits());
        let byte = weight[(c.weight + row * row_bytes + place * bits / 8) as usize];
        let code = i32::from(byte >> (place * bits % 8)) & ((1 << bits) - 1);
        let value = match c.weight_format {
            WeightFormat::Byte => return number(byte, c.signed_weight, c.zero_weight),
            WeightFormat::Int4 if code >= 8 => code - 16,
            WeightFormat::Int2 if code >= 2 => code - 4,
            WeightFormat::Int4 | WeightFormat::Int2 => code,
            WeightFormat::Levels if code >= 2 => code - 1,
            WeightFormat::Levels => code - 2,
            WeightFormat::Binary => 2 * code - 1,
        };
        value - c.zero_weight as i32
    }
}

fn number(byte: u8, signed: bool, zero: i64) -> i32 {
    let value = if signed { i32::from(byte as i8) } else { i32::from(byte) };
    value - zero as i32
}
