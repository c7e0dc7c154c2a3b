//! From the keys of a banked DRAM to its numbers: preset, what differs from it, and the order of address bits.

use super::error::Errors;
use super::parts::part;
use super::read::{At, Value};
use super::resolve::{get, narrow};
use super::schema::{AddressMapping, BankedDram, DramPart, PagePolicy};
use super::values::Count;
use crate::spec::{Banked, DramTiming, Field};

/// The DRAM, or `None` with at least one error left behind.
pub(super) fn resolve(keys: &BankedDram, errors: &mut Errors<'_>) -> Option<Banked> {
    let preset = get(&keys.preset)?.text();
    let part = part(&preset)?;
    let changed = get(&keys.part)?;
    let channels = power("dram.banked.channels", &keys.channels, 1, errors);
    let ranks = power("dram.banked.ranks", &keys.ranks, 1, errors);
    let bus_bits = power("dram.banked.part.bus_bits", &changed.bus_bits, part.bus_bits, errors);
    let length = power("dram.banked.part.burst_length", &changed.burst_length, part.burst_length, errors);
    let groups = power("dram.banked.part.groups", &changed.groups, part.groups, errors);
    let banks = power("dram.banked.part.banks", &changed.banks, part.banks, errors);
    let rows = power("dram.banked.part.rows", &changed.rows, part.rows, errors);
    let columns = power("dram.banked.part.columns", &changed.columns, part.columns, errors);
    let (columns, length) = (columns?, length?);
    if columns < length {
        let place = changed.columns.as_ref().map(|at| &at.span).or(changed.burst_length.as_ref().map(|at| &at.span));
        if let Some(span) = place {
            let label = format!("a burst has {length} transfers, a row {columns}");
            errors.invalid(span, "a row of the DRAM holds no burst", label, "");
        }
        return None;
    }
    let mut dram = Banked {
        preset,
        clock_hz: get(&keys.clock).map_or(part.clock_hz, |clock| clock.0),
        channels: channels?,
        ranks: ranks?,
        groups: groups?,
        banks: banks?,
        rows: rows?,
        row_bursts: columns / length,
        burst_bytes: bus_bits? / 8 * length,
        burst_cycles: length / 2,
        timing: timing(&changed, &part.timing)?,
        mapping: vec![],
        closed_page: matches!(get(&keys.page_policy)?, PagePolicy::Closed),
        refresh: get(&keys.refresh)?.0,
        queue_depth: narrow(get(&keys.queue_depth)?.0)?,
    };
    dram.mapping = mapping(keys.address_mapping.as_ref()?, &dram, errors)?;
    check_precharge(keys, &changed, &dram, errors)?;
    check_refresh(keys, &changed, &dram, errors)?;
    Some(dram)
}

/// A power of two, `preset` without the key.
fn power<const LOW: u64, const HIGH: u64>(
    path: &str,
    at: &Option<At<Count<LOW, HIGH>>>,
    preset: u32,
    errors: &mut Errors<'_>,
) -> Option<u32> {
    let Some(at) = at else { return Some(preset) };
    let count = at.value.0;
    if !count.is_power_of_two() {
        let help = format!("write for example `{}`", count.next_power_of_two().min(HIGH));
        errors.invalid(&at.span, format!("`{path}` is not a power of two"), "address bits choose among them", help);
        return None;
    }
    narrow(count)
}

fn timing(part: &DramPart, preset: &DramTiming) -> Option<DramTiming> {
    let or = |key: &Option<At<Count<0, 65535>>>, preset: u32| get(key).map_or(Some(preset), |count| narrow(count.0));
    Some(DramTiming {
        cl: or(&part.cl, preset.cl)?,
        cwl: or(&part.cwl, preset.cwl)?,
        trcd: or(&part.trcd, preset.trcd)?,
        trp: or(&part.trp, preset.trp)?,
        trp_all: or(&part.trp_all, preset.trp_all)?,
        tras: or(&part.tras, preset.tras)?,
        trrd_s: or(&part.trrd_s, preset.trrd_s)?,
        trrd_l: or(&part.trrd_l, preset.trrd_l)?,
        tfaw: or(&part.tfaw, preset.tfaw)?,
        tccd_s: or(&part.tccd_s, preset.tccd_s)?,
        tccd_l: or(&part.tccd_l, preset.tccd_l)?,
        twtr_s: or(&part.twtr_s, preset.twtr_s)?,
        twtr_l: or(&part.twtr_l, preset.twtr_l)?,
        twr: or(&part.twr, preset.twr)?,
        trtp: or(&part.trtp, preset.trtp)?,
        trtrs: or(&part.trtrs, preset.trtrs)?,
        trefi: get(&part.trefi).map_or(Some(preset.trefi), |count| narrow(count.0))?,
        trfc: or(&part.trfc, preset.trfc)?,
    })
}

