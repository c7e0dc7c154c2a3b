//! Registers of the PEs (T-5), written while the reference engine runs: its probe hands over all of them in each cycle, what has changed goes to the file.

use systole_simulator::reference::pe_registers;

use super::scope::{Kind, Scope, Signal};
use super::source::Source;

/// Bits of a register: sums within the array are exact.
const REGISTER_BITS: u32 = 64;
/// Name of the scope below that of an array.
const SCOPE: &str = "pe";

/// The scope of an array's PEs; the order of its signals is that of the probe.
pub(super) fn scope<'a>(source: Source<'a>) -> Scope<'a> {
    let (rows, columns) = (source.machine.array.rows, source.machine.array.columns);
    let registers = pe_registers(source.machine);
    let pe = |column: u32| {
        let signal = |name: &String| Signal {
            name: name.clone(),
            kind: Kind::Probed(REGISTER_BITS),
            changes: Box::new(std::iter::empty()),
        };
        Scope::new(&format!("c{column}"), "T-5: a PE", registers.iter().map(signal).collect())
    };
    let row = |row: u32| {
        let mut scope = Scope::new(&format!("r{row}"), "T-5: a row of PEs", vec![]);
        scope.scopes = (0..columns).map(pe).collect();
        scope
    };
    let mut scope = Scope::new(SCOPE, "T-5, at the beginning of a cycle", vec![]);
    scope.scopes = (0..rows).map(row).collect();
    scope
}
