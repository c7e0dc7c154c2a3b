//! Inception v3 (Szegedy 2015): 7×7 split into 1×7 and 7×1, 3×3 split into 1×3 and 3×1 side by side. Module names are those of the authors' code
//! (`mixed_5b` …). Averages in the modules include the padding, as in today's files. The auxiliary classifier serves training only; dropout
//! is the identity at inference: both are left out.

use super::builder::{Builder, Layer, pool};
use super::inception::{branches, fork, pooled, reduction, sequence, smoothing};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "inception-v3",
    paper: "Szegedy 2015, Rethinking the Inception Architecture for Computer Vision",
    variant: "today's form, no auxiliary classifier",
    input: [3, 299, 299],
    small_input: 139,
    macs: 5_713_216_096,
    parameters: 23_834_568,
    family: build,
}];

fn build(name: &str, s: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, s.input_size, s.input_size]);
    let mut x = sequence(&mut b, "stem1", input, &[s.halving(32), s.valid(32), s.same(64, 3)])?;
    x = b.max_pool("pool1", x, pool(3, 2, 0))?;
    x = sequence(&mut b, "stem2", x, &[s.same(80, 1), s.valid(192)])?;
    x = b.max_pool("pool2", x, pool(3, 2, 0))?;
    for (module, projection) in [("mixed_5b", 32), ("mixed_5c", 64), ("mixed_5d", 64)] {
        x = module_a(&mut b, module, x, s, projection)?;
    }
    x = reduction(&mut b, "mixed_6a", x, &[&[s.halving(384)], &[s.same(64, 1), s.same(96, 3), s.halving(96)]])?;
    for (module, inner) in [("mixed_6b", 128), ("mixed_6c", 160), ("mixed_6d", 160), ("mixed_6e", 192)] {
        x = module_b(&mut b, module, x, s, inner)?;
    }
    let wide = [s.same(192, 1), s.rect(192, 1, 7), s.rect(192, 7, 1), s.halving(192)];
    x = reduction(&mut b, "mixed_7a", x, &[&[s.same(192, 1), s.halving(320)], &wide])?;
    for module in ["mixed_7b", "mixed_7c"] {
        x = module_c(&mut b, module, x, s)?;
    }
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

/// The paper's figure 5, with one 5×5 left as it was.
fn module_a(b: &mut Builder, name: &str, x: TensorId, s: Scale, projection: usize) -> Layer {
    let double = [s.same(64, 1), s.same(96, 3), s.same(96, 3)];
    let mut parts = branches(b, name, x, &[&[s.same(64, 1)], &[s.same(48, 1), s.same(64, 5)], &double])?;
    parts.push(pooled(b, name, x, smoothing(true), s.same(projection, 1))?);
    b.concat(name, &parts)
}

/// Figure 6 with n = 7.
fn module_b(b: &mut Builder, name: &str, x: TensorId, s: Scale, inner: usize) -> Layer {
    let once = [s.same(inner, 1), s.rect(inner, 1, 7), s.rect(192, 7, 1)];
    let twice = [s.same(inner, 1), s.rect(inner, 7, 1), s.rect(inner, 1, 7), s.rect(inner, 7, 1), s.rect(192, 1, 7)];
    let mut parts = branches(b, name, x, &[&[s.same(192, 1)], &once, &twice])?;
    parts.push(pooled(b, name, x, smoothing(true), s.same(192, 1))?);
    b.concat(name, &parts)
}

/// Figure 7.
fn module_c(b: &mut Builder, name: &str, x: TensorId, s: Scale) -> Layer {
    let stems = branches(b, name, x, &[&[s.same(320, 1)], &[s.same(384, 1)], &[s.same(448, 1), s.same(384, 3)]])?;
    let [flat2, tall2] = fork(b, &format!("{name}_branch2"), stems[1], s, 384)?;
    let [flat3, tall3] = fork(b, &format!("{name}_branch3"), stems[2], s, 384)?;
    let projected = pooled(b, name, x, smoothing(true), s.same(192, 1))?;
    b.concat(name, &[stems[0], flat2, tall2, flat3, tall3, projected])
}
