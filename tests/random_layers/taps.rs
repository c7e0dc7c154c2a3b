//! Layers that deal in single taps: deformable convolutions, and pooling with switches and back.

use std::collections::BTreeMap;

use systole_golden::Value;
use systole_network::graph::Graph;
use systole_network::op::{Conv, Deform, Op, Pool};
use systole_network::shape::infer;
use systole_network::tensor::{DType, Quant, TensorId};

use crate::network::Network;

impl Network {
    /// Offsets by a convolution, samples, and a convolution of one tap over them.
    pub(crate) fn deformable(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let mut conv = Conv { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pads: [0; 4], groups: 1 };
        for (axis, size) in [h, w].into_iter().enumerate() {
            conv.kernel[axis] = self.dice.between(1, 3);
            conv.dilation[axis] = self.dice.pick(&[1, 1, 2]);
            while (conv.kernel[axis] - 1) * conv.dilation[axis] + 1 > size {
                conv.kernel[axis] -= 1;
            }
            let reach = (conv.kernel[axis] - 1) * conv.dilation[axis];
            conv.stride[axis] = self.dice.between(1, 2);
            conv.pads[axis] = self.dice.between(0, reach);
            conv.pads[axis + 2] = self.dice.between(0, reach);
        }
        let taps = conv.kernel[0] * conv.kernel[1];
        let divisors: Vec<usize> = (1..=c).filter(|groups| c.is_multiple_of(*groups)).collect();
        let offset_groups = if self.dice.chance(30) { self.dice.pick(&divisors) } else { 1 };
        let groups = if self.dice.chance(30) { self.dice.pick(&divisors) } else { 1 };
        let channels = 2 * taps * offset_groups;
        let weights = self.weights(&format!("{name}_offset"), vec![channels, c, conv.kernel[0], conv.kernel[1]]);
        let made = infer(&Op::Conv(conv.clone()), &[&[n, c, h, w], &[channels, c, conv.kernel[0], conv.kernel[1]]]);
        let [_, _, rows, columns] = made.expect("it fits")[0][..] else { panic!("rank 4") };
        let dtype = self.dtype();
        let offsets = self.activation(&format!("{name}_offsets"), [n, channels, rows, columns], None, dtype);
        let inputs = self.with_bias(&format!("{name}_offset"), input, weights, channels);
        self.node(&format!("{name}_offset"), Op::Conv(conv.clone()), inputs, offsets);
        let (quant, dtype) = (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype);
        let samples = self.activation(&format!("{name}_samples"), [n, c * taps, rows, columns], quant, dtype);
        let deform = Deform { conv: Conv { groups, ..conv }, offset_groups };
        self.node(&format!("{name}_samples"), Op::DeformSample(deform), vec![input, offsets], samples);
        self.hits.push("deformable convolution");
        self.hits.extend((groups > 1).then_some("deformable, several groups"));
        self.hits.extend((offset_groups > 1).then_some("deformable, several offset groups"));
        let outputs = groups * self.dice.between(1, 4);
        let weights = self.weights(name, vec![outputs, c * taps / groups, 1, 1]);
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), [n, outputs, rows, columns], None, dtype);
        let inputs = self.with_bias(name, samples, weights, outputs);
        let point = Conv { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pads: [0; 4], groups };
        self.node(name, Op::Conv(point), inputs, output);
        output
    }

    /// Maximum pooling with its switches, and unpooling to the size there was.
    pub(crate) fn unpooling(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let [n, c, h, w] = shape;
        let (quant, dtype) = (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype);
        let pool = self.window([h, w], shape);
        let pooled = infer(&Op::MaxPool(pool.clone()), &[&shape]).expect("it fits");
        let [_, _, rows, columns] = pooled[0][..] else { panic!("rank 4") };
        let plain = Some(Quant::per_tensor(1.0, 0));
        let switches = self.activation(&format!("{name}_switches"), [n, c, rows, columns], plain, DType::U8);
        let values = self.activation(&format!("{name}_pooled"), [n, c, rows, columns], quant.clone(), dtype);
        let output = self.activation(&format!("{name}_out"), shape, quant, dtype);
        self.node(&format!("{name}_switches"), Op::ArgMaxPool(pool.clone()), vec![input], switches);
        self.node(&format!("{name}_pool"), Op::MaxPool(pool.clone()), vec![input], values);
        let overlap = (0..2).any(|axis| pool.kernel[axis] > pool.stride[axis]);
        let gaps = (0..2).any(|axis| pool.kernel[axis] < pool.stride[axis]);
        self.hits.push("unpooling");
        self.hits.extend(overlap.then_some("unpooling of windows that overlap"));
        self.hits.extend(gaps.then_some("unpooling of windows with gaps"));
        self.node(name, Op::MaxUnpool(pool), vec![values, switches], output);
        output
    }

    /// One whose windows cover an image, up to its pads.
    fn window(&mut self, [h, w]: [usize; 2], shape: [usize; 4]) -> Pool {
        loop {
            let kernel = [self.dice.between(1, h.min(4)), self.dice.between(1, w.min(4))];
            let stride = [self.dice.between(1, 3), self.dice.between(1, 3)];
            let pads = [kernel[0], kernel[1], kernel[0], kernel[1]].map(|k| self.dice.below(k));
            let dilation = if self.dice.chance(20) { [2, 2] } else { [1, 1] };
            let pool =
                Pool { kernel, stride, dilation, pads, ceil_mode: self.dice.chance(40), count_include_pad: false };
            let pooled = infer(&Op::MaxPool(pool.clone()), &[&shape]).map(|mut shapes| shapes.swap_remove(0));
            if let Ok(pooled) = pooled
                && infer(&Op::MaxUnpool(pool.clone()), &[&pooled, &pooled]).is_ok()
            {
                return pool;
            }
        }
    }
}

