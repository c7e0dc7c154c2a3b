//! T-5, the datapath of the output-stationary array: operands move along rows, weights down columns, one PE a cycle, both skewed at their edges; each PE adds
//! up in its register, and hands a finished sum to the drain register beside it, which moves down its column, a row every d cycles.
//!
//! All PEs read the registers as they are at the beginning of a cycle; what they write takes effect at its end. With one register the sequencer lets the next
//! fold enter only when the last has drained, so that the two registers of a PE never hold something at once.

use std::collections::VecDeque;

use super::edges::{Edges, Leaving};
use super::grid::{line, shift};
use super::sums::Words;
use crate::contract::Accumulators;

/// What a step is to the PEs that it meets.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// The first of its fold: the register counts as 0.
    pub(super) first: bool,
    /// The last of its fold: the register goes to the drain.
    pub(super) last: bool,
    /// Where the fold's sums go.
    pub(super) target: Target,
}

/// Where the sums of a fold go.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// Accumulator vector of row 0.
    pub(super) vector: usize,
    /// Rows that have a pixel.
    pub(super) pixel_rows: usize,
    /// Whether the sums replace the old content.
    pub(super) replaces: bool,
    /// The last fold of its instruction.
    pub(super) last: bool,
}

/// A step that enters the skews: operands by row, weights by column, D each.
pub(super) struct Entering {
    pub(super) operands: Vec<i32>,
    pub(super) weights: Vec<i32>,
    pub(super) step: Step,
}

/// A finished sum in a drain register.
#[derive(Clone, Copy)]
struct Finished {
    sum: i64,
    /// The row of its PE.
    row: usize,
    target: Target,
}

/// A column that drains.
#[derive(Clone, Copy)]
struct Draining {
    /// Rows that have left.
    left: usize,
    /// Cycles until the next one leaves.
    wait: u64,
}

/// The PEs, the delay lines at their edges, the drains. Registers lie row by row, D elements for each PE.
pub(super) struct OutputGrid {
    rows: usize,
    columns: usize,
    products: usize,
    words: Words,
    /// d.
    drain_cycles: u64,
    operands: Vec<i32>,
    weights: Vec<i32>,
    /// The step whose operands and weights a PE holds.
    steps: Vec<Option<Step>>,
    /// By PE and age: chunk sums on their way to the register.
    pending: Vec<VecDeque<Option<(i64, Step)>>>,
    registers: Vec<i64>,
    drains: Vec<Option<Finished>>,
    draining: Vec<Option<Draining>>,
    /// By age in cycles: row r is fed the operands of age r, column c the weights of age c.
    skew: VecDeque<Option<Entering>>,
}

impl OutputGrid {
    pub(super) fn new(
        [rows, columns, products]: [usize; 3],
        latency_cycles: usize,
        drain_cycles: u64,
        words: Words,
    ) -> Self {
        let pes = rows * columns;
        OutputGrid {
            rows,
            columns,
            products,
            words,
            drain_cycles,
            operands: vec![0; pes * products],
            weights: vec![0; pes * products],
            steps: vec![None; pes],
            pending: (0..pes).map(|_| line(latency_cycles)).collect(),
            registers: vec![0; pes],
            drains: vec![None; pes],
            draining: vec![None; columns],
            skew: line(rows.max(columns)),
        }
    }

    /// Whether nothing is under way.
    pub(super) fn drained(&self) -> bool {
        self.skew.iter().all(Option::is_none)
            && self.steps.iter().all(Option::is_none)
            && self.pending.iter().flatten().all(Option::is_none)
            && self.drains.iter().all(Option::is_none)
    }

    /// One cycle, with the step that enters in it. True when an instruction's last sum was accumulated in it.
    pub(super) fn step(
        &mut self,
        entering: Option<Entering>,
        accumulator: &mut Accumulators,
        mut edges: Option<&mut Edges>,
    ) -> bool {
        if entering.is_none() && self.drained() {
            return false;
        }
        shift(&mut self.skew, entering);
        if let Some(edges) = edges.as_deref_mut() {
            self.show(edges);
        }
        let mut ended = false;
        // Drains first: a finished sum may take the place of one that leaves in the same cycle.
        for column in 0..self.columns {
            ended |= self.drain(column, accumulator, edges.as_deref_mut());
        }
        // From the last PE to the first, so that each finds its neighbours' registers as they were at the beginning of the cycle.
        for row in (0..self.rows).rev() {
            for column in (0..self.columns).rev() {
                self.take(row, column);
                self.add_up(row, column);
            }
        }
        ended
    }

