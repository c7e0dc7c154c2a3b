//! What a banked DRAM did, for people.

use systole_machine::spec::{Dram, Machine};
use systole_simulator::contract::Timing;

use super::{DramBanks, LatencyBucket};

/// `None` for a DRAM without banks.
pub(super) fn banks(machine: &Machine, timing: &Timing) -> Option<DramBanks> {
    let Dram::Banked(dram) = &machine.dram else { return None };
    let counts = &timing.dram;
    let bursts = counts.hits + counts.misses + counts.conflicts;
    let cycles = timing.total_cycles as f64 * dram.clock_hz as f64 / machine.clock_hz as f64;
    let busy = |bursts: &u64| if cycles > 0.0 { (bursts * u64::from(dram.burst_cycles)) as f64 / cycles } else { 0.0 };
    let last = counts.latency.len() - 1;
    let bucket = |(digits, reads): (usize, &u64)| LatencyBucket {
        from_cycles: if digits == 0 { 0 } else { 1 << (digits - 1) },
        below_cycles: (digits < last).then_some(1 << digits),
        reads: *reads,
    };
    Some(DramBanks {
        row_hit_rate: if bursts > 0 { counts.hits as f64 / bursts as f64 } else { 0.0 },
        row_hits: counts.hits,
        row_misses: counts.misses,
        row_conflicts: counts.conflicts,
        refreshes: counts.refreshes,
        write_to_read_turnarounds: counts.turnarounds,
        reordered: counts.reordered,
        bus_utilization: counts.bursts.iter().map(busy).collect(),
        read_latency: counts.latency.iter().enumerate().map(bucket).filter(|bucket| bucket.reads > 0).collect(),
    })
}
