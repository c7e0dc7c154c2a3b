//! The registers of the PEs, for those who want to see them: read at the beginning of a cycle, changed by nobody.

use systole_machine::spec::{Dataflow, Machine};

use super::array::Array;

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
pub(super) struct Probe<'a> {
    operands_stay: bool,
    sums_stay: bool,
    pes: usize,
    registers: Vec<Option<i64>>,
    report: &'a mut dyn FnMut(u64, &[Option<i64>]),
}

impl<'a> Probe<'a> {
    pub(super) fn new(machine: &Machine, report: &'a mut dyn FnMut(u64, &[Option<i64>])) -> Self {
        let pes = machine.array.rows as usize * machine.array.columns as usize;
        let (operands_stay, sums_stay) = (operands_stay(machine), sums_stay(machine));
        Probe { operands_stay, sums_stay, pes, registers: vec![], report }
    }

    /// Reads all registers and hands them on.
    pub(super) fn look(&mut self, arrays: &[Array], now: u64) {
        self.registers.clear();
        for array in arrays {
            for pe in 0..self.pes {
                array.registers(pe, [self.operands_stay, self.sums_stay], &mut self.registers);
            }
        }
        (self.report)(now, &self.registers);
    }
}
