//! The FST file: hierarchy, and value changes in order of time.
//!
//! `fst-writer` writes the file but knows no tables of names. So it writes to a scratch file, and the copy of that gets a hierarchy with them. (Readers do not
//! agree on a file of two hierarchies, nor on one with a block to be skipped.)

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Error, Read, Result, Seek, SeekFrom, Write};

use fst_writer::{
    FstBodyWriter, FstFileType, FstHeaderWriter, FstInfo, FstScopeType, FstSignalId, FstSignalType, FstVarDirection,
    FstVarType, FstWriteError,
};

use super::changes::Changes;
use super::names::{Names, Table};
use super::scope::{Kind, Scope};
use super::source::Source;

const PICOSECONDS: u128 = 1_000_000_000_000;
/// Value changes that are kept before they go to the file.
const BUFFER_BYTES: usize = 32 << 20;
/// The header and its kind.
const HEADER_BYTES: u64 = 330;
const BLOCK_HIERARCHY_LZ4: u8 = 6;

/// A signal's place in the file, and what is left of it.
struct Track<'a> {
    id: FstSignalId,
    bits: u32,
    changes: Changes<'a>,
    /// What comes at the cycle that the queue knows.
    pending: Option<u64>,
}

/// A signal that a probe tells of.
struct Probed {
    id: FstSignalId,
    bits: u32,
    /// What is in the file; none before the first cycle.
    last: Option<Option<i64>>,
}

/// An open wave: signals advance as time does.
pub(super) struct Wave<'a> {
    body: FstBodyWriter<BufWriter<File>>,
    tracks: Vec<Track<'a>>,
    probed: Vec<Probed>,
    /// Cycle of the next change of each track.
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    clock_hz: u64,
    /// The cycle that is being written.
    now: Option<u64>,
    hierarchy: Vec<u8>,
    digits: Vec<u8>,
}

fn failed(error: FstWriteError) -> Error {
    match error {
        FstWriteError::Io(error) => error,
        other => Error::other(other.to_string()),
    }
}

/// The time of a cycle's beginning, rounded down.
pub(super) fn picoseconds(cycle: u64, clock_hz: u64) -> u64 {
    (u128::from(cycle) * PICOSECONDS / u128::from(clock_hz.max(1))) as u64
}

impl<'a> Wave<'a> {
    /// Writes the header and all names to a scratch file.
    pub(super) fn create(scratch: File, source: Source<'a>, root: Scope<'a>) -> Result<Self> {
        let info = FstInfo {
            start_time: 0,
            timescale_exponent: -12,
            version: concat!("Systole ", env!("CARGO_PKG_VERSION")).to_owned(),
            // The same run gives the same file.
            date: String::new(),
            file_type: FstFileType::Verilog,
        };
        let header = FstHeaderWriter::new(BufWriter::new(scratch), &info).map_err(failed)?;
        let mut builder = Builder {
            header,
            hierarchy: vec![],
            tables: Names::ALL.map(|n| n.table(source)),
            tracks: vec![],
            probed: vec![],
        };
        builder.tables()?;
        builder.scope(root)?;
        let Builder { header, hierarchy, tracks, probed, .. } = builder;
        let body = header.finish().map_err(failed)?;
        let clock_hz = source.machine.clock_hz;
        let mut wave = Wave {
            body,
            tracks,
            probed,
            queue: BinaryHeap::new(),
            clock_hz,
            now: None,
            hierarchy,
            digits: Vec::with_capacity(64),
        };
        (0..wave.tracks.len()).for_each(|track| wave.await_next(track));
        Ok(wave)
    }

    fn await_next(&mut self, track: usize) {
        if let Some((cycle, value)) = self.tracks[track].changes.next() {
            self.tracks[track].pending = value;
            self.queue.push(Reverse((cycle, track)));
        }
    }

    /// Goes to a cycle.
    fn time(&mut self, cycle: u64) -> Result<()> {
        if self.now.replace(cycle) == Some(cycle) {
            return Ok(());
        }
        // Only right before a new time may changes go to the file.
        if self.body.size() > BUFFER_BYTES {
            self.body.flush().map_err(failed)?;
        }
        self.body.time_change(picoseconds(cycle, self.clock_hz)).map_err(failed)
    }

    /// Writes all changes up to a cycle, it included.
    pub(super) fn advance(&mut self, last: u64) -> Result<()> {
        while let Some(&Reverse((cycle, track))) = self.queue.peek()
            && cycle <= last
        {
            self.queue.pop();
            self.time(cycle)?;
            let Track { id, bits, pending, .. } = self.tracks[track];
            self.change(id, bits, pending)?;
            self.await_next(track);
        }
        Ok(())
    }

    fn change(&mut self, id: FstSignalId, bits: u32, value: Option<u64>) -> Result<()> {
        self.digits.clear();
        self.digits.extend((0..bits).rev().map(|bit| match value {
            Some(value) => b'0' + (value >> bit & 1) as u8,
            None => b'z',
        }));
        self.body.signal_change(id, &self.digits).map_err(failed)
    }

