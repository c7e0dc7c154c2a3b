//! Random layers on random weight-stationary machines: golden, fast engine and reference engine agree on every element.
//!
//! Machines have 1 to 40 rows and columns and buffers down to the smallest that hold a tile; where one is too small the compiler must refuse by
//! name. The run counts what it hit and fails where it hit nothing. `SYSTOLE_LAYERS` sets the number of cases, `SYSTOLE_SEED` the first seed.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;
use systole_compiler::compile::{Constants, Header, compile};
use systole_compiler::error::ErrorKind;
use systole_compiler::passes::{Boundary, Quantised};
use systole_golden::Value;
use systole_machine::program::{ModelEntry, Program, TensorEntry};
use systole_machine::spec::*;
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Conv, Op, Pool};
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, bytes_of_f32, bytes_of_i32};
use systole_simulator::contract::{Job, Memories, Outcome, Timing};

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    fn from(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn real(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.0.next_u32() >> 8) as f32 / (1 << 24) as f32)
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

fn machine(dice: &mut Dice) -> Machine {
    let (rows, columns) =
        if dice.chance(70) { (dice.from(1, 9), dice.from(1, 9)) } else { (dice.from(1, 40), dice.from(1, 40)) };
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
    let vectors = dice.from(1, 4) * dice.pick(&[1, 2, 8, 64]);
    let most = dice.pick(&sizes);
    let activation_bytes = dice.from(32, most);
    let tiles = dice.pick(&[2, 9, 30, 200]);
    let weight_bytes = dice.from(rows * columns, rows * columns * tiles);
    Machine {
        name: "random".into(),
        clock_hz: 800_000_000,
        array: Array {
            rows: rows as u32,
            columns: columns as u32,
            dataflow: Dataflow::WeightStationary,
            weight_registers: dice.pick(&[1, 2]),
            accumulator_bits: 32,
            overflow: Overflow::Wrap,
        },
        activation: buffer(dice, activation_bytes),
        weight: buffer(dice, weight_bytes),
        accumulator: buffer(dice, vectors * columns * 4),
        vector: Vector {
            lanes: dice.from(1, 40) as u32,
            requantise_per_cycle: dice.from(1, 20) as u32,
            latency_cycles: dice.from(0, 6) as u32,
            float32: true,
            depthwise: false,
            requantisation: Requantisation::Float32,
        },
        outstanding_bursts: dice.pick(&[1, 2, 8, 32]),
        dram: if dice.chance(30) {
            Dram::Ideal { burst_bytes: dice.pick(&[16, 64]) }
        } else {
            Dram::Simple {
                bandwidth_bytes_per_s: dice.pick(&[1_000_000_000, 12_800_000_000, 7_777_777_777, 34_000_000_000]),
                latency_cycles: dice.from(0, 90) as u64,
                burst_bytes: dice.pick(&[16, 32, 64]),
            }
        },
        control: Control {
            queue_depth: [0; 4].map(|_| dice.from(1, 9) as u32),
            issue_interval_cycles: dice.pick(&[1, 1, 2]),
            token_max: 255,
        },
        energy: None,
    }
}

/// A one- to three-layer network and the constants in it.
struct Network {
    graph: Graph,
    dice: Dice,
    hits: Vec<&'static str>,
}

impl Network {
    fn quant(&mut self, dtype: DType) -> Quant {
        let (low, high) = dtype.range().expect("an activation type");
        let zero = if self.dice.chance(30) { low } else { low + self.dice.below((high - low) as usize + 1) as i32 };
        Quant::per_tensor(self.dice.real(0.003, 0.1), zero)
    }

