//! The kinds of scalar values and lists: counts, quantities, switches, names. Reads and writes them; says what each looks like.

use super::error::Errors;
use super::node::{Kind, Node};
use super::read::Value;
use super::units::{self, QuantityError, Units};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A whole number of things, without a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count<const LOW: u64, const HIGH: u64>(pub(crate) u64);

impl<const LOW: u64, const HIGH: u64> Value for Count<LOW, HIGH> {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        let text = scalar(node, path, "a count", "16", errors)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(value) if digits && (LOW..=HIGH).contains(&value) => return Some(Count(value)),
            _ if digits => {
                let message = format!("`{path}` is out of range: {}", super::node::shorten(text));
                errors.invalid(&node.span, message, format!("expected a count from {LOW} to {HIGH}"), "");
            }
            _ => {
                let message = format!("`{path}` is {}, not a count", node.kind.describe());
                errors.invalid(&node.span, message, "expected a whole number without a unit", "");
            }
        }
        None
    }
    fn text(&self) -> String {
        self.0.to_string()
    }
}

impl<const LOW: u64, const HIGH: u64> JsonSchema for Count<LOW, HIGH> {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let example = LOW.max(HIGH.min(16));
        json_schema!({ "type": "integer", "minimum": LOW, "maximum": HIGH, "x-kind": format!("a count, {LOW} to {HIGH}"),
            "examples": [example] })
    }
    fn inline_schema() -> bool {
        true
    }
}

/// `true` or `false`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag(pub(crate) bool);

impl Value for Flag {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        super::read::word(node, path, &["true", "false"], errors).map(|word| Flag(word == "true"))
    }
    fn text(&self) -> String {
        self.0.to_string()
    }
}

impl JsonSchema for Flag {
    fn schema_name() -> Cow<'static, str> {
        "Flag".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean", "x-kind": "true or false", "examples": [true] })
    }
    fn inline_schema() -> bool {
        true
    }
}

/// A name for people.
#[derive(Clone, Debug)]
pub(crate) struct Name(pub(crate) String);

impl Name {
    /// Longest name, in characters; also what file names and reports can bear.
    const LONGEST: usize = 100;
}

impl Value for Name {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        let text = scalar(node, path, "a name", "my-machine", errors)?;
        if text.trim().is_empty() || text.chars().count() > Self::LONGEST || text.chars().any(char::is_control) {
            let label = format!("expected 1 to {} printable characters", Self::LONGEST);
            errors.invalid(&node.span, format!("`{path}` is no usable name"), label, "");
            return None;
        }
        Some(Name(text.to_owned()))
    }
    fn text(&self) -> String {
        self.0.clone()
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": Self::LONGEST, "x-kind": "a name",
            "examples": ["my-machine"] })
    }
    fn inline_schema() -> bool {
        true
    }
}

/// The scalar that `node` is.
fn scalar<'n>(node: &'n Node, path: &str, kind: &str, example: &str, errors: &mut Errors<'_>) -> Option<&'n str> {
    if let Kind::Scalar(text) = &node.kind {
        return Some(text);
    }
    let message = format!("`{path}` is {}, not {kind}", node.kind.describe());
    errors.invalid(&node.span, message, "", format!("write for example `{example}`"));
    None
}

/// Reports why `text` at `node` is no quantity.
fn explain(error: &QuantityError, units: &Units, node: &Node, path: &str, errors: &mut Errors<'_>) {
    let example = format!("write for example `{}`", units.example);
    let Kind::Scalar(text) = &node.kind else { return };
    let text = super::node::shorten(text.trim());
    let label = format!("expected {} in {}", units.kind, units.names());
    let (message, help) = match error {
        QuantityError::NoUnit => (format!("`{path}` has no unit"), example),
        QuantityError::NoNumber => (format!("`{path}` is `{text}`, not {}", units.kind), example),
        QuantityError::Negative => (format!("`{path}` is negative"), example),
        QuantityError::Exponent => (format!("`{path}` is written with a power of ten"), example),
        QuantityError::TooLong => (format!("`{path}` has too many digits"), example),
        QuantityError::WrongUnit { unit, meant } => {
            let help = meant.map_or(example, |meant| {
                let number = text.trim_end_matches(unit.as_str()).trim_end();
                format!("write `{number} {meant}`{}", unit_note(unit, meant))
            });
            (format!("`{path}` has an unknown unit, `{}`", super::node::shorten(unit)), help)
        }
        QuantityError::Fraction => (format!("`{path}` is not a whole number of {}s", units.base), String::new()),
    };
    errors.invalid(&node.span, message, label, help);
}

