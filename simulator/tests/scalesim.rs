//! A third opinion on the array's time: SCALE-Sim's own reports (`fixtures/scalesim`) for AlexNet and ResNet-18 in three dataflows, on arrays of 32 × 32 and 256 × 256.
//!
//! One register, ideal DRAM and ports that never limit make the machine that SCALE-Sim models: one full-size fold an `ar.run`, each after the end of the
//! one before. The folds' durations add up to its total of every layer, whose number is the index of the last cycle, one less than the cycles; output-stationary
//! SCALE-Sim leaves out the drain, R cycles a fold. Only time is compared; loads, stores and values are not here.

use std::path::Path;

use systole_machine::isa::{DataflowChoice, Flag, Instruction, Operation, Unsigned};
use systole_machine::spec::{
    Array, Buffer, Control, Dataflow, Dram, Machine, OperandWidth, Overflow, Requantisation, Vector,
};
use systole_simulator::contract::{Job, Outcome, Timing};
use systole_simulator::{fast, reference};

const TOPOLOGIES: [(&str, usize); 2] = [("alexnet", 5), ("Resnet18", 21)];
const CONFIGURATIONS: [(&str, u32); 2] = [("scale", 32), ("google", 256)];
const DATAFLOWS: [(&str, Dataflow, DataflowChoice); 3] = [
    ("ws", Dataflow::WeightStationary, DataflowChoice::WeightStationary),
    ("os", Dataflow::OutputStationary, DataflowChoice::OutputStationary),
    ("is", Dataflow::InputStationary, DataflowChoice::InputStationary),
];
const FUEL_CYCLES: u64 = 1_000_000;

/// A layer as a matrix product: M output pixels (height × width), K, N.
#[derive(Clone, Copy, Debug)]
struct Layer {
    height: u64,
    width: u64,
    reduction: u64,
    filters: u64,
}

impl Layer {
    /// From a line of a topology. Input sizes contain the padding, output sizes are rounded up.
    fn parse(line: &str) -> Layer {
        let numbers: Vec<u64> = cells(line).skip(1).map(|cell| cell.parse().expect("a number")).collect();
        let [in_height, in_width, kernel_height, kernel_width, channels, filters, stride] = numbers[..] else {
            panic!("seven numbers: {line}");
        };
        Layer {
            height: (in_height - kernel_height + stride).div_ceil(stride),
            width: (in_width - kernel_width + stride).div_ceil(stride),
            reduction: kernel_height * kernel_width * channels,
            filters,
        }
    }

    fn pixels(self) -> u64 {
        self.height * self.width
    }

    /// The folds in one dataflow: what one `ar.run` each does.
    fn folds(self, dataflow: DataflowChoice, side: u64) -> Vec<Fold> {
        let whole = (self.height, self.width);
        let groups = || cuts(self.pixels(), side).into_iter().map(|pixels| (1, pixels));
        let chunks = || cuts(self.reduction, side).into_iter().enumerate();
        let fold = |image, channels, outputs, accumulate| Fold { image, channels, outputs, accumulate };
        let blocks = self.filters.div_ceil(side);
        match dataflow {
            DataflowChoice::WeightStationary => {
                (0..blocks).flat_map(|_| chunks().map(|(index, chunk)| fold(whole, chunk, 0, index > 0))).collect()
            }
            DataflowChoice::OutputStationary => {
                (0..blocks).flat_map(|_| groups().map(|group| fold(group, self.reduction, 0, false))).collect()
            }
            DataflowChoice::InputStationary => groups()
                .flat_map(|group| chunks().map(move |(index, chunk)| fold(group, chunk, self.filters, index > 0)))
                .collect(),
        }
    }
}

/// One fold: output pixels (height, width), length of the reduction, streamed outputs (input-stationary).
#[derive(Clone, Copy, Debug)]
struct Fold {
    image: (u64, u64),
    channels: u64,
    outputs: u64,
    accumulate: bool,
}

/// `whole` in pieces of `side`, the last one shorter.
fn cuts(whole: u64, side: u64) -> Vec<u64> {
    (0..whole).step_by(side as usize).map(|first| side.min(whole - first)).collect()
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(str::trim).filter(|cell| !cell.is_empty())
}

/// The lines of a file of the fixtures, without its header.
fn lines(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scalesim").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().skip(1).filter(|line| cells(line).next().is_some()).map(str::to_owned).collect()
}

