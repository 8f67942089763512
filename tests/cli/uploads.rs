//! Runs that upload to remotes with history: what goes up, from where, and that nothing holds up anything.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::{
    lab::{Lab, Ran, entry_names, finding_codes, plan_action, run_command, step_outcome},
    remotes::{cut_off, far, lab, lose_machine, objects, point_to},
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";
const FOURTH: &str = "2025-03-08T02:00:00+01:00";
const FIFTH: &str = "2025-03-09T02:00:00+01:00";

/// The snapshots of which the remote has a record.
fn records(lab: &Lab) -> Vec<String> {
    let folder = far(lab, "records");
    let names = match folder.exists() {
        true => entry_names(&folder),
        false => Vec::new(),
    };
    let ids = names.into_iter().filter(|name| name.starts_with("2025"));
    ids.map(|name| name.trim_end_matches(".json").to_owned())
        .filter(|name| !name.contains('.'))
        .collect()
}

/// Each object with the inode that tells whether it was written again.
fn inodes(lab: &Lab) -> Vec<(PathBuf, u64)> {
    let all = objects(lab).into_iter();
    all.map(|path| {
        let inode = fs::metadata(&path).unwrap().ino();
        (path, inode)
    })
    .collect()
}

pub(crate) fn results(report: &Value) -> Vec<(&str, &str)> {
    let all = report["destinations"].as_object().unwrap().iter();
    all.map(|(name, one)| (name.as_str(), one["result"].as_str().unwrap()))
        .collect()
}

