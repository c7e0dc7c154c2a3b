//! Time of every network on every preset, as `systole estimate` reports it: above its bounds, and what it was when it was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

use rayon::prelude::*;
use systole::network::zoo;
use systole::pipeline::{self, Engine, ModelOptions, Seconds};
use systole::report::build::{Subject, report};
use systole::report::{Report, Total};

use crate::chain::{EDGE, machine, presets, published};
use crate::everything::MACHINES;

/// Cycles by network and preset.
type Cycles = BTreeMap<String, BTreeMap<String, u64>>;

/// Multiply-accumulates from which on a network is timed on the machines of acceptance alone: on those with small buffers it falls into
/// hundreds of thousands of pieces, and would take minutes each.
const LARGE: u64 = 30_000_000_000;

/// What is timed where.
fn pairs() -> Vec<(&'static str, &'static str)> {
    let presets = presets();
    let on = |entry: &'static zoo::Entry| {
        let timed = presets.iter().filter(|preset| entry.macs < LARGE || MACHINES.contains(preset));
        timed.map(|&preset| (entry.name, preset)).collect::<Vec<_>>()
    };
    zoo::entries().iter().flat_map(on).collect()
}

/// All reports' totals; made once for all tests.
pub(crate) static TOTALS: LazyLock<BTreeMap<(&str, &str), Total>> =
    LazyLock::new(|| pairs().into_par_iter().map(|pair| (pair, estimate(pair).total)).collect());

/// As the command line does it.
fn estimate((name, preset): (&str, &str)) -> Report {
    let machine = machine(preset);
    let imported = published(name);
    let quantised = pipeline::quantise(&imported, &machine, &ModelOptions::default(), false).expect("legal");
    let compiled = pipeline::compile_model(&imported, &quantised, &machine, false).expect("it fits");
    let timing = pipeline::time(&compiled.program, &machine, Engine::Fast).expect("it runs");
    let subject = Subject {
        program: &compiled.program,
        machine: &machine,
        timing: &timing,
        model_source: name,
        hardware_source: preset,
        seed: 0,
    };
    report(&subject, None, Seconds::default())
}

#[test]
fn nothing_is_faster_than_its_bounds() {
    assert!(TOTALS.len() == pairs().len() && TOTALS.len() > 600, "{}", TOTALS.len());
    for (pair, total) in TOTALS.iter() {
        let roofline = &total.roofline;
        // Ideal DRAM bounds nothing.
        let bounded = roofline.dram_cycles > 0 || pair.1 == "scale-sim-32x32";
        assert!(roofline.compute_cycles > 0 && bounded, "{pair:?}: {roofline:?}");
        for bound in [roofline.compute_cycles, roofline.dram_cycles, roofline.layer_cycles] {
            assert!(total.cycles >= bound, "{pair:?}: {} cycles, {roofline:?}", total.cycles);
        }
        assert!(total.array_utilization <= 1.0, "{pair:?}");
        assert!(total.idle_cycles < total.cycles, "{pair:?}");
    }
}

#[test]
fn resnet_50_attains_most_of_its_roofline() {
    let roofline = &TOTALS[&("resnet-50", EDGE)].roofline;
    assert!(roofline.attained >= 0.60, "{roofline:?}");
}

fn recorded_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cycles.json")
}

/// What changed, a line each.
fn differences(before: &Cycles, now: &Cycles) -> Vec<String> {
    let get = |cycles: &Cycles, name: &str, preset: &str| cycles.get(name).and_then(|of| of.get(preset)).copied();
    let pairs = before.iter().chain(now).flat_map(|(name, of)| of.keys().map(move |preset| (name, preset)));
    let pairs: BTreeSet<_> = pairs.collect();
    let line = |(name, preset): (&String, &String)| match (get(before, name, preset), get(now, name, preset)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => {
            let percent = 100.0 * (new as f64 / old as f64 - 1.0);
            Some(format!("{name} on {preset}: {old} cycles recorded, {new} now ({percent:+.2} %)"))
        }
        (Some(_), None) => Some(format!("{name} on {preset}: recorded, but it is gone")),
        (None, _) => Some(format!("{name} on {preset}: not recorded")),
    };
    pairs.into_iter().filter_map(line).collect()
}

#[test]
fn cycles_are_as_recorded() {
    let mut now = Cycles::new();
    for (&(name, preset), total) in TOTALS.iter() {
        now.entry(name.to_owned()).or_default().insert(preset.to_owned(), total.cycles);
    }
    let file = recorded_file();
    if std::env::var_os("SYSTOLE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&file, serde_json::to_string_pretty(&now).expect("JSON") + "\n").expect("writable");
        return;
    }
    // A file that is lost or spoiled counts as empty: every line then says what to do.
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let before: Cycles = serde_json::from_str(&text).unwrap_or_default();
    let differences = differences(&before, &now);
    assert!(
        differences.is_empty(),
        "cycles changed:\n{}\nif that is meant, `SYSTOLE_BLESS=1 cargo test --release --test networks` records it in tests/cycles.json; \
         say in the change log why",
        differences.join("\n")
    );
}
