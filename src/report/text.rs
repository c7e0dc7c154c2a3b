//! The report for people: a headline to act on, totals, then the layers; at most 100 columns.

use std::fmt::Write;

use super::{LatencyBucket, Layer, Report};

/// Layers shown unless all are asked for.
const SHOWN_LAYERS: usize = 12;

/// Longest name in the table.
const NAME_COLUMNS: usize = 28;

/// The report; `all` layers, or the slowest. With ANSI colours, which the terminal's stream keeps or drops.
pub fn render(report: &Report, all: bool) -> String {
    let mut out = headline(report);
    out += &totals(report);
    out += &layer_table(report, all);
    out
}

/// One sentence that a busy person can act on.
pub fn headline(report: &Report) -> String {
    let total = &report.total;
    let mut text = format!(
        "\x1b[1m{} on {}: {}, {} inf/s\x1b[0m; array at {:.1} % of its peak",
        report.model.name,
        report.hardware.name,
        duration(total.latency_ms),
        significant(total.inferences_per_s),
        100.0 * total.array_utilization
    );
    if let Some((cause, share)) = main_cause(&report.layers) {
        let _ = write!(text, "; {share:.0} % of the time {cause}");
    }
    let slowest: Vec<String> =
        slowest(&report.layers).into_iter().take(3).map(|layer| shorten(&layer.name, 24)).collect();
    if !slowest.is_empty() {
        let _ = write!(text, "; slowest: {}", slowest.join(", "));
    }
    wrap(&text, 100) + "\n"
}

/// What most cycles of layers went to, in words, and their share in percent.
fn main_cause(layers: &[Layer]) -> Option<(&'static str, f64)> {
    const CAUSES: [(&str, &str); 7] = [
        ("compute", "goes to layers that the array limits"),
        ("dram", "goes to layers that wait for DRAM"),
        ("vector", "goes to layers that the vector unit limits"),
        ("array", "goes to layers that wait for the array"),
        ("store", "goes to layers that wait for stores"),
        ("port", "goes to layers that wait for buffer ports"),
        ("fetch", "goes to layers that wait for instructions"),
    ];
    let all: u64 = layers.iter().map(|layer| layer.cycles).sum();
    let cycles =
        |cause: &str| layers.iter().filter(|layer| layer.bound_by == cause).map(|layer| layer.cycles).sum::<u64>();
    // The first of equal ones.
    let (words, most) =
        CAUSES.iter().rev().map(|(cause, words)| (*words, cycles(cause))).max_by_key(|(_, cycles)| *cycles)?;
    (all > 0).then(|| (words, 100.0 * most as f64 / all as f64))
}

/// By cycles, most first; equal ones in order of execution.
fn slowest(layers: &[Layer]) -> Vec<&Layer> {
    let mut sorted: Vec<&Layer> = layers.iter().collect();
    sorted.sort_by_key(|layer| std::cmp::Reverse(layer.cycles));
    sorted
}

