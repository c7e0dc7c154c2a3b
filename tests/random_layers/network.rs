//! Random quantised networks of one to three layers, with every operator of the quantised form that runs.

use systole_machine::spec::Machine;
use systole_network::graph::{Form, Graph, Node};
use systole_network::op::{Conv, Op, Pool};
use systole_network::policy::Requantisation;
use systole_network::tensor::{DType, Data, Quant, Tensor, TensorId, bytes_of_f32, bytes_of_i32};

use crate::dice::Dice;

/// A one- to three-layer network and the constants in it.
pub(crate) struct Network {
    pub(crate) graph: Graph,
    pub(crate) dice: Dice,
    /// What the network holds, for the counts of the run.
    pub(crate) hits: Vec<&'static str>,
    /// The machine takes 16-bit operands.
    wide: bool,
    /// The type of the next result, where it is not drawn.
    pub(crate) forced: Option<DType>,
}

impl Network {
    /// A power of two below it where the machine only shifts.
    pub(crate) fn scale(&mut self, low: f32, high: f32) -> f32 {
        let scale = self.dice.real(low, high);
        match self.graph.policy.requantisation {
            Requantisation::Shift => scale.log2().floor().exp2(),
            _ => scale,
        }
    }

    /// Averages of integers keep scale and type.
    fn averaged(&mut self, input: TensorId) -> (Option<Quant>, DType) {
        if self.graph.policy.requantisation == Requantisation::Float32 {
            return (None, self.dtype());
        }
        (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype)
    }

    pub(crate) fn quant(&mut self, dtype: DType) -> Quant {
        if matches!(dtype, DType::B1 | DType::I32) {
            return Quant::per_tensor(1.0, 0);
        }
        let (low, high) = dtype.range().expect("an activation type");
        let zero = match dtype {
            DType::I16 => 0,
            _ if self.dice.chance(30) => low,
            _ => low + self.dice.below((high - low) as usize + 1) as i32,
        };
        Quant::per_tensor(self.scale(0.003, 0.1), zero)
    }

