//! Random traffic: the checker accepts what the controller does, and finds what is broken on purpose.

use systole_machine::spec::{Banked, Dram};
use systole_simulator::contract::{DramCommand, DramOperation, DramRequest};
use systole_simulator::generator::case;
use systole_simulator::{fast, reference};

use super::checker::violation;
use super::setup::{Random, dram};

const FUEL_CYCLES: u64 = 2_000_000;

/// Reads and writes in bursts of neighbours, now and then with a pause.
fn traffic(random: &mut Random, dram: &Banked, count: u64) -> Vec<DramRequest> {
    let bursts = dram.capacity_bytes() / u64::from(dram.burst_bytes);
    let (mut cycle, mut at, mut write) = (0, 0, false);
    let mut one = || {
        if random.below(4) == 0 {
            (at, write) = (random.below(bursts), random.below(3) == 0);
        }
        at = (at + 1) % bursts;
        cycle += if random.below(60) == 0 { random.below(3000) } else { random.below(3) };
        DramRequest { cycle, address: at * u64::from(dram.burst_bytes), write }
    };
    (0..count).map(|_| one()).collect()
}

/// The commands of each channel for some traffic.
fn channels(dram: &Banked, core_hz: u64, requests: &[DramRequest]) -> Vec<Vec<DramCommand>> {
    let (commands, arrivals, counts) = reference::commands(dram, core_hz, requests, FUEL_CYCLES);
    assert!(arrivals.iter().all(Option::is_some), "a request was never served");
    let columns = |one: &&DramCommand| matches!(one.operation, DramOperation::Read | DramOperation::Write);
    assert_eq!(commands.iter().filter(columns).count(), requests.len());
    assert_eq!(counts.hits + counts.misses + counts.conflicts, requests.len() as u64);
    (0..dram.channels).map(|channel| commands.iter().filter(|one| one.channel == channel).copied().collect()).collect()
}

const MACHINES: [&str; 7] = [
    "preset: ddr3_1600",
    "preset: ddr4_2400, channels: 2",
    "preset: ddr4_2400, ranks: 2, address_mapping: row column rank bank group channel",
    "preset: ddr4_3200, page_policy: closed",
    "preset: lpddr4_2400, ranks: 2, queue_depth: 8",
    "preset: lpddr4_3200, address_mapping: \"row column:4 bank column channel rank group\", page_policy: closed",
    "preset: hbm2, channels: 8",
];

#[test]
fn no_rule_is_broken_on_presets() {
    for (seed, keys) in MACHINES.into_iter().enumerate() {
        let dram = dram(keys);
        let requests = traffic(&mut Random(seed as u64), &dram, 3000);
        for commands in channels(&dram, 1_000_000_000, &requests) {
            let broken = violation(&dram, &commands);
            assert_eq!(broken, None, "{keys}: {:?}", broken.map(|(index, _)| &commands[..=index]));
        }
    }
}

#[test]
fn no_rule_is_broken_on_random_parts() {
    let mut parts = 0;
    for seed in 0..600 {
        let Dram::Banked(dram) = case(seed).machine.dram else { continue };
        parts += 1;
        let requests = traffic(&mut Random(seed), &dram, 300);
        for commands in channels(&dram, case(seed).machine.clock_hz, &requests) {
            let broken = violation(&dram, &commands);
            assert_eq!(broken, None, "seed {seed}, {dram:?}: {:?}", broken.map(|(index, _)| &commands[..=index]));
        }
    }
    assert!(parts > 100, "{parts} parts");
}

