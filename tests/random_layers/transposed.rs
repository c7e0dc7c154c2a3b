//! Random transposed convolutions: all that attributes can do to an output, and results inside a concatenation.

use systole_network::op::{ConvTranspose, Op};
use systole_network::shape::infer;
use systole_network::tensor::TensorId;

use crate::network::Network;

impl Network {
    pub(crate) fn conv_transpose(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape @ [_, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let divisors: Vec<usize> = (1..=c).filter(|g| c.is_multiple_of(*g)).collect();
        let groups = if self.dice.chance(40) { self.dice.pick(&divisors) } else { 1 };
        let outputs = groups * self.dice.between(1, if groups > 1 { 3 } else { 12 });
        let axis = |network: &mut Network, size: usize| network.axis(size);
        let ([rows, columns], per_group) = ([axis(self, h), axis(self, w)], c / groups);
        let conv = ConvTranspose {
            kernel: [rows[0], columns[0]],
            stride: [rows[1], columns[1]],
            dilation: [rows[2], columns[2]],
            pads: [rows[3], columns[3], rows[4], columns[4]],
            output_padding: [rows[5], columns[5]],
            groups,
        };
        let weight_shape = vec![outputs, per_group, conv.kernel[0], conv.kernel[1]];
        let out = infer(&Op::ConvTranspose(conv.clone()), &[&shape, &weight_shape]).expect("an output is left");
        let out: [usize; 4] = out[0].clone().try_into().expect("rank 4");
        self.count_transposed(&conv, shape, out);
        let weights = self.weights(name, weight_shape);
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), out, None, dtype);
        let inputs = self.with_bias(name, input, weights, outputs);
        self.node(name, Op::ConvTranspose(conv), inputs, output);
        if self.dice.chance(25) { self.beside_itself(name, output, out) } else { output }
    }

    /// Kernel, stride, dilation, pads, output padding along an axis of `size` pixels, with at least one output.
    fn axis(&mut self, size: usize) -> [usize; 6] {
        let (kernel, stride) = (self.dice.between(1, 5), self.dice.pick(&[1, 2, 2, 2, 3, 4]));
        let dilation = self.dice.pick(&[1, 1, 1, 2, 3]);
        let more = if self.dice.chance(40) { self.dice.between(0, stride.max(dilation) - 1) } else { 0 };
        let whole = (size - 1) * stride + (kernel - 1) * dilation + 1 + more;
        let before = self.dice.between(0, kernel.min(whole - 1));
        let after = self.dice.between(0, kernel.min(whole - 1 - before));
        [kernel, stride, dilation, before, after, more]
    }

    /// A concatenation of the result with a rescaled copy, into which it is computed in place.
    fn beside_itself(&mut self, name: &str, made: TensorId, shape: [usize; 4]) -> TensorId {
        let (quant, dtype) = (self.graph.tensor(made).quant.clone(), self.graph.tensor(made).dtype);
        let other = self.activation(&format!("{name}_other_out"), shape, None, dtype);
        self.node(&format!("{name}_other"), Op::Rescale, vec![made], other);
        let [n, c, h, w] = shape;
        let output = self.activation(&format!("{name}_both"), [n, 2 * c, h, w], quant, dtype);
        self.node(&format!("{name}_concat"), Op::Concat, vec![made, other], output);
        self.hits.push("transposed convolution into a concatenation");
        output
    }

    fn count_transposed(&mut self, conv: &ConvTranspose, [_, c, h, w]: [usize; 4], out: [usize; 4]) {
        let either = |of: &dyn Fn(usize) -> bool| of(0) || of(1);
        let untouched = |axis: usize| {
            let touches = |y: usize| {
                let taps = (0..conv.kernel[axis]).map(|k| k * conv.dilation[axis]);
                taps.filter_map(|k| (y + conv.pads[axis]).checked_sub(k))
                    .any(|place| place.is_multiple_of(conv.stride[axis]) && place / conv.stride[axis] < [h, w][axis])
            };
            (0..out[axis + 2]).any(|y| !touches(y))
        };
        let seen = [
            (conv.groups == 1, "transposed convolution"),
            (conv.groups > 1 && conv.groups == c, "depthwise transposed convolution"),
            (conv.groups > 1 && conv.groups < c, "grouped transposed convolution"),
            (either(&|axis| conv.stride[axis] > conv.kernel[axis]), "stride over the kernel"),
            (either(&|axis| conv.output_padding[axis] > 0), "output padding"),
            (either(&untouched), "rows of bias alone"),
            (either(&|axis| conv.stride[axis] > 1 && conv.dilation[axis] > 1), "stride and dilation"),
        ];
        self.hits.extend(seen.iter().filter(|(hit, _)| *hit).map(|(_, what)| *what));
    }
}
