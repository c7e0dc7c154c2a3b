//! Random layers of rules N-24 and N-25: tables, differences, quotients, maxima, minima; and maxima over whole images.

use systole_network::op::{Function, Op};
use systole_network::tensor::{DType, Data, TensorId};

use crate::network::Network;

impl Network {
    /// Of 8 bits, whatever else the machine takes.
    fn bytes(&mut self) -> DType {
        self.dice.pick(&[DType::I8, DType::U8])
    }

    pub(crate) fn function(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let dtype = self.bytes();
        let output = self.activation(&format!("{name}_out"), shape, None, dtype);
        if self.dice.chance(20) {
            self.hits.push("PRelu");
            let (dtype, channels) = (self.bytes(), shape[1]);
            let (bytes, quant) = (self.dice.bytes(channels), self.quant(dtype));
            let data = Data::Stored(bytes.into());
            let slopes = self.constant(format!("{name}_slopes"), vec![channels], dtype, Some(quant), data);
            self.node(name, Op::PRelu, vec![input, slopes], output);
            return output;
        }
        let alpha = self.dice.real(-0.5, 2.0);
        let function = self.dice.pick(&[
            Function::Sigmoid,
            Function::Tanh,
            Function::HardSwish,
            Function::HardSigmoid { alpha, beta: 0.4 },
            Function::LeakyRelu { alpha },
            Function::Elu { alpha },
        ]);
        self.hits.push(function.name());
        self.node(name, Op::Function(function), vec![input], output);
        output
    }

    pub(crate) fn pair(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        let dtype = self.dtype();
        let output = self.activation(&format!("{name}_out"), shape, None, dtype);
        let op = [Op::Sub, Op::Div, Op::Max, Op::Min][self.dice.below(4)].clone();
        self.hits.push(op.name());
        let second = if self.dice.chance(50) {
            self.hits.push("constant per channel of rule N-25");
            let (dtype, channels) = (self.dtype(), shape[1]);
            let (bytes, quant) = (self.dice.bytes(channels * dtype.bytes()), self.quant(dtype));
            self.constant(format!("{name}_c"), vec![channels], dtype, Some(quant), Data::Stored(bytes.into()))
        } else {
            self.hits.push("two tensors of rule N-25");
            self.pointwise(&format!("{name}_second"), input, shape)
        };
        self.node(name, op, vec![input, second], output);
        output
    }

    pub(crate) fn global_max(&mut self, name: &str, input: TensorId) -> TensorId {
        let [n, c, _, _] = self.graph.tensor(input).nchw().expect("rank 4");
        let (quant, dtype) = (self.graph.tensor(input).quant.clone(), self.graph.tensor(input).dtype);
        let output = self.activation(&format!("{name}_out"), [n, c, 1, 1], quant, dtype);
        self.node(name, Op::GlobalMaxPool, vec![input], output);
        self.hits.push("global max pooling");
        output
    }
}