/// Where samples fell, and whether windows named one pixel: what only the data tells.
pub(crate) fn hits(graph: &Graph, values: &BTreeMap<TensorId, Value>) -> Vec<&'static str> {
    let integers = |id: TensorId| -> Vec<f32> {
        match values.get(&id) {
            Some(Value::I8(q)) => q.iter().map(|&q| q.into()).collect(),
            Some(Value::U8(q)) => q.iter().map(|&q| q.into()).collect(),
            Some(Value::I16(q)) => q.iter().map(|&q| q.into()).collect(),
            _ => vec![],
        }
    };
    let mut hits = vec![];
    for node in &graph.nodes {
        let Op::DeformSample(deform) = &node.op else { continue };
        let (x, offsets) = (graph.tensor(node.inputs[0]), graph.tensor(node.inputs[1]));
        let [size, out] = [&x.shape, &offsets.shape].map(|shape| [shape[2], shape[3]]);
        let quant = offsets.quant.as_ref().expect("quantised");
        let moved = integers(node.inputs[1]);
        let pixels = out[0] * out[1];
        let conv = &deform.conv;
        for (pair, planes) in moved.chunks_exact(2 * pixels).enumerate() {
            let tap = pair % (conv.kernel[0] * conv.kernel[1]);
            for pixel in 0..pixels {
                let place = |axis: usize| {
                    let at = [pixel / out[1], pixel % out[1]][axis] * conv.stride[axis];
                    let of_tap = [tap / conv.kernel[1], tap % conv.kernel[1]][axis] * conv.dilation[axis];
                    let offset = (planes[axis * pixels + pixel] - quant.zero_point[0] as f32) * quant.scale[0];
                    (at + of_tap) as f32 - conv.pads[axis] as f32 + offset
                };
                let places = [place(0), place(1)];
                let outside = (0..2).any(|axis| places[axis] <= -1.0 || places[axis] >= size[axis] as f32);
                let edge = (0..2).any(|axis| places[axis] < 0.0 || places[axis] > (size[axis] - 1) as f32);
                hits.push(match (outside, edge) {
                    (true, _) => "sample outside the image",
                    (_, true) => "sample over the edge",
                    _ => "sample inside the image",
                });
                hits.extend(places.iter().all(|p| p.fract() != 0.0 && !outside).then_some("sample between pixels"));
            }
        }
        hits.sort_unstable();
        hits.dedup();
    }
    hits
}