/// Layers with their "Total Cycles".
fn layers(topology: &str, configuration: &str, dataflow: &str) -> Vec<(Layer, u64)> {
    let layers: Vec<Layer> = lines(&format!("{topology}.csv")).iter().map(|line| Layer::parse(line)).collect();
    let report = lines(&format!("{topology}__{configuration}__{dataflow}__compute.csv"));
    assert_eq!(layers.len(), report.len());
    let total = |(index, line): (usize, &String)| {
        let mut cells = cells(line);
        assert_eq!(cells.next().map(str::parse), Some(Ok(index)));
        cells.nth(1).expect("a third column").parse().expect("a number of cycles")
    };
    layers.into_iter().zip(report.iter().enumerate().map(total)).collect()
}

/// An array of `side` × `side` that nothing slows down, with room for `layer`.
fn machine(side: u32, layer: Layer, dataflow: Dataflow) -> Machine {
    let (wide, pixels) = (u64::from(side), layer.pixels());
    let reduction = layer.reduction.max(wide);
    let vectors = pixels.max(layer.filters).max(wide);
    let buffer = |bytes, port_bytes| Buffer { capacity_bytes: bytes, banks: 1, port_bytes, ports: 1 };
    Machine {
        name: "scale-sim".into(),
        clock_hz: 1_000_000_000,
        array: Array {
            rows: side,
            columns: side,
            count: 1,
            dataflows: vec![dataflow],
            dot_product_width: 1,
            pe_latency_cycles: 1,
            operands: vec![OperandWidth { bits: 8, rate_milli: 1000 }],
            weight_registers: 1,
            activation_bits: 8,
            accumulator_bits: 32,
            overflow: Overflow::Wrap,
        },
        activation: buffer(reduction * pixels.max(wide), (wide * reduction) as u32),
        weight: buffer(wide * reduction.max(layer.filters), side),
        unified: false,
        accumulator: buffer(4 * wide * vectors, 4 * side),
        vector: Vector {
            lanes: 1,
            requantise_per_cycle: 1,
            latency_cycles: 0,
            float32: false,
            depthwise: false,
            requantisation: Requantisation::Float32,
        },
        outstanding_bursts: 1,
        weight_decoder: None,
        dram: Dram::Ideal { burst_bytes: 64 },
        control: Control { queue_depth: [4; 4], issue_interval_cycles: 1, token_max: 1 },
        energy: None,
    }
}

fn u<const BITS: u32>(value: u64) -> Unsigned<BITS> {
    Unsigned::new(value).expect("the layer fits the instruction's fields")
}

/// The folds of a layer as 1 × 1 convolutions, one an `ar.run`; registers only where they change.
fn program(layer: Layer, side: u64, dataflow: DataflowChoice) -> Vec<Instruction> {
    let window = Operation::ArrayWindow {
        kernel_h: u(1),
        kernel_w: u(1),
        stride_h: u(1),
        stride_w: u(1),
        dilation_h: u(1),
        dilation_w: u(1),
        pad_top: u(0),
        pad_left: u(0),
        packed: Flag(false),
        array: u(0),
    };
    let mut operations = vec![window];
    let mut last = None;
    for fold in layer.folds(dataflow, side) {
        let (height, width) = (u(fold.image.0), u(fold.image.1));
        let registers = (fold.image, fold.channels, fold.outputs);
        if last != Some(registers) {
            let (row_pitch, pixel_pitch) = (u(fold.image.1 * fold.channels), u(fold.channels));
            let (channels, outputs) = (u(fold.channels), u(fold.outputs));
            operations.push(Operation::ArrayInput { height, width, row_pitch, pixel_pitch, array: u(0) });
            operations.push(Operation::ArrayOutput { height, width, channels, block_step: u(0), outputs, array: u(0) });
            last = Some(registers);
        }
        let (activation, weight, accumulator) = (u(0), u(0), u(0));
        let accumulate = Flag(fold.accumulate);
        let (blocks, array) = (u(1), u(0));
        operations.push(Operation::ArrayRun { activation, weight, accumulator, blocks, accumulate, dataflow, array });
    }
    operations.into_iter().map(Instruction::new).collect()
}