    /// What is at the left and the upper edge in this cycle.
    fn show(&self, edges: &mut Edges) {
        for row in 0..self.rows {
            if let Some(entering) = &self.skew[row] {
                edges.meet_row(row, &entering.operands);
            }
        }
        for column in 0..self.columns {
            if let Some(entering) = &self.skew[column] {
                edges.meet_column(column, None, &entering.weights);
            }
        }
    }

    /// A cycle of a column's drain: the bottom row is accumulated, the rows above that have not left move down.
    fn drain(&mut self, column: usize, accumulator: &mut Accumulators, edges: Option<&mut Edges>) -> bool {
        let bottom = (self.rows - 1) * self.columns + column;
        if self.draining[column].is_none() && self.drains[bottom].is_some() {
            self.draining[column] = Some(Draining { left: 0, wait: 0 });
        }
        let Some(mut draining) = self.draining[column].take() else { return false };
        if draining.wait > 0 {
            self.draining[column] = Some(Draining { wait: draining.wait - 1, ..draining });
            return false;
        }
        let leaving = self.drains[bottom].take();
        for row in (draining.left..self.rows - 1).rev() {
            let pe = row * self.columns + column;
            self.drains[pe + self.columns] = self.drains[pe].take();
        }
        draining = Draining { left: draining.left + 1, wait: self.drain_cycles - 1 };
        self.draining[column] = (draining.left < self.rows).then_some(draining);
        let Some(Finished { sum, row, target }) = leaving else { return false };
        if row < target.pixel_rows {
            let at = (target.vector + row) * self.columns + column;
            let word = if target.replaces { 0 } else { accumulator.get(at) };
            accumulator.set(at, self.words.add(word, sum));
            if let Some(edges) = edges {
                edges.leaving[column] = Some(Leaving { vector: target.vector + row, sum, word: accumulator.get(at) });
            }
        }
        target.last && row == 0 && column + 1 == self.columns
    }

    /// What the left and the upper neighbour, or the edges, hand on.
    fn take(&mut self, row: usize, column: usize) {
        let (pe, products) = (row * self.columns + column, self.products);
        let own = pe * products..(pe + 1) * products;
        if column > 0 {
            self.operands.copy_within((pe - 1) * products..pe * products, pe * products);
        } else if let Some(entering) = &self.skew[row] {
            self.operands[own.clone()].copy_from_slice(&entering.operands[row * products..(row + 1) * products]);
        }
        if row > 0 {
            let above = pe - self.columns;
            self.weights.copy_within(above * products..(above + 1) * products, pe * products);
        } else if let Some(entering) = &self.skew[column] {
            self.weights[own].copy_from_slice(&entering.weights[column * products..(column + 1) * products]);
        }
        self.steps[pe] = match column {
            0 => self.skew[row].as_ref().map(|entering| entering.step),
            _ => self.steps[pe - 1],
        };
    }

    /// The products of this cycle; those of L − 1 cycles ago reach the register.
    fn add_up(&mut self, row: usize, column: usize) {
        let pe = row * self.columns + column;
        let own = pe * self.products..(pe + 1) * self.products;
        let products = self.operands[own.clone()].iter().zip(&self.weights[own]);
        let entering = self.steps[pe].map(|step| {
            // M-5: the chunk sum is exact.
            (products.map(|(&x, &w)| i64::from(x) * i64::from(w)).sum(), step)
        });
        shift(&mut self.pending[pe], entering);
        let Some((sum, step)) = self.pending[pe].back_mut().and_then(Option::take) else { return };
        let before = if step.first { 0 } else { self.registers[pe] };
        self.registers[pe] = self.words.add(before, sum);
        if step.last {
            self.drains[pe] = Some(Finished { sum: self.registers[pe], row, target: step.target });
        }
    }
}
