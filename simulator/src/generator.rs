//! Random machines with random programs, for the proof that both engines agree on everything (`tests/engines.rs`). A function of the seed alone.
//!
//! Programs are sized to their machine, mostly run to the end, and use every row of the instruction table with registers that mean something. What
//! is not here: any judgement of what a program does; only [`Style::Synchronised`] promises that it halts.

mod arrays;
mod builder;
mod draw;
mod faults;
mod footprint;
mod machines;
mod memories;
mod parameters;
mod resize;
mod streams;
mod taps;
mod tokens;
mod transfers;
mod vectors;

use std::collections::BTreeSet;

use systole_machine::isa::{Instruction, Operation, UNITS, Unit, arbitrary};
use systole_machine::spec::Machine;

use self::builder::{Builder, Limits, Step};
use self::draw::Draw;
use self::footprint::{Memory, Room};

/// What kind of program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// Every conflict is ordered by tokens; no trap, no deadlock.
    Synchronised,
    /// The same, but one token is missing: a race, a deadlock, or nothing.
    TokenDropped,
    /// The same with tokens that nobody takes or gives.
    TokensDisturbed,
    /// The same with a few faults of single instructions.
    Faulty,
    /// Hardly any token: units work in places of their own and share banks only.
    Unconnected,
    /// Synchronised, with long transfers and few bursts in flight.
    LongTransfers,
    /// Synchronised, then with the units' instructions in another order between units: no trap, but a queue may fill before the token that it waits for.
    Reordered,
    /// A few large runs on a larger machine: what the fast engine divides among threads and cache blocks.
    Large,
    /// Words drawn from the instruction table without sense.
    Noise,
}

const STYLES: [(u64, Style); 9] = [
    (26, Style::Synchronised),
    (10, Style::TokenDropped),
    (8, Style::TokensDisturbed),
    (16, Style::Faulty),
    (20, Style::Unconnected),
    (12, Style::LongTransfers),
    (10, Style::Reordered),
    (2, Style::Large),
    (2, Style::Noise),
];

/// A program with its machine.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// Its kind.
    pub style: Style,
    /// The machine.
    pub machine: Machine,
    /// The program.
    pub instructions: Vec<Instruction>,
    /// Size of DRAM.
    pub dram_bytes: u64,
    /// What DRAM holds at first: addresses and bytes, in order, not overlapping.
    pub image: Vec<(u64, Vec<u8>)>,
    /// Features that occur in it, for counters.
    pub notes: BTreeSet<&'static str>,
}

impl Case {
    /// The image as engines take it.
    pub fn image(&self) -> Vec<(u64, &[u8])> {
        self.image.iter().map(|(address, bytes)| (*address, bytes.as_slice())).collect()
    }

    /// Whether the generator promises that the program halts.
    pub fn must_halt(&self) -> bool {
        matches!(self.style, Style::Synchronised | Style::Unconnected | Style::LongTransfers | Style::Large)
            && !self.notes.contains("token_max too small")
    }
}

/// The program of a seed.
pub fn case(seed: u64) -> Case {
    let mut draw = Draw::new(seed);
    let style = draw.weighted(&STYLES);
    let mut machine = machines::machine(&mut draw, style);
    let dram_bytes = if style == Style::Large { draw.range(30_000, 200_000) } else { draw.range(64, 6000) };
    let mut dram = dram_contents(&mut draw, dram_bytes);
    let mut builder = Builder::new(&mut draw, &machine, [whole(&machine, dram_bytes); UNITS]);
    builder.rooms = rooms(&mut builder, style, dram_bytes);
    builder.tables = parameters::tables(&mut builder, &mut dram);
    builder.streams = streams::streams(&mut builder, &mut dram);
    builder.limits = match style {
        Style::LongTransfers => Limits { row: 400, ..Limits::default() },
        Style::Large => Limits::large(),
        _ => Limits::default(),
    };
    fill(&mut builder, style);
    let (mut steps, mut notes) = (builder.steps, builder.notes);
    finish(&mut draw, style, &mut machine, &mut steps, dram_bytes, &mut notes);
    let image = segments(&mut draw, &dram);
    let instructions = steps.into_iter().map(|step| step.instruction).collect();
    Case { seed, style, machine, instructions, dram_bytes, image, notes }
}

