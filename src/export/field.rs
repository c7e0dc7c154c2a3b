//! The operators of which ONNX has attributes, inputs or outputs in another form than the graph.

use systole_compiler::frontends::onnx::proto::{AttributeProto, NodeProto, TensorProto, attribute_type, data_type};
use systole_network::graph::{Graph, Node};
use systole_network::op::{Coordinates, DepthOrder, Fill, Interpolation, Op, Pool, Resize};
use systole_network::tensor::bytes_of_f32;

use super::{conv_attributes, dims, integer, integers};

/// What ONNX calls it, with the constants that it reads beside its operands; `None` for an operator that is not one of these.
pub(super) fn node(graph: &Graph, node: &Node) -> Option<(NodeProto, Vec<TensorProto>)> {
    let name = |&id| graph.tensor(id).name.clone();
    let mut made = Made {
        node: NodeProto {
            input: node.inputs.iter().map(name).collect(),
            output: node.outputs.iter().map(name).collect(),
            name: node.name.clone(),
            op_type: node.op.name().into(),
            ..Default::default()
        },
        constants: vec![],
    };
    let shape = |ids: &[_]| ids.first().map_or(vec![], |&id| graph.tensor(id).shape.clone());
    let (input, output) = (shape(&node.inputs), shape(&node.outputs));
    match &node.op {
        Op::ConvTranspose(conv) => {
            made.node.attribute = conv_attributes(&conv.window());
            made.node.attribute.push(integers("output_padding", &conv.output_padding));
        }
        Op::DeformConv(deform) => {
            made.node.attribute = conv_attributes(&deform.conv);
            made.node.attribute.push(integer("offset_group", deform.offset_groups as i64));
            // A mask without a bias leaves the bias's place empty.
            if node.inputs.get(3).is_some_and(|&id| graph.tensor(id).shape.len() == 4) {
                made.node.input.insert(3, String::new());
            }
        }
        Op::ArgMaxPool(pool) => {
            made.node.op_type = "MaxPool".into();
            made.node.output.insert(0, format!("{}_maxima", node.name));
            made.node.attribute = window(pool);
            made.node.attribute.push(integer("ceil_mode", i64::from(pool.ceil_mode)));
            made.node.attribute.push(integers("dilations", &pool.dilation));
        }
        Op::MaxUnpool(pool) => {
            made.node.attribute = window(pool);
            made.integers("shape", &dims(&output));
        }
        Op::Slice { starts, steps } => made.slice(starts, steps, &output),
        Op::Pad { before, after, fill } => made.pad(before, after, *fill),
        Op::DepthToSpace { block, order } => {
            let mode = match order {
                DepthOrder::DepthColumnRow => "DCR",
                DepthOrder::ColumnRowDepth => "CRD",
            };
            made.node.attribute = vec![integer("blocksize", *block as i64), text("mode", mode)];
        }
        Op::SpaceToDepth { block } => made.node.attribute = vec![integer("blocksize", *block as i64)],
        Op::Resize(resize) => made.resize(resize, &input, &output),
        Op::ReduceMean { axes, keep } => {
            made.node.attribute = vec![integer("keepdims", i64::from(*keep))];
            made.integers("axes", &dims(axes));
        }
        _ => return None,
    }
    Some((made.node, made.constants))
}

struct Made {
    node: NodeProto,
    constants: Vec<TensorProto>,
}

impl Made {
    fn constant(&mut self, what: &str, dims: Vec<i64>, data_type: i32, raw: Vec<u8>) {
        let name = format!("{}_{what}", self.node.name);
        self.node.input.push(name.clone());
        self.constants.push(TensorProto { dims, data_type, name, raw_data: Some(raw.into()), ..Default::default() });
    }

    fn integers(&mut self, what: &str, values: &[i64]) {
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(what, vec![values.len() as i64], data_type::INT64, raw);
    }

    fn floats(&mut self, what: &str, dims: Vec<i64>, values: &[f32]) {
        self.constant(what, dims, data_type::FLOAT, bytes_of_f32(values).to_vec());
    }

