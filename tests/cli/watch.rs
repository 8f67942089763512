//! `status --watch`, and what is drawn in a terminal alone.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Command,
};

use serde_json::Value;

use crate::lab::{
    Lab, PROGRAM, Ran, id_of, is_installed, run_command, skip, wait_for, wait_for_child,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const WAITS: &str = "touch begun; while [ ! -e go ]; do sleep 0.02; done";

#[test]
fn a_run_of_another_process_is_told_line_by_line_to_its_end() {
    let mut lab = Lab::new();
    lab.set("preBackupScript", lab.script("pre", WAITS));
    // A hole that takes a second or two to be read.
    let large = fs::File::create(lab.path("home/ann/large.img")).unwrap();
    large.set_len(3 << 30).unwrap();
    let arguments = ["apply"];
    let run = lab.command(&arguments).spawn().unwrap();
    wait_for("the script", || lab.path("begun").exists());

    let mut watching = lab
        .command(&["status", "--watch", "--json"])
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(watching.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if line["event"] == "step-started" && line["step"] == "pre-script" {
            lab.write("go", "");
        }
        lines.push(line);
    }
    assert!(watching.wait().unwrap().success());
    wait_for_child(run, &arguments).expect(0);

    let of = |event: &str| {
        lines
            .iter()
            .filter(|line| line["event"] == event)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines[0]["event"], "run-started");
    let progress = of("progress");
    let shows_file = |line: &&&Value| {
        let path = line["path"].as_str().unwrap_or_default();
        line["phase"] == "copy" && path.ends_with("/home/ann/large.img")
    };
    assert!(
        progress.iter().any(|line| shows_file(&line)),
        "{progress:#?}"
    );
    let ended: Vec<&str> = of("step-finished")
        .iter()
        .map(|line| line["step"].as_str().unwrap())
        .collect();
    assert!(
        ended.contains(&"snapshot") && ended.contains(&"rotate"),
        "{ended:?}"
    );
    let end = &lines[lines.len() - 2];
    assert_eq!(end["event"], "run-ended");
    assert_eq!(end["result"], "success");
    let run_id = end["run_id"].as_str().unwrap();
    assert_eq!(lab.runs(), [run_id]);
    let last = &lines[lines.len() - 1];
    assert_eq!(last["event"], "status");
    assert_eq!(last["status"]["running"], false);
    assert_eq!(last["status"]["last_run"]["run_id"], run_id);
    // It is noted while it is of use.
    assert!(!lab.path("state/progress.json").exists());
}

#[test]
fn people_see_the_steps_the_report_and_the_status_and_a_killed_run_is_said_to_be_one() {
    let mut lab = Lab::new();
    lab.set("preBackupScript", lab.script("pre", WAITS));
    let watch = |finish: &dyn Fn(&mut std::process::Child)| {
        let arguments = ["apply"];
        let mut run = lab.command(&arguments).spawn().unwrap();
        wait_for("the script", || lab.path("begun").exists());
        let words = ["status", "--watch"];
        let mut watching = lab.command(&words).spawn().unwrap();
        let mut output = BufReader::new(watching.stdout.take().unwrap()).lines();
        let mut told = String::new();
        for line in output.by_ref() {
            let line = line.unwrap();
            told += &format!("{line}\n");
            if line.contains("pre-script: started") {
                finish(&mut run);
            }
        }
        assert!(watching.wait().unwrap().success(), "{told}");
        let _ = wait_for_child(run, &arguments);
        fs::remove_file(lab.path("begun")).unwrap();
        told
    };
    let killed = watch(&|run| run.kill().unwrap());
    assert!(killed.contains("Unfinished"), "{killed}");
    let told = watch(&|_| lab.write("go", ""));
    for expected in ["snapshot: ok", "rotate: ok", "ok: last backup"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn where_nothing_is_at_work_the_status_says_the_same_as_ever() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let status = lab.run(&["status"]).expect(0);
    let watched = lab.run(&["status", "--watch"]).expect(0);
    assert_eq!(watched.stderr, "no run is at work\n");
    let first = |ran: &Ran| ran.stdout.lines().next().unwrap().to_owned();
    assert_eq!(first(&watched), first(&status));
    let line = lab.run(&["status", "--watch", "--json"]).expect(0);
    assert_eq!(line.stdout.lines().count(), 1);
    let line: Value = serde_json::from_str(&line.stdout).unwrap();
    assert_eq!(line["event"], "status");
    lab.run(&["status", "--watch", "--now", FIRST]).expect(2);
}

/// What the program says in a terminal of 80 columns.
fn in_terminal(lab: &Lab, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let words: Vec<String> = lab
        .words(arguments)
        .into_iter()
        .map(|word| word.into_string().unwrap())
        .collect();
    let line = format!("stty cols 80; {PROGRAM} {}", words.join(" "));
    let mut script: Command = lab.bare("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env_remove("NO_COLOR");
    script.envs(environment.iter().copied());
    run_command(script, arguments).expect(0).stdout
}

#[test]
fn pictures_are_drawn_in_a_terminal_and_nowhere_else() {
    if !is_installed("script") {
        return skip("script(1) of bsdutils is not installed");
    }
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let utf8 = [("LC_ALL", "C.UTF-8")];
    let plain = [("LC_ALL", "C.UTF-8"), ("NO_COLOR", "1")];
    let letters = [("LC_ALL", "C")];
    let at = |verb: &'static str| vec![verb, "--now", SECOND];
    let simulate = vec!["simulate", "--days", "40"];
    for (arguments, drawn) in [
        (at("list"), "●"),
        (at("plan"), "█"),
        (simulate, "kept over time"),
    ] {
        let is_drawn = |text: &str| text.contains(drawn);
        assert!(
            is_drawn(&in_terminal(&lab, &utf8, &arguments)),
            "{arguments:?}"
        );
        for other in [&plain[..], &letters] {
            assert!(
                !is_drawn(&in_terminal(&lab, other, &arguments)),
                "{arguments:?}"
            );
        }
        let piped = lab.run(&arguments).expect(0);
        assert!(!is_drawn(&piped.stdout));
        let colored = lab.run(&[&arguments[..], &["--color", "always"]].concat());
        assert!(!is_drawn(&colored.stdout));
    }
    let status = at("status");
    let days = "from 2025-03-0";
    let signs = in_terminal(&lab, &utf8, &status);
    assert!(signs.contains("✓") && signs.contains(days), "{signs}");
    for other in [&plain[..], &letters] {
        let text = in_terminal(&lab, other, &status);
        assert!(text.contains("Last days") && !text.contains('✓'), "{text}");
    }
    assert!(!lab.run(&status).stdout.contains("Last days"));
    assert_eq!(lab.ids().last(), Some(&id_of(SECOND)));
}
