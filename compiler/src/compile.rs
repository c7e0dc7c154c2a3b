//! From a quantised graph to a program: the order of the stages, and what each hands to the next.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use systole_machine::program::{LayerEntry, ModelEntry, Program, Segment};
use systole_machine::spec::Machine;
use systole_network::graph::Graph;
use systole_network::tensor::{DType, TensorId};

use crate::check::check;
use crate::compress::stored::StoredWeights;
use crate::emit::emit;
use crate::error::CompileError;
use crate::fixed::{check_island, check_policy, record_bytes};
use crate::formats;
use crate::image::{channel_params, requant_params, weight_zero_point};
use crate::layers::transposed::Phase;
use crate::layers::{Dims, Kind, Layer, Layers, Second, Window, layers};
use crate::lower::vector::{Function, Quantised as OperandQuant, VectorLayer};
use crate::lower::{Item, conv::Conv, order};
use crate::mapping::{ConvMapping, VectorMapping, vector};
use crate::memory::{Dram, Place, place_activations};
use crate::passes::Quantised;
use crate::schedule::{Step, synchronise};
use crate::sums::check_sums;

mod convolution;
mod moves;
mod table;
mod taps;
mod text;

use convolution::Convolution;
use moves::MoveMapping;
use table::tensor_table;
use text::conv_text;

