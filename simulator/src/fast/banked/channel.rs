//! One channel: from when on each kind of command may be given where, and which one comes next.
//!
//! Every command raises the earliest cycles of those that must keep a distance from it (D-3). The next command is the least of all that could be given, by
//! cycle, then by the order of D-4.

use std::collections::VecDeque;

use systole_machine::spec::{Banked, DramTiming, Field};

use super::super::timeline::NEVER;

/// A request in a channel.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) store: bool,
    /// Number among the loads' (stores') requests.
    pub(super) index: u64,
    /// Core cycle.
    pub(super) since: u64,
    /// Rank, group of the rank, bank of the group; then numbers within the channel.
    rank: usize,
    group: usize,
    bank: usize,
    row: u64,
    opened: bool,
    closed: bool,
}

impl Request {
    pub(super) fn new(store: bool, index: u64, since: u64, fields: &[u64; 6]) -> Self {
        let field = |field: Field| fields[field as usize] as usize;
        let (rank, group, bank) = (field(Field::Rank), field(Field::Group), field(Field::Bank));
        Request {
            store,
            index,
            since,
            rank,
            group,
            bank,
            row: fields[Field::Row as usize],
            opened: false,
            closed: false,
        }
    }
}

#[derive(Clone, Default)]
struct Bank {
    row: Option<u64>,
    activate: u64,
    column: u64,
    precharge: u64,
    /// The last look at the requests that found one for the open row.
    wanted: u64,
}

/// Earliest cycles for a group, or for a rank as a whole.
#[derive(Clone, Default)]
struct Earliest {
    activate: u64,
    read: u64,
    write: u64,
}

#[derive(Clone, Default)]
struct Rank {
    all: Earliest,
    /// The last four activates, and one beyond the tFAW after the first of them is free.
    activates: [u64; 4],
    precharge_all: u64,
    refresh: u64,
    due: u64,
    open: u32,
}

/// What D-9 counts.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) conflicts: u64,
    pub(super) refreshes: u64,
    pub(super) turnarounds: u64,
    pub(super) reordered: u64,
    pub(super) starved: u64,
}

/// What the next command does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Move {
    /// To a rank.
    Refresh(usize),
    /// For a request by its place in the queue.
    Column(usize),
    /// For a request: opens its row.
    Activate(usize),
    /// For a request: closes another row.
    Precharge(usize),
    /// A bank that nobody wants.
    Close(usize),
}

/// Class of D-4 and order within it.
fn order(next: Move) -> (u8, usize) {
    match next {
        Move::Refresh(rank) => (0, rank),
        Move::Column(at) => (1, at),
        Move::Activate(at) | Move::Precharge(at) => (2, at),
        Move::Close(bank) => (3, bank),
    }
}

/// A channel.
pub(super) struct Channel {
    timing: DramTiming,
    burst: u64,
    depth: usize,
    closed_page: bool,
    groups: usize,
    banks_of_group: usize,
    banks: Vec<Bank>,
    of_group: Vec<Earliest>,
    ranks: Vec<Rank>,
    queue: VecDeque<Request>,
    passed: usize,
    /// The first cycle without a command so far.
    free: u64,
    looks: u64,
    /// The next command and its cycle, while nothing has changed.
    planned: Option<Option<(u64, Move)>>,
    wrote: bool,
    refreshed: u64,
    pub(super) tally: Tally,
}

fn raise(earliest: &mut u64, cycle: u64) {
    *earliest = (*earliest).max(cycle);
}

impl Channel {
    pub(super) fn new(dram: &Banked) -> Self {
        let (ranks, groups, banks) = (dram.ranks as usize, dram.groups as usize, dram.banks as usize);
        let due = |rank: usize| match dram.refresh {
            true => u64::from(dram.timing.trefi) * (rank as u64 + 1) / u64::from(dram.ranks),
            false => NEVER,
        };
        Channel {
            timing: dram.timing,
            burst: dram.burst_cycles.into(),
            depth: dram.queue_depth as usize,
            closed_page: dram.closed_page,
            groups,
            banks_of_group: banks,
            banks: vec![Bank::default(); ranks * groups * banks],
            of_group: vec![Earliest::default(); ranks * groups],
            ranks: (0..ranks).map(|rank| Rank { due: due(rank), ..Rank::default() }).collect(),
            queue: VecDeque::new(),
            passed: 0,
            free: 0,
            looks: 0,
            planned: None,
            wrote: false,
            refreshed: 0,
            tally: Tally::default(),
        }
    }

