//! Who wrote each byte of a memory last, and who read it since: disjoint intervals in a map.

use std::collections::BTreeMap;

use systole_machine::isa::{UNITS, Unit};

/// Marks a writer or reader that is none: what was there from the start.
const NOBODY: usize = usize::MAX;

#[derive(Clone, Copy, Debug)]
struct Interval {
    end: u64,
    writer: usize,
    layer: u32,
    readers: [usize; UNITS],
}

/// Why an access is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// With this instruction.
    Unordered(usize),
    /// At this byte.
    Unwritten(u64),
    /// By this instruction.
    OtherLayer(usize),
}

/// The intervals of one memory.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    map: BTreeMap<u64, Interval>,
}

impl Intervals {
    /// These bytes are there from the start.
    pub(super) fn fill(&mut self, first: u64, end: u64) {
        if first < end {
            self.map.insert(first, Interval { end, writer: NOBODY, layer: u32::MAX, readers: [NOBODY; UNITS] });
        }
    }

    /// These bytes hold nothing.
    pub(super) fn clear(&mut self, first: u64, end: u64) {
        self.cut(first);
        self.cut(end);
        let inside: Vec<u64> = self.map.range(first..end).map(|(&start, _)| start).collect();
        for start in inside {
            self.map.remove(&start);
        }
    }

    /// Splits the interval over `at`, so that one starts there.
    pub(super) fn cut(&mut self, at: u64) {
        if let Some((_, interval)) = self.map.range_mut(..at).next_back()
            && interval.end > at
        {
            let tail = *interval;
            interval.end = at;
            self.map.insert(at, tail);
        }
    }

    /// A write; replaces what it covers.
    pub(super) fn write(
        &mut self,
        first: u64,
        end: u64,
        index: usize,
        layer: u32,
        ordered: &impl Fn(usize) -> bool,
    ) -> Result<(), Conflict> {
        self.cut(first);
        self.cut(end);
        let mut covered = vec![];
        for (&start, interval) in self.map.range(first..end) {
            for other in interval.readers.into_iter().chain([interval.writer]) {
                if other != NOBODY && other != index && !ordered(other) {
                    return Err(Conflict::Unordered(other));
                }
            }
            covered.push(start);
        }
        for start in covered {
            self.map.remove(&start);
        }
        self.map.insert(first, Interval { end, writer: index, layer, readers: [NOBODY; UNITS] });
        Ok(())
    }

    /// A read; with `layer`, everything must have been written by that layer.
    pub(super) fn read(
        &mut self,
        first: u64,
        end: u64,
        index: usize,
        layer: Option<u32>,
        unit: Unit,
        ordered: &impl Fn(usize) -> bool,
    ) -> Result<(), Conflict> {
        // Finer intervals are needed only where a read could later be told apart; whole ones err on the safe side for DRAM.
        if layer.is_some() {
            self.cut(first);
            self.cut(end);
        }
        let start = self.map.range(..=first).next_back().map_or(first, |(&start, _)| start);
        let mut next = first;
        for (&at, interval) in self.map.range_mut(start..end) {
            if interval.end <= first {
                continue;
            }
            if at > next {
                return Err(Conflict::Unwritten(next));
            }
            if interval.writer != NOBODY && !ordered(interval.writer) {
                return Err(Conflict::Unordered(interval.writer));
            }
            if layer.is_some_and(|layer| layer != interval.layer) {
                return Err(Conflict::OtherLayer(interval.writer));
            }
            interval.readers[unit as usize] = index;
            next = interval.end;
        }
        if next < end { Err(Conflict::Unwritten(next)) } else { Ok(()) }
    }
}
