//! Figures that follow from a machine: peaks, the ridge of its roofline, buffer geometry, a rough FPGA bill. No timing rule is used.

use crate::spec::{Buffer, Machine};

/// What `systole hw show` tells beside the file itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// 10^12 operations a second, a multiply-accumulate being two.
    pub peak_tops: f64,
    /// Multiply-accumulates of the array in a cycle.
    pub peak_macs_per_cycle: u64,
    /// Bytes of DRAM bandwidth in a core cycle; `None` where it is infinite.
    pub dram_bytes_per_cycle: Option<f64>,
    /// Multiply-accumulates per DRAM byte above which the array, not DRAM, limits; `None` where DRAM never does.
    pub ridge_point_macs_per_byte: Option<f64>,
    /// Activation, weight (unless one scratchpad serves both), accumulator.
    pub buffers: Vec<BufferGeometry>,
    /// What it might take on an FPGA.
    pub fpga: FpgaEstimate,
}

/// One buffer in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferGeometry {
    /// The key below `buffers`.
    pub name: &'static str,
    /// Bytes in all.
    pub capacity_bytes: u64,
    /// Banks.
    pub banks: u32,
    /// Bytes of a bank.
    pub bank_bytes: u64,
    /// Bytes that all ports together move in a cycle.
    pub bytes_per_cycle: u64,
    /// What one vector is, and how many fit: pixels of R operands, weight tiles of R × C, vectors of C sums.
    pub unit: &'static str,
    /// Bytes of that.
    pub unit_bytes: u64,
    /// How many fit, counting whole ones per bank.
    pub units: u64,
}

/// Blocks of an FPGA of the AMD UltraScale+ kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FpgaEstimate {
    /// DSP48E2 slices.
    pub dsp: u64,
    /// 36-kbit block RAMs.
    pub bram36: u64,
    /// What was assumed.
    pub assumption: &'static str,
}

/// The figures that follow from `machine`.
pub fn derived(machine: &Machine) -> Derived {
    let peak = machine.peak_macs_per_cycle();
    let clock = machine.clock_hz as f64;
    let dram_bytes_per_cycle = machine.dram.bandwidth_bytes_per_s().map(|bandwidth| bandwidth as f64 / clock);
    let rows = u64::from(machine.array.rows) * u64::from(machine.array.dot_product_width);
    let tile = rows * u64::from(machine.array.columns);
    let activation = if machine.unified { "unified" } else { "activation" };
    let mut buffers = vec![geometry(activation, &machine.activation, "vectors of R operands", rows)];
    if !machine.unified {
        buffers.push(geometry("weight", &machine.weight, "weight tiles", tile));
    }
    let sums = "vectors of C sums";
    buffers.push(geometry("accumulator", &machine.accumulator, sums, machine.accumulator_vector_bytes()));
    Derived {
        peak_tops: 2.0 * peak as f64 * clock / 1e12,
        peak_macs_per_cycle: peak,
        dram_bytes_per_cycle,
        ridge_point_macs_per_byte: dram_bytes_per_cycle.map(|bytes| peak as f64 / bytes),
        buffers,
        fpga: fpga(machine),
    }
}

fn geometry(name: &'static str, buffer: &Buffer, unit: &'static str, unit_bytes: u64) -> BufferGeometry {
    BufferGeometry {
        name,
        capacity_bytes: buffer.capacity_bytes,
        banks: buffer.banks,
        bank_bytes: buffer.bank_bytes(),
        bytes_per_cycle: u64::from(buffer.banks) * u64::from(buffer.ports) * u64::from(buffer.port_bytes),
        unit,
        unit_bytes,
        units: buffer.bank_bytes() / unit_bytes.max(1) * u64::from(buffer.banks),
    }
}

fn fpga(machine: &Machine) -> FpgaEstimate {
    let requantise = if machine.vector.float32 { 3 * u64::from(machine.vector.requantise_per_cycle) } else { 0 };
    let depthwise = if machine.vector.depthwise { u64::from(machine.vector.lanes) } else { 0 };
    let weight = if machine.unified { None } else { Some(&machine.weight) };
    let buffers = [Some(&machine.activation), weight, Some(&machine.accumulator)];
    FpgaEstimate {
        dsp: machine.peak_macs_per_cycle().div_ceil(2) + requantise + depthwise,
        bram36: buffers.into_iter().flatten().map(block_rams).sum(),
        assumption: "a DSP slice does two 8-bit MACs that share an operand; a float32 multiplier takes three slices, a depthwise lane one; \
                     a block RAM holds 4 KiB, 8 B wide, and is copied for each port of a bank; accumulators and control in logic are not counted",
    }
}

fn block_rams(buffer: &Buffer) -> u64 {
    let deep = buffer.bank_bytes().div_ceil(4096);
    let wide = u64::from(buffer.port_bytes).div_ceil(8);
    u64::from(buffer.banks) * u64::from(buffer.ports) * deep.max(wide)
}
