//! A user who may have only few processes, as under `ulimit -u` or a unit's `TasksMax=`.

use std::{fs, process::Command};

use nix::unistd::geteuid;

use crate::lab::{Lab, PROGRAM, Ran, contents_below, is_installed, run_command, skip};

/// A user id that nobody has, so that nobody's processes count.
const NOBODY: &str = "64319";

#[test]
fn few_processes_are_enough_or_it_is_said_what_is_lacking() {
    if !geteuid().is_root() || !is_installed("prlimit") || !is_installed("setpriv") {
        return skip("only root can run the program as a user with few processes");
    }
    for (engine, verb) in [(false, "apply"), (true, "apply"), (false, "verify")] {
        if engine && !is_installed("rsync") {
            continue;
        }
        for most in [1, 2, 3, 4, 6] {
            let mut lab = Lab::new();
            lab.set("local.useRsync", engine);
            fs::copy(PROGRAM, lab.path("backup")).unwrap();
            let own = ["-R", &format!("{NOBODY}:{NOBODY}"), &lab.text("")];
            assert!(Command::new("chown").args(own).status().unwrap().success());
            if verb == "verify" {
                run(&lab, 1000, "apply").expect(0);
            }
            let told = run(&lab, most, verb);
            let text = told.all().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(!text.contains("panicked"), "{most}: {text}");
            assert!(![124, 134].contains(&told.code), "{most}: {text}");
            match told.code {
                0 if verb == "apply" => assert_eq!(
                    contents_below(&lab.inside("latest", "home")),
                    contents_below(&lab.path("home"))
                ),
                0 => {}
                _ => {
                    // What cannot be started at all: `rsync --version`, with one process.
                    assert!(engine, "{verb} with {most}: {text}");
                    assert!(text.contains("resource temporarily unavailable"), "{text}");
                }
            }
        }
    }
}

/// Runs the program as a user with at most so many processes. Within a time, because what must not be
/// is that it hangs.
fn run(lab: &Lab, most: u32, verb: &str) -> Ran {
    let inner = lab.command(&[verb, "--threads", "4"]);
    let mut command = lab.bare("timeout");
    command
        .args(["60", "setpriv", "--reuid", NOBODY, "--regid", NOBODY])
        .args(["--clear-groups", "prlimit", &format!("--nproc={most}")])
        .arg(lab.path("backup"))
        .args(inner.get_args());
    run_command(command, &[verb])
}
