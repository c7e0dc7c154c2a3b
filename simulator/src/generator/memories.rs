//! Random banked DRAMs: few and short rows, so that small programs meet all that can happen.

use systole_machine::spec::{Banked, DramTiming, Field};

use super::draw::Draw;

/// No generated program has more DRAM.
const CAPACITY_BYTES: u64 = 1 << 18;

/// A DRAM beside a core of this clock.
pub(super) fn banked(draw: &mut Draw, core_hz: u64) -> Banked {
    let part = Geometry {
        channels: draw.pick(&[1, 1, 2, 4]),
        ranks: draw.pick(&[1, 1, 2]),
        groups: draw.pick(&[1, 2, 4]),
        banks: draw.pick(&[1, 2, 4]),
        row_bursts: draw.pick(&[1, 2, 4, 8, 32]),
        burst_bytes: draw.pick(&[4, 8, 16, 32, 64]),
    };
    let of_a_row = [part.channels, part.ranks, part.groups, part.banks, part.row_bursts, part.burst_bytes];
    let rows = (CAPACITY_BYTES / of_a_row.into_iter().map(u64::from).product::<u64>()).max(1) as u32;
    let burst_cycles = draw.range(1, 8) as u32;
    let mut timing = timing(draw);
    timing.trefi = refresh_interval(draw, &timing, burst_cycles) * part.ranks;
    Banked {
        preset: "generated".into(),
        clock_hz: clock(draw, core_hz),
        channels: part.channels,
        ranks: part.ranks,
        groups: part.groups,
        banks: part.banks,
        rows,
        row_bursts: part.row_bursts,
        burst_bytes: part.burst_bytes,
        burst_cycles,
        timing,
        mapping: mapping(draw, &part, rows),
        closed_page: draw.chance(30),
        refresh: draw.chance(60),
        queue_depth: draw.pick(&[1, 2, 2, 3, 4, 8, 32]),
    }
}

struct Geometry {
    channels: u32,
    ranks: u32,
    groups: u32,
    banks: u32,
    row_bursts: u32,
    burst_bytes: u32,
}

/// From a quarter of the core's clock to four times that, even or not.
fn clock(draw: &mut Draw, core_hz: u64) -> u64 {
    let hz = match draw.range(0, 5) {
        0 => core_hz,
        1 => core_hz * 2,
        2 => core_hz / 2,
        3 => core_hz * 3 / 2,
        _ => draw.range(core_hz.div_ceil(4), core_hz * 4),
    };
    hz.max(1)
}

fn timing(draw: &mut Draw) -> DramTiming {
    let long = draw.chance(40);
    let mut cycles = |most: u64| draw.range(0, if long { most } else { most / 4 }) as u32;
    let trp = cycles(20);
    DramTiming {
        cl: cycles(20),
        cwl: cycles(20),
        trcd: cycles(20),
        trp,
        trp_all: trp + cycles(8),
        tras: cycles(45),
        trrd_s: cycles(8),
        trrd_l: cycles(12),
        tfaw: cycles(60),
        tccd_s: cycles(8),
        tccd_l: cycles(12),
        twtr_s: cycles(8),
        twtr_l: cycles(16),
        twr: cycles(24),
        trtp: cycles(12),
        trtrs: cycles(4),
        trefi: 0,
        trfc: cycles(60),
    }
}

/// Short enough that small programs meet refreshes, long enough that they end.
fn refresh_interval(draw: &mut Draw, timing: &DramTiming, burst_cycles: u32) -> u32 {
    let closing = timing.cl.max(timing.cwl + burst_cycles + timing.twr) + timing.tras + timing.trp_all;
    let least = timing.trfc + closing + timing.trcd + 1;
    least + draw.range(10, 400) as u32
}

/// Fields in any order, some in two pieces; the row at the top more often than not.
fn mapping(draw: &mut Draw, part: &Geometry, rows: u32) -> Vec<(Field, u32)> {
    let mut pieces = Vec::new();
    let fields = [
        (Field::Column, part.row_bursts),
        (Field::Bank, part.banks),
        (Field::Group, part.groups),
        (Field::Rank, part.ranks),
        (Field::Channel, part.channels),
        (Field::Row, rows),
    ];
    for (field, count) in fields {
        let bits = count.trailing_zeros();
        let low = if draw.chance(30) { draw.range(0, bits.into()) as u32 } else { 0 };
        pieces.extend([(field, low), (field, bits - low)].into_iter().filter(|(_, bits)| *bits > 0));
    }
    draw.shuffle(&mut pieces);
    if draw.chance(60) {
        pieces.sort_by_key(|(field, _)| *field != Field::Row);
    }
    pieces
}
