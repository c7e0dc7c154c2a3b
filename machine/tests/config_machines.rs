//! Machine files that are right: presets, the file to start from, what `to_yaml` writes, and derived figures.

use proptest::prelude::*;
use systole_machine::config::{derived, init_yaml, load, preset, presets, to_yaml};
use systole_machine::spec::{
    Array, Banked, Buffer, Control, Dataflow, Dram, DramTiming, Energy, Field, Machine, OperandWidth, Overflow,
    Requantisation, Vector, WeightDecoder,
};

fn machine(name: &str) -> Machine {
    let yaml = preset(name).expect("a preset");
    load(yaml, name).unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
}

#[test]
fn presets_load_and_bear_their_names() {
    assert_eq!(presets().len(), 14);
    for (name, _) in presets() {
        assert_eq!(machine(name).name, *name);
    }
    assert_eq!(preset("no-such"), None);
}

/// Every figure of the default machine, on which acceptance is measured.
#[test]
fn edge_is_the_machine_of_the_specification() {
    let expected = Machine {
        name: "edge-16x16".to_owned(),
        clock_hz: 800_000_000,
        array: Array {
            rows: 16,
            columns: 16,
            count: 1,
            dataflows: vec![Dataflow::WeightStationary],
            dot_product_width: 1,
            pe_latency_cycles: 1,
            operands: vec![OperandWidth { bits: 8, rate_milli: 1000 }],
            weight_registers: 2,
            activation_bits: 8,
            accumulator_bits: 32,
            overflow: Overflow::Wrap,
        },
        activation: Buffer { capacity_bytes: 2 << 20, banks: 16, port_bytes: 32, ports: 1 },
        weight: Buffer { capacity_bytes: 256 << 10, banks: 2, port_bytes: 16, ports: 1 },
        unified: false,
        accumulator: Buffer { capacity_bytes: 128 << 10, banks: 2, port_bytes: 64, ports: 1 },
        vector: Vector {
            lanes: 32,
            requantise_per_cycle: 16,
            latency_cycles: 4,
            float32: true,
            depthwise: true,
            requantisation: Requantisation::Float32,
        },
        outstanding_bursts: 32,
        weight_decoder: None,
        dram: Dram::Simple { bandwidth_bytes_per_s: 12_800_000_000, latency_cycles: 80, burst_bytes: 64 },
        control: Control { queue_depth: [32; 4], issue_interval_cycles: 1, token_max: 255 },
        energy: None,
    };
    assert_eq!(machine("edge-16x16"), expected);
    assert_eq!(expected.accumulator_vectors_per_bank(), 1024);
}

#[test]
fn known_machines_have_their_known_peaks() {
    let tpu = derived(&machine("tpu-v1"));
    assert!((tpu.peak_tops - 91.75).abs() < 0.01, "{}", tpu.peak_tops);
    // The paper's ridge point is about 1350 operations per byte of weights.
    let ridge = tpu.ridge_point_macs_per_byte.expect("a bandwidth");
    assert!((ridge - 1350.0).abs() < 2.0, "{ridge}");
    assert_eq!(tpu.buffers[1].units, 4);
    assert_eq!(tpu.buffers[2].units, 4096);
    let edge = derived(&machine("edge-16x16"));
    assert_eq!(edge.peak_macs_per_cycle, 256);
    assert_eq!(edge.dram_bytes_per_cycle, Some(16.0));
    assert_eq!(edge.ridge_point_macs_per_byte, Some(16.0));
    let bytes_per_cycle: Vec<u64> = edge.buffers.iter().map(|buffer| buffer.bytes_per_cycle).collect();
    assert_eq!(bytes_per_cycle, [512, 32, 128]);
    // 16 banks of 128 KiB, 2 of 128 KiB, 2 of 64 KiB, in blocks of 4 KiB.
    assert_eq!(edge.fpga.bram36, 16 * 32 + 2 * 32 + 2 * 16);
    assert_eq!(edge.fpga.dsp, 128 + 3 * 16 + 32);
    assert_eq!(derived(&machine("gemmini-16x16")).peak_tops, 0.512);
}