    pub(crate) fn activation(&mut self, name: &str, shape: [usize; 4], quant: Option<Quant>, dtype: DType) -> TensorId {
        let quant = quant.unwrap_or_else(|| self.quant(dtype));
        self.graph.add_tensor(Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            dtype,
            quant: Some(quant),
            data: None,
        })
    }

    pub(crate) fn constant(
        &mut self,
        name: String,
        shape: Vec<usize>,
        dtype: DType,
        quant: Option<Quant>,
        data: Data,
    ) -> TensorId {
        self.graph.add_tensor(Tensor { name, shape, dtype, quant, data: Some(data) })
    }

    pub(crate) fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        let dtype = self.graph.tensor(output).dtype;
        let range = dtype.range().unwrap_or_default();
        let switched = matches!(op, Op::ArgMaxPool(_) | Op::MaxUnpool(_));
        let clampable = !switched && !op.only_moves() && !matches!(op, Op::Concat | Op::Softmax);
        let clampable = clampable && !matches!(dtype, DType::B1 | DType::I32);
        let clamp = (clampable && self.dice.chance(40)).then(|| {
            self.hits.push("clamp");
            let low = range.0 + self.dice.below(100) as i32;
            (low, low + self.dice.below((range.1 - low) as usize + 1) as i32)
        });
        self.graph.add_node(Node { name: name.into(), op, inputs, outputs: vec![output], clamp, origins: vec![] });
    }

    pub(crate) fn dtype(&mut self) -> DType {
        if let Some(dtype) = self.forced.take() {
            return dtype;
        }
        let wide = self.wide && self.dice.chance(50);
        if wide { DType::I16 } else { self.dice.pick(&[DType::I8, DType::U8]) }
    }

    pub(crate) fn conv(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let [n, c, h, w] = shape;
        let divisors: Vec<usize> = (1..=c).filter(|g| c.is_multiple_of(*g)).collect();
        let groups = if self.dice.chance(40) { self.dice.pick(&divisors) } else { 1 };
        let most = if groups == 1 { 30 } else { 3 };
        let one_each = groups == c && self.dice.chance(50);
        let outputs = if one_each { c } else { groups * self.dice.between(1, most) };
        let dilation = [self.dice.pick(&[1, 1, 2]), self.dice.pick(&[1, 1, 2])];
        let mut conv = Conv {
            kernel: [self.dice.between(1, 4), self.dice.between(1, 4)],
            stride: [self.dice.between(1, 3), self.dice.between(1, 3)],
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
            // Beyond the reach of the kernel, some windows see padding alone.
            let most = reach + if self.dice.chance(15) { 4 } else { 0 };
            conv.pads[axis] = self.dice.between(0, most);
            conv.pads[axis + 2] = self.dice.between(0, most);
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
        if conv.pads.iter().enumerate().any(|(side, &pad)| pad > (conv.kernel[side % 2] - 1) * conv.dilation[side % 2])
        {
            self.hits.push("windows of padding alone");
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

    pub(crate) fn fully_connected(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let (quant, dtype) = (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype);
        let flat = self.activation(&format!("{name}_flat"), [n, c * h * w, 1, 1], quant, dtype);
        self.graph.tensors[flat.0 as usize].shape.truncate(2);
        self.node(&format!("{name}_flatten"), Op::Reshape, vec![input], flat);
        let outputs = self.dice.between(1, 40);
        let weights = self.weights(name, vec![outputs, c * h * w]);
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), [n, outputs, 1, 1], None, dtype);
        self.graph.tensors[output.0 as usize].shape.truncate(2);
        let inputs = self.with_bias(name, flat, weights, outputs);
        self.node(name, Op::FullyConnected, inputs, output);
        self.hits.push("fully connected");
        output
    }

    pub(crate) fn weights(&mut self, name: &str, shape: Vec<usize>) -> TensorId {
        if self.dice.chance(35) {
            return self.narrow_weights(name, shape);
        }
        let count: usize = shape.iter().product();
        let bytes = self.dice.bytes(count);
        let channels = shape[0];
        let dtype = self.dice.pick(&[DType::I8, DType::I8, DType::U8]);
        let (low, high) = dtype.range().expect("a weight type");
        let zero = if self.dice.chance(50) { 0 } else { low + self.dice.below((high - low) as usize + 1) as i32 };
        self.hits.push(match (dtype, zero) {
            (DType::U8, _) => "weights u8",
            (_, 0) => "weights i8 around 0",
            _ => "weights i8 with a zero point",
        });
        let quant = if self.dice.chance(70) {
            let scale = (0..channels).map(|_| self.scale(0.001, 0.02)).collect();
            Quant { scale, zero_point: vec![zero; channels], axis: Some(0) }
        } else {
            Quant::per_tensor(self.scale(0.001, 0.02), zero)
        };
        self.constant(format!("{name}_weight"), shape, dtype, Some(quant), Data::Stored(bytes.into()))
    }

    pub(crate) fn with_bias(
        &mut self,
        name: &str,
        input: TensorId,
        weights: TensorId,
        channels: usize,
    ) -> Vec<TensorId> {
        if self.dice.chance(30) {
            return vec![input, weights];
        }
        let extreme = self.dice.chance(20);
        let values: Vec<i32> = (0..channels)
            .map(|_| if extreme { self.dice.word() } else { self.dice.below(20_000) as i32 - 10_000 })
            .collect();
        if extreme {
            self.hits.push("bias near overflow");
        }
        let sx = self.graph.tensor(input).quant.as_ref().map_or(1.0, |q| q.scale[0]);
        let quant = self.graph.tensor(weights).quant.clone().map(|w| Quant {
            scale: w.scale.iter().map(|s| s * sx).collect(),
            zero_point: vec![0; w.zero_point.len()],
            axis: w.axis,
        });
        let data = Data::Stored(bytes_of_i32(&values));
        let bias = self.constant(format!("{name}_bias"), vec![channels], DType::I32, quant, data);
        vec![input, weights, bias]
    }

    fn pool(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let kernel = [self.dice.between(1, h.min(4)), self.dice.between(1, w.min(4))];
        let stride = [self.dice.between(1, 3), self.dice.between(1, 3)];
        let dilation = [0, 1].map(|axis| self.pool_dilation(kernel[axis], [h, w][axis]));
        let pads = [0, 1, 0, 1].map(|axis| self.dice.below((kernel[axis] - 1) * dilation[axis] + 1));
        let (ceil_mode, count_include_pad) = (self.dice.chance(50), self.dice.chance(50));
        let pool = Pool { kernel, stride, dilation, pads, ceil_mode, count_include_pad };
        if dilation != [1, 1] {
            self.hits.push("dilated pooling");
        }
        let average = self.dice.chance(50);
        let (quant, dtype) = if average {
            self.averaged(input)
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

    /// At times more than 1, so that the window still fits.
    fn pool_dilation(&mut self, kernel: usize, input: usize) -> usize {
        if kernel == 1 || self.dice.chance(60) { 1 } else { self.dice.between(1, ((input - 1) / (kernel - 1)).min(3)) }
    }

    pub(crate) fn global_pool(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, _, _] = self.graph.tensor(input).nchw().expect("rank 4");
        let (quant, dtype) = self.averaged(input);
        let output = self.activation(&format!("{name}_out"), [n, c, 1, 1], quant, dtype);
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
                    let (bytes, quant) = (self.dice.bytes(channels * dtype.bytes()), self.quant(dtype));
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
    pub(crate) fn pointwise(&mut self, name: &str, input: TensorId, shape: [usize; 4]) -> TensorId {
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

/// One to three layers on a small image, sometimes with a classifier after them.
pub(crate) fn network(mut dice: Dice, machine: &Machine) -> Network {
    let shape = [dice.pick(&[1, 1, 1, 2]), dice.between(1, 20), dice.between(1, 12), dice.between(1, 12)];
    let mut graph = Graph::new("random", Form::Quantised);
    graph.policy = systole::pipeline::policy(machine);
    let wide = machine.array.operands.iter().any(|operand| operand.bits == 16);
    let mut network = Network { graph, dice, hits: vec![], wide, forced: None };
    let dtype = network.dtype();
    let input = network.activation("input", shape, None, dtype);
    network.graph.inputs.push(input);
    let mut tensor = input;
    for index in 0..network.dice.between(1, 3) {
        let name = format!("layer{index}");
        tensor = match network.dice.below(35) {
            0..=4 => network.conv(&name, tensor),
            5 | 6 => network.pool(&name, tensor),
            7 => network.global_pool(&name, tensor),
            8 | 9 => network.element_wise(&name, tensor),
            10 => network.concat(&name, tensor),
            // Not in 16 bits, whose squares do not fit.
            11 if network.graph.tensor(tensor).dtype != DType::I16 => network.lrn(&name, tensor),
            12 => network.sum(&name, tensor),
            13 | 14 => network.shuffle(&name, tensor),
            16..=17 if network.graph.tensor(tensor).dtype != DType::I16 => network.function(&name, tensor),
            18 => network.pair(&name, tensor),
            19 | 20 => network.repeated(&name, tensor),
            21 => network.global_max(&name, tensor),
            22 | 23 => network.conv_transpose(&name, tensor),
            24..=27 => network.moves(&name, tensor),
            28 | 29 => network.deformable(&name, tensor),
            30 | 31 => network.unpooling(&name, tensor),
            32..=34 => network.signs_and_conv(&name, tensor),
            15 => network.bilinear(&name, tensor),
            _ => network.softmax(&name, tensor),
        };
    }
    match network.dice.below(100) {
        0..20 => {
            if network.dice.chance(30) {
                tensor = network.signs("signs", tensor);
            }
            tensor = network.fully_connected("last", tensor);
        }
        20..40 => tensor = network.sums("last", tensor),
        _ => {}
    }
    network.graph.outputs.push(tensor);
    network
}
