//! D-4 to D-7: a channel's requests, its banks, and the command that it gives in a cycle.

use std::collections::VecDeque;

use systole_machine::spec::Banked;

use super::Place;
use super::rules::Rules;
use crate::contract::{DramCommand, DramCounts, DramOperation as Kind};

/// A request without its read or write so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) write: bool,
    /// Number among its unit's requests.
    pub(super) index: u64,
    pub(super) place: Place,
    /// Core cycle of the request.
    pub(super) since: u64,
    /// A row was opened for it.
    pub(super) activated: bool,
    /// A row was closed for it.
    pub(super) precharged: bool,
}

/// A request whose read or write was given.
pub(super) struct Served {
    pub(super) request: Request,
    /// The DRAM cycle at whose beginning its data is there.
    pub(super) done: u64,
}

/// A channel.
pub(super) struct Channel {
    index: u32,
    rules: Rules,
    depth: usize,
    closed_page: bool,
    /// From command to data, beyond the latency of read or write.
    burst: u64,
    latency: [u64; 2],
    interval: u64,
    /// Open row by bank.
    open: Vec<Option<u32>>,
    banks_of_rank: usize,
    /// By rank: when the next refresh falls due.
    due: Vec<u64>,
    /// In order.
    pub(super) requests: VecDeque<Request>,
    /// Reads and writes given since the oldest request is the oldest.
    passed: usize,
    last_write: bool,
    refreshed: u64,
    pub(super) counts: DramCounts,
}

/// What to do: a command, and for which request.
type Choice = (Kind, Place, Option<usize>);

impl Channel {
    pub(super) fn new(dram: &Banked, index: u32) -> Self {
        let interval = u64::from(dram.timing.trefi);
        let ranks = u64::from(dram.ranks);
        let due = |rank: u64| if dram.refresh { interval * (rank + 1) / ranks } else { u64::MAX };
        let banks_of_rank = (dram.groups * dram.banks) as usize;
        Channel {
            index,
            rules: Rules::new(dram),
            depth: dram.queue_depth as usize,
            closed_page: dram.closed_page,
            burst: dram.burst_cycles.into(),
            latency: [dram.timing.cl.into(), dram.timing.cwl.into()],
            interval,
            open: vec![None; dram.ranks as usize * banks_of_rank],
            banks_of_rank,
            due: (0..ranks).map(due).collect(),
            requests: VecDeque::new(),
            passed: 0,
            last_write: false,
            refreshed: 0,
            counts: DramCounts { bursts: vec![0], ..DramCounts::default() },
        }
    }

    /// A DRAM cycle: at most one command.
    pub(super) fn cycle(&mut self, cycle: u64) -> (Option<DramCommand>, Option<Served>) {
        let choice = self
            .refresh(cycle)
            .or_else(|| self.column(cycle))
            .or_else(|| self.row(cycle))
            .or_else(|| self.unwanted(cycle));
        let Some((kind, place, request)) = choice else { return (None, None) };
        (Some(self.command(kind, &place, cycle)), self.give(kind, &place, request, cycle))
    }

    /// D-4: how many of the oldest requests it looks at.
    fn window(&self) -> usize {
        if self.passed >= 4 * self.depth { 1 } else { self.depth }
    }

    fn due(&self, rank: usize, cycle: u64) -> bool {
        self.due[rank] <= cycle
    }

    fn open(&self, place: &Place) -> Option<u32> {
        self.open[self.rules.bank(place)]
    }

    /// D-6.
    fn refresh(&self, cycle: u64) -> Option<Choice> {
        (0..self.due.len()).filter(|&rank| self.due(rank, cycle)).find_map(|rank| {
            let place = Place { channel: 0, rank, group: 0, bank: 0, row: 0 };
            let banks = &self.open[rank * self.banks_of_rank..][..self.banks_of_rank];
            let kind = if banks.iter().any(Option::is_some) { Kind::PrechargeAll } else { Kind::Refresh };
            self.rules.allow(kind, &place, cycle).then_some((kind, place, None))
        })
    }