    fn activation(&mut self, name: &str, shape: [usize; 4], quant: Option<Quant>, dtype: DType) -> TensorId {
        let quant = quant.unwrap_or_else(|| self.quant(dtype));
        self.graph.add_tensor(Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            dtype,
            quant: Some(quant),
            data: None,
        })
    }

    fn constant(
        &mut self,
        name: String,
        shape: Vec<usize>,
        dtype: DType,
        quant: Option<Quant>,
        data: Data,
    ) -> TensorId {
        self.graph.add_tensor(Tensor { name, shape, dtype, quant, data: Some(data) })
    }

    fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        let range = self.graph.tensor(output).dtype.range().expect("an activation type");
        let clampable = !matches!(op, Op::Reshape | Op::Identity | Op::Concat | Op::Softmax);
        let clamp = (clampable && self.dice.chance(40)).then(|| {
            self.hits.push("clamp");
            let low = range.0 + self.dice.below(100) as i32;
            (low, low + self.dice.below((range.1 - low) as usize + 1) as i32)
        });
        self.graph.add_node(Node { name: name.into(), op, inputs, outputs: vec![output], clamp, origins: vec![] });
    }

    fn dtype(&mut self) -> DType {
        self.dice.pick(&[DType::I8, DType::U8])
    }

    fn conv(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let [n, c, h, w] = shape;
        let divisors: Vec<usize> = (1..=c).filter(|g| c.is_multiple_of(*g)).collect();
        let groups = if self.dice.chance(40) { self.dice.pick(&divisors) } else { 1 };
        let outputs = groups * self.dice.from(1, if groups > 1 { 3 } else { 30 });
        let dilation = [self.dice.pick(&[1, 1, 2]), self.dice.pick(&[1, 1, 2])];
        let mut conv = Conv {
            kernel: [self.dice.from(1, 4), self.dice.from(1, 4)],
            stride: [self.dice.from(1, 3), self.dice.from(1, 3)],
            dilation,
            pads: [0; 4],
            groups,
        };
        for axis in 0..2 {
            let size = [h, w][axis];
            while (conv.kernel[axis] - 1) * conv.dilation[axis] + 1 > size {
                conv.kernel[axis] -= 1;
            }
            let reach = (conv.kernel[axis] - 1) * conv.dilation[axis];
            conv.pads[axis] = self.dice.from(0, reach);
            conv.pads[axis + 2] = self.dice.from(0, reach);
        }
        let out = [0, 1].map(|axis| {
            let size = [h, w][axis] + conv.pads[axis] + conv.pads[axis + 2];
            (size - (conv.kernel[axis] - 1) * conv.dilation[axis] - 1) / conv.stride[axis] + 1
        });
        self.hits.push(match groups {
            1 => "dense convolution",
            g if g == c => "depthwise convolution",
            _ => "grouped convolution",
        });
        if conv.dilation != [1, 1] {
            self.hits.push("dilation");
        }
        if conv.pads[0] != conv.pads[2] {
            self.hits.push("asymmetric padding");
        }
        let weights = self.weights(name, vec![outputs, c / groups, conv.kernel[0], conv.kernel[1]]);
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), [n, outputs, out[0], out[1]], None, dtype);
        let inputs = self.with_bias(name, input, weights, outputs);
        self.node(name, Op::Conv(conv), inputs, output);
        output
    }

    fn fully_connected(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let (quant, dtype) = (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype);
        let flat = self.activation(&format!("{name}_flat"), [n, c * h * w, 1, 1], quant, dtype);
        self.graph.tensors[flat.0 as usize].shape.truncate(2);
        self.node(&format!("{name}_flatten"), Op::Reshape, vec![input], flat);
        let outputs = self.dice.from(1, 40);
        let weights = self.weights(name, vec![outputs, c * h * w]);
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), [n, outputs, 1, 1], None, dtype);
        self.graph.tensors[output.0 as usize].shape.truncate(2);
        let inputs = self.with_bias(name, flat, weights, outputs);
        self.node(name, Op::FullyConnected, inputs, output);
        self.hits.push("fully connected");
        output
    }

    fn weights(&mut self, name: &str, shape: Vec<usize>) -> TensorId {
        let count: usize = shape.iter().product();
        let bytes = self.dice.bytes(count);
        let channels = shape[0];
        let quant = if self.dice.chance(70) {
            let scale = (0..channels).map(|_| self.dice.real(0.001, 0.02)).collect();
            Quant { scale, zero_point: vec![0; channels], axis: Some(0) }
        } else {
            Quant::per_tensor(self.dice.real(0.001, 0.02), 0)
        };
        self.constant(format!("{name}_weight"), shape, DType::I8, Some(quant), Data::Stored(bytes.into()))
    }

    fn with_bias(&mut self, name: &str, input: TensorId, weights: TensorId, channels: usize) -> Vec<TensorId> {
        if self.dice.chance(30) {
            return vec![input, weights];
        }
        let extreme = self.dice.chance(20);
        let values: Vec<i32> = (0..channels)
            .map(|_| if extreme { self.dice.0.next_u32() as i32 } else { self.dice.below(20_000) as i32 - 10_000 })
            .collect();
        if extreme {
            self.hits.push("bias near overflow");
        }
        let sx = self.graph.tensor(input).quant.as_ref().map_or(1.0, |q| q.scale[0]);
        let quant = self.graph.tensor(weights).quant.clone().map(|w| Quant {
            scale: w.scale.iter().map(|s| s * sx).collect(),
            zero_point: w.zero_point.clone(),
            axis: w.axis,
        });
        let data = Data::Stored(bytes_of_i32(&values));
        let bias = self.constant(format!("{name}_bias"), vec![channels], DType::I32, quant, data);
        vec![input, weights, bias]
    }

    fn pool(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let kernel = [self.dice.from(1, h.min(4)), self.dice.from(1, w.min(4))];
        let stride = [self.dice.from(1, 3), self.dice.from(1, 3)];
        let pads = [kernel[0], kernel[1], kernel[0], kernel[1]].map(|k| self.dice.below(k));
        let pool =
            Pool { kernel, stride, pads, ceil_mode: self.dice.chance(50), count_include_pad: self.dice.chance(50) };
        let average = self.dice.chance(50);
        let (quant, dtype) = if average {
            (None, self.dtype())
        } else {
            (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype)
        };
        let op = if average { Op::AveragePool(pool) } else { Op::MaxPool(pool) };
        let shape =
            systole_network::shape::infer(&op, &[&[n, c, h, w]]).expect("a pooling with input under each window");
        let output = self.activation(&format!("{name}_out"), [n, c, shape[0][2], shape[0][3]], quant, dtype);
        self.hits.push(if average { "average pooling" } else { "max pooling" });
        self.node(name, op, vec![input], output);
        output
    }

    fn global_pool(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, _, _] = self.graph.tensor(input).nchw().expect("rank 4");
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), [n, c, 1, 1], None, dtype);
        self.node(name, Op::GlobalAveragePool, vec![input], output);
        self.hits.push("global average pooling");
        output
    }

    fn element_wise(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), shape, None, dtype);
        let channels = shape[1];
        match self.dice.below(4) {
            0 => {
                self.hits.push("rescale");
                self.node(name, Op::Rescale, vec![input], output);
            }
            1 => {
                self.hits.push("batch norm");
                let [a, b] = ["a", "b"].map(|which| {
                    let values: Vec<f32> = (0..channels).map(|_| self.dice.real(-2.0, 2.0)).collect();
                    let data = Data::Stored(bytes_of_f32(&values));
                    self.constant(format!("{name}_{which}"), vec![channels], DType::F32, None, data)
                });
                self.node(name, Op::BatchNorm { epsilon: 0.0 }, vec![input, a, b], output);
            }
            kind => {
                let op = if kind == 2 { Op::Add } else { Op::Mul };
                let second = if self.dice.chance(50) {
                    self.hits.push("constant per channel");
                    let dtype = self.dtype();
                    let (bytes, quant) = (self.dice.bytes(channels), self.quant(dtype));
                    self.constant(format!("{name}_c"), vec![channels], dtype, Some(quant), Data::Stored(bytes.into()))
                } else {
                    self.hits.push("two tensors");
                    self.pointwise(&format!("{name}_second"), input, shape)
                };
                self.node(name, op, vec![input, second], output);
            }
        }
        output
    }

    /// Another tensor of the same shape, made from the input.
    fn pointwise(&mut self, name: &str, input: TensorId, shape: [usize; 4]) -> TensorId {
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), shape, None, dtype);
        self.node(name, Op::Rescale, vec![input], output);
        output
    }

    fn concat(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let second = self.pointwise(&format!("{name}_second"), input, shape);
        let (quant, dtype) = if self.dice.chance(50) {
            (self.graph.tensor(second).quant.clone(), self.graph.tensor(second).dtype)
        } else {
            (None, self.dtype())
        };
        let output =
            self.activation(&format!("{name}_out"), [shape[0], 2 * shape[1], shape[2], shape[3]], quant, dtype);
        self.node(name, Op::Concat, vec![input, second], output);
        self.hits.push("concat");
        output
    }

    fn softmax(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let output = self.activation(&format!("{name}_out"), shape, Some(Quant::per_tensor(1.0 / 256.0, 0)), DType::U8);
        self.node(name, Op::Softmax, vec![input], output);
        self.hits.push("softmax");
        output
    }
}

