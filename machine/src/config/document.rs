//! The vocabulary for editors (JSON Schema) and for people (`docs/hw-config.md`), both from the tables of `schema`.

use super::read::join;
use super::schema::Root;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::fmt::Write;

/// JSON Schema (draft 2020-12) of a machine file, so that editors complete and check it.
pub fn schema_json() -> String {
    let mut text = format!("{:#}", schema());
    text.push('\n');
    text
}

fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Root>();
    schema.insert("title".to_owned(), "Systole machine".into());
    schema.to_value()
}

/// The manual's page on machine files: every key with its unit, default, meaning, and what is refused so far.
pub fn config_markdown() -> String {
    let schema = schema();
    let mut page = Page { schema: &schema, sections: Vec::new() };
    page.visit(&schema, "", Simulated::ByKey);
    let mut out = String::from(HEAD);
    for each in &page.sections {
        section(&mut out, each);
    }
    out
}

const HEAD: &str = "\
# Machine files

<!-- Generated from machine/src/config/schema.rs; `SYSTOLE_BLESS=1 cargo test --release -p systole-machine` writes it anew. -->

One YAML file describes one machine. Quantities carry their units, with or without a space (`800 MHz`, `64B`); counts are plain numbers.
`KiB`, `MiB`, `GiB` are powers of 1024, `kB`, `MB`, `GB` powers of 1000. A key with a default may be left out; an unknown key, a missing
unit and a combination that cannot be are errors, all of a file at once. *Simulated so far* lists the values that engines run, where
that is not all of them: the others are known, and refused by name. `systole hw init` prints a file to start from.
";

/// What engines run of a section.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Simulated {
    /// What its own keys say.
    ByKey,
    /// What the key that holds it says.
    Above,
    /// Nothing.
    No,
}

/// A section and all the places where it stands.
struct Entry<'s> {
    body: &'s Value,
    paths: Vec<String>,
    simulated: Simulated,
}

/// Sections in reading order.
struct Page<'s> {
    schema: &'s Value,
    sections: Vec<Entry<'s>>,
}

impl<'s> Page<'s> {
    /// Collects the sections at and below `schema`, which stands at the key `path`.
    fn visit(&mut self, schema: &'s Value, path: &str, simulated: Simulated) {
        let body = self.follow(schema);
        if body.get("x-order").is_some() {
            if let Some(known) = self.sections.iter_mut().find(|known| std::ptr::eq(known.body, body)) {
                known.paths.push(path.to_owned());
                return;
            }
            self.sections.push(Entry { body, paths: vec![path.to_owned()], simulated });
            for (name, key) in properties(body) {
                let below = match key.get("x-simulated").and_then(Value::as_array) {
                    None => simulated,
                    Some(only) if only.is_empty() => Simulated::No,
                    Some(_) => Simulated::Above,
                };
                self.visit(key, &join(path, name), below);
            }
        }
        for alternative in list(body, "anyOf") {
            if alternative.get("$ref").is_some() {
                self.visit(alternative, path, simulated);
            }
            for (tag, chosen) in tags(alternative) {
                // A choice without a list of what is simulated is simulated whole.
                let runs = match body.get("x-simulated").and_then(Value::as_array) {
                    None if simulated == Simulated::Above => Simulated::ByKey,
                    None => simulated,
                    Some(only) if only.iter().any(|only| only.as_str() == Some(tag)) => Simulated::ByKey,
                    Some(_) => Simulated::No,
                };
                self.visit(chosen, &join(path, tag), runs);
            }
        }
    }

    /// What a reference refers to.
    fn follow(&self, schema: &'s Value) -> &'s Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        target.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema)
    }
}

/// Keys of a section in the order of its table.
fn properties(section: &Value) -> Vec<(&str, &Value)> {
    let names = list(section, "x-order").iter().filter_map(Value::as_str);
    names.filter_map(|name| Some((name, section.get("properties")?.get(name)?))).collect()
}

/// The tag of an alternative of a choice, with its body.
fn tags(alternative: &Value) -> Vec<(&str, &Value)> {
    let properties = alternative.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(tag, body)| (tag.as_str(), body)).collect()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn section(out: &mut String, entry: &Entry<'_>) {
    let keys = properties(entry.body);
    if keys.is_empty() {
        return;
    }
    let title: Vec<String> =
        entry.paths.iter().filter(|path| !path.is_empty()).map(|path| format!("`{path}`")).collect();
    let title = if title.is_empty() { "Top level".to_owned() } else { title.join(", ") };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "\n## {title}\n\n{}\n", text(entry.body, "description"));
    if entry.simulated == Simulated::No {
        let _ = writeln!(out, "Not simulated yet: refused by name.\n");
    }
    let _ = writeln!(out, "| key | value | default | simulated so far | meaning |\n|---|---|---|---|---|");
    for (name, key) in &keys {
        let (kind, default, runs) = (kind(key), default(entry.body, name, key), simulated(key, entry.simulated));
        let _ = writeln!(out, "| `{name}` | {kind} | {default} | {runs} | {} |", text(key, "description"));
    }
    for (name, key) in &keys {
        alternatives(out, name, key);
    }
}

fn kind(key: &Value) -> String {
    let kind = text(key, "x-kind");
    if kind.is_empty() {
        return "keys below".to_owned();
    }
    if kind == "one or a list" {
        let one = list(key, "anyOf").first().map(kind_of_one).unwrap_or_default();
        return format!("{one}, or a list");
    }
    let units = text(key, "x-units");
    if units.is_empty() { kind.to_owned() } else { format!("{kind} ({units})") }
}

fn kind_of_one(one: &Value) -> String {
    if one.get("$ref").is_some() { "keys below".to_owned() } else { kind(one) }
}

fn default(section: &Value, name: &str, key: &Value) -> String {
    let required = list(section, "required").iter().any(|required| required.as_str() == Some(name));
    match text(key, "x-default") {
        "" if required => "required".to_owned(),
        "" => "absent".to_owned(),
        "{}" => "the defaults below".to_owned(),
        yaml => format!("`{yaml}`"),
    }
}

fn simulated(key: &Value, section: Simulated) -> String {
    let only = key.get("x-simulated").and_then(Value::as_array);
    let only = match (section, only) {
        (Simulated::No, _) => return "no".to_owned(),
        (Simulated::Above, None) => return "see the key above".to_owned(),
        (Simulated::ByKey, None) => return "all".to_owned(),
        (_, Some(only)) => only,
    };
    let only: Vec<String> = only.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
    if only.is_empty() { "no: leave it out".to_owned() } else { only.join(", ") }
}

/// The words or tags of a key, below the table.
fn alternatives(out: &mut String, name: &str, key: &Value) {
    let one_of = list(key, "anyOf").first().map_or(&[][..], |one| list(one, "oneOf"));
    let words = list(key, "oneOf").iter().chain(one_of);
    let mut lines: Vec<String> =
        words.map(|word| format!("- `{}`: {}", text(word, "const"), text(word, "description"))).collect();
    for alternative in list(key, "anyOf") {
        for (tag, _) in tags(alternative) {
            lines.push(format!("- `{tag}`: {}", text(alternative, "description")));
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "\n`{name}` is one of\n\n{}", lines.join("\n"));
    }
}
