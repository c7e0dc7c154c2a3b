//! The kernels in vector code against those in portable code, on random and on extreme operands.

use super::Random;
use crate::fast::simd::{Decode, Level, TILE_COLUMNS, TILE_ROWS, Tile, interleave};

fn operands(random: &mut Random, count: usize, extreme: bool) -> Vec<i16> {
    let pick = |random: &mut Random| {
        if extreme { [i16::MIN, i16::MAX, -1][random.range(0, 2) as usize] } else { random.next() as i16 }
    };
    (0..count).map(|_| pick(random)).collect()
}

#[test]
fn tiles_agree() {
    let level = Level::detect();
    if level == Level::Portable {
        eprintln!("no vector code on this processor: nothing to compare");
        return;
    }
    let mut random = Random(1);
    for case in 0..600 {
        let (rows, pairs) = (1 + case % TILE_ROWS, random.range(0, 40) as usize);
        let stride = 2 * pairs + random.range(0, 3) as usize;
        let sum_stride = TILE_COLUMNS + random.range(0, 5) as usize;
        let a = operands(&mut random, rows * stride + 2, case % 2 == 1);
        let weights = operands(&mut random, 2 * TILE_COLUMNS * pairs, case % 3 == 1);
        let mut sums: Vec<i32> = (0..TILE_ROWS * sum_stride).map(|_| random.next() as i32).collect();
        let mut other = sums.clone();
        let tile = Tile { a: &a, stride, weights: &weights, pairs, rows, add: random.flag() };
        tile.multiply(level, &mut sums, sum_stride);
        tile.multiply(Level::Portable, &mut other, sum_stride);
        assert_eq!(sums, other, "case {case}");
    }
}

#[test]
fn the_portable_tile_is_right_modulo_2_32() {
    let a = [i16::MIN; 4];
    let weights = [i16::MIN; 4 * TILE_COLUMNS];
    let mut sums = [7; TILE_COLUMNS];
    let tile = Tile { a: &a, stride: 4, weights: &weights, pairs: 2, rows: 1, add: true };
    // 4 · 2^30 = 2^32.
    tile.multiply(Level::Portable, &mut sums, TILE_COLUMNS);
    assert_eq!(sums, [7; TILE_COLUMNS]);
}

#[test]
fn interleaving_agrees() {
    let mut random = Random(2);
    for _ in 0..200 {
        let mut row = || std::array::from_fn(|_| random.next() as u8);
        let rows: [[u8; TILE_COLUMNS]; 2] = [row(), row()];
        let decode = Decode { keep: [0xff, 0][row()[0] as usize % 2], flip: row()[0], minus: i16::from(row()[1]) << 7 };
        let (mut one, mut two) = ([0; 2 * TILE_COLUMNS], [0; 2 * TILE_COLUMNS]);
        interleave(Level::detect(), [&rows[0], &rows[1]], decode, &mut one);
        interleave(Level::Portable, [&rows[0], &rows[1]], decode, &mut two);
        assert_eq!(one, two);
        assert_eq!(one[7], decode.apply(rows[1][3]));
    }
}
