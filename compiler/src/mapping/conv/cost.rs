//! Cycles of a mapping in closed form: T-5 for the array, T-6 for requantisation, T-7 for the bus.

use systole_machine::spec::{Dataflow, Machine};

use super::spread::{Side, Spread, turns};
use super::{Chunk, ConvMapping, Part, Placement, Problem, chunk_elements};
use crate::fixed::record_bytes;
use crate::formats::row_bytes;
use crate::mapping::{ITEM_CYCLES, bursts, bus_cycles, input_extent};

impl Problem<'_> {
    /// Cycles by the timing rules: the busiest of arrays, bus and vector unit, and what they cannot overlap at either end.
    pub(super) fn cost(&self, mapping: &ConvMapping) -> u64 {
        let machine = self.machine;
        let tiles = ((self.output[1].div_ceil(mapping.tile[0])) * (self.output[2].div_ceil(mapping.tile[1]))) as u64;
        let pixels = (mapping.tile[0] * mapping.tile[1]) as u64;
        let of_output = self.element_bytes[1] as u64;
        let (mut array, mut vector, mut items, mut weights, mut store) = (0, 0, 0, 0, 0);
        for chunk in &mapping.chunks {
            items += chunk.parts.len() as u64;
            for part in &chunk.parts {
                array += self.run_cycles(mapping, chunk, part, pixels);
                weights += bursts(machine, 1, part.weight_bytes);
            }
            vector += requantise_cycles(machine, mapping.dataflow, chunk, pixels, of_output);
            let output = self.output[3];
            store += if self.scattered && mapping.whole_output {
                // All chunks together, once.
                bursts(machine, pixels, self.pixel_bytes(1, output) as u64) / mapping.chunks.len() as u64
            } else if !self.scattered && (mapping.whole_output || chunk.outputs.1 == output) {
                bursts(machine, 1, pixels * self.pixel_bytes(1, chunk.outputs.1) as u64)
            } else {
                bursts(machine, pixels, self.pixel_bytes(1, chunk.outputs.1) as u64)
            };
        }
        let input = self.input_bursts(mapping);
        let first_weights = mapping.chunks[0].parts[0].weight_bytes;
        let weight_loads = weights * self.weight_loads(mapping, tiles);
        let bus = bus_cycles(machine, (input + store) * tiles + weight_loads);
        let first = bus_cycles(machine, bursts(machine, 1, first_weights) + if mapping.shared { input } else { 1 });
        let last_items = if mapping.whole_output { 1 } else { mapping.chunks.len() as u64 };
        let last = vector / mapping.chunks.len() as u64 + bus_cycles(machine, store / last_items);
        let (spread, place) = (mapping.spread, &mapping.place);
        let vector = vector * tiles;
        // With one array that has to wait for its sums to be read, everything waits; with several each waits for its own.
        let waits = if spread.arrays > 1 && !self.sums_apart(place) { vector / spread.arrays as u64 } else { 0 };
        let array = self.spread_cycles(mapping, array, tiles) + waits;
        let double = place.double_regions && (place.double_sums || spread.arrays > 1);
        let overlapped = if double { array.max(bus).max(vector) } else { array + bus + vector };
        let single_weights = !place.resident && !place.double_weight;
        overlapped
            + first
            + last
            + (items * tiles * ITEM_CYCLES).div_ceil(self.side_by_side(mapping, tiles))
            + if single_weights { bus_cycles(machine, weight_loads) } else { 0 }
    }

    /// Whether the vector unit reads sums while the array that made them makes others.
    fn sums_apart(&self, place: &Placement) -> bool {
        let buffer = &self.machine.accumulator;
        place.double_sums && (buffer.ports > 1 || place.sums.len() <= buffer.banks as usize)
    }

    /// Pieces of work that go on at the same time.
    fn side_by_side(&self, mapping: &ConvMapping, tiles: u64) -> u64 {
        let lanes = match mapping.spread.side {
            Side::Chunks => mapping.chunks.len() as u64,
            Side::Tiles => 1,
        };
        let (turns, looked_at) = turns(self.machine, mapping);
        let busy = (tiles * self.output[0] as u64 * lanes).min(mapping.spread.arrays as u64);
        (busy * looked_at / turns.max(1)).max(1)
    }

    /// Bursts of a tile's input, all copies.
    fn input_bursts(&self, mapping: &ConvMapping) -> u64 {
        let extent = input_extent(self.window, [self.input[1], self.input[2]], mapping.tile);
        let pixels = (extent[0] * extent[1]) as u64;
        if !mapping.shared {
            let parts = mapping.chunks.iter().flat_map(|chunk| &chunk.parts);
            return parts.map(|part| bursts(self.machine, pixels, self.pixel_bytes(0, part.channels.1) as u64)).sum();
        }
        let copies = match mapping.spread {
            Spread { arrays, side: Side::Chunks, copies: true } => arrays.min(mapping.chunks.len()) as u64,
            _ => 1,
        };
        copies * bursts(self.machine, 1, pixels * self.pixel_bytes(0, self.input[3]) as u64)
    }

    /// How often all weights are loaded for an image.
    fn weight_loads(&self, mapping: &ConvMapping, tiles: u64) -> u64 {
        match mapping.spread {
            spread if mapping.place.resident => spread.weight_copies() as u64,
            Spread { arrays, side: Side::Tiles, copies: false } => {
                let images = self.output[0] as u64;
                (tiles * images).div_ceil(arrays as u64).div_ceil(images)
            }
            _ => tiles,
        }
    }

    /// Cycles of an image on all arrays, when one has `array` of them for a tile: rounds of runs side by side, in as many turns as ports ask for.
    fn spread_cycles(&self, mapping: &ConvMapping, array: u64, tiles: u64) -> u64 {
        let (arrays, chunks, images) =
            (mapping.spread.arrays as u64, mapping.chunks.len() as u64, self.output[0] as u64);
        let (turns, looked_at) = turns(self.machine, mapping);
        let rounds = match mapping.spread.side {
            Side::Chunks => (tiles * images * chunks).div_ceil(arrays),
            Side::Tiles => (tiles * images).div_ceil(arrays) * chunks,
        };
        let scaled = u128::from(array) * u128::from(rounds) * u128::from(turns);
        u64::try_from(scaled / u128::from(chunks * images * looked_at)).unwrap_or(u64::MAX)
    }

    /// Whether a bank holds bytes of the input and of the weights (T-5).
    fn one_bank(&self, mapping: &ConvMapping, part: &Part) -> bool {
        if !self.machine.unified {
            return false;
        }
        let place = &mapping.place;
        let bank = self.machine.activation.bank_bytes().max(1);
        let of_part = if place.resident { part.weight_offset } else { 0 };
        let ends = |slots: &[u64]| Some((*slots.first()?, *slots.last()?));
        let (Some((input, last_input)), Some((weight, last_weight))) = (ends(&place.regions[0]), ends(&place.weight))
        else {
            return false;
        };
        let last_of = |first: u64, bytes: u64| (first + bytes).saturating_sub(1) / bank;
        input / bank <= last_of(last_weight + of_part, part.weight_bytes)
            && (weight + of_part) / bank <= last_of(last_input, mapping.region_bytes[0])
    }

    /// Cycles from stream to stream of one `ar.run` (T-5): with two registers what the next run can overlap is left out.
    fn run_cycles(&self, mapping: &ConvMapping, chunk: &Chunk, part: &Part, pixels: u64) -> u64 {
        let array = &self.machine.array;
        let [rows, columns, width, latency] =
            [array.rows, array.columns, array.dot_product_width, array.pe_latency_cycles].map(u64::from);
        let ports = [&self.machine.activation, &self.machine.weight, &self.machine.accumulator];
        let [aw, ww, cw] = ports.map(|buffer| u64::from(buffer.port_bytes));
        let activations = |elements: u64| self.pixel_bytes(0, elements as usize) as u64;
        let weights = |weights: u64| row_bytes(self.weight_format, weights as usize) as u64;
        let interval = array.interval_cycles(self.width_bits()).unwrap_or(1);
        let sums = self.machine.accumulator_vector_bytes().div_ceil(cw);
        let (blocks, steps) = (chunk.blocks as u64, part.folds as u64);
        let channels = if chunk.block_step > 0 { chunk.run_channels } else { part.channels.1 };
        let run = (if mapping.packed { channels * self.window.kernel[1] } else { channels }) as u64;
        let longest = run.min(chunk_elements(self.machine, mapping.dataflow) as u64);
        let skew = rows * latency + columns - 1;
        let one_bank = self.one_bank(mapping, part);
        let (folds, vectors, load_row, vector) = match mapping.dataflow {
            Dataflow::WeightStationary => {
                let vector = activations(longest).div_ceil(aw).max(sums);
                (blocks * steps, pixels, weights(columns * width).div_ceil(ww), vector)
            }
            Dataflow::InputStationary => {
                let load_row = (columns * activations(longest).div_ceil(aw)).div_ceil(rows);
                let vector = weights(longest).div_ceil(ww).max(sums);
                (blocks * pixels.div_ceil(columns) * steps, chunk.block_channels as u64, load_row, vector)
            }
            Dataflow::OutputStationary => {
                let feed = self.feed_cycles(mapping, part, channels as u64).div_ceil(run.div_ceil(width));
                let weights = weights(columns * width).div_ceil(ww);
                let step = interval.max(if one_bank { feed + weights } else { feed.max(weights) });
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
                _ if one_bank => vectors * vector + tile,
                _ => (vectors * vector).max(tile),
            }
    }

    /// A of T-5: port cycles for the runs of R neighbouring pixels, read one by one or as the stretch that dense ones lie in.
    fn feed_cycles(&self, mapping: &ConvMapping, part: &Part, channels: u64) -> u64 {
        let (rows, port) = (u64::from(self.machine.array.rows), u64::from(self.machine.activation.port_bytes));
        let taps = if mapping.packed { self.window.kernel[1] as u64 } else { 1 };
        let bytes = |channels: u64| self.pixel_bytes(0, channels as usize) as u64;
        let apart = rows * bytes(taps * channels).div_ceil(port);
        let pitch = if mapping.shared { self.input[3] } else { part.channels.1 } as u64;
        if pitch != channels {
            return apart;
        }
        let stretch = bytes(channels) * ((rows - 1) * self.window.stride[1] as u64 + taps);
        apart.min(stretch.div_ceil(port))
    }
}