    /// Writes everything up to a cycle, and of the probed signals what has changed in it.
    pub(super) fn probe(&mut self, cycle: u64, values: &[Option<i64>]) -> Result<()> {
        self.advance(cycle)?;
        for (index, &value) in values.iter().enumerate().take(self.probed.len()) {
            let Probed { id, bits, last } = &mut self.probed[index];
            if last.replace(value) != Some(value) {
                let (id, bits) = (*id, *bits);
                self.time(cycle)?;
                self.change(id, bits, value.map(|value| value as u64))?;
            }
        }
        Ok(())
    }

    /// Writes what is left, to the end of the run, and all of it to `out`.
    pub(super) fn finish(mut self, total_cycles: u64, out: &mut impl Write) -> Result<()> {
        self.advance(u64::MAX)?;
        // A file without any time would have no values; and the last cycle shall be seen.
        self.time(total_cycles.max(1))?;
        let file = self.body.finish().map_err(failed)?.into_inner().map_err(io::IntoInnerError::into_error)?;
        with_hierarchy(file, &self.hierarchy, out)
    }
}

/// Copies a file, with another hierarchy: the block that follows the header, whose length the format fixes.
fn with_hierarchy(mut file: File, hierarchy: &[u8], out: &mut impl Write) -> Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut file = BufReader::new(file);
    io::copy(&mut file.by_ref().take(HEADER_BYTES), out)?;
    let mut head = [0; 9];
    file.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    if kind != BLOCK_HIERARCHY_LZ4 {
        return Err(Error::other("the file has no hierarchy behind its header"));
    }
    // The length counts itself.
    let length = u64::from_be_bytes(length).saturating_sub(8);
    io::copy(&mut file.by_ref().take(length), &mut io::sink())?;
    let compressed = lz4_flex::compress(hierarchy);
    out.write_all(&[BLOCK_HIERARCHY_LZ4])?;
    out.write_all(&(16 + compressed.len() as u64).to_be_bytes())?;
    out.write_all(&(hierarchy.len() as u64).to_be_bytes())?;
    out.write_all(&compressed)?;
    io::copy(&mut file, out).map(drop)
}

/// Both hierarchies while they grow: `fst-writer`'s, which counts, and the one with tables.
struct Builder<'a> {
    header: FstHeaderWriter<BufWriter<File>>,
    hierarchy: Vec<u8>,
    tables: [Table; Names::ALL.len()],
    tracks: Vec<Track<'a>>,
    probed: Vec<Probed>,
}

impl<'a> Builder<'a> {
    /// An attribute of the kind that holds tables: the text of one, or none to refer to it.
    fn table(&mut self, text: &str, handle: usize) {
        const ATTRIBUTE: u8 = 252;
        const MISCELLANEOUS: u8 = 0;
        const ENUMERATION: u8 = 7;
        self.hierarchy.extend([ATTRIBUTE, MISCELLANEOUS, ENUMERATION]);
        self.text(text);
        self.number(handle as u64);
    }

    fn tables(&mut self) -> Result<()> {
        for handle in 0..self.tables.len() {
            if let Some(text) = self.tables[handle].text() {
                self.table(&text, handle + 1);
            }
        }
        Ok(())
    }

    fn scope(&mut self, scope: Scope<'a>) -> Result<()> {
        const SCOPE: u8 = 254;
        const UP: u8 = 255;
        self.header.scope(&scope.name, &scope.about, FstScopeType::Module).map_err(failed)?;
        self.hierarchy.extend([SCOPE, FstScopeType::Module as u8]);
        self.text(&scope.name);
        self.text(&scope.about);
        for signal in scope.signals {
            self.signal(&signal.name, signal.kind, signal.changes)?;
        }
        for inner in scope.scopes {
            self.scope(inner)?;
        }
        self.hierarchy.push(UP);
        self.header.up_scope().map_err(failed)
    }

    fn signal(&mut self, name: &str, kind: Kind, changes: Changes<'a>) -> Result<()> {
        let bits = match kind {
            Kind::Number(bits) | Kind::Probed(bits) => bits,
            Kind::Named(names) => {
                let handle = names as usize;
                if self.tables[handle].text().is_some() {
                    self.table("", handle + 1);
                }
                self.tables[handle].bits
            }
        };
        let (variable, direction) = (FstVarType::Reg, FstVarDirection::Implicit);
        let id = self.header.var(name, FstSignalType::bit_vec(bits), variable, direction, None).map_err(failed)?;
        self.hierarchy.extend([variable as u8, direction as u8]);
        self.text(name);
        self.number(bits.into());
        // No alias of another.
        self.number(0);
        if matches!(kind, Kind::Probed(_)) {
            self.probed.push(Probed { id, bits, last: None });
        } else {
            self.tracks.push(Track { id, bits, changes, pending: None });
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.hierarchy.extend(text.bytes().filter(|&byte| byte != 0));
        self.hierarchy.push(0);
    }

    /// Seven bits a byte, low ones first, the top bit set where more follow.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.hierarchy.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.hierarchy.push(value as u8);
    }
}
