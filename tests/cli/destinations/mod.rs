//! Several destinations: one run serves all, and what is wrong with one is nothing to the others.

mod continued;
mod held_up;
mod told;
mod verbs;
mod words;

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use test_support::is_missing;

use crate::lab::{Lab, contents_below, entry_names};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A lab with the disks `nas` and `usb` beside `local`.
fn lab() -> Lab {
    let mut lab = Lab::new();
    for name in ["nas", "usb"] {
        add_disk(&mut lab, name);
    }
    lab
}

fn add_disk(lab: &mut Lab, name: &str) {
    fs::create_dir(lab.path(name)).unwrap();
    let disk = json!({
        "type": "disk",
        "mountPoint": lab.path(name),
        "requireMount": false,
        "useRsync": false,
        "minSpaceGB": 0,
        "keepLast": 0,
    });
    lab.set(&format!("destinations.{name}"), disk);
}

/// The snapshots in the daily tier of a disk.
fn days(lab: &Lab, disk: &str) -> Vec<String> {
    let tier = lab.path(disk).join(crate::lab::HOST).join("daily");
    match tier.exists() {
        true => entry_names(&tier),
        false => Vec::new(),
    }
}

/// The newest snapshot of a disk, where its files stand.
fn newest(lab: &Lab, disk: &str) -> PathBuf {
    let tier = lab.path(disk).join(crate::lab::HOST).join("daily");
    let last = days(lab, disk).pop().unwrap();
    let home = lab.path("home");
    tier.join(last).join(home.strip_prefix("/").unwrap())
}

#[track_caller]
fn is_stored(lab: &Lab, disk: &str) {
    let stored = newest(lab, disk);
    assert_eq!(
        contents_below(&stored),
        contents_below(&lab.path("home")),
        "{disk}"
    );
}

fn step_ids(plan: &Value) -> Vec<&str> {
    let steps = plan["steps"].as_array().unwrap().iter();
    steps.map(|step| step["id"].as_str().unwrap()).collect()
}

/// How a run ended for each destination.
fn ends(report: &Value) -> Vec<(&str, &str)> {
    let all = report["destinations"].as_object().unwrap().iter();
    all.map(|(name, one)| (name.as_str(), one["result"].as_str().unwrap()))
        .collect()
}