/// Number of runs and sum of their durations, none before the end of the one before.
fn runs(instructions: &[Instruction], timing: &Timing) -> (u64, u64) {
    assert_eq!(timing.outcome, Outcome::Halted);
    let (mut count, mut cycles, mut end) = (0, 0, 0);
    for (instruction, span) in instructions.iter().zip(&timing.spans) {
        let span = span.expect("it halted");
        if let Operation::ArrayRun { .. } = instruction.operation {
            assert!(span.start >= end, "folds are serial");
            (count, cycles, end) = (count + 1, cycles + span.end - span.start, span.end);
        }
    }
    (count, cycles)
}

/// What the folds of a layer should add up to, by SCALE-Sim's total.
fn expected(total: u64, dataflow: DataflowChoice, folds: u64, side: u32) -> u64 {
    let drains = if dataflow == DataflowChoice::OutputStationary { folds * u64::from(side) } else { 0 };
    total + 1 + drains
}

#[test]
fn the_fast_engine_agrees_on_every_layer() {
    let (mut compared, mut folds) = ([0; 3], 0);
    for (configuration, side) in CONFIGURATIONS {
        for (topology, count) in TOPOLOGIES {
            for (index, (name, dataflow, choice)) in DATAFLOWS.into_iter().enumerate() {
                // SCALE-Sim's report of this one is not among the references.
                if (topology, configuration, name) == ("Resnet18", "google", "is") {
                    continue;
                }
                let layers = layers(topology, configuration, name);
                assert_eq!(layers.len(), count);
                for (number, (layer, total)) in layers.into_iter().enumerate() {
                    let machine = machine(side, layer, dataflow);
                    let instructions = program(layer, u64::from(side), choice);
                    let timing = fast::timing(&Job { machine: &machine, instructions: &instructions, dram_bytes: 0 });
                    let (count, cycles) = runs(&instructions, &timing);
                    let wanted = expected(total, choice, count, side);
                    assert_eq!(cycles, wanted, "{topology}, layer {number} on {configuration}, {name}: {layer:?}");
                    compared[index] += 1;
                    folds += count;
                }
            }
        }
    }
    println!("{compared:?} layers, {folds} folds");
    assert_eq!(compared, [52, 52, 31]);
}

/// Both engines on a layer: number and sum of its folds.
fn both(side: u32, layer: Layer, dataflow: Dataflow, choice: DataflowChoice) -> (u64, u64) {
    let machine = machine(side, layer, dataflow);
    let instructions = program(layer, u64::from(side), choice);
    let job = Job { machine: &machine, instructions: &instructions, dram_bytes: 0 };
    let (slow, _) = reference::run(&job, &[], FUEL_CYCLES).expect("fuel enough");
    assert_eq!(slow, fast::timing(&job));
    runs(&instructions, &slow)
}

#[test]
fn the_reference_engine_agrees_on_whole_layers() {
    // PE by PE: layers of few cycles.
    let sample = [("alexnet", "scale", 32, 0), ("Resnet18", "scale", 32, 7), ("alexnet", "google", 256, 0)];
    for (topology, configuration, side, index) in sample {
        for (name, dataflow, choice) in DATAFLOWS {
            let (layer, total) = layers(topology, configuration, name)[index];
            let (folds, cycles) = both(side, layer, dataflow, choice);
            let wanted = expected(total, choice, folds, side);
            assert_eq!(cycles, wanted, "{topology}, layer {index} on {configuration}, {name}: {layer:?}");
        }
    }
}

#[test]
fn the_reference_engine_keeps_scale_sims_formulas() {
    let mut compared = 0;
    for side in [3u32, 8, 32] {
        let wide = u64::from(side);
        for (height, width) in [(1, 1), (1, 2), (3, 5), (4, 8)] {
            for (reduction, filters) in [(1, 1), (wide, wide), (wide + 1, wide), (2 * wide - 1, wide + 1)] {
                let layer = Layer { height, width, reduction, filters };
                let pieces = |length: u64| length.div_ceil(wide);
                let (pixels, blocks) = (layer.pixels(), pieces(filters));
                for (_, dataflow, choice) in DATAFLOWS {
                    let (folds, fold) = match choice {
                        DataflowChoice::WeightStationary => (pieces(reduction) * blocks, 3 * wide + pixels - 2),
                        DataflowChoice::OutputStationary => (pieces(pixels) * blocks, 3 * wide + reduction - 2),
                        DataflowChoice::InputStationary => (pieces(reduction) * pieces(pixels), 3 * wide + filters - 2),
                    };
                    let counted = both(side, layer, dataflow, choice);
                    assert_eq!(counted, (folds, folds * fold), "{side}: {layer:?}, {choice:?}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 144);
}
