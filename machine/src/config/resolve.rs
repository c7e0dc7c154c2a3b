//! From what a file says to the machine that engines run: what keys demand of each other, and base units.
//!
//! Every check runs whose keys could be read, so that one reading of a file finds all its errors.

use super::error::Errors;
use super::read::At;
use super::schema::{self, Root};
use super::units;
use super::values::{Bytes, OneOrMore, write};
use crate::spec::{
    Array, Buffer, Control, Dataflow, Dram, Energy, Machine, OperandWidth, Overflow, Requantisation, Vector,
    WeightDecoder,
};
use std::ops::Range;

/// The machine, or `None` with at least one error left behind.
pub(crate) fn resolve(root: &Root, errors: &mut Errors<'_>) -> Option<Machine> {
    let buffers = root.buffers.as_ref().map(|at| &at.value);
    let unified = buffers.is_some_and(|keys| check_unified(keys, errors));
    let (activation, weight) = if unified {
        let one = buffers.and_then(|keys| buffer("buffers.unified", &keys.unified, errors));
        (one, one)
    } else {
        let activation = buffers.and_then(|keys| buffer("buffers.activation", &keys.activation, errors));
        (activation, buffers.and_then(|keys| buffer("buffers.weight", &keys.weight, errors)))
    };
    let accumulator = buffers.and_then(|keys| buffer("buffers.accumulator", &keys.accumulator, errors));
    if let (Some(array), Some(keys)) = (&root.array, buffers) {
        check_weight(&array.value, keys, weight.as_ref(), errors);
        check_accumulator(&array.value, keys, accumulator.as_ref(), errors);
    }
    let array = root.array.as_ref().and_then(|at| array(&at.value, errors));
    let clock_hz = root.clocks.as_ref().and_then(|at| get(&at.value.core)).map(|core| core.0);
    let dram = root.dram.as_ref().and_then(|at| dram(&at.value, clock_hz, errors));
    let vector = root.vector.as_ref().and_then(|at| vector(&at.value, &at.span, errors));
    let dma = get(&root.dma)?;
    Some(Machine {
        name: get(&root.name)?.0,
        clock_hz: clock_hz?,
        array: array?,
        activation: activation?,
        weight: weight?,
        unified,
        accumulator: accumulator?,
        vector: vector?,
        outstanding_bursts: narrow(get(&dma.outstanding_bursts)?.0)?,
        weight_decoder: weight_decoder(&get(&dma.weight_decoder)?)?,
        dram: dram?,
        control: control(&get(&root.control)?)?,
        energy: match &root.energy {
            Some(at) => Some(energy(&at.value)?),
            None => None,
        },
    })
}

/// The value of a key that could be read.
pub(super) fn get<T: Clone>(at: &Option<At<T>>) -> Option<T> {
    at.as_ref().map(|at| at.value.clone())
}

/// All bounds of the vocabulary are within 32 bit where this is used.
pub(super) fn narrow(value: u64) -> Option<u32> {
    u32::try_from(value).ok()
}

fn array(array: &schema::Array, errors: &mut Errors<'_>) -> Option<Array> {
    let dataflows = array.dataflow.as_ref().and_then(|at| dataflows(at, errors));
    let operands = array.operands.as_ref().and_then(|at| operands(at, errors));
    let activation_bits = operands.as_ref().and_then(|operands| activation_bits(array, operands, errors));
    let word = get(&array.accumulator)?;
    // Fixed arbitration is the only one; a refused one is absent here.
    get(&array.arbitration)?;
    Some(Array {
        rows: narrow(get(&array.rows)?.0)?,
        columns: narrow(get(&array.columns)?.0)?,
        count: narrow(get(&array.count)?.0)?,
        dataflows: dataflows?,
        weight_registers: narrow(get(&array.weight_registers)?.0)?,
        dot_product_width: narrow(get(&array.dot_product_width)?.0)?,
        pe_latency_cycles: narrow(get(&array.pe_latency)?.0)?,
        operands: operands?,
        activation_bits: activation_bits?,
        accumulator_bits: narrow(get(&word.width)?.0)?,
        overflow: match get(&word.overflow)? {
            schema::Overflow::Wrap => Overflow::Wrap,
            schema::Overflow::Saturate => Overflow::Saturate,
        },
    })
}