fn totals(report: &Report) -> String {
    let (model, total) = (&report.model, &report.total);
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:<10} {}", wrap(&text, 86).replace('\n', "\n             "));
    };
    line(
        "model",
        format!(
            "{} GMAC an image, {} M parameters, {} of weights, batch {}, seed {}",
            significant(model.macs as f64 / 1e9),
            significant(model.parameters as f64 / 1e6),
            bytes(model.weight_bytes),
            model.batch,
            model.seed
        ),
    );
    line(
        "cycles",
        format!(
            "{}; roofline {} ({:.0} % attained): compute {}, DRAM {}",
            grouped(total.cycles),
            grouped(total.roofline.layer_cycles),
            100.0 * total.roofline.attained,
            grouped(total.roofline.compute_cycles),
            grouped(total.roofline.dram_cycles)
        ),
    );
    line(
        "DRAM",
        format!(
            "read {}{}, written {} ({} compulsory); {} GB/s average, {} peak{}",
            bytes(total.dram.read_bytes),
            saved(total.dram.bytes_saved),
            bytes(total.dram.write_bytes),
            bytes(total.dram.compulsory_bytes),
            significant(total.dram.average_gb_s),
            significant(total.dram.peak_gb_s),
            report.hardware.dram_gb_s.map_or(String::new(), |limit| format!(" of {}", significant(limit)))
        ),
    );
    let widened = report.layers.iter().filter(|layer| layer.widened).count();
    if widened > 0 {
        line(
            "weights",
            format!(
                "of {widened} layers stored wider than they are: the array lacks their width; `--explain LAYER` tells which"
            ),
        );
    }
    if let Some(banks) = &total.dram.banks {
        let bus = banks.bus_utilization.iter().map(|share| format!("{:.0} %", 100.0 * share)).collect::<Vec<_>>();
        let most = banks.read_latency.iter().max_by_key(|bucket| bucket.reads);
        line(
            "DRAM banks",
            format!(
                "{:.1} % row hits, {} misses, {} conflicts, {} refreshes; bus {}{}",
                100.0 * banks.row_hit_rate,
                grouped(banks.row_misses),
                grouped(banks.row_conflicts),
                grouped(banks.refreshes),
                bus.join(", "),
                most.map_or(String::new(), |most| format!("; reads mostly take {}", latency(most)))
            ),
        );
    }
    let sram: Vec<String> = total
        .sram
        .iter()
        .map(|sram| {
            format!(
                "{} {} of {}, {} GB/s",
                sram.memory,
                bytes(sram.peak_bytes),
                bytes(sram.capacity_bytes),
                significant(sram.average_gb_s)
            )
        })
        .collect();
    line("on chip", sram.join("; "));
    if let Some(energy) = total.energy_uj {
        line("energy", format!("{} uJ", significant(energy)));
    }
    if let Some(verify) = &report.verify {
        let verdict = if verify.bit_exact { "\x1b[32mbit-exact\x1b[0m" } else { "\x1b[1;31mWRONG\x1b[0m" };
        let text = format!(
            "{verdict}: {} of {} elements in {} tensors differ from the CPU reference",
            grouped(verify.mismatches),
            grouped(verify.elements),
            verify.tensors_compared
        );
        line("verified", text);
        if let Some(sqnr) = verify.sqnr_db {
            line("noise", format!("outputs {sqnr:.1} dB above their difference from the float network (SQNR)"));
        }
    }
    out
}

fn layer_table(report: &Report, all: bool) -> String {
    let mut out = format!(
        "\n\x1b[1m{:<NAME_COLUMNS$} {:<14} {:>11} {:>6} {:>6}  {:<8} {:>9} {:>9}\x1b[0m\n",
        "layer", "op", "cycles", "time", "used", "bound by", "read", "written"
    );
    let whole = report.total.cycles.max(1) as f64;
    let layers: Vec<&Layer> = if all {
        report.layers.iter().collect()
    } else {
        slowest(&report.layers).into_iter().take(SHOWN_LAYERS).collect()
    };
    for layer in &layers {
        let _ = writeln!(
            out,
            "{:<NAME_COLUMNS$} {:<14} {:>11} {:>5.1}% {:>5.1}%  {:<8} {:>9} {:>9}",
            shorten(&layer.name, NAME_COLUMNS),
            shorten(&layer.op, 14),
            grouped(layer.cycles),
            100.0 * layer.cycles as f64 / whole,
            100.0 * layer.utilization,
            layer.bound_by,
            bytes(layer.dram_read_bytes),
            bytes(layer.dram_write_bytes)
        );
    }
    if layers.len() < report.layers.len() {
        let _ = writeln!(
            out,
            "the {} slowest of {} layers; `-v` shows all, in order of execution",
            layers.len(),
            report.layers.len()
        );
    }
    out
}

