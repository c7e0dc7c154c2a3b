//! The checker: proves, over an emitted program, what the compiler must never get wrong.
//!
//! It reads instruction words' fields alone, none of the compiler's own tables of steps, and proves:
//! - **C-1** tokens pair up: the k-th wait on a semaphore stands after the k-th signal to it, and none is left at the end;
//! - **C-2** any two accesses of different units to the same bytes, one of them a write, are ordered by tokens and queues;
//! - **C-3** every byte read on chip was written before, by the layer that reads it, and in one piece without gaps;
//! - **C-4** every byte of DRAM read is a constant, an input, or was stored before;
//! - **C-5** no semaphore can pass the machine's `token_max` (M-12); this one is the machine's limit, not a defect.
//!
//! Not proved: which tile of the layer a byte read on chip belongs to, that the values are right (golden shows both) and that traps of M-10 do not occur (the engines do that).

use std::collections::VecDeque;

use systole_machine::isa::{UNITS, Unit, UnitMask};
use systole_machine::program::{Program, Role, TensorEntry};
use systole_machine::spec::Machine;

use crate::error::CompileError;
use crate::schedule::Memory;

mod footprint;
mod intervals;

use footprint::{Range, Registers};
use intervals::{Conflict, Intervals};

/// What is known to have ended, by unit: all instructions with an index below this.
type Known = [usize; UNITS];

struct Checker<'a> {
    program: &'a Program,
    memories: [Intervals; 4],
    known: [Known; UNITS],
    /// `tokens[from][to]`: signals not yet waited for, with what their giver knew.
    tokens: [[VecDeque<(usize, Known)>; UNITS]; UNITS],
    /// `signals[from][to]`: how many were given; `waits[from][to]`: by which instructions they were taken.
    signals: [[usize; UNITS]; UNITS],
    waits: [[Vec<usize>; UNITS]; UNITS],
    /// Largest count that a semaphore can reach, and the layer that takes it there.
    most_tokens: (usize, usize),
}

/// Runs all checks.
///
/// # Errors
/// The first violation, as a defect of the compiler.
pub fn check(program: &Program, machine: &Machine) -> Result<(), CompileError> {
    let mut checker = Checker {
        program,
        memories: Default::default(),
        known: Default::default(),
        tokens: Default::default(),
        signals: Default::default(),
        waits: Default::default(),
        most_tokens: (0, 0),
    };
    checker.seed_dram();
    let mut registers = Registers::new(machine);
    for (index, instruction) in program.instructions.iter().enumerate() {
        let unit = instruction.unit();
        checker.take_tokens(index, unit, instruction.wait.0)?;
        for range in registers.step(&instruction.operation) {
            checker.touch(index, unit, &range)?;
        }
        checker.give_tokens(index, unit, instruction.signal);
    }
    checker.finish()?;
    checker.check_limit(machine)
}

/// Calls `each` with the stretches of DRAM that are a tensor's, not those between its pixels and rows.
fn pieces(tensor: &TensorEntry, each: &mut impl FnMut(u64, u64)) {
    let bytes = tensor.dims[1] * tensor.element.bytes();
    if tensor.is_dense() {
        return each(tensor.address, tensor.address + bytes * tensor.dims[0] * tensor.dims[2] * tensor.dims[3]);
    }
    tensor.pixels().for_each(|first| each(first, first + bytes));
}

