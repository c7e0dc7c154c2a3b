//! The vocabulary for editors (JSON Schema) and for people (`docs/hw-config.md`), both from the tables of `schema`.

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
    page.visit(&schema, "");
    let mut out = String::from(HEAD);
    for (body, paths) in &page.sections {
        section(&mut out, body, paths);
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

/// Sections in reading order, each with all the places where it stands.
struct Page<'s> {
    schema: &'s Value,
    sections: Vec<(&'s Value, Vec<String>)>,
}

impl<'s> Page<'s> {
    /// Collects the sections at and below `schema`, which stands at the key `path`.
    fn visit(&mut self, schema: &'s Value, path: &str) {
        let body = self.follow(schema);
        if body.get("x-order").is_some() {
            if let Some((_, paths)) = self.sections.iter_mut().find(|(known, _)| std::ptr::eq(*known, body)) {
                paths.push(path.to_owned());
                return;
            }
            self.sections.push((body, vec![path.to_owned()]));
            for (name, property) in properties(body) {
                self.visit(property, &super::read::join(path, name));
            }
        }
        for alternative in list(body, "anyOf") {
            if alternative.get("$ref").is_some() {
                self.visit(alternative, path);
            }
            for (tag, body) in tags(alternative) {
                self.visit(body, &super::read::join(path, tag));
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

fn section(out: &mut String, body: &Value, paths: &[String]) {
    let keys = properties(body);
    if keys.is_empty() {
        return;
    }
    let title: Vec<String> = paths.iter().filter(|path| !path.is_empty()).map(|path| format!("`{path}`")).collect();
    let title = if title.is_empty() { "Top level".to_owned() } else { title.join(", ") };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "\n## {title}\n\n{}\n", text(body, "description"));
    let _ = writeln!(out, "| key | value | default | simulated so far | meaning |\n|---|---|---|---|---|");
    for (name, key) in &keys {
        let meaning = text(key, "description");
        let _ = writeln!(
            out,
            "| `{name}` | {} | {} | {} | {meaning} |",
            kind(key),
            default(body, name, key),
            simulated(key)
        );
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

fn simulated(key: &Value) -> String {
    let Some(only) = key.get("x-simulated").and_then(Value::as_array) else { return "all".to_owned() };
    let only: Vec<String> = only.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
    if only.is_empty() { "none: leave it out".to_owned() } else { only.join(", ") }
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
