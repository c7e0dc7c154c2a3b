//! The loop over events against the same parts asked in every cycle: no event may be missed, none may come early.

use super::order::random_program;
use super::*;
use crate::fast::timeline::{Timeline, order};
use crate::fast::{Outcome, prepare, waiting};

fn random_machine(random: &mut Random) -> Machine {
    let mut machine = machine();
    machine.outstanding_bursts = random.range(1, 5) as u32;
    machine.control.queue_depth = std::array::from_fn(|_| random.range(1, 6) as u32);
    machine.control.issue_interval_cycles = random.range(1, 3) as u32;
    machine.control.token_max = 20;
    machine.array.count = 2;
    machine.array.weight_registers = random.range(1, 2) as u32;
    // Banks of 32 bytes, so that few instructions never meet.
    machine.activation = Buffer {
        capacity_bytes: 256,
        banks: 8,
        port_bytes: random.range(1, 8) as u32,
        ports: random.range(1, 2) as u32,
    };
    machine.weight.port_bytes = random.range(1, 4) as u32;
    machine.unified = random.range(0, 3) == 0;
    if machine.unified {
        machine.weight = machine.activation;
    }
    machine.vector.latency_cycles = random.range(0, 30) as u32;
    let burst_bytes = 1 << random.range(1, 5);
    if random.flag() {
        machine.dram = Dram::Simple {
            bandwidth_bytes_per_s: random.range(500_000_000, 20_000_000_000),
            latency_cycles: random.range(0, 12),
            burst_bytes,
        };
    } else {
        machine.dram = Dram::Ideal { burst_bytes };
    }
    machine
}

#[test]
fn every_cycle_and_every_event_agree() {
    let mut random = Random(18);
    let (mut halted, mut refused, mut cycles) = (0, 0, 0);
    for round in 0..4000 {
        let machine = random_machine(&mut random);
        let program = random_program(&mut random);
        let job = Job { machine: &machine, instructions: &program, dram_bytes: DRAM };
        let (steps, _) = prepare(&job);
        let by_event = timing(&machine, &program);
        let parts = order(&machine);
        let mut timeline = Timeline::new(&machine, &steps, program.len());
        for now in 0..by_event.total_cycles + 300 {
            for &part in &parts {
                timeline.act(part, now);
            }
        }
        waiting(&mut timeline);
        assert_eq!(timeline.spans, by_event.spans, "round {round}: {machine:?} {program:?}");
        assert_eq!(timeline.account.total(), by_event.total_cycles);
        assert_eq!(Unit::ALL.map(|unit| timeline.account.cycles(unit)), by_event.units);
        halted += usize::from(by_event.outcome == Outcome::Halted);
        refused += by_event.units.iter().filter(|unit| unit.stalls[crate::contract::Stall::Port as usize] > 0).count();
        cycles += by_event.total_cycles;
    }
    assert!(halted > 300 && refused > 300 && cycles > 50_000, "too few cases: {halted} {refused} {cycles}");
}