#[test]
fn one_run_serves_all_of_them() {
    let lab = lab();
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let ids = step_ids(&plan);
    for id in ["snapshot", "snapshot:nas", "snapshot:usb", "rotate:usb"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    let shown = lab.at(FIRST, &["plan"]).expect(0).in_one_line();
    for name in ["local", "nas", "usb"] {
        assert!(shown.contains(name), "{shown}");
    }
    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    let all = [("local", "success"), ("nas", "success"), ("usb", "success")];
    assert_eq!(ends(&report), all);
    for disk in ["mnt", "nas", "usb"] {
        assert_eq!(days(&lab, disk).len(), 1);
        is_stored(&lab, disk);
    }
    // Unchanged files are linked on each.
    lab.write("home/ann/new.txt", "new\n");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(0).json();
    for name in ["local", "nas", "usb"] {
        let totals = &report["destinations"][name]["snapshot"]["totals"];
        assert_eq!(totals["files_copied"], 1, "{name}");
        assert_eq!(totals["files_linked"], 3, "{name}");
    }
    assert_eq!(lab.runs().len(), 2);
    lab.at(THIRD, &["apply"])
        .expect(0)
        .says("Snapshot on usb")
        .says("Everything is on local, nas, usb.");
}

#[test]
fn only_those_that_are_named_are_served() {
    let lab = lab();
    let plan = lab
        .at(FIRST, &["plan", "--only", "usb", "--json"])
        .expect(0)
        .json();
    let ids = step_ids(&plan);
    assert!(ids.iter().all(|id| id.ends_with(":usb")), "{ids:?}");
    lab.at(FIRST, &["apply", "--only", "usb"]).expect(0);
    let served = ["mnt", "nas", "usb"].map(|disk| days(&lab, disk).len());
    assert_eq!(served, [0, 0, 1]);
    lab.at(SECOND, &["apply", "--only", "nas", "usb"]).expect(0);
    let served = ["mnt", "nas", "usb"].map(|disk| days(&lab, disk).len());
    assert_eq!(served, [0, 1, 2]);
    lab.at(SECOND, &["apply", "--only", "ubs"])
        .expect(2)
        .says("there is no destination ubs")
        .hints("local, nas, usb");
}

#[test]
fn a_saved_plan_is_for_all_of_them() {
    let lab = lab();
    lab.at(FIRST, &["plan", "--out", &lab.text("plan.json")])
        .expect(0);
    lab.at(
        "2025-03-05T02:10:00+01:00",
        &["apply", &lab.text("plan.json")],
    )
    .expect(0);
    for disk in ["mnt", "nas", "usb"] {
        is_stored(&lab, disk);
    }
    // What changed on one of them makes it stale.
    lab.at(SECOND, &["plan", "--out", &lab.text("plan.json")])
        .expect(0);
    lab.at(SECOND, &["apply", "--only", "usb"]).expect(0);
    lab.at(
        "2025-03-06T02:10:00+01:00",
        &["apply", &lab.text("plan.json")],
    )
    .expect(4)
    .says("stale");
}

#[test]
fn a_plan_that_serves_some_of_them_can_be_saved() {
    let mut lab = lab();
    lab.set("destinations.usb.ifAbsent", "defer");
    lab.at(FIRST, &["apply"]).expect(0);
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    lab.write("home/ann/new.txt", "new\n");
    lab.at(SECOND, &["plan", "--out", &lab.text("plan.json")])
        .expect(75);
    let later = "2025-03-06T02:10:00+01:00";
    let report = lab.at(later, &["apply", &lab.text("plan.json"), "--json"]);
    let all = [
        ("local", "success"),
        ("nas", "success"),
        ("usb", "deferred"),
    ];
    assert_eq!(ends(&report.expect(75).json()), all);
    is_stored(&lab, "nas");
    // One that comes meanwhile was not agreed to, and a plan that serves nobody is none.
    lab.at(THIRD, &["plan", "--out", &lab.text("other.json")])
        .expect(75);
    fs::rename(lab.path("away"), lab.path("usb")).unwrap();
    lab.at(THIRD, &["apply", &lab.text("other.json")])
        .expect(4)
        .says("stale");
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    let only = ["plan", "--only", "usb", "--out", &lab.text("none.json")];
    lab.at(THIRD, &only).expect(75);
    assert!(!lab.path("none.json").exists());
}

#[test]
fn status_list_and_health_name_each() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    lab.at(SECOND, &["apply", "--only", "usb"]).expect(0);
    let now = "2025-03-06T04:00:00+01:00";
    let status = lab.at(now, &["status", "--json"]).expect(0).json();
    assert_eq!(status["snapshots"], 1);
    assert_eq!(status["destinations"]["usb"]["snapshots"], 2);
    assert_eq!(status["destinations"]["nas"]["snapshots"], 1);
    lab.at(now, &["status"]).expect(0).says("usb:").says("nas:");
    let list = lab.at(now, &["list", "--json"]).expect(0).json();
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1);
    let usb = &list["destinations"]["usb"];
    assert_eq!(usb["snapshots"].as_array().unwrap().len(), 2);
    lab.at(now, &["list"]).expect(0).says("usb").says("nas");
    let health = lab.at(now, &["health", "--json"]);
    let health = health.expect_one_of(&[0, 3]).json();
    let good = |name: &str| health["destinations"][name]["last_good"]["id"].clone();
    assert_ne!(good("usb"), good("nas"));
    assert_eq!(health["last_good"]["id"], good("nas"));
}

#[test]
fn without_the_two_that_have_sections_of_their_own_the_named_ones_are_all_there_is() {
    let mut lab = lab();
    lab.set("local.enable", false);
    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    assert_eq!(ends(&report), [("nas", "success"), ("usb", "success")]);
    assert!(days(&lab, "mnt").is_empty());
    lab.at(FIRST, &["status"]).expect(0).says("usb:");
    lab.at(FIRST, &["list"]).expect(0).says("nas");
}

