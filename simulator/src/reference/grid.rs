//! T-5, the datapath of the weight- and input-stationary array: every register of every PE. Streamed vectors move along rows, one PE a cycle; sums down
//! columns, one PE every L cycles; the edges are skewed by delay lines.
//!
//! All PEs read the registers as they are at the beginning of a cycle; what they write takes effect at its end. Which operand stays is not known here.

use std::collections::VecDeque;

use super::edges::{Edges, Leaving};
use super::sums::Words;
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
    /// By row, D each.
    pub(super) elements: Vec<i32>,
    /// The first vector of its fold: PEs take over their shadow registers with it.
    pub(super) first: bool,
}

/// The PEs and the delay lines at their edges. Registers lie row by row; D elements, or L stages of a sum, for each PE.
pub(super) struct Grid {
    rows: usize,
    columns: usize,
    products: usize,
    latency: usize,
    shadowed: bool,
    words: Words,
    /// The streamed elements on their way to the next column.
    streamed: Vec<i32>,
    /// Whether they are of the first vector of their fold.
    first: Vec<bool>,
    /// The elements that are multiplied.
    active: Vec<i32>,
    /// Those of the next fold (two registers).
    shadow: Vec<i32>,
    /// The sum on its way to the next row, youngest first.
    sums: Vec<i64>,
    /// By age in cycles: row r is fed the vector of age r·L.
    stream_skew: VecDeque<Option<Streamed>>,
    /// By age: column c is given the stationary elements of age c, with their row.
    stationary_skew: VecDeque<Option<(usize, Vec<i32>)>>,
    /// By age: column c ends the sum of age R·L − 1 + c.
    tags: VecDeque<Option<Tag>>,
}

/// An empty delay line.
pub(super) fn line<T>(length: usize) -> VecDeque<Option<T>> {
    (0..length).map(|_| None).collect()
}

/// A cycle of a delay line.
pub(super) fn shift<T>(line: &mut VecDeque<Option<T>>, entering: Option<T>) {
    line.pop_back();
    line.push_front(entering);
}

impl Grid {
    pub(super) fn new(
        [rows, columns, products]: [usize; 3],
        latency_cycles: usize,
        shadowed: bool,
        words: Words,
    ) -> Self {
        let pes = rows * columns;
        Grid {
            rows,
            columns,
            products,
            latency: latency_cycles,
            shadowed,
            words,
            streamed: vec![0; pes * products],
            first: vec![false; pes],
            active: vec![0; pes * products],
            shadow: vec![0; pes * products],
            sums: vec![0; pes * latency_cycles],
            stream_skew: line((rows - 1) * latency_cycles + 1),
            stationary_skew: line(columns),
            tags: line(rows * latency_cycles + columns - 1),
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
        stationary: Option<(usize, Vec<i32>)>,
        accumulator: &mut Accumulators,
        mut edges: Option<&mut Edges>,
    ) -> bool {
        let (streamed, tag) = streamed.unzip();
        shift(&mut self.stream_skew, streamed);
        shift(&mut self.tags, tag);
        shift(&mut self.stationary_skew, stationary);
        if let Some(edges) = edges.as_deref_mut() {
            self.show(edges);
        }
        if !self.drained() {
            self.evaluate();
            self.accumulate(accumulator, edges);
        }
        self.write_stationary();
        self.tags.back_mut().and_then(Option::take).is_some_and(|tag| tag.last)
    }

    /// From the last PE to the first, so that each finds its neighbours' registers as they were at the beginning of the cycle.
    fn evaluate(&mut self) {
        for row in (0..self.rows).rev() {
            for column in (0..self.columns).rev() {
                self.take_streamed(row, column);
                let pe = row * self.columns + column;
                let own = pe * self.products..(pe + 1) * self.products;
                if self.first[pe] && self.shadowed {
                    self.active[own.clone()].copy_from_slice(&self.shadow[own.clone()]);
                }
                let products = self.streamed[own.clone()].iter().zip(&self.active[own]);
                // M-5: the chunk sum is exact.
                let product: i64 = products.map(|(&x, &w)| i64::from(x) * i64::from(w)).sum();
                let above = if row == 0 { 0 } else { self.sums[(pe - self.columns + 1) * self.latency - 1] };
                let stages = &mut self.sums[pe * self.latency..(pe + 1) * self.latency];
                stages.rotate_right(1);
                stages[0] = above + product;
            }
        }
    }

    /// What the left neighbour, or the edge, hands on.
    fn take_streamed(&mut self, row: usize, column: usize) {
        let (pe, products) = (row * self.columns + column, self.products);
        if column > 0 {
            self.streamed.copy_within((pe - 1) * products..pe * products, pe * products);
            self.first[pe] = self.first[pe - 1];
            return;
        }
        let own = &mut self.streamed[pe * products..(pe + 1) * products];
        match &self.stream_skew[row * self.latency] {
            Some(streamed) => {
                own.copy_from_slice(&streamed.elements[row * products..(row + 1) * products]);
                self.first[pe] = streamed.first;
            }
            None => {
                own.fill(0);
                self.first[pe] = false;
            }
        }
    }

    /// What leaves the last row in this cycle.
    fn accumulate(&mut self, accumulator: &mut Accumulators, mut edges: Option<&mut Edges>) {
        for column in 0..self.columns {
            let Some(tag) = self.tags[self.rows * self.latency - 1 + column] else { continue };
            let pe = (self.rows - 1) * self.columns + column;
            let sum = self.sums[(pe + 1) * self.latency - 1];
            let at = tag.vector * self.columns + column;
            let word = if tag.replaces { 0 } else { accumulator.get(at) };
            accumulator.set(at, self.words.add(word, sum));
            if let Some(edges) = edges.as_deref_mut() {
                edges.leaving[column] = Some(Leaving { vector: tag.vector, sum, word: accumulator.get(at) });
            }
        }
    }

    /// What is at the left and the upper edge in this cycle.
    fn show(&self, edges: &mut Edges) {
        for row in 0..self.rows {
            if let Some(streamed) = &self.stream_skew[row * self.latency] {
                edges.meet_row(row, &streamed.elements);
            }
        }
        for column in 0..self.columns {
            if let Some((row, elements)) = &self.stationary_skew[column] {
                edges.meet_column(column, Some(*row), elements);
            }
        }
    }

    /// Elements that reach their column at the end of this cycle.
    fn write_stationary(&mut self) {
        let registers = if self.shadowed { &mut self.shadow } else { &mut self.active };
        for column in 0..self.columns {
            if let Some((row, elements)) = &self.stationary_skew[column] {
                let pe = row * self.columns + column;
                registers[pe * self.products..(pe + 1) * self.products]
                    .copy_from_slice(&elements[column * self.products..(column + 1) * self.products]);
            }
        }
    }
}
