//! Operators that only move values → views, or copies by DMA; bilinear resizing beside the nearest.
//!
//! A box of rows and columns is a view; a tensor that is padded is computed inside the result where nothing else claims it. Everything else is a copy.

use std::collections::BTreeSet;

use systole_network::graph::Node;
use systole_network::op::{DepthOrder, Fill, Interpolation, Op, Resize};
use systole_network::tensor::TensorId;

use super::boxes::{AXES, Loop, Move, Piece, Source, by_lists, count_by_lists, frame, reinterpreted};
use super::resize::nearest;
use super::shuffle::shuffle;
use super::{Builder, Dims, Inside, Kind};
use crate::compile::MAX_PIECES;
use crate::error::CompileError;

/// A list of each logical axis, for the physical ones.
fn physical<T: Clone>(logical: &[T], missing: T) -> [T; 4] {
    let mut all = [const { None }; 4];
    for (axis, value) in AXES.into_iter().zip(logical) {
        all[axis] = Some(value.clone());
    }
    all.map(|value| value.unwrap_or_else(|| missing.clone()))
}

impl Builder<'_> {
    /// Slice, Pad, DepthToSpace, SpaceToDepth, Resize.
    pub(super) fn add_move(&mut self, node: &Node) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        self.require_image(node, input)?;
        self.set_logical_dims(output, &node.name);
        let (Some(&from), Some(&to)) = (self.dims.get(&input), self.dims.get(&output)) else {
            return Ok(()); // reported
        };
        match &node.op {
            Op::Slice { starts, steps } => self.add_slice(node, physical(starts, 0), physical(steps, 1)),
            Op::Pad { before, after: _, fill } => self.add_pad(node, physical(before, 0), *fill),
            Op::DepthToSpace { block, order } => {
                let depth = to[3];
                let steps = match order {
                    DepthOrder::DepthColumnRow => [depth * block, depth, 1],
                    DepthOrder::ColumnRowDepth => [*block, 1, block * block],
                };
                self.push_move(node, vec![blocks(from, *block, depth, steps)])
            }
            Op::SpaceToDepth { block } => {
                let steps = [from[3] * block, from[3], 1];
                let piece = blocks(to, *block, from[3], steps);
                self.push_move(node, vec![reversed(piece)])
            }
            Op::Resize(resize) if resize.interpolation == Interpolation::Linear => self.add_bilinear(node, resize),
            Op::Resize(resize) => self.push_lists(node, &nearest(resize, from)),
            other => Err(CompileError::internal(&node.name, format!("{} as a move", other.name()))),
        }
    }

    /// No move, but among those of its operator.
    fn add_bilinear(&mut self, node: &Node, resize: &Resize) -> Result<(), CompileError> {
        if resize.scale.iter().any(|scale| !scale.is_finite() || *scale <= 0.0) {
            return Err(CompileError::invalid(&node.name, format!("its scales are {:?}", resize.scale)));
        }
        let (input, output) = (node.inputs[0], node.outputs[0]);
        self.push(node, Kind::Resize(*resize), input, output, [0; 4], node.name.clone());
        Ok(())
    }

    fn add_slice(&mut self, node: &Node, first: Dims, steps: [i64; 4]) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let dims = self.dims[&output];
        let forward = steps.map(|step| usize::try_from(step).ok().filter(|&step| step > 0));
        // One element has no step.
        let step = |axis: usize| if dims[axis] == 1 { Some(1) } else { forward[axis] };
        if let (Some(images), Some(rows), Some(columns), Some(1)) = (step(0), step(1), step(2), step(3)) {
            self.inside.insert(output, Inside { whole: input, first, steps: [images, rows, columns] });
            return Ok(());
        }
        let index = |axis: usize, i: usize| first[axis].saturating_add_signed(steps[axis] as isize * i as isize);
        let lists = [0, 1, 2, 3].map(|axis| (0..dims[axis]).map(|i| index(axis, i)).collect());
        self.push_lists(node, &lists)
    }

    fn add_pad(&mut self, node: &Node, before: Dims, fill: Fill) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (from, to) = (self.dims[&input], self.dims[&output]);
        if !matches!(fill, Fill::Constant(_)) {
            let list = |axis: usize| (0..to[axis]).map(|i| beyond(i, before[axis], from[axis], fill)).collect();
            return self.push_lists(node, &[0, 1, 2, 3].map(list));
        }
        let mut pieces = frame(to, before, from);
        if self.is_free(input) {
            self.inside.insert(input, Inside { first: before, ..Inside::all(output) });
        } else {
            pieces.extend(by_lists(&from.map(|length| (0..length).collect()), before));
        }
        self.push_move(node, pieces)
    }

    /// Whether a tensor may be computed where it is wanted: it has no place inside another one, and nobody outside writes it.
    pub(super) fn is_free(&self, id: TensorId) -> bool {
        let computed = self.graph.tensor(id).data.is_none() && !self.graph.inputs.contains(&id);
        computed && !self.inside.contains_key(&id)
    }

    /// Transpositions that move pixels.
    pub(super) fn add_transposed(&mut self, node: &Node, perm: &[usize]) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        self.require_image(node, input)?;
        self.set_logical_dims(output, &node.name);
        let Some(to) = self.dims.get(&output) else {
            return Ok(()); // reported
        };
        // An axis that the shape does not have is one of length 1.
        let source = |place: usize| AXES[perm.get(place).copied().unwrap_or(place)];
        let along = |place: usize| Loop::along(to[AXES[place]], (source(place), 1), (AXES[place], 1));
        let loops = (0..4).map(along).collect();
        self.push_move(node, vec![Piece { source: Source::Input, from: [0; 4], to: [0; 4], loops }])
    }

    /// Whether what lies as `dims`, in another shape, has a reader that takes it for the image that its shape says; element-wise ones hand it on.
    pub(super) fn wants_image(&self, id: TensorId, dims: Dims) -> bool {
        let [n, h, w, c] = dims;
        let shape = &self.graph.tensor(id).shape;
        if self.graph.tensor(id).nchw().is_none_or(|logical| logical == [n, c, h, w]) {
            return false;
        }
        let (mut open, mut seen) = (vec![id], BTreeSet::from([id]));
        while let Some(id) = open.pop() {
            for node in self.consumers.get(&id).into_iter().flatten().map(|&reader| self.graph.node(reader)) {
                match &node.op {
                    Op::Reshape | Op::FullyConnected => {}
                    Op::Transpose { perm } if shuffle(shape, perm, dims).is_some() => {}
                    // Operands of unlike shapes meet as images.
                    _ if self.repeats(node) => return true,
                    Op::Identity | Op::Rescale | Op::Add | Op::Mul | Op::Sum => {
                        open.extend(node.outputs.iter().filter(|&&output| seen.insert(output)));
                    }
                    _ => return true,
                }
            }
        }
        false
    }

    /// Another shape of the same elements in the same logical order, where it is no view.
    pub(super) fn add_reshaped(&mut self, node: &Node) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let [n, h, w, c] = self.dims[&input];
        let pieces = self.graph.tensor(output).nchw().and_then(|to| reinterpreted([n, c, h, w], to, MAX_PIECES));
        let Some(pieces) = pieces else {
            let shapes = [input, output].map(|id| &self.graph.tensor(id).shape);
            let message = format!(
                "reshape from {:?} to {:?} has more than four axes that are no image, or falls into more than {MAX_PIECES} rows",
                shapes[0], shapes[1]
            );
            return Err(CompileError::unsupported(&node.name, message));
        };
        self.set_logical_dims(output, &node.name);
        self.push_move(node, pieces)
    }

    fn push_lists(&mut self, node: &Node, lists: &[Vec<usize>; 4]) -> Result<(), CompileError> {
        let pieces = count_by_lists(lists);
        if pieces > MAX_PIECES {
            let message =
                format!("falls into {pieces} boxes, more than {MAX_PIECES}; its indices have no regular steps");
            return Err(CompileError::unsupported(&node.name, message));
        }
        self.push_move(node, by_lists(lists, [0; 4]))
    }

    fn push_move(&mut self, node: &Node, pieces: Vec<Piece>) -> Result<(), CompileError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        if !self.keeps_quantisation(node) {
            return Err(CompileError::invalid(&node.name, "it only moves values, but changes their scale or type"));
        }
        self.push(node, Kind::Move(Move { pieces }), input, output, [0; 4], node.name.clone());
        Ok(())
    }
}