#[test]
fn each_is_due_by_its_own_schedule() {
    let mut lab = lab();
    lab.set("schedule.enable", true);
    lab.set("schedule.onlyOnAC", false);
    lab.set("destinations.usb.schedule", json!({"frequency": "weekly"}));
    lab.at("2025-03-05T03:30:00+01:00", &["apply", "--if-due"])
        .expect(0);
    let served = ["mnt", "nas", "usb"].map(|disk| days(&lab, disk).len());
    assert_eq!(served, [1, 1, 1]);
    lab.at("2025-03-05T04:00:00+01:00", &["apply", "--if-due"])
        .expect(0)
        .says("nothing is due");
    lab.at("2025-03-06T03:30:00+01:00", &["apply", "--if-due"])
        .expect(0);
    let served = ["mnt", "nas", "usb"].map(|disk| days(&lab, disk).len());
    assert_eq!(served, [2, 2, 1]);
}

#[test]
fn without_named_ones_nothing_is_written_of_them() {
    let lab = Lab::new();
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    for document in [&plan, &report] {
        for key in ["chains", "only_of", "destinations"] {
            assert!(document.get(key).is_none(), "{key}");
        }
    }
    let steps = plan["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step.get("of").is_none()));
    assert!(!lab.path("state/destinations").exists());
}

/// How often each folder of the sources is listed while a verb is at work, by its path below `home`.
fn listings(lab: &Lab, arguments: &[&str]) -> std::collections::BTreeMap<String, usize> {
    let trace = lab.path("trace");
    let options = [
        "-f",
        "-y",
        "-qq",
        "-e",
        "trace=getdents64",
        "-o",
        trace.to_str().unwrap(),
    ];
    let mut command = lab.command_below("strace", &options, arguments);
    assert!(command.output().unwrap().status.success());
    let text = fs::read_to_string(&trace).unwrap();
    let home = lab.text("home");
    let mut listed = std::collections::BTreeMap::new();
    for line in text.lines().filter(|line| line.contains("getdents64(")) {
        let folder = line.split(['<', '>']).nth(1).unwrap_or_default();
        if let Some(below) = folder.strip_prefix(&home) {
            *listed.entry(below.to_owned()).or_default() += 1;
        }
    }
    listed
}

#[test]
fn the_sources_are_read_once_whatever_the_number_of_disks() {
    let test = "the_sources_are_read_once_whatever_the_number_of_disks";
    if is_missing(test, &["strace"], false) {
        return;
    }
    let counted = |lab: &mut Lab| {
        lab.write("home/bob/deep/down.txt", "down\n");
        let plan = listings(lab, &["plan", "--now", FIRST]);
        let first = listings(lab, &["apply", "--now", FIRST]);
        lab.write("home/bob/new.txt", "new\n");
        let second = listings(lab, &["apply", "--now", SECOND]);
        lab.set("preBackupScript", lab.script("pre", "true"));
        let scripted = listings(lab, &["apply", "--now", THIRD]);
        [plan, first, second, scripted]
    };
    let alone = counted(&mut Lab::new());
    let mut several = lab();
    assert_eq!(counted(&mut several), alone);
    for disk in ["mnt", "nas", "usb"] {
        assert_eq!(days(&several, disk).len(), 3);
        is_stored(&several, disk);
    }
    // One that backs up something else has a walk of its own.
    let mut other = lab();
    other.set("destinations.usb.excludePatterns", json!(["down.txt"]));
    let [plan, ..] = counted(&mut other);
    for (folder, count) in &plan {
        assert_eq!(*count, 2 * alone[0][folder], "{folder}");
    }
}

#[test]
fn no_disk_has_what_another_has() {
    let mut lab = Lab::new();
    // The disks stand in the sources.
    for name in ["nas", "usb"] {
        add_disk(&mut lab, name);
        fs::create_dir(lab.path(format!("home/{name}"))).unwrap();
        let at = lab.path(format!("home/{name}"));
        lab.set(&format!("destinations.{name}.mountPoint"), json!(at));
    }
    lab.at(FIRST, &["apply"]).expect(0);
    lab.at(SECOND, &["apply"]).expect(0);
    lab.set("preBackupScript", lab.script("pre", "true"));
    lab.at(THIRD, &["apply", "--only", "usb"]).expect(0);
    lab.at("2025-03-08T02:00:00+01:00", &["apply"]).expect(0);
    for disk in ["mnt", "home/nas", "home/usb"] {
        let stored = newest(&lab, disk);
        assert!(stored.join("ann").is_dir());
        for other in ["nas", "usb"] {
            assert_eq!(entry_names(&stored.join(other)), [""; 0], "{disk}");
        }
    }
}