/// Both engines' controllers, on traffic of more requests at once than programs have.
#[test]
fn engines_agree_on_traffic() {
    let (mut parts, mut starved, mut reordered) = (0, 0, 0);
    for seed in 0..1500 {
        let machine = case(seed).machine;
        let Dram::Banked(dram) = machine.dram else { continue };
        let requests = traffic(&mut Random(seed), &dram, 250);
        let (_, own, counts) = reference::commands(&dram, machine.clock_hz, &requests, FUEL_CYCLES);
        // D-8: loads arrive in order, and stores do.
        let mut last = [0; 2];
        let arrivals: Vec<u64> = requests
            .iter()
            .zip(own)
            .map(|(request, own)| {
                let last = &mut last[usize::from(request.write)];
                *last = own.expect("it arrived").max(*last);
                *last
            })
            .collect();
        assert_eq!(
            fast::dram_arrivals(&dram, machine.clock_hz, &requests),
            (arrivals, counts.clone()),
            "seed {seed}: {dram:?}"
        );
        parts += 1;
        starved += u64::from(counts.starved > 0);
        reordered += u64::from(counts.reordered > 0);
    }
    println!("{parts} parts, {starved} with a burst passed too often, {reordered} with a younger one first");
    assert!(parts > 300 && starved > 5 && reordered > 100, "{parts} {starved} {reordered}");
}

/// Each command one cycle earlier than it was given: where that is too early, the checker must say so. Where a command waited for a distance alone, it is.
#[test]
fn commands_that_come_too_early_are_found() {
    let dram = dram("preset: ddr4_2400, ranks: 2");
    let requests = traffic(&mut Random(7), &dram, 2000);
    let commands = channels(&dram, 1_200_000_000, &requests).remove(0);
    let mut found: Vec<&str> = Vec::new();
    for index in 1..commands.len() {
        let mut earlier = commands[index.saturating_sub(80)..=index].to_vec();
        if let Some(last) = earlier.last_mut() {
            last.cycle -= 1;
        }
        // The part of the list begins with rows open, so that only distances are asked for.
        found.extend(
            violation(&dram, &earlier)
                .filter(|(_, name)| *name != "open row" && *name != "tREFI")
                .map(|(_, name)| name),
        );
    }
    found.sort_unstable();
    found.dedup();
    for name in [
        "tRCD",
        "tRP",
        "tRRD_S",
        "tRRD_L",
        "tCCD_L of reads",
        "tCCD_L of writes",
        "tWTR_S",
        "tWTR_L",
        "tRTP",
        "tWR",
        "tRFC",
        "data bus",
        "tRP, all banks",
        "one command a cycle",
    ] {
        assert!(found.contains(&name), "{name} was never found in {found:?}");
    }
}

type Change = fn(&mut Banked);

/// A DRAM whose timing is one cycle shorter somewhere breaks the rule of the true one.
#[test]
fn a_part_with_a_shorter_distance_is_found() {
    let keys = "preset: ddr4_2400, ranks: 2, address_mapping: row column rank bank group channel";
    let true_one = dram(keys);
    let shorter: [(&str, Change); 14] = [
        ("tRCD", |dram| dram.timing.trcd -= 1),
        ("tRP", |dram| dram.timing.trp -= 1),
        ("tRP, all banks", |dram| dram.timing.trp_all -= 1),
        ("tRAS", |dram| dram.timing.tras -= 1),
        ("tRRD_S", |dram| dram.timing.trrd_s -= 1),
        ("tRRD_L", |dram| dram.timing.trrd_l -= 1),
        ("tFAW", |dram| dram.timing.tfaw -= 1),
        ("tCCD_L of reads", |dram| dram.timing.tccd_l -= 1),
        ("tWTR_S", |dram| dram.timing.twtr_s -= 1),
        ("tWTR_L", |dram| dram.timing.twtr_l -= 1),
        ("tWR", |dram| dram.timing.twr -= 1),
        ("tRTP", |dram| dram.timing.trtp -= 1),
        ("tRFC", |dram| dram.timing.trfc -= 1),
        ("data bus", |dram| dram.timing.trtrs -= 1),
    ];
    for (name, shorten) in shorter {
        let mut other = true_one.clone();
        shorten(&mut other);
        let found = (0..20).any(|seed| {
            let requests = traffic(&mut Random(seed), &true_one, 1500);
            let commands = channels(&other, 1_200_000_000, &requests).remove(0);
            violation(&true_one, &commands).is_some_and(|(_, found)| found == name)
        });
        assert!(found, "a shorter {name} was never found");
    }
}
