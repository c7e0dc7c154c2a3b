//! The chain that verbs and tests run: model → imported graph → calibration → quantised graph → program → timing and data.
//!
//! Every step is a function of what it is given; the wall-clock seconds of each are kept apart, for reports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use systole_compiler::compile::{Compiled, Constants, Header, compile};
use systole_compiler::error::ErrorKind;
use systole_compiler::frontends::onnx::ImportOptions;
use systole_compiler::passes::{
    Boundary, Context, PASSES, PassError, Quantised, Values, float_islands, is_float, legalise, prepare_float,
};
use systole_golden::{GoldenError, Value, ranges};
use systole_machine::config;
use systole_machine::program::{ElementType, ModelEntry};
use systole_machine::spec::{self, Machine};
use systole_network::graph::{Form, Graph};
use systole_network::policy::{NumericPolicy, Requantisation};
use systole_network::tensor::{DType, TensorId};
use systole_network::{batch, count, seed, verify};

use crate::problem::{Failure, Problem};
use crate::source;
use crate::tensors::{self, Inputs, Port};

mod run;

pub use run::{Engine, job, probed_run, run, time, traced_run, traced_time};

/// Seeded images that calibrate a float model (N-12).
const CALIBRATION_IMAGES: u64 = 8;

/// Index of the seeded image that is the input where no file gives one; not one of calibration's.
const INPUT_IMAGE: u64 = 100;

/// What may be said of a model beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelOptions {
    /// Images per run; the file's own where absent.
    pub batch: Option<usize>,
    /// Shapes of inputs by name.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// Images to calibrate a float model with.
    pub calibration: Option<PathBuf>,
    /// Of weights and inputs that no file gives.
    pub seed: u64,
    /// Float islands are errors.
    pub refuse_float_islands: bool,
}

/// Wall-clock seconds of the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// Reading the model.
    pub import: f64,
    /// Calibration, passes and compilation.
    pub compile: f64,
    /// The timing run.
    pub timing: f64,
    /// The data run (timing included where an engine does both).
    pub data: f64,
    /// Golden.
    pub golden: f64,
}

/// Runs `work` and adds its seconds to `total`.
pub fn timed<T>(total: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed().as_secs_f64();
    result
}

/// A model as the file says, at the batch size that was asked for.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph.
    pub graph: Graph,
    /// The same at batch 1 where another batch was asked for: calibration and totals are of it.
    one: Option<Graph>,
}

impl Imported {
    /// A graph that stands as it is, of any origin.
    ///
    /// # Errors
    /// What [`verify`](mod@verify) finds wrong with it.
    pub fn of(graph: Graph) -> Result<Self, Failure> {
        let name = graph.name.clone();
        check(&graph, &name)?;
        Ok(Imported { graph, one: None })
    }

    /// The graph at the file's own batch.
    fn as_published(&self) -> &Graph {
        self.one.as_ref().unwrap_or(&self.graph)
    }

    /// Images per run.
    pub fn batch(&self) -> u64 {
        let first = self.graph.inputs.first().map(|&id| self.graph.tensor(id));
        first.and_then(|input| input.shape.first()).map_or(1, |&n| n as u64)
    }
}

/// Reads a model.
///
/// # Errors
/// Whatever is wrong with it.
pub fn import(source: &str, options: &ModelOptions) -> Result<Imported, Failure> {
    let graph = source::model(source, &ImportOptions { shapes: options.shapes.clone() })?;
    let Some(batch) = options.batch else {
        check(&graph, source)?;
        return Ok(Imported { graph, one: None });
    };
    if batch == 0 {
        return Err(Problem::new("a batch of 0 images").help("`--batch` takes a number from 1 on").into());
    }
    if let Some(&id) = graph.outputs.iter().find(|&&id| graph.tensor(id).data.is_some()) {
        let message = format!("the output `{}` is a constant, whose batch is the file's", graph.tensor(id).name);
        return Err(Problem::new(message).help("leave `--batch` out").into());
    }
    let batched = batch::with_batch(&graph, batch);
    check(&batched, source)?;
    let one = batch::with_batch(&graph, 1);
    check(&one, source)?;
    Ok(Imported { graph: batched, one: Some(one) })
}

