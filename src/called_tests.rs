//! What a shell is given for the words of a text.

use std::ffi::OsString;

use clap::Parser as _;

use super::*;
use crate::cli::Cli;

fn called(sudo: Sudo, given: &[&str]) -> Called {
    let words = |all: &[&str]| all.iter().map(|&word| word.to_owned()).collect();
    Called {
        program: "./a/backup".to_owned(),
        program_of_root: "backup".to_owned(),
        sudo,
        options: words(&["--config", "'/a b/c.json'"]),
        options_of_root: words(&["--state-dir", "/s"]),
        given: given.iter().map(OsString::from).collect(),
        destination: None,
    }
}

#[test]
fn a_command_names_the_program_and_the_configuration_as_they_were_given() {
    let own = called(Sudo::AsSaid, &[]);
    let command = |text| own.command(text).unwrap();
    assert_eq!(
        command("backup verify --all --repair"),
        "./a/backup verify --all --repair --config '/a b/c.json'"
    );
    assert_eq!(
        command("sudo backup view"),
        "sudo backup view --state-dir /s"
    );
    assert_eq!(
        command("backup setup --config /else"),
        "./a/backup setup --config /else"
    );
    assert_eq!(
        command("mount /mnt/x && backup apply"),
        "sudo mount /mnt/x && ./a/backup apply --config '/a b/c.json'"
    );
    assert_eq!(
        command("backup list --json | jq"),
        "./a/backup list --json --config '/a b/c.json' | jq"
    );
    for other in ["backup", "df -h", "backups x", "sudo chown x"] {
        assert_eq!(own.command(other), None, "{other}");
    }
}

#[test]
fn sudo_stands_where_it_is_needed() {
    for (sudo, text, is_there) in [
        (Sudo::Needless, "sudo backup view", false),
        (Sudo::Needless, "mount /mnt/x", false),
        (Sudo::Always, "umount /mnt/x", true),
        (Sudo::AsSaid, "backup apply", false),
        (Sudo::ToChange, "backup apply", true),
        (Sudo::ToChange, "backup status", false),
        (Sudo::ToChange, "backup verify latest", false),
        (Sudo::ToChange, "backup verify latest --repair", true),
        (Sudo::Always, "backup status", true),
    ] {
        let command = called(sudo, &[]).command(text);
        let command = command.unwrap_or_else(|| text.to_owned());
        assert_eq!(command.starts_with("sudo "), is_there, "{sudo:?} {text}");
    }
}

#[test]
fn what_was_typed_is_given_once_more() {
    let typed = called(
        Sudo::AsSaid,
        &["--config", "x y", "delete", "--dry-run", "it's"],
    );
    assert_eq!(
        typed.command("backup ... --yes").unwrap(),
        r"./a/backup --config 'x y' delete 'it'\''s' --yes"
    );
    assert_eq!(
        typed.command("sudo backup ...").unwrap(),
        r"sudo backup --state-dir /s --config 'x y' delete --dry-run 'it'\''s'"
    );
    let ended = called(Sudo::Needless, &["--config=/c", "restore", "--", "-x"]);
    assert_eq!(
        ended.command("backup ... --overwrite").unwrap(),
        "./a/backup --config=/c restore --overwrite -- -x"
    );
}

#[test]
fn the_verbs_that_only_look_are_known_by_name() {
    let parsed = |verb: &str| {
        let words = match verb {
            "find" => vec!["backup", verb, "x"],
            "diff" => vec!["backup", verb, "x"],
            "restore" => vec!["backup", verb, "a", "b", "c"],
            _ => vec!["backup", verb],
        };
        Cli::try_parse_from(words).unwrap().verb
    };
    for verb in LOOKING {
        assert!(parsed(verb).only_looks(), "{verb}");
    }
    for verb in ["apply", "now", "view", "prune", "init"] {
        assert!(
            !parsed(verb).only_looks() && !LOOKING.contains(&verb),
            "{verb}"
        );
    }
}
