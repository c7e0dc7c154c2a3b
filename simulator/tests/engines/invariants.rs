//! What holds of every run, whatever the program: said of one engine, since the other must equal it.

use systole_machine::isa::Unit;
use systole_simulator::contract::{Job, Outcome, Retire, Span, Timing};

/// The first invariant that does not hold.
pub(crate) fn check(job: &Job, timing: &Timing) -> Result<(), String> {
    if timing.spans.len() != job.instructions.len() {
        return Err(format!("{} spans for {} instructions", timing.spans.len(), job.instructions.len()));
    }
    cycles_add_up(timing)?;
    for unit in Unit::ALL {
        in_order(job, timing, unit)?;
    }
    fetches(job, timing)?;
    total(job, timing)
}

/// T-10.
fn cycles_add_up(timing: &Timing) -> Result<(), String> {
    for (unit, cycles) in Unit::ALL.iter().zip(&timing.units) {
        let sum = cycles.busy + cycles.idle + cycles.stalls.iter().sum::<u64>();
        if sum != timing.total_cycles {
            return Err(format!("cycles of {unit:?} add up to {sum} of {}: {cycles:?}", timing.total_cycles));
        }
        if cycles.stalls[*unit as usize] > 0 {
            return Err(format!("{unit:?} waits for a token of its own: {cycles:?}"));
        }
    }
    Ok(())
}

/// T-2, T-3: starts and ends of a unit's instructions rise; what never started has nothing started after it.
fn in_order(job: &Job, timing: &Timing, unit: Unit) -> Result<(), String> {
    let mut previous: Option<Span> = None;
    let mut stuck = false;
    for (index, (_, span)) in
        job.instructions.iter().zip(&timing.spans).enumerate().filter(|(_, (one, _))| one.unit() == unit)
    {
        let Some(span) = span else {
            stuck = true;
            continue;
        };
        let after = previous.is_none_or(|before| span.start > before.start && span.end >= before.end);
        if stuck || !after || span.start <= span.fetch || span.end <= span.start {
            return Err(format!("instruction {index}: {span:?} after {previous:?}"));
        }
        previous = Some(*span);
    }
    Ok(())
}

/// T-1.
fn fetches(job: &Job, timing: &Timing) -> Result<(), String> {
    let interval = u64::from(job.machine.control.issue_interval_cycles);
    let mut previous: Option<(usize, u64)> = None;
    for (index, span) in timing.spans.iter().enumerate() {
        let Some(span) = span else { continue };
        let earliest =
            previous.map_or(index as u64 * interval, |(before, fetch)| fetch + (index - before) as u64 * interval);
        if span.fetch < earliest {
            return Err(format!("instruction {index} fetched at {} before {earliest}", span.fetch));
        }
        previous = Some((index, span.fetch));
    }
    Ok(())
}

/// T-11.
fn total(job: &Job, timing: &Timing) -> Result<(), String> {
    let last = timing.spans.iter().flatten().map(|span| span.end.max(span.fetch + 1)).max().unwrap_or(0);
    let all = timing.spans.iter().all(Option::is_some);
    let exact = timing.outcome == Outcome::Halted;
    if exact && !all {
        return Err("halted with instructions that never started".to_owned());
    }
    if timing.total_cycles < last || (exact && timing.total_cycles != last) {
        return Err(format!("{} cycles in all, the last event at {last}", timing.total_cycles));
    }
    match timing.outcome {
        Outcome::Trap { instruction, .. } if instruction >= job.instructions.len() => Err("a trap nowhere".to_owned()),
        Outcome::Trap { instruction, .. } if timing.spans[instruction..].iter().any(Option::is_some) => {
            Err(format!("something ran at or after the trap at {instruction}"))
        }
        _ => Ok(()),
    }
}

/// Every instruction that has a span retires once, at its end, and its unit's cycles up to then add up (T-10).
pub(crate) fn retires(timing: &Timing, retires: &[Retire]) -> Result<(), String> {
    let mut ends: Vec<(u64, usize)> = Vec::new();
    for (index, span) in timing.spans.iter().enumerate() {
        ends.extend(span.map(|span| (span.end, index)));
    }
    ends.sort_unstable();
    if ends != retires.iter().map(|retire| (retire.cycle, retire.instruction)).collect::<Vec<_>>() {
        return Err("retires are not the ends of spans".to_owned());
    }
    let adds_up = |retire: &&Retire| {
        let unit = &retire.unit;
        unit.busy + unit.idle + unit.stalls.iter().sum::<u64>() == retire.cycle
    };
    match retires.iter().find(|retire| !adds_up(retire)) {
        Some(retire) => Err(format!("cycles up to a retire do not add up: {retire:?}")),
        None => Ok(()),
    }
}