impl Checker<'_> {
    fn layer(&self, index: usize) -> u32 {
        self.program.source.get(index).copied().unwrap_or(u32::MAX)
    }

    fn fail(&self, index: usize, message: String) -> CompileError {
        let layer = self.program.layers.get(self.layer(index) as usize).map_or("?", |layer| &layer.name);
        CompileError::internal(layer, format!("the checker refuses instruction {index}: {message}"))
    }

    /// Constants and inputs are there from the start. Without values the image is empty; then all that no tensor owns counts as constant.
    fn seed_dram(&mut self) {
        let dram = &mut self.memories[Memory::Dram as usize];
        dram.fill(0, self.program.dram_bytes);
        for tensor in self.program.tensors.iter().filter(|tensor| tensor.role != Role::Input) {
            pieces(tensor, &mut |first, end| dram.clear(first, end));
        }
        // A row's margin may be written to; behind the last row it must not count as one with the constants there.
        for tensor in &self.program.tensors {
            dram.cut(tensor.address + tensor.dims[0] * tensor.image_pitch);
        }
        // A view of an input lies where the input does.
        for tensor in self.program.tensors.iter().filter(|tensor| tensor.role == Role::Input) {
            pieces(tensor, &mut |first, end| {
                dram.clear(first, end);
                dram.fill(first, end);
            });
        }
    }

    fn take_tokens(&mut self, index: usize, unit: Unit, mask: u8) -> Result<(), CompileError> {
        for from in Unit::ALL {
            if mask & (1 << from as u8) == 0 {
                continue;
            }
            let Some((giver, knew)) = self.tokens[from as usize][unit as usize].pop_front() else {
                return Err(
                    self.fail(index, format!("waits for a token of the {} unit that nothing gave (C-1)", from.name()))
                );
            };
            self.waits[from as usize][unit as usize].push(index);
            let mine = &mut self.known[unit as usize];
            mine[from as usize] = mine[from as usize].max(giver + 1);
            for (known, knew) in mine.iter_mut().zip(knew) {
                *known = (*known).max(knew);
            }
        }
        Ok(())
    }

    fn give_tokens(&mut self, index: usize, unit: Unit, mask: UnitMask) {
        let from = unit as usize;
        let known = self.known[from];
        for to in Unit::ALL.into_iter().filter(|&to| mask.contains(to)).map(|to| to as usize) {
            self.tokens[from][to].push_back((index, known));
            self.signals[from][to] += 1;
            let surely_taken = self.waits[from][to].partition_point(|&wait| wait < known[to]);
            let count = self.signals[from][to] - surely_taken;
            if count > self.most_tokens.0 {
                self.most_tokens = (count, index);
            }
        }
    }

    fn check_limit(&self, machine: &Machine) -> Result<(), CompileError> {
        let (count, index) = self.most_tokens;
        if count <= machine.control.token_max as usize {
            return Ok(());
        }
        let layer = self.program.layers.get(self.layer(index) as usize).map_or("?", |layer| &layer.name);
        Err(CompileError::unsupported(
            layer,
            format!(
                "this schedule can bring a token semaphore to {count}, `control.token_max` of `{}` is {}; raise it",
                machine.name, machine.control.token_max
            ),
        ))
    }

    fn touch(&mut self, index: usize, unit: Unit, range: &Range) -> Result<(), CompileError> {
        let layer = self.layer(index);
        let known = self.known[unit as usize];
        let units = &self.program.instructions;
        let ordered = |earlier: usize| {
            let other = units[earlier].unit();
            other == unit || earlier < known[other as usize]
        };
        let on_chip = range.memory != Memory::Dram;
        let memory = &mut self.memories[range.memory as usize];
        let result = if range.write {
            memory.write(range.first, range.end, index, layer, &ordered)
        } else {
            memory.read(range.first, range.end, index, on_chip.then_some(layer), unit, &ordered)
        };
        result.map_err(|conflict| {
            let place = format!("{:?} {:#x}..{:#x}", range.memory, range.first, range.end);
            let text = match conflict {
                Conflict::Unordered(other) => format!("{place} and instruction {other} are not ordered (C-2)"),
                Conflict::Unwritten(at) => format!("{place} reads {at:#x}, which nothing wrote (C-3, C-4)"),
                Conflict::OtherLayer(other) => {
                    format!("{place} reads what instruction {other} of another layer wrote (C-3)")
                }
            };
            self.fail(index, text)
        })
    }

    fn finish(&self) -> Result<(), CompileError> {
        for from in Unit::ALL {
            for to in Unit::ALL {
                if let Some(&(giver, _)) = self.tokens[from as usize][to as usize].front() {
                    return Err(
                        self.fail(giver, format!("gives a token to the {} unit that nothing takes (C-1)", to.name()))
                    );
                }
            }
        }
        Ok(())
    }
}
