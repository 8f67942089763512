//! `health`: what it finds on real destinations, what it remembers, and that it changes nothing.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use serde_json::{Value, json};
use test_support::flip_byte;

use crate::{
    damage::unseen,
    lab::{Lab, Ran, everything_below, finding_codes, id_of, read_json, wait_for, wait_for_child},
};

const NIGHT: &str = "2025-03-05T02:00:00+01:00";
const NEXT: &str = "2025-03-06T02:00:00+01:00";
const NOON: &str = "2025-03-06T12:00:00+01:00";

/// A lab whose health depends on nothing of this machine.
fn lab() -> Lab {
    let mut lab = Lab::short();
    lab.set("schedule.enable", true);
    lab
}

fn warnings(told: &Value) -> Vec<String> {
    let findings = told["findings"].as_array().unwrap().iter();
    let grave = findings.filter(|one| one["severity"] != "note");
    grave
        .map(|one| one["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_last_good_backup_is_known_however_often_its_disk_was_away_since() {
    let mut lab = lab();
    lab.backup(NIGHT);
    let good = lab.runs().remove(0);
    lab.set("local.requireMount", true);
    lab.at(NEXT, &["apply"]).expect(4);
    let runs = lab.path("state/runs");
    let refused = lab.runs().remove(1);
    // As a hundred more that were refused leave them.
    for number in 3..103 {
        let folder = runs.join(format!("2025-03-06_02-00-00-{number:08x}"));
        fs::create_dir(&folder).unwrap();
        for file in fs::read_dir(runs.join(&refused)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        fs::write(folder.join("number.json"), format!("{number}\n")).unwrap();
    }
    lab.at("2025-03-20T02:00:00+01:00", &["apply"]).expect(4);
    let left = lab.runs();
    assert!(left.contains(&good) && left.len() == 101, "{left:?}");
    let told = lab.at("2025-03-20T12:00:00+01:00", &["health"]).expect(1);
    told.says("the last good backup, 2025-03-05_02-00-00, is 15 days old");
    // Nor is all well where even that is not known any more.
    fs::remove_dir_all(runs.join(&good)).unwrap();
    let told = lab.at("2025-03-20T12:00:00+01:00", &["health"]).expect(1);
    told.says("there is no good backup yet");
}

#[test]
fn health_is_green_after_a_good_backup_and_red_when_it_is_too_old_or_there_is_none() {
    let lab = lab();
    let none = lab.at(NIGHT, &["health"]).expect(1);
    none.fits();
    none.says("there is no good backup yet").hints("backup now");
    lab.backup(NIGHT);
    lab.backup(NEXT);
    let good = lab.at(NOON, &["health"]).expect(0);
    good.fits();
    good.says("ok: the backup can be relied on")
        .says(&id_of(NEXT));
    let late = "2025-03-09T12:00:00+01:00";
    lab.at(late, &["health"])
        .expect(1)
        .says("3 days old")
        .says("schedule.frequency")
        .hints("backup now");
    let told = lab.at(late, &["health", "--json"]).expect(1).json();
    assert_eq!(told["verdict"], "error");
    assert_eq!(warnings(&told), ["backup-too-old"]);
    assert_eq!(told["last_good"]["id"], *id_of(NEXT));
}

#[test]
fn a_time_that_is_only_supposed_leaves_no_trace() {
    let lab = lab();
    lab.at(NIGHT, &["health"]).expect(1);
    assert!(!lab.path("state").exists());
    assert!(!lab.path("log").exists());
    lab.backup(NIGHT);
    let before = everything_below(&lab.path(""));
    lab.at(NOON, &["health"]).expect(0);
    assert_eq!(everything_below(&lab.path("")), before);
}

#[test]
fn a_check_changes_nothing_but_what_is_remembered_and_the_status_shows_it() {
    let lab = lab();
    lab.run(&["apply"]).expect(0);
    let look = || {
        (
            everything_below(&lab.path("mnt")),
            everything_below(&lab.path("home")),
        )
    };
    let before = look();
    let told = lab.run(&["health", "--json"]).expect(0).json();
    assert_eq!(look(), before);
    let kept = lab.path("state/health.json");
    assert_eq!(read_json(&kept), told);
    let mode = fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    lab.run(&["-v", "status"])
        .expect(0)
        .says("Health ok, checked just now");
    let status = lab.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["health"]["verdict"], "ok");
    // The other clock is years behind: the status tells of the last check, and that it is odd.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.run(&["health"])
        .expect(1)
        .says("destination not mounted");
    let status = lab.run(&["status"]).expect(0);
    status.says("Health 1 error, checked just now");
    let log = fs::read_to_string(lab.path("log/backup-health.log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert!(
        lines[0].ends_with("info - checked: the backup can be relied on"),
        "{log}"
    );
    assert!(lines[1].ends_with("info - checked: 1 error"), "{log}");
    let error = |line: &&&str| line.contains(" error - destination not mounted");
    assert_eq!(lines.iter().filter(error).count(), 1, "{log}");
}

#[test]
fn checks_read_every_stored_file_once_in_as_many_checks_as_there_are_shares() {
    let mut lab = lab();
    for number in 0..40 {
        lab.write(
            &format!("home/many/{number}"),
            &format!("content of {number}"),
        );
    }
    lab.set("monitoring.verifySubset", "2/3");
    lab.run(&["apply"]).expect(0);
    let files = 43;
    let mut parts = Vec::new();
    let mut read = 0;
    for _ in 0..3 {
        let told = lab.run(&["health", "--json"]).expect(0).json();
        parts.push(told["verified"]["part"].as_u64().unwrap());
        read += told["verified"]["files_read"].as_u64().unwrap();
    }
    assert_eq!(parts, [2, 3, 1]);
    assert_eq!(read, files);
    let told = lab.run(&["health"]).expect(0);
    told.says("part 2/3").says("read longest ago");
    let quick = lab.run(&["health", "--quick", "--json"]).expect(0).json();
    assert_eq!(quick["verified"], Value::Null);

    // A flipped byte is found by one of the next three.
    let victim = lab.inside("latest", "home/many/7");
    let victim = fs::canonicalize(victim).unwrap();
    unseen(&victim, || flip_byte(&victim));
    let mut ended: Vec<i32> = Vec::new();
    for _ in 0..3 {
        let told: Ran = lab.run(&["health"]);
        if told.code == 1 && ended.iter().all(|code| *code == 0) {
            ended.push(1);
            told.says("home/many/7").hints("--repair");
        } else {
            ended.push(told.code);
        }
    }
    assert!(ended.contains(&1), "{ended:?}");
    // It is remembered from then on.
    lab.run(&["health", "--quick"])
        .expect(1)
        .says("known to be damaged");
    lab.set("monitoring.verifySubset", Value::Null);
    let off = lab.run(&["health", "--json"]).json();
    assert_eq!(off["verified"], Value::Null);
    assert!(finding_codes(&off["findings"]).contains(&"verify-is-off"));
}

#[test]
fn a_snapshot_that_somebody_deleted_and_a_link_that_somebody_removed_are_missed() {
    let lab = lab();
    lab.backup(NIGHT);
    lab.backup(NEXT);
    fs::remove_dir_all(lab.stored(&format!("daily/{}", id_of(NEXT)))).unwrap();
    fs::remove_file(lab.stored(&format!("daily/{}", id_of(NIGHT)))).unwrap();
    let told = lab.at(NOON, &["health", "--json"]).expect(3).json();
    let found = warnings(&told);
    assert!(found.contains(&"snapshot-lost".to_owned()), "{found:?}");
    assert!(
        found.contains(&"layout-not-as-wanted".to_owned()),
        "{found:?}"
    );
    lab.at(NOON, &["health"])
        .says(&id_of(NEXT))
        .hints("backup plan");
}

#[test]
fn an_interrupted_run_and_a_failed_one_are_told() {
    let mut lab = lab();
    lab.backup(NIGHT);
    lab.set("preBackupScript", lab.script("pre", "exit 9"));
    lab.at(NEXT, &["apply"]).expect(1);
    let told = lab.at(NOON, &["health", "--json"]).expect(3).json();
    assert_eq!(warnings(&told), ["last-run-failed"]);
    // A run whose process is gone: begun, planned, and not ended.
    let run = lab.runs().pop().unwrap();
    let folder = format!("state/runs/{run}");
    fs::remove_file(lab.path(format!("{folder}/report.json"))).unwrap();
    let journal = lab.path(format!("{folder}/journal.jsonl"));
    let text = fs::read_to_string(&journal).unwrap();
    let first = text.lines().next().unwrap();
    fs::write(&journal, format!("{first}\n")).unwrap();
    let told = lab.at(NOON, &["health"]).expect(3);
    told.says("was interrupted").hints("backup apply");
}

#[test]
fn a_destination_that_cannot_be_read_is_a_finding_and_not_the_end_of_the_check() {
    let lab = lab();
    lab.backup(NIGHT);
    // Where the tier should be a folder, something else stands.
    for tier in ["daily", "weekly", "monthly"] {
        fs::rename(lab.stored(tier), lab.stored(&format!("{tier}.aside"))).unwrap();
        fs::write(lab.stored(tier), "not a folder").unwrap();
    }
    let told = lab.at(NOON, &["health", "--json"]).expect(1).json();
    // What is in the way may hide snapshots: none of them is called lost.
    let in_the_way = ["in-the-way"; 3];
    assert_eq!(warnings(&told)[0], "no-good-backup");
    assert_eq!(warnings(&told)[1..], in_the_way);
}

#[test]
fn the_room_that_runs_found_foretells_when_it_ends() {
    let mut lab = lab();
    lab.set("local.minSpaceGB", 1);
    let nights: Vec<String> = (1..=8)
        .map(|day| format!("2025-03-{day:02}T02:00:00+01:00"))
        .collect();
    let free = |night: usize| (90_u64 - 2 * u64::try_from(night).unwrap()) << 30;
    for night in &nights {
        lab.backup(night);
    }
    // As if each run had found two GiB less than the one before.
    for (at, run) in lab.runs().iter().enumerate() {
        let path = lab.path(format!("state/runs/{run}/inventory.json"));
        let mut inventory = read_json(&path);
        inventory["destination"]["free_bytes"] = json!(free(at));
        if at == 0 {
            // The first run set the destination up; its id came later.
            assert_eq!(inventory["destination"]["record"], Value::Null);
        }
        fs::write(&path, inventory.to_string()).unwrap();
    }
    let told = lab.at("2025-03-08T12:00:00+01:00", &["health", "--json"]);
    let trend = &told.json()["space"]["trend"];
    assert_eq!(trend["basis"], json!({"kind": "free-space", "runs": 7}));
    assert_eq!(trend["used_bytes_a_day"], 2_u64 << 30);
}

#[test]
fn an_interrupted_check_is_none_and_its_share_comes_again() {
    let mut lab = lab();
    let mut file = fs::File::create(lab.path("home/ann/large")).unwrap();
    for _ in 0..64 {
        file.write_all(&vec![7; 4 << 20]).unwrap();
    }
    lab.set("monitoring.verifySubset", "1/1");
    lab.run(&["apply"]).expect(0);
    let child = lab.command(&["health", "--threads", "1"]).spawn().unwrap();
    let open = PathBuf::from(format!("/proc/{}/fd", child.id()));
    wait_for("the large file to be read", || {
        let all = fs::read_dir(&open).into_iter().flatten().flatten();
        let mut leads = all.filter_map(|one| fs::read_link(one.path()).ok());
        leads.any(|target| target.ends_with("home/ann/large"))
    });
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    wait_for_child(child, &["health"])
        .expect(143)
        .hints("run the same again");
    assert!(!lab.path("state/health.json").exists());
    assert!(!lab.path("state/verified.json").exists());
    let told = lab.run(&["health", "--json"]).expect(0).json();
    assert_eq!(told["verified"]["files_read"], 4);
}

#[test]
fn people_are_told_once_of_what_is_wrong_and_a_dead_mans_switch_is_left_alone() {
    let mut lab = lab();
    let tell = format!(
        "cat >> '{0}'; [ ! -e '{1}' ]",
        lab.text("told"),
        lab.text("broken")
    );
    let tell = lab.script("tell", &tell);
    lab.set(
        "notifications",
        json!({
            "enable": true,
            "desktop": false,
            "command": tell,
            "healthcheck": {"url": "http://127.0.0.1:9/"},
        }),
    );
    let told = |lab: &Lab| {
        let text = fs::read_to_string(lab.path("told")).unwrap_or_default();
        let _ = fs::remove_file(lab.path("told"));
        let reports = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        reports.map(Result::unwrap).collect::<Vec<Value>>()
    };
    // Nobody can be told of the first error, so the next check tells of it.
    lab.write("broken", "");
    lab.run(&["health"]).expect(1);
    assert_eq!(told(&lab).len(), 1);
    fs::remove_file(lab.path("broken")).unwrap();
    lab.run(&["health"]).expect(1);
    let reports = told(&lab);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["result"], "failed");
    assert_eq!(warnings(&reports[0]), ["no-good-backup"]);
    lab.run(&["health"]).expect(1);
    assert_eq!(told(&lab).len(), 0, "it was told just now");
    // A second one is told, one that is only supposed is not, and neither is that all is well.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.at(NIGHT, &["health"]).expect(1);
    assert_eq!(told(&lab).len(), 0);
    lab.run(&["health"]).expect(1);
    assert_eq!(told(&lab).len(), 1);
    fs::rename(lab.path("away"), lab.path("mnt")).unwrap();
    // That the switch could not be pinged by the run is told over the channel that works.
    lab.run(&["apply"]).expect(0);
    told(&lab);
    lab.run(&["health"]).expect(3);
    assert_eq!(warnings(&told(&lab)[0]), ["nobody-was-told"]);
    lab.set("notifications.onFailure", false);
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.run(&["health"]).expect(1);
    assert_eq!(told(&lab).len(), 0);
}
