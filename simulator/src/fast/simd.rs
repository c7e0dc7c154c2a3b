//! The inner loops in 256-bit integer SIMD where the processor has it, and the same in portable code: one face, equal results.
//!
//! The only file of the crate with `unsafe`: calls into code compiled for AVX2 after its detection, and unaligned vector loads and stores.
#![allow(unsafe_code, reason = "vector intrinsics; every block states why it is sound")]

/// Rows of a tile of the product.
pub(super) const TILE_ROWS: usize = 6;
/// Columns of a tile of the product, and of a weight panel.
pub(super) const TILE_COLUMNS: usize = 16;

/// How a byte becomes an operand: `((byte & keep) ^ flip) − minus`, modulo 2^16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decode {
    pub(super) keep: u8,
    pub(super) flip: u8,
    pub(super) minus: i16,
}

impl Decode {
    #[inline(always)]
    pub(super) fn apply(self, byte: u8) -> i16 {
        i16::from((byte & self.keep) ^ self.flip).wrapping_sub(self.minus)
    }
}

/// Which code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// The best that this processor has.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Level::Avx2;
        }
        Level::Portable
    }
}

/// Runs `work` compiled for the level: loops in closures marked `#[inline(always)]` get its vector instructions.
#[inline]
pub(super) fn with_level<T>(level: Level, work: impl FnOnce() -> T) -> T {
    match level {
        Level::Portable => work(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx2` is made only by `detect`, which has found AVX2.
        Level::Avx2 => unsafe { x86::with_avx2(work) },
    }
}

/// A tile of the product: `sums[row][column] (+)= Σ_k a[row·stride + k] · weights[k/2][column][k%2]`, modulo 2^32, k over `2·pairs`.
/// `sums` has `TILE_COLUMNS` columns and `rows` ≤ `TILE_ROWS` rows, `sum_stride` words apart.
pub(super) struct Tile<'a> {
    pub(super) a: &'a [i16],
    pub(super) stride: usize,
    pub(super) weights: &'a [i16],
    pub(super) pairs: usize,
    pub(super) rows: usize,
    pub(super) add: bool,
}

impl Tile<'_> {
    /// Adds to or sets the sums.
    #[inline]
    pub(super) fn multiply(&self, level: Level, sums: &mut [i32], sum_stride: usize) {
        assert!((1..=TILE_ROWS).contains(&self.rows));
        assert!(self.a.len() >= (self.rows - 1) * self.stride + 2 * self.pairs);
        assert!(self.weights.len() >= 2 * TILE_COLUMNS * self.pairs);
        assert!(sums.len() >= (self.rows - 1) * sum_stride + TILE_COLUMNS);
        match level {
            Level::Portable => self.portable(sums, sum_stride),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Level::Avx2` is made only by `detect`; the slices are as long as asserted above.
            Level::Avx2 => unsafe {
                match self.rows {
                    1 => x86::tile::<1>(self, sums, sum_stride),
                    2 => x86::tile::<2>(self, sums, sum_stride),
                    3 => x86::tile::<3>(self, sums, sum_stride),
                    4 => x86::tile::<4>(self, sums, sum_stride),
                    5 => x86::tile::<5>(self, sums, sum_stride),
                    _ => x86::tile::<6>(self, sums, sum_stride),
                }
            },
        }
    }

    fn portable(&self, sums: &mut [i32], sum_stride: usize) {
        for row in 0..self.rows {
            let sums = &mut sums[row * sum_stride..][..TILE_COLUMNS];
            if !self.add {
                sums.fill(0);
            }
            let a = self.a[row * self.stride..][..2 * self.pairs].chunks_exact(2);
            for (a, weights) in a.zip(self.weights.chunks_exact(2 * TILE_COLUMNS)) {
                let (a0, a1) = (i32::from(a[0]), i32::from(a[1]));
                for (sum, w) in sums.iter_mut().zip(weights.chunks_exact(2)) {
                    let pair = (a0 * i32::from(w[0])).wrapping_add(a1 * i32::from(w[1]));
                    *sum = sum.wrapping_add(pair);
                }
            }
        }
    }
}