fn network(mut dice: Dice) -> Network {
    let shape = [dice.pick(&[1, 1, 1, 2]), dice.from(1, 20), dice.from(1, 12), dice.from(1, 12)];
    let graph = Graph::new("random", Form::Quantised);
    let mut network = Network { graph, dice, hits: vec![] };
    let dtype = network.dtype();
    let input = network.activation("input", shape, None, dtype);
    network.graph.inputs.push(input);
    let mut tensor = input;
    for index in 0..network.dice.from(1, 3) {
        let name = format!("layer{index}");
        tensor = match network.dice.below(12) {
            0..=4 => network.conv(&name, tensor),
            5 | 6 => network.pool(&name, tensor),
            7 => network.global_pool(&name, tensor),
            8 | 9 => network.element_wise(&name, tensor),
            10 => network.concat(&name, tensor),
            _ => network.softmax(&name, tensor),
        };
    }
    if network.dice.chance(20) {
        tensor = network.fully_connected("last", tensor);
    }
    network.graph.outputs.push(tensor);
    network
}

/// Bytes of a tensor in the program's DRAM, in logical order.
fn read(dram: &[u8], entry: &TensorEntry) -> Vec<u8> {
    let [n, c, h, w] = entry.dims;
    let mut bytes = vec![];
    for image in 0..n {
        for channel in 0..c {
            for pixel in 0..h * w {
                bytes.push(dram[(entry.address + (image * h * w + pixel) * entry.pixel_pitch + channel) as usize]);
            }
        }
    }
    bytes
}

