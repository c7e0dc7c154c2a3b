//! T-5, the sequencer: which tile loads and which fold streams in a cycle. The registers are in `grid`, the addresses in `address_generator`.

use systole_machine::spec::Machine;

use super::address_generator::Fold;
use super::grid::{Grid, Streamed, Tag};
use super::work::{Convolution, div_ceil};
use crate::contract::Memories;

/// A tile on its way into the registers.
struct Loading {
    fold: Fold,
    row: usize,
    /// Cycles spent on this row.
    beat: u64,
}

/// A fold whose vectors enter.
struct Stream {
    fold: Fold,
    /// No fold of the instruction follows.
    last: bool,
    pixel: i64,
    /// Cycles since the pixel's vector entered.
    beat: u64,
}

/// The array.
pub(super) struct Array {
    rows: usize,
    columns: usize,
    shadowed: bool,
    /// `wl`.
    row_cycles: u64,
    activation_port: i64,
    /// `ceil(4·C / accumulator port_bytes)`.
    accumulator_cycles: i64,
    loading: Option<Loading>,
    /// A tile that is loaded and whose stream has not begun.
    loaded: Option<Fold>,
    stream: Option<Stream>,
    /// One register: the fold that follows when the array has drained.
    following: Option<Fold>,
    grid: Grid,
    /// The last cycle accumulated the last sum of an instruction.
    ended: bool,
    engaged: bool,
}

impl Array {
    pub(super) fn new(machine: &Machine) -> Self {
        let (rows, columns) = (machine.array.rows as usize, machine.array.columns as usize);
        let shadowed = machine.array.weight_registers == 2;
        Array {
            rows,
            columns,
            shadowed,
            row_cycles: u64::from(machine.array.columns.div_ceil(machine.weight.port_bytes)),
            activation_port: machine.activation.port_bytes.into(),
            accumulator_cycles: div_ceil(4 * columns as i64, machine.accumulator.port_bytes.into()),
            loading: None,
            loaded: None,
            stream: None,
            following: None,
            grid: Grid::new(rows, columns, shadowed),
            ended: false,
            engaged: false,
        }
    }

    /// Whether the latest instruction has not released the array.
    pub(super) fn engaged(&self) -> bool {
        self.engaged
    }

    pub(super) fn start(&mut self, convolution: Convolution) {
        self.engaged = true;
        self.load(Fold::first(convolution, self.rows, self.columns));
    }

    fn load(&mut self, fold: Fold) {
        self.loading = Some(Loading { fold, row: 0, beat: 0 });
    }

    /// Beginning of a cycle: what the last one brought about. True when an instruction's last sum is in the accumulators.
    pub(super) fn settle(&mut self) -> bool {
        if let Some(loading) = self.loading.take_if(|loading| loading.row == self.rows) {
            self.loaded = Some(loading.fold);
        }
        // With one register the stream is over with the last vector, with two after its v cycles.
        let shadowed = self.shadowed;
        self.stream.take_if(|stream| {
            stream.pixel == stream.fold.convolution.pixels()
                || (!shadowed && stream.pixel + 1 == stream.fold.convolution.pixels() && stream.beat > 0)
        });
        if self.stream.is_none()
            && let Some(fold) = self.loaded.take()
        {
            self.begin_stream(fold);
        }
        let drained = self.loading.is_none() && self.stream.is_none() && self.grid.drained();
        if drained && let Some(fold) = self.following.take() {
            self.load(fold);
        }
        let ended = std::mem::take(&mut self.ended);
        if ended && !self.shadowed {
            self.engaged = false;
        }
        ended
    }

    /// S(i) is this cycle; with two registers it is also L(i + 1), or the release.
    fn begin_stream(&mut self, fold: Fold) {
        let next = fold.next();
        self.stream = Some(Stream { fold, last: next.is_none(), pixel: 0, beat: 0 });
        match next {
            Some(next) if self.shadowed => self.load(next),
            Some(next) => self.following = Some(next),
            None if self.shadowed => self.engaged = false,
            None => {}
        }
    }

    /// The cycle passes.
    pub(super) fn step(&mut self, memories: &mut Memories) {
        let weights = self.step_loading(&memories.weight);
        let streamed = self.step_stream(&memories.activation);
        self.ended = self.grid.step(streamed, weights, &mut memories.accumulator);
    }

    /// The row of weights whose last bytes are read in this cycle.
    fn step_loading(&mut self, weight: &[u8]) -> Option<(usize, Vec<i32>)> {
        let loading = self.loading.as_mut()?;
        loading.beat += 1;
        if loading.beat < self.row_cycles {
            return None;
        }
        let row = loading.row;
        (loading.beat, loading.row) = (0, row + 1);
        Some((row, loading.fold.weights(row, weight)))
    }

    /// The vector that enters in this cycle.
    fn step_stream(&mut self, activation: &[u8]) -> Option<(Streamed, Tag)> {
        let stream = self.stream.as_mut()?;
        let (fold, pixel) = (&stream.fold, stream.pixel);
        let entering = (stream.beat == 0).then(|| {
            let streamed = Streamed { operands: fold.operands(pixel, activation), first: pixel == 0 };
            let last = stream.last && pixel + 1 == fold.convolution.pixels();
            let vector = fold.accumulator(pixel) as usize;
            (streamed, Tag { vector, replaces: fold.replaces(), last })
        });
        // v of T-5.
        let longest = fold.convolution.run_bytes().min(self.rows as i64);
        let vector_cycles = div_ceil(longest, self.activation_port).max(self.accumulator_cycles).max(1);
        stream.beat += 1;
        if stream.beat == vector_cycles as u64 {
            (stream.beat, stream.pixel) = (0, pixel + 1);
        }
        entering
    }
}