fn check(graph: &Graph, source: &str) -> Result<(), Failure> {
    verify::verify(graph).map_err(|errors| {
        let problem = |error: &verify::VerifyError| {
            Problem::new(&error.what)
                .at(format!("{source}: {}", error.place))
                .because(format!("{} [{}]", error.remedy, error.invariant))
        };
        Failure::Input(errors.iter().map(problem).collect())
    })
}

/// What a machine's arithmetic asks of a graph.
pub fn policy(machine: &Machine) -> NumericPolicy {
    let requantisation = match machine.vector.requantisation {
        spec::Requantisation::Float32 => Requantisation::Float32,
        spec::Requantisation::FixedPoint { multiplier_bits, double_rounding } => {
            Requantisation::FixedPoint { multiplier_bits, double_rounding }
        }
        spec::Requantisation::Shift => Requantisation::Shift,
    };
    let activation = if machine.array.activation_bits == 16 { DType::I16 } else { DType::U8 };
    NumericPolicy { requantisation, accumulator_bits: machine.array.accumulator_bits, activation }
}

/// Brings a model to the quantised form; `real` with its numbers, otherwise the structure alone.
///
/// # Errors
/// Every node that has no integer rule; a calibration file that does not fit.
pub fn quantise(
    imported: &Imported,
    machine: &Machine,
    options: &ModelOptions,
    real: bool,
) -> Result<Quantised, Failure> {
    let values = values(imported, machine, options, real)?;
    let quantised = legalise(&imported.graph, &policy(machine), &values).map_err(pass_failure)?;
    check_islands(&quantised.graph, options)?;
    if real {
        check(&quantised.graph, "the quantised form")?;
    }
    Ok(quantised)
}

/// The graph after the pass of that name, and before the next.
///
/// # Errors
/// An unknown name; otherwise as [`quantise`].
pub fn after_pass(
    imported: &Imported,
    machine: &Machine,
    options: &ModelOptions,
    name: &str,
) -> Result<Graph, Failure> {
    let Some(last) = PASSES.iter().position(|pass| pass.name == name) else {
        let names: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
        return Err(Problem::new(format!("there is no pass `{name}`"))
            .help(crate::problem::did_you_mean(name, &names))
            .into());
    };
    let values = values(imported, machine, options, true)?;
    let policy = policy(machine);
    let mut state = Quantised { graph: imported.graph.clone(), inputs: vec![], outputs: vec![] };
    for pass in &PASSES[..=last] {
        (pass.run)(&mut state, &Context { policy: &policy, values: &values }).map_err(pass_failure)?;
    }
    check_islands(&state.graph, options)?;
    Ok(state.graph)
}

fn check_islands(graph: &Graph, options: &ModelOptions) -> Result<(), Failure> {
    if !options.refuse_float_islands || graph.form == Form::Imported {
        return Ok(());
    }
    match float_islands(graph) {
        islands if islands.is_empty() => Ok(()),
        islands => Err(pass_failure(islands)),
    }
}

fn values(imported: &Imported, machine: &Machine, options: &ModelOptions, real: bool) -> Result<Values, Failure> {
    let float = is_float(&imported.graph);
    if !float && options.calibration.is_some() {
        return Err(Problem::new("this model is quantised already: `--calibration` would change nothing").into());
    }
    if !real {
        // How long streams of weights are depends on the weights; activations play no part.
        let compresses = machine.weight_decoder.is_some();
        return Ok(if compresses { Values::Weights { seed: options.seed } } else { Values::Structure });
    }
    let calibration = if float { Some(calibrate(imported.as_published(), options)?) } else { None };
    Ok(Values::Real { calibration, seed: options.seed })
}

