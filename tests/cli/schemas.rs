//! The formats as JSON Schemas, which are checked in for those who do not run the program.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use test_support::{DOCUMENTS, WITHOUT_DOCUMENT};

use crate::lab::{Lab, PROGRAM, run_command};

/// The formats: of files, and of what verbs print with `--json`.
const FORMATS: [&str; 25] = [
    "adopt",
    "check",
    "cloud-list",
    "cloud-verification",
    "config",
    "diff",
    "drill",
    "drill-plan",
    "find",
    "health",
    "inventory",
    "list",
    "notify-test",
    "period-report",
    "plan",
    "progress",
    "report",
    "restore",
    "setup",
    "simulate",
    "state",
    "state-table",
    "status",
    "systemd-units",
    "verification",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/json")
}

/// What the program prints of a format.
fn print_schema(format: &str) -> String {
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.args(["schema", format]);
    let printed = run_command(command, &["schema", format]).expect(0);
    assert_eq!(printed.stderr, "");
    printed.stdout
}

/// Compares what the program prints with the file that is checked in; `BLESS=1` writes the file.
#[test]
fn each_schema_is_the_one_that_is_checked_in() {
    for format in FORMATS {
        let printed = print_schema(format);
        let schema: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert!(schema["title"].is_string() && schema["description"].is_string());
        let path = folder().join(format!("{format}.json"));
        if std::env::var_os("BLESS").is_some_and(|set| set == "1") {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, &printed).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == printed,
            "{} is stale\nhint: BLESS=1 cargo test --test cli schemas, then look at the difference",
            path.display()
        );
    }
}

#[test]
fn each_file_is_the_schema_of_a_format_and_each_format_is_tested() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(files, FORMATS);
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.args(["schema", "--help"]);
    let help = run_command(command, &["schema", "--help"]).expect(0).stdout;
    let lines: Vec<&str> = help.lines().map(str::trim).collect();
    let begins = |format: &str| {
        let beginning = format!("- {format}:");
        lines.iter().any(|line| line.starts_with(&beginning))
    };
    // Besides, `--color` lists three values.
    let listed = lines.iter().filter(|line| line.starts_with("- ")).count();
    assert_eq!(listed, FORMATS.len() + 3, "{help}");
    for format in FORMATS {
        assert!(begins(format), "{format}: {help}");
    }
}

#[test]
fn every_verb_names_the_schema_of_what_it_prints() {
    let lab = Lab::new();
    let schema = |name: &str| {
        let mut command = lab.bare(PROGRAM);
        command.args(["schema", name]);
        run_command(command, &["schema", name])
    };
    let (mut known, mut of_verbs) = (WITHOUT_DOCUMENT.to_vec(), 0);
    known.extend(DOCUMENTS.map(|(verb, ..)| verb));
    known.sort_unstable();
    let mut verbs = crate::help::VERBS;
    verbs.sort_unstable();
    assert_eq!(verbs[..], known);
    for verb in known {
        match DOCUMENTS.iter().find(|(one, ..)| *one == verb) {
            // A verb that shows what it would do has that one's own name, if it has one.
            // Its name has been that of what became of one run, which was there before it.
            Some(("report", of_period, _)) => {
                assert_ne!(schema("report").expect(0).stdout, print_schema(of_period));
                of_verbs += 1;
            }
            Some((_, run, dry)) => {
                let named = if *dry == verb { dry } else { run };
                assert_eq!(schema(verb).expect(0).stdout, print_schema(named), "{verb}");
                of_verbs += 1;
            }
            None => drop(schema(verb).expect(2)),
        }
    }
    assert_eq!(of_verbs, DOCUMENTS.len());
}

#[test]
fn without_a_format_the_schema_of_the_configuration_is_printed() {
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.arg("schema");
    let one = run_command(command, &["schema"]).expect(0);
    let mut command = lab.bare(PROGRAM);
    command.args(["schema", "config"]);
    assert_eq!(
        one.stdout,
        run_command(command, &["schema", "config"]).stdout
    );
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
    let schema = run_command(command, &["schema"]).json();
    let mut known = Vec::new();
    keys(&schema, &schema, "", &mut known);
    for (path, example) in crate::validity::examples() {
        let example: Value = serde_json::from_slice(&fs::read(example).unwrap()).unwrap();
        for (key, below) in example.as_object().unwrap() {
            assert!(known.contains(&format!("/{key}")), "{path}: {key}");
            if key == "destinations" {
                let own = &schema["$defs"]["Destination"]["properties"];
                for (name, one) in below.as_object().unwrap() {
                    for key in one.as_object().unwrap().keys() {
                        assert!(own.get(key).is_some(), "{path}: destinations.{name}.{key}");
                    }
                }
                continue;
            }
            for name in below.as_object().into_iter().flat_map(|below| below.keys()) {
                let key = format!("/{key}/{name}");
                assert!(known.contains(&key), "{path}: {key}");
            }
        }
    }
}
