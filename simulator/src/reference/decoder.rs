//! N-29: the decoder of compressed weights, a state machine that takes a bit at a time. It holds no more of a stream than its two codes.

/// The place of a code in the stream: runs come first.
const RUNS: usize = 0;
const VALUES: usize = 1;
/// Bits of the longest word.
const LONGEST: usize = 15;

/// How many words of each length, and what they mean in order.
#[derive(Default)]
struct Code {
    counts: Vec<i64>,
    symbols: Vec<u8>,
}

impl Code {
    fn words(&self) -> i64 {
        self.counts.iter().sum()
    }
}

/// What the next byte of the stream is.
enum Expects {
    Fill,
    /// A number of words of the code.
    Count(usize),
    /// A symbol of the code.
    Symbol(usize),
    /// Eight bits.
    Words,
    /// Nothing: what is wanted now is fill.
    Nothing,
}

/// The word that is being read: of a code, the bits so far, and `first` and the words before it by N-29.
#[derive(Clone, Copy)]
struct Word {
    code: usize,
    length: usize,
    bits: i64,
    first: i64,
    before: i64,
}

impl Word {
    fn of(code: usize) -> Self {
        Word { code, length: 0, bits: 0, first: 0, before: 0 }
    }
}

/// The decoder in the midst of a stream.
pub(super) struct Decoder {
    expects: Expects,
    fill: u8,
    codes: [Code; 2],
    word: Word,
    /// Bytes still to come out.
    wanted: i64,
}

impl Decoder {
    /// For a stream of which `wanted` bytes are to come.
    pub(super) fn new(wanted: i64) -> Self {
        Decoder {
            expects: Expects::Fill,
            fill: 0,
            codes: [Code::default(), Code::default()],
            word: Word::of(VALUES),
            wanted,
        }
    }

    /// Takes a byte; what comes out of it.
    pub(super) fn take(&mut self, byte: u8) -> Vec<u8> {
        let mut out = Vec::new();
        match self.expects {
            Expects::Fill => {
                self.fill = byte;
                self.expects = Expects::Count(RUNS);
            }
            Expects::Count(code) => {
                self.codes[code].counts.push(byte.into());
                if self.codes[code].counts.len() == LONGEST {
                    self.expects = if self.codes[code].words() > 0 { Expects::Symbol(code) } else { self.after(code) };
                }
            }
            Expects::Symbol(code) => {
                self.codes[code].symbols.push(byte);
                if self.codes[code].symbols.len() as i64 == self.codes[code].words() {
                    self.expects = self.after(code);
                }
            }
            Expects::Words => {
                for bit in (0..8).rev() {
                    self.bit(byte >> bit & 1, &mut out);
                }
            }
            Expects::Nothing => {}
        }
        out
    }

    /// The stream is over: the rest.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.emit(self.fill, self.wanted, &mut out);
        out
    }

    /// What follows a code in the header.
    fn after(&mut self, code: usize) -> Expects {
        if code == RUNS {
            return Expects::Count(VALUES);
        }
        self.word = Word::of(self.code_of_next());
        Expects::Words
    }

    /// A run comes before a value, where there are runs.
    fn code_of_next(&self) -> usize {
        if self.codes[RUNS].symbols.is_empty() { VALUES } else { RUNS }
    }

    fn bit(&mut self, bit: u8, out: &mut Vec<u8>) {
        if self.wanted == 0 || matches!(self.expects, Expects::Nothing) {
            return;
        }
        let word = &mut self.word;
        let code = &self.codes[word.code];
        let count = code.counts[word.length];
        word.length += 1;
        word.bits = 2 * word.bits + i64::from(bit);
        if word.bits < word.first + count {
            let symbol = code.symbols[(word.before + word.bits - word.first) as usize];
            return self.symbol(symbol, out);
        }
        word.before += count;
        word.first = 2 * (word.first + count);
        if word.length == LONGEST {
            self.expects = Expects::Nothing;
        }
    }

    fn symbol(&mut self, symbol: u8, out: &mut Vec<u8>) {
        if self.word.code == VALUES {
            self.emit(symbol, 1, out);
            self.word = Word::of(self.code_of_next());
        } else {
            self.emit(self.fill, symbol.into(), out);
            self.word = Word::of(if symbol == 255 { RUNS } else { VALUES });
        }
    }

    /// As many copies of a byte as are wanted of `count`.
    fn emit(&mut self, byte: u8, count: i64, out: &mut Vec<u8>) {
        let count = count.min(self.wanted);
        self.wanted -= count;
        out.extend((0..count).map(|_| byte));
    }
}
