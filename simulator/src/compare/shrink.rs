//! A smaller program that still fails.

use systole_machine::isa::Instruction;

/// Takes instructions away while `fails` says that what is left still fails, in at most `budget` trials: first from the end, in halves, then
/// everywhere, in pieces that get smaller, down to single ones.
pub fn shrink(
    instructions: &[Instruction],
    mut fails: impl FnMut(&[Instruction]) -> bool,
    budget: usize,
) -> Vec<Instruction> {
    let mut kept = instructions.to_vec();
    let mut trials = 0..budget;
    let mut length = kept.len() / 2;
    while length > 0 && trials.next().is_some() {
        let shorter = &kept[..kept.len() - length.min(kept.len())];
        if fails(shorter) {
            kept = shorter.to_vec();
            length = length.min(kept.len());
        } else {
            length /= 2;
        }
    }
    let mut piece = (kept.len() / 2).max(1);
    loop {
        let mut removed = false;
        let mut at = 0;
        while at < kept.len() {
            if trials.next().is_none() {
                return kept;
            }
            let end = (at + piece).min(kept.len());
            let shorter: Vec<Instruction> = kept[..at].iter().chain(&kept[end..]).copied().collect();
            if fails(&shorter) {
                (kept, removed) = (shorter, true);
            } else {
                at = end;
            }
        }
        if piece == 1 && !removed {
            return kept;
        }
        piece = (piece / 2).max(1);
    }
}