/// What tells prefixes of 1000 from those of 1024, and bytes from bits.
fn unit_note(written: &str, meant: &str) -> &'static str {
    match meant {
        _ if written.ends_with("b/s") => " (bytes, not bits)",
        "KiB" => " (1024 bytes; `kB` is 1000)",
        "MiB" => " (1024 KiB; `MB` is 10^6 bytes)",
        "GiB" => " (1024 MiB; `GB` is 10^9 bytes)",
        "kB" => " (1000 bytes; `KiB` is 1024)",
        _ => "",
    }
}

/// `node` as whole base units from `low` to `high`.
fn whole(node: &Node, path: &str, units: &Units, range: (u64, u64), errors: &mut Errors<'_>) -> Option<u64> {
    let text = scalar(node, path, units.kind, units.example, errors)?;
    let value = match units.parse(text) {
        Ok(value) => value,
        Err(error) => {
            explain(&error, units, node, path, errors);
            return None;
        }
    };
    match u64::try_from(value) {
        Ok(value) if (range.0..=range.1).contains(&value) => Some(value),
        _ => {
            let (low, high) = (write(units, range.0), write(units, range.1));
            let message = format!("`{path}` is out of range: {}", super::node::shorten(text));
            errors.invalid(&node.span, message, format!("expected {} from {low} to {high}", units.kind), "");
            None
        }
    }
}

/// `value` base units as one would write them, exactly.
pub(crate) fn write(units: &Units, value: u64) -> String {
    let value = u128::from(value);
    // Binary prefixes only where they leave a whole number; decimal ones always end.
    let fits = |name: &str, factor: u128| match units.base {
        "byte" => factor == 1 || (name.contains('i') && value.is_multiple_of(factor)),
        "byte a second" => !name.contains('i'),
        "cycle" => (name == "cycle") == (value == 1),
        "bit" => name == "bit",
        _ => name.is_ascii(),
    };
    let names: Vec<&str> =
        units.table.iter().filter(|(name, factor)| fits(name, *factor)).map(|(name, _)| *name).collect();
    units.write(value, &names)
}

/// Scalar types of a whole number of base units within bounds.
macro_rules! quantity {
    ($(#[doc = $doc:literal])+ $name:ident, $units:expr) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<const LOW: u64, const HIGH: u64>(pub(crate) u64);

        impl<const LOW: u64, const HIGH: u64> Value for $name<LOW, HIGH> {
            fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
                whole(node, path, &$units, (LOW, HIGH), errors).map($name)
            }
            fn text(&self) -> String {
                write(&$units, self.0)
            }
        }

        impl<const LOW: u64, const HIGH: u64> JsonSchema for $name<LOW, HIGH> {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                quantity_schema(&$units, Some((write(&$units, LOW), write(&$units, HIGH))))
            }
            fn inline_schema() -> bool {
                true
            }
        }
    };
}

quantity! {
    /// Bytes.
    Bytes, units::BYTES
}
quantity! {
    /// Hertz.
    Frequency, units::FREQUENCY
}
quantity! {
    /// Bytes a second.
    Bandwidth, units::BANDWIDTH
}
quantity! {
    /// Core-clock cycles.
    Cycles, units::CYCLES
}
quantity! {
    /// Bits.
    Bits, units::BITS
}
quantity! {
    /// Thousandths of a multiply-accumulate a cycle.
    Rate, units::RATE
}

fn quantity_schema(units: &Units, range: Option<(String, String)>) -> Schema {
    let names: Vec<String> = units.table.iter().map(|(name, _)| name.replace('/', "\\/")).collect();
    let pattern = format!("^[0-9]+(\\.[0-9]+)? ?({})$", names.join("|"));
    let kind = range.map_or_else(|| units.kind.to_owned(), |(low, high)| format!("{}, {low} to {high}", units.kind));
    json_schema!({ "type": "string", "pattern": pattern, "x-kind": kind, "x-units": units.names(),
        "examples": [units.example] })
}

/// A time, or a number of core-clock cycles.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delay {
    /// Picoseconds.
    Time(u64),
    /// Core-clock cycles.
    Cycles(u64),
}