/// How a layer runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapping {
    /// On the array.
    Conv(ConvMapping),
    /// On the vector unit.
    Vector(VectorMapping),
    /// By loads and stores alone.
    Move(MoveMapping),
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
    mut header: Header,
    constants: Constants,
) -> Result<Compiled, Vec<CompileError>> {
    let graph = &quantised.graph;
    check_policy(graph, machine).map_err(|error| vec![error])?;
    // What layers cost decides what they are, and only then are there bits.
    let cycles = |layer: &Layer, layers: &Layers| match map_layer(layer, layers, (graph, machine), &BTreeSet::new()) {
        Ok(Mapping::Conv(mapping)) => Some(mapping.cycles),
        _ => None,
    };
    let layers = layers(graph, &cycles)?;
    let bits = formats::bits(graph, &layers, machine);
    let mappings = map_all(&layers, graph, machine, &bits)?;
    if constants == Constants::Real {
        check_sums(graph, &layers, machine)?;
    }
    let mut dram = Dram::default();
    let places = place_activations(graph, &layers, &bits, &mut dram);
    let context = Context { graph, machine, layers: &layers, mappings: &mappings, places: &places };
    let mut image = vec![];
    let mut items = vec![];
    let mut entries = vec![];
    for index in 0..layers.layers.len() {
        let lowered = context.lower(index, &mut dram, constants).map_err(|error| vec![error])?;
        items.extend(lowered.items);
        image.extend(lowered.image);
        entries.push(lowered.entry);
        header.model.weight_bytes = header.model.weight_bytes.saturating_add_signed(lowered.more_bytes);
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

fn map_all(
    layers: &Layers,
    graph: &Graph,
    machine: &Machine,
    bits: &BTreeSet<TensorId>,
) -> Result<Vec<Mapping>, Vec<CompileError>> {
    let results: Vec<Result<Mapping, CompileError>> =
        layers.layers.par_iter().map(|layer| map_layer(layer, layers, (graph, machine), bits)).collect();
    let mut errors = vec![];
    let mappings = results.into_iter().filter_map(|result| result.map_err(|error| errors.push(error)).ok()).collect();
    if errors.is_empty() { Ok(mappings) } else { Err(errors) }
}

/// The layer's own output: a copy into a concatenation makes no more than it reads.
fn output_dims(layer: &Layer, layers: &Layers) -> Dims {
    match &layer.kind {
        Kind::Rescale => layers.dims[&layer.input],
        Kind::Conv { phase: Some(phase), .. } => phase.output_dims(layers.dims[&layer.output]),
        _ => layers.dims[&layer.output],
    }
}

fn map_layer(
    layer: &Layer,
    layers: &Layers,
    (graph, machine): (&Graph, &Machine),
    bits: &BTreeSet<TensorId>,
) -> Result<Mapping, CompileError> {
    let phase = layer.phase();
    let input = phase.map_or(layers.dims[&layer.input], |phase| phase.input_dims(layers.dims[&layer.input]));
    let output = output_dims(layer, layers);
    let window = window_of(layer);
    check_window(layer, &window)?;
    check_island(layer, machine)?;
    let element_bytes = |id: TensorId| graph.tensor(id).dtype.bytes() as u64;
    if let Kind::Move(_) = &layer.kind {
        return Ok(Mapping::Move(MoveMapping::of(machine, output, element_bytes(layer.output))));
    }
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
        return convolution::map(
            &Convolution { layer, graph, machine, window: &window, input, output, bits },
            too_small,
        );
    }
    if let Some(mapping) = taps::map(layer, [input, output], graph, machine) {
        check_pieces(layer, output, mapping.tile, taps::slices_of(layer, input, mapping.channels).len())?;
        return Ok(Mapping::Vector(mapping));
    }
    let work = match &layer.kind {
        Kind::Sample(_) | Kind::Unpool { .. } | Kind::Resize(_) => return Err(too_small()),
        Kind::MaxPool(window) | Kind::ArgMax(window) | Kind::AveragePool { window, .. } => {
            (window.kernel[0] * window.kernel[1]) as u64
        }
        Kind::Softmax => 3,
        Kind::Lrn(lrn) => lrn.size as u64 + 2,
        Kind::Sum(more) => 1 + more.len() as u64,
        _ => 1,
    };
    let problem = vector::Problem {
        machine,
        window: &window,
        // An operand of two may be smaller than the image.
        input: if layer.second().is_some() { output } else { input },
        output,
        second: layer.second().is_some(),
        repeats: layers.repeats(layer),
        element_bytes: [layer.input, layer.second().unwrap_or(layer.input), layer.output].map(element_bytes),
        bits_out: bits.contains(&layer.output),
        channel_bytes: match layer.kind {
            Kind::Add(Second::Channel(_))
            | Kind::Mul(Second::Channel(_))
            | Kind::Pair(_, Second::Channel(_))
            | Kind::Affine { .. } => 8,
            Kind::Table(table) => table.bytes()[1],
            _ => 0,
        },
        common_bytes: if let Kind::Table(table) = layer.kind { table.bytes()[0] } else { 0 },
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
pub(crate) const MAX_PIECES: usize = 1 << 20;

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
        Kind::Conv { window, .. } | Kind::MaxPool(window) | Kind::ArgMax(window) => window.clone(),
        Kind::AveragePool { window, .. } => window.clone(),
        _ => Window::point(),
    }
}

/// Each window of a pooling must see the image: of nothing there is no maximum.
fn check_window(layer: &Layer, window: &Window) -> Result<(), CompileError> {
    if matches!(layer.kind, Kind::Conv { .. }) {
        return Ok(());
    }
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

struct Lowered {
    items: Vec<Item>,
    image: Vec<Segment>,
    entry: LayerEntry,
    /// Bytes of weights in DRAM more than their type takes: fewer where they are compressed, more where they are widened.
    more_bytes: i64,
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
        output = match layer.phase() {
            Some(phase) => phase.output_place(&output),
            None => output.part(layer.output_first, [1; 3], output_dims(layer, self.layers)),
        };
        match &self.mappings[index] {
            Mapping::Conv(mapping) => self.lower_conv(index as u32, layer, mapping, output, dram, constants),
            Mapping::Vector(mapping) if taps::has(&layer.kind) => self.lower_taps(index as u32, layer, mapping, output),
            Mapping::Vector(mapping) => self.lower_vector(index as u32, layer, mapping, output, dram, constants),
            Mapping::Move(mapping) => self.lower_move(index as u32, layer, *mapping, output, dram, constants),
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
        let phase = layer.phase();
        let input = phase.map_or(self.places[&layer.input], |phase| phase.input_place(&self.places[&layer.input]));
        let window = window_of(layer);
        let channels = output.dims[3];
        let (stored, mut image) =
            StoredWeights::new(self.graph, layer, mapping, self.machine, input.dims[3], dram, constants)?;
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
            weights: &stored,
            params,
            input_type: (x.dtype, x.zero_point),
            weight_type: (self.graph.tensor(*tensor).dtype, zero_weight),
            weight_format: mapping.weight_format,
            output_type: (y.dtype, y.zero_point),
            clamp: layer.clamp,
        };
        if constants == Constants::Real {
            let bytes = requant_params(self.graph, layer, channels, self.machine.vector.requantisation)?;
            image.push(Segment { address: params, bytes });
        }
        let of = self.graph.tensor(*tensor);
        let (macs, weights, bias_bytes) = match phase {
            Some(phase) => phase.work(self.layers.dims[&layer.input], &of.shape),
            None => {
                let pixels = output.dims[..3].iter().product::<usize>() as u64;
                let taps = (window.kernel[0] * window.kernel[1] * input.dims[3] / groups) as u64;
                (pixels * taps * channels as u64, of.elements() as u64, 4 * channels as u64)
            }
        };
        let packed = |bits: usize| (weights * bits as u64).div_ceil(8);
        let plain_bytes = packed(mapping.weight_format.bits() as usize);
        let weight_bytes = plain_bytes - stored.saved(plain_bytes);
        let more_bytes = weight_bytes.cast_signed() - packed(of.dtype.bits()).cast_signed();
        let formats = formats::text(of.dtype, mapping.weight_format, input.bits);
        let text =
            conv_text(mapping, self.machine, &window) + phase.map_or("", Phase::describe) + &formats + &stored.text();
        let entry = self.entry(layer, macs, weight_bytes + bias_bytes, text);
        Ok(Lowered { items: lowering.items()?, image, entry, more_bytes })
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
            Kind::Pair(pair, second) => (Function::Pair(*pair), Some(second)),
            Kind::Table(table) => (Function::Table { per_channel: table.is_per_channel() }, None),
            Kind::Affine { .. } => (Function::Affine, None),
            Kind::Rescale => (Function::Rescale, None),
            Kind::MaxPool(_) => (Function::MaxPool, None),
            Kind::ArgMax(_) => (Function::ArgMax, None),
            Kind::AveragePool { include_pad, .. } => (Function::AveragePool { include_pad: *include_pad }, None),
            Kind::Softmax => (Function::Softmax, None),
            Kind::Lrn(lrn) => (Function::Lrn(*lrn), None),
            Kind::Sum(_) => (Function::Sum(&more), None),
            Kind::Shuffle(shuffle) => (Function::Shuffle(shuffle), None),
            Kind::Conv { .. } | Kind::Move(_) | Kind::Sample(_) | Kind::Unpool { .. } | Kind::Resize(_) => {
                return Err(CompileError::internal(&layer.name, "a layer with a lowering of its own"));
            }
        };
        let constants_read = matches!(second, Some(Second::Channel(_)));
        let constant_bytes = function.parameter_bytes(output.dims[3], constants_read);
        let params = (constant_bytes > 0).then(|| dram.allocate(constant_bytes));
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
            repeats: self.layers.repeats(layer),
            params,
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
        Ok(Lowered {
            items: lowering.items()?,
            image,
            entry: self.entry(layer, 0, constant_bytes, text),
            more_bytes: 0,
        })
    }

    /// Compulsory bytes: constants, and the network's inputs and outputs that the layer touches.
    fn entry(&self, layer: &Layer, macs: u64, constant_bytes: u64, mapping: String) -> LayerEntry {
        let bytes = |id: TensorId| {
            let [n, h, w, c] = self.layers.dims[&id];
            (n * h * w) as u64 * self.places[&id].pixel_bytes(c)
        };
        let mut compulsory_bytes = constant_bytes;
        // Once for all phases of a node.
        let leads = layer.phase().is_none_or(|phase| phase.leads);
        if leads && self.graph.inputs.contains(&layer.input) {
            compulsory_bytes += bytes(layer.input);
        }
        if leads && self.graph.outputs.contains(&layer.output) {
            compulsory_bytes += bytes(layer.output);
        }
        LayerEntry {
            name: layer.name.clone(),
            nodes: layer.nodes.clone(),
            op: layer.op.clone(),
            macs,
            weight_bits: match layer.kind {
                Kind::Conv { weights, .. } => self.graph.tensor(weights).dtype.bits() as u32,
                _ => 0,
            },
            compulsory_bytes,
            mapping,
        }
    }
}
