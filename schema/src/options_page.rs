//! Every key of the configuration as a page for people, written from the JSON Schema.
//!
//! `docs/options.md` has it, and so has the README that stands beside a configuration.

use std::fmt::Write as _;

use schemars::schema_for;
use serde_json::Value;

use crate::Config;

/// How many `$ref`s may follow each other.
const DEEPEST: usize = 16;

/// A section for each key, with type, default and meaning.
#[must_use]
pub fn options_page() -> String {
    let schema = schema_for!(Config).to_value();
    let mut page = String::new();
    write_keys(&schema, &schema, "", &mut page);
    page
}

/// The keys of an object, one section each.
fn write_keys(schema: &Value, of: &Value, above: &str, page: &mut String) {
    let required = of["required"].as_array();
    for (key, at) in of["properties"].as_object().into_iter().flatten() {
        let path = format!("{above}{key}");
        let is = resolve(schema, at);
        let meaning = at["description"].as_str().or(is["description"].as_str());
        let meaning = in_one_line(meaning.unwrap_or_default());
        let below = object_of(schema, at);
        if let Some(below) = below.filter(|_| above.is_empty()) {
            let _ = write!(page, "\n## {key}\n\n{meaning}\n");
            write_keys(schema, below, &format!("{path}."), page);
            continue;
        }
        let must = required.is_some_and(|all| all.iter().any(|one| one == key));
        let default = match at.get("default") {
            Some(default) => format!("default `{default}`"),
            None if must => "required".to_owned(),
            None => "no default".to_owned(),
        };
        let kind = match below {
            Some(_) => "object or null".to_owned(),
            None => kind_of(schema, at),
        };
        let _ = write!(page, "\n### `{path}`\n\n{kind}, {default}\n\n{meaning}\n");
        let values = values_of(schema, at);
        if !values.is_empty() {
            page.push('\n');
        }
        for value in values {
            let _ = writeln!(page, "- {value}");
        }
        if let Some(below) = below {
            write_keys(schema, below, &format!("{path}."), page);
        }
    }
}

/// What stands behind a `$ref`.
fn resolve<'a>(schema: &'a Value, at: &'a Value) -> &'a Value {
    let mut at = at;
    for _ in 0..DEEPEST {
        let reference = at["$ref"].as_str();
        let there = reference.and_then(|to| schema.pointer(to.trim_start_matches('#')));
        match there {
            Some(there) => at = there,
            None => break,
        }
    }
    at
}

/// An object that a key holds, through `$ref` and through `anyOf` with null.
fn object_of<'a>(schema: &'a Value, at: &'a Value) -> Option<&'a Value> {
    let mut ways = at["anyOf"].as_array().into_iter().flatten().chain([at]);
    ways.find_map(|way| {
        let way = resolve(schema, way);
        way["properties"].is_object().then_some(way)
    })
}

/// A type in words.
fn kind_of(schema: &Value, at: &Value) -> String {
    if let Some(ways) = at["anyOf"].as_array() {
        let ways = ways.iter().map(|way| kind_of(schema, way));
        return ways.collect::<Vec<_>>().join(" or ");
    }
    let is = resolve(schema, at);
    if is["oneOf"].is_array() || is["enum"].is_array() {
        return "one of the values below".to_owned();
    }
    let format = at["format"].as_str().or(is["format"].as_str());
    let one = |name: &str| match (name, format) {
        ("null", _) => "null".to_owned(),
        ("string", Some(format)) => format.replace('-', " "),
        ("array", _) => {
            let item = kind_of(schema, &is["items"]);
            format!("list of {item}s")
        }
        ("integer" | "number", _) => match is["minimum"].as_f64() {
            Some(least) => format!("{name} of {least} or more"),
            None => name.to_owned(),
        },
        (name, _) => name.to_owned(),
    };
    match &is["type"] {
        Value::String(name) => one(name),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).map(one);
            names.collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

/// The values of an enumeration, with what they mean where that is said.
fn values_of(schema: &Value, at: &Value) -> Vec<String> {
    let is = resolve(schema, at);
    let described = is["oneOf"].as_array().into_iter().flatten().map(|way| {
        let meaning = way["description"].as_str().unwrap_or_default();
        let value = way["const"].as_str().unwrap_or_default();
        format!("`{value}`: {}", in_one_line(meaning))
    });
    let bare = is["enum"].as_array().into_iter().flatten();
    described
        .chain(bare.map(|value| format!("`{value}`")))
        .collect()
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_told_with_its_meaning_its_type_and_its_default() {
        let page = options_page();
        for key in ["local.keepDaily", "notifications.ntfy.topic", "version"] {
            assert!(page.contains(&format!("### `{key}`")), "{key}");
        }
        assert!(!page.contains("no default") && !page.contains("anything,"));
        // A heading, its type and a meaning that is not empty.
        for section in page.split("\n### ").skip(1) {
            let mut parts = section.split("\n\n");
            let (key, kind) = (parts.next().unwrap(), parts.next().unwrap());
            let meaning = parts.next().unwrap_or_default();
            assert!(
                kind.contains("default `") || kind.ends_with("required"),
                "{key}: {kind}"
            );
            assert!(meaning.trim().ends_with('.'), "{key}: {meaning}");
        }
    }
}
