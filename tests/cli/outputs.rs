//! What verbs print with `--json` is as `backup schema` says it is. Every document that a test reads
//! is compared; here are those that no other test reads.

use std::fs;

use serde_json::{Value, json};

use test_support::{differences, read_schema};

use crate::lab::Lab;

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A lab with two snapshots that differ.
fn lab_of_two() -> Lab {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all of you\n");
    fs::remove_file(lab.path("home/bob/notes/list.md")).unwrap();
    std::os::unix::fs::symlink("letter.txt", lab.path("home/ann/link")).unwrap();
    lab.backup(SECOND);
    lab
}

#[test]
fn each_document_is_as_its_schema_says_and_tells_its_version() {
    let lab = lab_of_two();
    let home = lab.text("home");
    let (letter, bob) = (lab.text("home/ann/letter.txt"), lab.text("home/bob"));
    let (new, newer) = (lab.text("new"), lab.text("newer"));
    // What another tool made.
    let other = lab.text("mnt/other");
    lab.write("mnt/other/backup.marker", "");
    let tree = format!("mnt/other/2024-12-01-020000{home}/ann/letter.txt");
    lab.write(&tree, "dear all\n");
    for (code, arguments) in [
        (0, &["status"][..]),
        (0, &["list"]),
        (0, &["restore", "--list"]),
        (0, &["find", "*"]),
        (0, &["diff", "latest~1", "latest"]),
        (0, &["diff", "latest~1", "now"]),
        (0, &["plan"]),
        (0, &["apply", "--dry-run"]),
        (0, &["now", "--dry-run"]),
        (0, &["now"]),
        (0, &["prune", "--dry-run"]),
        (0, &["prune", "--yes"]),
        (0, &["init"]),
        (0, &["health"]),
        (0, &["report"]),
        (0, &["verify"]),
        (0, &["restore", "latest", &home, &new]),
        (0, &["pin", "latest"]),
        (0, &["unpin", "latest"]),
        (0, &["accept", "latest"]),
        (0, &["delete", "latest~1", "--dry-run"]),
        (0, &["delete", "latest~1", "--yes"]),
        (0, &["adopt", &other, "--dry-run"]),
        (0, &["adopt", &other, "--yes"]),
        (0, &["systemd-units", "--program", "/bin/sh"]),
    ] {
        let told = lab.run(&[arguments, &["--json"]].concat()).expect(code);
        assert_eq!(told.json()["format_version"], 1, "{arguments:?}");
    }
    for arguments in [
        &["simulate", "--days", "30"][..],
        &["restore", "latest", &letter, &bob, &newer, "--dry-run"],
    ] {
        let told = lab.run(&[arguments, &["--json"]].concat()).expect(0);
        let document = told.json();
        let list = document.as_array().unwrap();
        assert!(!list.is_empty());
        for one in list {
            assert_eq!(one["format_version"], 1, "{arguments:?}");
        }
    }
    let units = lab
        .run(&["systemd-units", "--program", "/bin/sh", "--json"])
        .expect(0)
        .json();
    assert!(units["units"]["backup.service"].is_string(), "{units}");
    let valid = lab.run(&["check", "--json"]).expect(0).json();
    assert_eq!(valid, json!([]));
}

#[test]
fn the_faults_of_a_configuration_are_what_any_verb_prints() {
    let mut lab = Lab::new();
    lab.set("local.keepDayly", 7);
    for verb in ["check", "status", "plan"] {
        let faults = lab.run(&[verb, "--json"]).expect(2).json();
        assert_eq!(differences(&read_schema("check"), &faults), [""; 0]);
        assert_eq!(faults[0]["format_version"], 1);
        assert_eq!(faults[0]["path"], "local.keepDayly");
    }
}

#[test]
fn a_channel_that_is_tested_is_told_of_as_its_schema_says() {
    let mut lab = Lab::new();
    let told = lab.script("tell", "cat > /dev/null");
    lab.set("notifications.desktop", false);
    lab.set("notifications.command", told);
    let tested = lab.run(&["notify-test", "--json"]).expect(0).json();
    assert_eq!(tested[0]["format_version"], 1);
    assert_eq!(tested[0]["ok"], true);
}

#[test]
fn each_line_of_progress_is_as_its_schema_says() {
    let mut lab = Lab::new();
    let script = lab.script("before", "echo dumping");
    lab.set("preBackupScript", script);
    let told = lab.at(FIRST, &["apply", "--json"]).expect(0).stderr;
    let schema = read_schema("progress");
    let mut events: Vec<String> = Vec::new();
    for line in told.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(differences(&schema, &line), [""; 0], "{line}");
        assert_eq!(line["format_version"], 1);
        events.push(line["event"].as_str().unwrap().to_owned());
    }
    for event in [
        "run-started",
        "step-started",
        "script-line",
        "step-finished",
    ] {
        assert!(events.iter().any(|one| one == event), "{event}: {told}");
    }
}
