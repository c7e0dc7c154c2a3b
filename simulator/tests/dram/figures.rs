//! Latencies and bandwidths that DRAMsim3 (umd-memsys/DRAMsim3 at commit 2981759) gives for its configurations DDR4_8Gb_x8_2400 and
//! LPDDR4_8Gb_x16_2400: one channel, two ranks, mapping rochrababgco, tCK 0.83 ns.

use systole_machine::spec::Banked;
use systole_simulator::contract::{DramOperation, DramRequest};
use systole_simulator::reference;

use super::setup::{Random, dram};

const ORDER: &str =
    "address_mapping: row channel rank bank group column, ranks: 2, queue_depth: 32, clock: 1204.819277 MHz";

fn reads(addresses: impl Iterator<Item = u64>, every: u64) -> Vec<DramRequest> {
    addresses.enumerate().map(|(k, address)| DramRequest { cycle: k as u64 * every, address, write: false }).collect()
}

/// Latencies of a read to a closed bank, of another one to its row, and of one to another row, far apart, without refresh. Both clocks are the same.
fn unloaded(keys: &str) -> [u64; 3] {
    let dram = dram(&format!("{keys}, {ORDER}, refresh: false"));
    let row = dram.capacity_bytes() / u64::from(dram.rows);
    let requests = reads([0, u64::from(dram.burst_bytes), row].into_iter(), 1000);
    let (_, arrivals, _) = reference::commands(&dram, dram.clock_hz, &requests, 10_000);
    let latency = |k: usize| arrivals[k].expect("it arrived") - requests[k].cycle;
    [latency(1), latency(0), latency(2)]
}

#[test]
fn unloaded_latencies_are_exact() {
    assert_eq!(unloaded("preset: ddr4_2400"), [22, 39, 56]);
    assert_eq!(unloaded("preset: lpddr4_2400"), [26, 41, 56]);
}

/// The examples of `docs/dram.md`.
#[test]
fn examples_by_hand() {
    use DramOperation::{Activate, Precharge, Read};
    let mut dram = dram(&format!("preset: ddr4_2400, {ORDER}, refresh: false"));
    // An even clock, so that half of it is exact.
    dram.clock_hz = 1_200_000_000;
    let row = dram.capacity_bytes() / u64::from(dram.rows);
    let requests = reads([0, 64, row].into_iter(), 0);
    let (commands, arrivals, _) = reference::commands(&dram, dram.clock_hz, &requests, 1000);
    assert_eq!(arrivals, [Some(39), Some(45), Some(95)]);
    let given: Vec<(DramOperation, u64)> = commands.iter().map(|one| (one.operation, one.cycle)).collect();
    assert_eq!(given, [(Activate, 0), (Read, 17), (Read, 23), (Precharge, 39), (Activate, 56), (Read, 73)]);
    let requests = [DramRequest { cycle: 3, address: 0, write: false }];
    let (commands, arrivals, _) = reference::commands(&dram, dram.clock_hz / 2, &requests, 1000);
    assert_eq!((commands[0].cycle, arrivals[0]), (6, Some(23)));
}

/// GB/s of reads all asked for at once, in as many DRAM cycles.
fn bandwidth(dram: &Banked, addresses: impl Iterator<Item = u64>, cycles: u64) -> f64 {
    let requests = reads(addresses, 0);
    let (_, arrivals, counts) = reference::commands(dram, dram.clock_hz, &requests, cycles);
    let arrived = arrivals.iter().flatten().filter(|at| **at <= cycles).count();
    assert!(arrived < requests.len(), "all reads were over before the time");
    println!("{counts:?}");
    arrived as f64 * f64::from(dram.burst_bytes) * dram.clock_hz as f64 / cycles as f64 / 1e9
}

fn within_5_percent(found: f64, published: f64, what: &str) {
    let error = found / published - 1.0;
    println!("{what}: {found:.3} GB/s, published {published}, {:+.1} %", 100.0 * error);
    assert!(error.abs() < 0.05, "{what}: {found:.3} GB/s, published {published}, {:+.1} %", 100.0 * error);
}

/// DRAM cycles of a measurement: some twenty refreshes of each rank.
const CYCLES: u64 = 200_000;

fn agrees(preset: &str, sequential: f64, random: f64) {
    let dram = dram(&format!("preset: {preset}, {ORDER}"));
    let burst = u64::from(dram.burst_bytes);
    let found = bandwidth(&dram, (0..60_000).map(|k| k * burst), CYCLES);
    within_5_percent(found, sequential, &format!("{preset}, sequential"));
    let mut numbers = Random(1);
    let bursts = dram.capacity_bytes() / burst;
    let addresses = std::iter::repeat_with(|| numbers.below(bursts) * burst).take(60_000);
    within_5_percent(bandwidth(&dram, addresses, CYCLES), random, &format!("{preset}, random"));
}

#[test]
fn ddr4_has_the_published_bandwidth() {
    agrees("ddr4_2400", 14.958, 16.88);
}

#[test]
fn lpddr4_has_the_published_bandwidth() {
    agrees("lpddr4_2400", 18.310, 19.02);
}
