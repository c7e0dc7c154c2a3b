//! How tables of keys become readers and JSON Schemas: the traits and the three table macros of the vocabulary.
//!
//! A table is the one place where a key is written; reading, unknown-key suggestions, the schema and the manual derive from it. A value
//! that cannot be read is `None` and has left an error behind, so that reading goes on and finds the other errors too.

use super::error::Errors;
use super::node::{Kind, Node};
use super::suggest::nearest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::ops::Range;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    /// Of the value; of its section where the value is a default.
    pub(crate) span: Range<usize>,
}

/// What a YAML value may become.
pub(crate) trait Value: JsonSchema + Sized {
    /// Reads `node`, which stands at the key `path`.
    fn read(node: &Node, path: &str, errors: &mut Errors<'_>) -> Option<Self>;
    /// The one way to write it: what the lists of simulated values hold.
    fn text(&self) -> String;
}

/// What holds for a key beside its type.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) need: Need,
    /// The values that engines run; `None`: all.
    pub(crate) only: Option<&'static [&'static str]>,
}

/// Whether a key may be left out.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    Required,
    /// Required where that other key of the section is absent.
    RequiredUnless(&'static str),
    Optional,
    /// As YAML.
    Default(&'static str),
}

pub(crate) const fn required() -> Rule {
    Rule { need: Need::Required, only: None }
}

pub(crate) const fn required_unless(other: &'static str) -> Rule {
    Rule { need: Need::RequiredUnless(other), only: None }
}

pub(crate) const fn optional() -> Rule {
    Rule { need: Need::Optional, only: None }
}

pub(crate) const fn default(yaml: &'static str) -> Rule {
    Rule { need: Need::Default(yaml), only: None }
}

impl Rule {
    /// Every value but these is refused as not simulated.
    pub(crate) const fn only(self, values: &'static [&'static str]) -> Rule {
        Rule { need: self.need, only: Some(values) }
    }
}

/// A key as schema and manual show it.
pub(crate) struct FieldInfo {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) rule: Rule,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The entries of one mapping while it is read.
pub(crate) struct Section<'n> {
    path: String,
    span: Range<usize>,
    entries: Vec<(&'n str, &'n Node, &'n Node)>,
    /// Keys that misspelt ones probably mean: not missing too.
    misspelt: Vec<String>,
}

impl<'n> Section<'n> {
    /// The entries of `node`; unknown and repeated keys are errors already.
    pub(crate) fn open(node: &'n Node, path: &str, keys: &[&str], errors: &mut Errors<'_>) -> Option<Self> {
        let Kind::Map(map) = &node.kind else {
            let message = match path {
                "" if node.kind == Kind::Null => "this file is empty".to_owned(),
                "" => format!("this file is {}, not a machine", node.kind.describe()),
                _ => format!("`{path}` is {}, not a mapping of keys", node.kind.describe()),
            };
            let mut help = format!("write its keys below it: {}", keys.join(", "));
            if path.is_empty() {
                "start from what `systole hw init` prints".clone_into(&mut help);
            }
            errors.invalid(&node.span, message, "", help);
            return None;
        };
        let mut section =
            Section { path: path.to_owned(), span: node.span.clone(), entries: Vec::new(), misspelt: Vec::new() };
        for (key, value) in map {
            section.add(key, value, keys, errors);
        }
        Some(section)
    }

    fn add(&mut self, key: &'n Node, value: &'n Node, keys: &[&str], errors: &mut Errors<'_>) {
        let Kind::Scalar(name) = &key.kind else {
            errors.invalid(&key.span, format!("a key is {}, not a name", key.kind.describe()), "", "");
            return;
        };
        if !keys.contains(&name.as_str()) {
            let near = nearest(name, keys);
            self.misspelt.extend(near.map(str::to_owned));
            unknown(key, name, &self.path, keys, near, errors);
        } else if self.entries.iter().any(|(other, ..)| other == name) {
            let message = format!("`{}` is stated twice", join(&self.path, name));
            errors.invalid(&key.span, message, "", "keep one of the two");
        } else {
            self.entries.push((name, key, value));
        }
    }

