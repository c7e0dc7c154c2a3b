//! From a quantised graph to a program: the order of the stages, and what each hands to the next.

use std::collections::BTreeMap;

use rayon::prelude::*;
use systole_machine::program::{ElementType, LayerEntry, Layout, ModelEntry, Program, Role, Segment, TensorEntry};
use systole_machine::spec::{Dataflow, Machine};
use systole_network::graph::Graph;
use systole_network::tensor::{DType, TensorId};

use crate::check::check;
use crate::emit::emit;
use crate::error::CompileError;
use crate::fixed::{check_island, check_policy, record_bytes};
use crate::image::{channel_params, requant_params, weight_tiles, weight_zero_point};
use crate::layers::{Dims, Kind, Layer, Layers, Second, Window, layers};
use crate::lower::vector::{Function, Quantised as OperandQuant, VectorLayer};
use crate::lower::{Item, conv::Conv, order};
use crate::mapping::conv::{Side, Spread};
use crate::mapping::{ConvMapping, VectorMapping, vector};
use crate::memory::{Dram, Place, place_activations};
use crate::passes::Quantised;
use crate::schedule::{Step, synchronise};
use crate::sums::check_sums;

mod convolution;

use convolution::Convolution;

/// How a layer runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapping {
    /// On the array.
    Conv(ConvMapping),
    /// On the vector unit.
    Vector(VectorMapping),
}

/// Everything between graph and program, for `--emit` and `--explain`.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The program.
    pub program: Program,
    /// Fused operators.
    pub layers: Layers,
    /// One for each layer.
    pub mappings: Vec<Mapping>,
    /// DRAM places of all activations.
    pub places: BTreeMap<TensorId, Place>,
    /// Steps in program order.
    pub steps: Vec<Step>,
}

/// What the program says of model and machine.
#[derive(Clone, Debug)]
pub struct Header {
    /// The resolved machine, as YAML.
    pub machine_yaml: String,
    /// Totals of the model.
    pub model: ModelEntry,
}

/// Whether constants are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constants {
    /// The image holds weights and parameters.
    Real,
    /// The image is empty; everything else is the same.
    None,
}

/// Compiles.
///
/// # Errors
/// Every layer that the machine cannot run, and defects found by the checker.
pub fn compile(
    quantised: &Quantised,
    machine: &Machine,
    header: Header,
    constants: Constants,
) -> Result<Compiled, Vec<CompileError>> {
    let graph = &quantised.graph;
    check_policy(graph, machine).map_err(|error| vec![error])?;
    let layers = layers(graph)?;
    let mappings = map_all(&layers, graph, machine)?;
    if constants == Constants::Real {
        check_sums(graph, &layers, machine)?;
    }
    let mut dram = Dram::default();
    let places = place_activations(graph, &layers, &mut dram);
    let context = Context { graph, machine, layers: &layers, mappings: &mappings, places: &places };
    let mut image = vec![];
    let mut items = vec![];
    let mut entries = vec![];
    for index in 0..layers.layers.len() {
        let lowered = context.lower(index, &mut dram, constants).map_err(|error| vec![error])?;
        items.extend(lowered.items);
        image.extend(lowered.image);
        entries.push(lowered.entry);
    }
    if machine.unified {
        items.iter_mut().for_each(Item::unify);
    }
    let mut steps = order(items);
    synchronise(&mut steps);
    let (instructions, source) = emit(&steps);
    let program = Program {
        machine_yaml: header.machine_yaml,
        model: header.model,
        dram_bytes: dram.bytes(),
        instructions,
        source,
        layers: entries,
        image,
        tensors: tensor_table(quantised, &places),
    };
    check(&program, machine).map_err(|error| vec![error])?;
    Ok(Compiled { program, layers, mappings, places, steps })
}

