//! Bytes by tables (N-24): `ve.table`, a row of the output at a time.

use super::mutant::{Mutant, on};
use super::work::{VectorKind, VectorWork};

/// Entries of a table, and its bytes.
const ENTRIES: usize = 256;

/// Row `y`.
pub(super) fn row(work: &VectorWork, memory: &[u8], y: usize, out: &mut [u8]) {
    let channels = work.channels as usize;
    let tables = &memory[work.params as usize..][..ENTRIES * work.entries() as usize];
    let flip = if on(Mutant::TableSignedIndex) && work.signed_a { 0x80 } else { 0 };
    let own = work.kind == VectorKind::ChannelTable && !on(Mutant::TableOfFirstChannel);
    for (x, out) in out.chunks_exact_mut(channels).enumerate() {
        let at = work.a + y as u64 * work.pitch[0].row + x as u64 * work.pitch[0].pixel;
        let pixel = out.iter_mut().zip(&memory[at as usize..][..channels]);
        if own {
            let (tables, _) = tables.as_chunks::<ENTRIES>();
            pixel.zip(tables).for_each(|((out, a), table)| *out = table[usize::from(a ^ flip)]);
        } else {
            pixel.for_each(|(out, a)| *out = tables[usize::from(a ^ flip)]);
        }
    }
}
