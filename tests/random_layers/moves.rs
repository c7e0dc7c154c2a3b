//! Random layers that only move values: slices, padding, blocks of pixels, other sizes, transpositions and reshapes; and other sizes between pixels.

use systole_network::op::{Coordinates, DepthOrder, Fill, Interpolation, Op, Resize};
use systole_network::tensor::TensorId;

use crate::network::Network;

impl Network {
    /// A node with the input's type and quantisation.
    pub(crate) fn moved(&mut self, name: &str, op: Op, input: TensorId, shape: [usize; 4]) -> TensorId {
        let (quant, dtype) = (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype);
        let output = self.activation(&format!("{name}_out"), shape, quant, dtype);
        self.node(name, op, vec![input], output);
        output
    }

    /// One of them.
    pub(crate) fn moves(&mut self, name: &str, input: TensorId) -> TensorId {
        match self.dice.below(7) {
            0 => self.slice(name, input),
            1 | 2 => self.pad(name, input),
            3 => self.blocks(name, input),
            4 => self.resize(name, input),
            5 => self.transpose(name, input),
            _ => self.reshape(name, input),
        }
    }

    fn slice(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let (mut starts, mut steps, mut out) = (vec![], vec![], [0; 4]);
        let plain = self.dice.chance(50);
        for axis in 0..4 {
            let step = if plain && axis < 2 { 1 } else { self.dice.pick(&[1, 1, 2, 3, -1, -2]) };
            let step: i64 = if plain && step < 0 { 1 } else { step };
            let start = self.dice.below(shape[axis]);
            let room = if step > 0 { shape[axis] - 1 - start } else { start };
            let most = room / step.unsigned_abs() as usize + 1;
            out[axis] = self.dice.between(most.div_ceil(2), most);
            starts.push(start);
            steps.push(step);
        }
        self.hits.push(if plain { "slice as a view" } else { "slice of any steps" });
        self.moved(name, Op::Slice { starts, steps }, input, out)
    }

    fn pad(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let images = self.dice.chance(15);
        let side = |network: &mut Network, axis: usize| match axis {
            0 if !images => 0,
            1 if network.dice.chance(70) => 0,
            _ => network.dice.below(4),
        };
        let before: Vec<usize> = (0..4).map(|axis| side(self, axis)).collect();
        let after: Vec<usize> = (0..4).map(|axis| side(self, axis)).collect();
        let constant = self.dice.pick(&[0.0, 1.0, -3.5, f32::NEG_INFINITY]);
        let fill = self.dice.pick(&[Fill::Constant(constant), Fill::Reflect, Fill::Edge, Fill::Wrap]);
        let out = [0, 1, 2, 3].map(|axis| before[axis] + shape[axis] + after[axis]);
        self.hits.push(match fill {
            Fill::Constant(_) if self.graph.inputs.contains(&input) => "copy inside a border",
            Fill::Constant(_) => "result inside a border",
            _ => "mirrored padding",
        });
        self.moved(name, Op::Pad { before, after, fill }, input, out)
    }

    fn blocks(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let to_depth: Vec<usize> = (1..4).filter(|&b| h.is_multiple_of(b) && w.is_multiple_of(b)).collect();
        let to_space: Vec<usize> = (1..4).filter(|&b| c.is_multiple_of(b * b)).collect();
        if to_depth.len() > 1 && self.dice.chance(50) {
            let block = self.dice.pick(&to_depth[1..]);
            self.hits.push("space to depth");
            return self.moved(name, Op::SpaceToDepth { block }, input, [n, c * block * block, h / block, w / block]);
        }
        let block = to_space[to_space.len() - 1];
        let order = self.dice.pick(&[DepthOrder::DepthColumnRow, DepthOrder::ColumnRowDepth]);
        if block > 1 {
            self.hits.push("depth to space");
        }
        let shape = [n, c / block / block, h * block, w * block];
        self.moved(name, Op::DepthToSpace { block, order }, input, shape)
    }

    /// Size, scale and places of an image in another size; whether the factors are whole ones.
    fn other_size(&mut self, [h, w]: [usize; 2]) -> (Resize, bool) {
        let whole = self.dice.chance(50);
        let factor = [self.dice.between(1, 3), self.dice.between(1, 3)];
        let size = [0, 1].map(|axis| {
            let length = [h, w][axis];
            if whole { length * factor[axis] } else { self.dice.between(1, 2 * length + 1) }
        });
        let scale = [0, 1].map(|axis| size[axis] as f32 / [h, w][axis] as f32);
        let coordinates = self.dice.pick(&[
            Coordinates::HalfPixel,
            Coordinates::PytorchHalfPixel,
            Coordinates::AlignCorners,
            Coordinates::Asymmetric,
        ]);
        (Resize { size, scale, coordinates, interpolation: Interpolation::Linear }, whole)
    }

    fn resize(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let (resize, whole) = self.other_size([h, w]);
        let interpolation = self.dice.pick(&[
            Interpolation::NearestPreferFloor,
            Interpolation::NearestPreferCeil,
            Interpolation::NearestFloor,
            Interpolation::NearestCeil,
        ]);
        self.hits.push(if whole { "nearest, whole factors" } else { "nearest, any factors" });
        let [rows, columns] = resize.size;
        self.moved(name, Op::Resize(Resize { interpolation, ..resize }), input, [n, c, rows, columns])
    }

    /// Between pixels, to a type, scale and zero point of its own; at times with scales that are not the quotients of the sizes.
    pub(crate) fn bilinear(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, h, w] = self.graph.tensor(input).nchw().expect("rank 4");
        let (mut resize, whole) = self.other_size([h, w]);
        if self.dice.chance(20) {
            resize.scale = resize.scale.map(|scale| scale * 1.1);
        }
        let [rows, columns] = resize.size;
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), [n, c, rows, columns], None, dtype);
        self.node(name, Op::Resize(resize), vec![input], output);
        self.hits.push(if whole { "linear, whole factors" } else { "linear, any factors" });
        self.hits.extend((rows < h || columns < w).then_some("linear, smaller"));
        self.hits.push(match resize.coordinates {
            Coordinates::HalfPixel => "linear, half pixel",
            Coordinates::PytorchHalfPixel => "linear, half pixel as PyTorch has it",
            Coordinates::AlignCorners => "linear, corners aligned",
            Coordinates::Asymmetric => "linear, asymmetric",
        });
        output
    }

    fn transpose(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let mut perm = vec![];
        let mut left = vec![0, 1, 2, 3];
        while !left.is_empty() {
            let place = self.dice.below(left.len());
            perm.push(left.remove(place));
        }
        if perm[1] != 1 {
            self.hits.push("transposition of channels and pixels");
        }
        let out = [0, 1, 2, 3].map(|place| shape[perm[place]]);
        self.moved(name, Op::Transpose { perm }, input, out)
    }

    /// Factors of an axis go to its neighbours.
    fn reshape(&mut self, name: &str, input: TensorId) -> TensorId {
        let mut shape = self.graph.tensor(input).nchw().expect("rank 4");
        for axis in 1..3 {
            let divisors: Vec<usize> = (1..=shape[axis]).filter(|d| shape[axis].is_multiple_of(*d)).collect();
            let factor = self.dice.pick(&divisors);
            let to = axis + 1;
            shape[axis] /= factor;
            shape[to] *= factor;
        }
        if shape != self.graph.tensor(input).nchw().expect("rank 4") {
            self.hits.push("reshape");
        }
        self.moved(name, Op::Reshape, input, shape)
    }
}
