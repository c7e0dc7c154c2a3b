//! Says of a list of commands whether a DRAM could have taken them, and whether they serve the requests. Written from the data sheets' terms: every
//! earlier command is looked at, no earliest cycles are kept.

use systole_machine::spec::Banked;
use systole_simulator::contract::{DramCommand, DramOperation};

use DramOperation::{Activate, Precharge, PrechargeAll, Read, Refresh, Write};

/// Where an earlier command was, as seen from a later one.
#[derive(Clone, Copy)]
enum Where {
    SameBank,
    SameGroup,
    SameRank,
    AnyRank,
}

impl Where {
    /// A command to a whole rank is in each of its banks.
    fn holds(self, a: &DramCommand, b: &DramCommand) -> bool {
        let whole = |one: &DramCommand| matches!(one.operation, PrechargeAll | Refresh);
        let group = whole(a) || whole(b) || a.group == b.group;
        let bank = whole(a) || whole(b) || a.bank == b.bank;
        match self {
            Where::SameBank => a.rank == b.rank && group && bank,
            Where::SameGroup => a.rank == b.rank && group,
            Where::SameRank => a.rank == b.rank,
            Where::AnyRank => true,
        }
    }
}

type Row = (&'static str, &'static [DramOperation], &'static [DramOperation], Where, u64);

fn table(dram: &Banked) -> Vec<Row> {
    let t = &dram.timing;
    let data = u64::from(dram.burst_cycles);
    let n = u64::from;
    let write_end = n(t.cwl) + data;
    vec![
        ("tRCD", &[Activate], &[Read, Write], Where::SameBank, n(t.trcd)),
        ("tRAS", &[Activate], &[Precharge, PrechargeAll], Where::SameBank, n(t.tras)),
        ("tRC", &[Activate], &[Activate], Where::SameBank, n(t.tras) + n(t.trp)),
        ("tRP", &[Precharge], &[Activate, Refresh], Where::SameBank, n(t.trp)),
        ("tRP, all banks", &[PrechargeAll], &[Activate, Refresh], Where::SameBank, n(t.trp_all)),
        ("tRRD_L", &[Activate], &[Activate], Where::SameGroup, n(t.trrd_l)),
        ("tRRD_S", &[Activate], &[Activate], Where::SameRank, n(t.trrd_s)),
        ("tCCD_L of reads", &[Read], &[Read], Where::SameGroup, n(t.tccd_l)),
        ("tCCD_S of reads", &[Read], &[Read], Where::SameRank, n(t.tccd_s)),
        ("tCCD_L of writes", &[Write], &[Write], Where::SameGroup, n(t.tccd_l)),
        ("tCCD_S of writes", &[Write], &[Write], Where::SameRank, n(t.tccd_s)),
        ("tWTR_L", &[Write], &[Read], Where::SameGroup, write_end + n(t.twtr_l)),
        ("tWTR_S", &[Write], &[Read], Where::SameRank, write_end + n(t.twtr_s)),
        ("tRTP", &[Read], &[Precharge, PrechargeAll], Where::SameBank, n(t.trtp)),
        ("tWR", &[Write], &[Precharge, PrechargeAll], Where::SameBank, write_end + n(t.twr)),
        ("tRFC", &[Refresh], &[Activate, Refresh], Where::SameRank, n(t.trfc)),
        ("one command a cycle", &ANY, &ANY, Where::AnyRank, 1),
    ]
}

const ANY: [DramOperation; 6] = [Activate, Read, Write, Precharge, PrechargeAll, Refresh];

/// Cycles after which no rule of these parts looks back.
fn horizon(dram: &Banked) -> u64 {
    table(dram).iter().map(|row| row.4).max().unwrap_or(0).max(dram.timing.tfaw.into())
        + u64::from(dram.timing.cl + dram.timing.cwl + 2 * dram.burst_cycles + dram.timing.trtrs)
}

/// The first rule that a channel's commands break, with the number of the command that breaks it.
pub(crate) fn violation(dram: &Banked, commands: &[DramCommand]) -> Option<(usize, &'static str)> {
    let table = table(dram);
    let horizon = horizon(dram);
    let mut first = 0;
    for (index, command) in commands.iter().enumerate() {
        while commands[first].cycle + horizon < command.cycle {
            first += 1;
        }
        let before = &commands[first..index];
        for (name, earlier, later, place, cycles) in &table {
            let near = |one: &&DramCommand| earlier.contains(&one.operation) && place.holds(one, command);
            let close = |one: &DramCommand| command.cycle < one.cycle + cycles;
            if later.contains(&command.operation) && before.iter().filter(near).any(close) {
                return Some((index, name));
            }
        }
        if let Some(name) = data_bus(dram, before, command).or_else(|| four_activates(dram, before, command)) {
            return Some((index, name));
        }
    }
    states(commands).or_else(|| refreshes(dram, commands))
}

/// The data of two bursts never overlap, and tRTRS lies between them where ranks or directions change.
fn data_bus(dram: &Banked, before: &[DramCommand], command: &DramCommand) -> Option<&'static str> {
    let span = |one: &DramCommand| {
        let latency = match one.operation {
            Read => dram.timing.cl,
            Write => dram.timing.cwl,
            _ => return None,
        };
        Some(one.cycle + u64::from(latency)..one.cycle + u64::from(latency + dram.burst_cycles))
    };
    let own = span(command)?;
    let clash = before.iter().any(|one| {
        let Some(other) = span(one) else { return false };
        // From a write to a read of one rank tWTR is what counts.
        let turn = one.operation == Write && command.operation == Read && one.rank == command.rank;
        let gap = (one.rank != command.rank || one.operation != command.operation) && !turn;
        let gap = if gap { u64::from(dram.timing.trtrs) } else { 0 };
        own.start < other.end + gap && other.start < own.end + gap
    });
    clash.then_some("data bus")
}

