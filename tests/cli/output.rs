//! What was asked for and could not be written, and words that are no verbs.

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    process::Stdio,
};

use crate::lab::{Lab, id_of, run_command};

const FIRST: &str = "2025-03-05T02:00:00+01:00";

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn output_that_cannot_be_written_is_an_error_of_every_verb() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let rows: &[&[&str]] = &[
        &["list"],
        &["list", "--json"],
        &["status"],
        &["status", "--json"],
        &["plan"],
        &["plan", "--json"],
        &["plan", "--detailed-exitcode"],
        &["plan", "--graph", "dot"],
        &["find", "letter.txt"],
        &["diff", "latest", "now"],
        &["check"],
        &["schema"],
        &["verify"],
        &["restore", "--list"],
        &["simulate", "--days", "3"],
        &["report"],
        &["completions", "bash"],
        &["man"],
        &["systemd-units", "--program", "/bin/sh"],
        &["apply"],
        &["--help"],
        &["list", "--help"],
        &["--version"],
    ];
    for arguments in rows {
        let mut command = lab.command(arguments);
        command.stdout(full());
        let told = run_command(command, arguments).expect(1);
        told.says("standard output cannot be written: no space left on device");
    }
    // The program's own reasons come first.
    let mut lab = lab;
    lab.set("local.requireMount", true);
    let mut command = lab.command(&["list"]);
    command.stdout(full());
    run_command(command, &["list"]).expect(4);
}

#[test]
fn a_reader_that_closes_early_is_no_error() {
    let lab = Lab::new();
    lab.backup(FIRST);
    for arguments in [&["man"][..], &["completions", "bash"], &["--help"]] {
        let mut command = lab.command(arguments);
        command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = [0];
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut first).unwrap();
        drop(output);
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(0), "{arguments:?}");
    }
}

#[test]
fn a_word_of_another_tool_is_answered_with_the_verb() {
    let lab = Lab::new();
    for (word, verb) in [
        ("forget", "backup delete ID"),
        ("snapshots", "backup list"),
        ("remove", "backup delete ID"),
        ("backup", "backup now"),
        ("mount", "backup restore"),
    ] {
        lab.run(&[word]).expect(2).says(verb);
    }
    let unknown = lab.run(&["frobnicate"]).expect(2);
    assert!(!unknown.all().contains("tip"), "{unknown}");
}

#[test]
fn a_dry_run_of_the_verbs_that_run_shows_the_plan_and_changes_nothing() {
    let lab = Lab::new();
    for verb in ["now", "apply"] {
        lab.at(FIRST, &[verb, "--dry-run"])
            .expect(0)
            .says("snapshot");
        assert!(!lab.path("state").exists());
        assert!(!lab.stored("").exists());
    }
    lab.backup(FIRST);
    let second = "2025-03-06T02:00:00+01:00";
    let plan = lab.at(second, &["apply", "--dry-run", "--json"]).json();
    assert!(plan["run_id"].as_str().unwrap().starts_with(&id_of(second)));
    assert_eq!(lab.ids(), [id_of(FIRST)]);
}

#[test]
fn errors_are_objects_for_programs() {
    let lab = Lab::new();
    let rows: &[(&[&str], i32, &str)] = &[
        (
            &["--json", "restore", "2020-01-01", "/x", "/y"],
            4,
            "no snapshot",
        ),
        (&["--json", "frobnicate"], 2, "frobnicate"),
        (
            &["list", "--json", "--no-such-option"],
            2,
            "--no-such-option",
        ),
    ];
    for (arguments, code, says) in rows {
        let told = lab.run(arguments);
        assert_eq!(told.code, *code, "{}", told.all());
        let last = told.stderr.lines().last().unwrap();
        let line: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!(line["event"], "failed", "{line}");
        assert_eq!(line["exit_code"], *code, "{line}");
        assert!(line["message"].as_str().unwrap().contains(says), "{line}");
        assert!(line["hint"].is_string(), "{line}");
    }
}

#[test]
fn lines_are_not_broken_in_a_pipe() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let lines = |columns: Option<&str>| {
        let mut command = lab.command(&["diff", "latest", "now"]);
        match columns {
            Some(columns) => command.env("BACKUP_COLUMNS", columns),
            None => command.env_remove("BACKUP_COLUMNS"),
        };
        let told = run_command(command, &["diff"]).expect(0);
        told.stdout.lines().count()
    };
    assert_eq!(lines(None), 1);
    assert!(lines(Some("40")) > 1);
}

#[test]
fn a_mark_says_what_it_changes_and_nothing_else() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let id = id_of(FIRST);
    for (verb, said) in [
        ("unpin", "was not pinned"),
        ("pin", "is kept whatever the retention says"),
        ("pin", "was pinned before"),
        ("unpin", "is left to the retention again"),
    ] {
        let told = lab.run(&[verb, "latest"]).expect(0);
        let all = told.all();
        let told: Vec<&str> = all.lines().filter(|line| line.contains(&id)).collect();
        assert!(told.len() == 1 && told[0].contains(said), "{all}");
    }
}