/// What is known of one layer, for `--explain`.
pub fn explain(report: &Report, layer: &Layer) -> String {
    let share = 100.0 * layer.cycles as f64 / report.total.cycles.max(1) as f64;
    let mut out = format!("\n\x1b[1m{} ({})\x1b[0m\n", layer.name, layer.op);
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:<10} {}", wrap(&text, 86).replace('\n', "\n             "));
    };
    line("nodes", layer.nodes.join(", "));
    line("mapping", layer.mapping.clone());
    line(
        "cycles",
        format!(
            "{} of {} ({share:.1} %), from {} to {}",
            grouped(layer.cycles),
            grouped(report.total.cycles),
            layer.start_cycle,
            layer.end_cycle
        ),
    );
    // A layer without multiply-accumulates has none on the array.
    let unit = if layer.macs == 0 { "array" } else { layer.unit };
    line(unit, format!("{} MACs, {:.1} % of its peak", grouped(layer.macs), 100.0 * layer.utilization));
    line(
        "DRAM",
        format!(
            "read {}{}, written {}",
            bytes(layer.dram_read_bytes),
            saved(layer.dram_bytes_saved),
            bytes(layer.dram_write_bytes)
        ),
    );
    line("bound by", layer.bound_by.to_owned());
    let stalls: Vec<String> = layer
        .stall_cycles
        .iter()
        .filter(|(_, cycles)| **cycles > 0)
        .map(|(cause, cycles)| format!("{cause} {}", grouped(*cycles)))
        .collect();
    line("stalls", if stalls.is_empty() { "none".into() } else { stalls.join(", ") });
    out
}

/// Milliseconds in the unit that reads best.
fn duration(ms: f64) -> String {
    match ms {
        ms if ms >= 1e3 => format!("{} s", significant(ms / 1e3)),
        ms if ms >= 1.0 || ms == 0.0 => format!("{} ms", significant(ms)),
        ms => format!("{} us", significant(ms * 1e3)),
    }
}

/// Three significant digits, without an exponent; at most nine after the point.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 || value == 0.0 => 2,
        value => (2.0 - value.log10().floor()).min(9.0) as usize,
    };
    format!("{value:.digits$}")
}

/// Bytes with a binary unit.
/// Named where there is something to tell.
fn saved(value: u64) -> String {
    if value == 0 { String::new() } else { format!(" ({} saved by compressed weights)", bytes(value)) }
}

fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value} B") } else { format!("{} {}", significant(scaled), UNITS[unit]) }
}

/// Digits in groups of three.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// The text cut to `columns` characters, its end kept: names differ at their ends.
fn shorten(text: &str, columns: usize) -> String {
    let clean: Vec<char> = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if clean.len() <= columns {
        return clean.into_iter().collect();
    }
    let tail: String = clean[clean.len() - (columns - 2)..].iter().collect();
    format!("..{tail}")
}

/// Breaks at spaces so that lines have at most `columns` characters; ANSI sequences count too.
fn wrap(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}

/// A bucket in words.
fn latency(bucket: &LatencyBucket) -> String {
    match bucket.below_cycles {
        Some(below) => format!("{} to {} cycles", bucket.from_cycles, below - 1),
        None => format!("{} cycles or more", bucket.from_cycles),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(12), "12");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(5 << 20), "5.00 MiB");
        assert_eq!([0.0123, 2.413, 41.55, 415.4].map(significant), ["0.0123", "2.41", "41.5", "415"]);
        assert_eq!([0.002293, 0.43108, 0.0].map(significant), ["0.00229", "0.431", "0.00"]);
        assert_eq!(duration(0.25), "250 us");
    }

    #[test]
    fn long_names_keep_their_ends_and_long_lines_break() {
        assert_eq!(shorten("features/fire2/squeeze1x1", 12), "..squeeze1x1");
        assert_eq!(wrap("aaa bbb ccc", 7), "aaa bbb\nccc");
    }
}