    /// The value of a key, its default, or nothing.
    pub(crate) fn get<T: Value>(&self, name: &str, rule: Rule, errors: &mut Errors<'_>) -> Option<At<T>> {
        let path = join(&self.path, name);
        let entry = self.entries.iter().find(|(key, ..)| *key == name);
        let Some((_, key, node)) = entry else { return self.absent(name, &path, rule, errors) };
        if node.kind == Kind::Null {
            if !matches!(rule.need, Need::Optional) {
                errors.invalid(&key.span, format!("`{path}` has no value"), "", remedy::<T>(name, rule));
            }
            return None;
        }
        // A mapping has no text of its own on its first line, so its key is the place that people look at.
        let node = match node.kind {
            Kind::Map(_) => &Node { span: key.span.clone(), kind: node.kind.clone() },
            _ => *node,
        };
        let value = T::read(node, &path, errors)?;
        check_simulated(&value, &path, rule, &node.span, errors)?;
        Some(At { value, span: node.span.clone() })
    }

    fn absent<T: Value>(&self, name: &str, path: &str, rule: Rule, errors: &mut Errors<'_>) -> Option<At<T>> {
        match rule.need {
            Need::Optional => None,
            Need::RequiredUnless(other) if self.entries.iter().any(|(key, ..)| *key == other) => None,
            Need::Required | Need::RequiredUnless(_) if self.misspelt.iter().any(|key| key == name) => None,
            Need::Required | Need::RequiredUnless(_) => {
                let message = format!("`{path}` is missing");
                errors.invalid(&self.span, message, format!("{} needs it", place(&self.path)), remedy::<T>(name, rule));
                None
            }
            Need::Default(_) if self.misspelt.iter().any(|key| key == name) => None,
            Need::Default(yaml) => {
                let node = super::node::parse_default(yaml, &self.span, errors);
                let value = T::read(&node, path, errors)?;
                Some(At { value, span: self.span.clone() })
            }
        }
    }
}

/// The section at `path`, for messages.
pub(crate) fn place(path: &str) -> String {
    if path.is_empty() { "the machine".to_owned() } else { format!("`{path}`") }
}

/// `path.name`.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What to write for a key that lacks its value.
fn remedy<T: Value>(name: &str, rule: Rule) -> String {
    if let Need::Default(yaml) = rule.need {
        return format!("leave the key out for its default, `{yaml}`");
    }
    let schema = SchemaGenerator::default().subschema_for::<T>();
    match schema.get("examples").and_then(|examples| examples.get(0)) {
        Some(serde_json::Value::String(example)) => format!("write for example `{name}: {example}`"),
        Some(example) => format!("write for example `{name}: {example}`"),
        None => format!("write `{name}:` and its keys below it, see `systole hw init`"),
    }
}

fn unknown(key: &Node, name: &str, path: &str, keys: &[&str], near: Option<&str>, errors: &mut Errors<'_>) {
    let message = format!("unknown key `{}`", join(path, &super::node::shorten(name)));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{} has the keys {}", place(path), keys.join(", ")),
    };
    errors.invalid(&key.span, message, "", help);
}

/// Refuses by name what the schema knows and no engine runs.
fn check_simulated<T: Value>(
    value: &T,
    path: &str,
    rule: Rule,
    span: &Range<usize>,
    errors: &mut Errors<'_>,
) -> Option<()> {
    let Some(only) = rule.only else { return Some(()) };
    let text = value.text();
    if only.contains(&text.as_str()) {
        return Some(());
    }
    if only.is_empty() {
        errors.unsupported(span, &format!("`{path}`"), "leave the key out");
    } else {
        errors.unsupported(span, &format!("`{path}: {text}`"), format!("write {}", or_list(only)));
    }
    None
}

