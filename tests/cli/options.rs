//! `docs/options.md`: every key of the configuration, written from its JSON Schema.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::Value;

use crate::lab::{Lab, PROGRAM, run_command};

const HEAD: &str = "\
# Options

Every key of `config.json`, with type, default and meaning. The NixOS option of a key is the same
name below `hwc.system.services.backup` (`version` and `hostname` are the module's). Unknown keys
are errors; `backup check` says which one was meant. `backup schema` prints the JSON Schema that this
page is written from: `BLESS=1 cargo test --test cli options` renews it.
";

/// What stands behind a `$ref`.
fn resolved<'a>(schema: &'a Value, at: &'a Value) -> &'a Value {
    match at["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
        None => at,
    }
}

/// An object that a key holds, through `$ref` and through `anyOf` with null.
fn object<'a>(schema: &'a Value, at: &'a Value) -> Option<&'a Value> {
    let mut ways = at["anyOf"].as_array().into_iter().flatten().chain([at]);
    ways.find_map(|way| {
        let way = resolved(schema, way);
        way["properties"].is_object().then_some(way)
    })
}

/// A type in words.
fn kind(schema: &Value, at: &Value) -> String {
    if let Some(ways) = at["anyOf"].as_array() {
        let ways = ways.iter().map(|way| kind(schema, way));
        return ways.collect::<Vec<_>>().join(" or ");
    }
    let is = resolved(schema, at);
    let format = at["format"].as_str().or(is["format"].as_str());
    let bounds = |name: &str| match is["minimum"].as_f64() {
        Some(least) => format!("{name} of {least} or more"),
        None => name.to_owned(),
    };
    let one = |name: &str| match (name, format) {
        ("null", _) => "null".to_owned(),
        ("string", Some(format)) => format.replace('-', " "),
        ("array", _) => {
            let item = kind(schema, &is["items"]);
            format!("list of {item}s")
        }
        (name @ ("integer" | "number"), _) => bounds(name),
        (name, _) => name.to_owned(),
    };
    if is["oneOf"].is_array() || is["enum"].is_array() {
        return "one of the values below".to_owned();
    }
    match &is["type"] {
        Value::String(name) => one(name),
        Value::Array(names) => {
            let names = names.iter().map(|name| one(name.as_str().unwrap()));
            names.collect::<Vec<_>>().join(" or ")
        }
        other => panic!("no type: {other} in {at}"),
    }
}

/// The values of an enumeration, with what they mean where that is said.
fn values(schema: &Value, at: &Value) -> Vec<String> {
    let is = resolved(schema, at);
    let described = is["oneOf"].as_array().into_iter().flatten().map(|way| {
        let meaning = way["description"].as_str().unwrap();
        format!("`{}`: {}", way["const"].as_str().unwrap(), flat(meaning))
    });
    let bare = is["enum"].as_array().into_iter().flatten();
    described
        .chain(bare.map(|value| format!("`{value}`")))
        .collect()
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The keys of an object, one section each.
fn keys(schema: &Value, of: &Value, above: &str, page: &mut String) {
    let required = of["required"].as_array();
    for (key, at) in of["properties"].as_object().unwrap() {
        let path = format!("{above}{key}");
        let is = resolved(schema, at);
        let meaning = at["description"].as_str().or(is["description"].as_str());
        let meaning = flat(meaning.unwrap_or_else(|| panic!("{path} has no description")));
        if above.is_empty() && object(schema, at).is_some() {
            let _ = write!(page, "\n## {key}\n\n{meaning}\n");
            keys(
                schema,
                object(schema, at).unwrap(),
                &format!("{path}."),
                page,
            );
            continue;
        }
        let must = required.is_some_and(|all| all.iter().any(|one| one == key));
        let default = match at.get("default") {
            Some(default) => format!("default `{default}`"),
            None if must => "required".to_owned(),
            None => panic!("{path} has no default and need not be there"),
        };
        let kind = match object(schema, at) {
            Some(_) => "object or null".to_owned(),
            None => kind(schema, at),
        };
        let _ = write!(page, "\n### `{path}`\n\n{kind}, {default}\n\n{meaning}\n");
        let values = values(schema, at);
        if !values.is_empty() {
            page.push('\n');
        }
        for value in values {
            let _ = writeln!(page, "- {value}");
        }
        if let Some(below) = object(schema, at) {
            keys(schema, below, &format!("{path}."), page);
        }
    }
}

#[test]
fn the_page_of_options_is_what_the_schema_says() {
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.arg("schema");
    let schema = run_command(command, &["schema"]).expect(0).json();
    let mut page = HEAD.to_owned();
    keys(&schema, &schema, "", &mut page);
    for key in ["local.keepDaily", "notifications.ntfy.topic", "version"] {
        assert!(page.contains(&format!("### `{key}`")), "{key}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    if std::env::var_os("BLESS").is_some_and(|set| set == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{} is stale\nhint: BLESS=1 cargo test --test cli options, then look at the difference",
        path.display()
    );
}
