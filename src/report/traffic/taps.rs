//! What samples (N-26), unpooling (N-27) and resizing between pixels (N-30) move: M-9 for what they touch, T-6 for what they read.

use systole_machine::isa::Operation;

use super::{Memory, Moved, Traffic, extent};

/// Whether it has no input of the size of its output.
pub(super) fn moves_taps(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::VectorGather { .. } | Operation::VectorUnpool { .. } | Operation::VectorResize { .. }
    )
}

impl Traffic<'_> {
    pub(super) fn taps_work(&self, operation: &Operation, moved: &mut Moved) {
        let [height, width, channels, _] = self.vector;
        let [of_a, of_b, of_out] = self.wide.map(|wide| 1 + wide);
        let [rows, columns] = &self.pool;
        let (taps, windows) = (rows.kernel * columns.kernel, rows.input * columns.input);
        let pixels = height * width;
        let act = Memory::Activation as usize;
        // Elements of a pixel of the output; of the second operand address, elements of a pixel, rows and columns.
        let (a, out, of_pixel, second) = match *operation {
            Operation::VectorGather { a, b, out } => {
                moved.read[act] += pixels * taps * (4 * channels * of_a + 2 * of_b);
                moved.written[act] = pixels * taps * channels * of_out;
                moved.vector_elements = pixels * taps * channels;
                (a, out, taps * channels, Some((b, 2 * taps, [height, width])))
            }
            Operation::VectorUnpool { a, b, out } => {
                moved.read[act] += windows * channels * (of_a + of_b);
                moved.written[act] = (pixels + windows) * channels * of_out;
                moved.vector_elements = pixels * channels;
                (a, out, channels, Some((b, channels, [rows.input, columns.input])))
            }
            Operation::VectorResize { a, out } => {
                moved.read[act] += 4 * pixels * channels * of_a;
                moved.written[act] = pixels * channels * of_out;
                moved.vector_elements = pixels * channels;
                (a, out, channels, None)
            }
            _ => return,
        };
        let mut touch = |first: u64, bytes: u64| moved.touched.push((Memory::Activation, first, first + bytes));
        touch(a.get(), extent(rows.input, columns.input, self.vector_pitch[0], of_a * channels));
        if let Some((b, elements, [height, width])) = second {
            touch(b.get(), extent(height, width, self.vector_pitch[1], of_b * elements));
        }
        touch(out.get(), extent(height, width, self.vector_pitch[2], of_out * of_pixel));
    }
}