    /// D-5: the oldest read or write of an open row.
    fn column(&self, cycle: u64) -> Option<Choice> {
        let window = self.requests.iter().take(self.window()).enumerate();
        let mut open = window.filter(|(_, request)| {
            self.open(&request.place) == Some(request.place.row) && !self.due(request.place.rank, cycle)
        });
        open.find_map(|(index, request)| {
            let kind = if request.write { Kind::Write } else { Kind::Read };
            self.rules.allow(kind, &request.place, cycle).then_some((kind, request.place, Some(index)))
        })
    }

    /// Whether a request that it looks at wants the row that is open in this bank.
    fn wanted(&self, bank: usize) -> bool {
        let mut window = self.requests.iter().take(self.window());
        window.any(|request| self.rules.bank(&request.place) == bank && self.open[bank] == Some(request.place.row))
    }

    /// D-5: the row of the oldest request whose bank can be prepared for it.
    fn row(&self, cycle: u64) -> Option<Choice> {
        let window = self.requests.iter().take(self.window()).enumerate();
        let mut others = window.filter(|(_, request)| !self.due(request.place.rank, cycle));
        others.find_map(|(index, request)| {
            let kind = match self.open(&request.place) {
                None => Kind::Activate,
                Some(_) if !self.wanted(self.rules.bank(&request.place)) => Kind::Precharge,
                Some(_) => return None,
            };
            self.rules.allow(kind, &request.place, cycle).then_some((kind, request.place, Some(index)))
        })
    }

    /// D-7: the first bank whose row no request wants.
    fn unwanted(&self, cycle: u64) -> Option<Choice> {
        if !self.closed_page {
            return None;
        }
        (0..self.open.len()).find_map(|bank| {
            let rank = bank / self.banks_of_rank;
            let (group, of_group) = self.rules.group_and_bank(bank % self.banks_of_rank);
            let place = Place { channel: 0, rank, group, bank: of_group, row: 0 };
            let closes = self.open[bank].is_some() && !self.due(rank, cycle) && !self.wanted(bank);
            (closes && self.rules.allow(Kind::Precharge, &place, cycle)).then_some((Kind::Precharge, place, None))
        })
    }

    /// What the command is, before it has its effect.
    fn command(&self, kind: Kind, place: &Place, cycle: u64) -> DramCommand {
        let row = match kind {
            Kind::Activate | Kind::Read | Kind::Write => place.row,
            Kind::Precharge => self.open(place).unwrap_or(0),
            Kind::PrechargeAll | Kind::Refresh => 0,
        };
        let [rank, group, bank] = [place.rank, place.group, place.bank].map(|index| index as u32);
        DramCommand { cycle, channel: self.index, operation: kind, rank, group, bank, row }
    }

    /// A command has its effect.
    fn give(&mut self, kind: Kind, place: &Place, request: Option<usize>, cycle: u64) -> Option<Served> {
        self.rules.given(kind, place, cycle);
        let bank = self.rules.bank(place);
        let asked = request.and_then(|index| self.requests.get_mut(index));
        match kind {
            Kind::Activate => {
                self.open[bank] = Some(place.row);
                asked.into_iter().for_each(|request| request.activated = true);
            }
            Kind::Precharge => {
                self.open[bank] = None;
                asked.into_iter().for_each(|request| request.precharged = true);
            }
            Kind::PrechargeAll => self.open[place.rank * self.banks_of_rank..][..self.banks_of_rank].fill(None),
            Kind::Refresh => {
                self.due[place.rank] += self.interval;
                self.refreshed += 1;
            }
            Kind::Read | Kind::Write => return self.serve(request?, cycle),
        }
        None
    }

    /// D-8, D-9.
    fn serve(&mut self, index: usize, cycle: u64) -> Option<Served> {
        let alone = self.window() == 1 && self.depth > 1;
        let request = self.requests.remove(index)?;
        self.passed = if index == 0 { 0 } else { self.passed + 1 };
        let counts = &mut self.counts;
        counts.bursts[0] += 1;
        match (request.precharged, request.activated) {
            (true, _) => counts.conflicts += 1,
            (false, true) => counts.misses += 1,
            (false, false) => counts.hits += 1,
        }
        counts.reordered += u64::from(index > 0);
        counts.starved += u64::from(alone);
        counts.turnarounds += u64::from(self.last_write && !request.write);
        counts.refreshes = self.refreshed;
        self.last_write = request.write;
        Some(Served { request, done: cycle + self.latency[usize::from(request.write)] + self.burst + 1 })
    }
}