/// Interleaves two weight rows of 16 bytes: `out[2c + i] = decode(row_i[c])`.
#[inline]
pub(super) fn interleave(
    level: Level,
    rows: [&[u8; TILE_COLUMNS]; 2],
    decode: Decode,
    out: &mut [i16; 2 * TILE_COLUMNS],
) {
    match level {
        Level::Portable => {
            for (column, pair) in out.chunks_exact_mut(2).enumerate() {
                (pair[0], pair[1]) = (decode.apply(rows[0][column]), decode.apply(rows[1][column]));
            }
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::Avx2` is made only by `detect`; the arrays have the lengths that are read and written.
        Level::Avx2 => unsafe { x86::interleave(rows, decode, out) },
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Decode, TILE_COLUMNS, Tile};
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    /// # Safety
    /// The processor has AVX2; `tile` and `sums` are as long as [`Tile::multiply`] asserts; `tile.rows == R`.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn tile<const R: usize>(tile: &Tile, sums: &mut [i32], sum_stride: usize) {
        let mut acc = [[_mm256_setzero_si256(); 2]; R];
        let (a, weights, sums) = (tile.a.as_ptr(), tile.weights.as_ptr(), sums.as_mut_ptr());
        // SAFETY: row r < R of `sums` has 16 words from r·sum_stride on; row r of `a` 2·pairs entries from r·stride on; `weights` has
        // 32 entries for each pair. All accesses are unaligned ones.
        unsafe {
            if tile.add {
                for (r, acc) in acc.iter_mut().enumerate() {
                    let row = sums.add(r * sum_stride).cast::<__m256i>();
                    *acc = [_mm256_loadu_si256(row), _mm256_loadu_si256(row.add(1))];
                }
            }
            for pair in 0..tile.pairs {
                let panel = weights.add(2 * TILE_COLUMNS * pair).cast::<__m256i>();
                let (w0, w1) = (_mm256_loadu_si256(panel), _mm256_loadu_si256(panel.add(1)));
                for (r, acc) in acc.iter_mut().enumerate() {
                    let x = _mm256_set1_epi32(a.add(r * tile.stride + 2 * pair).cast::<i32>().read_unaligned());
                    // Two products of 16-bit numbers wrap only in −32768² + −32768², to what is right modulo 2^32.
                    acc[0] = _mm256_add_epi32(acc[0], _mm256_madd_epi16(x, w0));
                    acc[1] = _mm256_add_epi32(acc[1], _mm256_madd_epi16(x, w1));
                }
            }
            for (r, acc) in acc.iter().enumerate() {
                let row = sums.add(r * sum_stride).cast::<__m256i>();
                _mm256_storeu_si256(row, acc[0]);
                _mm256_storeu_si256(row.add(1), acc[1]);
            }
        }
    }

    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn interleave(rows: [&[u8; TILE_COLUMNS]; 2], decode: Decode, out: &mut [i16; 2 * TILE_COLUMNS]) {
        let (keep, flip) = (_mm_set1_epi8(decode.keep as i8), _mm_set1_epi8(decode.flip as i8));
        let minus = _mm256_set1_epi16(decode.minus);
        // SAFETY: the rows have 16 bytes, `out` has 64 bytes; unaligned accesses.
        unsafe {
            let row = |bytes: &[u8; TILE_COLUMNS]| {
                let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
                _mm_xor_si128(_mm_and_si128(bytes, keep), flip)
            };
            let (first, second) = (row(rows[0]), row(rows[1]));
            let wide = |bytes| _mm256_sub_epi16(_mm256_cvtepu8_epi16(bytes), minus);
            let out = out.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(out, wide(_mm_unpacklo_epi8(first, second)));
            _mm256_storeu_si256(out.add(1), wide(_mm_unpackhi_epi8(first, second)));
        }
    }
}