/// Smallest and largest value of each activation over the calibration images (N-12).
fn calibrate(graph: &Graph, options: &ModelOptions) -> Result<BTreeMap<String, (f64, f64)>, Failure> {
    let prepared = prepare_float(graph, true, options.seed).map_err(pass_failure)?;
    if let Some(input) = prepared.inputs.iter().map(|&id| prepared.tensor(id)).find(|input| input.dtype != DType::F32) {
        let message = format!("the input `{}` is {} and has no scale", input.name, input.dtype.name());
        return Err(Problem::new(message)
            .help("put DequantizeLinear behind it; `golden --float` runs it as it is")
            .into());
    }
    let images = match &options.calibration {
        Some(path) => calibration_images(&prepared, path)?,
        None => (0..CALIBRATION_IMAGES).map(|index| seeded_floats(&prepared, index, options.seed)).collect(),
    };
    let found = ranges(&prepared, &images, options.seed).map_err(golden_failure)?;
    Ok(found.into_iter().map(|(id, range)| (prepared.tensor(id).name.clone(), range)).collect())
}

/// Images of a file: `[k·n, …]` for an input of `[n, …]` gives k of them.
fn calibration_images(graph: &Graph, path: &std::path::Path) -> Result<Vec<BTreeMap<TensorId, Value>>, Failure> {
    let mut arrays = tensors::read(path)?;
    let place = path.display().to_string();
    if let (Some(array), [only]) = (arrays.remove(""), &graph.inputs[..]) {
        arrays.insert(graph.tensor(*only).name.clone(), array);
    }
    let mut images: Vec<BTreeMap<TensorId, Value>> = vec![];
    for (position, &id) in graph.inputs.iter().enumerate() {
        let tensor = graph.tensor(id);
        let wrong = |what: String| Failure::from(Problem::new(what).at(&place));
        let array =
            arrays.get(&tensor.name).ok_or_else(|| wrong(format!("no array `{}` to calibrate with", tensor.name)))?;
        let Value::F32(values) = &array.value else {
            return Err(wrong(format!("array `{}` is not float32", tensor.name)));
        };
        let inner: Vec<u64> = tensor.shape.iter().skip(1).map(|&length| length as u64).collect();
        let fits =
            array.shape.get(1..) == Some(&inner[..]) && !values.is_empty() && values.len() % tensor.elements() == 0;
        let count = values.len() / tensor.elements();
        if !fits || (position > 0 && count != images.len()) {
            let expected = format!("[k, {}]", inner.iter().map(u64::to_string).collect::<Vec<_>>().join(", "));
            return Err(wrong(format!(
                "array `{}` has the shape {:?}, not {expected} with the same k for all inputs",
                tensor.name, array.shape
            )));
        }
        images.resize(count, BTreeMap::new());
        for (image, chunk) in images.iter_mut().zip(values.chunks(tensor.elements())) {
            image.insert(id, Value::F32(chunk.to_vec()));
        }
    }
    Ok(images)
}

/// Seeded images for all inputs of a float graph.
fn seeded_floats(graph: &Graph, index: u64, seed: u64) -> BTreeMap<TensorId, Value> {
    let image = |id: &TensorId| {
        let tensor = graph.tensor(*id);
        (*id, Value::F32(seed::image(&tensor.shape, &tensor.name, index, seed)))
    };
    graph.inputs.iter().filter(|&&id| graph.tensor(id).dtype == DType::F32).map(image).collect()
}

/// Inputs for the imported form (`golden --float`): of the file, else seeded.
///
/// # Errors
/// An array that does not fit.
pub fn float_inputs(
    graph: &Graph,
    path: Option<&std::path::Path>,
    seed: u64,
) -> Result<BTreeMap<TensorId, Value>, Failure> {
    let mut values = seeded_floats(graph, INPUT_IMAGE, seed);
    let ports: Vec<Port> = graph.inputs.iter().map(|&id| port(graph, id, None)).collect();
    let inputs = Inputs::open(path, &ports)?;
    for (port, &id) in ports.iter().zip(&graph.inputs) {
        if let Some(given) = inputs.typed(&port.name, &port.shape, graph.tensor(id).dtype)? {
            values.insert(id, given);
        }
    }
    Ok(values)
}

