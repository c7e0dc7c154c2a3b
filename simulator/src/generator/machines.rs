//! Random machines: small ones mostly, with every quantity that time depends on, inside what a machine file may say (the largest values apart).

use systole_machine::spec::{
    Array, Buffer, Control, Dataflow, Dram, Machine, OperandWidth, Overflow, Requantisation, Vector, WeightDecoder,
};

use super::Style;
use super::draw::Draw;

/// A machine for a program of this style.
pub(super) fn machine(draw: &mut Draw, style: Style) -> Machine {
    let array = array(draw);
    let clock_hz = draw.pick(&[1, 3, 800_000_000, 1_000_000_000, 999_999_937, 650_000_001]);
    let long = style == Style::LongTransfers;
    let (low, high) = if long { (1, 2) } else { (1, 8) };
    let mut machine = Machine {
        name: "generated".into(),
        clock_hz,
        activation: activation(draw),
        weight: weight(draw, &array),
        unified: false,
        accumulator: accumulator(draw, &array),
        vector: vector(draw),
        outstanding_bursts: if draw.chance(25) { 1 } else { draw.range(low, high) as u32 },
        weight_decoder: weight_decoder(draw),
        dram: dram(draw, clock_hz, long),
        control: control(draw),
        array,
        energy: None,
    };
    // Only a unit with many bursts under way can pass another's again and again.
    if matches!(machine.dram, Dram::Banked(_)) && !long && draw.chance(30) {
        machine.outstanding_bursts = draw.range(16, 64) as u32;
    }
    if style == Style::Large {
        enlarge(draw, &mut machine);
    }
    if machine.array.count > 1 && draw.chance(40) {
        for buffer in [&mut machine.activation, &mut machine.weight, &mut machine.accumulator] {
            buffer.ports = draw.range(1, 5) as u32;
        }
    }
    if draw.chance(25) {
        unify(draw, &mut machine);
    }
    machine
}

/// One memory with room for both, of fewer banks more often than not, so that operands meet in one.
fn unify(draw: &mut Draw, machine: &mut Machine) {
    let bytes = machine.activation.capacity_bytes + machine.weight.capacity_bytes;
    let banks = draw.small(1, 6);
    let capacity_bytes = banks * bytes.div_ceil(banks);
    machine.activation = Buffer { capacity_bytes, banks: banks as u32, ..machine.activation };
    machine.weight = machine.activation;
    machine.unified = true;
}

/// The same kind of machine with more of everything.
fn enlarge(draw: &mut Draw, machine: &mut Machine) {
    (machine.array.rows, machine.array.columns) = (draw.range(6, 40) as u32, draw.range(6, 40) as u32);
    let tile = tile_bytes(&machine.array);
    let mut large = |buffer: &mut Buffer, bytes: u64| {
        buffer.port_bytes = 4 * draw.range(4, 32) as u32;
        buffer.capacity_bytes = u64::from(buffer.banks) * bytes;
    };
    large(&mut machine.activation, 40_000);
    large(&mut machine.weight, tile * 60);
    large(&mut machine.accumulator, 60_000);
    (machine.vector.lanes, machine.vector.float32) = (32, true);
    machine.outstanding_bursts = 8;
    let bandwidth_bytes_per_s = machine.clock_hz * draw.range(8, 32);
    if matches!(machine.dram, Dram::Banked(_)) {
        return;
    }
    machine.dram = Dram::Simple { bandwidth_bytes_per_s, latency_cycles: draw.range(0, 100), burst_bytes: 64 };
}

fn array(draw: &mut Draw) -> Array {
    let mut side = || {
        let most = draw.weighted(&[(50, 4), (30, 8), (15, 16), (5, 40)]);
        draw.range(1, most) as u32
    };
    let (rows, columns) = (side(), side());
    Array {
        rows,
        columns,
        count: draw.weighted(&[(60, 1), (20, 2), (8, 3), (12, 4)]),
        dataflows: dataflows(draw),
        dot_product_width: if draw.chance(70) { 1 } else { draw.range(2, 5) as u32 },
        pe_latency_cycles: if draw.chance(70) { 1 } else { draw.range(2, 4) as u32 },
        operands: operands(draw),
        weight_registers: draw.range(1, 2) as u32,
        activation_bits: 8,
        accumulator_bits: if draw.chance(60) { 32 } else { draw.range(16, 48) as u32 },
        overflow: if draw.chance(75) { Overflow::Wrap } else { Overflow::Saturate },
    }
}

/// 8 bit, mostly; 16 bit too, or alone; at times some under 8.
fn operands(draw: &mut Draw) -> Vec<OperandWidth> {
    let mut width = |bits| OperandWidth { bits, rate_milli: draw.weighted(&[(80, 1000), (10, 500), (10, 400)]) };
    let (narrow, wide) = (width(8), width(16));
    let under = [4, 2, 1].map(&mut width);
    let mut all = match draw.range(0, 19) {
        0..12 => vec![narrow],
        12..16 => vec![narrow, wide],
        16 | 17 => vec![wide, narrow],
        _ => vec![wide],
    };
    if draw.chance(40) {
        all.extend(under.into_iter().filter(|_| draw.chance(60)));
    }
    all
}

