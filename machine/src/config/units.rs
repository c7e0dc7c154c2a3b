//! Quantities with units, read and written exactly: decimals are integers with a power of ten, never floats.
//!
//! Knows prefixes and factors; which units a key takes is said by the value types (`values`).

/// The units of one kind of quantity: name and size in base units, ascending.
pub(crate) struct Units {
    /// What is measured, for messages: "a frequency".
    pub(crate) kind: &'static str,
    /// A value as one would write it.
    pub(crate) example: &'static str,
    /// The base unit, for messages about fractions of it.
    pub(crate) base: &'static str,
    /// Name and factor, the base unit's factor being 1.
    pub(crate) table: &'static [(&'static str, u128)],
}

const THOUSAND: u128 = 1_000;
const MILLION: u128 = 1_000_000;
const BILLION: u128 = 1_000_000_000;
const TRILLION: u128 = 1_000_000_000_000;

/// Sizes, in bytes.
pub(crate) const BYTES: Units = Units {
    kind: "a size",
    example: "256 KiB",
    base: "byte",
    table: &[
        ("B", 1),
        ("kB", THOUSAND),
        ("KiB", 1 << 10),
        ("MB", MILLION),
        ("MiB", 1 << 20),
        ("GB", BILLION),
        ("GiB", 1 << 30),
    ],
};

/// Frequencies, in hertz.
pub(crate) const FREQUENCY: Units = Units {
    kind: "a frequency",
    example: "800 MHz",
    base: "hertz",
    table: &[("Hz", 1), ("kHz", THOUSAND), ("MHz", MILLION), ("GHz", BILLION)],
};

/// Bandwidths, in bytes a second.
pub(crate) const BANDWIDTH: Units = Units {
    kind: "a bandwidth",
    example: "12.8 GB/s",
    base: "byte a second",
    table: &[
        ("B/s", 1),
        ("kB/s", THOUSAND),
        ("KiB/s", 1 << 10),
        ("MB/s", MILLION),
        ("MiB/s", 1 << 20),
        ("GB/s", BILLION),
        ("GiB/s", 1 << 30),
        ("TB/s", TRILLION),
    ],
};

/// Times, in picoseconds.
pub(crate) const TIME: Units = Units {
    kind: "a time",
    example: "100 ns",
    base: "picosecond",
    table: &[
        ("ps", 1),
        ("ns", THOUSAND),
        ("us", MILLION),
        ("\u{b5}s", MILLION),
        ("\u{3bc}s", MILLION),
        ("ms", BILLION),
        ("s", TRILLION),
    ],
};

/// Durations in core-clock cycles.
pub(crate) const CYCLES: Units = Units {
    kind: "a number of core-clock cycles",
    example: "4 cycles",
    base: "cycle",
    table: &[("cycles", 1), ("cycle", 1)],
};

/// Widths of words, in bits.
pub(crate) const BITS: Units =
    Units { kind: "a width in bits", example: "32 bit", base: "bit", table: &[("bit", 1), ("bits", 1)] };

/// Rates of a processing element, in thousandths of a multiply-accumulate a cycle.
pub(crate) const RATE: Units = Units {
    kind: "a rate",
    example: "1 MAC/cycle",
    base: "thousandth of a MAC/cycle",
    table: &[("MAC/cycle", THOUSAND)],
};

/// Energies, in attojoules; read as picojoules in double precision ([`Units::parse_f64`]).
pub(crate) const ENERGY: Units = Units {
    kind: "an energy",
    example: "0.2 pJ",
    base: "attojoule",
    table: &[("aJ", 1), ("fJ", THOUSAND), ("pJ", MILLION), ("nJ", BILLION)],
};

/// Energies per byte, as [`ENERGY`].
pub(crate) const ENERGY_PER_BYTE: Units = Units {
    kind: "an energy per byte",
    example: "1.2 pJ/B",
    base: "attojoule a byte",
    table: &[("aJ/B", 1), ("fJ/B", THOUSAND), ("pJ/B", MILLION), ("nJ/B", BILLION)],
};

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QuantityError {
    /// Does not start with a plain decimal number.
    NoNumber,
    /// Below zero.
    Negative,
    /// With a power of ten.
    Exponent,
    /// More digits than any quantity needs.
    TooLong,
    /// A number alone.
    NoUnit,
    /// A unit that this quantity does not have, and the one that was probably meant.
    WrongUnit {
        /// As written.
        unit: String,
        /// The remedy.
        meant: Option<&'static str>,
    },
    /// Not a whole number of base units.
    Fraction,
}

