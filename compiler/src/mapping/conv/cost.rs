//! Cycles of a mapping in closed form: T-5 for the array, T-6 for requantisation, T-7 for the bus.

use systole_machine::spec::{Dataflow, Machine};

use super::{Chunk, ConvMapping, Part, Problem, chunk_elements};
use crate::fixed::record_bytes;
use crate::mapping::{ITEM_CYCLES, bursts, bus_cycles, input_extent};

impl Problem<'_> {
    /// Cycles by the timing rules: the busiest of array, bus and vector unit, and what they cannot overlap at either end.
    pub(super) fn cost(&self, mapping: &ConvMapping) -> u64 {
        let machine = self.machine;
        let tiles = ((self.output[1].div_ceil(mapping.tile[0])) * (self.output[2].div_ceil(mapping.tile[1]))) as u64;
        let pixels = (mapping.tile[0] * mapping.tile[1]) as u64;
        let [of_input, of_output] = self.element_bytes.map(|bytes| bytes as u64);
        let (mut array, mut vector, mut items, mut weights, mut store) = (0, 0, 0, 0, 0);
        for chunk in &mapping.chunks {
            items += chunk.parts.len() as u64;
            for part in &chunk.parts {
                array += self.run_cycles(mapping, chunk, part, pixels);
                weights += bursts(machine, 1, part.weight_bytes);
            }
            vector += requantise_cycles(machine, mapping.dataflow, chunk, pixels, of_output);
            let output = self.output[3];
            store += if mapping.whole_output || chunk.outputs.1 == output {
                bursts(machine, 1, pixels * chunk.outputs.1 as u64 * of_output)
            } else {
                bursts(machine, pixels, chunk.outputs.1 as u64 * of_output)
            };
        }
        let extent = input_extent(self.window, [self.input[1], self.input[2]], mapping.tile);
        let input = if mapping.shared {
            bursts(machine, 1, (extent[0] * extent[1] * self.input[3]) as u64 * of_input)
        } else {
            let rows = (extent[0] * extent[1]) as u64;
            let row = |part: &Part| bursts(machine, rows, part.channels.1 as u64 * of_input);
            mapping.chunks.iter().flat_map(|c| &c.parts).map(row).sum()
        };
        let first_weights = mapping.chunks[0].parts[0].weight_bytes;
        let weight_loads = if mapping.resident { weights } else { weights * tiles };
        let bus = bus_cycles(machine, (input + store) * tiles + weight_loads);
        let first = bus_cycles(machine, bursts(machine, 1, first_weights) + if mapping.shared { input } else { 1 });
        let last_items = if mapping.whole_output { 1 } else { mapping.chunks.len() as u64 };
        let last = vector / mapping.chunks.len() as u64 + bus_cycles(machine, store / last_items);
        let double = mapping.regions[0][0] != mapping.regions[0][1]
            && mapping.accumulator_slots[0] != mapping.accumulator_slots[1];
        let (array, vector) = (array * tiles, vector * tiles);
        let overlapped = if double { array.max(bus).max(vector) } else { array + bus + vector };
        let single_weights = !mapping.resident && mapping.weight_slots[0] == mapping.weight_slots[1];
        overlapped
            + first
            + last
            + items * tiles * ITEM_CYCLES
            + if single_weights { bus_cycles(machine, weight_loads) } else { 0 }
    }

    /// Cycles from stream to stream of one `ar.run` (T-5): with two registers what the next run can overlap is left out.
    fn run_cycles(&self, mapping: &ConvMapping, chunk: &Chunk, part: &Part, pixels: u64) -> u64 {
        let array = &self.machine.array;
        let [rows, columns, width, latency] =
            [array.rows, array.columns, array.dot_product_width, array.pe_latency_cycles].map(u64::from);
        let ports = [&self.machine.activation, &self.machine.weight, &self.machine.accumulator];
        let [aw, ww, cw] = ports.map(|buffer| u64::from(buffer.port_bytes));
        let element = self.element_bytes[0] as u64;
        let interval = array.interval_cycles(8 * element as u32).unwrap_or(1);
        let sums = self.machine.accumulator_vector_bytes().div_ceil(cw);
        let (blocks, steps) = (chunk.blocks as u64, part.folds as u64);
        let channels = if chunk.block_step > 0 { chunk.run_channels } else { part.channels.1 };
        let run = (if mapping.packed { channels * self.window.kernel[1] } else { channels }) as u64;
        let longest = run.min(chunk_elements(self.machine, mapping.dataflow) as u64);
        let skew = rows * latency + columns - 1;
        let (folds, vectors, load_row, vector) = match mapping.dataflow {
            Dataflow::WeightStationary => {
                let vector = (longest * element).div_ceil(aw).max(sums);
                (blocks * steps, pixels, (columns * width).div_ceil(ww), vector)
            }
            Dataflow::InputStationary => {
                let load_row = (columns * (longest * element).div_ceil(aw)).div_ceil(rows);
                let vector = longest.div_ceil(ww).max(sums);
                (blocks * pixels.div_ceil(columns) * steps, chunk.block_channels as u64, load_row, vector)
            }
            Dataflow::OutputStationary => {
                let feed = (rows * (run * element).div_ceil(aw)).div_ceil(run.div_ceil(width));
                let step = interval.max(feed).max((columns * width).div_ceil(ww));
                let fold = match array.weight_registers {
                    1 => (steps - 1) * step + latency - 1 + rows + columns + (rows - 1) * sums,
                    _ => (steps * step).max(rows * sums),
                };
                return blocks * pixels.div_ceil(rows) * fold;
            }
        };
        let (vector, tile) = (vector.max(interval), rows * load_row.max(latency));
        folds
            * match array.weight_registers {
                1 => tile + (vectors - 1) * vector + skew,
                _ => (vectors * vector).max(tile),
            }
    }
}

/// Cycles to requantise a chunk (T-6); the fetch of parameters about, where results are not transposed.
fn requantise_cycles(machine: &Machine, dataflow: Dataflow, chunk: &Chunk, pixels: u64, of_output: u64) -> u64 {
    let per_cycle = u64::from(machine.vector.requantise_per_cycle.max(1));
    let record = record_bytes(machine);
    if dataflow != Dataflow::InputStationary {
        return (pixels * chunk.outputs.1 as u64).div_ceil(per_cycle) + chunk.blocks as u64 * record;
    }
    let aw = u64::from(machine.activation.port_bytes);
    let sums = u64::from(machine.accumulator.port_bytes) / machine.array.accumulator_bytes();
    let per_cycle = per_cycle.min(sums).min(aw / of_output).max(1);
    let (channels, lanes) = (chunk.block_channels as u64, u64::from(machine.vector.lanes));
    let columns = u64::from(machine.array.columns);
    // Whole turns of `lanes` channels and groups of C pixels, and one of the rest.
    let turns = |of_turn: &dyn Fn(u64) -> u64| channels / lanes * of_turn(lanes) + of_turn(channels % lanes);
    let parameters = turns(&|n| (record * n).div_ceil(aw)) * pixels.div_ceil(columns);
    let fill = channels * (pixels / columns * columns.div_ceil(per_cycle) + (pixels % columns).div_ceil(per_cycle));
    let empty = pixels * turns(&|n| (n * of_output).div_ceil(aw));
    chunk.blocks as u64 * (parameters + fill + empty)
}
