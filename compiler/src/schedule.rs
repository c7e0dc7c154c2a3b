//! Steps in program order, and the tokens between them.
//!
//! A step is one run instruction with its registers and the bytes that it reads and writes. Program order is a correct sequential execution; this pass
//! finds, for each step, the latest earlier step of every other unit whose effects it needs (read after write, write after read, write after write) and adds
//! one token, unless a token or queue order already implies it.

use systole_machine::isa::{Operation, UNITS, Unit};

/// A memory, for footprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Outside.
    Dram,
    /// Activation buffer, bytes.
    Activation,
    /// Weight buffer, bytes.
    Weight,
    /// Accumulators, vectors.
    Accumulator,
}

/// Bytes that a step touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where.
    pub memory: Memory,
    /// First.
    pub first: u64,
    /// One past the last.
    pub end: u64,
    /// Written, not only read.
    pub write: bool,
}

impl Access {
    /// So many bytes of the activation buffer.
    pub fn activation(first: u64, bytes: u64, write: bool) -> Self {
        Access { memory: Memory::Activation, first, end: first + bytes, write }
    }
}

/// One run instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Index of its layer.
    pub layer: u32,
    /// Registers that it needs, in order.
    pub setup: Vec<Operation>,
    /// What it runs.
    pub run: Operation,
    /// What it touches.
    pub accesses: Vec<Access>,
    /// Units waited for, and signalled; filled by [`synchronise`].
    pub waits: [bool; UNITS],
    /// See `waits`.
    pub signals: [bool; UNITS],
}

impl Step {
    /// Without tokens.
    pub fn new(layer: u32, setup: Vec<Operation>, run: Operation, accesses: Vec<Access>) -> Self {
        Step { layer, setup, run, accesses, waits: [false; UNITS], signals: [false; UNITS] }
    }

    /// The unit that runs it.
    pub fn unit(&self) -> Unit {
        self.run.unit()
    }
}

/// What is remembered of an earlier access.
#[derive(Clone, Copy, Debug)]
struct Seen {
    access: Access,
    unit: usize,
    step: usize,
}

fn overlap(a: &Access, b: &Access) -> bool {
    a.first < b.end && b.first < a.end
}

/// Adds tokens to the steps.
pub fn synchronise(steps: &mut [Step]) {
    let mut seen: [Vec<Seen>; UNITS] = Default::default();
    // known[u][v]: steps of unit v before this index have ended before the next step of unit u starts.
    let mut known = [[0usize; UNITS]; UNITS];
    let mut known_at: Vec<[usize; UNITS]> = Vec::with_capacity(steps.len());
    for index in 0..steps.len() {
        let unit = steps[index].unit() as usize;
        let mut needed = [None::<usize>; UNITS];
        for access in &steps[index].accesses {
            for earlier in &seen[access.memory as usize] {
                let conflict = (access.write || earlier.access.write) && overlap(access, &earlier.access);
                if conflict && earlier.unit != unit {
                    needed[earlier.unit] = needed[earlier.unit].max(Some(earlier.step));
                }
            }
        }
        // Take the latest dependency first: what its unit knew may already imply the others.
        let mut order: Vec<(usize, usize)> =
            needed.iter().enumerate().filter_map(|(v, step)| step.map(|step| (step, v))).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        for (step, v) in order {
            if step < known[unit][v] {
                continue;
            }
            steps[step].signals[unit] = true;
            steps[index].waits[v] = true;
            known[unit][v] = step + 1;
            for (mine, theirs) in known[unit].iter_mut().zip(known_at[step]) {
                *mine = (*mine).max(theirs);
            }
        }
        known_at.push(known[unit]);
        remember(&mut seen, &steps[index], unit, index);
    }
}

/// A write replaces all that it covers: whoever conflicts with those conflicts with it too, and it comes after them.
fn remember(seen: &mut [Vec<Seen>; UNITS], step: &Step, unit: usize, index: usize) {
    for access in &step.accesses {
        let list = &mut seen[access.memory as usize];
        list.retain(|earlier| {
            let covered = access.first <= earlier.access.first && earlier.access.end <= access.end;
            let same_reader = !access.write && !earlier.access.write && earlier.unit == unit;
            !(covered && (access.write || same_reader))
        });
        // Constants and inputs in DRAM are never written: reads of it need no memory.
        if access.write || access.memory != Memory::Dram {
            list.push(Seen { access: *access, unit, step: index });
        }
    }
}