fn bits(width: schema::OperandWidth) -> u32 {
    match width {
        schema::OperandWidth::One => 1,
        schema::OperandWidth::Two => 2,
        schema::OperandWidth::Four => 4,
        schema::OperandWidth::Eight => 8,
        schema::OperandWidth::Sixteen => 16,
    }
}

/// Bits of activations: the array must have operands as wide. (A machine without 8-bit operands is the compiler's to refuse.)
fn activation_bits(array: &schema::Array, operands: &[OperandWidth], errors: &mut Errors<'_>) -> Option<u32> {
    let at = array.activations.as_ref()?;
    let bits = bits(at.value);
    if bits != 8 && operands.iter().all(|operand| operand.bits != bits) {
        let message = format!("`array.activations` of {bits} bit without operands of {bits} bit");
        let help = format!("add `{{width: {bits} bit, rate: 1 MAC/cycle}}` to `array.operands`");
        errors.invalid(&at.span, message, "the array has no such operands", help);
        return None;
    }
    Some(bits)
}

fn dataflows(at: &At<OneOrMore<schema::Dataflow>>, errors: &mut Errors<'_>) -> Option<Vec<Dataflow>> {
    let mut dataflows = vec![];
    for dataflow in &at.value.0 {
        let dataflow = match dataflow {
            schema::Dataflow::WeightStationary => Dataflow::WeightStationary,
            schema::Dataflow::OutputStationary => Dataflow::OutputStationary,
            schema::Dataflow::InputStationary => Dataflow::InputStationary,
        };
        if dataflows.contains(&dataflow) {
            errors.invalid(&at.span, "`array.dataflow` names one twice", "", "keep one of the two");
            return None;
        }
        dataflows.push(dataflow);
    }
    Some(dataflows)
}

fn operands(at: &At<OneOrMore<schema::Operand>>, errors: &mut Errors<'_>) -> Option<Vec<OperandWidth>> {
    let mut operands: Vec<OperandWidth> = vec![];
    for operand in &at.value.0 {
        let bits = bits(get(&operand.width)?);
        if operands.iter().any(|other| other.bits == bits) {
            let message = format!("`array.operands` states {bits} bit twice");
            errors.invalid(&at.span, message, "", "keep one of the two");
            return None;
        }
        operands.push(OperandWidth { bits, rate_milli: narrow(get(&operand.rate)?.0)? });
    }
    Some(operands)
}

/// Whether there is one scratchpad; then the two buffers may not be stated.
fn check_unified(keys: &schema::Buffers, errors: &mut Errors<'_>) -> bool {
    let Some(unified) = &keys.unified else { return false };
    for (name, other) in [("activation", &keys.activation), ("weight", &keys.weight)] {
        if other.is_some() {
            let message = format!("`buffers.unified` and `buffers.{name}` exclude each other");
            let label = "one scratchpad for activations and weights";
            errors.invalid(&unified.span, message, label, "keep either `unified`, or `activation` and `weight`");
        }
    }
    true
}

