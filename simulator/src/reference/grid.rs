//! T-5, the datapath: every register of every PE. Operands move along rows, sums down columns, each one PE a cycle; the edges are skewed by delay lines.
//!
//! All PEs read the registers as they are at the beginning of a cycle; what they write takes effect at its end.

use std::collections::VecDeque;

use crate::contract::Accumulators;

/// Where the sums of a vector go.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    /// Accumulator vector.
    pub(super) vector: usize,
    /// Whether the sum replaces the old content.
    pub(super) replaces: bool,
    /// The last vector of its instruction.
    pub(super) last: bool,
}

/// A vector that enters the skew at the left edge.
pub(super) struct Streamed {
    /// By row.
    pub(super) operands: Vec<i32>,
    /// The first vector of its fold: PEs take over their shadow registers with it.
    pub(super) first: bool,
}

#[derive(Clone, Copy, Default)]
struct Pe {
    /// The operand on its way to the next column.
    operand: i32,
    /// The operand is of the first vector of its fold.
    first: bool,
    /// The sum on its way to the next row.
    sum: i32,
    /// The weight that is multiplied.
    active: i32,
    /// The weight of the next fold (two registers).
    shadow: i32,
}

/// The PEs and the delay lines at their edges.
pub(super) struct Grid {
    rows: usize,
    columns: usize,
    shadowed: bool,
    /// Row by row.
    pes: Vec<Pe>,
    next: Vec<Pe>,
    /// By age in cycles: row r is fed the operand of age r.
    operand_skew: VecDeque<Option<Streamed>>,
    /// By age: column c is given the weight of age c, with its row.
    weight_skew: VecDeque<Option<(usize, Vec<i32>)>>,
    /// By age: column c ends the sum of age R − 1 + c.
    tags: VecDeque<Option<Tag>>,
}

fn line<T>(length: usize) -> VecDeque<Option<T>> {
    (0..length).map(|_| None).collect()
}

fn shift<T>(line: &mut VecDeque<Option<T>>, entering: Option<T>) {
    line.pop_back();
    line.push_front(entering);
}

impl Grid {
    pub(super) fn new(rows: usize, columns: usize, shadowed: bool) -> Self {
        Grid {
            rows,
            columns,
            shadowed,
            pes: vec![Pe::default(); rows * columns],
            next: vec![Pe::default(); rows * columns],
            operand_skew: line(rows),
            weight_skew: line(columns),
            tags: line(rows + columns - 1),
        }
    }

    /// Whether no vector is under way.
    pub(super) fn drained(&self) -> bool {
        self.tags.iter().all(Option::is_none)
    }

    /// One cycle, with what enters at the edges in it. True when an instruction's last sum was accumulated in it.
    pub(super) fn step(
        &mut self,
        streamed: Option<(Streamed, Tag)>,
        weights: Option<(usize, Vec<i32>)>,
        accumulator: &mut Accumulators,
    ) -> bool {
        let (streamed, tag) = streamed.unzip();
        shift(&mut self.operand_skew, streamed);
        shift(&mut self.tags, tag);
        shift(&mut self.weight_skew, weights);
        if !self.drained() {
            self.evaluate();
            self.accumulate(accumulator);
        }
        self.write_weights();
        self.tags.back_mut().and_then(Option::take).is_some_and(|tag| tag.last)
    }

    fn evaluate(&mut self) {
        for row in 0..self.rows {
            let (edge, edge_first) = match &self.operand_skew[row] {
                Some(streamed) => (streamed.operands[row], streamed.first),
                None => (0, false),
            };
            for column in 0..self.columns {
                let at = row * self.columns + column;
                let (operand, first) = match column {
                    0 => (edge, edge_first),
                    _ => (self.pes[at - 1].operand, self.pes[at - 1].first),
                };
                let above = if row == 0 { 0 } else { self.pes[at - self.columns].sum };
                let pe = self.pes[at];
                let active = if first && self.shadowed { pe.shadow } else { pe.active };
                // M-5: modulo 2^32.
                let sum = above.wrapping_add(operand.wrapping_mul(active));
                self.next[at] = Pe { operand, first, sum, active, shadow: pe.shadow };
            }
        }
        std::mem::swap(&mut self.pes, &mut self.next);
    }

    /// What left the last row in this cycle.
    fn accumulate(&mut self, accumulator: &mut Accumulators) {
        for column in 0..self.columns {
            let Some(tag) = self.tags[self.rows - 1 + column] else { continue };
            let sum = self.pes[(self.rows - 1) * self.columns + column].sum;
            let at = tag.vector * self.columns + column;
            let word = if tag.replaces { sum } else { (accumulator.get(at) as i32).wrapping_add(sum) };
            accumulator.set(at, word.into());
        }
    }

    /// Weights that reach their column at the end of this cycle.
    fn write_weights(&mut self) {
        for column in 0..self.columns {
            if let Some((row, weights)) = &self.weight_skew[column] {
                let pe = &mut self.pes[row * self.columns + column];
                *(if self.shadowed { &mut pe.shadow } else { &mut pe.active }) = weights[column];
            }
        }
    }
}