/// A decimal number: `digits / 10^decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u128,
    decimals: u32,
}

/// Significant digits read; keeps every product below 2^127.
const MAX_DIGITS: usize = 25;

/// Characters of a number read: the longest shortest form of a double fits.
const MAX_NUMBER: usize = 400;

impl Units {
    /// `text` in base units.
    pub(crate) fn parse(&self, text: &str) -> Result<u128, QuantityError> {
        let (number, factor) = self.split(text)?;
        number.times(factor).ok_or(QuantityError::Fraction)
    }

    /// `text` in millions of base units, rounded once to double precision. For tables of powers of ten.
    pub(crate) fn parse_f64(&self, text: &str) -> Result<f64, QuantityError> {
        let (number, factor) = self.split(text)?;
        let exponent = i64::from(factor.ilog10()) - i64::from(number.decimals) - 6;
        format!("{}e{exponent}", number.digits).parse().map_err(|_| QuantityError::NoNumber)
    }

    /// The number and the factor of its unit.
    fn split(&self, text: &str) -> Result<(Decimal, u128), QuantityError> {
        let (number, unit) = split(text.trim())?;
        if unit.is_empty() {
            return Err(QuantityError::NoUnit);
        }
        match self.table.iter().find(|(name, _)| *name == unit) {
            Some(&(_, factor)) => Ok((number, factor)),
            None => Err(QuantityError::WrongUnit { unit: unit.to_owned(), meant: self.meant(unit) }),
        }
    }

    /// The unit that somebody who wrote `unit` probably had in mind.
    fn meant(&self, unit: &str) -> Option<&'static str> {
        let lower = unit.to_lowercase();
        let names = || self.table.iter().map(|(name, _)| *name);
        // "K", "M", "G" alone are read as binary prefixes, which is what on-chip memories have.
        let binary = format!("{}ib", lower.trim_end_matches('b'));
        names()
            .find(|name| name.to_lowercase() == lower)
            .or_else(|| names().find(|name| name.to_lowercase() == binary))
            .or_else(|| names().find(|name| name.to_lowercase().starts_with(&lower)))
    }

    /// Names of all units, one for each factor, for messages.
    pub(crate) fn names(&self) -> String {
        let mut names = self.table.to_vec();
        names.dedup_by_key(|(_, factor)| *factor);
        names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// `value` base units in the largest unit of `names` not above it, exactly.
    pub(crate) fn write(&self, value: u128, names: &[&str]) -> String {
        let mut chosen = self.table.first().copied().unwrap_or(("", 1));
        for &(name, factor) in self.table {
            if names.contains(&name) && factor <= value {
                chosen = (name, factor);
            }
        }
        format!("{} {}", decimal(value, chosen.1), chosen.0)
    }
}

impl Decimal {
    /// `self × factor`, if that is a whole number.
    fn times(self, factor: u128) -> Option<u128> {
        let product = self.digits.checked_mul(factor)?;
        let scale = 10u128.checked_pow(self.decimals)?;
        product.is_multiple_of(scale).then_some(product / scale)
    }
}

/// `value / factor` in decimal digits; exact for the powers of ten and of two of the tables.
fn decimal(value: u128, factor: u128) -> String {
    let mut text = (value / factor).to_string();
    let mut rest = value % factor;
    if rest > 0 {
        text.push('.');
    }
    while rest > 0 {
        rest *= 10;
        text.push(char::from(b'0' + u8::try_from(rest / factor).unwrap_or(0)));
        rest %= factor;
    }
    text
}