    fn slice(&mut self, starts: &[usize], steps: &[i64], output: &[usize]) {
        let ends = starts.iter().zip(steps).zip(output).map(|((&start, &step), &count)| {
            match start as i64 + step * count as i64 {
                end if end >= 0 => end,
                // A negative end would count from behind.
                _ => i64::MIN,
            }
        });
        let ends: Vec<i64> = ends.collect();
        self.integers("starts", &dims(starts));
        self.integers("ends", &ends);
        self.integers("axes", &(0..starts.len() as i64).collect::<Vec<_>>());
        self.integers("steps", steps);
    }

    fn pad(&mut self, before: &[usize], after: &[usize], fill: Fill) {
        self.integers("pads", &[dims(before), dims(after)].concat());
        let mode = match fill {
            Fill::Constant(value) => {
                self.floats("value", vec![], &[value]);
                "constant"
            }
            Fill::Reflect => "reflect",
            Fill::Edge => "edge",
            Fill::Wrap => "wrap",
        };
        self.node.attribute = vec![text("mode", mode)];
    }

    /// By sizes, where the scale is their quotient; else by scales.
    fn resize(&mut self, resize: &Resize, input: &[usize], output: &[usize]) {
        let (mode, rounding) = match resize.interpolation {
            Interpolation::NearestPreferFloor => ("nearest", "round_prefer_floor"),
            Interpolation::NearestPreferCeil => ("nearest", "round_prefer_ceil"),
            Interpolation::NearestFloor => ("nearest", "floor"),
            Interpolation::NearestCeil => ("nearest", "ceil"),
            Interpolation::Linear => ("linear", "round_prefer_floor"),
        };
        let places = match resize.coordinates {
            Coordinates::HalfPixel => "half_pixel",
            Coordinates::PytorchHalfPixel => "pytorch_half_pixel",
            Coordinates::AlignCorners => "align_corners",
            Coordinates::Asymmetric => "asymmetric",
        };
        let attributes = [("mode", mode), ("nearest_mode", rounding), ("coordinate_transformation_mode", places)];
        self.node.attribute = attributes.map(|(name, value)| text(name, value)).into();
        let quotient = |axis: usize| (output[axis] as f64 / input[axis] as f64) as f32;
        self.node.input.push(String::new());
        if output.len() == 4 && input.len() == 4 && resize.scale != [quotient(2), quotient(3)] {
            self.floats("scales", vec![4], &[1.0, 1.0, resize.scale[0], resize.scale[1]]);
        } else {
            self.node.input.push(String::new());
            self.integers("sizes", &dims(output));
        }
    }
}

fn window(pool: &Pool) -> Vec<AttributeProto> {
    vec![integers("kernel_shape", &pool.kernel), integers("strides", &pool.stride), integers("pads", &pool.pads)]
}

