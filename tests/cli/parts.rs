//! The parts of a run by themselves, and what is owed after a run that was killed. That units do
//! them is shown in `tests/systemd`.

use std::fs;

use executor::journal::Replay;
use schema::{journal::JournalEvent, plan::Part};

use crate::{
    cloud,
    lab::{Lab, Ran, finding_codes, id_of},
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const LATER: &str = "2025-03-05T03:00:00+01:00";

/// Scripts that write down that they ran.
fn scripted() -> Lab {
    let mut lab = Lab::new();
    for (key, name) in [("preBackupScript", "pre"), ("postBackupScript", "post")] {
        let log = lab.text(&format!("{name}.log"));
        let line = format!("echo \"$BACKUP_RESULT $BACKUP_RUN_ID\" >> {log}");
        let script = lab.script(name, &line);
        lab.set(key, script);
    }
    lab
}

/// Kills the program that runs the script, once.
const KILL: &str = "[ -e ../killed ] || { touch ../killed; kill -KILL $PPID; sleep 60; }";

fn kills(lab: &Lab, name: &str) -> Ran {
    let marker = lab.text("killed");
    let log = lab.text(&format!("{name}.log"));
    let body = format!(
        "echo \"$BACKUP_RESULT $BACKUP_RUN_ID\" >> {log}\n{}",
        KILL.replace("../killed", &marker)
    );
    lab.script(name, &body);
    lab.at(FIRST, &["apply"]).expect(128 + 9)
}

fn lines(lab: &Lab, name: &str) -> Vec<String> {
    let text = fs::read_to_string(lab.path(format!("{name}.log"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn steps(plan: &serde_json::Value) -> Vec<&str> {
    let steps = plan["steps"].as_array().unwrap().iter();
    steps.map(|step| step["id"].as_str().unwrap()).collect()
}

#[test]
fn only_the_local_steps_are_planned_and_what_is_left_out_is_said() {
    let lab = scripted();
    let plan = lab.at(FIRST, &["plan", "--only", "local", "--json"]);
    let plan = plan.expect(0).json();
    assert_eq!(
        steps(&plan),
        ["destination-check", "space-check", "snapshot", "rotate"]
    );
    assert!(finding_codes(&plan["findings"]).contains(&"only-one-part"));
    lab.at(FIRST, &["plan", "--only", "local"])
        .expect(0)
        .says("only the local steps: pre-script, post-script left out");
}

#[test]
fn only_the_local_steps_are_done() {
    let lab = scripted();
    lab.at(FIRST, &["apply", "--only", "local"]).expect(0);
    assert_eq!(lab.ids().len(), 1);
    assert_eq!(lines(&lab, "pre").len() + lines(&lab, "post").len(), 0);
}

#[test]
fn only_the_cloud_steps_look_at_no_source() {
    let mut lab = scripted();
    lab.set("cloud.enable", true);
    lab.set("cloud.syncMode", "copy");
    lab.at(FIRST, &["apply", "--only", "local"]).expect(0);
    // A source that is gone is no matter of theirs.
    fs::rename(lab.path("home"), lab.path("gone")).unwrap();
    let plan = lab.at(LATER, &["plan", "--only", "cloud", "--json"]);
    let plan = plan.expect(0).json();
    assert!(steps(&plan).iter().all(|step| step.starts_with("cloud-")));
}

#[test]
fn a_part_of_an_unfinished_run_waits_for_what_comes_before_it() {
    let lab = scripted();
    kills(&lab, "pre");
    lab.at(LATER, &["apply", "--only", "local"])
        .expect(4)
        .says("its local steps wait for pre-script")
        .hints("`backup apply` continues it");
    lab.at(LATER, &["apply"]).expect(0);
    assert_eq!(lab.runs().len(), 1, "one run, continued");
}

#[test]
fn a_part_that_an_unfinished_run_has_done_is_not_done_again() {
    let lab = scripted();
    kills(&lab, "post");
    lab.at(LATER, &["apply", "--only", "local"])
        .expect(4)
        .says("its local steps are done")
        .hints("`backup apply` does the rest");
    lab.at(LATER, &["apply", "--only", "local", "--fresh"])
        .expect(0);
    assert!(lab.latest().ends_with(&id_of(LATER)), "{}", lab.latest());
}

#[test]
fn what_a_killed_run_owes_is_settled_once_and_the_run_is_continued() {
    let lab = scripted();
    kills(&lab, "pre");
    lab.run(&["settle"]).expect(0).says("was interrupted");
    let post = lines(&lab, "post");
    assert_eq!(post.len(), 1);
    assert!(post[0].starts_with("interrupted "), "{post:?}");
    lab.run(&["settle"]).expect(0);
    assert_eq!(lines(&lab, "post"), post);
    lab.at(LATER, &["apply"]).expect(0);
    let all = lines(&lab, "post");
    assert_eq!(all.len(), 2, "{all:?}");
    let run = post[0].split_once(' ').unwrap().1;
    assert_eq!(all[1], format!("success {run}"));
    lab.run(&["settle"]).expect(0);
    assert_eq!(lines(&lab, "post"), all);
}

#[test]
fn nothing_is_owed_before_the_first_run_and_after_one_that_ended() {
    let lab = scripted();
    lab.run(&["settle"]).expect(0);
    lab.at(FIRST, &["apply"]).expect(0);
    lab.run(&["settle"]).expect(0);
    assert_eq!(lines(&lab, "post").len(), 1);
}

#[test]
fn a_script_that_was_killed_in_the_middle_is_run_again() {
    let lab = scripted();
    kills(&lab, "post");
    // It only began, so what it does may not be done.
    lab.run(&["settle"]).expect(0);
    assert_eq!(lines(&lab, "post").len(), 2);
}

#[test]
fn what_the_cloud_part_wrote_apart_is_taken_over_wherever_either_journal_ends() {
    let test = "what_the_cloud_part_wrote_apart_is_taken_over";
    let Some((lab, current)) = cloud::lab(test) else {
        return;
    };
    lab.backup(FIRST);
    let run = lab.path("state/runs").join(&lab.runs()[0]);
    let journal = run.join("journal.jsonl");
    let read = || {
        Replay::from_bytes(&fs::read(&journal).unwrap())
            .unwrap()
            .events
    };
    let is_cloud = |event: &JournalEvent| match event {
        JournalEvent::StepStarted { step, .. } | JournalEvent::StepFinished { step, .. } => {
            step.starts_with("cloud-")
        }
        _ => false,
    };
    let mut before = read();
    before.truncate(before.iter().position(is_cloud).unwrap());
    before.push(JournalEvent::HandedOver {
        part: Part::Cloud,
        of: None,
        at: FIRST.parse().unwrap(),
    });
    // The run as its process leaves it that is killed while the cloud part is at work.
    let hand_over = |told: &[JournalEvent]| {
        let events = [before.clone(), told.to_vec()].concat();
        fs::write(&journal, Replay { events }.to_bytes().unwrap()).unwrap();
        let _ = fs::remove_file(run.join("report.json"));
    };
    hand_over(&[]);
    lab.at(FIRST, &["apply", "--only", "cloud"]).expect(0);
    assert_eq!(read(), before, "the part leaves the run's journal alone");
    let apart = lab.path("state/cloud/parts");
    let apart = apart.join(format!("{}.jsonl", lab.runs()[0]));
    let bytes = fs::read(&apart).unwrap();
    let told = Replay::from_bytes(&bytes).unwrap().events;
    assert_eq!(told.len(), 2, "{told:?}");

    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let cuts = [
        (0, 0),
        (first / 2, 0),
        (first, 1),
        (first + 9, 1),
        (bytes.len() - 1, 1),
        (bytes.len(), 2),
    ];
    for known in 0..=told.len() {
        for (length, whole) in cuts {
            hand_over(&told[..known]);
            fs::write(&apart, &bytes[..length]).unwrap();
            lab.at(FIRST, &["apply"]).expect(0);
            let shown = format!("{known} known, {length} bytes apart");
            assert_eq!(lab.runs().len(), 1, "{shown}");
            assert!(run.join("report.json").exists(), "{shown}");
            assert!(!apart.exists(), "{shown}");
            // What ended is not done again, and what only began is.
            let begun = |event: &&JournalEvent| {
                is_cloud(event) && matches!(event, JournalEvent::StepStarted { .. })
            };
            let begun = read().iter().filter(begun).count();
            let expected = if known.max(whole) == 1 { 2 } else { 1 };
            assert_eq!(begun, expected, "{shown}");
            let far = current.join(lab.path("home").strip_prefix("/").unwrap());
            assert!(far.exists(), "{shown}");
        }
    }
}