fn segments<'a>(program: &'a Program, input: &'a [u8]) -> Vec<(u64, &'a [u8])> {
    let entry = program.tensors.iter().find(|entry| entry.name == "input").expect("the input is in the table");
    let mut segments: Vec<(u64, &[u8])> = program.image.iter().map(|s| (s.address, s.bytes.as_slice())).collect();
    segments.push((entry.address, input));
    segments
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::U8(values) => values.clone(),
        Value::I8(values) => values.iter().map(|&v| v as u8).collect(),
        other => panic!("an activation of type {other:?}"),
    }
}

enum Verdict {
    Ran,
    TooSmall,
}

fn run_case(seed: u64) -> Result<(Verdict, Vec<&'static str>), String> {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let machine = machine(&mut dice);
    let mut network = network(dice);
    let graph = network.graph.clone();
    let boundary = |id: &TensorId| Boundary { float_name: graph.tensor(*id).name.clone(), tensor: *id };
    let quantised = Quantised {
        inputs: graph.inputs.iter().map(boundary).collect(),
        outputs: graph.outputs.iter().map(boundary).collect(),
        graph: graph.clone(),
    };
    systole_network::verify::verify(&graph).map_err(|errors| format!("the test made a bad graph: {errors:?}"))?;
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    let compiled = match compile(&quantised, &machine, header, Constants::Real) {
        Ok(compiled) => compiled,
        Err(errors)
            if errors.iter().all(|e| e.kind == ErrorKind::Unsupported && e.message.contains("smallest tile")) =>
        {
            return Ok((Verdict::TooSmall, vec![]));
        }
        Err(errors) => return Err(format!("compile: {errors:?}")),
    };
    let input = graph.tensor(graph.inputs[0]);
    let raw = network.dice.bytes(input.elements());
    let value = match input.dtype {
        DType::I8 => Value::I8(raw.iter().map(|&b| b as i8).collect()),
        _ => Value::U8(raw.clone()),
    };
    let values = BTreeMap::from([(graph.inputs[0], value)]);
    let options = systole_golden::Options { seed: 0, keep: systole_golden::Keep::All };
    let golden = systole_golden::run(&graph, &values, options).map_err(|error| format!("golden: {error}"))?;
    let program = &compiled.program;
    let [n, c, h, w] = input.nchw().expect("rank 4");
    let mut nhwc = vec![0; raw.len()];
    for image in 0..n {
        for channel in 0..c {
            for pixel in 0..h * w {
                nhwc[(image * h * w + pixel) * c + channel] = raw[(image * c + channel) * h * w + pixel];
            }
        }
    }
    let image = segments(program, &nhwc);
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: program.dram_bytes };
    let fast = systole_simulator::fast::run(&job, &image).map_err(|error| error.to_string())?;
    if fast.0.outcome != Outcome::Halted {
        return Err(format!("fast: {:?}", fast.0.outcome));
    }
    for entry in &program.tensors {
        let id = graph.tensors.iter().position(|t| t.name == entry.name).expect("a tensor of the graph");
        let Some(expected) = golden.tensors.get(&TensorId(id as u32)) else { continue };
        let (expected, got) = (bytes_of(expected), read(&fast.1.dram, entry));
        if let Some(index) = (0..expected.len()).find(|&i| expected[i] != got[i]) {
            return Err(format!(
                "tensor {} differs at {index}: golden {}, fast {}",
                entry.name, expected[index], got[index]
            ));
        }
    }
    compare_reference(&job, &image, &fast)?;
    let mapping = compiled.program.layers.iter().map(|layer| layer.mapping.as_str());
    for text in mapping {
        for (word, hit) in
            [("packed", "packed taps"), ("streamed", "streamed weights"), ("sliced", "sliced input channels")]
        {
            if text.contains(word) {
                network.hits.push(hit);
            }
        }
    }
    network.hits.push(if machine.array.weight_registers == 1 { "one weight register" } else { "two weight registers" });
    Ok((Verdict::Ran, network.hits))
}

