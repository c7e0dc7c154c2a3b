//! Random networks that end in sums (rule N-16): a convolution or a fully connected layer whose output is what the array added up.

use systole_machine::isa::{Flag, Operation, OutputFormat};
use systole_machine::program::{ElementType, Program};
use systole_machine::spec::Machine;
use systole_network::tensor::{DType, TensorId};

use crate::network::Network;

/// What a run of the default size must have met.
pub(crate) const EXPECTED_HITS: &[&str] = &[
    "sums of a convolution",
    "sums of a fully connected layer",
    "sums as outputs",
    "sums as outputs, transposed",
    "sums as outputs, under 32 bits",
    "sums as outputs, over 32 bits",
    "sums as outputs, several stores",
];

impl Network {
    /// The network's last layer.
    pub(crate) fn sums(&mut self, name: &str, input: TensorId) -> TensorId {
        self.forced = Some(DType::I32);
        if self.dice.chance(60) {
            self.hits.push("sums of a convolution");
            return self.conv(name, input);
        }
        self.hits.push("sums of a fully connected layer");
        self.fully_connected(name, input)
    }
}

/// How the program stores them.
pub(crate) fn hits(machine: &Machine, program: &Program) -> Vec<&'static str> {
    let (mut hits, mut format, mut stores) = (vec![], OutputFormat::Plain, 0);
    for instruction in &program.instructions {
        match instruction.operation {
            Operation::VectorFormat { out } => format = out,
            Operation::VectorRequant { transposed, .. } if format == OutputFormat::Sum => {
                hits.push("sums as outputs");
                hits.extend((transposed == Flag(true)).then_some("sums as outputs, transposed"));
                hits.extend(match machine.array.accumulator_bits {
                    ..32 => Some("sums as outputs, under 32 bits"),
                    32 => None,
                    _ => Some("sums as outputs, over 32 bits"),
                });
            }
            Operation::StoreRun { .. } if format == OutputFormat::Sum => stores += 1,
            _ => {}
        }
    }
    hits.extend((stores > 1).then_some("sums as outputs, several stores"));
    assert_eq!(hits.is_empty(), program.tensors.iter().all(|entry| entry.element != ElementType::I32));
    hits.sort_unstable();
    hits.dedup();
    hits
}
