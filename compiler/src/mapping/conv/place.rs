//! Where the regions of a mapping lie on chip: slots taken in turn, on banks of their own where there are enough.

use systole_machine::spec::{Buffer, Machine};

use super::spread::{Lanes, Spread};

/// Slots of every kind, and whether they are enough for the next pieces of work beside those under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Activation buffer addresses: input, output, parameters.
    pub regions: [Vec<u64>; 3],
    /// Twice as many of them as are in use at the same time.
    pub double_regions: bool,
    /// Weight buffer addresses: of the slots, or of each copy when resident.
    pub weight: Vec<u64>,
    /// All weights stay in the buffer.
    pub resident: bool,
    /// Twice as many weight slots as are in use at the same time.
    pub double_weight: bool,
    /// First accumulator vectors of the slots.
    pub sums: Vec<u64>,
    /// Twice as many of those as arrays in use.
    pub double_sums: bool,
}

/// What a candidate asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// Bytes of an input, output and parameter region.
    pub(super) regions: [u64; 3],
    /// Bytes of all weights, and of the largest part's.
    pub(super) weights: [u64; 2],
    /// Accumulator vectors of a slot.
    pub(super) sums: u64,
    pub(super) lanes: Lanes,
    pub(super) spread: Spread,
}

/// Ways to place it, the best first where nothing but space counts; several only where banks or ports must decide.
pub(super) fn placements(machine: &Machine, need: &Need) -> Vec<Placement> {
    let Some((sums, double_sums)) = sums(machine, need) else { return vec![] };
    let several = machine.unified || need.spread.arrays > 1;
    let mut found = vec![];
    for (regions, double_regions, end) in regions(&machine.activation, need, several) {
        for (weight, resident, double_weight) in weights(machine, need, if machine.unified { end } else { 0 }) {
            let (regions, sums) = (regions.clone(), sums.clone());
            found.push(Placement { regions, double_regions, weight, resident, double_weight, sums, double_sums });
            if !several {
                return found;
            }
        }
        if !machine.unified && !found.is_empty() {
            break;
        }
    }
    found
}

/// One slot for each array that is filled while another is emptied, or one for each; neighbours in different banks.
fn sums(machine: &Machine, need: &Need) -> Option<(Vec<u64>, bool)> {
    let (banks, bank) = (u64::from(machine.accumulator.banks), machine.accumulator_vectors_per_bank());
    [2, 1].into_iter().find_map(|depth| {
        let count = depth * need.spread.arrays as u64;
        let (banks_each, slots_each) = ((banks / count).max(1), count.div_ceil(banks));
        let size = bank * banks_each / slots_each;
        let first = |slot: u64| slot % banks * bank * banks_each + slot / banks * size;
        (need.sums <= size).then(|| ((0..count).map(first).collect(), depth == 2))
    })
}

/// How close regions lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// Each on banks of its own.
    Apart,
    /// The same, but parameters together.
    ParametersTogether,
    /// One after the other.
    Dense,
}

/// Regions, whether there are twice as many as in use, and their end.
type Regions = ([Vec<u64>; 3], bool, u64);

fn regions(buffer: &Buffer, need: &Need, several: bool) -> Vec<Regions> {
    let packings: &[Packing] = if several {
        &[Packing::Apart, Packing::ParametersTogether, Packing::Dense]
    } else {
        &[Packing::Apart, Packing::Dense]
    };
    let tried = [2, 1].into_iter().flat_map(|depth| packings.iter().map(move |&packing| (depth, packing)));
    tried.filter_map(|(depth, packing)| regions_at(buffer, need, depth, packing)).collect()
}

fn regions_at(buffer: &Buffer, need: &Need, depth: usize, packing: Packing) -> Option<Regions> {
    let bank = buffer.bank_bytes();
    let (mut next, mut end) = (0, 0);
    let mut regions: [Vec<u64>; 3] = Default::default();
    for (kind, slots) in regions.iter_mut().enumerate() {
        let size = need.regions[kind];
        let own_banks = match packing {
            Packing::Apart => true,
            Packing::ParametersTogether => kind != 2,
            Packing::Dense => false,
        };
        for _ in 0..depth * need.lanes.activation[kind] {
            slots.push(next);
            end = next + size;
            next += if own_banks { size.div_ceil(bank) * bank } else { size };
        }
    }
    (next <= buffer.capacity_bytes).then_some((regions, depth == 2, end))
}

/// Addresses, whether they hold all weights, and whether there are twice as many as in use.
type Weights = (Vec<u64>, bool, bool);

/// From the bank after the activations' last where there is room, otherwise from their end.
fn weights(machine: &Machine, need: &Need, from: u64) -> Vec<Weights> {
    let buffer = &machine.weight;
    let aligned = weights_from(buffer, need, from.next_multiple_of(buffer.bank_bytes().max(1)));
    if aligned.is_empty() { weights_from(buffer, need, from) } else { aligned }
}

fn weights_from(buffer: &Buffer, need: &Need, from: u64) -> Vec<Weights> {
    let Some(room) = buffer.capacity_bytes.checked_sub(from) else { return vec![] };
    let bank = buffer.bank_bytes().max(1);
    let [all, largest] = need.weights;
    let at = |count: u64, size: u64| (0..count).map(|slot| from + slot * size).collect::<Vec<u64>>();
    let mut ways = vec![];
    let copies = need.spread.weight_copies() as u64;
    if all * copies <= room {
        let in_banks = all.next_multiple_of(bank);
        ways.push((at(copies, if in_banks * copies <= room { in_banks } else { all }), true, true));
    }
    let slots = [2, 1].into_iter().find_map(|depth| {
        let count = depth * need.lanes.weight as u64;
        let (in_banks, even) = (room / bank / count * bank, room / count);
        let size = if largest <= in_banks { in_banks } else { even };
        (largest <= size).then(|| (at(count, size), false, depth == 2))
    });
    ways.extend(slots);
    ways
}
