//! Which rsync serves, and what it is told.

use std::{fs, process::Command};

use serde_json::Value;

use super::{FIRST, SECOND, lab, real, rest, run_with_script, with_script};
use crate::lab::{contents_below, finding_codes, plan_action, run_command};

#[test]
fn an_rsync_that_is_missing_old_or_something_else_is_refused() {
    let Some(lab) = lab() else { return };
    let with_version = |body: &str| {
        lab.script("bin/rsync", body);
        let arguments = ["-v", "plan", "--now", FIRST];
        let mut command = lab.command(&arguments);
        command.env("PATH", lab.text("bin"));
        run_command(command, &arguments)
    };
    with_version("echo 'rsync  version 3.1.3  protocol version 31'")
        .expect(4)
        .says("rsync 3.1.3 (local.useRsync) is too old: 3.2 or newer is needed")
        .hints("set local.useRsync to false");
    with_version("echo 'openrsync: protocol version 29, rsync version 2.6.9 compatible'")
        .expect(4)
        .says("rsync (local.useRsync) cannot be used")
        .says("openrsync");
    // A note, not a warning: it must not make every run end as incomplete.
    with_version("echo 'rsync  version 3.2.7  protocol version 31'")
        .expect(0)
        .says("with rsync 3.2.7")
        .says("CVE-2026-53797")
        .hints("update rsync");
    with_version("echo 'rsync  version 3.5.1  protocol version 32'")
        .expect(0)
        .says("with rsync 3.5.1");
    fs::remove_file(lab.path("bin/rsync")).unwrap();
    let arguments = ["apply", "--json", "--now", FIRST];
    let mut command = lab.command(&arguments);
    command.env("PATH", lab.text("bin"));
    let report = run_command(command, &arguments).expect(4).json();
    assert_eq!(finding_codes(&report["findings"])[0], "rsync-missing");
}

#[test]
fn the_plan_holds_every_argument_and_the_version() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.excludePatterns", vec!["*.tmp"]);
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let snapshot = plan_action(&plan, "snapshot");
    let rsync = &snapshot["rsync"];
    let version = Command::new(real().unwrap())
        .arg("--version")
        .output()
        .unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let found = rsync["version"].as_str().unwrap();
    assert!(version.contains(&format!("version {found} ")), "{version}");
    let arguments = rsync["calls"][0]["arguments"].as_array().unwrap();
    assert!(arguments.contains(&Value::from("--exclude=*.tmp")));
    assert!(arguments.contains(&Value::from("{source}")));
    lab.at(FIRST, &["-v", "plan"])
        .expect(0)
        .says(&format!("with rsync {found}"));
}

#[test]
fn nothing_in_the_environment_or_the_home_folder_changes_what_rsync_does() {
    let Some(lab) = lab() else { return };
    lab.write(
        "user/.popt",
        "rsync alias -a -n\nrsync alias --numeric-ids --dry-run\n",
    );
    rest();
    let arguments = ["apply", "--json", "--now", FIRST];
    let mut command = with_script(
        &lab,
        "env > \"$lab/env\"; exec \"$real\" \"$@\"",
        &arguments,
    );
    command
        .env("RSYNC_PARTIAL_DIR", lab.text("elsewhere"))
        .env("RSYNC_MAX_ALLOC", "1")
        .env("LANG", "de_DE.UTF-8");
    run_command(command, &arguments).expect(0);
    let environment = fs::read_to_string(lab.path("env")).unwrap();
    let mut names: Vec<&str> = environment
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        // What the shell adds itself.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["BACKUP_DESTINATION", "LC_ALL", "PATH"]);
    assert!(environment.contains("LC_ALL=C\n"));
}

#[test]
fn where_all_of_a_source_is_new_rsync_gets_no_list() {
    let Some(lab) = lab() else { return };
    lab.write("home/below/one", "one");
    rest();
    let keep = "printf '%s\\n' \"$@\" > \"$lab/arguments\"; exec \"$real\" \"$@\"";
    let of_list = || {
        let arguments = fs::read_to_string(lab.path("arguments")).unwrap();
        let of_list = |one: &&str| one.starts_with("--files-from=") || *one == "--from0";
        assert!(arguments.lines().any(|one| one == "--recursive"));
        assert!(arguments.lines().any(|one| one == "--no-inc-recursive"));
        arguments.lines().filter(of_list).count()
    };
    run_with_script(&lab, keep, FIRST).expect(0);
    assert_eq!(of_list(), 0);
    lab.write("home/below/two", "two");
    rest();
    run_with_script(&lab, keep, SECOND).expect(0);
    assert_eq!(of_list(), 2);
    let kept = contents_below(&lab.inside("latest", "home"));
    assert_eq!(kept, contents_below(&lab.path("home")));
}