    /// A request comes; all commands of earlier cycles are given.
    pub(super) fn push(&mut self, mut request: Request) {
        request.group += request.rank * self.groups;
        request.bank += request.group * self.banks_of_group;
        if self.queue.len() < self.depth {
            self.planned = None;
        }
        self.queue.push_back(request);
    }

    /// Nothing is given before `cycle` any more but what a channel without requests does by itself.
    pub(super) fn idle_until(&mut self, cycle: u64) {
        if self.queue.is_empty() {
            while let Some((_, next)) = self.plan().filter(|(at, _)| *at < cycle) {
                self.give(next);
            }
            self.planned = None;
        }
        self.free = self.free.max(cycle);
    }

    /// The cycle of the next command, while there are requests.
    pub(super) fn next_cycle(&mut self) -> Option<u64> {
        if self.queue.is_empty() { None } else { self.plan().map(|(cycle, _)| cycle) }
    }

    /// Gives commands before cycle `end` up to the first read or write: its request, and the cycle at which its data is there.
    pub(super) fn run(&mut self, end: u64) -> Option<(Request, u64)> {
        while !self.queue.is_empty() {
            let (_, next) = self.plan().filter(|(cycle, _)| *cycle < end)?;
            let served = self.give(next);
            if served.is_some() {
                return served;
            }
        }
        None
    }

    fn window(&self) -> usize {
        if self.passed >= self.depth * 4 { 1 } else { self.depth }.min(self.queue.len())
    }

    fn plan(&mut self) -> Option<(u64, Move)> {
        if let Some(planned) = self.planned {
            return planned;
        }
        let mut best: Option<(u64, Move)> = None;
        let mut offer = |cycle: u64, next: Move| {
            if best.is_none_or(|(least, other)| (cycle, order(next)) < (least, order(other))) {
                best = Some((cycle, next));
            }
        };
        for (index, rank) in self.ranks.iter().enumerate().filter(|(_, rank)| rank.due != NEVER) {
            let ready = if rank.open > 0 { rank.precharge_all } else { rank.refresh };
            offer(ready.max(rank.due).max(self.free), Move::Refresh(index));
        }
        self.looks += 1;
        let window = self.window();
        for request in self.queue.iter().take(window) {
            let bank = &mut self.banks[request.bank];
            if bank.row == Some(request.row) {
                bank.wanted = self.looks;
            }
        }
        for (at, request) in self.queue.iter().take(window).enumerate() {
            let (rank, group) = (&self.ranks[request.rank], &self.of_group[request.group]);
            let bank = &self.banks[request.bank];
            let (ready, next) = match bank.row {
                Some(row) if row == request.row && request.store => {
                    (bank.column.max(group.write).max(rank.all.write), Move::Column(at))
                }
                Some(row) if row == request.row => (bank.column.max(group.read).max(rank.all.read), Move::Column(at)),
                Some(_) if bank.wanted == self.looks => continue,
                Some(_) => (bank.precharge, Move::Precharge(at)),
                None => (
                    bank.activate.max(group.activate).max(rank.all.activate).max(rank.activates[0]),
                    Move::Activate(at),
                ),
            };
            let cycle = ready.max(self.free);
            if cycle < rank.due {
                offer(cycle, next);
            }
        }
        if self.closed_page {
            let of_rank = self.groups * self.banks_of_group;
            for (index, bank) in self.banks.iter().enumerate() {
                let cycle = bank.precharge.max(self.free);
                if bank.row.is_some() && bank.wanted != self.looks && cycle < self.ranks[index / of_rank].due {
                    offer(cycle, Move::Close(index));
                }
            }
        }
        self.planned = Some(best);
        best
    }

    /// Gives the planned command.
    fn give(&mut self, next: Move) -> Option<(Request, u64)> {
        let cycle = self.plan()?.0;
        (self.planned, self.free) = (None, cycle + 1);
        match next {
            Move::Refresh(rank) => self.refresh(rank, cycle),
            Move::Activate(at) => {
                self.queue[at].opened = true;
                let request = self.queue[at];
                self.activate(&request, cycle);
            }
            Move::Precharge(at) => {
                self.queue[at].closed = true;
                let bank = self.queue[at].bank;
                self.precharge(bank, cycle);
            }
            Move::Close(bank) => self.precharge(bank, cycle),
            Move::Column(at) => return self.column(at, cycle),
        }
        None
    }