/// Cycles to requantise a chunk (T-6); the fetch of parameters about, where results are not transposed.
fn requantise_cycles(machine: &Machine, dataflow: Dataflow, chunk: &Chunk, pixels: u64, of_output: u64) -> u64 {
    let aw = u64::from(machine.activation.port_bytes);
    let per_cycle = u64::from(machine.vector.requantise_per_cycle).min(aw / of_output).max(1);
    let record = record_bytes(machine);
    if dataflow != Dataflow::InputStationary {
        return (pixels * chunk.outputs.1 as u64).div_ceil(per_cycle) + chunk.blocks as u64 * record;
    }
    let sums = u64::from(machine.accumulator.port_bytes) / machine.array.accumulator_bytes();
    let per_cycle = per_cycle.min(sums).max(1);
    let (channels, lanes) = (chunk.block_channels as u64, u64::from(machine.vector.lanes));
    let columns = u64::from(machine.array.columns);
    // Whole turns of `lanes` channels and groups of C pixels, and one of the rest.
    let turns = |of_turn: &dyn Fn(u64) -> u64| channels / lanes * of_turn(lanes) + of_turn(channels % lanes);
    let parameters = turns(&|n| (record * n).div_ceil(aw)) * pixels.div_ceil(columns);
    let fill = channels * (pixels / columns * columns.div_ceil(per_cycle) + (pixels % columns).div_ceil(per_cycle));
    let empty = pixels * turns(&|n| (n * of_output).div_ceil(aw));
    chunk.blocks as u64 * (parameters + fill + empty)
}