fn map_all(layers: &Layers, graph: &Graph, machine: &Machine) -> Result<Vec<Mapping>, Vec<CompileError>> {
    let results: Vec<Result<Mapping, CompileError>> =
        layers.layers.par_iter().map(|layer| map_layer(layer, layers, graph, machine)).collect();
    let mut mappings = vec![];
    let mut errors = vec![];
    for result in results {
        match result {
            Ok(mapping) => mappings.push(mapping),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(mappings) } else { Err(errors) }
}

/// The layer's own output: as many channels as it makes.
fn output_dims(layer: &Layer, layers: &Layers) -> Dims {
    let mut dims = layers.dims[&layer.output];
    if !matches!(layer.kind, Kind::Conv { .. }) {
        dims[3] = layers.dims[&layer.input][3];
    }
    dims
}

fn map_layer(layer: &Layer, layers: &Layers, graph: &Graph, machine: &Machine) -> Result<Mapping, CompileError> {
    let input = layers.dims[&layer.input];
    let output = output_dims(layer, layers);
    let window = window_of(layer);
    check_window(layer, &window)?;
    check_island(layer, machine)?;
    let element_bytes = |id: TensorId| graph.tensor(id).dtype.bytes() as u64;
    let too_small = || {
        CompileError::unsupported(
            &layer.name,
            format!(
                "the buffers of `{}` do not hold its smallest tile; enlarge them, or choose another machine",
                machine.name
            ),
        )
    };
    if let Kind::Conv { .. } = &layer.kind {
        return convolution::map(&Convolution { layer, graph, machine, window: &window, input, output }, too_small);
    }
    let work = match &layer.kind {
        Kind::MaxPool(window) | Kind::AveragePool { window, .. } => (window.kernel[0] * window.kernel[1]) as u64,
        Kind::Softmax => 3,
        Kind::Lrn(lrn) => lrn.size as u64 + 2,
        Kind::Sum(more) => 1 + more.len() as u64,
        _ => 1,
    };
    let problem = vector::Problem {
        machine,
        window: &window,
        input,
        output,
        second: layer.second().is_some(),
        element_bytes: [layer.input, layer.second().unwrap_or(layer.input), layer.output].map(element_bytes),
        channel_bytes: match layer.kind {
            Kind::Add(Second::Channel(_)) | Kind::Mul(Second::Channel(_)) | Kind::Affine { .. } => 8,
            _ => 0,
        },
        tensors: if let Kind::Sum(more) = &layer.kind { 1 + more.len() } else { 1 },
        all_channels: matches!(layer.kind, Kind::Softmax | Kind::Lrn(_) | Kind::Shuffle(_)),
        work,
        depthwise: false,
    };
    let mapping = problem.search().ok_or_else(too_small)?;
    check_pieces(layer, output, mapping.tile, output[3].div_ceil(mapping.channels))?;
    Ok(Mapping::Vector(mapping))
}

/// Pieces of work of one layer at most: far beyond any network, and a bound on the compiler's own memory.
const MAX_PIECES: usize = 1 << 20;

fn check_pieces(layer: &Layer, output: Dims, tile: [usize; 2], pieces_of_a_tile: usize) -> Result<(), CompileError> {
    let tiles = output[1].div_ceil(tile[0]).saturating_mul(output[2].div_ceil(tile[1])).saturating_mul(output[0]);
    let pieces = tiles.saturating_mul(pieces_of_a_tile);
    if pieces > MAX_PIECES {
        return Err(CompileError::unsupported(
            &layer.name,
            format!(
                "falls into {pieces} pieces on this machine, more than {MAX_PIECES}; enlarge the buffers or shrink the image"
            ),
        ));
    }
    Ok(())
}

fn window_of(layer: &Layer) -> Window {
    match &layer.kind {
        Kind::Conv { window, .. } | Kind::MaxPool(window) | Kind::AveragePool { window, .. } => window.clone(),
        _ => Window::point(),
    }
}

/// Each window must see the image: otherwise a tile without input would be needed.
fn check_window(layer: &Layer, window: &Window) -> Result<(), CompileError> {
    let reach = [0, 1].map(|axis| (window.kernel[axis] - 1) * window.dilation[axis]);
    let leading = (0..2).any(|axis| window.pads[axis] > reach[axis]);
    let trailing = (0..2).any(|axis| window.pads[axis + 2] > reach[axis]);
    if leading || trailing {
        return Err(CompileError::unsupported(
            &layer.name,
            format!(
                "padding {:?} reaches beyond the kernel {:?}: some windows would see padding alone",
                window.pads, window.kernel
            ),
        ));
    }
    Ok(())
}

/// Named where it is not what everyone presumes.
fn dataflow_text(machine: &Machine, dataflow: Dataflow) -> &'static str {
    match dataflow {
        Dataflow::WeightStationary if machine.array.dataflows.len() == 1 => "",
        Dataflow::WeightStationary => ", weight-stationary",
        Dataflow::OutputStationary => ", output-stationary",
        Dataflow::InputStationary => ", input-stationary",
    }
}

/// Named where there is something to tell.
fn spread_text(spread: Spread) -> String {
    if spread.arrays == 1 {
        return String::new();
    }
    let (side, common) = match spread.side {
        Side::Chunks => ("chunks", "input"),
        Side::Tiles => ("tiles", "weights"),
    };
    let copies = if spread.copies { format!(", each with its {common}") } else { String::new() };
    format!(", {side} over {} arrays{copies}", spread.arrays)
}

