//! Inception-ResNet v1 and v2 (Szegedy 2016): branches are concatenated, widened by a linear 1×1 with bias, multiplied by a small factor and
//! added to the module's input. The last module of all has neither factor nor ReLU, as in the authors' code. v1 ends in a layer of 512
//! before the classes. Dropout, the identity at inference, is left out.

use super::builder::{Builder, ConvLayer, Layer, conv, pool};
use super::inception::{branches, pooled, reduction, sequence, smoothing};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

pub(super) const ENTRIES: &[Entry] = &[
    entry("inception-resnet-v1", "residuals times 0.17, 0.1, 0.2; 512 units", 6_308_235_360, 23_995_624),
    entry("inception-resnet-v2", "residuals times 0.17, 0.1, 0.2", 13_155_794_016, 55_843_464),
];

const fn entry(name: &'static str, variant: &'static str, macs: u64, parameters: u64) -> Entry {
    let paper = "Szegedy 2016, Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning";
    Entry { name, paper, variant, input: [3, 299, 299], small_input: 139, macs, parameters, family: build }
}

/// What v1 and v2 differ in: how many modules, and how wide their branches are.
struct Plan {
    modules: [usize; 3],
    /// Module A: `[1×1; 1×1, 3×3; 1×1, 3×3, 3×3]`.
    a: [usize; 6],
    /// Module B: `[1×1; 1×1, 1×7, 7×1]`.
    b: [usize; 4],
    /// Module C: `[1×1; 1×1, 1×3, 3×1]`.
    c: [usize; 4],
    /// Reduction A: `[3×3; 1×1, 3×3, 3×3]`.
    reduction_a: [usize; 4],
    /// Reduction B: `[1×1, 3×3; 1×1, 3×3; 1×1, 3×3, 3×3]`.
    reduction_b: [usize; 7],
}

const V1: Plan = Plan {
    modules: [5, 10, 6],
    a: [32, 32, 32, 32, 32, 32],
    b: [128, 128, 128, 128],
    c: [192, 192, 192, 192],
    reduction_a: [384, 192, 192, 256],
    reduction_b: [256, 384, 256, 256, 256, 256, 256],
};

const V2: Plan = Plan {
    modules: [10, 20, 10],
    a: [32, 32, 32, 32, 48, 64],
    b: [192, 128, 160, 192],
    c: [192, 192, 224, 256],
    reduction_a: [384, 256, 256, 384],
    reduction_b: [256, 384, 256, 288, 256, 288, 320],
};

fn build(name: &str, s: Scale) -> Result<Graph, ShapeError> {
    let v1 = name == "inception-resnet-v1";
    let plan = if v1 { V1 } else { V2 };
    let (mut b, input) = Builder::new(name, [3, s.input_size, s.input_size]);
    let mut x = if v1 { stem_v1(&mut b, input, s)? } else { stem_v2(&mut b, input, s)? };

    let [one, a, c, d, e, f] = plan.a;
    let module: [&[ConvLayer]; 3] =
        [&[s.same(one, 1)], &[s.same(a, 1), s.same(c, 3)], &[s.same(d, 1), s.same(e, 3), s.same(f, 3)]];
    for index in 1..=plan.modules[0] {
        x = residual(&mut b, &format!("block35_{index}"), x, &module, Some(0.17))?;
    }
    let [one, a, c, d] = plan.reduction_a;
    x = reduction(&mut b, "reduction_a", x, &[&[s.halving(one)], &[s.same(a, 1), s.same(c, 3), s.halving(d)]])?;

    let [one, a, c, d] = plan.b;
    let module: [&[ConvLayer]; 2] = [&[s.same(one, 1)], &[s.same(a, 1), s.rect(c, 1, 7), s.rect(d, 7, 1)]];
    for index in 1..=plan.modules[1] {
        x = residual(&mut b, &format!("block17_{index}"), x, &module, Some(0.1))?;
    }
    let [a, c, d, e, f, g, h] = plan.reduction_b;
    let double = [s.same(f, 1), s.same(g, 3), s.halving(h)];
    x = reduction(&mut b, "reduction_b", x, &[&[s.same(a, 1), s.halving(c)], &[s.same(d, 1), s.halving(e)], &double])?;

    let [one, a, c, d] = plan.c;
    let module: [&[ConvLayer]; 2] = [&[s.same(one, 1)], &[s.same(a, 1), s.rect(c, 1, 3), s.rect(d, 3, 1)]];
    for index in 1..=plan.modules[2] {
        let factor = (index < plan.modules[2]).then_some(0.2);
        x = residual(&mut b, &format!("block8_{index}"), x, &module, factor)?;
    }
    if !v1 {
        x = sequence(&mut b, "conv_last", x, &[s.same(1536, 1)])?;
    }
    x = b.global_average_pool("pool", x)?;
    x = b.flatten("flatten", x)?;
    if v1 {
        x = b.fully_connected_bn("bottleneck", x, s.width(512), 1.0)?;
    }
    x = b.fully_connected("fc", x, 1000)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}

/// The paper's figure 14.
fn stem_v1(b: &mut Builder, input: TensorId, s: Scale) -> Layer {
    let x = sequence(b, "stem1", input, &[s.halving(32), s.valid(32), s.same(64, 3)])?;
    let x = b.max_pool("pool1", x, pool(3, 2, 0))?;
    sequence(b, "stem2", x, &[s.same(80, 1), s.valid(192), s.halving(256)])
}

/// That of the authors' code: Inception v3's, then one module (the paper's figure 3 is Inception v4's stem).
fn stem_v2(b: &mut Builder, input: TensorId, s: Scale) -> Layer {
    let x = sequence(b, "stem1", input, &[s.halving(32), s.valid(32), s.same(64, 3)])?;
    let x = b.max_pool("pool1", x, pool(3, 2, 0))?;
    let x = sequence(b, "stem2", x, &[s.same(80, 1), s.valid(192)])?;
    let x = b.max_pool("pool2", x, pool(3, 2, 0))?;
    let double = [s.same(64, 1), s.same(96, 3), s.same(96, 3)];
    let mut parts = branches(b, "mixed_5b", x, &[&[s.same(96, 1)], &[s.same(48, 1), s.same(64, 5)], &double])?;
    parts.push(pooled(b, "mixed_5b", x, smoothing(false), s.same(64, 1))?);
    b.concat("mixed_5b", &parts)
}

/// Branches, concatenated and widened; times the factor and rectified, or neither; the input added.
fn residual(b: &mut Builder, name: &str, x: TensorId, all: &[&[ConvLayer]], factor: Option<f32>) -> Layer {
    let parts = branches(b, name, x, all)?;
    let mixed = b.concat(&format!("{name}_concat"), &parts)?;
    let widened = b.conv(&format!("{name}_up"), mixed, conv(b.channels(x), 1))?;
    let Some(factor) = factor else {
        return b.add(name, x, widened);
    };
    let scaled = b.scale(&format!("{name}_scaled"), widened, factor)?;
    let total = b.add(name, x, scaled)?;
    b.relu(name, total)
}
