//! The registers of the PEs, for those who want to see them: read at the beginning of a cycle, changed by nobody.

use systole_machine::spec::{Dataflow, Machine};

use super::array::Array;
use super::{Engine, hazards, initial, work};
use crate::contract::{EngineError, Job, Memories, Timing};

/// As [`run`](super::run), and hands the registers of all PEs to `probe` at the beginning of each cycle: the cycle, and the registers array by array, PE by
/// PE, row by row, each as [`pe_registers`] lists them. `None` is a register that holds nothing.
///
/// # Errors
/// As [`run`](super::run).
pub fn probed_run(
    job: &Job,
    image: &[(u64, &[u8])],
    fuel_cycles: u64,
    probe: &mut dyn FnMut(u64, &[Option<i64>]),
) -> Result<(Timing, Memories), EngineError> {
    let memories = initial(job, image)?;
    let works = work::resolve(job.machine, job.instructions);
    let stop = hazards::stop_of(job, &works);
    let count = stop.map_or(job.instructions.len(), |(index, _)| index);
    let mut engine = Engine::new(job, &works[..count], memories);
    let mut probe = Probe::new(job.machine, probe);
    loop {
        probe.look(&engine.arrays, engine.now);
        if !engine.cycle() {
            return Ok(engine.finish(job.instructions.len(), stop));
        }
        if engine.now >= fuel_cycles {
            return Err(EngineError::OutOfFuel(fuel_cycles));
        }
    }
}

/// Names of the registers of one PE, in the order in which a probe gets them: of the grids that the machine's dataflows use.
pub fn pe_registers(machine: &Machine) -> Vec<String> {
    let array = &machine.array;
    let numbered = |name: &str, count: u32| -> Vec<String> {
        (0..count).map(|index| if count == 1 { name.to_owned() } else { format!("{name}{index}") }).collect()
    };
    let (products, stages) = (array.dot_product_width, array.pe_latency_cycles);
    let mut names = vec![];
    if operands_stay(machine) {
        for name in ["streamed", "active", "shadow"] {
            names.extend(numbered(name, products));
        }
        names.extend(numbered("sum", stages));
    }
    if sums_stay(machine) {
        names.extend(numbered("operand", products));
        names.extend(numbered("weight", products));
        names.extend(["register".to_owned(), "drain".to_owned()]);
    }
    names
}

fn operands_stay(machine: &Machine) -> bool {
    machine.array.dataflows.iter().any(|&dataflow| dataflow != Dataflow::OutputStationary)
}

fn sums_stay(machine: &Machine) -> bool {
    machine.array.dataflows.contains(&Dataflow::OutputStationary)
}

/// Somebody who looks on.
struct Probe<'a> {
    operands_stay: bool,
    sums_stay: bool,
    pes: usize,
    registers: Vec<Option<i64>>,
    report: &'a mut dyn FnMut(u64, &[Option<i64>]),
}

impl<'a> Probe<'a> {
    fn new(machine: &Machine, report: &'a mut dyn FnMut(u64, &[Option<i64>])) -> Self {
        let pes = machine.array.rows as usize * machine.array.columns as usize;
        let (operands_stay, sums_stay) = (operands_stay(machine), sums_stay(machine));
        Probe { operands_stay, sums_stay, pes, registers: vec![], report }
    }

    /// Reads all registers and hands them on.
    fn look(&mut self, arrays: &[Array], now: u64) {
        self.registers.clear();
        for array in arrays {
            for pe in 0..self.pes {
                array.registers(pe, [self.operands_stay, self.sums_stay], &mut self.registers);
            }
        }
        (self.report)(now, &self.registers);
    }
}
