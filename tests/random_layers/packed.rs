//! Random layers of operands under 8 bits (rules N-28, M-14): weights of few values, and signs that a convolution reads.

use systole_machine::isa::{ActivationFormat, Operation, OutputFormat, WeightFormat};
use systole_machine::program::Program;
use systole_network::op::Op;
use systole_network::tensor::{DType, Data, Quant, TensorId, bytes_of_f32};

use crate::network::Network;

/// What a run of the default size must have met.
pub(crate) const EXPECTED_HITS: &[&str] = &[
    "weights i4",
    "weights i2",
    "weights l2",
    "weights b1",
    "weights stored in 4 bits",
    "weights stored in 2 bits",
    "levels stored in 2 bits",
    "weights stored in 1 bit",
    "weights widened",
    "signs of sums",
    "signs of a batch norm",
    "signs of a rescale",
    "signs stored as bytes",
    "signs stored as bits",
    "bits read by the array",
];

impl Network {
    pub(crate) fn narrow_weights(&mut self, name: &str, shape: Vec<usize>) -> TensorId {
        let (dtype, hit, values): (DType, &'static str, &[i8]) = match self.dice.below(4) {
            0 => (DType::I4, "weights i4", &[-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7]),
            1 => (DType::I2, "weights i2", &[-2, -1, 0, 1]),
            2 => (DType::L2, "weights l2", &[-2, -1, 1, 2]),
            _ => (DType::B1, "weights b1", &[-1, 1]),
        };
        self.hits.push(hit);
        let (channels, count) = (shape[0], shape.iter().product());
        let bytes: Vec<u8> = (0..count).map(|_| self.dice.pick(values) as u8).collect();
        let scale = (0..channels).map(|_| self.scale(0.01, 0.2)).collect();
        let quant = Quant { scale, zero_point: vec![0; channels], axis: Some(0) };
        self.constant(format!("{name}_weight"), shape, dtype, Some(quant), Data::Stored(bytes.into()))
    }

    /// The signs of a convolution, of a batch norm, or of the input itself.
    pub(crate) fn signs(&mut self, name: &str, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).nchw().expect("rank 4");
        match self.dice.below(4) {
            0 | 1 => {
                self.hits.push("signs of sums");
                self.forced = Some(DType::B1);
                self.conv(name, input)
            }
            2 => {
                self.hits.push("signs of a batch norm");
                let output = self.activation(&format!("{name}_out"), shape, None, DType::B1);
                let [a, b] = ["a", "b"].map(|vector| {
                    let values: Vec<f32> = (0..shape[1]).map(|_| self.dice.real(0.0, 2.0) - 1.0).collect();
                    let data = Data::Stored(bytes_of_f32(&values));
                    self.constant(format!("{name}_{vector}"), vec![shape[1]], DType::F32, None, data)
                });
                self.node(name, Op::BatchNorm { epsilon: 0.0 }, vec![input, a, b], output);
                output
            }
            _ => {
                self.hits.push("signs of a rescale");
                let output = self.activation(&format!("{name}_out"), shape, None, DType::B1);
                self.node(name, Op::Rescale, vec![input], output);
                output
            }
        }
    }

    pub(crate) fn signs_and_conv(&mut self, name: &str, input: TensorId) -> TensorId {
        let signs = self.signs(&format!("{name}_signs"), input);
        self.conv(name, signs)
    }
}

/// How the program stores operands and results.
pub(crate) fn hits(program: &Program) -> Vec<&'static str> {
    let mut hits = vec![];
    for instruction in &program.instructions {
        match instruction.operation {
            Operation::ArrayFormats { weight, activation, .. } => {
                hits.extend((activation == ActivationFormat::Binary).then_some("bits read by the array"));
                hits.extend(match weight {
                    WeightFormat::Byte => None,
                    WeightFormat::Int4 => Some("weights stored in 4 bits"),
                    WeightFormat::Int2 => Some("weights stored in 2 bits"),
                    WeightFormat::Levels => Some("levels stored in 2 bits"),
                    WeightFormat::Binary => Some("weights stored in 1 bit"),
                });
            }
            Operation::VectorFormat { out: OutputFormat::Sign } => hits.push("signs stored as bytes"),
            Operation::VectorFormat { out: OutputFormat::Binary } => hits.push("signs stored as bits"),
            _ => {}
        }
    }
    let widened = program.layers.iter().any(|layer| layer.mapping.contains(" widened to "));
    hits.extend(widened.then_some("weights widened"));
    hits
}