fn four_activates(dram: &Banked, before: &[DramCommand], command: &DramCommand) -> Option<&'static str> {
    let within = |one: &&DramCommand| {
        one.operation == Activate && one.rank == command.rank && command.cycle < one.cycle + u64::from(dram.timing.tfaw)
    };
    (command.operation == Activate && before.iter().filter(within).count() >= 4).then_some("tFAW")
}

/// Rows are opened before they are read or written, and closed before another is opened or the rank refreshed.
fn states(commands: &[DramCommand]) -> Option<(usize, &'static str)> {
    let mut open: Vec<((u32, u32, u32), u32)> = Vec::new();
    for (index, one) in commands.iter().enumerate() {
        let bank = (one.rank, one.group, one.bank);
        let row = open.iter().find(|(of, _)| *of == bank).map(|(_, row)| *row);
        let wrong = match one.operation {
            Activate => row.is_some(),
            Read | Write | Precharge => row != Some(one.row),
            PrechargeAll => false,
            Refresh => open.iter().any(|((rank, ..), _)| *rank == one.rank),
        };
        if wrong {
            return Some((index, "open row"));
        }
        match one.operation {
            Activate => open.push((bank, one.row)),
            Precharge => open.retain(|(of, _)| *of != bank),
            PrechargeAll => open.retain(|((rank, ..), _)| *rank != one.rank),
            _ => {}
        }
    }
    None
}

/// No rank goes without a refresh for much longer than tREFI.
fn refreshes(dram: &Banked, commands: &[DramCommand]) -> Option<(usize, &'static str)> {
    if !dram.refresh {
        return None;
    }
    let slack = horizon(dram) + u64::from(dram.timing.trfc);
    for rank in 0..dram.ranks {
        let mut last = 0;
        for (index, one) in commands.iter().enumerate() {
            if one.cycle > last + u64::from(dram.timing.trefi) + slack {
                return Some((index, "tREFI"));
            }
            if one.operation == Refresh && one.rank == rank {
                last = one.cycle;
            }
        }
    }
    None
}