struct Lowered {
    items: Vec<Item>,
    image: Vec<Segment>,
    entry: LayerEntry,
}

struct Context<'a> {
    graph: &'a Graph,
    machine: &'a Machine,
    layers: &'a Layers,
    mappings: &'a [Mapping],
    places: &'a BTreeMap<TensorId, Place>,
}

impl Context<'_> {
    fn lower(&self, index: usize, dram: &mut Dram, constants: Constants) -> Result<Lowered, CompileError> {
        let layer = &self.layers.layers[index];
        let mut output = self.places[&layer.output];
        output.address += layer.output_channel as u64 * output.element_bytes;
        output.dims = output_dims(layer, self.layers);
        match &self.mappings[index] {
            Mapping::Conv(mapping) => self.lower_conv(index as u32, layer, mapping, output, dram, constants),
            Mapping::Vector(mapping) => self.lower_vector(index as u32, layer, mapping, output, dram, constants),
        }
    }

    fn operand(&self, id: TensorId) -> OperandQuant {
        let tensor = self.graph.tensor(id);
        let (scale, zero_point) = tensor.quant.as_ref().map_or((1.0, 0), |q| (q.scale_of(0), q.zero_point_of(0)));
        OperandQuant { dtype: tensor.dtype, zero_point, scale }
    }

    fn lower_conv(
        &self,
        index: u32,
        layer: &Layer,
        mapping: &ConvMapping,
        output: Place,
        dram: &mut Dram,
        constants: Constants,
    ) -> Result<Lowered, CompileError> {
        let input = self.places[&layer.input];
        let window = window_of(layer);
        let channels = output.dims[3];
        let weights = dram.allocate(mapping.weight_bytes);
        let params = dram.allocate(record_bytes(self.machine) * channels as u64);
        let (x, y) = (self.operand(layer.input), self.operand(layer.output));
        let Kind::Conv { weights: tensor, groups, .. } = &layer.kind else {
            return Err(CompileError::internal(&layer.name, "a convolution's mapping on another layer"));
        };
        let zero_weight = weight_zero_point(self.graph, *tensor, &layer.name)?;
        let lowering = Conv {
            layer: index,
            name: &layer.name,
            window: &window,
            machine: self.machine,
            mapping,
            input,
            output,
            weights,
            params,
            input_type: (x.dtype, x.zero_point),
            weight_type: (self.graph.tensor(*tensor).dtype, zero_weight),
            output_type: (y.dtype, y.zero_point),
            clamp: layer.clamp,
        };
        let mut image = vec![];
        if constants == Constants::Real {
            let tiles = weight_tiles(self.graph, layer, mapping, self.machine, input.dims[3])?;
            image.push(Segment { address: weights, bytes: tiles });
            image.push(Segment { address: params, bytes: self.requant_params(layer, channels)? });
        }
        let pixels = output.dims[..3].iter().product::<usize>() as u64;
        let taps = (window.kernel[0] * window.kernel[1] * input.dims[3] / groups) as u64;
        let weight_bytes = self.graph.tensor(*tensor).elements() as u64;
        let text = format!(
            "{}x{} pixels x {} chunks of {} channels{}{}{}{}{}{}",
            mapping.tile[0],
            mapping.tile[1],
            mapping.chunks.len(),
            mapping.chunks[0].outputs.1,
            dataflow_text(self.machine, mapping.dataflow),
            if mapping.packed { ", taps packed" } else { "" },
            if mapping.place.resident { ", weights resident" } else { ", weights streamed" },
            if mapping.shared { "" } else { ", input channels sliced" },
            if mapping.chunks[0].parts[0].kernel_rows.1 < window.kernel[0] { ", kernel rows split" } else { "" },
            spread_text(mapping.spread),
        );
        let entry = self.entry(layer, pixels * taps * channels as u64, weight_bytes + 4 * channels as u64, text);
        Ok(Lowered { items: lowering.items()?, image, entry })
    }

    fn requant_params(&self, layer: &Layer, channels: usize) -> Result<Vec<u8>, CompileError> {
        requant_params(self.graph, layer, channels, self.machine.vector.requantisation)
    }

    fn lower_vector(
        &self,
        index: u32,
        layer: &Layer,
        mapping: &VectorMapping,
        output: Place,
        dram: &mut Dram,
        constants: Constants,
    ) -> Result<Lowered, CompileError> {
        let more: Vec<Place> = match &layer.kind {
            Kind::Sum(more) => more.iter().map(|id| self.places[id]).collect(),
            _ => vec![],
        };
        if let Kind::Conv { .. } = layer.kind {
            return self.lower_depthwise(index, layer, mapping, output, dram, constants);
        }
        let (function, second) = match &layer.kind {
            Kind::Add(second) => (Function::Add, Some(second)),
            Kind::Mul(second) => (Function::Mul, Some(second)),
            Kind::Affine { .. } => (Function::Affine, None),
            Kind::Rescale => (Function::Rescale, None),
            Kind::MaxPool(_) => (Function::MaxPool, None),
            Kind::AveragePool { include_pad, .. } => (Function::AveragePool { include_pad: *include_pad }, None),
            Kind::Softmax => (Function::Softmax, None),
            Kind::Lrn(lrn) => (Function::Lrn(*lrn), None),
            Kind::Sum(_) => (Function::Sum(&more), None),
            Kind::Shuffle(shuffle) => (Function::Shuffle(shuffle), None),
            Kind::Conv { .. } => return Err(CompileError::internal(&layer.name, "a convolution on the vector unit")),
        };
        let has_params = matches!(second, Some(Second::Channel(_))) || function == Function::Affine;
        let entries = match function {
            Function::Sum(more) => 1 + more.len(),
            _ if has_params => output.dims[3],
            _ => 0,
        };
        let params = (entries > 0).then(|| dram.allocate(8 * entries as u64));
        let b = match second {
            Some(Second::Tensor(id) | Second::Channel(id)) => self.operand(*id),
            None => OperandQuant { dtype: DType::U8, zero_point: 0, scale: 1.0 },
        };
        let window = window_of(layer);
        let lowering = VectorLayer {
            layer: index,
            name: &layer.name,
            machine: self.machine,
            function,
            window: &window,
            mapping,
            input: self.places[&layer.input],
            second: match second {
                Some(Second::Tensor(id)) => Some(self.places[id]),
                _ => None,
            },
            params,
            channel_bytes: 8,
            output,
            quants: [self.operand(layer.input), b, self.operand(layer.output)],
            clamp: layer.clamp,
        };
        let mut image = vec![];
        if let (Some(address), Constants::Real) = (params, constants)
            && let Some(bytes) = channel_params(self.graph, layer)?
        {
            image.push(Segment { address, bytes });
        }
        let text = format!(
            "{}x{} pixels x {} channels on the vector unit",
            mapping.tile[0], mapping.tile[1], mapping.channels
        );
        let constant_bytes = 8 * entries as u64;
        Ok(Lowered { items: lowering.items()?, image, entry: self.entry(layer, 0, constant_bytes, text) })
    }

    /// Compulsory bytes: constants, and the network's inputs and outputs that the layer touches.
    fn entry(&self, layer: &Layer, macs: u64, constant_bytes: u64, mapping: String) -> LayerEntry {
        let bytes = |id: TensorId| {
            let elements: u64 = self.layers.dims[&id].iter().map(|&d| d as u64).product();
            elements * self.places[&id].element_bytes
        };
        let mut compulsory_bytes = constant_bytes;
        if self.graph.inputs.contains(&layer.input) {
            compulsory_bytes += bytes(layer.input);
        }
        if self.graph.outputs.contains(&layer.output) {
            compulsory_bytes += bytes(layer.output);
        }
        LayerEntry {
            name: layer.name.clone(),
            nodes: layer.nodes.clone(),
            op: layer.op.clone(),
            macs,
            compulsory_bytes,
            mapping,
        }
    }
}

