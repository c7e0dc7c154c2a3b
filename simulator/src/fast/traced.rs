//! Runs that also record what there is to draw of them.

use super::timeline::Timeline;
use super::work::Step;
use super::{data, prepare, timed};
use crate::contract::{EngineError, Job, Memories, Timing, Trace, Trap};

/// As [`timing`](super::timing), with what else there is to draw.
pub fn traced_timing(job: &Job) -> (Timing, Trace) {
    let (steps, trap) = prepare(job);
    record(job, &steps, trap)
}

/// As [`run`](super::run), with what else there is to draw.
///
/// # Errors
/// As [`run`](super::run).
pub fn traced_run(job: &Job, image: &[(u64, &[u8])]) -> Result<(Timing, Trace, Memories), EngineError> {
    let mut memories = data::memories(job, image)?;
    let (steps, trap) = prepare(job);
    let (timing, trace) = record(job, &steps, trap);
    data::execute(job, &steps, &timing.spans, &mut memories);
    Ok((timing, trace, memories))
}

fn record(job: &Job, steps: &[Step], trap: Option<(usize, Trap)>) -> (Timing, Trace) {
    let mut timeline = Timeline::new(job.machine, steps, job.instructions.len());
    timeline.trace = Some(Trace::default());
    let timing = timed(job, &mut timeline, trap);
    let mut trace = timeline.trace.unwrap_or_default();
    trace.sort();
    (timing, trace)
}