fn text(name: &str, value: &str) -> AttributeProto {
    let s = value.as_bytes().to_vec().into();
    AttributeProto { name: name.into(), kind: attribute_type::STRING, s, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use systole_compiler::frontends::onnx::{ImportOptions, import_bytes};
    use systole_network::graph::Form;
    use systole_network::op::{Conv, ConvTranspose, Deform};
    use systole_network::shape::infer;
    use systole_network::tensor::{DType, Data, Tensor, TensorId};
    use systole_network::verify::verify;

    struct Small {
        graph: Graph,
    }

    impl Small {
        fn tensor(&mut self, shape: &[usize], dtype: DType, constant: bool) -> TensorId {
            let name = format!("t{}", self.graph.tensors.len());
            let values = vec![0.5; shape.iter().product()];
            let data = constant.then(|| Data::Stored(bytes_of_f32(&values)));
            self.graph.add_tensor(Tensor { name, shape: shape.into(), dtype, quant: None, data })
        }

        /// A node whose output has this shape, or the inferred one.
        fn node(&mut self, op: Op, inputs: &[TensorId], shape: Option<&[usize]>) -> TensorId {
            let shapes: Vec<Vec<usize>> = inputs.iter().map(|&id| self.graph.tensor(id).shape.clone()).collect();
            let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
            let inferred = infer(&op, &shapes).expect("it fits").remove(0);
            let dtype = if matches!(op, Op::ArgMaxPool(_)) { DType::I64 } else { DType::F32 };
            let output = self.tensor(shape.unwrap_or(&inferred), dtype, false);
            let name = format!("n{}", self.graph.nodes.len());
            let (inputs, outputs, origins) = (inputs.into(), vec![output], vec![name.clone()]);
            self.graph.add_node(Node { name, op, inputs, outputs, clamp: None, origins });
            output
        }
    }

    /// Written and read back, each operator is what it was.
    #[test]
    fn operators_survive_the_file() {
        let mut small = Small { graph: Graph::new("field", Form::Imported) };
        let x = small.tensor(&[1, 4, 6, 6], DType::F32, false);
        small.graph.inputs.push(x);
        let weights = small.tensor(&[4, 2, 3, 3], DType::F32, true);
        let (stride, dilation, pads) = ([2, 1], [1, 2], [1, 0, 0, 1]);
        let transposed = ConvTranspose { kernel: [3; 2], stride, dilation, pads, output_padding: [1, 0], groups: 2 };
        let mut ends = vec![small.node(Op::ConvTranspose(transposed), &[x, weights], None)];
        let conv = Conv { kernel: [1, 2], stride: [1; 2], dilation: [1; 2], pads: [0; 4], groups: 1 };
        let maker = Conv { kernel: [1, 2], ..conv.clone() };
        let offset_weights = small.tensor(&[8, 4, 1, 2], DType::F32, true);
        let offsets = small.node(Op::Conv(maker.clone()), &[x, offset_weights], None);
        let mask_weights = small.tensor(&[4, 4, 1, 2], DType::F32, true);
        let mask = small.node(Op::Conv(maker), &[x, mask_weights], None);
        let weights = small.tensor(&[3, 4, 1, 2], DType::F32, true);
        let deform = Op::DeformConv(Deform { conv, offset_groups: 2 });
        ends.push(small.node(deform, &[x, weights, offsets, mask], None));
        let pool = Pool {
            kernel: [3, 2],
            stride: [2; 2],
            dilation: [1; 2],
            pads: [1, 0, 0, 0],
            ceil_mode: false,
            count_include_pad: false,
        };
        let pooled = small.node(Op::MaxPool(pool.clone()), &[x], None);
        let switches = small.node(Op::ArgMaxPool(pool.clone()), &[x], None);
        ends.push(small.node(Op::MaxUnpool(pool), &[pooled, switches], Some(&[1, 4, 6, 6])));
        let slice = Op::Slice { starts: vec![0, 3, 5, 1], steps: vec![1, -1, -2, 2] };
        ends.push(small.node(slice, &[x], Some(&[1, 4, 3, 2])));
        for fill in [Fill::Constant(0.5), Fill::Reflect, Fill::Edge, Fill::Wrap] {
            let pad = Op::Pad { before: vec![0, 0, 1, 2], after: vec![0, 0, 0, 3], fill };
            ends.push(small.node(pad, &[x], None));
        }
        ends.push(small.node(Op::DepthToSpace { block: 2, order: DepthOrder::ColumnRowDepth }, &[x], None));
        ends.push(small.node(Op::SpaceToDepth { block: 3 }, &[x], None));
        for (size, scale) in [([9, 3], [1.5, 0.5]), ([9, 3], [1.55, 0.6])] {
            let (coordinates, interpolation) = (Coordinates::Asymmetric, Interpolation::NearestFloor);
            ends.push(small.node(Op::Resize(Resize { size, scale, coordinates, interpolation }), &[x], None));
        }
        ends.push(small.node(Op::ReduceMean { axes: vec![1, 3], keep: false }, &[x], None));
        small.graph.outputs = ends;
        verify(&small.graph).expect("sound");
        let bytes = super::super::onnx(&small.graph, 0).expect("all are exported");
        let back = import_bytes(bytes.into(), None, "field", &ImportOptions::default()).expect("a valid file");
        verify(&back).expect("sound");
        let seen = |graph: &Graph| -> Vec<(String, Op, Vec<usize>, usize)> {
            let seen = graph.nodes.iter().map(|node| {
                (node.name.clone(), node.op.clone(), graph.tensor(node.outputs[0]).shape.clone(), node.inputs.len())
            });
            seen.collect()
        };
        assert_eq!(seen(&back), seen(&small.graph));
    }
}
