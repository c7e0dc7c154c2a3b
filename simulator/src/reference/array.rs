//! T-5, the sequencer: which tile loads, which fold streams and which step enters in a cycle. The registers are in `grid` (weight- and input-stationary) and
//! `output_grid`, the elements in `address_generator`.

use systole_machine::isa::DataflowChoice;
use systole_machine::spec::{Machine, OperandWidth};

use super::address_generator::{Chunk, Fold, Shape};
use super::edges::Edges;
use super::grid::{Grid, Streamed, Tag};
use super::output_grid::{Entering, OutputGrid, Step, Target};
use super::sums::Words;
use super::work::{Convolution, div_ceil};
use crate::contract::Memories;

/// A tile on its way into the registers.
struct Loading {
    fold: Fold,
    row: usize,
    /// Cycles spent on this row.
    beat: i64,
}

/// A fold whose vectors, or steps, enter.
struct Stream {
    fold: Fold,
    /// No fold of the instruction follows.
    last: bool,
    /// Vectors or steps that have entered wholly.
    index: i64,
    /// Output-stationary: the chunk of the present step.
    chunk: Chunk,
    /// Cycles since the present one entered.
    beat: i64,
}

/// The array.
pub(super) struct Array {
    shape: Shape,
    shadowed: bool,
    /// Whether weights are in the activation buffer.
    unified: bool,
    latency_cycles: i64,
    /// τ of each width of operands.
    interval_cycles: Vec<(OperandWidth, i64)>,
    activation_port: i64,
    weight_port: i64,
    /// `ceil(ab·C / cw)`.
    write_cycles: i64,
    loading: Option<Loading>,
    /// A tile that is loaded and whose stream has not begun.
    loaded: Option<Fold>,
    stream: Option<Stream>,
    /// The fold that follows: when the array has drained (one register), when the stream before it is over (operands in one bank), or when its steps may
    /// enter (output-stationary).
    following: Option<Fold>,
    grid: Grid,
    output_grid: OutputGrid,
    /// Output-stationary: cycles since the last step of the fold before entered; none before the first.
    since_last_step: Option<i64>,
    /// The last cycle accumulated the last sum of an instruction.
    ended: bool,
    engaged: bool,
    /// Of this cycle, for those who watch.
    edges: Option<Edges>,
}

impl Array {
    pub(super) fn new(machine: &Machine) -> Self {
        let array = &machine.array;
        let size = [array.rows, array.columns, array.dot_product_width].map(|side| side as usize);
        let shadowed = array.weight_registers == 2;
        let latency = array.pe_latency_cycles as usize;
        let words = Words::of(machine);
        let write_cycles = div_ceil(machine.accumulator_vector_bytes() as i64, machine.accumulator.port_bytes.into());
        Array {
            shape: Shape::of(machine),
            shadowed,
            unified: machine.unified,
            latency_cycles: array.pe_latency_cycles.into(),
            interval_cycles: array
                .operands
                .iter()
                .map(|width| (*width, array.interval_cycles(width.bits).unwrap_or(1) as i64))
                .collect(),
            activation_port: machine.activation.port_bytes.into(),
            weight_port: machine.weight.port_bytes.into(),
            write_cycles,
            loading: None,
            loaded: None,
            stream: None,
            following: None,
            grid: Grid::new(size, latency, shadowed, words),
            output_grid: OutputGrid::new(size, latency, write_cycles as u64, words),
            since_last_step: None,
            ended: false,
            engaged: false,
            edges: None,
        }
    }

    /// Appends the registers of a PE: those of the grid where operands stay, of the one where sums stay.
    pub(super) fn registers(&self, pe: usize, [operands_stay, sums_stay]: [bool; 2], to: &mut Vec<Option<i64>>) {
        if operands_stay {
            self.grid.registers(pe, to);
        }
        if sums_stay {
            self.output_grid.registers(pe, to);
        }
    }

    /// From now on the edges are kept.
    pub(super) fn watch(&mut self) {
        let Shape { rows, columns, products } = self.shape;
        self.edges = Some(Edges::new([rows, columns, products].map(|side| side as usize)));
    }

    /// The edges in the cycle that has passed, and whether it accumulated the last sum of an instruction.
    pub(super) fn watched(&self) -> Option<(&Edges, bool)> {
        self.edges.as_ref().map(|edges| (edges, self.ended))
    }

    /// Whether the latest instruction has not released the array.
    pub(super) fn engaged(&self) -> bool {
        self.engaged
    }

