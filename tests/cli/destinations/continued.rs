//! Runs for several destinations that are killed and continued, as a whole or in part.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{FIRST, SECOND, days, ends, is_stored, lab};
use crate::{
    lab::{Lab, run_command, wait_for_child},
    notify::{keep_reports, reports},
};

const SOON: &str = "2025-03-06T03:00:00+01:00";

/// Files that take a while to be stored.
pub(super) fn write_many(lab: &Lab, folder: &str) {
    for at in 0..3000 {
        lab.write(&format!("home/{folder}/{}/{at}", at % 50), "text\n");
    }
}

/// Begins a run and kills it as soon as it has begun this step; gives its journal.
pub(super) fn kill_in(lab: &Lab, now: &str, step: &str, arguments: &[&str]) -> String {
    let mut all = vec!["apply", "--now", now];
    all.extend(arguments);
    let before = lab.runs();
    let mut child = lab.command(&all).spawn().unwrap();
    let began = Instant::now();
    let started = format!("\"step-started\",\"step\":\"{step}\"");
    let journal = loop {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "nothing was done"
        );
        let run = lab.runs().into_iter().find(|run| !before.contains(run));
        let journal = run.map(|run| lab.path("state/runs").join(run).join("journal.jsonl"));
        let text = journal.and_then(|path| fs::read_to_string(path).ok());
        match text.filter(|text| text.contains(&started)) {
            Some(text) => break text,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    child.kill().unwrap();
    wait_for_child(child, &["apply"]);
    journal
}

/// The record of a snapshot of a disk.
fn record_of(lab: &Lab, disk: &str, id: &str) -> std::path::PathBuf {
    let host = lab.path(disk).join(crate::lab::HOST);
    host.join(".backup/snapshots")
        .join(id)
        .join("snapshot.json")
}

#[test]
fn what_is_planned_anew_after_a_kill_has_its_scripts_and_is_told() {
    let mut lab = lab();
    keep_reports(&mut lab);
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab.set("notifications.onSuccess", true);
    let dump = format!("echo dump >> '{}'", lab.text("home/ann/dump"));
    lab.set("preBackupScript", lab.script("pre", &dump));
    let after = format!("echo after >> '{}'", lab.text("after"));
    lab.set("postBackupScript", lab.script("post", &after));
    lab.at(FIRST, &["apply"]).expect(0);
    assert_eq!(reports(&lab).len(), 1);
    write_many(&lab, "many");
    kill_in(&lab, SECOND, "snapshot:nas", &[]);
    // The basis of the one that it was at cannot be used any more.
    fs::remove_file(record_of(&lab, "nas", &days(&lab, "nas")[0])).unwrap();
    let report = lab.at(SOON, &["apply", "--json"]).expect(0).json();
    let all = [("local", "success"), ("nas", "success"), ("usb", "success")];
    assert_eq!(ends(&report), all);
    // The one that is planned anew has what the script writes for it.
    is_stored(&lab, "nas");
    let lines = |path: &str| fs::read_to_string(lab.path(path)).unwrap().lines().count();
    assert_eq!((lines("home/ann/dump"), lines("after")), (3, 3));
    // Nobody is told that all is well before it is.
    let told = reports(&lab).split_off(1);
    let good: Vec<&Value> = told
        .iter()
        .filter(|one| one["result"] == "success")
        .collect();
    let [good] = good.as_slice() else {
        panic!("{told:#?}");
    };
    assert_eq!(ends(good), [("nas", "success")]);
    assert!(good["destinations"]["nas"]["snapshot"].is_object());
}

#[test]
fn what_is_planned_anew_of_a_part_that_was_asked_for_alone_is_alone() {
    let mut lab = lab();
    let ran = format!("echo ran >> '{}'", lab.text("ran"));
    lab.set("preBackupScript", lab.script("pre", &ran));
    let only = ["--only", "nas", "usb"];
    lab.at(FIRST, &["apply", "--only", "nas", "usb"]).expect(0);
    write_many(&lab, "many");
    kill_in(&lab, SECOND, "snapshot:nas", &only);
    fs::remove_file(record_of(&lab, "nas", &days(&lab, "nas")[0])).unwrap();
    lab.at(SOON, &["apply", "--only", "nas", "usb"]).expect(0);
    is_stored(&lab, "nas");
    assert!(!lab.path("ran").exists());
}

#[test]
fn what_an_unfinished_run_is_not_for_follows_it() {
    let lab = lab();
    write_many(&lab, "many");
    kill_in(&lab, FIRST, "snapshot:usb", &["--only", "usb"]);
    let refused = lab.at(FIRST, &["apply", "--only", "local"]).expect(4);
    refused.says("is not finished").hints("`backup apply`");
    let report = lab.at("2025-03-05T03:00:00+01:00", &["apply", "--json"]);
    let report = report.expect(0).json();
    let all = [("local", "success"), ("nas", "success"), ("usb", "success")];
    assert_eq!(ends(&report), all);
    assert_eq!(lab.runs().len(), 2);
    for disk in ["mnt", "nas", "usb"] {
        is_stored(&lab, disk);
    }
}

#[test]
fn an_unfinished_run_whose_disk_is_away_holds_up_no_other() {
    let mut lab = lab();
    lab.set("schedule.enable", true);
    lab.set("schedule.onlyOnAC", false);
    lab.set("destinations.usb.ifAbsent", "defer");
    write_many(&lab, "many");
    let all = [
        ("local", "success"),
        ("nas", "success"),
        ("usb", "deferred"),
    ];
    for (at, due) in [(FIRST, true), (SECOND, false)] {
        kill_in(&lab, at, "snapshot:usb", &["--only", "usb"]);
        fs::rename(lab.path("usb"), lab.path("away")).unwrap();
        let mut arguments = vec!["apply", "--json"];
        arguments.extend(due.then_some("--if-due"));
        let now = at.replace("T02:00", "T03:30");
        let report = lab.at(&now, &arguments).expect(75).json();
        assert_eq!(ends(&report), all);
        is_stored(&lab, "mnt");
        is_stored(&lab, "nas");
        fs::rename(lab.path("away"), lab.path("usb")).unwrap();
        lab.at(
            &now.replace("T03:30", "T04:30"),
            &["apply", "--only", "usb"],
        )
        .expect(0);
        is_stored(&lab, "usb");
        write_many(&lab, "more");
    }
}

#[test]
fn an_unfinished_run_for_local_alone_holds_up_no_other() {
    let mut lab = lab();
    lab.set("local.ifAbsent", "defer");
    write_many(&lab, "many");
    kill_in(&lab, FIRST, "snapshot", &["--only", "local"]);
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    let report = lab.at("2025-03-05T03:00:00+01:00", &["apply", "--json"]);
    let report = report.expect(75).json();
    let all = [
        ("local", "deferred"),
        ("nas", "success"),
        ("usb", "success"),
    ];
    assert_eq!(ends(&report), all);
    fs::rename(lab.path("away"), lab.path("mnt")).unwrap();
    lab.at(SECOND, &["apply"]).expect(0);
    is_stored(&lab, "mnt");
}

#[test]
fn what_dies_on_one_again_and_again_waits_and_the_others_do_not() {
    let mut lab = lab();
    let schedule =
        json!({ "enable": true, "onlyOnAC": false, "timeOfDay": "01:00", "randomDelay": "1m" });
    lab.set("schedule", schedule);
    write_many(&lab, "many");
    kill_in(&lab, FIRST, "snapshot:usb", &["--only", "usb"]);
    // As a timer's calls have left it that died each time.
    let tries = json!({ "since": "2025-03-05T01:00:00+01:00", "count": 3,
        "last_at": "2025-03-05T03:20:00+01:00" });
    let own = lab.path("state/destinations/usb");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("tries.json"), tries.to_string()).unwrap();
    let mut again = lab.command(&[
        "apply",
        "--if-due",
        "--json",
        "--now",
        "2025-03-05T03:30:00+01:00",
    ]);
    again.env("TRIGGER_UNIT", "backup-retry.timer");
    let report = run_command(again, &["apply"]).expect(75).json();
    let all = [
        ("local", "success"),
        ("nas", "success"),
        ("usb", "deferred"),
    ];
    assert_eq!(ends(&report), all);
}

#[test]
fn one_that_ended_before_a_kill_is_not_held_to_be_away() {
    let lab = lab();
    write_many(&lab, "many");
    kill_in(&lab, FIRST, "snapshot:nas", &[]);
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    let report = lab.at("2025-03-05T03:00:00+01:00", &["apply", "--json"]);
    let report = report.expect(0).json();
    let all = [("local", "success"), ("nas", "success"), ("usb", "success")];
    assert_eq!(ends(&report), all);
    assert_eq!(lab.runs().len(), 1);
}
