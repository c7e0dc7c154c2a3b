//! Element-wise layers whose operands repeat: one value for all pixels, or for all channels, or along rows or columns.

use systole_network::op::Op;
use systole_network::tensor::TensorId;

use crate::network::Network;

/// Axes of `[n, c, h, w]` that an operand has once.
const PATTERNS: [[bool; 4]; 6] = [
    [false, false, true, true],
    [false, true, false, false],
    [false, true, true, true],
    [false, false, true, false],
    [false, false, false, true],
    [true, false, false, false],
];

impl Network {
    /// The input, or a part of it, with a smaller operand made from it.
    pub(crate) fn repeated(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let mut pattern = self.dice.pick(&PATTERNS);
        // Most networks have one image, so that where there are two they repeat more often.
        pattern[0] |= shape[0] > 1 && pattern == PATTERNS[4];
        let gate = self.dice.chance(50) && pattern == PATTERNS[0];
        let small = if gate { self.gate(name, input) } else { self.part(&format!("{name}_small"), input, pattern) };
        let channels_alone = pattern == PATTERNS[1];
        let mut other = input;
        if channels_alone && self.dice.chance(40) {
            other = self.part(&format!("{name}_line"), input, PATTERNS[0]);
            self.repeat_hits(shape, PATTERNS[0]);
            self.hits.push("both operands repeat");
        }
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), shape, None, dtype);
        let op = [Op::Mul, Op::Mul, Op::Add, Op::Sub, Op::Div, Op::Max, Op::Min][self.dice.below(7)].clone();
        let mut operands = vec![other, small];
        if self.dice.chance(40) {
            operands.reverse();
            self.hits.push("the first operand repeats");
        }
        self.node(name, op, operands, output);
        self.repeat_hits(shape, pattern);
        output
    }

    /// Squeeze and excitation: the mean of each channel, and a function of it.
    fn gate(&mut self, name: &str, input: TensorId) -> TensorId {
        let mean = self.global_pool(&format!("{name}_squeeze"), input);
        let shape = self.graph.tensor(mean).nchw().expect("rank 4");
        self.hits.push("a gate of means");
        self.pointwise(&format!("{name}_excite"), mean, shape)
    }

    /// A box of another tensor of the input's shape, of length 1 along these axes.
    fn part(&mut self, name: &str, input: TensorId, pattern: [bool; 4]) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let whole = self.pointwise(name, input, shape);
        let starts = (0..4).map(|axis| if pattern[axis] { self.dice.below(shape[axis]) } else { 0 }).collect();
        let out = [0, 1, 2, 3].map(|axis| if pattern[axis] { 1 } else { shape[axis] });
        self.moved(&format!("{name}_part"), Op::Slice { starts, steps: vec![1; 4] }, whole, out)
    }

    fn repeat_hits(&mut self, shape: [usize; 4], pattern: [bool; 4]) {
        let along = |axis: usize| pattern[axis] && shape[axis] > 1;
        let all = [
            ("images repeat", along(0)),
            ("channels repeat", along(1)),
            ("rows repeat", along(2) && !along(3)),
            ("columns repeat", along(3) && !along(2)),
            ("all pixels repeat", along(2) && along(3)),
        ];
        self.hits.extend(all.iter().filter(|(_, hit)| *hit).map(|&(name, _)| name));
    }
}
