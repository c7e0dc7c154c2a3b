//! T-6: how long a vector instruction takes, element by element; its data is in `operations`.

use std::collections::VecDeque;

use systole_machine::spec::Machine;

use super::operations::results;
use super::sums::Words;
use super::work::{Kind, VectorWork};
use crate::contract::Memories;

/// Groups of elements; a cycle takes up to `rate` of one group.
#[derive(Clone, Copy, Debug)]
struct Phase {
    /// Elements left of the current group.
    left: u64,
    /// Elements of a group.
    group: u64,
    /// Groups left, with the current one.
    groups: u64,
    rate: u64,
}

fn phase(group: u64, groups: u64, rate: u64) -> Phase {
    Phase { left: group, group, groups, rate }
}

struct Running {
    phases: VecDeque<Phase>,
    work: VectorWork,
}

/// The vector unit.
pub(super) struct VectorUnit {
    lanes: u64,
    requantise: u64,
    latency: u64,
    activation_port: u64,
    accumulator_port: u64,
    columns: u32,
    words: Words,
    accumulator_bytes: u64,
    running: Option<Running>,
}

impl VectorUnit {
    pub(super) fn new(machine: &Machine) -> Self {
        VectorUnit {
            lanes: machine.vector.lanes.into(),
            requantise: machine.vector.requantise_per_cycle.into(),
            latency: machine.vector.latency_cycles.into(),
            activation_port: machine.activation.port_bytes.into(),
            accumulator_port: machine.accumulator.port_bytes.into(),
            columns: machine.array.columns,
            words: Words::of(machine),
            accumulator_bytes: machine.array.accumulator_bytes(),
            running: None,
        }
    }

