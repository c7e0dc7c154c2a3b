//! Random layers that look across channels or tensors: local response normalisation, sums of many, channel shuffles.

use systole_network::op::{Lrn, Op};
use systole_network::tensor::TensorId;

use crate::network::Network;

impl Network {
    pub(crate) fn lrn(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), shape, None, dtype);
        let lrn = Lrn {
            size: self.dice.between(1, 7),
            alpha: self.dice.real(0.0001, 2.0),
            beta: self.dice.pick(&[0.75, 0.5, 1.0, 0.3]),
            bias: self.dice.pick(&[1.0, 2.0, 0.1]),
        };
        self.hits.push(if lrn.size.is_multiple_of(2) { "lrn of even size" } else { "lrn of odd size" });
        if lrn.size > shape[1] {
            self.hits.push("lrn over all channels");
        }
        self.node(name, Op::Lrn(lrn), vec![input], output);
        output
    }

    /// Of the input and rescaled copies of it, all of one type.
    pub(crate) fn sum(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let dtype = self.graph.tensor(input).dtype;
        let mut operands = vec![input];
        for index in 1..self.dice.between(3, 5) {
            let other = self.activation(&format!("{name}_{index}_out"), shape, None, dtype);
            self.node(&format!("{name}_{index}"), Op::Rescale, vec![input], other);
            operands.push(other);
        }
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), shape, None, dtype);
        self.node(name, Op::Sum, operands, output);
        self.hits.push("sum of many");
        output
    }

    /// The channels as two or three axes in another order, and back to one.
    pub(crate) fn shuffle(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape @ [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let (quant, dtype) = (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype);
        let divisors = |c: usize| (1..=c).filter(|d| c.is_multiple_of(*d)).collect::<Vec<_>>();
        let first = self.dice.pick(&divisors(c));
        let second = self.dice.pick(&divisors(c / first));
        let split = [first, second, c / first / second];
        let order = self.dice.pick(&[[1, 0, 2], [0, 2, 1], [2, 1, 0], [2, 0, 1]]);
        let perm = vec![0, 1 + order[0], 1 + order[1], 1 + order[2], 4, 5];
        let moved = order.map(|axis: usize| split[axis]);
        let mut last = input;
        for (step, op, axes) in [("split", Op::Reshape, split), ("moved", Op::Transpose { perm }, moved)] {
            let output = self.activation(&format!("{name}_{step}"), shape, quant.clone(), dtype);
            self.graph.tensors[output.0 as usize].shape = vec![n, axes[0], axes[1], axes[2], h, w];
            self.node(&format!("{name}_{step}"), op, vec![last], output);
            last = output;
        }
        let output = self.activation(&format!("{name}_out"), shape, quant, dtype);
        self.node(name, Op::Reshape, vec![last], output);
        if moved.iter().filter(|&&length| length > 1).count() > 1 {
            self.hits.push("channel shuffle");
        }
        output
    }
}