/// The number at the beginning of `text` and what follows it.
fn split(text: &str) -> Result<(Decimal, &str), QuantityError> {
    if text.starts_with('-') {
        return Err(QuantityError::Negative);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if unit.starts_with(['e', 'E']) && unit[1..].starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
        return Err(QuantityError::Exponent);
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let missing = whole.is_empty() || (fraction.is_empty() && number.contains('.'));
    if missing || fraction.contains('.') {
        return Err(QuantityError::NoNumber);
    }
    if digits.len() > MAX_DIGITS || number.len() > MAX_NUMBER {
        return Err(QuantityError::TooLong);
    }
    let digits = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| QuantityError::NoNumber)? };
    let decimals = u32::try_from(fraction.len()).map_err(|_| QuantityError::TooLong)?;
    Ok((Decimal { digits, decimals }, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(BANDWIDTH.parse("12.8 GB/s"), Ok(12_800_000_000));
        assert_eq!(BANDWIDTH.parse("0.1 GB/s"), Ok(100_000_000));
        assert_eq!(FREQUENCY.parse("0.000000003 GHz"), Ok(3));
        assert_eq!(BYTES.parse("1.5KiB"), Ok(1536));
        assert_eq!(TIME.parse("13.75 ns"), Ok(13_750));
        assert_eq!(TIME.parse("1 \u{b5}s"), Ok(1_000_000));
    }

    #[test]
    fn binary_and_decimal_prefixes_differ() {
        assert_eq!(BYTES.parse("1 kB"), Ok(1000));
        assert_eq!(BYTES.parse("1 KiB"), Ok(1024));
        assert_eq!(BYTES.parse("1 GB"), Ok(1_000_000_000));
        assert_eq!(BYTES.parse("1 GiB"), Ok(1 << 30));
    }

    #[test]
    fn says_what_is_wrong() {
        let wrong = |unit: &str, meant| Err(QuantityError::WrongUnit { unit: unit.into(), meant });
        assert_eq!(BYTES.parse("64 K"), wrong("K", Some("KiB")));
        assert_eq!(BYTES.parse("64 KB"), wrong("KB", Some("kB")));
        assert_eq!(BYTES.parse("2 M"), wrong("M", Some("MiB")));
        assert_eq!(FREQUENCY.parse("800 mhz"), wrong("mhz", Some("MHz")));
        assert_eq!(BANDWIDTH.parse("12.8 GB"), wrong("GB", Some("GB/s")));
        assert_eq!(FREQUENCY.parse("3 furlongs"), wrong("furlongs", None));
        assert_eq!(FREQUENCY.parse("800"), Err(QuantityError::NoUnit));
        assert_eq!(FREQUENCY.parse("-1 Hz"), Err(QuantityError::Negative));
        assert_eq!(FREQUENCY.parse("1e9 Hz"), Err(QuantityError::Exponent));
        assert_eq!(BYTES.parse("0.5 B"), Err(QuantityError::Fraction));
        for text in ["", "MHz", ".5 MHz", "5. MHz", "1.2.3 MHz", ".", "\u{661} MHz"] {
            assert_eq!(FREQUENCY.parse(text), Err(QuantityError::NoNumber), "{text:?}");
        }
        assert_eq!(BYTES.parse(&"9".repeat(4000)), Err(QuantityError::TooLong));
    }

    #[test]
    fn energies_round_once() {
        assert_eq!(ENERGY.parse_f64("0.1 pJ"), Ok(0.1));
        assert_eq!(ENERGY.parse_f64("0.3 nJ"), Ok(300.0));
        assert_eq!(ENERGY_PER_BYTE.parse_f64("0.30000000000000004 pJ/B"), Ok(0.300_000_000_000_000_04));
        assert_eq!(ENERGY.parse_f64(&format!("{} pJ", f64::MIN_POSITIVE)), Ok(f64::MIN_POSITIVE));
    }

    proptest! {
        #[test]
        fn writing_and_reading_is_the_identity(value in 0u64.., which in 0usize..4) {
            let (units, names): (&Units, &[&str]) = [
                (&BYTES, &["B", "KiB", "MiB"][..]),
                (&FREQUENCY, &["Hz", "kHz", "MHz", "GHz"][..]),
                (&BANDWIDTH, &["B/s", "MB/s", "GB/s"][..]),
                (&TIME, &["ps", "ns", "us"][..]),
            ][which];
            prop_assume!(which != 0 || value < 1 << 40);
            let text = units.write(u128::from(value), names);
            prop_assert_eq!(units.parse(&text), Ok(u128::from(value)), "{}", text);
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}") {
            for units in [&BYTES, &FREQUENCY, &BANDWIDTH, &TIME, &CYCLES, &BITS, &RATE, &ENERGY] {
                let _ = units.parse(&text);
            }
        }
    }
}
