//! A copy (`layers::boxes`) → items of a load and a store each: the innermost loops are rows and planes of the DMA, the others one item after the other.
//!
//! Loops run in the order of the result's bytes, so that stores never overlap; what a load gathers may lie anywhere.

use crate::error::CompileError;
use crate::layers::boxes::{Move, Piece, Source};
use crate::lower::{Item, Rows, Turn, load, store_rows};
use crate::memory::Place;

/// All that lowering needs to know of a copy.
#[derive(Clone, Copy, Debug)]
pub struct MoveLayer<'a> {
    /// Layer index.
    pub layer: u32,
    /// Its name.
    pub name: &'a str,
    /// What is copied.
    pub copy: &'a Move,
    /// Input.
    pub input: Place,
    /// As long as a row of the output, and full of the fill's value.
    pub fill: Place,
    /// Output.
    pub output: Place,
    /// Regions of the activation buffer, used in turn.
    pub regions: [u64; 2],
    /// Bytes of a region.
    pub region_bytes: u64,
    /// Items at most.
    pub most_items: usize,
}

/// A loop in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Walk {
    count: u64,
    from: u64,
    to: u64,
}

/// Contiguous bytes, and the loops around them, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Nest {
    bytes: u64,
    walks: Vec<Walk>,
}

/// Rows and planes of a DMA run at most, and bytes of a row.
const MOST_ROWS: u64 = (1 << 16) - 1;
const MOST_BYTES: u64 = (1 << 24) - 1;

impl Nest {
    fn of(piece: &Piece, source: &Place, output: &Place) -> Nest {
        let bytes = |steps: &[usize; 4], place: &Place| {
            steps.iter().zip(place.pitches()).map(|(&step, pitch)| step as u64 * pitch).sum::<u64>()
        };
        let walk = |each: &crate::layers::boxes::Loop| Walk {
            count: each.count as u64,
            from: bytes(&each.from, source),
            to: bytes(&each.to, output),
        };
        let mut walks: Vec<Walk> = piece.loops.iter().map(walk).filter(|walk| walk.count > 1).collect();
        walks.sort_by_key(|walk| std::cmp::Reverse(walk.to));
        let mut nest = Nest { bytes: output.element_bytes, walks: vec![] };
        for walk in walks.into_iter().rev() {
            match nest.walks.first_mut() {
                None if walk.from == nest.bytes && walk.to == nest.bytes => nest.bytes *= walk.count,
                // A loop that goes on where the one inside it ends.
                Some(inner) if walk.from == inner.count * inner.from && walk.to == inner.count * inner.to => {
                    inner.count *= walk.count;
                }
                _ => nest.walks.insert(0, walk),
            }
        }
        nest
    }