fn buffer(path: &str, at: &Option<At<schema::Buffer>>, errors: &mut Errors<'_>) -> Option<Buffer> {
    let buffer = &at.as_ref()?.value;
    let (capacity, banks) = (buffer.capacity.as_ref()?, get(&buffer.banks)?.0);
    let bytes = capacity.value.0;
    if !bytes.is_multiple_of(banks) {
        let message = format!("`{path}.capacity` is not a multiple of its banks");
        // Whole KiB per bank where that is not far off.
        let step = if bytes >= banks * 1024 { banks * 1024 } else { banks };
        let near = (bytes / step * step).max(step);
        let label = format!("{bytes} bytes in {banks} banks leave {} over", bytes % banks);
        errors.invalid(&capacity.span, message, label, format!("write for example `{}`", write(&units::BYTES, near)));
        return None;
    }
    let port = buffer.port_width.as_ref()?;
    if port.value.0 > bytes / banks {
        let message = format!("`{path}.port_width` is wider than a bank");
        errors.invalid(
            &port.span,
            message,
            format!("a bank holds {} bytes", bytes / banks),
            "narrow the port or use fewer banks",
        );
        return None;
    }
    Some(Buffer {
        capacity_bytes: bytes,
        banks: narrow(banks)?,
        port_bytes: narrow(port.value.0)?,
        ports: narrow(get(&buffer.ports)?.0)?,
    })
}

/// A weight buffer must hold a tile.
fn check_weight(array: &schema::Array, keys: &schema::Buffers, weight: Option<&Buffer>, errors: &mut Errors<'_>) {
    let (Some(rows), Some(columns), Some(weight)) = (get(&array.rows), get(&array.columns), weight) else { return };
    let width = get(&array.dot_product_width).map_or(1, |width| width.0);
    let tile = rows.0.saturating_mul(columns.0).saturating_mul(width);
    let (name, at) = if keys.unified.is_some() { ("unified", &keys.unified) } else { ("weight", &keys.weight) };
    let capacity = at.as_ref().and_then(|at| at.value.capacity.as_ref());
    if let Some(capacity) = capacity.filter(|_| weight.capacity_bytes < tile) {
        let label = format!("a tile of {} \u{d7} {} weights has {tile} bytes", rows.0.saturating_mul(width), columns.0);
        let help = "enlarge it to two tiles or more";
        errors.invalid(&capacity.span, format!("`buffers.{name}.capacity` holds no weight tile"), label, help);
    }
}

/// An accumulator bank must hold a vector of sums, and a port move whole sums.
fn check_accumulator(array: &schema::Array, keys: &schema::Buffers, buffer: Option<&Buffer>, errors: &mut Errors<'_>) {
    let Some(sum) = get(&array.accumulator).and_then(|sum| get(&sum.width)) else { return };
    let Some(at) = &keys.accumulator else { return };
    let word = sum.0.div_ceil(8);
    if let Some(port) = at.value.port_width.as_ref().filter(|port| !port.value.0.is_multiple_of(word)) {
        let message = "`buffers.accumulator.port_width` is not a multiple of a sum";
        let help = format!("write for example `{} B`", port.value.0.next_multiple_of(word));
        errors.invalid(&port.span, message, format!("a sum has {word} bytes"), help);
    }
    let (Some(columns), Some(buffer), Some(capacity)) = (get(&array.columns), buffer, &at.value.capacity) else {
        return;
    };
    let vector = columns.0.saturating_mul(word);
    if buffer.bank_bytes() < vector {
        let label = format!("a vector of {} sums has {vector} bytes, a bank {}", columns.0, buffer.bank_bytes());
        let help = format!("write at least `{}`", write(&units::BYTES, vector * u64::from(buffer.banks)));
        errors.invalid(&capacity.span, "a bank of `buffers.accumulator` holds no vector of sums", label, help);
    }
}

