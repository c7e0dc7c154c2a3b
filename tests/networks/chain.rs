//! From a name to a network with golden's answers, and on to its run on a machine.

use std::collections::{BTreeMap, BTreeSet};

use systole::compare::compare;
use systole::compiler::compile::Compiled;
use systole::compiler::passes::Quantised;
use systole::golden::{self, Keep, Options, Value};
use systole::machine::config;
use systole::machine::spec::Machine;
use systole::network::policy::NumericPolicy;
use systole::network::tensor::TensorId;
use systole::network::zoo;
use systole::pipeline::{self, Engine, Imported, ModelOptions};
use systole::simulator::contract::{Memories, Outcome, Timing};
use systole::tensors::value;
use systole::{export, source};

/// The machine where the choice does not matter.
pub(crate) const EDGE: &str = "edge-16x16";

pub(crate) fn presets() -> Vec<&'static str> {
    config::presets().iter().map(|(name, _)| *name).collect()
}

pub(crate) fn machine(preset: &str) -> Machine {
    source::machine(preset).expect("a preset").machine
}

/// A network of the zoo as published.
pub(crate) fn published(name: &str) -> Imported {
    pipeline::import(&format!("zoo:{name}"), &ModelOptions::default()).expect("in the zoo")
}

/// A network of the zoo, scaled down, written to an ONNX file and read back.
pub(crate) fn scaled(name: &str, width_divisor: usize, input_size: usize) -> Imported {
    let graph = zoo::build_scaled(name, width_divisor, input_size).expect("large enough");
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join(format!("{name}.onnx"));
    std::fs::write(&path, export::onnx(&graph, 0).expect("a float network")).expect("writable");
    pipeline::import(path.to_str().expect("UTF-8"), &ModelOptions::default()).expect("a valid file")
}

/// A quantised network, an input, and golden's values of all activations.
pub(crate) struct Network {
    pub(crate) imported: Imported,
    pub(crate) quantised: Quantised,
    policy: NumericPolicy,
    /// Logical bytes of each input.
    pub(crate) inputs: Vec<Vec<u8>>,
    pub(crate) golden: BTreeMap<TensorId, Value>,
}

impl Network {
    /// With the seeded input, quantised for machines that compute as the default one.
    pub(crate) fn new(imported: Imported) -> Self {
        Self::quantised_for(imported, &machine(EDGE))
    }

    /// With the seeded input.
    pub(crate) fn quantised_for(imported: Imported, machine: &Machine) -> Self {
        let quantised =
            pipeline::quantise(&imported, machine, &ModelOptions::default(), true).expect("it has integer rules");
        let ports = pipeline::ports(&quantised.graph, &quantised.inputs);
        let (inputs, _) = pipeline::input_bytes(&ports, None, 0).expect("seeded");
        Network { policy: pipeline::policy(machine), ..Self::with_inputs(imported, quantised, inputs) }
    }

    /// Whether a machine computes as the one that this was quantised for.
    pub(crate) fn suits(&self, machine: &Machine) -> bool {
        self.policy == pipeline::policy(machine)
    }

    pub(crate) fn with_inputs(imported: Imported, quantised: Quantised, inputs: Vec<Vec<u8>>) -> Self {
        let ports = pipeline::ports(&quantised.graph, &quantised.inputs);
        let values: BTreeMap<_, _> = quantised
            .inputs
            .iter()
            .zip(ports.iter().zip(&inputs))
            .map(|(at, (port, bytes))| (at.tensor, value(bytes.clone(), port.element)))
            .collect();
        let options = Options { seed: 0, keep: Keep::All };
        let mut golden = golden::run(&quantised.graph, &values, options).expect("golden runs it").tensors;
        golden.extend(values);
        assert_lively(&golden);
        Network { imported, quantised, policy: pipeline::policy(&machine(EDGE)), inputs, golden }
    }

    pub(crate) fn on(&self, preset: &str) -> Mapped<'_> {
        self.on_machine(machine(preset))
    }

    pub(crate) fn on_machine(&self, machine: Machine) -> Mapped<'_> {
        assert!(self.suits(&machine), "quantised for another machine");
        let compiled = pipeline::compile_model(&self.imported, &self.quantised, &machine, true).expect("it fits");
        Mapped { network: self, machine, compiled }
    }
}

/// Activations that are all the same would agree with anything.
fn assert_lively(golden: &BTreeMap<TensorId, Value>) {
    // Signs (N-28) have two values.
    let signs = BTreeSet::from([1_u8, 255]);
    let lively = |value: &&Value| {
        let values: BTreeSet<u8> = value.to_le_bytes().into_iter().collect();
        values.len() > 8 || values == signs
    };
    let count = golden.values().filter(lively).count();
    assert!(2 * count > golden.len(), "{count} of {} tensors hold more than 8 values", golden.len());
}

/// A network as a program of a machine.
pub(crate) struct Mapped<'a> {
    network: &'a Network,
    pub(crate) machine: Machine,
    pub(crate) compiled: Compiled,
}

impl Mapped<'_> {
    pub(crate) fn run(&self, engine: Engine) -> (Timing, Memories) {
        let run = pipeline::run(&self.compiled.program, &self.machine, &self.network.inputs, engine).expect("it runs");
        assert_eq!(run.0.outcome, Outcome::Halted);
        run
    }

    /// Every activation of the network is golden's, and none is left out.
    pub(crate) fn assert_exact(&self, memories: &Memories) {
        let Network { quantised, golden, .. } = self.network;
        let name = format!("{} on {}", self.compiled.program.model.name, self.machine.name);
        let (verification, _) = compare(quantised, &self.compiled, golden, &memories.dram);
        assert_eq!(verification.first_mismatch, None, "{name}");
        assert!(verification.bit_exact, "{name}");
        assert_eq!(verification.tensors_unobservable, [], "{name}");
        assert_eq!(verification.tensors_compared, golden.len() as u64, "{name}");
    }
}
