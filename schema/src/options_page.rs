//! Every key of the configuration for people, read from the JSON Schema, each with an example.
//!
//! `docs/options.md` has it, the manual page `backup.json`, and the README that stands beside a configuration.

use std::{fmt::Write as _, sync::LazyLock};

use schemars::schema_for;
use serde_json::Value;

use crate::Config;

/// How many `$ref`s may follow each other.
const DEEPEST: usize = 16;

/// What stands in a path for the name that a person gives.
const NAME: &str = "<name>";

/// Whole configurations, each of them valid, that have every key between them: a key's example is that of the
/// first one which has it.
pub const EXAMPLES: &str = include_str!("config/examples.json");

static EXAMPLE_CONFIGS: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(EXAMPLES).unwrap_or_default());

/// What is to be said of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedKey {
    /// Its path, such as `local.keepDaily`.
    pub path: String,
    /// What it means, in one line.
    pub meaning: String,
    /// What else there is to say; none of a key that is only the head of others.
    pub value: Option<DescribedValue>,
}

/// What is to be said of the value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedValue {
    /// Its type in words.
    pub kind: String,
    /// Its default as JSON; none of what must be there.
    pub default: Option<String>,
    /// What it may be, where that is a choice, with what each means where that is said.
    pub choices: Vec<(String, Option<String>)>,
    /// A line of a configuration that sets it; none where the keys below have theirs.
    pub example: Option<String>,
}

/// A section for each key, with type, default, meaning and an example.
#[must_use]
pub fn options_page() -> String {
    let mut page = String::new();
    for key in described_keys() {
        write_key(&key, &mut page);
    }
    page
}

/// All keys, in the order of the schema.
#[must_use]
pub fn described_keys() -> Vec<DescribedKey> {
    let schema = schema_for!(Config).to_value();
    let mut keys = Vec::new();
    describe_keys(&schema, &schema, "", &mut keys);
    keys
}

fn write_key(key: &DescribedKey, page: &mut String) {
    let DescribedKey { path, meaning, .. } = key;
    let Some(value) = &key.value else {
        let _ = write!(page, "\n## {path}\n\n{meaning}\n");
        return;
    };
    let default = match &value.default {
        Some(default) => format!("default `{default}`"),
        None => "required".to_owned(),
    };
    let kind = &value.kind;
    let _ = write!(page, "\n### `{path}`\n\n{kind}, {default}\n\n{meaning}\n");
    if !value.choices.is_empty() {
        page.push('\n');
    }
    for (choice, meaning) in &value.choices {
        let meaning = meaning.as_ref().map(|meaning| format!(": {meaning}"));
        let _ = writeln!(page, "- `{choice}`{}", meaning.unwrap_or_default());
    }
    if let Some(example) = &value.example {
        let _ = write!(page, "\nExample: `{example}`\n");
    }
}

/// The keys of an object, and of those below it.
fn describe_keys(schema: &Value, of: &Value, above: &str, keys: &mut Vec<DescribedKey>) {
    for (key, at) in of["properties"].as_object().into_iter().flatten() {
        let path = format!("{above}{key}");
        let is = resolve(schema, at);
        let meaning = at["description"].as_str().or(is["description"].as_str());
        let below = object_of(schema, at);
        let is_head = (below.is_some() && (above.is_empty() || at["default"].is_object()))
            || named_of(schema, at).is_some();
        keys.push(DescribedKey {
            meaning: in_one_line(meaning.unwrap_or_default()),
            value: (!is_head).then(|| DescribedValue {
                kind: match (below, at["x-of"].as_str()) {
                    (Some(_), _) => "object or null".to_owned(),
                    (None, Some(of)) => format!("of type {of}: {}", kind_of(schema, at)),
                    (None, None) => kind_of(schema, at),
                },
                default: at.get("default").map(Value::to_string),
                choices: choices_of(schema, at),
                example: below.is_none().then(|| example_of(key, &path)).flatten(),
            }),
            path: path.clone(),
        });
        if let Some(below) = below {
            describe_keys(schema, below, &format!("{path}."), keys);
        }
        if let Some(named) = named_of(schema, at) {
            describe_keys(schema, named, &format!("{path}.{NAME}."), keys);
        }
    }
}

/// The line that sets a key in the first of the examples that has it.
fn example_of(key: &str, path: &str) -> Option<String> {
    let steps: Vec<&str> = path.split('.').collect();
    let mut examples = EXAMPLE_CONFIGS.iter();
    let value = examples.find_map(|example| value_at(example, &steps))?;
    let value = match value.as_array() {
        Some(items) => {
            let items: Vec<String> = items.iter().map(Value::to_string).collect();
            format!("[{}]", items.join(", "))
        }
        None => value.to_string(),
    };
    Some(format!("\"{key}\": {value}"))
}

/// The value at a path of keys, the first one where any name will do.
fn value_at<'a>(of: &'a Value, steps: &[&str]) -> Option<&'a Value> {
    let Some((step, below)) = steps.split_first() else {
        return Some(of);
    };
    match *step {
        NAME => of.as_object()?.values().find_map(|of| value_at(of, below)),
        key => value_at(of.get(key)?, below),
    }
}

/// What an object holds of each name that a person gives.
fn named_of<'a>(schema: &'a Value, at: &'a Value) -> Option<&'a Value> {
    let named = resolve(schema, &at["additionalProperties"]);
    named["properties"].is_object().then_some(named)
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
fn choices_of(schema: &Value, at: &Value) -> Vec<(String, Option<String>)> {
    let is = resolve(schema, at);
    let described = is["oneOf"].as_array().into_iter().flatten().map(|way| {
        let meaning = way["description"].as_str().unwrap_or_default();
        let value = way["const"].as_str().unwrap_or_default();
        (value.to_owned(), Some(in_one_line(meaning)))
    });
    let bare = is["enum"].as_array().into_iter().flatten();
    described
        .chain(bare.map(|value| (value.to_string(), None)))
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
        assert!(!page.contains("anything,"));
        for DescribedKey {
            path,
            meaning,
            value,
        } in described_keys()
        {
            assert!(meaning.ends_with('.'), "{path}: {meaning}");
            let Some(value) = value else { continue };
            let is_required = path.ends_with(".type")
                || path.ends_with(".to")
                || path.ends_with(".from")
                || path.ends_with(".url");
            assert!(value.default.is_some() || is_required, "{path}");
            assert!(
                value.example.is_some() || value.kind == "object or null",
                "{path} has no example in config/examples.json"
            );
        }
    }
}
