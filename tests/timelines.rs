//! The timelines in `docs/timing.md` and `docs/machine.md` are what both engines do.
//!
//! A block of kind `timeline` is a program for the machine `tiny` of the page `docs/timing.md`. Behind an instruction stands its fetch and its
//! span, `; 1 [2, 22)`; lines that begin with a semicolon state a key of the machine that differs (`; with array.rows: 2`), the cycles of a
//! unit (`; load: busy 3, dram 13, idle 8`), the total (`; total 24`) or how it ended (`; Race at 3`).

use systole_machine::config;
use systole_machine::isa::{Unit, assembler};
use systole_machine::spec::Machine;
use systole_simulator::contract::{Job, Outcome, Stall, Timing};
use systole_simulator::{fast, reference};

const TIMING: &str = include_str!("../docs/timing.md");
const MACHINE: &str = include_str!("../docs/machine.md");

/// The contents of the fenced blocks of a kind.
fn blocks<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("```").next().expect("split gives one")).collect()
}

fn tiny(block: &str) -> Machine {
    let settings: Vec<(&str, &str)> = block
        .lines()
        .filter_map(|line| line.strip_prefix("; with "))
        .flat_map(|line| line.split(", "))
        .map(|setting| setting.split_once(": ").expect("key and value"))
        .collect();
    config::load_with(blocks(TIMING, "yaml")[0], "docs/timing.md", &settings).expect("a valid machine")
}

fn timing(machine: &Machine, text: &str) -> Timing {
    let program = assembler::assemble(text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let job = Job { machine, instructions: &program.instructions, dram_bytes: 4096 };
    let fast = fast::timing(&job);
    let (slow, _) = reference::run(&job, &[], 100_000).expect("ends");
    assert_eq!(fast, slow, "{text}");
    fast
}

/// Cycles of a unit as the blocks write them.
fn cycles(timing: &Timing, unit: Unit) -> String {
    let counted = timing.units[unit as usize];
    let stalls = Stall::ALL.into_iter().map(|stall| (stall.name(), counted.stalls[stall as usize]));
    let all = [("busy", counted.busy)].into_iter().chain(stalls).chain([("idle", counted.idle)]);
    let all: Vec<String> = all.filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    format!("{}: {}", unit.name(), all.join(", "))
}

fn outcome(timing: &Timing) -> String {
    match &timing.outcome {
        Outcome::Halted => "Halted".into(),
        Outcome::Trap { trap, instruction } => format!("{trap:?} at {instruction}"),
        Outcome::Deadlock { waiting } => {
            let missing = |units: &[Unit]| units.iter().map(|unit| unit.name()).collect::<Vec<_>>().join(" and ");
            let each = waiting.iter().map(|w| format!("{} waits for {}", w.instruction, missing(&w.missing)));
            format!("Deadlock: {}", each.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The block with the engines' figures in the place of its own; and how many figures it has.
fn measured(block: &str) -> (String, usize) {
    let timing = timing(&tiny(block), block);
    let (mut out, mut figures, mut index) = (String::new(), 0, 0);
    for line in block.lines() {
        let Some((code, comment)) = line.split_once("; ") else {
            index += usize::from(!line.trim().is_empty());
            out += &format!("{line}\n");
            continue;
        };
        let unit = Unit::ALL.into_iter().find(|unit| comment.starts_with(&format!("{}: ", unit.name())));
        let found = match (code.is_empty(), unit) {
            (true, Some(unit)) => cycles(&timing, unit),
            (true, None) if comment.starts_with("with ") => comment.to_owned(),
            (true, None) if comment.starts_with("total ") => format!("total {}", timing.total_cycles),
            (true, None) => outcome(&timing),
            (false, _) => {
                index += 1;
                let span = timing.spans.get(index - 1).copied().flatten();
                span.map_or("never".into(), |span| format!("{} [{}, {})", span.fetch, span.start, span.end))
            }
        };
        figures += usize::from(!comment.starts_with("with "));
        out += &format!("{code}; {found}\n");
    }
    (out, figures)
}

#[test]
fn the_timelines_of_the_documents_are_the_engines() {
    let mut figures = 0;
    for block in [TIMING, MACHINE].iter().flat_map(|page| blocks(page, "timeline")) {
        let (found, count) = measured(block);
        assert_eq!(block, found, "the engines say\n{found}");
        figures += count;
    }
    assert!(figures > 60, "only {figures} figures");
}
