//! T-5, what the issuing side computes of a run: cycles a vector, a tile's row, a drained row; and for the testbench the cycles of a run on an idle array.

use systole_machine::isa::DataflowChoice;
use systole_machine::spec::Machine;

use super::run::Run;

/// d: cycles to drain a row of sums, and to write a vector of them.
pub fn drain_cycles(machine: &Machine) -> u64 {
    machine.accumulator_vector_bytes().div_ceil(machine.accumulator.port_bytes.into())
}

/// Q.
fn chunk(machine: &Machine, run: &Run) -> u64 {
    let products = u64::from(machine.array.dot_product_width);
    if run.dataflow == DataflowChoice::OutputStationary { products } else { products * u64::from(machine.array.rows) }
}

/// Bytes of an activation.
fn element_bytes(run: &Run) -> u64 {
    1 + u64::from(run.wide_activation)
}

/// v: cycles from a vector, or step, to the next.
pub fn step_cycles(machine: &Machine, run: &Run) -> u64 {
    let (activation, weight) = (u64::from(machine.activation.port_bytes), u64::from(machine.weight.port_bytes));
    let (rows, columns) = (u64::from(machine.array.rows), u64::from(machine.array.columns));
    let (elements, _) = run.kernel_row();
    let longest = elements.min(chunk(machine, run));
    let bytes = element_bytes(run);
    let moved = match run.dataflow {
        DataflowChoice::WeightStationary => (longest * bytes).div_ceil(activation).max(drain_cycles(machine)),
        DataflowChoice::InputStationary => longest.div_ceil(weight).max(drain_cycles(machine)),
        DataflowChoice::OutputStationary => {
            let products = u64::from(machine.array.dot_product_width);
            let mut accesses = rows * (elements * bytes).div_ceil(activation);
            if run.pixel_pitch == bytes * run.channels {
                let taps = if run.packed { run.kernel_w } else { 1 };
                let stretch = bytes * run.channels * ((rows - 1) * run.stride_w + taps);
                accesses = accesses.min(stretch.div_ceil(activation));
            }
            accesses.div_ceil(elements.div_ceil(products)).max((columns * products).div_ceil(weight))
        }
    };
    moved.max(machine.array.interval_cycles(if run.wide_activation { 16 } else { 8 }).unwrap_or(1))
}

/// wl: cycles to load a row of a tile (nothing loads output-stationary).
pub fn tile_row_cycles(machine: &Machine, run: &Run) -> u64 {
    let array = &machine.array;
    let (rows, columns) = (u64::from(array.rows), u64::from(array.columns));
    let moved = if run.dataflow == DataflowChoice::InputStationary {
        let longest = run.kernel_row().0.min(chunk(machine, run)) * element_bytes(run);
        (columns * longest.div_ceil(machine.activation.port_bytes.into())).div_ceil(rows)
    } else {
        (columns * u64::from(array.dot_product_width)).div_ceil(machine.weight.port_bytes.into())
    };
    moved.max(array.pe_latency_cycles.into())
}

/// Folds of a run, and vectors or steps of a fold.
fn folds(machine: &Machine, run: &Run) -> (u64, u64) {
    let (elements, runs) = run.kernel_row();
    let chunks = run.kernel_h * runs * elements.div_ceil(chunk(machine, run));
    let pixels = run.height_out * run.width_out;
    match run.dataflow {
        DataflowChoice::WeightStationary => (run.blocks * chunks, pixels),
        DataflowChoice::InputStationary => {
            (run.blocks * pixels.div_ceil(machine.array.columns.into()) * chunks, run.outputs)
        }
        DataflowChoice::OutputStationary => (run.blocks * pixels.div_ceil(machine.array.rows.into()), chunks),
    }
}

/// e − s of a run that starts on an idle array.
pub fn run_cycles(machine: &Machine, run: &Run) -> u64 {
    let array = &machine.array;
    let (rows, columns) = (u64::from(array.rows), u64::from(array.columns));
    let (latency, drain) = (u64::from(array.pe_latency_cycles), drain_cycles(machine));
    let (count, vectors) = folds(machine, run);
    let step = step_cycles(machine, run);
    let stays = run.dataflow == DataflowChoice::OutputStationary;
    let (tile, tail, apart) = if stays {
        (0, latency - 1 + rows + columns + (rows - 1) * drain, rows * drain)
    } else {
        let tile = rows * tile_row_cycles(machine, run);
        (tile, rows * latency + columns - 1, tile)
    };
    let fold = (vectors - 1) * step + tail;
    if array.weight_registers == 2 {
        tile + (count - 1) * (vectors * step).max(apart) + fold
    } else {
        count * (tile + fold)
    }
}
