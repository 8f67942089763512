//! What the program says of itself.

use std::os::unix::fs::symlink;

use crate::lab::{Lab, PROGRAM, Ran, id_of, run_command};

pub(crate) const VERBS: [&str; 32] = [
    "try",
    "setup",
    "check",
    "schema",
    "plan",
    "apply",
    "now",
    "status",
    "list",
    "state",
    "browse",
    "find",
    "diff",
    "health",
    "report",
    "restore",
    "drill",
    "verify",
    "notify-test",
    "pin",
    "unpin",
    "accept",
    "prune",
    "delete",
    "adopt",
    "init",
    "simulate",
    "completions",
    "man",
    "settle",
    "view",
    "systemd-units",
];

fn bare(lab: &Lab, program: &str, arguments: &[&str]) -> Ran {
    let mut command = lab.bare(program);
    command.args(arguments);
    run_command(command, arguments)
}

#[test]
fn help_of_the_program_and_of_every_verb_is_as_reviewed() {
    let lab = Lab::new();
    let help = bare(&lab, PROGRAM, &["--help"]).expect(0);
    insta::assert_snapshot!("help", help.stdout);
    insta::assert_snapshot!("help_short", bare(&lab, PROGRAM, &["-h"]).expect(0).stdout);
    for verb in VERBS {
        let help = bare(&lab, PROGRAM, &[verb, "--help"]).expect(0);
        assert_eq!(help.stderr, "");
        insta::assert_snapshot!(format!("help_{verb}"), help.stdout);
        help.fits();
        bare(&lab, PROGRAM, &[verb, "-h"]).expect(0);
    }
}

#[test]
fn no_verb_is_left_out_of_these_tests() {
    let lab = Lab::new();
    let help = bare(&lab, PROGRAM, &["--help"]).stdout;
    let commands = help.split("Commands:").nth(1).unwrap();
    let commands = commands.split("\n\n").next().unwrap();
    let shown: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert_eq!(shown, VERBS);
}

#[test]
fn without_a_verb_the_help_is_shown_and_it_is_a_fault() {
    let lab = Lab::new();
    let none = bare(&lab, PROGRAM, &[]).expect(2);
    assert!(none.stderr.contains("Usage: backup"), "{none}");
    assert_eq!(none.stdout, "");
    bare(&lab, PROGRAM, &["backpu"]).expect(2).says("backpu");
}

#[test]
fn the_version_is_the_packages() {
    let lab = Lab::new();
    let version = bare(&lab, PROGRAM, &["--version"]).expect(0);
    let expected = concat!("backup ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(version.stdout, expected);
}

#[test]
fn the_program_under_a_verbs_name_is_that_verb() {
    let lab = Lab::new();
    for verb in ["now", "status", "restore", "verify"] {
        let link = lab.text(&format!("backup-{verb}"));
        symlink(PROGRAM, &link).unwrap();
        let under_its_name = bare(&lab, &link, &["--help"]).expect(0);
        let as_verb = bare(&lab, PROGRAM, &[verb, "--help"]).expect(0);
        assert_eq!(under_its_name.stdout, as_verb.stdout);
    }

    let now = "2025-03-05T02:00:00+01:00";
    let mut command = lab.command(&["--now", now]);
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    command = lab.bare(lab.path("backup-now"));
    command.args(arguments);
    run_command(command, &["now"]).expect(0);
    assert_eq!(lab.ids(), [id_of(now)]);
}