/// One, two or all three.
fn dataflows(draw: &mut Draw) -> Vec<Dataflow> {
    let all = [Dataflow::WeightStationary, Dataflow::OutputStationary, Dataflow::InputStationary];
    match draw.range(0, 9) {
        0..3 => vec![Dataflow::WeightStationary],
        3..5 => vec![Dataflow::OutputStationary],
        5..7 => vec![Dataflow::InputStationary],
        7 => vec![draw.pick(&all[..1]), draw.pick(&all[1..])],
        _ => all.to_vec(),
    }
}

fn tile_bytes(array: &Array) -> u64 {
    u64::from(array.rows) * u64::from(array.columns) * u64::from(array.dot_product_width)
}

fn port_bytes(draw: &mut Draw) -> u32 {
    let any = draw.range(1, 40) as u32;
    draw.pick(&[1, 2, 3, 4, 5, 7, 8, 16, 32, 64, any, any])
}

fn buffer(draw: &mut Draw, banks: u64, bank_bytes: u64, port_bytes: u32) -> Buffer {
    Buffer { capacity_bytes: banks * bank_bytes, banks: banks as u32, port_bytes, ports: draw.small(1, 3) as u32 }
}

fn activation(draw: &mut Draw) -> Buffer {
    let banks = draw.range(1, 8);
    let most = draw.pick(&[40, 120, 300]);
    let (bank, port) = (draw.range(24, most), port_bytes(draw));
    buffer(draw, banks, bank, port)
}

fn weight(draw: &mut Draw, array: &Array) -> Buffer {
    let banks = draw.range(1, 8);
    let tile = tile_bytes(array);
    let bytes = tile * draw.range(1, 10) + draw.range(0, 30);
    let port = port_bytes(draw);
    buffer(draw, banks, bytes.div_ceil(banks).max(4), port)
}

fn accumulator(draw: &mut Draw, array: &Array) -> Buffer {
    let banks = draw.range(1, 8);
    let word = array.accumulator_bytes();
    let vector = word * u64::from(array.columns);
    // What is left of a bank beyond its last whole vector is no vector.
    let slack = if draw.chance(30) { draw.range(0, vector - 1) } else { 0 };
    // Room for every array.
    let bank = vector * draw.small(1, 24) * u64::from(array.count) + slack;
    let port = word as u32 * draw.pick(&[1, 2, 3, 4, 8, 16, array.columns, array.columns]);
    buffer(draw, banks, bank, port)
}

fn weight_decoder(draw: &mut Draw) -> Option<WeightDecoder> {
    let output_bytes = draw.pick(&[1, 2, 3, 8, 16, 64]);
    let latency_cycles = if draw.chance(20) { 0 } else { draw.small(1, 40) as u32 };
    draw.chance(40).then_some(WeightDecoder { output_bytes, latency_cycles })
}

fn vector(draw: &mut Draw) -> Vector {
    let requantisation = requantisation(draw);
    let float32 = draw.chance(if requantisation == Requantisation::Float32 { 90 } else { 60 });
    Vector {
        lanes: draw.range(1, 12) as u32,
        requantise_per_cycle: draw.range(1, 12) as u32,
        latency_cycles: if draw.chance(20) { 0 } else { draw.small(1, 30) as u32 },
        float32,
        depthwise: false,
        requantisation,
    }
}

fn requantisation(draw: &mut Draw) -> Requantisation {
    let multiplier_bits = if draw.chance(60) { 32 } else { draw.range(8, 32) as u32 };
    match draw.range(0, 9) {
        0..4 => Requantisation::Float32,
        4 | 5 => Requantisation::FixedPoint { multiplier_bits, double_rounding: false },
        6 | 7 => Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: true },
        _ => Requantisation::Shift,
    }
}

fn dram(draw: &mut Draw, clock_hz: u64, long: bool) -> Dram {
    let burst_bytes = draw.pick(&[1, 4, 8, 16, 16, 32, 32, 64, 64, 128]);
    if draw.chance(if long { 5 } else { 25 }) {
        return Dram::Ideal { burst_bytes };
    }
    if draw.chance(40) {
        return Dram::Banked(super::memories::banked(draw, clock_hz));
    }
    // Cycles of a burst in 64ths: from far under one to some dozens.
    let sixty_fourths = draw.pick(&[3, 17, 64, 65, 100, 128, 250, 640, 2000]);
    let exact = u64::from(burst_bytes) * clock_hz * 64 / sixty_fourths;
    let odd = draw.range(0, 3);
    let most = if long { 100 } else { draw.pick(&[0, 8, 100]) };
    let latency_cycles = draw.range(if long { 20 } else { 0 }, most);
    Dram::Simple { bandwidth_bytes_per_s: (exact + odd).max(1), latency_cycles, burst_bytes }
}

fn control(draw: &mut Draw) -> Control {
    let deep = draw.chance(20);
    let shallow = draw.chance(25);
    let queue_depth = std::array::from_fn(|_| match () {
        () if deep => 8,
        () if shallow => 1,
        () => draw.range(1, 8) as u32,
    });
    Control { queue_depth, issue_interval_cycles: draw.small(1, 3) as u32, token_max: draw.small(1, 64) as u32 }
}
