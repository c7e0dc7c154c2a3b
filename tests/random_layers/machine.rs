//! Random machines of every dataflow and arithmetic: 1 to 40 rows and columns, buffers down to the smallest that hold a tile.

use systole_machine::spec::*;

use crate::dice::Dice;

/// Any machine that the engines run, often too small for the network.
pub(crate) fn machine(dice: &mut Dice) -> Machine {
    let (rows, columns) = if dice.chance(70) {
        (dice.between(1, 9), dice.between(1, 9))
    } else {
        (dice.between(1, 40), dice.between(1, 40))
    };
    let buffer = |dice: &mut Dice, capacity: usize| {
        let banks = dice.pick(&[1, 1, 2, 3, 4, 8, 16]);
        Buffer {
            capacity_bytes: (capacity.div_ceil(banks) * banks) as u64,
            banks: banks as u32,
            port_bytes: dice.pick(&[1, 3, 4, 16, 32]),
            ports: dice.pick(&[1, 1, 1, 2, 3]),
        }
    };
    let sizes = if dice.chance(50) { [64, 600, 1500] } else { [4000, 20_000, 100_000] };
    let vectors = dice.between(1, 4) * dice.pick(&[1, 2, 8, 64]);
    let most = dice.pick(&sizes);
    let activation_bytes = dice.between(32, most);
    let tiles = dice.pick(&[2, 9, 30, 200]);
    let array = array(dice, rows, columns);
    let tile = rows * columns * array.dot_product_width as usize;
    let weight_bytes = dice.between(tile, tile * tiles);
    let sum_bytes = array.accumulator_bytes() as usize;
    let requantisation = requantisation(dice);
    let machine = Machine {
        name: "random".into(),
        clock_hz: 800_000_000,
        array,
        activation: buffer(dice, activation_bytes),
        weight: buffer(dice, weight_bytes),
        unified: false,
        accumulator: buffer(dice, vectors * columns * sum_bytes),
        vector: Vector {
            lanes: dice.between(1, 40) as u32,
            requantise_per_cycle: dice.between(1, 20) as u32,
            latency_cycles: dice.between(0, 6) as u32,
            float32: requantisation == Requantisation::Float32 || dice.chance(80),
            depthwise: false,
            requantisation,
        },
        outstanding_bursts: dice.pick(&[1, 2, 8, 32]),
        weight_decoder: None,
        dram: if dice.chance(30) {
            Dram::Ideal { burst_bytes: dice.pick(&[16, 64]) }
        } else {
            Dram::Simple {
                bandwidth_bytes_per_s: dice.pick(&[1_000_000_000, 12_800_000_000, 7_777_777_777, 34_000_000_000]),
                latency_cycles: dice.between(0, 90) as u64,
                burst_bytes: dice.pick(&[16, 32, 64]),
            }
        },
        control: Control {
            queue_depth: [0; 4].map(|_| dice.between(1, 9) as u32),
            issue_interval_cycles: dice.pick(&[1, 1, 2]),
            token_max: 255,
        },
        energy: None,
    };
    let machine = if dice.chance(25) { unified(machine, dice) } else { machine };
    Machine { array: Array { count: dice.pick(&[1, 1, 1, 2, 3, 4]), ..machine.array }, ..machine }
}

/// Some of the three dataflows in any order, sums of 24 to 48 bits, sometimes operands of 16 bits or under 8.
fn array(dice: &mut Dice, rows: usize, columns: usize) -> Array {
    let all = [Dataflow::WeightStationary, Dataflow::OutputStationary, Dataflow::InputStationary];
    let first = dice.below(3);
    let kept = if dice.chance(60) { 1 } else { dice.between(2, 3) };
    let mut operands = vec![OperandWidth { bits: 8, rate_milli: dice.pick(&[1000, 1000, 500, 2000]) }];
    if dice.chance(40) {
        operands.push(OperandWidth { bits: 16, rate_milli: dice.pick(&[1000, 500, 250]) });
    }
    let narrow = if dice.chance(50) { [4, 2, 1].as_slice() } else { &[] };
    for &bits in narrow {
        if dice.chance(40) {
            continue;
        }
        operands.push(OperandWidth { bits, rate_milli: dice.pick(&[1000, 500]) });
    }
    Array {
        rows: rows as u32,
        columns: columns as u32,
        count: 1,
        dataflows: (0..kept).map(|next| all[(first + next) % 3]).collect(),
        dot_product_width: dice.pick(&[1, 1, 1, 2, 3, 4]),
        pe_latency_cycles: dice.pick(&[1, 1, 2, 3]),
        operands,
        weight_registers: dice.pick(&[1, 2]),
        activation_bits: 8,
        accumulator_bits: dice.pick(&[32, 32, 32, 24, 30, 36, 40, 48]),
        overflow: if dice.chance(75) { Overflow::Wrap } else { Overflow::Saturate },
    }
}

fn requantisation(dice: &mut Dice) -> Requantisation {
    match dice.below(5) {
        0 | 1 => Requantisation::Float32,
        2 => Requantisation::FixedPoint { multiplier_bits: dice.pick(&[32, 32, 31, 16, 8]), double_rounding: false },
        3 => Requantisation::FixedPoint { multiplier_bits: 32, double_rounding: true },
        _ => Requantisation::Shift,
    }
}

/// The same with one scratchpad instead of two buffers, often of one bank.
fn unified(machine: Machine, dice: &mut Dice) -> Machine {
    let Buffer { capacity_bytes, banks, .. } = machine.activation;
    let banks = if dice.chance(40) { 1 } else { banks };
    let capacity_bytes = (capacity_bytes + machine.weight.capacity_bytes).next_multiple_of(u64::from(banks));
    let one = Buffer { capacity_bytes, banks, ..machine.activation };
    Machine { activation: one, weight: one, unified: true, ..machine }
}
