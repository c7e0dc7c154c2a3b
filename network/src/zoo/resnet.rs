//! ResNet v1 (He 2015) and its relatives of the same skeleton: Wide ResNet 50-2 (Zagoruyko 2016), ResNeXt-50 (Xie 2016) and ResNet-50
//! trained with stochastic depth (Huang 2016).
//!
//! 18 and 34 have basic blocks, the others bottlenecks; where a bottleneck strides, its first 1×1 does (v1), or its 3×3 (v1.5 and all that came
//! later). Shortcuts are projections (1×1 and batch norm) where the shape changes. Convolutions have no bias; but Wide ResNet's are
//! those of its authors' ImageNet file, where batch norm has become a bias. Layers are named as in the
//! authors' files: `res3a_branch2b`. After stochastic depth, inference multiplies every branch by the probability with which training kept
//! its block.

use super::builder::{Builder, ConvLayer, FewValues, Layer, conv, pool};
use super::{Entry, Scale};
use crate::graph::Graph;
use crate::shape::ShapeError;
use crate::tensor::TensorId;

const HE: &str = "He 2015, Deep Residual Learning for Image Recognition";

pub(super) const ENTRIES: &[Entry] = &[
    entry("resnet-18", HE, "v1, projections where the shape changes", 1_814_073_344, 11_689_512),
    entry("resnet-34", HE, "v1, projections where the shape changes", 3_663_761_408, 21_797_672),
    entry("resnet-50", HE, "v1, stride in the first 1×1", 3_857_973_248, 25_557_032),
    entry("resnet-101", HE, "v1, stride in the first 1×1", 7_570_194_432, 44_549_160),
    entry("resnet-152", HE, "v1, stride in the first 1×1", 11_282_415_616, 60_192_808),
    entry("resnet-50-v1.5", HE, "v1.5, stride in the 3×3", 4_089_184_256, 25_557_032),
    entry(
        "resnet-50-stochastic-depth",
        "Huang 2016, Deep Networks with Stochastic Depth",
        "v1, branches times 0.97 … 0.5",
        3_857_973_248,
        25_557_032,
    ),
    entry(
        "wide-resnet-50-2",
        "Zagoruyko 2016, Wide Residual Networks",
        "stride in the 3×3",
        11_398_021_120,
        68_849_128,
    ),
    entry(
        "resnext-50",
        "Xie 2016, Aggregated Residual Transformations for Deep Neural Networks",
        "32×4d, stride in the 3×3",
        4_230_479_872,
        25_028_904,
    ),
    entry(
        "ttq-resnet-18",
        "Zhu 2016, Trained Ternary Quantization",
        "ternary, two scales; first and last 8 bit",
        1_814_073_344,
        11_689_512,
    ),
    entry(
        "twobit-resnet-18",
        "Meng 2017, Two-Bit Networks for Deep Learning on Resource-Constrained Embedded Devices",
        "±1 and ±2; first and last 8 bit",
        1_814_073_344,
        11_689_512,
    ),
];

const fn entry(name: &'static str, paper: &'static str, variant: &'static str, macs: u64, parameters: u64) -> Entry {
    Entry { name, paper, variant, input: [3, 224, 224], small_input: 32, macs, parameters, family: build }
}

/// Largest gain of a branch's last batch norm. He weights double the variance that a ReLU halves; a sum of a shortcut and a branch of equal
/// variance would double it again in each block.
const BRANCH_GAIN: f32 = 0.5;

/// Probability that stochastic depth keeps the last block; from 1 it falls linearly with depth.
const LAST_SURVIVAL: f32 = 0.5;

/// Channels of the four stages.
const CHANNELS: [usize; 4] = [64, 128, 256, 512];

/// What a network of the skeleton is.
struct Plan {
    blocks: [usize; 4],
    bottleneck: bool,
    stride_in_3x3: bool,
    /// Channels of a bottleneck's 3×3 over those of its stage.
    widening: usize,
    /// Groups of a bottleneck's 3×3 as published.
    groups: usize,
    stochastic_depth: bool,
    /// Biases in place of batch norm.
    folded: bool,
    /// Of all weights but those of the first and the last layer.
    values: Option<FewValues>,
    /// The last stage at stride 1, its 3×3 deformable and dilated ([`super::deformable`]).
    deformable: bool,
}

impl Plan {
    fn of(name: &str) -> Plan {
        let v1 = Plan {
            blocks: [3, 4, 6, 3],
            bottleneck: true,
            stride_in_3x3: false,
            widening: 1,
            groups: 1,
            stochastic_depth: false,
            folded: false,
            values: None,
            deformable: false,
        };
        match name {
            "resnet-18" => Plan { blocks: [2, 2, 2, 2], bottleneck: false, ..v1 },
            "ttq-resnet-18" => Plan { values: Some(FewValues::Ternary), ..Plan::of("resnet-18") },
            "twobit-resnet-18" => Plan { values: Some(FewValues::TwoBit), ..Plan::of("resnet-18") },
            "resnet-34" => Plan { bottleneck: false, ..v1 },
            "resnet-101" => Plan { blocks: [3, 4, 23, 3], ..v1 },
            "resnet-152" => Plan { blocks: [3, 8, 36, 3], ..v1 },
            "resnet-50-v1.5" => Plan { stride_in_3x3: true, ..v1 },
            "resnet-50-stochastic-depth" => Plan { stochastic_depth: true, ..v1 },
            "wide-resnet-50-2" => Plan { stride_in_3x3: true, widening: 2, folded: true, ..v1 },
            "deformable-resnet-50" => Plan { deformable: true, ..v1 },
            "resnext-50" => Plan { stride_in_3x3: true, widening: 2, groups: 32, ..v1 },
            _ => v1,
        }
    }