/// Runs a backup with an rclone that does something before it does what this pattern of a shell says.
pub(crate) fn apply_with_rclone(lab: &Lab, now: &str, pattern: &str, what: &str) -> Ran {
    let mut find = Command::new("sh");
    let real = find.args(["-c", "command -v rclone"]).output().unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    lab.script(
        "bin/rclone",
        &format!(
            "case \" $* \" in {pattern}) {what};; esac\nexec {} \"$@\"",
            real.trim()
        ),
    );
    let mut command = lab.command(&["apply", "--now", now]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", lab.text("bin")));
    run_command(command, &["apply"])
}

#[test]
fn a_run_uploads_what_the_disk_got_and_each_content_once() {
    let Some(lab) = lab("a_run_uploads_what_the_disk_got") else {
        return;
    };
    lab.run(&["check"]).expect(0);
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let upload = plan_action(&plan, "upload");
    assert_eq!(upload["from"][0]["of"], "local");
    assert_eq!(upload["from"][0]["snapshot"], "2025-03-05_02-00-00");
    assert!(!far(&lab, "").exists());
    lab.at(FIRST, &["plan"])
        .expect(0)
        .says("2025-03-05_02-00-00 of local to far:Backups/atlas")
        .says("what it does not have yet, or the sources as they are where no disk has a new snapshot");
    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    assert_eq!(results(&report), [("b2", "success"), ("local", "success")]);
    let sealed = &report["destinations"]["b2"]["snapshot"];
    assert_eq!(sealed["id"], "2025-03-05_02-00-00");
    assert_eq!(sealed["totals"], report["snapshot"]["totals"]);
    assert_eq!(records(&lab), ["2025-03-05_02-00-00"]);
    let before = inodes(&lab);
    // A rename and a copy cost no content.
    fs::rename(lab.path("home/ann"), lab.path("home/carl")).unwrap();
    lab.write("home/new", "new");
    lab.write("home/as-new", "new");
    lab.at(SECOND, &["apply"])
        .expect(0)
        .says("1 new content (3 B)");
    assert_eq!(objects(&lab).len(), before.len() + 1);
    assert!(before.iter().all(|one| inodes(&lab).contains(one)));
    assert_eq!(records(&lab).len(), 2);
    let status = lab.at(SECOND, &["status", "--json"]).expect(0).json();
    let b2 = &status["destinations"]["b2"];
    assert_eq!(b2["cloud"]["id"], "2025-03-06_02-00-00");
    lab.at(SECOND, &["health"]).expect(0);
}

#[test]
fn a_remote_that_nobody_reaches_is_nothing_to_the_disk_and_is_caught_up() {
    let Some(mut lab) = lab("a_remote_that_nobody_reaches") else {
        return;
    };
    lab.set("schedule.enable", true);
    lab.set("schedule.onlyOnAC", false);
    cut_off(&lab);
    let report = lab
        .at(
            "2025-03-05T03:30:00+01:00",
            &["apply", "--if-due", "--json"],
        )
        .expect(1)
        .json();
    assert_eq!(results(&report), [("b2", "failed"), ("local", "success")]);
    let outcome = step_outcome(&report, "upload:b2");
    assert!(
        outcome["message"]
            .as_str()
            .unwrap()
            .contains("connection failed")
    );
    assert!(
        outcome["hint"]
            .as_str()
            .unwrap()
            .contains("rclone --config=")
    );
    assert_eq!(lab.ids().len(), 1);
    // The copy alone is tried again, of what is there.
    point_to(&lab, &lab.path("far"));
    let report = lab
        .at(
            "2025-03-05T05:30:00+01:00",
            &["apply", "--if-due", "--json"],
        )
        .expect(0)
        .json();
    assert_eq!(results(&report), [("b2", "success")]);
    assert_eq!(records(&lab), lab.ids());
    lab.at("2025-03-05T06:30:00+01:00", &["apply", "--if-due"])
        .expect(0)
        .says("nothing is due");
    lab.at(SECOND, &["status"]).expect(0).says("b2: ok");
}

#[test]
fn an_upload_that_is_killed_goes_on_and_puts_nothing_twice() {
    let Some(lab) = lab("an_upload_that_is_killed") else {
        return;
    };
    let killed = apply_with_rclone(&lab, FIRST, "*/manifests/*", "kill -9 $PPID; exit 1");
    killed.expect(137);
    let put = inodes(&lab);
    assert!(!put.is_empty() && records(&lab).is_empty());
    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    assert_eq!(results(&report), [("b2", "success"), ("local", "success")]);
    assert_eq!(lab.runs().len(), 1);
    assert_eq!((lab.ids(), inodes(&lab)), (records(&lab), put));
    // By hand as well, where the run was given up.
    lab.write("home/new", "new");
    apply_with_rclone(&lab, SECOND, "*/manifests/*", "kill -9 $PPID; exit 1").expect(137);
    let put = inodes(&lab);
    lab.at(SECOND, &["apply", "--only", "b2", "--fresh"])
        .expect(0);
    assert_eq!(inodes(&lab), put);
    let there = records(&lab);
    // Nothing is new, and then a name.
    lab.at(THIRD, &["apply"]).expect(0).says("has nothing that");
    assert_eq!((inodes(&lab), records(&lab)), (put.clone(), there));
    lab.write("home/newest", "new");
    lab.at(FOURTH, &["apply"]).expect(0);
    assert_eq!(inodes(&lab), put);
    assert_eq!(records(&lab).last(), lab.ids().last());
}

#[test]
fn where_no_disk_is_there_the_sources_are_uploaded() {
    let Some(mut lab) = lab("where_no_disk_is_there") else {
        return;
    };
    lab.at(FIRST, &["apply"]).expect(0);
    let before = objects(&lab).len();
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.write("home/new", "new");
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(3).json();
    assert!(plan_action(&plan, "upload")["live"].is_object());
    let codes = finding_codes(&plan["chains"]["b2"]["findings"]);
    assert!(codes.contains(&"upload-from-sources"), "{codes:?}");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    assert_eq!(results(&report), [("b2", "success"), ("local", "refused")]);
    assert_eq!(objects(&lab).len(), before + 1);
    // The disk is back, and all of it goes on from there.
    fs::rename(lab.path("away"), lab.path("mnt")).unwrap();
    lab.at(THIRD, &["apply"]).expect(0).says("0 new contents");
    assert_eq!(records(&lab).len(), 3);
    // What no disk has.
    lab.write("srv/own", "own");
    let own = lab.text("srv");
    lab.set("destinations.b2.sources", json!([own]));
    lab.at(FOURTH, &["apply"]).expect(0).says("1 new content");
    lab.run(&["find", "--destination", "b2", &lab.text("srv/own")])
        .expect(0);
}

#[test]
fn asked_for_alone_it_gets_the_newest_good_snapshot_there_is() {
    let Some(mut lab) = lab("asked_for_alone") else {
        return;
    };
    // Where there is none: the sources.
    lab.at(FIRST, &["plan", "--only", "b2"]).expect(0).says(
        "local (it has no good snapshot yet) cannot give a snapshot, so far:Backups/atlas gets the sources as \
         they are now",
    );
    lab.at(SECOND, &["apply", "--only", "local"]).expect(0);
    assert!(records(&lab).is_empty());
    let report = lab
        .at(SECOND, &["apply", "--only", "b2", "--json"])
        .expect(0)
        .json();
    let ids: Vec<&str> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["upload:b2"]);
    assert_eq!(records(&lab), ["2025-03-06_02-00-00"]);
    // By now the sources have what no disk has.
    lab.write("home/new", "new");
    lab.at(THIRD, &["apply", "--only", "b2"])
        .expect(0)
        .says("1 new content")
        .says("since local has no new snapshot");
    assert_eq!(records(&lab).last().unwrap(), "2025-03-07_02-00-00");
    // Of several disks the first that is there.
    fs::create_dir(lab.path("usb")).unwrap();
    lab.set(
        "destinations.usb",
        json!({ "type": "disk", "mountPoint": lab.path("usb"), "requireMount": false,
            "useRsync": false, "minSpaceGB": 0 }),
    );
    lab.write("home/newer", "newer");
    lab.at(FOURTH, &["apply", "--only", "usb"]).expect(0);
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.at(FIFTH, &["apply", "--only", "b2"]).expect(0);
    assert_eq!(records(&lab).last().unwrap(), "2025-03-08_02-00-00");
}

