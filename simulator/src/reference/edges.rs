//! What passes the edges of the array in a cycle, told to whoever watches a run (the comparison with the RTL). Watching changes nothing.

use crate::contract::Memories;

/// The edges of the array in one cycle. Elements lie side by side, D for each row or column; where nothing is valid they are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edges {
    /// Rows whose first PE meets a vector or step.
    pub rows_valid: Vec<bool>,
    /// What it meets.
    pub rows: Vec<i32>,
    /// Columns that are reached by operands that stay, or whose first PE meets the weights of a step.
    pub columns_valid: Vec<bool>,
    /// The row in which they stay; none for the weights of a step.
    pub columns_row: Vec<Option<usize>>,
    /// Those operands.
    pub columns: Vec<i32>,
    /// By column, the sum that leaves the last row in this cycle.
    pub leaving: Vec<Option<Leaving>>,
}

/// A sum that leaves the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Accumulator vector.
    pub vector: usize,
    /// The sum as it leaves.
    pub sum: i64,
    /// The word of the accumulators at the end of the cycle.
    pub word: i64,
}

/// A cycle of the array.
#[derive(Debug)]
pub struct ArrayCycle<'a> {
    /// The cycle.
    pub cycle: u64,
    /// The `ar.run` that starts in it.
    pub started: Option<usize>,
    /// Not released at its end.
    pub engaged: bool,
    /// It accumulates the last sum of an instruction.
    pub ended: bool,
    /// The edges.
    pub edges: &'a Edges,
    /// As they are at its end.
    pub memories: &'a Memories,
}

/// Someone who watches the array.
pub trait Watcher {
    /// A cycle has passed.
    fn cycle(&mut self, cycle: &ArrayCycle<'_>);
}

impl Edges {
    pub(super) fn new([rows, columns, products]: [usize; 3]) -> Self {
        Edges {
            rows_valid: vec![false; rows],
            rows: vec![0; rows * products],
            columns_valid: vec![false; columns],
            columns_row: vec![None; columns],
            columns: vec![0; columns * products],
            leaving: vec![None; columns],
        }
    }

    /// Nothing is valid.
    pub(super) fn clear(&mut self) {
        self.rows_valid.fill(false);
        self.rows.fill(0);
        self.columns_valid.fill(false);
        self.columns_row.fill(None);
        self.columns.fill(0);
        self.leaving.fill(None);
    }

    /// A row's first PE meets its part of a vector.
    pub(super) fn meet_row(&mut self, row: usize, vector: &[i32]) {
        self.rows_valid[row] = true;
        place(&mut self.rows, row, vector, self.rows_valid.len());
    }

    /// A column gets its part of a vector, to stay in `row` or to meet its first PE.
    pub(super) fn meet_column(&mut self, column: usize, row: Option<usize>, vector: &[i32]) {
        self.columns_valid[column] = true;
        self.columns_row[column] = row;
        place(&mut self.columns, column, vector, self.columns_valid.len());
    }
}

/// Copies the part of `vector` that belongs to place `index` of `count`.
fn place(into: &mut [i32], index: usize, vector: &[i32], count: usize) {
    let products = into.len() / count;
    let own = index * products..(index + 1) * products;
    into[own.clone()].copy_from_slice(&vector[own]);
}
