//! Random programs: both buffers are filled, then one to three convolutions follow one another on the array.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use systole_machine::isa::{DataflowChoice, Flag, Instruction, Operation, Signed, Space, Unit, UnitMask, Unsigned};
use systole_machine::spec::{Dataflow, Machine};

/// A program with what DRAM holds.
pub(crate) struct Program {
    /// Its instructions.
    pub instructions: Vec<Instruction>,
    /// DRAM.
    pub dram: Vec<u8>,
    /// `ar.run`s.
    pub runs: u64,
    /// Folds of all of them.
    pub tiles: u64,
}

struct Draw(ChaCha8Rng);

impl Draw {
    fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high.max(low) - low + 1)
    }

    /// Small ones more often.
    fn small(&mut self, low: u64, high: u64) -> u64 {
        let top = self.range(low, high);
        self.range(low, top)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.range(0, from.len() as u64 - 1) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.range(1, 100) <= percent
    }
}

fn u<const BITS: u32>(value: u64) -> Unsigned<BITS> {
    Unsigned::new(value).expect("in range")
}

fn i<const BITS: u32>(value: i64) -> Signed<BITS> {
    Signed::new(value).expect("in range")
}

/// The program of a seed.
pub(crate) fn program(machine: &Machine, dataflow: Dataflow, seed: u64) -> Program {
    let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
    let (activation, weight) = (machine.activation.capacity_bytes, machine.weight.capacity_bytes);
    let mut dram = vec![0; (activation + weight) as usize];
    draw.0.fill_bytes(&mut dram);
    let mut program = Program { instructions: Vec::new(), dram, runs: 0, tiles: 0 };
    load(&mut program, 0, activation, Space::Activation);
    load(&mut program, activation, weight, Space::Weight);
    token(&mut program, Operation::LoadSync {}, UnitMask::default(), UnitMask::default().with(Unit::Array));
    token(
        &mut program,
        Operation::ArraySync { array: u(0) },
        UnitMask::default().with(Unit::Load),
        UnitMask::default(),
    );
    let wanted = draw.range(1, 3);
    while program.runs < wanted {
        // Now and then another dataflow, which must wait for the drain.
        let dataflow = if draw.chance(15) { draw.pick(&machine.array.dataflows) } else { dataflow };
        let shape = Shape::draw(&mut draw, machine, dataflow);
        if let Some(tiles) = shape.fits(machine) {
            shape.push(&mut program, &mut draw);
            program.runs += 1;
            program.tiles += tiles;
        }
    }
    program
}

fn token(program: &mut Program, operation: Operation, wait: UnitMask, signal: UnitMask) {
    program.instructions.push(Instruction { wait, signal, operation });
}

/// A whole buffer from DRAM.
fn load(program: &mut Program, dram: u64, bytes: u64, space: Space) {
    let operations = [
        Operation::LoadShape { row_bytes: u(bytes), rows: u(1), planes: u(1) },
        Operation::LoadDramPitch { row_pitch: u(0), plane_pitch: u(0) },
        Operation::LoadBufferPitch { row_pitch: u(0), plane_pitch: u(0) },
        Operation::LoadRun { dram: u(dram), buffer: u(0), space },
    ];
    program.instructions.extend(operations.map(Instruction::new));
}

/// A convolution.
struct Shape {
    dataflow: DataflowChoice,
    input: (u64, u64),
    pitches: (u64, u64),
    kernel: (u64, u64),
    stride: (u64, u64),
    dilation: (u64, u64),
    pad: (u64, u64),
    packed: bool,
    output: (u64, u64),
    channels: u64,
    block_step: u64,
    outputs: u64,
    activation: u64,
    weight: u64,
    accumulator: u64,
    blocks: u64,
}