/// Channels of `from` as blocks of pixels; `steps`: channels from row to row, from column to column and from depth to depth of a block.
fn blocks(from: Dims, block: usize, depth: usize, steps: [usize; 3]) -> Piece {
    let loops = vec![
        Loop::along(from[0], (0, 1), (0, 1)),
        Loop::along(from[1], (1, 1), (1, block)),
        Loop::along(block, (3, steps[0]), (1, 1)),
        Loop::along(from[2], (2, 1), (2, block)),
        Loop::along(block, (3, steps[1]), (2, 1)),
        Loop::along(depth, (3, steps[2]), (3, 1)),
    ];
    Piece { source: Source::Input, from: [0; 4], to: [0; 4], loops }
}

/// The copy back.
fn reversed(piece: Piece) -> Piece {
    let loops = piece.loops.iter().map(|&Loop { count, from, to }| Loop { count, from: to, to: from }).collect();
    Piece { from: piece.to, to: piece.from, loops, ..piece }
}

/// The index of an axis of `length` that stands for index `i` of the padded one (N-23).
fn beyond(i: usize, before: usize, length: usize, fill: Fill) -> usize {
    let (index, length) = (i as i128 - before as i128, length as i128);
    let inside = match fill {
        Fill::Wrap => index.rem_euclid(length),
        Fill::Reflect if length > 1 => {
            let turn = index.rem_euclid(2 * length - 2);
            turn.min(2 * length - 2 - turn)
        }
        _ => index.clamp(0, length - 1),
    };
    inside as usize
}
