//! Huffman codes of at most 15 bits over bytes, in the canonical form of N-29: shorter words first, among equals smaller symbols first.

/// Bits of the longest word.
const LONGEST: usize = 15;
/// Bytes of a code without symbols.
pub(super) const COUNTS: usize = LONGEST;

/// A code.
pub(super) struct Code {
    /// By symbol: word and length; length 0 where it does not occur.
    words: [(u16, u8); 256],
    /// In the order of their words.
    symbols: Vec<u8>,
    /// By length, from 1.
    counts: [u8; LONGEST],
}

impl Code {
    /// The shortest one for symbols that occur so often.
    pub(super) fn of(counts: &[u64; 256]) -> Self {
        let lengths = lengths(counts);
        let mut symbols: Vec<u8> = (0..=255).filter(|&symbol| lengths[usize::from(symbol)] > 0).collect();
        symbols.sort_by_key(|&symbol| (lengths[usize::from(symbol)], symbol));
        let mut code = Code { words: [(0, 0); 256], symbols, counts: [0; LONGEST] };
        let (mut word, mut before) = (0u32, 0);
        for &symbol in &code.symbols {
            let length = lengths[usize::from(symbol)];
            word <<= length - before;
            code.words[usize::from(symbol)] = (word as u16, length);
            code.counts[usize::from(length) - 1] += 1;
            (word, before) = (word + 1, length);
        }
        code
    }

    /// Word and length of a symbol that occurs.
    pub(super) fn word(&self, symbol: u8) -> (u16, u8) {
        self.words[usize::from(symbol)]
    }

    /// Bits of all symbols that were counted.
    pub(super) fn bits(&self, counts: &[u64; 256]) -> u64 {
        counts.iter().zip(&self.words).map(|(count, &(_, length))| count * u64::from(length)).sum()
    }

    /// Bytes in a stream's header.
    pub(super) fn header_bytes(&self) -> usize {
        COUNTS + self.symbols.len()
    }

    pub(super) fn write_header(&self, out: &mut Vec<u8>) {
        out.extend(self.counts);
        out.extend(&self.symbols);
    }
}

/// A set of symbols that package-merge may take, and how often they occur in all.
#[derive(Clone)]
struct Package {
    occurrences: u64,
    /// How often each symbol is in it.
    symbols: Vec<u8>,
}

/// The length of each symbol's word, by package-merge (Larmore and Hirschberg 1990).
fn lengths(counts: &[u64; 256]) -> [u8; 256] {
    let mut lengths = [0; 256];
    let mut single: Vec<(u64, u8)> =
        (0..=255).map(|symbol| (counts[usize::from(symbol)], symbol)).filter(|entry| entry.0 > 0).collect();
    single.sort_unstable();
    if let [(_, symbol)] = single[..] {
        lengths[usize::from(symbol)] = 1;
        return lengths;
    }
    let packages: Vec<Package> =
        single.iter().map(|&(occurrences, symbol)| Package { occurrences, symbols: vec![symbol] }).collect();
    let mut list = packages.clone();
    for _ in 1..LONGEST {
        let pairs = list.chunks_exact(2).map(|pair| Package {
            occurrences: pair[0].occurrences + pair[1].occurrences,
            symbols: [&pair[0].symbols[..], &pair[1].symbols].concat(),
        });
        // A stable sort: symbols before packages as rare.
        list = packages.iter().cloned().chain(pairs).collect();
        list.sort_by_key(|package| package.occurrences);
    }
    for package in list.iter().take((2 * single.len()).saturating_sub(2)) {
        package.symbols.iter().for_each(|&symbol| lengths[usize::from(symbol)] += 1);
    }
    spread_even(&mut lengths, &single);
    lengths
}

/// A header's count is a byte: 256 words of eight bits, the one case beyond it, become one of seven, two of nine, the others of eight.
fn spread_even(lengths: &mut [u8; 256], single: &[(u64, u8)]) {
    if lengths.iter().all(|&length| length == 8)
        && let [(_, rare), (_, rarer), .., (_, frequent)] = *single
    {
        lengths[usize::from(frequent)] = 7;
        lengths[usize::from(rare)] = 9;
        lengths[usize::from(rarer)] = 9;
    }
}
