//! Keys of a banked DRAM (`docs/dram.md`).

use super::super::error::Errors;
use super::super::node::{Kind, Node};
use super::super::read::{Value, default, optional, required, section, words};
use super::super::values::{Count, Flag, Frequency};
use crate::spec::Field;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

section! {
    /// DRAM with banks.
    BankedDram {
        /// Geometry and timings of a part.
        preset: DramPreset => required();
        /// Independent channels, a power of two.
        channels: Count<1, 64> => default("1");
        /// Ranks of a channel, a power of two.
        ranks: Count<1, 8> => default("1");
        /// Which bits of an address choose what, most significant first; `column:3` is three bits of the column, without a number a field has all that are left.
        address_mapping: AddressMapping => default("row rank bank column group channel");
        /// What happens to an open row that no request wants.
        page_policy: PagePolicy => default("open");
        /// Refresh takes its time.
        refresh: Flag => default("true");
        /// Clock of commands, half the data rate; the preset's own without it. Timings stay cycles of it.
        clock: Frequency<1, 100_000_000_000> => optional();
        /// Requests that a channel chooses among.
        queue_depth: Count<1, 1024> => default("32");
        /// What differs from the preset.
        part: DramPart => default("{}");
    }
}

words! {
    /// Known memories.
    DramPreset {
        /// DDR3-1600, 4 Gb x8, 64 bit wide.
        Ddr3 = "ddr3_1600",
        /// DDR4-2400, 8 Gb x8, 64 bit wide.
        Ddr4 = "ddr4_2400",
        /// DDR4-3200, 8 Gb x8, 64 bit wide.
        Ddr4Fast = "ddr4_3200",
        /// LPDDR4-2400, 8 Gb x16, 64 bit wide.
        Lpddr4 = "lpddr4_2400",
        /// LPDDR4-3200, 8 Gb x16, 32 bit wide.
        Lpddr4Fast = "lpddr4_3200",
        /// HBM2, 2 Gb/s a pin, 128 bit wide; a stack has 8 channels.
        Hbm2 = "hbm2",
    }
}

words! {
    /// Page policies.
    PagePolicy {
        /// Rows stay open.
        Open = "open",
        /// Rows are closed.
        Closed = "closed",
    }
}

/// A number of DRAM cycles.
type DramCycles = Count<0, 65535>;

section! {
    /// Numbers of a part, for what the presets do not have; each without its key is the preset's. Times are DRAM cycles.
    DramPart {
        /// Width of a channel's data bus in bits, a power of two.
        bus_bits: Count<8, 4096> => optional();
        /// Transfers of a burst, two a cycle, a power of two.
        burst_length: Count<2, 64> => optional();
        /// Bank groups of a rank, a power of two.
        groups: Count<1, 64> => optional();
        /// Banks of a group, a power of two.
        banks: Count<1, 64> => optional();
        /// Rows of a bank, a power of two.
        rows: Count<1, 16777216> => optional();
        /// Transfers of a row, a power of two.
        columns: Count<1, 65536> => optional();
        /// From a read to its data.
        cl: DramCycles => optional();
        /// From a write to its data.
        cwl: DramCycles => optional();
        /// From an activate to a read or write.
        trcd: DramCycles => optional();
        /// From a precharge to an activate.
        trp: DramCycles => optional();
        /// From a precharge of all banks to a refresh.
        trp_all: DramCycles => optional();
        /// From an activate to a precharge.
        tras: DramCycles => optional();
        /// Between activates in different groups.
        trrd_s: DramCycles => optional();
        /// Between activates in a group.
        trrd_l: DramCycles => optional();
        /// Cycles that five activates of a rank span at least.
        tfaw: DramCycles => optional();
        /// Between reads (writes) in different groups.
        tccd_s: DramCycles => optional();
        /// Between reads (writes) in a group.
        tccd_l: DramCycles => optional();
        /// From a write's data to a read in another group.
        twtr_s: DramCycles => optional();
        /// From a write's data to a read in its group.
        twtr_l: DramCycles => optional();
        /// From a write's data to a precharge.
        twr: DramCycles => optional();
        /// From a read to a precharge.
        trtp: DramCycles => optional();
        /// Between data of different ranks, and of reads and writes.
        trtrs: DramCycles => optional();
        /// Between refreshes of a rank.
        trefi: Count<1, 1000000> => optional();
        /// From a refresh to an activate.
        trfc: DramCycles => optional();
    }
}

/// The fields of an address, most significant first, with their bits where stated.
#[derive(Clone, Debug)]
pub(crate) struct AddressMapping(pub(crate) Vec<(Field, Option<u32>)>);

impl AddressMapping {
    const EXAMPLE: &'static str = "row rank bank column group channel";
    /// More pieces than an address has bits.
    const MOST_PIECES: usize = 64;

    fn parse(text: &str) -> Option<Self> {
        let piece = |word: &str| {
            let (name, bits) = match word.split_once(':') {
                Some((name, bits)) => (name, Some(bits.parse::<u32>().ok().filter(|bits| *bits <= 32)?)),
                None => (word, None),
            };
            Field::ALL.into_iter().find(|field| field.name() == name).map(|field| (field, bits))
        };
        let pieces: Option<Vec<_>> = text.split_whitespace().map(piece).collect();
        pieces.filter(|pieces| (1..=Self::MOST_PIECES).contains(&pieces.len())).map(AddressMapping)
    }
}

impl Value for AddressMapping {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        let found = match &node.kind {
            Kind::Scalar(text) => Self::parse(text),
            _ => None,
        };
        if found.is_none() {
            let label = "expected the fields row, rank, bank, group, column and channel, each maybe with `:` and bits";
            let help = format!("write for example `{}`", Self::EXAMPLE);
            errors.invalid(&node.span, format!("`{path}` is no order of address bits"), label, help);
        }
        found
    }

    fn text(&self) -> String {
        let piece = |(field, bits): &(Field, Option<u32>)| match bits {
            Some(bits) => format!("{}:{bits}", field.name()),
            None => field.name().to_owned(),
        };
        self.0.iter().map(piece).collect::<Vec<_>>().join(" ")
    }
}

impl JsonSchema for AddressMapping {
    fn schema_name() -> Cow<'static, str> {
        "AddressMapping".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let piece = "(row|rank|bank|group|column|channel)(:[0-9]+)?";
        json_schema!({ "type": "string", "pattern": format!("^ *{piece}( +{piece})* *$"), "x-kind": "an order of address bits",
            "examples": [Self::EXAMPLE] })
    }
    fn inline_schema() -> bool {
        true
    }
}