fn vector(vector: &schema::Vector, span: &Range<usize>, errors: &mut Errors<'_>) -> Option<Vector> {
    let float32 = get(&vector.float32)?.0;
    let requantisation = match get(&vector.requantisation)? {
        schema::Requantisation::Float32(_) => Requantisation::Float32,
        schema::Requantisation::FixedPoint(fixed) => {
            let double_rounding = matches!(get(&fixed.rounding)?, schema::Rounding::Double);
            let bits = fixed.multiplier.as_ref()?;
            if double_rounding && bits.value.0 != 32 {
                let label = "gemmlowp's two roundings are defined for 32 bits";
                let message = "`rounding: double` needs a multiplier of 32 bits";
                errors.invalid(&bits.span, message, label, "write `multiplier: 32 bit`, or `rounding: single`");
                return None;
            }
            Requantisation::FixedPoint { multiplier_bits: narrow(bits.value.0)?, double_rounding }
        }
        schema::Requantisation::Shift(_) => Requantisation::Shift,
    };
    if requantisation == Requantisation::Float32 && !float32 {
        let at = vector.float32.as_ref().map_or(span, |at| &at.span);
        let label = "`vector.requantisation: float32` multiplies in single precision";
        errors.invalid(
            at,
            "`vector.float32: false` leaves nothing that can requantise",
            label,
            "write `float32: true`",
        );
        return None;
    }
    Some(Vector {
        lanes: narrow(get(&vector.lanes)?.0)?,
        requantise_per_cycle: narrow(get(&vector.requantise_per_cycle)?.0)?,
        latency_cycles: narrow(get(&vector.latency)?.0)?,
        float32,
        depthwise: get(&vector.depthwise)?.0,
        requantisation,
    })
}

fn dram(dram: &schema::Dram, clock_hz: Option<u64>, errors: &mut Errors<'_>) -> Option<Dram> {
    match dram {
        schema::Dram::Ideal(ideal) => Some(Dram::Ideal { burst_bytes: burst("dram.ideal", &ideal.burst, errors)? }),
        schema::Dram::Simple(simple) => {
            let burst_bytes = burst("dram.simple", &simple.burst, errors);
            Some(Dram::Simple {
                bandwidth_bytes_per_s: get(&simple.bandwidth)?.0,
                latency_cycles: get(&simple.latency)?.cycles(clock_hz?),
                burst_bytes: burst_bytes?,
            })
        }
        schema::Dram::Banked(keys) => super::banked::resolve(keys, errors).map(Dram::Banked),
    }
}

fn burst(path: &str, at: &Option<At<Bytes<1, 65536>>>, errors: &mut Errors<'_>) -> Option<u32> {
    let at = at.as_ref()?;
    let bytes = at.value.0;
    if !bytes.is_power_of_two() {
        let help = format!("write for example `{} B`", bytes.next_power_of_two());
        errors.invalid(&at.span, format!("`{path}.burst` is not a power of two"), format!("{bytes} bytes"), help);
        return None;
    }
    narrow(bytes)
}

/// `None` within where there is none.
fn weight_decoder(decoder: &schema::WeightDecoder) -> Option<Option<WeightDecoder>> {
    Some(match decoder {
        schema::WeightDecoder::None(_) => None,
        schema::WeightDecoder::Huffman(keys) => Some(WeightDecoder {
            output_bytes: narrow(get(&keys.output_width)?.0)?,
            latency_cycles: narrow(get(&keys.latency)?.0)?,
        }),
    })
}

fn control(control: &schema::Control) -> Option<Control> {
    let [load, array, vector, store] = get(&control.queue_depth)?.by_unit()?;
    Some(Control {
        queue_depth: [narrow(load)?, narrow(array)?, narrow(vector)?, narrow(store)?],
        issue_interval_cycles: narrow(get(&control.issue_interval)?.0)?,
        token_max: narrow(get(&control.token_max)?.0)?,
    })
}

fn energy(energy: &schema::EnergyTable) -> Option<Energy> {
    Some(Energy {
        mac_pj: get(&energy.mac)?.0,
        activation_byte_pj: get(&energy.activation)?.0,
        weight_byte_pj: get(&energy.weight)?.0,
        accumulator_byte_pj: get(&energy.accumulator)?.0,
        vector_op_pj: get(&energy.vector_operation)?.0,
        dram_byte_pj: get(&energy.dram)?.0,
    })
}
