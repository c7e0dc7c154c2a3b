//! The tensor table of a program: names, shapes and scales of the graph, places of the compiler.

use std::collections::BTreeMap;

use systole_machine::program::{Layout, Role, TensorEntry};
use systole_network::tensor::TensorId;

use crate::formats;
use crate::memory::Place;
use crate::passes::Quantised;

pub(super) fn tensor_table(quantised: &Quantised, places: &BTreeMap<TensorId, Place>) -> Vec<TensorEntry> {
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
                element: formats::element(tensor.dtype, place),
                role,
                layout: Layout::Nhwc,
                address: place.address,
                pixel_pitch: place.pixel_pitch,
                row_pitch: place.row_pitch,
                image_pitch: place.image_pitch,
                scale: quant.map_or(1.0, |q| q.scale_of(0)),
                zero_point: quant.map_or(0, |q| q.zero_point_of(0)),
                float_name: boundary(id),
            }
        })
        .collect()
}