/// Tokens and faults.
fn finish(
    draw: &mut Draw,
    style: Style,
    machine: &mut Machine,
    steps: &mut [Step],
    dram_bytes: u64,
    notes: &mut BTreeSet<&'static str>,
) {
    let redundant = draw.pick(&[0, 0, 5, 15, 40]);
    if style == Style::Noise {
        return;
    }
    tokens::synchronise(draw, steps, if style == Style::Unconnected { redundant / 4 } else { redundant });
    let pressure = tokens::pressure(steps);
    machine.control.token_max = match draw.range(0, 9) {
        0 if pressure > 1 => {
            notes.insert("token_max too small");
            pressure - 1
        }
        1..5 => pressure,
        _ => machine.control.token_max.max(pressure),
    };
    let tidy = matches!(style, Style::Synchronised | Style::Unconnected | Style::LongTransfers | Style::Large);
    if style == Style::Reordered || (!tidy && draw.chance(30)) {
        faults::reorder(draw, steps);
    }
    match style {
        Style::TokenDropped => faults::drop_token(draw, steps),
        Style::TokensDisturbed => faults::disturb_tokens(draw, steps, machine),
        Style::Faulty => {
            for _ in 0..draw.small(1, 3) {
                match draw.range(0, 17) {
                    0 | 1 => faults::bad_mask(draw, steps),
                    2..=4 => faults::jitter(draw, steps),
                    5..=8 => faults::bad_shape(draw, steps, machine.array.columns),
                    9..=13 => faults::refused(draw, steps),
                    14 => faults::missing_array(draw, steps, machine),
                    _ => faults::push_out(draw, steps, machine, dram_bytes),
                }
            }
            if draw.chance(25) {
                faults::disturb_tokens(draw, steps, machine);
            }
        }
        _ => {}
    }
}

/// All memories.
fn whole(machine: &Machine, dram_bytes: u64) -> Room {
    Room([
        (0, machine.activation.capacity_bytes),
        (0, machine.weight.capacity_bytes),
        (0, machine.accumulator_vectors()),
        (0, dram_bytes),
    ])
}

/// Where each unit works: everywhere, or apart from the others, so that no token is needed while banks are shared.
fn rooms(b: &mut Builder, style: Style, dram_bytes: u64) -> [Room; UNITS] {
    let all = whole(b.machine, dram_bytes);
    let apart = if b.machine.array.count > 1 { 55 } else { 25 };
    if style != Style::Unconnected && !b.draw.chance(apart) {
        return [all; UNITS];
    }
    let mut rooms = [all; UNITS];
    let arrays = arrays_of(b.machine);
    let users = [
        present(b.machine),
        [&[Unit::Load], arrays].concat(),
        [arrays, &[Unit::Vector]].concat(),
        vec![Unit::Load, Unit::Store],
    ];
    for (memory, mut users) in users.into_iter().enumerate() {
        let end = all.0[memory].1;
        b.draw.shuffle(&mut users);
        let mut first = 0;
        for (k, unit) in users.iter().enumerate() {
            let left = users.len() as u64 - k as u64;
            let share = (end - first) / left;
            let length = if left == 1 { end - first } else { b.draw.range(share / 2, share * 3 / 2) };
            rooms[*unit as usize].0[memory] = (first, first + length);
            first += length;
        }
    }
    rooms
}

fn dram_contents(draw: &mut Draw, bytes: u64) -> Vec<u8> {
    (0..bytes).map(|_| draw.bits() as u8).collect()
}

/// The image: DRAM in pieces, with gaps that stay zero.
fn segments(draw: &mut Draw, dram: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut first = 0;
    while first < dram.len() as u64 {
        let end = draw.range(first + 1, dram.len() as u64);
        if draw.chance(85) {
            all.push((first, dram[first as usize..end as usize].to_vec()));
        }
        first = end;
    }
    all
}

#[derive(Clone, Copy)]
enum Content {
    Load,
    Array,
    Vector,
    Store,
    Sync,
    Stray,
}