/// The pieces with their bits, each field complete; pieces of no bits are left out.
fn mapping(at: &At<AddressMapping>, dram: &Banked, errors: &mut Errors<'_>) -> Option<Vec<(Field, u32)>> {
    let pieces = &at.value.0;
    let mut resolved: Vec<(Field, Option<u32>)> = pieces.clone();
    for field in Field::ALL {
        let bits = dram.count(field).trailing_zeros();
        let name = field.name();
        let stated: u32 = pieces.iter().filter(|(of, _)| *of == field).filter_map(|(_, bits)| *bits).sum();
        let open = pieces.iter().filter(|piece| **piece == (field, None)).count();
        let fits = match open {
            0 => stated == bits,
            1 => stated <= bits,
            _ => false,
        };
        if !fits {
            let label = match open {
                0 | 1 => format!("{} {name}s need {bits} bits, the order has {stated}", dram.count(field)),
                _ => format!("`{name}` stands twice without a number of bits"),
            };
            let help = "name each field once without a number of bits, for all that are left of it";
            errors.invalid(&at.span, format!("`dram.banked.address_mapping`: {name} does not fit"), label, help);
            return None;
        }
        for piece in resolved.iter_mut().filter(|piece| **piece == (field, None)) {
            piece.1 = Some(bits - stated);
        }
    }
    let whole = resolved.into_iter().filter_map(|(field, bits)| Some((field, bits?)));
    Some(whole.filter(|(_, bits)| *bits > 0).collect())
}

/// Closing all banks takes no less time than closing one.
fn check_precharge(keys: &BankedDram, part: &DramPart, dram: &Banked, errors: &mut Errors<'_>) -> Option<()> {
    let (one, all) = (dram.timing.trp, dram.timing.trp_all);
    if one <= all {
        return Some(());
    }
    let key = part.trp_all.as_ref().or(part.trp.as_ref()).map(|at| &at.span);
    let span = key.or(keys.part.as_ref().map(|at| &at.span))?;
    let label = format!("one bank takes {one} cycles, all of them {all}");
    errors.invalid(span, "`dram.banked.part.trp_all` is below `trp`", label, format!("write `trp_all: {one}`"));
    None
}

/// Refreshes must leave time for something else.
fn check_refresh(keys: &BankedDram, part: &DramPart, dram: &Banked, errors: &mut Errors<'_>) -> Option<()> {
    let timing = &dram.timing;
    let closing = timing.cl.max(timing.cwl + dram.burst_cycles + timing.twr) + timing.tras + timing.trp_all;
    let least = timing.trfc + closing + timing.trcd;
    if !dram.refresh || timing.trefi / dram.ranks > least {
        return Some(());
    }
    let key = part.trefi.as_ref().map(|at| &at.span);
    let span = key.or(keys.part.as_ref().map(|at| &at.span))?;
    let label = format!("a refresh takes up to {least} cycles, and {} ranks share {} cycles", dram.ranks, timing.trefi);
    errors.invalid(span, "the DRAM would do nothing but refresh", label, "raise `trefi`, or write `refresh: false`");
    None
}

/// The numbers of the part by their keys.
pub(super) fn numbers(dram: &Banked) -> Vec<(&'static str, u32)> {
    let t = &dram.timing;
    let length = 2 * dram.burst_cycles;
    vec![
        ("bus_bits", dram.burst_bytes / length.max(1) * 8),
        ("burst_length", length),
        ("groups", dram.groups),
        ("banks", dram.banks),
        ("rows", dram.rows),
        ("columns", dram.row_bursts * length),
        ("cl", t.cl),
        ("cwl", t.cwl),
        ("trcd", t.trcd),
        ("trp", t.trp),
        ("trp_all", t.trp_all),
        ("tras", t.tras),
        ("trrd_s", t.trrd_s),
        ("trrd_l", t.trrd_l),
        ("tfaw", t.tfaw),
        ("tccd_s", t.tccd_s),
        ("tccd_l", t.tccd_l),
        ("twtr_s", t.twtr_s),
        ("twtr_l", t.twtr_l),
        ("twr", t.twr),
        ("trtp", t.trtp),
        ("trtrs", t.trtrs),
        ("trefi", t.trefi),
        ("trfc", t.trfc),
    ]
}
