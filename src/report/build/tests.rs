//! What reports derive against what the engine counted, and who is given a layer's cycles.

use super::*;
use crate::pipeline::{self, Engine, ModelOptions};
use crate::source;

fn preset() -> Machine {
    source::machine("edge-16x16").expect("a preset").machine
}

/// The same machine with three arrays and one memory for activations and weights.
fn three_arrays() -> Machine {
    let mut machine = preset();
    machine.array.count = 3;
    machine.activation.capacity_bytes += machine.weight.capacity_bytes;
    (machine.weight, machine.unified) = (machine.activation, true);
    machine
}

fn timed_program(model: &str, machine: Machine) -> (Program, Machine, Timing) {
    let options = ModelOptions::default();
    let imported = pipeline::import(model, &options).expect("in the zoo");
    let quantised = pipeline::quantise(&imported, &machine, &options, false).expect("legal");
    let program = pipeline::compile_model(&imported, &quantised, &machine, false).expect("fits").program;
    let timing = pipeline::time(&program, &machine, Engine::Fast).expect("runs");
    (program, machine, timing)
}

/// What reports derive from spans and instructions is what the engine counted cycle by cycle and burst by burst.
#[test]
fn derived_waits_and_bursts_are_the_engines() {
    let models = ["zoo:lenet-5", "zoo:squeezenet-1.1", "zoo:resnet-18"];
    let cases = models.map(|model| (model, preset())).into_iter().chain([(models[1], three_arrays())]);
    for (model, machine) in cases {
        let (program, machine, timing) = timed_program(model, machine);
        for unit in units(&machine).filter(|unit| !matches!(unit, Unit::Load | Unit::Store)) {
            let found = stretches(&program.instructions, &timing.spans, unit);
            let counted = timing.units[unit as usize];
            assert_eq!(
                cycles_within(&found, 0, timing.total_cycles),
                (counted.busy, counted.stalls),
                "{model}, {unit:?}"
            );
        }
        let mut traffic = Traffic::new(&machine);
        let moved: Vec<Moved> = program.instructions.iter().map(|instruction| traffic.next(instruction)).collect();
        let bus = [moved.iter().map(|m| m.dram_read).sum::<u64>(), moved.iter().map(|m| m.dram_write).sum()];
        assert_eq!(bus, timing.dram_bus_bytes, "{model}");
    }
}

fn spanned(span: (u64, u64), array: Option<(u64, u64)>, vector: Option<(u64, u64)>) -> LayerSums {
    LayerSums { span: Some(span), work: [None, array, vector, None, None, None, None], ..LayerSums::default() }
}

/// A layer that still stores while the next one has the array does not take the next one's cycles.
#[test]
fn the_array_belongs_to_the_layer_that_uses_it() {
    let sums = [
        spanned((1, 130), Some((10, 100)), Some((100, 120))),
        // Takes over at 105, before the first one's stores have ended.
        spanned((50, 300), Some((105, 280)), Some((200, 290))),
        // A pooling beside it: its unit has nothing else, but the array is the next layer's from 310 on.
        spanned((200, 340), None, Some((290, 330))),
        spanned((300, 400), Some((310, 390)), None),
        // All over before.
        spanned((300, 350), None, None),
    ];
    assert_eq!(intervals(&sums), [(0, 105), (105, 290), (290, 310), (310, 400), (400, 400)]);
    assert_eq!(intervals(&[]), []);
}

fn reported(model: &str, machine: Machine) -> Report {
    let (program, machine, timing) = timed_program(model, machine);
    let (program, machine, timing) = (&program, &machine, &timing);
    let subject = Subject { program, machine, timing, model_source: model, hardware_source: "edge-16x16", seed: 0 };
    report(&subject, None, Seconds::default())
}

