//! Waves: a run as an FST file, for GTKWave and Surfer. `docs/waves.md` lists the signals.
//!
//! Everything is a function of program, machine, timing and trace, which both engines return alike; so are the waves. Signals are walks through these
//! ([`changes`]), merged in order of time by [`file`], so that the cost is that of the events.

mod changes;
mod dma;
mod file;
mod names;
mod pe;
mod ports;
mod scope;
mod source;
mod states;
mod tokens;
mod units;

use std::path::Path;

use self::changes::{count, layered};
use self::scope::{Scope, Signal};
pub use self::source::Source;
use crate::files;
use crate::problem::Failure;

/// Writes the wave of a run.
///
/// # Errors
/// A file that cannot be written.
pub fn write(path: &Path, source: Source) -> Result<(), Failure> {
    files::write_with(path, |out| {
        let mut wave = file::Wave::create(files::scratch(path)?, source, tree(source, false))?;
        wave.advance(source.timing.total_cycles)?;
        wave.finish(source.timing.total_cycles, out)
    })
}

/// Writes the wave of a run with the registers of the PEs. `run` repeats it and hands over all of them in each cycle, in the order of the reference
/// engine's probe.
///
/// # Errors
/// A file that cannot be written; a failure of `run`.
pub fn write_with_registers(
    path: &Path,
    source: Source,
    run: impl FnOnce(&mut dyn FnMut(u64, &[Option<i64>])) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let total = source.timing.total_cycles;
    let mut failure = None;
    let written = files::write_with(path, |out| {
        let mut wave = file::Wave::create(files::scratch(path)?, source, tree(source, true))?;
        let mut written = Ok(());
        let ran = run(&mut |cycle, registers| {
            if written.is_ok() && cycle <= total {
                written = wave.probe(cycle, registers);
            }
        });
        if let Err(failed) = ran {
            failure = Some(failed);
            return Err(std::io::Error::other("the run failed"));
        }
        written?;
        wave.finish(total, out)
    });
    failure.map_or(written, Err)
}

/// All signals.
fn tree<'a>(source: Source<'a>, registers: bool) -> Scope<'a> {
    let running = [(0, source.timing.total_cycles, 1)].into_iter().filter(|one| one.1 > 0);
    let running = layered(vec![Box::new(running)], |active| Some(active[0].unwrap_or(0)));
    let fetch = count(source.trace.fetches.iter().map(|cycle| cycle + 1), std::iter::empty());
    let about = format!("{} at {} Hz; docs/waves.md", source.machine.name, source.machine.clock_hz);
    let mut root = Scope::new("systole", &about, vec![Signal::new("running", 1, running)]);
    root.scopes.push(Scope::new("fetch", "T-1", vec![Signal::new("instruction", units::INDEX_BITS, fetch)]));
    root.scopes.extend(source.units().map(|unit| {
        let mut scope = units::scope(source, unit);
        if registers && unit.array().is_some() {
            scope.scopes.push(pe::scope(source));
        }
        scope
    }));
    root.scopes.push(tokens::scope(source));
    root.scopes.push(ports::scope(source));
    root
}
