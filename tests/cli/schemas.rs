//! The formats as JSON Schemas, which are checked in for those who do not run the program.

use std::{fs, path::Path};

use serde_json::Value;

use crate::lab::{Lab, PROGRAM, ran};

/// Compares what the program prints with the file that is checked in; `BLESS=1` writes the file.
fn checked_in(format: &str) {
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.args(["schema", format]);
    let printed = ran(command, &["schema", format]).expect(0);
    assert_eq!(printed.stderr, "");
    let schema = printed.json();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(schema["properties"].is_object());

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/json/{format}.json"));
    if std::env::var_os("BLESS").is_some_and(|set| set == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &printed.stdout).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == printed.stdout,
        "{} is stale\nhint: BLESS=1 cargo test --test cli schemas, then look at the difference",
        path.display()
    );
}

#[test]
fn the_schema_of_config_is_the_one_that_is_checked_in() {
    checked_in("config");
}

#[test]
fn the_schema_of_plan_is_the_one_that_is_checked_in() {
    checked_in("plan");
}

#[test]
fn the_schema_of_inventory_is_the_one_that_is_checked_in() {
    checked_in("inventory");
}

#[test]
fn the_schema_of_report_is_the_one_that_is_checked_in() {
    checked_in("report");
}

#[test]
fn the_schema_of_verification_is_the_one_that_is_checked_in() {
    checked_in("verification");
}

#[test]
fn the_schema_of_health_is_the_one_that_is_checked_in() {
    checked_in("health");
}

#[test]
fn without_a_format_the_schema_of_the_configuration_is_printed() {
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.arg("schema");
    let one = ran(command, &["schema"]).expect(0);
    let mut command = lab.bare(PROGRAM);
    command.args(["schema", "config"]);
    assert_eq!(one.stdout, ran(command, &["schema", "config"]).stdout);
}

/// The names of the properties that a schema describes, `$ref`s followed.
fn keys(schema: &Value, at: &Value, path: &str, found: &mut Vec<String>) {
    let at = match at["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
        None => at,
    };
    for (key, below) in at["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        keys(schema, below, &path, found);
        found.push(path);
    }
}

#[test]
fn every_key_of_the_examples_is_in_the_schema() {
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.arg("schema");
    let schema = ran(command, &["schema"]).json();
    let mut known = Vec::new();
    keys(&schema, &schema, "", &mut known);
    for (path, example) in crate::validity::examples() {
        let example: Value = serde_json::from_slice(&fs::read(example).unwrap()).unwrap();
        for (key, below) in example.as_object().unwrap() {
            assert!(known.contains(&format!("/{key}")), "{path}: {key}");
            for name in below.as_object().into_iter().flat_map(|below| below.keys()) {
                let key = format!("/{key}/{name}");
                assert!(known.contains(&key), "{path}: {key}");
            }
        }
    }
}
