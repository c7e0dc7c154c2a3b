//! D-3: the table of distances between commands of a channel, and the memory of when each kind of command was last given.

use systole_machine::spec::{Banked, DramTiming};

use super::Place;
use crate::contract::DramOperation as Kind;

use Kind::{Activate, Precharge, PrechargeAll, Read, Refresh, Write};

/// Where the earlier command was, seen from the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Near {
    Bank,
    Group,
    Rank,
    /// Another rank of the channel.
    Other,
}

use Near::{Bank, Group, Other, Rank};

/// From a command to a later one: at least so many cycles.
struct Rule {
    before: Kind,
    after: Kind,
    near: Near,
    cycles: i64,
}

fn table(dram: &Banked) -> Vec<Rule> {
    let DramTiming { cl, cwl, trcd, trp, trp_all, tras, trrd_s, trrd_l, .. } = dram.timing;
    let DramTiming { tccd_s, tccd_l, twtr_s, twtr_l, twr, trtp, trtrs, trfc, .. } = dram.timing;
    let burst = i64::from(dram.burst_cycles);
    let [cl, cwl, trcd, trp, trp_all, tras] = [cl, cwl, trcd, trp, trp_all, tras].map(i64::from);
    let [trrd_s, trrd_l, tccd_s, tccd_l, twtr_s, twtr_l] =
        [trrd_s, trrd_l, tccd_s, tccd_l, twtr_s, twtr_l].map(i64::from);
    let [twr, trtp, trtrs, trfc] = [twr, trtp, trtrs, trfc].map(i64::from);
    let read_to_write = cl + burst + trtrs - cwl;
    let rows = [
        (Activate, Read, Bank, trcd),
        (Activate, Write, Bank, trcd),
        (Activate, Precharge, Bank, tras),
        (Activate, PrechargeAll, Rank, tras),
        (Read, Precharge, Bank, trtp),
        (Read, PrechargeAll, Rank, trtp),
        (Write, Precharge, Bank, cwl + burst + twr),
        (Write, PrechargeAll, Rank, cwl + burst + twr),
        (Precharge, Activate, Bank, trp),
        (Precharge, Refresh, Rank, trp),
        (PrechargeAll, Refresh, Rank, trp_all),
        (Refresh, Activate, Rank, trfc),
        (Refresh, Refresh, Rank, trfc),
        (Activate, Activate, Group, trrd_l),
        (Activate, Activate, Rank, trrd_s),
        (Read, Read, Group, tccd_l),
        (Read, Read, Rank, tccd_s.max(burst)),
        (Read, Read, Other, burst + trtrs),
        (Write, Write, Group, tccd_l),
        (Write, Write, Rank, tccd_s.max(burst)),
        (Write, Write, Other, burst + trtrs),
        (Read, Write, Rank, read_to_write),
        (Read, Write, Other, read_to_write),
        (Write, Read, Group, cwl + burst + twtr_l),
        (Write, Read, Rank, cwl + burst + twtr_s),
        (Write, Read, Other, cwl + burst + trtrs - cl),
    ];
    rows.into_iter().map(|(before, after, near, cycles)| Rule { before, after, near, cycles }).collect()
}

/// When the last command of each kind was given.
type Last = [Option<u64>; 6];

/// The distances of a channel.
pub(super) struct Rules {
    table: Vec<Rule>,
    tfaw: u64,
    groups: usize,
    banks: usize,
    of_bank: Vec<Last>,
    of_group: Vec<Last>,
    of_rank: Vec<Last>,
    /// Activates by rank.
    activates: Vec<Vec<u64>>,
}

impl Rules {
    pub(super) fn new(dram: &Banked) -> Self {
        let (ranks, groups, banks) = (dram.ranks as usize, dram.groups as usize, dram.banks as usize);
        Rules {
            table: table(dram),
            tfaw: dram.timing.tfaw.into(),
            groups,
            banks,
            of_bank: vec![[None; 6]; ranks * groups * banks],
            of_group: vec![[None; 6]; ranks * groups],
            of_rank: vec![[None; 6]; ranks],
            activates: vec![Vec::new(); ranks],
        }
    }

    /// Index of a bank in its channel.
    pub(super) fn bank(&self, place: &Place) -> usize {
        (place.rank * self.groups + place.group) * self.banks + place.bank
    }

    /// Group and bank within it of a bank's index in its rank.
    pub(super) fn group_and_bank(&self, bank: usize) -> (usize, usize) {
        (bank / self.banks, bank % self.banks)
    }

    /// Whether all distances are kept by a command in `cycle`.
    pub(super) fn allow(&self, kind: Kind, place: &Place, cycle: u64) -> bool {
        let far = |last: &Last, rule: &Rule| {
            last[rule.before as usize].is_none_or(|then| cycle as i64 - then as i64 >= rule.cycles)
        };
        let kept = self.table.iter().filter(|rule| rule.after == kind).all(|rule| match rule.near {
            Bank => far(&self.of_bank[self.bank(place)], rule),
            Group => far(&self.of_group[place.rank * self.groups + place.group], rule),
            Rank => far(&self.of_rank[place.rank], rule),
            Other => {
                let others = self.of_rank.iter().enumerate().filter(|(rank, _)| *rank != place.rank);
                others.map(|(_, last)| last).all(|last| far(last, rule))
            }
        });
        let activates = &self.activates[place.rank];
        let fourth = activates.len().checked_sub(4).map(|index| activates[index]);
        kept && (kind != Activate || fourth.is_none_or(|then| cycle - then >= self.tfaw))
    }

    /// A command is given.
    pub(super) fn given(&mut self, kind: Kind, place: &Place, cycle: u64) {
        let bank = self.bank(place);
        self.of_bank[bank][kind as usize] = Some(cycle);
        self.of_group[place.rank * self.groups + place.group][kind as usize] = Some(cycle);
        self.of_rank[place.rank][kind as usize] = Some(cycle);
        if kind == Activate {
            self.activates[place.rank].push(cycle);
        }
    }
}