#[test]
fn the_file_to_start_from_loads_also_with_its_comments_in_force() {
    let yaml = init_yaml();
    let plain = load(&yaml, "init").expect("the file");
    let edge = machine("edge-16x16");
    assert_eq!(plain.array, edge.array);
    assert_eq!(plain.dram, edge.dram);
    assert_eq!(plain.energy, None);
    // What is commented out is the energy table alone; it must be valid too.
    let (head, tail) = yaml.split_once("# energy:").expect("the energy table");
    let whole = format!("{head}energy:{}", tail.replace("\n#", "\n"));
    let energy = load(&whole, "init").expect("the file with energies").energy.expect("energies");
    assert_eq!((energy.mac_pj, energy.dram_byte_pj), (0.2, 100.0));
}

#[test]
fn defaults_are_those_that_the_file_to_start_from_marks() {
    let yaml = init_yaml();
    let short: Vec<&str> = yaml.lines().filter(|line| !line.contains("# default")).collect();
    let short = short.join("\n").replace("dma:\n", "").replace("control:\n", "");
    assert!(short.lines().count() + 15 < yaml.lines().count());
    assert_eq!(load(&short, "short").expect("the file"), load(&yaml, "init").expect("the file"));
}

/// Any banked DRAM that a file can describe, the least times between refreshes apart.
fn banked() -> impl Strategy<Value = Banked> {
    let counts = (0u32..=6, 0u32..=3, 0u32..=6, 0u32..=6, 0u32..=24, 0u32..=9);
    let cycles = || 0u32..=4000;
    let times = prop::array::uniform16(cycles());
    let rest = (1u64..=100_000_000_000, 1u32..=5, 3u32..=9, 1u32..=1024, any::<bool>(), any::<bool>());
    (counts, times, rest, prop::array::uniform6(any::<u32>())).prop_map(|(counts, times, rest, cuts)| {
        let [cl, cwl, trcd, trp, more, tras, trrd_s, trrd_l, tfaw, tccd_s, tccd_l, twtr_s, twtr_l, twr, trtp, trfc] =
            times;
        let (clock_hz, burst, bus, queue_depth, closed_page, refresh) = rest;
        let bits = [counts.4, counts.5, counts.3, counts.2, counts.1, counts.0];
        let mut mapping = Vec::new();
        for ((field, bits), cut) in Field::ALL.into_iter().zip(bits).zip(cuts) {
            mapping.push((field, cut % (bits + 1)));
            mapping.insert(cut as usize % mapping.len(), (field, bits - cut % (bits + 1)));
        }
        mapping.retain(|(_, bits)| *bits > 0);
        Banked {
            preset: "lpddr4_3200".into(),
            clock_hz,
            channels: 1 << counts.0,
            ranks: 1 << counts.1,
            groups: 1 << counts.2,
            banks: 1 << counts.3,
            rows: 1 << counts.4,
            row_bursts: 1 << counts.5,
            burst_bytes: 1 << (bus - 3 + burst),
            burst_cycles: 1 << (burst - 1),
            timing: DramTiming {
                cl,
                cwl,
                trcd,
                trp,
                trp_all: trp + more,
                tras,
                trrd_s,
                trrd_l,
                tfaw,
                tccd_s,
                tccd_l,
                twtr_s,
                twtr_l,
                twr,
                trtp,
                trtrs: more,
                trefi: 900_000,
                trfc,
            },
            mapping,
            closed_page,
            refresh,
            queue_depth,
        }
    })
}