/// Instructions until there are enough.
fn fill(b: &mut Builder, style: Style) {
    let most = if style == Style::Large { 40 } else { b.draw.pick(&[12, 30, 60, 120]) };
    let count = b.draw.range(5, most) as usize;
    if style == Style::Noise {
        while b.steps.len() < count {
            let instruction = arbitrary::random_instruction(&mut || b.draw.bits());
            b.steps.push(Step { instruction, accesses: Vec::new() });
        }
        return;
    }
    if b.draw.chance(60) {
        prologue(b);
    }
    let even_unsupported = style == Style::Faulty;
    let most = b.machine.vector.float32 || even_unsupported || vectors::own_mode(b.machine).is_some();
    let vectors = if most { 34 } else { 12 };
    let loads = if style == Style::LongTransfers { 45 } else { 28 };
    let mix = [
        (loads, Content::Load),
        (22 + 12 * u64::from(b.machine.array.count - 1), Content::Array),
        (vectors, Content::Vector),
        (loads / 2, Content::Store),
        (9, Content::Sync),
        (4, Content::Stray),
    ];
    while b.steps.len() < count {
        let content = b.draw.weighted(&mix);
        piece(b, content, even_unsupported);
    }
}

fn piece(b: &mut Builder, content: Content, even_unsupported: bool) {
    // On a machine without a decoder it is a fault.
    let decodes = if b.machine.weight_decoder.is_some() { 35 } else { 2 * u64::from(even_unsupported) };
    let pieces = match content {
        Content::Load if b.draw.chance(decodes) => streams::decode(b).into_iter().collect(),
        Content::Load => transfers::load(b).into_iter().collect(),
        Content::Array => arrays::array(b),
        Content::Vector => vectors::vector(b, even_unsupported).unwrap_or_default(),
        Content::Store => transfers::store(b).into_iter().collect(),
        Content::Sync => return sync(b),
        Content::Stray => return stray(b),
    };
    if pieces.is_empty() {
        return sync(b);
    }
    pieces.into_iter().for_each(|piece| b.push(piece));
}

/// Data to begin with: most of both buffers, in long rows.
fn prologue(b: &mut Builder) {
    for (space, memory) in [
        (systole_machine::isa::Space::Activation, Memory::Activation),
        (systole_machine::isa::Space::Weight, weights(b.machine)),
    ] {
        let room = b.rooms[Unit::Load as usize];
        let bytes = room.length(memory).min(room.length(Memory::Dram)).min(30 * b.limits.row);
        if bytes > 0
            && let (Some(dram), Some(buffer)) =
                (b.place(Unit::Load, Memory::Dram, bytes), b.place(Unit::Load, memory, bytes))
        {
            b.push(transfers::load_row(b.machine, dram, buffer, bytes, space));
        }
    }
}

/// The arrays of a machine.
fn arrays_of(machine: &Machine) -> &'static [Unit] {
    &Unit::ARRAYS[..machine.array.count as usize]
}

/// The units of a machine.
fn present(machine: &Machine) -> Vec<Unit> {
    [&[Unit::Load, Unit::Vector, Unit::Store], arrays_of(machine)].concat()
}

/// The memory that holds weights.
fn weights(machine: &Machine) -> Memory {
    if machine.unified { Memory::Activation } else { Memory::Weight }
}

fn sync(b: &mut Builder) {
    let operation = match b.draw.pick(&present(b.machine)) {
        Unit::Load => Operation::LoadSync {},
        Unit::Vector => Operation::VectorSync {},
        Unit::Store => Operation::StoreSync {},
        array => Operation::ArraySync { array: builder::u(array.array().unwrap_or(0) as u64) },
    };
    b.append(operation);
}

/// Configuration that nothing reads: what needs it sets its own.
fn stray(b: &mut Builder) {
    let operation = arbitrary::random_operation(&mut || b.draw.bits());
    let runs = operation.mnemonic().ends_with(".run")
        || matches!(operation, Operation::LoadDecode { .. })
        || !present(b.machine).contains(&operation.unit())
        || (operation.unit() == Unit::Vector && !is_vector_configuration(&operation));
    if runs { sync(b) } else { b.append(operation) }
}

fn is_vector_configuration(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::VectorShape { .. }
            | Operation::VectorPitch { .. }
            | Operation::VectorQuant { .. }
            | Operation::VectorScale { .. }
            | Operation::VectorFixed { .. }
            | Operation::VectorWindow { .. }
            | Operation::VectorNorm { .. }
    )
}