    fn depth(&self) -> usize {
        self.blocks.iter().sum()
    }

    /// Gain of a branch's last batch norm: the smaller, the more branches there are to add.
    fn branch_gain(&self) -> f32 {
        BRANCH_GAIN.min(2.0 / (self.depth() as f32).sqrt())
    }

    /// A convolution of the network, with its batch norm unless that is folded.
    fn conv(&self, b: &mut Builder, name: &str, x: TensorId, layer: ConvLayer, gain: f32) -> Layer {
        let made = if self.folded { b.conv(name, x, layer.gain(gain)) } else { b.conv_bn(name, x, layer, gain) }?;
        if let Some(values) = self.values.filter(|_| name != "conv1") {
            b.few_values(name, values);
        }
        Ok(made)
    }

    fn conv_relu(&self, b: &mut Builder, name: &str, x: TensorId, layer: ConvLayer) -> Layer {
        let x = self.conv(b, name, x, layer, 1.0)?;
        b.relu(name, x)
    }

    /// Factor of the branch of block `number`, from 1; `None` where there is none.
    fn survival(&self, number: usize) -> Option<f32> {
        let drop = (1.0 - LAST_SURVIVAL) * number as f32 / self.depth() as f32;
        self.stochastic_depth.then_some(1.0 - drop)
    }
}

pub(super) fn build(name: &str, scale: Scale) -> Result<Graph, ShapeError> {
    let plan = Plan::of(name);
    let (mut b, input) = Builder::new(name, [3, scale.input_size, scale.input_size]);
    let mut x = plan.conv_relu(&mut b, "conv1", input, conv(scale.width(64), 7).stride(2).pad(3))?;
    x = b.max_pool("pool1", x, pool(3, 2, 1))?;
    let mut number = 1;
    for (stage, (blocks, channels)) in plan.blocks.into_iter().zip(CHANNELS).enumerate() {
        for (index, letter) in block_letters().take(blocks).enumerate() {
            let block = Block {
                name: format!("res{}{letter}", stage + 2),
                channels: scale.width(channels),
                groups: if plan.groups > 1 { scale.width(plan.groups) } else { 1 },
                stride: if stage > 0 && index == 0 && !(plan.deformable && stage == 3) { 2 } else { 1 },
                deformable: plan.deformable && stage == 3,
                number,
            };
            x = if plan.bottleneck { bottleneck(&mut b, x, &block, &plan)? } else { basic(&mut b, x, &block, &plan)? };
            number += 1;
        }
    }
    x = b.global_average_pool("pool5", x)?;
    x = b.flatten("flatten", x)?;
    x = b.fully_connected("fc1000", x, 1000)?;
    let prob = b.softmax("prob", x)?;
    Ok(b.finish(prob))
}

/// `a`, `b` … `z`, then `b26` and on: the authors' files count from `b1` where letters do not suffice.
fn block_letters() -> impl Iterator<Item = String> {
    ('a'..='z').map(String::from).chain((26..).map(|index| format!("b{index}")))
}

struct Block {
    name: String,
    channels: usize,
    groups: usize,
    stride: usize,
    deformable: bool,
    /// Of all blocks of the network, from 1.
    number: usize,
}

/// Two 3×3 convolutions and the shortcut.
fn basic(b: &mut Builder, x: TensorId, block: &Block, plan: &Plan) -> Layer {
    let Block { ref name, channels, stride, .. } = *block;
    let branch = plan.conv_relu(b, &format!("{name}_branch2a"), x, conv(channels, 3).stride(stride).pad(1))?;
    let branch = plan.conv(b, &format!("{name}_branch2b"), branch, conv(channels, 3).pad(1), plan.branch_gain())?;
    sum(b, x, branch, block, plan)
}

/// 1×1 to narrow, 3×3, 1×1 to four times the channels of the stage, and the shortcut.
fn bottleneck(b: &mut Builder, x: TensorId, block: &Block, plan: &Plan) -> Layer {
    let Block { ref name, channels, groups, stride, .. } = *block;
    let inner = (channels * plan.widening).next_multiple_of(groups);
    let (first, second) = if plan.stride_in_3x3 { (1, stride) } else { (stride, 1) };
    let spatial = conv(inner, 3).stride(second).pad(1).groups(groups);
    let branch = plan.conv_relu(b, &format!("{name}_branch2a"), x, conv(inner, 1).stride(first))?;
    let second = format!("{name}_branch2b");
    let branch = if block.deformable {
        let branch = b.deformable(&second, branch, inner, 2)?;
        let branch = b.batch_norm(&second, branch, 1.0)?;
        b.relu(&second, branch)?
    } else {
        plan.conv_relu(b, &second, branch, spatial)?
    };
    let branch = plan.conv(b, &format!("{name}_branch2c"), branch, conv(4 * channels, 1), plan.branch_gain())?;
    sum(b, x, branch, block, plan)
}

/// Shortcut plus branch, rectified.
fn sum(b: &mut Builder, x: TensorId, mut branch: TensorId, block: &Block, plan: &Plan) -> Layer {
    let Block { ref name, stride, number, .. } = *block;
    if let Some(survival) = plan.survival(number) {
        branch = b.scale(&format!("{name}_survival"), branch, survival)?;
    }
    let channels = b.channels(branch);
    let shortcut = if stride == 1 && b.channels(x) == channels {
        x
    } else {
        plan.conv(b, &format!("{name}_branch1"), x, conv(channels, 1).stride(stride), 1.0)?
    };
    let total = b.add(name, shortcut, branch)?;
    b.relu(name, total)
}
