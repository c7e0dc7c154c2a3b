//! Names that viewers show instead of numbers: FST's tables of an enumeration.

use std::fmt::Write;

use systole_machine::isa::{Unit, table};

use super::source::Source;
use super::{scope::bits_for, states};

/// The format's limit on the text of a table, with room for what surrounds it.
const TABLE_BYTES: usize = 65_000;

/// Which numbers have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// What a unit does.
    States,
    /// Instructions, by opcode.
    Mnemonics,
    /// Layers of the program.
    Layers,
    /// Sets of units.
    Holders,
}

/// A table: numbers of so many bits, and their names.
pub(super) struct Table {
    pub(super) bits: u32,
    name: &'static str,
    entries: Vec<(u64, String)>,
}

impl Names {
    /// All, in order of their handles in the file, which count from 1.
    pub(super) const ALL: [Names; 4] = [Names::States, Names::Mnemonics, Names::Layers, Names::Holders];

    /// The table for a program.
    pub(super) fn table(self, source: Source) -> Table {
        let numbered = |names: Vec<String>| (0..).zip(names).collect::<Vec<(u64, String)>>();
        let (name, entries) = match self {
            Names::States => ("state", numbered(states::names())),
            Names::Mnemonics => {
                let row = |row: table::Row| (row.opcode.into(), row.mnemonic.to_owned());
                ("mnemonic", table::rows().into_iter().map(row).collect())
            }
            Names::Layers => {
                let layers = source.program.layers.iter();
                ("layer", numbered(layers.map(|layer| layer.name.clone()).collect()))
            }
            Names::Holders => ("holders", holders(source)),
        };
        let most = entries.iter().map(|entry| entry.0).max().unwrap_or(0);
        Table { bits: bits_for(most), name, entries }
    }
}

/// Every set of the machine's units.
fn holders(source: Source) -> Vec<(u64, String)> {
    let units: Vec<Unit> = source.units().collect();
    let set = |mask: usize| {
        let members: Vec<Unit> = (0..units.len()).filter(|bit| mask & (1 << bit) != 0).map(|bit| units[bit]).collect();
        let names: Vec<&str> = members.iter().map(|unit| unit.name()).collect();
        let name = if names.is_empty() { "free".to_owned() } else { names.join("+") };
        (members.iter().map(|&unit| 1 << unit as u64).sum(), name)
    };
    (0..1 << units.len()).map(set).collect()
}

impl Table {
    /// As the file has it: name, number of entries, names, values in binary. None where it is empty or beyond the format's limit: viewers show numbers then.
    pub(super) fn text(&self) -> Option<String> {
        let mut text = format!("{} {}", self.name, self.entries.len());
        for (_, name) in &self.entries {
            text.push(' ');
            // The format separates by spaces.
            text.extend(name.chars().map(|c| if c.is_ascii_graphic() && c != '\\' { c } else { '_' }));
        }
        for (value, _) in &self.entries {
            // Writing to a string cannot fail.
            let _ = write!(text, " {value:0width$b}", width = self.bits as usize);
        }
        (!self.entries.is_empty() && text.len() <= TABLE_BYTES).then_some(text)
    }
}