/// "`a`, `b` or `c`".
pub(crate) fn or_list(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The schema of a section.
pub(crate) fn section_schema(doc: &str, fields: &[FieldInfo], generator: &mut SchemaGenerator) -> Schema {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for field in fields {
        properties.insert(field.name.to_owned(), field_schema(field, generator));
        if matches!(field.rule.need, Need::Required | Need::RequiredUnless(_)) {
            required.push(field.name);
        }
    }
    let order: Vec<&str> = fields.iter().map(|field| field.name).collect();
    json_schema!({
        "type": "object",
        "description": doc.trim(),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "x-order": order,
    })
}

fn field_schema(field: &FieldInfo, generator: &mut SchemaGenerator) -> serde_json::Value {
    let mut schema = (field.schema)(generator);
    schema.insert("description".to_owned(), field.doc.trim().into());
    match field.rule.need {
        Need::Required | Need::RequiredUnless(_) | Need::Optional => {}
        Need::Default(yaml) => {
            let value = serde_yaml::from_str(yaml).unwrap_or_else(|_| yaml.into());
            schema.insert("default".to_owned(), value);
            schema.insert("x-default".to_owned(), yaml.into());
        }
    }
    if let Some(only) = field.rule.only {
        schema.insert("x-simulated".to_owned(), only.into());
    }
    schema.to_value()
}

/// A mapping of named keys: `#[doc] Name { #[doc] key: Type => rule; … }`.
macro_rules! section {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $field_doc:literal])+ $field:ident: $ty:ty => $rule:expr;)* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $($(#[doc = $field_doc])+ pub(crate) $field: Option<$crate::config::read::At<$ty>>,)*
        }

        impl $crate::config::read::Value for $name {
            fn read(
                node: &$crate::config::node::Node,
                path: &str,
                errors: &mut $crate::config::error::Errors<'_>,
            ) -> Option<Self> {
                let section = $crate::config::read::Section::open(node, path, &[$(stringify!($field)),*], errors)?;
                // A section without keys reads nothing more.
                let _ = &section;
                Some($name { $($field: section.get(stringify!($field), $rule, errors),)* })
            }
            fn text(&self) -> String {
                let entries: Vec<Option<String>> = vec![$(
                    self.$field.as_ref().map(|at| format!("{}: {}", stringify!($field), at.value.text())),
                )*];
                format!("{{{}}}", entries.into_iter().flatten().collect::<Vec<String>>().join(", "))
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                let fields = [$($crate::config::read::FieldInfo {
                    name: stringify!($field),
                    doc: concat!($($field_doc),+),
                    rule: $rule,
                    schema: |generator| generator.subschema_for::<$ty>(),
                }),*];
                $crate::config::read::section_schema(concat!($($doc),+), &fields, generator)
            }
        }
    };
}
pub(crate) use section;

