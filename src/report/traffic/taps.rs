//! What samples (N-26) and unpooling (N-27) move: M-9 for what they touch, T-6 for what they read.

use systole_machine::isa::Operation;

use super::{Memory, Moved, Traffic, extent};

/// Whether it has no input of the size of its output.
pub(super) fn moves_taps(operation: &Operation) -> bool {
    matches!(operation, Operation::VectorGather { .. } | Operation::VectorUnpool { .. })
}

impl Traffic<'_> {
    pub(super) fn taps_work(&self, operation: &Operation, moved: &mut Moved) {
        let [height, width, channels, _] = self.vector;
        let [of_a, of_b, of_out] = self.wide.map(|wide| 1 + wide);
        let [rows, columns] = &self.pool;
        let (taps, windows) = (rows.kernel * columns.kernel, rows.input * columns.input);
        let pixels = height * width;
        let act = Memory::Activation as usize;
        // Elements of a pixel of b and of the output, rows and columns of b.
        let (addresses, of_pixel, size) = match *operation {
            Operation::VectorGather { a, b, out } => {
                moved.read[act] += pixels * taps * (4 * channels * of_a + 2 * of_b);
                moved.written[act] = pixels * taps * channels * of_out;
                moved.vector_elements = pixels * taps * channels;
                ([a, b, out], [2 * taps, taps * channels], [height, width])
            }
            Operation::VectorUnpool { a, b, out } => {
                moved.read[act] += windows * channels * (of_a + of_b);
                moved.written[act] = (pixels + windows) * channels * of_out;
                moved.vector_elements = pixels * channels;
                ([a, b, out], [channels, channels], [rows.input, columns.input])
            }
            _ => return,
        };
        let [a, b, out] = addresses.map(|address| address.get());
        let ranges = [
            (a, extent(rows.input, columns.input, self.vector_pitch[0], of_a * channels)),
            (b, extent(size[0], size[1], self.vector_pitch[1], of_b * of_pixel[0])),
            (out, extent(height, width, self.vector_pitch[2], of_out * of_pixel[1])),
        ];
        let touched = ranges.map(|(first, bytes)| (Memory::Activation, first, first + bytes));
        moved.touched.extend(touched);
    }
}