    fn refresh(&mut self, index: usize, cycle: u64) {
        let timing = &self.timing;
        let rank = &mut self.ranks[index];
        if rank.open > 0 {
            let banks = self.groups * self.banks_of_group;
            self.banks[index * banks..][..banks].iter_mut().for_each(|bank| bank.row = None);
            rank.open = 0;
            raise(&mut rank.refresh, cycle + u64::from(timing.trp_all));
        } else {
            let after = cycle + u64::from(timing.trfc);
            raise(&mut rank.all.activate, after);
            raise(&mut rank.refresh, after);
            rank.due += u64::from(timing.trefi);
            self.refreshed += 1;
        }
    }

    fn activate(&mut self, request: &Request, cycle: u64) {
        let timing = &self.timing;
        let after = |cycles: u32| cycle + u64::from(cycles);
        let (bank, rank) = (&mut self.banks[request.bank], &mut self.ranks[request.rank]);
        bank.row = Some(request.row);
        rank.open += 1;
        raise(&mut bank.column, after(timing.trcd));
        raise(&mut bank.precharge, after(timing.tras));
        raise(&mut rank.precharge_all, after(timing.tras));
        raise(&mut rank.all.activate, after(timing.trrd_s));
        raise(&mut self.of_group[request.group].activate, after(timing.trrd_l));
        rank.activates.rotate_left(1);
        rank.activates[3] = after(timing.tfaw);
    }

    fn precharge(&mut self, bank: usize, cycle: u64) {
        let after = cycle + u64::from(self.timing.trp);
        self.banks[bank].row = None;
        raise(&mut self.banks[bank].activate, after);
        let rank = &mut self.ranks[bank / (self.groups * self.banks_of_group)];
        rank.open -= 1;
        raise(&mut rank.refresh, after);
    }

    fn column(&mut self, at: usize, cycle: u64) -> Option<(Request, u64)> {
        let alone = self.depth > 1 && self.passed >= self.depth * 4;
        let request = self.queue.remove(at)?;
        self.passed = if at > 0 { self.passed + 1 } else { 0 };
        self.distances(&request, cycle);
        let tally = &mut self.tally;
        if request.closed {
            tally.conflicts += 1;
        } else if request.opened {
            tally.misses += 1;
        } else {
            tally.hits += 1;
        }
        tally.refreshes = self.refreshed;
        tally.turnarounds += u64::from(self.wrote && !request.store);
        tally.reordered += u64::from(at > 0);
        tally.starved += u64::from(alone);
        self.wrote = request.store;
        let latency = if request.store { self.timing.cwl } else { self.timing.cl };
        Some((request, cycle + u64::from(latency) + self.burst + 1))
    }

    /// What a read or write keeps away.
    fn distances(&mut self, request: &Request, cycle: u64) {
        let timing = &self.timing;
        let [cl, cwl, gap] = [timing.cl, timing.cwl, timing.trtrs].map(u64::from);
        let data_end = cycle + self.burst + if request.store { cwl } else { cl };
        let precharge = if request.store { data_end + u64::from(timing.twr) } else { cycle + u64::from(timing.trtp) };
        raise(&mut self.banks[request.bank].precharge, precharge);
        raise(&mut self.ranks[request.rank].precharge_all, precharge);
        let (same_group, same_rank) = (cycle + u64::from(timing.tccd_l), cycle + self.burst.max(timing.tccd_s.into()));
        for (index, Rank { all, .. }) in self.ranks.iter_mut().enumerate() {
            let own = index == request.rank;
            let same_kind = if own { same_rank } else { cycle + self.burst + gap };
            if request.store {
                raise(&mut all.write, same_kind);
                let turn = if own { data_end + u64::from(timing.twtr_s) } else { (data_end + gap).saturating_sub(cl) };
                raise(&mut all.read, turn);
            } else {
                raise(&mut all.read, same_kind);
                raise(&mut all.write, (data_end + gap).saturating_sub(cwl));
            }
        }
        let group = &mut self.of_group[request.group];
        if request.store {
            raise(&mut group.write, same_group);
            raise(&mut group.read, data_end + u64::from(timing.twtr_l));
        } else {
            raise(&mut group.read, same_group);
        }
    }
}