impl Delay {
    /// Longest: a second, and as many cycles as a second has at 100 GHz.
    const LONGEST_PS: u64 = 1_000_000_000_000;
    const MOST_CYCLES: u64 = 100_000_000_000;

    /// In cycles of a clock, rounded up.
    pub(crate) fn cycles(self, clock_hz: u64) -> u64 {
        match self {
            Delay::Cycles(cycles) => cycles,
            Delay::Time(ps) => {
                let cycles = (u128::from(ps) * u128::from(clock_hz)).div_ceil(1_000_000_000_000);
                u64::try_from(cycles).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Value for Delay {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        let text = scalar(node, path, units::TIME.kind, units::TIME.example, errors)?;
        if text.contains("cycle") {
            return whole(node, path, &units::CYCLES, (0, Self::MOST_CYCLES), errors).map(Delay::Cycles);
        }
        whole(node, path, &units::TIME, (0, Self::LONGEST_PS), errors).map(Delay::Time)
    }
    fn text(&self) -> String {
        match *self {
            Delay::Time(ps) => write(&units::TIME, ps),
            Delay::Cycles(cycles) => write(&units::CYCLES, cycles),
        }
    }
}

impl JsonSchema for Delay {
    fn schema_name() -> Cow<'static, str> {
        "Delay".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = quantity_schema(&units::TIME, None);
        schema
            .insert("pattern".to_owned(), "^[0-9]+(\\.[0-9]+)? ?(ps|ns|us|\u{b5}s|\u{3bc}s|ms|s|cycles|cycle)$".into());
        schema.insert("x-kind".to_owned(), "a time up to 1 s, or core-clock cycles".into());
        schema.insert("x-units".to_owned(), format!("{}, cycles", units::TIME.names()).into());
        schema
    }
    fn inline_schema() -> bool {
        true
    }
}

/// Picojoules, by the units of `PER_BYTE`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Energy<const PER_BYTE: bool>(pub(crate) f64);

impl<const PER_BYTE: bool> Energy<PER_BYTE> {
    const UNITS: Units = if PER_BYTE { units::ENERGY_PER_BYTE } else { units::ENERGY };
    /// Largest, in picojoules.
    const MOST: f64 = 1e9;
}

impl<const PER_BYTE: bool> Value for Energy<PER_BYTE> {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        let units = Self::UNITS;
        let text = scalar(node, path, units.kind, units.example, errors)?;
        match units.parse_f64(text) {
            Ok(value) if value <= Self::MOST => Some(Energy(value)),
            Ok(_) => {
                let message = format!("`{path}` is out of range: {}", super::node::shorten(text));
                errors.invalid(&node.span, message, "expected at most a millijoule", "");
                None
            }
            Err(error) => {
                explain(&error, &units, node, path, errors);
                None
            }
        }
    }
    fn text(&self) -> String {
        format!("{} {}", self.0, if PER_BYTE { "pJ/B" } else { "pJ" })
    }
}

impl<const PER_BYTE: bool> JsonSchema for Energy<PER_BYTE> {
    fn schema_name() -> Cow<'static, str> {
        if PER_BYTE { "EnergyPerByte".into() } else { "Energy".into() }
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        quantity_schema(&Self::UNITS, None)
    }
    fn inline_schema() -> bool {
        true
    }
}

/// One value, or a list of several.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMore<T>(pub(crate) Vec<T>);

impl<T: Value> Value for OneOrMore<T> {
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self> {
        let Kind::List(items) = &node.kind else { return T::read(node, path, errors).map(|one| OneOrMore(vec![one])) };
        if items.is_empty() {
            errors.invalid(&node.span, format!("`{path}` is an empty list"), "", "write at least one");
            return None;
        }
        // All are read before the first failure ends it, so that each leaves its error.
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, path, errors)).collect();
        read.into_iter().collect::<Option<_>>().map(OneOrMore)
    }
    fn text(&self) -> String {
        let items: Vec<String> = self.0.iter().map(T::text).collect();
        if items.len() == 1 { items.concat() } else { format!("[{}]", items.join(", ")) }
    }
}

impl<T: Value> JsonSchema for OneOrMore<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMore{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        let examples = one.get("examples").cloned().unwrap_or_else(|| serde_json::json!([]));
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }], "x-kind": "one or a list",
            "examples": examples })
    }
    fn inline_schema() -> bool {
        true
    }
}