/// Any machine that a file can describe.
fn machines() -> impl Strategy<Value = Machine> {
    let buffer = |low: u64, multiple: u32| {
        (1u32..=64, 0u64..4096, 1u32..=16, 1u32..=4).prop_map(move |(banks, more, port, ports)| {
            let bank = low.max(u64::from(port * multiple)) + more;
            Buffer { capacity_bytes: u64::from(banks) * bank, banks, port_bytes: port * multiple, ports }
        })
    };
    let dram = prop_oneof![
        (0u32..=16).prop_map(|log| Dram::Ideal { burst_bytes: 1 << log }),
        (1u64..=1_000_000_000_000_000, 0u64..=100_000_000_000, 0u32..=16).prop_map(
            |(bandwidth_bytes_per_s, latency_cycles, log)| Dram::Simple {
                bandwidth_bytes_per_s,
                latency_cycles,
                burst_bytes: 1 << log
            }
        ),
        banked().prop_map(Dram::Banked),
    ];
    let picojoules = || prop_oneof![0.0f64..1e9, 0.0f64..1e-3, Just(f64::MIN_POSITIVE)];
    let energy = (picojoules(), picojoules(), picojoules(), picojoules(), picojoules(), picojoules()).prop_map(
        |(mac_pj, activation_byte_pj, weight_byte_pj, accumulator_byte_pj, vector_op_pj, dram_byte_pj)| Energy {
            mac_pj,
            activation_byte_pj,
            weight_byte_pj,
            accumulator_byte_pj,
            vector_op_pj,
            dram_byte_pj,
        },
    );
    let vector = (1u32..=4096, 1u32..=4096, 0u32..=65535, any::<bool>()).prop_map(
        |(lanes, requantise_per_cycle, latency_cycles, depthwise)| Vector {
            lanes,
            requantise_per_cycle,
            latency_cycles,
            float32: true,
            depthwise,
            requantisation: Requantisation::Float32,
        },
    );
    let control = (prop::array::uniform4(1u32..=65536), 1u32..=65535, 1u32..).prop_map(
        |(queue_depth, issue_interval_cycles, token_max)| Control { queue_depth, issue_interval_cycles, token_max },
    );
    let name = "[ -~\\p{L}\\p{S}\"'\\\\#:]{0,30}x";
    (1u32..=1024, 1u32..=1024).prop_flat_map(move |(rows, columns)| {
        let parts = (
            (name, 1u64..=100_000_000_000, 1u32..=2, 1u32..=65536),
            (buffer(1, 1), buffer(u64::from(rows) * u64::from(columns), 1), buffer(u64::from(columns) * 4, 4)),
            (vector.clone(), dram.clone(), control.clone(), prop::option::of(energy.clone())),
            prop::option::of((1u32..=65536, 0u32..=65535)),
        );
        parts.prop_map(move |((name, clock_hz, weight_registers, outstanding_bursts), buffers, rest, decoder)| {
            Machine {
                name,
                clock_hz,
                array: Array {
                    rows,
                    columns,
                    count: 1,
                    dataflows: vec![Dataflow::WeightStationary],
                    dot_product_width: 1,
                    pe_latency_cycles: 1,
                    operands: vec![OperandWidth { bits: 8, rate_milli: 1000 }],
                    weight_registers,
                    activation_bits: 8,
                    accumulator_bits: 32,
                    overflow: Overflow::Wrap,
                },
                activation: buffers.0,
                weight: buffers.1,
                unified: false,
                accumulator: buffers.2,
                vector: rest.0,
                outstanding_bursts,
                weight_decoder: decoder
                    .map(|(output_bytes, latency_cycles)| WeightDecoder { output_bytes, latency_cycles }),
                dram: rest.1,
                control: rest.2,
                energy: rest.3,
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_is_written_reads_back_equal(machine in machines()) {
        let yaml = to_yaml(&machine);
        match load(&yaml, "written") {
            Ok(read) => prop_assert_eq!(read, machine),
            Err(errors) => prop_assert!(false, "{:?}\n{}", errors, yaml),
        }
    }
}

#[test]
fn presets_survive_writing_twice() {
    for (name, _) in presets() {
        let yaml = to_yaml(&machine(name));
        assert_eq!(to_yaml(&load(&yaml, name).expect("what was written")), yaml);
    }
}