    /// Whether an operation is under way.
    pub(super) fn engaged(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn start(&mut self, work: &VectorWork) {
        self.running = Some(Running { phases: self.phases(work), work: *work });
    }

    /// Beginning of a cycle: an operation that has had its cycles reads its inputs and writes its results. True when there is one. Nobody else may have
    /// touched either since its start (M-12).
    pub(super) fn settle(&mut self, memories: &mut Memories) -> bool {
        let Some(running) = self.running.take_if(|running| running.phases.is_empty()) else { return false };
        for (address, byte) in results(&running.work, memories, self.columns, self.words) {
            memories.activation[address as usize] = byte;
        }
        true
    }

    /// The cycle passes.
    pub(super) fn step(&mut self) {
        let Some(running) = &mut self.running else { return };
        let Some(phase) = running.phases.front_mut() else { return };
        phase.left = phase.left.saturating_sub(phase.rate);
        if phase.left == 0 {
            (phase.left, phase.groups) = (phase.group, phase.groups - 1);
        }
        if phase.groups == 0 {
            running.phases.pop_front();
        }
    }

    /// Elements that are requantised in a cycle.
    fn requantise_rate(&self, work: &VectorWork) -> u64 {
        let written = self.activation_port / work.out.element_bytes() as u64;
        self.requantise.min(self.accumulator_port / self.accumulator_bytes).min(written).max(1)
    }

    /// Fetching the parameters of channels.
    fn parameters(&self, work: &VectorWork, channels: u64) -> Phase {
        phase(work.parameter_bytes(channels as i64) as u64, 1, self.activation_port)
    }

    /// A block through the transposer: for each group of pixels, turn by turn, filled by channels and emptied by pixels.
    fn transpose(&self, work: &VectorWork, block: u64, pixels: u64, phases: &mut VecDeque<Phase>) {
        let bytes = work.out.element_bytes() as u64;
        let mut pixels_left = pixels;
        while pixels_left > 0 {
            let group = pixels_left.min(self.columns.into());
            let mut channels_left = block;
            while channels_left > 0 {
                let turn = channels_left.min(self.lanes);
                phases.push_back(self.parameters(work, turn));
                phases.push_back(phase(group, turn, self.requantise_rate(work)));
                phases.push_back(phase(bytes * turn, group, self.activation_port));
                channels_left -= turn;
            }
            pixels_left -= group;
        }
    }

    /// Turn by turn of as many channels as the lanes take: parameters, then pixel by pixel, as long as taps or results take.
    fn depthwise(&self, work: &VectorWork, rate: u64, phases: &mut VecDeque<Phase>) {
        let pixels = (work.height * work.width) as u64;
        let taps = (work.window.kernel_h * work.window.kernel_w) as u64;
        let written = self.activation_port / work.out.element_bytes() as u64;
        let results = self.requantise.min(written).max(1);
        let mut left = work.channels as u64;
        while left > 0 {
            let turn = left.min(rate);
            phases.push_back(self.parameters(work, turn));
            let slow = turn > taps * results;
            phases.push_back(if slow { phase(turn, pixels, results) } else { phase(taps, pixels, 1) });
            left -= turn;
        }
    }

    fn phases(&self, work: &VectorWork) -> VecDeque<Phase> {
        let (channels, pixels) = (work.channels as u64, (work.height * work.width) as u64);
        // ê: the widest operand is what the port moves fewest of.
        let widest = work.tensors().map(|tensor| tensor.element_bytes() as u64).max().unwrap_or(1);
        let rate = self.lanes.min(self.activation_port / widest).max(1);
        let mut phases = VecDeque::new();
        match work.kind {
            Kind::Requant => {
                let mut left = channels;
                while left > 0 {
                    let block = left.min(work.block_channels as u64);
                    if work.transposed {
                        self.transpose(work, block, pixels, &mut phases);
                    } else {
                        phases.push_back(self.parameters(work, block));
                        phases.push_back(phase(pixels * block, 1, self.requantise_rate(work)));
                    }
                    left -= block;
                }
            }
            Kind::Add | Kind::Mul | Kind::Rescale => phases.push_back(phase(pixels * channels, 1, rate)),
            Kind::AddChannel | Kind::MulChannel | Kind::Affine => {
                phases.push_back(self.parameters(work, channels));
                phases.push_back(phase(pixels * channels, 1, rate));
            }
            Kind::Gather => {
                // For each tap of each pixel its offsets, then four runs of channels.
                let taps = pixels * (work.window.kernel_h * work.window.kernel_w) as u64;
                phases.push_back(phase(1, taps, 1));
                phases.push_back(phase(channels, 4 * taps, rate));
            }
            // For each pixel four runs of channels.
            Kind::Resize => phases.push_back(phase(channels, 4 * pixels, rate)),
            Kind::Unpool => {
                let w = &work.window;
                phases.push_back(phase(pixels * channels, 1, rate));
                let compared = (w.in_height * w.in_width * w.kernel_h * w.kernel_w) as u64 * channels;
                phases.push_back(phase(compared, 1, rate));
            }
            Kind::MaxPool | Kind::AveragePool { .. } | Kind::ArgMax => {
                let window = (work.window.kernel_h * work.window.kernel_w) as u64;
                phases.push_back(phase(pixels * channels * window, 1, rate));
            }
            Kind::Table { .. } | Kind::Max | Kind::Min | Kind::Div => {
                if work.params.is_some() {
                    phases.push_back(self.parameters(work, work.records() as u64));
                }
                phases.push_back(phase(pixels * channels, 1, rate));
            }
            // Three passes over the channels of each pixel.
            Kind::Softmax => phases.push_back(phase(channels, 3 * pixels, rate)),
            Kind::Lrn => phases.push_back(phase(channels, pixels * (work.norm.size as u64 + 2), rate)),
            Kind::Sum { operands } => {
                phases.push_back(self.parameters(work, operands as u64));
                phases.push_back(phase(pixels * channels, operands as u64, rate));
            }
            Kind::Depthwise => self.depthwise(work, rate, &mut phases),
        }
        if self.latency > 0 {
            phases.push_back(phase(self.latency, 1, 1));
        }
        phases
    }
}