/// The reference engine steps every cycle: programs that would keep it busy for long are left to the fast engine.
fn compare_reference(job: &Job<'_>, image: &[(u64, &[u8])], fast: &(Timing, Memories)) -> Result<(), String> {
    let work = fast.0.total_cycles * u64::from(job.machine.array.rows) * u64::from(job.machine.array.columns);
    if work > 200_000_000 {
        return Ok(());
    }
    let reference = systole_simulator::reference::run(job, image, u64::MAX).map_err(|error| error.to_string())?;
    if reference.1.dram != fast.1.dram {
        return Err("the reference engine left other bytes in DRAM than the fast engine".into());
    }
    if reference.0 != fast.0 {
        return Err(format!(
            "timing differs: reference {} cycles {:?}, fast {} cycles {:?}",
            reference.0.total_cycles, reference.0.units, fast.0.total_cycles, fast.0.units
        ));
    }
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_layers_agree() {
    let (cases, first) = (setting("SYSTOLE_LAYERS", 600), setting("SYSTOLE_SEED", 1));
    let results: Vec<_> = (first..first + cases)
        .into_par_iter()
        .map(|seed| (seed, std::panic::catch_unwind(|| run_case(seed)).unwrap_or_else(|_| Err("panicked".into()))))
        .collect();
    let mut hits: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut ran, mut too_small, mut failures) = (0, 0, vec![]);
    for (seed, result) in results {
        match result {
            Ok((Verdict::Ran, seen)) => {
                ran += 1;
                for hit in seen {
                    *hits.entry(hit).or_default() += 1;
                }
            }
            Ok((Verdict::TooSmall, _)) => too_small += 1,
            Err(message) => failures.push(format!("seed {seed}: {message}")),
        }
    }
    println!("{ran} ran, {too_small} refused as too small; {hits:#?}");
    assert!(
        failures.is_empty(),
        "{} of {cases} failed:\n{}",
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
    assert!(too_small > 0, "no machine was too small");
    assert!(ran > cases / 3, "only {ran} of {cases} ran");
    for expected in [
        "dense convolution",
        "depthwise convolution",
        "grouped convolution",
        "dilation",
        "asymmetric padding",
        "bias near overflow",
        "fully connected",
        "average pooling",
        "max pooling",
        "global average pooling",
        "rescale",
        "batch norm",
        "constant per channel",
        "two tensors",
        "concat",
        "softmax",
        "clamp",
        "packed taps",
        "streamed weights",
        "sliced input channels",
        "one weight register",
        "two weight registers",
    ] {
        assert!(hits.contains_key(expected), "never hit: {expected}");
    }
}