fn port(graph: &Graph, id: TensorId, float_name: Option<String>) -> Port {
    let tensor = graph.tensor(id);
    let quant = tensor.quant.as_ref();
    Port {
        name: tensor.name.clone(),
        float_name,
        shape: tensor.shape.iter().map(|&length| length as u64).collect(),
        element: match tensor.dtype {
            DType::I8 | DType::B1 => ElementType::I8,
            DType::I16 => ElementType::I16,
            DType::I32 => ElementType::I32,
            _ => ElementType::U8,
        },
        scale: quant.map_or(1.0, |quant| quant.scale_of(0)),
        zero_point: quant.map_or(0, |quant| quant.zero_point_of(0)),
    }
}

/// Ports of the boundaries of a quantised graph, in its order.
pub fn ports(graph: &Graph, boundaries: &[Boundary]) -> Vec<Port> {
    boundaries.iter().map(|boundary| port(graph, boundary.tensor, Some(boundary.float_name.clone()))).collect()
}

/// The logical bytes of each port: of the file, else a seeded image. Also the names of those that are seeded.
///
/// # Errors
/// An array that does not fit.
pub fn input_bytes(
    ports: &[Port],
    path: Option<&std::path::Path>,
    seed: u64,
) -> Result<(Vec<Vec<u8>>, Vec<String>), Failure> {
    let inputs = Inputs::open(path, ports)?;
    let mut all = vec![];
    let mut seeded = vec![];
    for port in ports {
        all.push(match inputs.bytes(port)? {
            Some(bytes) => bytes,
            None => {
                seeded.push(port.model_name().to_owned());
                let shape: Vec<usize> = port.shape.iter().map(|&length| length as usize).collect();
                port.quantise(&seed::image(&shape, port.model_name(), INPUT_IMAGE, seed))
            }
        });
    }
    Ok((all, seeded))
}

/// Compiles a quantised model; without `real` numbers the program has no constants.
///
/// # Errors
/// Every layer that the machine cannot run.
pub fn compile_model(
    imported: &Imported,
    quantised: &Quantised,
    machine: &Machine,
    real: bool,
) -> Result<Compiled, Failure> {
    let published = imported.as_published();
    let batch = imported.batch();
    let images_in_file =
        published.inputs.first().and_then(|&id| published.tensor(id).shape.first()).map_or(1, |&n| n.max(1) as u64);
    let model = ModelEntry {
        name: published.name.clone(),
        macs: count::macs(published) / images_in_file,
        parameters: count::parameters(published),
        weight_bytes: count::weight_bytes(&quantised.graph),
        batch,
    };
    let header = Header { machine_yaml: config::to_yaml(machine), model };
    let constants = if real { Constants::Real } else { Constants::None };
    compile(quantised, machine, header, constants).map_err(|errors| {
        let problem = |error: &systole_compiler::error::CompileError| {
            let problem = Problem::new(&error.message).at(format!("layer `{}`", error.node));
            match error.kind {
                ErrorKind::Internal => problem.because("this is a defect of the compiler; please report it"),
                ErrorKind::Invalid | ErrorKind::Unsupported => problem,
            }
        };
        Failure::Input(errors.iter().map(problem).collect())
    })
}

/// Golden's refusal of a graph.
pub fn golden_failure(error: GoldenError) -> Failure {
    Problem::new(error.to_string()).because("the CPU reference cannot run this network").into()
}

fn pass_failure(errors: Vec<PassError>) -> Failure {
    let problem = |error: &PassError| {
        Problem::new(&error.message).at(&error.place).help(error.remedy.clone().unwrap_or_default())
    };
    Failure::Input(errors.iter().map(problem).collect())
}