    /// Cut into parts of at most `room` bytes, with two loops of DMA at most: calls `each` with offsets in source and result.
    fn cut(
        &self,
        room: u64,
        each: &mut dyn FnMut(u64, u64, &Nest) -> Result<(), CompileError>,
    ) -> Result<(), CompileError> {
        let most = |bytes: u64, count: u64| (room / bytes).clamp(1, MOST_ROWS).min(count);
        let Some((outer, inner)) = self.walks.split_first() else {
            let part = self.bytes.min(room).min(MOST_BYTES);
            for first in (0..self.bytes).step_by(part as usize) {
                each(first, first, &Nest { bytes: part.min(self.bytes - first), walks: vec![] })?;
            }
            return Ok(());
        };
        let rest = Nest { bytes: self.bytes, walks: inner.to_vec() };
        let whole = inner.len() < 2
            && self.bytes <= MOST_BYTES
            && rest.total() <= room
            && inner.iter().all(|walk| walk.count <= MOST_ROWS);
        if !whole {
            for index in 0..outer.count {
                rest.cut(room, &mut |from, to, nest| each(index * outer.from + from, index * outer.to + to, nest))?;
            }
            return Ok(());
        }
        let part = most(rest.total(), outer.count);
        for first in (0..outer.count).step_by(part as usize) {
            let mut walks = vec![Walk { count: part.min(outer.count - first), ..*outer }];
            walks.extend(inner);
            each(first * outer.from, first * outer.to, &Nest { bytes: self.bytes, walks })?;
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        self.bytes * self.walks.iter().map(|walk| walk.count).product::<u64>()
    }

    /// The DMA of one side, whose steps `pitch` gives, from or to a dense buffer.
    fn rows(&self, pitch: impl Fn(&Walk) -> u64) -> Rows {
        let mut bytes = self.bytes;
        let mut loops: Vec<(u64, u64)> = self.walks.iter().map(|walk| (walk.count, pitch(walk))).collect();
        while let Some(&(count, step)) = loops.last()
            && step == bytes
            && count * bytes <= MOST_BYTES
        {
            bytes *= count;
            loops.pop();
        }
        let (rows, row_pitch) = loops.pop().unwrap_or((1, 0));
        let (planes, plane_pitch) = loops.pop().unwrap_or((1, 0));
        Rows { row_bytes: bytes, rows, planes, dram: [row_pitch, plane_pitch], buffer: [bytes, rows * bytes] }
    }
}

impl MoveLayer<'_> {
    /// The items of the layer, in order.
    ///
    /// # Errors
    /// More items than allowed, sizes beyond an instruction field.
    pub fn items(&self) -> Result<Vec<Item>, CompileError> {
        let mut items = vec![];
        let mut region = Turn::new(&self.regions);
        for piece in &self.copy.pieces {
            let source = match piece.source {
                Source::Input => &self.input,
                Source::Fill => &self.fill,
            };
            let [from, to] =
                [(source, piece.from), (&self.output, piece.to)].map(|(place, [n, y, x, c])| place.at(n, y, x, c));
            let nest = Nest::of(piece, source, &self.output);
            nest.cut(self.region_bytes, &mut |of_source, of_output, part| {
                if items.len() >= self.most_items {
                    return Err(CompileError::unsupported(
                        self.name,
                        format!(
                            "falls into more than {} copies on this machine; enlarge the buffers or shrink the image",
                            self.most_items
                        ),
                    ));
                }
                items.push(self.item(part, [from + of_source, to + of_output], region.take())?);
                Ok(())
            })?;
        }
        Ok(items)
    }

    fn item(&self, nest: &Nest, [from, to]: [u64; 2], buffer: u64) -> Result<Item, CompileError> {
        let (layer, name) = (self.layer, self.name);
        let mut item = Item::default();
        let space = systole_machine::isa::Space::Activation;
        item.loads.push(load(layer, name, from, buffer, space, &nest.rows(|walk| walk.from))?);
        item.stores.push(store_rows(layer, name, to, buffer, &nest.rows(|walk| walk.to))?);
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nest(bytes: u64, walks: &[(u64, u64, u64)]) -> Nest {
        Nest { bytes, walks: walks.iter().map(|&(count, from, to)| Walk { count, from, to }).collect() }
    }

    /// All bytes of a nest as pairs of source and result.
    fn bytes(nest: &Nest, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut all = vec![(from, to)];
        for walk in &nest.walks {
            all = all
                .iter()
                .flat_map(|&(a, b)| (0..walk.count).map(move |i| (a + i * walk.from, b + i * walk.to)))
                .collect();
        }
        all.iter().flat_map(|&(a, b)| (0..nest.bytes).map(move |i| (a + i, b + i))).collect()
    }

    #[test]
    fn parts_are_the_whole_in_pieces_that_fit() {
        let whole = nest(3, &[(2, 1000, 500), (5, 100, 60), (4, 7, 12), (2, 0, 5)]);
        for room in [1, 2, 3, 7, 20, 30, 64, 1000] {
            let mut all = vec![];
            let mut each = |from, to, part: &Nest| {
                assert!(part.total() <= room && part.walks.len() <= 2, "{part:?} in {room}");
                all.extend(bytes(part, from, to));
                Ok(())
            };
            whole.cut(room, &mut each).expect("no limit");
            assert_eq!(all, bytes(&whole, 0, 0), "{room}");
        }
    }
}