fn tensor_table(quantised: &Quantised, places: &BTreeMap<TensorId, Place>) -> Vec<TensorEntry> {
    let graph = &quantised.graph;
    let boundary =
        |id| quantised.inputs.iter().chain(&quantised.outputs).find(|b| b.tensor == id).map(|b| b.float_name.clone());
    places
        .iter()
        .map(|(&id, place)| {
            let tensor = graph.tensor(id);
            let quant = tensor.quant.as_ref();
            let role = if graph.inputs.contains(&id) {
                Role::Input
            } else if graph.outputs.contains(&id) {
                Role::Output
            } else {
                Role::Intermediate
            };
            let [n, h, w, c] = place.dims.map(|d| d as u64);
            TensorEntry {
                name: tensor.name.clone(),
                shape: tensor.shape.iter().map(|&d| d as u64).collect(),
                dims: [n, c, h, w],
                element: match tensor.dtype {
                    DType::I8 => ElementType::I8,
                    DType::I16 => ElementType::I16,
                    _ => ElementType::U8,
                },
                role,
                layout: Layout::Nhwc,
                address: place.address,
                pixel_pitch: place.pixel_pitch,
                scale: quant.map_or(1.0, |q| q.scale_of(0)),
                zero_point: quant.map_or(0, |q| q.zero_point_of(0)),
                float_name: boundary(id),
            }
        })
        .collect()
}