    /// `one_bank`: some bank holds activations and weights of the run.
    pub(super) fn start(&mut self, convolution: Convolution, one_bank: bool) {
        self.engaged = true;
        let fold = Fold::first(convolution, self.shape, one_bank);
        if (one_bank && self.shadowed) || convolution.dataflow == DataflowChoice::OutputStationary {
            self.following = Some(fold);
            self.follow();
        } else {
            self.load(fold);
        }
    }

    fn load(&mut self, fold: Fold) {
        self.loading = Some(Loading { fold, row: 0, beat: 0 });
    }

    /// Beginning of a cycle: what the last one brought about. True when an instruction's last sum is in the accumulators.
    pub(super) fn settle(&mut self) -> bool {
        if let Some(loading) = self.loading.take_if(|loading| loading.row as i64 == self.shape.rows) {
            self.loaded = Some(loading.fold);
        }
        // With one register the stream is over with the last vector, with two after its v cycles.
        let shadowed = self.shadowed;
        self.stream.take_if(|stream| {
            let vectors = stream.fold.vectors();
            stream.index == vectors || (!shadowed && stream.index + 1 == vectors && stream.beat > 0)
        });
        if self.stream.is_none()
            && let Some(fold) = self.loaded.take()
        {
            self.begin_stream(fold);
        }
        self.follow();
        let ended = std::mem::take(&mut self.ended);
        if ended && !self.shadowed {
            self.engaged = false;
        }
        ended
    }

    /// The fold that waits goes on where nothing keeps it.
    fn follow(&mut self) {
        let Some(fold) = &self.following else { return };
        let drained = self.grid.drained() && self.output_grid.drained();
        if self.stream.is_some() || self.loading.is_some() {
            return;
        }
        if fold.convolution.dataflow != DataflowChoice::OutputStationary {
            // Two registers: only the bank was in the way, and it has served the stream.
            if (drained || self.shadowed)
                && let Some(fold) = self.following.take()
            {
                self.load(fold);
            }
            return;
        }
        // Two registers: this fold's last step comes no earlier than R·d cycles after that of the fold before.
        let steps = (fold.vectors() - 1) * self.beats(fold);
        let apart = self.since_last_step.is_none_or(|since| since + steps >= self.shape.rows * self.write_cycles);
        if (if self.shadowed { apart } else { drained })
            && let Some(fold) = self.following.take()
        {
            self.begin_stream(fold);
        }
    }

    /// S(i) is this cycle; with two registers it is also λ(i + 1), or the release.
    fn begin_stream(&mut self, fold: Fold) {
        let next = fold.next();
        let sums_stay = fold.convolution.dataflow == DataflowChoice::OutputStationary;
        let chunk = fold.chunk;
        self.stream = Some(Stream { fold, last: next.is_none(), index: 0, chunk, beat: 0 });
        match next {
            Some(next) if self.shadowed && !sums_stay && !next.one_bank => self.load(next),
            Some(next) => self.following = Some(next),
            None if self.shadowed => self.engaged = false,
            None => {}
        }
    }

    /// The cycle passes.
    pub(super) fn step(&mut self, memories: &mut Memories) {
        let Memories { activation, weight, accumulator, .. } = memories;
        let (activation, weight): (&[u8], &[u8]) = (activation, if self.unified { activation } else { weight });
        self.since_last_step = self.since_last_step.map(|since| since + 1);
        let stationary = self.step_loading(activation, weight);
        let sums_stay =
            self.stream.as_ref().is_some_and(|s| s.fold.convolution.dataflow == DataflowChoice::OutputStationary);
        let (streamed, entering) = if sums_stay {
            (None, self.step_sums(activation, weight))
        } else {
            (self.step_stream(activation, weight), None)
        };
        if let Some(edges) = &mut self.edges {
            edges.clear();
        }
        let by_operands = self.grid.step(streamed, stationary, accumulator, self.edges.as_mut());
        let by_sums = self.output_grid.step(entering, accumulator, self.edges.as_mut());
        self.ended = by_operands || by_sums;
    }

    /// wl: cycles to load a row of the array.
    fn row_cycles(&self, fold: &Fold) -> i64 {
        let Shape { rows, columns, products } = self.shape;
        let moved = if fold.convolution.dataflow == DataflowChoice::InputStationary {
            div_ceil(columns * self.operand_cycles(fold), rows)
        } else {
            div_ceil(fold.convolution.weight_bytes(columns * products), self.weight_port)
        };
        moved.max(self.latency_cycles)
    }

    /// Cycles to read the operands of a chunk of one pixel.
    fn operand_cycles(&self, fold: &Fold) -> i64 {
        div_ceil(fold.convolution.activation_bytes(self.longest(fold)), self.activation_port)
    }

