//! `check`: what is a valid configuration, and what is said of one that is not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::lab::{Lab, PROGRAM, entry_names, run_command};

/// The examples' configurations, each with its folder's name.
pub(crate) fn examples() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let examples: Vec<_> = entry_names(&folder)
        .into_iter()
        .map(|name| (name.clone(), folder.join(name).join("config.json")))
        .filter(|(_, config)| config.exists())
        .collect();
    assert!(!examples.is_empty());
    examples
}

const FAULTY: &str = r#"{
  "version": 1,
  "local": {
    "enable": true,
    "useRsync": false,
    "keepDialy": 7,
    "keepWeekly": "four",
    "minSpaceGB": -1,
    "weekStartsOn": "sonday",
    "sources": ["home", "/etc", 3]
  },
  "schedule": { "timeOfDay": "26:00" }
}"#;

/// The paths of all that is wrong in the above.
const FAULTS: [&str; 7] = [
    "local.keepDialy",
    "local.keepWeekly",
    "local.minSpaceGB",
    "local.weekStartsOn",
    "local.sources[0]",
    "local.sources[2]",
    "schedule.timeOfDay",
];

#[test]
fn every_fault_of_a_configuration_is_shown_at_once() {
    let lab = Lab::new();
    lab.write("faulty.json", FAULTY);
    let told = lab.run(&["check", "faulty.json"]).expect(2);
    assert_eq!(told.stdout, "");
    for path in FAULTS {
        assert!(told.stderr.contains(path), "{path}: {told}");
    }
    assert!(told.stderr.contains("faulty.json has 7 faults"), "{told}");
    assert!(told.stderr.contains("did you mean `local.keepDaily`?"));
    told.hints("correct the above");

    let told = lab.run(&["check", "faulty.json", "--json"]).expect(2);
    let faults = told.json();
    let mut paths: Vec<&str> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    let mut expected = FAULTS;
    expected.sort_unstable();
    assert_eq!(paths, expected);
}

#[test]
fn an_invalid_configuration_stops_every_verb() {
    let lab = Lab::new();
    lab.write("config.json", FAULTY);
    for arguments in [
        &["plan"][..],
        &["apply"],
        &["now"],
        &["status"],
        &["list"],
        &["restore", "--list"],
        &["restore", "latest", "/a", "b"],
        &["pin", "latest"],
        &["init"],
        &["simulate"],
    ] {
        lab.run(arguments).expect(2).says("local.keepDialy");
    }
    assert!(!lab.path("state").exists());
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
}

#[test]
fn bytes_that_are_no_configuration_are_a_fault_and_not_a_crash() {
    let lab = Lab::new();
    let path = lab.path("garbage.json");
    let deep = "[".repeat(100_000);
    for bytes in [
        &b""[..],
        b"\0\xff\xfe\x1b[2J",
        b"{",
        b"[]",
        b"null",
        b"{\"version\": 1e999}",
        deep.as_bytes(),
    ] {
        fs::write(&path, bytes).unwrap();
        let told = lab.run(&["check", "garbage.json"]).expect(2);
        assert!(!told.stderr.is_empty() && !told.stderr.contains('\u{1b}'));
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let lab = Lab::new();
    fs::remove_file(lab.path("config.json")).unwrap();
    let told = lab.run(&["plan"]).expect(2);
    let path = lab.text("config.json");
    told.says(&path).says("cannot read").hints("--config");
}

#[test]
fn every_example_is_valid() {
    let lab = Lab::new();
    for (name, path) in examples() {
        let mut command = lab.bare(PROGRAM);
        command.arg("check").arg(&path);
        let told = run_command(command, &["check", &name]).expect(0);
        let copies = told
            .stdout
            .strip_prefix(&format!("{}: valid\n", path.display()));
        assert!(copies.is_some_and(|text| text.contains("with the original")));
        assert_eq!(told.stderr, "", "{name}");
    }
}

#[test]
fn the_configuration_may_come_from_the_environment() {
    let lab = Lab::new();
    let mut command = lab.bare(PROGRAM);
    command.arg("check").env("BACKUP_CONFIG", "config.json");
    run_command(command, &["check"]).expect(0);
}