/// Branches overlap in ResNet: its projections' stores run beside the next convolution.
#[test]
fn no_layer_uses_more_than_the_array_has() {
    for model in ["zoo:resnet-18", "zoo:squeezenet-1.1"] {
        let report = reported(model, preset());
        for layer in &report.layers {
            assert!(layer.utilization <= 1.0, "{model}, {}: {}", layer.name, layer.utilization);
            assert!(layer.stall_cycles.values().sum::<u64>() <= layer.cycles, "{model}, {}", layer.name);
        }
        let given: u64 = report.layers.iter().map(|layer| layer.cycles).sum();
        assert_eq!(given + report.total.idle_cycles, report.total.cycles, "{model}");
    }
}

#[test]
fn layers_share_out_the_time_and_bounds_hold() {
    let report = reported("zoo:lenet-5", preset());
    let total = &report.total;
    assert_eq!(report.layers.iter().map(|layer| layer.cycles).sum::<u64>() + total.idle_cycles, total.cycles);
    assert!(total.roofline.compute_cycles.max(total.roofline.dram_cycles) <= total.cycles);
    assert_eq!(report.layers.iter().map(|layer| layer.macs).sum::<u64>(), report.model.macs);
    assert_eq!(report.layers.iter().map(|layer| layer.dram_read_bytes).sum::<u64>(), total.dram.read_bytes);
    for sram in &total.sram {
        assert!(sram.peak_bytes > 0 && sram.peak_bytes <= sram.capacity_bytes, "{sram:?}");
    }
    // A fully connected layer reads each weight once: nothing but DRAM can limit it on this machine.
    let ip1 = report.layers.iter().find(|layer| layer.name == "ip1").expect("LeNet has it");
    assert_eq!(ip1.bound_by, "dram");
    let wide = crate::report::text::render(&report, true);
    let plain = anstream::adapter::strip_str(&wide).to_string();
    assert!(plain.lines().all(|line| line.chars().count() <= 100), "{plain}");
}

/// Names of arrays and of memories are the machine's.
#[test]
fn reports_name_what_the_machine_has() {
    let names = |report: &Report| {
        let sram: Vec<String> = report.total.sram.iter().map(|sram| sram.memory.clone()).collect();
        let total = &report.total;
        (total.units.keys().copied().collect::<Vec<_>>(), total.stall_cycles.len(), sram.join(" "))
    };
    let (units, causes, memories) = names(&reported("zoo:lenet-5", preset()));
    assert_eq!(units, ["array", "load", "store", "vector"]);
    assert_eq!((causes, memories.as_str()), (6, "activation weight accumulator"));
    let report = reported("zoo:resnet-18", three_arrays());
    let (units, causes, memories) = names(&report);
    assert_eq!(units, ["array", "array1", "array2", "load", "store", "vector"]);
    assert_eq!((causes, memories.as_str()), (8, "unified accumulator"));
    // What uses the third array is the compiler's choice.
    let busy = report.total.units.values().filter(|unit| unit.busy > 0).count();
    assert!(busy >= 5, "{:?}", report.total.units);
    assert!(report.layers.iter().all(|layer| layer.utilization <= 1.0));
    assert!(report.total.sram.iter().all(|sram| sram.peak_bytes > 0 && sram.peak_bytes <= sram.capacity_bytes));
}

/// 4096 bytes in the first 4096 cycles and twice the rate in the 896 behind: with a window of its own, those would count as 1792 in 4096.
#[test]
fn the_busiest_window_is_never_below_the_average() {
    let transfers = [(0, 4096, 4096), (4096, 4992, 1792)];
    assert_eq!(busiest_window(transfers.into_iter(), 4992), 5888.0 / 4992.0);
    // Two windows, the second of 4097 cycles; a transfer over both is shared out.
    let transfers = [(0, 8193, 8193), (8000, 8193, 4097)];
    assert_eq!(busiest_window(transfers.into_iter(), 8193), 2.0);
    assert_eq!(busiest_window([(0, 5, 10)].into_iter(), 5), 2.0);
    assert_eq!(busiest_window([].into_iter(), 0), 0.0);
}