    /// Elements of the longest chunk.
    fn longest(&self, fold: &Fold) -> i64 {
        fold.convolution.run_elements().min(self.shape.chunk(fold.convolution.dataflow))
    }

    /// v: cycles from a vector, or step, to the next.
    fn beats(&self, fold: &Fold) -> i64 {
        let Shape { columns, products, .. } = self.shape;
        let moved = match fold.convolution.dataflow {
            DataflowChoice::WeightStationary => self.operand_cycles(fold).max(self.write_cycles),
            DataflowChoice::InputStationary => {
                div_ceil(fold.convolution.weight_bytes(self.longest(fold)), self.weight_port).max(self.write_cycles)
            }
            DataflowChoice::OutputStationary => {
                let steps = div_ceil(fold.convolution.run_elements(), products);
                let operands = div_ceil(self.accesses(&fold.convolution), steps);
                let weights = div_ceil(fold.convolution.weight_bytes(columns * products), self.weight_port);
                if fold.one_bank { operands + weights } else { operands.max(weights) }
            }
        };
        let bits = fold.convolution.width_bits();
        let interval = self.interval_cycles.iter().find(|(width, _)| width.bits == bits);
        moved.max(interval.map_or(1, |(_, cycles)| *cycles))
    }

    /// A: accesses of the port for the runs of R neighbouring pixels.
    fn accesses(&self, c: &Convolution) -> i64 {
        let rows = self.shape.rows;
        let each = rows * div_ceil(c.activation_bytes(c.run_elements()), self.activation_port);
        let pixel_bytes = c.activation_bytes(c.channels);
        if c.pixel_pitch == pixel_bytes {
            let taps = if c.packed { c.kernel_w } else { 1 };
            let stretch = pixel_bytes * ((rows - 1) * c.stride_w + taps);
            each.min(div_ceil(stretch, self.activation_port))
        } else {
            each
        }
    }

    /// The row whose last bytes are read in this cycle.
    fn step_loading(&mut self, activation: &[u8], weight: &[u8]) -> Option<(usize, Vec<i32>)> {
        let cycles = self.row_cycles(&self.loading.as_ref()?.fold);
        let loading = self.loading.as_mut()?;
        loading.beat += 1;
        if loading.beat < cycles {
            return None;
        }
        let row = loading.row;
        (loading.beat, loading.row) = (0, row + 1);
        Some((row, loading.fold.stationary(row, activation, weight)))
    }

    /// The vector that enters in this cycle.
    fn step_stream(&mut self, activation: &[u8], weight: &[u8]) -> Option<(Streamed, Tag)> {
        let beats = self.beats(&self.stream.as_ref()?.fold);
        let stream = self.stream.as_mut()?;
        let (fold, index) = (&stream.fold, stream.index);
        let entering = (stream.beat == 0).then(|| {
            let streamed = Streamed { elements: fold.streamed(index, activation, weight), first: index == 0 };
            let last = stream.last && index + 1 == fold.vectors();
            (streamed, Tag { vector: fold.accumulator(index) as usize, replaces: fold.replaces(), last })
        });
        stream.advance(beats);
        entering
    }

    /// The step that enters in this cycle, output-stationary.
    fn step_sums(&mut self, activation: &[u8], weight: &[u8]) -> Option<Entering> {
        let beats = self.beats(&self.stream.as_ref()?.fold);
        let stream = self.stream.as_mut()?;
        let fold = &stream.fold;
        let last_step = stream.index + 1 == fold.vectors();
        let entering = (stream.beat == 0).then(|| {
            let (operands, weights) = fold.step(stream.chunk, activation, weight);
            let target = Target {
                vector: fold.accumulator(0) as usize,
                pixel_rows: fold.pixel_rows() as usize,
                replaces: fold.replaces(),
                last: stream.last,
            };
            Entering { operands, weights, step: Step { first: stream.index == 0, last: last_step, target } }
        });
        if entering.is_some() && last_step {
            // Counted at the beginning of the next cycle.
            self.since_last_step = Some(1);
        }
        if stream.beat + 1 == beats
            && let Some(chunk) = fold.following(stream.chunk)
        {
            stream.chunk = chunk;
        }
        stream.advance(beats);
        entering
    }
}

impl Stream {
    /// A cycle of the present vector or step.
    fn advance(&mut self, beats: i64) {
        self.beat += 1;
        if self.beat == beats {
            (self.beat, self.index) = (0, self.index + 1);
        }
    }
}
