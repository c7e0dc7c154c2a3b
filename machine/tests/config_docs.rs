//! `docs/hw-config.md` and the JSON Schema say what the reader does.

use serde_json::Value;
use std::fs;
use std::path::Path;
use systole_machine::config::{config_markdown, init_yaml, load, schema_json};

#[test]
fn the_manual_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hw-config.md");
    let page = config_markdown();
    if std::env::var_os("SYSTOLE_BLESS").is_some() {
        fs::write(&path, &page).expect("docs/hw-config.md");
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        recorded == page,
        "docs/hw-config.md is stale: SYSTOLE_BLESS=1 cargo test --release -p systole-machine writes it anew"
    );
}

/// Every key of the schema, with the path where it stands.
fn keys(root: &Value, schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let target = schema["$ref"].as_str().and_then(|reference| root.pointer(&reference[1..]));
    let body = target.unwrap_or(schema);
    for (name, property) in body["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.push((path.clone(), property.clone()));
        keys(root, property, &path, found);
    }
    for alternative in body["anyOf"].as_array().into_iter().flatten() {
        keys(root, alternative, path, found);
    }
}

fn all_keys() -> Vec<(String, Value)> {
    let root: Value = serde_json::from_str(&schema_json()).expect("JSON");
    let mut found = Vec::new();
    keys(&root, &root, "", &mut found);
    found
}

#[test]
fn each_key_is_explained_and_completed() {
    let keys = all_keys();
    assert!(keys.len() > 80, "{} keys", keys.len());
    let page = config_markdown();
    for (path, schema) in keys {
        let name = path.rsplit('.').next().unwrap_or_default();
        assert!(page.contains(&format!("`{name}`")), "{path} is not in the manual");
        let typed = ["type", "$ref", "anyOf", "oneOf"].iter().any(|key| schema.get(key).is_some());
        assert!(typed, "{path} has no type: {schema}");
    }
}

/// The schema's patterns must accept what the reader accepts; editors would mark right files otherwise.
#[test]
fn units_in_patterns_are_those_of_the_reader() {
    let mut quantities = 0;
    for (path, schema) in all_keys() {
        let Some(units) = schema["x-units"].as_str() else { continue };
        let pattern = schema["pattern"].as_str().expect("a pattern").replace('\\', "");
        for unit in units.split(", ") {
            assert!(pattern.contains(unit), "{path}: {unit} is not in {pattern}");
        }
        quantities += 1;
    }
    assert!(quantities > 30, "{quantities} quantities");
}

/// The first error of the file to start from with one key replaced.
fn message(key: &str, value: &str) -> String {
    match systole_machine::config::load_with(&init_yaml(), "init", &[(key, value)]) {
        Ok(_) => "loads".to_owned(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>().join("; "),
    }
}

#[test]
fn what_the_schema_calls_simulated_loads_and_the_rest_is_refused_by_name() {
    assert!(load(&init_yaml(), "init").is_ok());
    let (mut simulated, mut refused) = (0, 0);
    for (path, schema) in all_keys() {
        let path = path.trim_start_matches('.');
        let Some(only) = schema["x-simulated"].as_array() else { continue };
        for value in only.iter().filter_map(Value::as_str).filter(|value| *value != "simple") {
            // Simulated, but not without the operands, which the file to start from does not list.
            let expected = match (path, value) {
                ("array.activations", "16 bit") => "`array.activations` of 16 bit without operands of 16 bit",
                _ => "loads",
            };
            assert_eq!(message(path, value), expected, "{path}: {value}");
            simulated += 1;
        }
        let one = &schema["anyOf"][0]["oneOf"];
        let words = if one.is_array() { one } else { &schema["oneOf"] };
        for word in words.as_array().into_iter().flatten().filter_map(|word| word["const"].as_str()) {
            if !only.iter().any(|value| value == word) {
                assert_eq!(message(path, word), format!("`{path}: {word}` is not simulated yet"));
                refused += 1;
            }
        }
    }
    assert!(simulated >= 6 && refused >= 5, "{simulated} simulated, {refused} refused");
}
