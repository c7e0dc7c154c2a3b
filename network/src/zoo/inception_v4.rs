//! Inception v4 (Szegedy 2016): a stem with concatenations of its own, then 4 modules A, 7 B and 3 C with reductions between them; the figures
//! meant are the paper's. Averages in the modules count only what is there, as in the authors' code. Dropout, the identity at inference,
//! is left out.

use super::builder::{Builder, Layer, pool};
use super::inception::{branches, fork, pooled, reduction, sequence, smoothing};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "inception-v4",
    paper: "Szegedy 2016, Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
    variant: "as published; averages without padding",
    input: [3, 299, 299],
    small_input: 139,
    macs: 12_253_974_624,
    parameters: 42_679_816,
    family: build,
}];

fn build(name: &str, s: Scale) -> Result<Graph, ShapeError> {
    let (mut b, input) = Builder::new(name, [3, s.input_size, s.input_size]);
    let mut x = stem(&mut b, input, s)?;
    for index in 1..=4 {
        x = module_a(&mut b, &format!("inception_a{index}"), x, s)?;
    }
    // Figure 7 with k = 192, l = 224, m = 256, n = 384.
    x = reduction(&mut b, "reduction_a", x, &[&[s.halving(384)], &[s.same(192, 1), s.same(224, 3), s.halving(256)]])?;
    for index in 1..=7 {
        x = module_b(&mut b, &format!("inception_b{index}"), x, s)?;
    }
    // Figure 8.
    let wide = [s.same(256, 1), s.rect(256, 1, 7), s.rect(320, 7, 1), s.halving(320)];
    x = reduction(&mut b, "reduction_b", x, &[&[s.same(192, 1), s.halving(192)], &wide])?;
    for index in 1..=3 {
        x = module_c(&mut b, &format!("inception_c{index}"), x, s)?;
    }
    let prob = b.classify(x, 1000)?;
    Ok(b.finish(prob))
}

/// Figure 3.
fn stem(b: &mut Builder, input: TensorId, s: Scale) -> Layer {
    let x = sequence(b, "stem", input, &[s.halving(32), s.valid(32), s.same(64, 3)])?;
    let x = reduction(b, "stem_a", x, &[&[s.halving(96)]])?;
    let long = [s.same(64, 1), s.rect(64, 7, 1), s.rect(64, 1, 7), s.valid(96)];
    let parts = branches(b, "stem_b", x, &[&[s.same(64, 1), s.valid(96)], &long])?;
    let x = b.concat("stem_b", &parts)?;
    let convolved = sequence(b, "stem_c", x, &[s.halving(192)])?;
    let pooled = b.max_pool("stem_c_pool", x, pool(3, 2, 0))?;
    b.concat("stem_c", &[convolved, pooled])
}

/// Figure 4.
fn module_a(b: &mut Builder, name: &str, x: TensorId, s: Scale) -> Layer {
    let double = [s.same(64, 1), s.same(96, 3), s.same(96, 3)];
    let mut parts = branches(b, name, x, &[&[s.same(96, 1)], &[s.same(64, 1), s.same(96, 3)], &double])?;
    parts.push(pooled(b, name, x, smoothing(false), s.same(96, 1))?);
    b.concat(name, &parts)
}

/// Figure 5.
fn module_b(b: &mut Builder, name: &str, x: TensorId, s: Scale) -> Layer {
    let once = [s.same(192, 1), s.rect(224, 1, 7), s.rect(256, 7, 1)];
    let twice = [s.same(192, 1), s.rect(192, 7, 1), s.rect(224, 1, 7), s.rect(224, 7, 1), s.rect(256, 1, 7)];
    let mut parts = branches(b, name, x, &[&[s.same(384, 1)], &once, &twice])?;
    parts.push(pooled(b, name, x, smoothing(false), s.same(128, 1))?);
    b.concat(name, &parts)
}

/// Figure 6.
fn module_c(b: &mut Builder, name: &str, x: TensorId, s: Scale) -> Layer {
    let long = [s.same(384, 1), s.rect(448, 3, 1), s.rect(512, 1, 3)];
    let stems = branches(b, name, x, &[&[s.same(256, 1)], &[s.same(384, 1)], &long])?;
    let [flat2, tall2] = fork(b, &format!("{name}_branch2"), stems[1], s, 256)?;
    let [flat3, tall3] = fork(b, &format!("{name}_branch3"), stems[2], s, 256)?;
    let projected = pooled(b, name, x, smoothing(false), s.same(256, 1))?;
    b.concat(name, &[stems[0], flat2, tall2, flat3, tall3, projected])
}