#[test]
fn another_disk_or_one_that_is_full_keeps_nothing_from_going_up() {
    let Some(mut lab) = lab("another_disk_or_one_that_is_full") else {
        return;
    };
    lab.at(FIRST, &["apply"]).expect(0);
    lab.set("local.minSpaceGB", json!(1_000_000));
    lab.write("home/new", "new");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    assert_eq!(results(&report), [("b2", "success"), ("local", "refused")]);
    assert_eq!(records(&lab).len(), 2);
    // Another one is mounted there.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    fs::create_dir(lab.path("mnt")).unwrap();
    lab.write("home/newer", "newer");
    let report = lab.at(THIRD, &["apply", "--json"]).expect(3).json();
    assert_eq!(results(&report), [("b2", "success"), ("local", "refused")]);
    assert_eq!(records(&lab).len(), 3);
    lab.run(&["find", "--destination", "b2", &lab.text("home/newer")])
        .expect(0);
}

#[test]
fn sources_that_look_damaged_go_up_as_suspect_and_are_accepted_there() {
    let Some(mut lab) = lab("sources_that_look_damaged") else {
        return;
    };
    lab.set("local.enable", json!(false));
    for number in 0..30 {
        lab.write(&format!("home/many/{number}"), &number.to_string());
    }
    lab.at(FIRST, &["apply"]).expect(0);
    fs::remove_dir_all(lab.path("home/many")).unwrap();
    lab.at(SECOND, &["apply"])
        .expect(3)
        .says("snapshot 2025-03-06_02-00-00 is suspect")
        .says("accept --destination b2 2025-03-06_02-00-00");
    lab.at(SECOND, &["status"])
        .expect_one_of(&[0, 3])
        .says("suspect");
    lab.at(SECOND, &["list", "--destination", "b2"])
        .expect(0)
        .says("suspect");
    lab.at(THIRD, &["apply"])
        .expect(3)
        .says("is suspect as 2025-03-06_02-00-00 is");
    lab.run(&["accept", "2025-03-06_02-00-00", "--destination", "b2"])
        .expect(0);
    lab.at(FOURTH, &["apply"]).expect(0);
}

#[test]
fn a_saved_plan_uploads_what_it_says() {
    let Some(mut lab) = lab("a_saved_plan_uploads") else {
        return;
    };
    lab.at(FIRST, &["plan", "--out", &lab.text("plan.json")])
        .expect(0);
    lab.at(FIRST, &["apply", &lab.text("plan.json")]).expect(0);
    assert_eq!(records(&lab), ["2025-03-05_02-00-00"]);
    lab.at(SECOND, &["plan", "--out", &lab.text("plan.json")])
        .expect(0);
    lab.set("destinations.b2.remotePath", "Elsewhere");
    lab.at(SECOND, &["apply", &lab.text("plan.json")])
        .expect(4)
        .says("remotePath");
}

#[test]
fn a_machine_that_remembers_nothing_puts_nothing_twice() {
    let Some(lab) = lab("a_machine_that_remembers_nothing") else {
        return;
    };
    lab.at(FIRST, &["apply"]).expect(0);
    let put = inodes(&lab);
    lose_machine(&lab);
    lab.at(SECOND, &["apply"]).expect_one_of(&[0, 3]);
    assert_eq!(inodes(&lab), put);
    assert_eq!(records(&lab).len(), 2);
}

#[test]
fn a_snapshot_that_is_suspect_is_not_uploaded_until_a_person_accepts_it() {
    let Some(lab) = lab("a_snapshot_that_is_suspect") else {
        return;
    };
    for number in 0..30 {
        lab.write(&format!("home/many/{number}"), &number.to_string());
    }
    lab.at(FIRST, &["apply"]).expect(0);
    fs::remove_dir_all(lab.path("home/many")).unwrap();
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    let outcome = step_outcome(&report, "upload:b2");
    assert_eq!(outcome["status"], "incomplete");
    assert!(outcome["message"].as_str().unwrap().contains("is suspect"));
    assert_eq!(records(&lab), ["2025-03-05_02-00-00"]);
    lab.run(&["accept", "2025-03-06_02-00-00"]).expect(0);
    lab.at(THIRD, &["apply", "--only", "b2"]).expect(0);
    assert_eq!(records(&lab).last().unwrap(), "2025-03-06_02-00-00");
}