/// One word of a list: `#[doc] Name { #[doc] Variant = "word", … }`.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $word_doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names, reason = "the words of a list may share an ending")]
        pub(crate) enum $name { $($(#[doc = $word_doc])+ $variant,)+ }

        impl $crate::config::read::Value for $name {
            fn read(
                node: &$crate::config::node::Node,
                path: &str,
                errors: &mut $crate::config::error::Errors<'_>,
            ) -> Option<Self> {
                match $crate::config::read::word(node, path, &[$($word),+], errors)? {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
            fn text(&self) -> String {
                match self { $($name::$variant => $word.to_owned(),)+ }
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                $crate::config::read::words_schema(&[$(($word, concat!($($word_doc),+))),+])
            }
            fn inline_schema() -> bool {
                true
            }
        }
    };
}
pub(crate) use words;

/// One of several sections, named by the only key of a mapping: `#[doc] Name { #[doc] Variant = "tag": Section, … }`.
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $tag_doc:literal])+ $variant:ident = $tag:literal: $ty:ty,)+ }) => {
        $(#[doc = $doc])+
        #[allow(clippy::large_enum_variant, reason = "one of them lives while a file is read")]
        #[derive(Clone, Debug)]
        #[allow(dead_code, reason = "choices that no engine runs are read and checked, then refused")]
        pub(crate) enum $name { $($(#[doc = $tag_doc])+ $variant($ty),)+ }

        impl $crate::config::read::Value for $name {
            fn read(
                node: &$crate::config::node::Node,
                path: &str,
                errors: &mut $crate::config::error::Errors<'_>,
            ) -> Option<Self> {
                let (tag, body) = $crate::config::read::tagged(node, path, &[$($tag),+], errors)?;
                let path = $crate::config::read::join(path, tag);
                match tag {
                    $($tag => <$ty as $crate::config::read::Value>::read(&body, &path, errors).map($name::$variant),)+
                    _ => None,
                }
            }
            fn text(&self) -> String {
                match self { $($name::$variant(_) => $tag.to_owned(),)+ }
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                $crate::config::read::choice_schema(
                    &[$(($tag, concat!($($tag_doc),+), generator.subschema_for::<$ty>())),+]
                )
            }
            fn inline_schema() -> bool {
                true
            }
        }
    };
}
pub(crate) use choice;

/// The word of `words` that `node` is.
pub(crate) fn word(node: &Node, path: &str, words: &[&'static str], errors: &mut Errors<'_>) -> Option<&'static str> {
    let text = match &node.kind {
        Kind::Scalar(text) => text.as_str(),
        _ => "",
    };
    let found = words.iter().find(|word| **word == text).copied();
    if found.is_none() {
        let message = format!("`{path}` is {}", node.kind.describe());
        let help = nearest(text, words).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
        errors.invalid(&node.span, message, format!("expected {}", or_list(words)), help);
    }
    found
}

/// Tag and body of an externally tagged value; a tag alone has an empty body.
pub(crate) fn tagged(
    node: &Node,
    path: &str,
    tags: &[&'static str],
    errors: &mut Errors<'_>,
) -> Option<(&'static str, Node)> {
    let (tag_node, body) = match &node.kind {
        Kind::Scalar(_) => (node, None),
        Kind::Map(entries) if entries.len() == 1 => (&entries.first()?.0, entries.first().map(|(_, body)| body)),
        _ => {
            let message = format!("`{path}` is {}, not one choice", node.kind.describe());
            errors.invalid(&node.span, message, "", format!("write one of {} below it", or_list(tags)));
            return None;
        }
    };
    let tag = word(tag_node, path, tags, errors)?;
    let empty = Kind::Map(Vec::new());
    let kind = body.map_or(&empty, |body| if body.kind == Kind::Null { &empty } else { &body.kind });
    Some((tag, Node { span: tag_node.span.clone(), kind: kind.clone() }))
}

/// The schema of [`words`](crate::config::read::words).
pub(crate) fn words_schema(words: &[(&str, &str)]) -> Schema {
    let alternatives: Vec<_> =
        words.iter().map(|(word, doc)| serde_json::json!({ "const": word, "description": doc.trim() })).collect();
    let first = words.first().map(|(word, _)| *word);
    json_schema!({ "oneOf": alternatives, "x-kind": "a word", "examples": [first] })
}

/// The schema of [`choice`](crate::config::read::choice).
pub(crate) fn choice_schema(tags: &[(&str, &str, Schema)]) -> Schema {
    let names: Vec<&str> = tags.iter().map(|(tag, ..)| *tag).collect();
    let mut alternatives = vec![serde_json::json!({ "enum": names, "description": "A choice with all its defaults." })];
    for (tag, doc, body) in tags {
        alternatives.push(serde_json::json!({
            "type": "object", "description": doc.trim(), "properties": { *tag: body }, "required": [tag],
            "additionalProperties": false,
        }));
    }
    json_schema!({ "anyOf": alternatives, "x-kind": "one choice" })
}