impl Shape {
    fn draw(d: &mut Draw, machine: &Machine, dataflow: Dataflow) -> Self {
        let packed = d.chance(45);
        let channels = d.small(1, 2 * u64::from(machine.array.rows * machine.array.dot_product_width) + 3);
        let input = (d.range(1, 7), d.range(1, 7));
        let pixel_pitch = if packed { channels } else { channels + d.small(0, 5) };
        Shape {
            dataflow: match dataflow {
                Dataflow::WeightStationary => DataflowChoice::WeightStationary,
                Dataflow::OutputStationary => DataflowChoice::OutputStationary,
                Dataflow::InputStationary => DataflowChoice::InputStationary,
            },
            input,
            pitches: (input.1 * pixel_pitch + d.small(0, 9), pixel_pitch),
            kernel: (d.small(1, 4), d.small(1, 4)),
            stride: (d.small(1, 3), d.small(1, 3)),
            dilation: (d.small(1, 3), if packed { 1 } else { d.small(1, 3) }),
            pad: if d.chance(40) { (0, 0) } else { (d.small(0, 3), d.small(0, 3)) },
            packed,
            output: (d.range(1, 6), d.range(1, 6)),
            channels,
            block_step: d.small(0, 60),
            outputs: d.range(1, 2 * u64::from(machine.array.columns)),
            activation: d.small(0, 200),
            weight: d.small(0, 500),
            accumulator: d.small(0, 30),
            blocks: d.small(1, 3),
        }
    }

    /// The folds, where all of it lies inside the memories and it is not too long.
    fn fits(&self, machine: &Machine) -> Option<u64> {
        let array = &machine.array;
        let (rows, columns, width) =
            (u64::from(array.rows), u64::from(array.columns), u64::from(array.dot_product_width));
        let sums_stay = self.dataflow == DataflowChoice::OutputStationary;
        let inputs_stay = self.dataflow == DataflowChoice::InputStationary;
        let chunk = if sums_stay { width } else { rows * width };
        let (run, runs) = if self.packed { (self.kernel.1 * self.channels, 1) } else { (self.channels, self.kernel.1) };
        let chunks = self.kernel.0 * runs * run.div_ceil(chunk);
        let pixels = self.output.0 * self.output.1;
        let (folds, vectors, outputs) = if inputs_stay {
            let groups = pixels.div_ceil(columns);
            (self.blocks * groups * chunks, self.blocks * groups * self.outputs, self.outputs)
        } else {
            let folds = if sums_stay { pixels.div_ceil(rows) } else { chunks };
            (self.blocks * folds, self.blocks * pixels, columns)
        };
        let input = (self.blocks - 1) * self.block_step + self.input.0 * self.pitches.0;
        let inside = self.activation + input <= machine.activation.capacity_bytes
            && self.weight + self.blocks * chunks * chunk * outputs <= machine.weight.capacity_bytes
            && self.accumulator + vectors <= machine.accumulator_vectors();
        (inside && folds <= 150).then_some(folds)
    }

    fn push(&self, program: &mut Program, d: &mut Draw) {
        let zero = |d: &mut Draw| match d.range(0, 9) {
            0 => d.range(0, 65535) as i64 - 32768,
            1..5 => 0,
            _ => d.range(0, 383) as i64 - 128,
        };
        let array = || u(0);
        let operations = [
            Operation::ArrayInput {
                height: u(self.input.0),
                width: u(self.input.1),
                row_pitch: u(self.pitches.0),
                pixel_pitch: u(self.pitches.1),
                array: array(),
            },
            Operation::ArrayWindow {
                kernel_h: u(self.kernel.0),
                kernel_w: u(self.kernel.1),
                stride_h: u(self.stride.0),
                stride_w: u(self.stride.1),
                dilation_h: u(self.dilation.0),
                dilation_w: u(self.dilation.1),
                pad_top: u(self.pad.0),
                pad_left: u(self.pad.1),
                packed: Flag(self.packed),
                array: array(),
            },
            Operation::ArrayOutput {
                height: u(self.output.0),
                width: u(self.output.1),
                channels: u(self.channels),
                block_step: u(self.block_step),
                outputs: u(self.outputs),
                array: array(),
            },
            Operation::ArrayQuant {
                zero_activation: i(zero(d)),
                zero_weight: i(zero(d)),
                signed_activation: Flag(d.chance(50)),
                signed_weight: Flag(d.chance(70)),
                wide_activation: Flag(false),
                array: array(),
            },
            Operation::ArrayRun {
                activation: u(self.activation),
                weight: u(self.weight),
                accumulator: u(self.accumulator),
                blocks: u(self.blocks),
                accumulate: Flag(d.chance(35)),
                dataflow: self.dataflow,
                array: array(),
            },
        ];
        program.instructions.extend(operations.map(Instruction::new));
    }
}
