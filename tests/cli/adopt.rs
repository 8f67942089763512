//! `adopt`: what another tool made becomes snapshots, and nothing is copied.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::lab::{
    Lab, can_trace, contents_below, entry_names, everything_below, run_command, skip, step_outcome,
};

pub(crate) const NOW: &str = "2025-03-08T02:00:00+01:00";

/// Path and inode of every file below a folder.
pub(crate) fn inodes(folder: &Path) -> BTreeMap<PathBuf, u64> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let below = entry.path().strip_prefix(folder).unwrap().to_owned();
            (below, entry.metadata().unwrap().ino())
        })
        .collect()
}

/// A lab whose destination is set up and holds nothing.
pub(crate) fn ready() -> Lab {
    let lab = Lab::new();
    lab.run(&["init"]).expect(0);
    lab
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Makes what rsync-time-backup makes: a folder for each time, linked to the one before.
pub(crate) fn time_backup(lab: &Lab, folder: &str, times: &[&str]) {
    let into = lab.path(folder);
    fs::create_dir_all(&into).unwrap();
    fs::write(into.join("backup.marker"), "").unwrap();
    let mut last: Option<PathBuf> = None;
    for (at, time) in times.iter().enumerate() {
        lab.write("home/ann/letter.txt", &format!("letter {}\n", at / 2));
        // The letter is as old in two that follow each other.
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + at as u64 / 2);
        let letter = File::options()
            .write(true)
            .open(lab.path("home/ann/letter.txt"));
        letter.unwrap().set_modified(old).unwrap();
        let mut rsync = Command::new("rsync");
        rsync.args([
            "-D",
            "--numeric-ids",
            "--links",
            "--hard-links",
            "--one-file-system",
        ]);
        rsync.args(["--itemize-changes", "--times", "--recursive", "--perms"]);
        rsync.args(["--owner", "--group", "--stats", "--human-readable"]);
        if let Some(last) = &last {
            rsync.arg("--link-dest").arg(last);
        }
        let now = into.join(time);
        rsync.arg("--").arg(lab.path("home/")).arg(&now);
        run(&mut rsync);
        last = Some(now);
    }
    let _ = fs::remove_file(into.join("latest"));
    std::os::unix::fs::symlink(times[times.len() - 1], into.join("latest")).unwrap();
}

pub(crate) const TIMES: [&str; 4] = [
    "2025-03-04-020000",
    "2025-03-05-020000",
    "2025-03-06-020000",
    "2025-03-07-020000",
];
pub(crate) const IDS: [&str; 4] = [
    "2025-03-04_02-00-00",
    "2025-03-05_02-00-00",
    "2025-03-06_02-00-00",
    "2025-03-07_02-00-00",
];

/// What the next backup copied.
pub(crate) fn copied(report: &Value) -> u64 {
    report["snapshot"]["totals"]["files_copied"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_dry_run_and_a_refusal_touch_nothing() {
    let lab = ready();
    time_backup(&lab, "mnt/old", &TIMES);
    let (old, home) = (lab.text("mnt/old"), lab.text("home"));
    let before = everything_below(&lab.path("mnt"));
    let dry = ["adopt", &old, "--at", &home, "--dry-run"];
    let told = lab.run(&dry).expect(0);
    told.fits();
    told.says(&format!("2025-03-04-020000 becomes daily/{}", IDS[0]))
        .says(&format!("its content at {home}"));
    let plan = lab.run(&[&dry[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(plan["trees"].as_array().unwrap().len(), 4);
    lab.run(&dry[..4])
        .expect(4)
        .says("only taken if a person agrees")
        .hints("--yes");
    lab.run(&["adopt"])
        .expect(0)
        .says("nothing to adopt was found");
    assert_eq!(everything_below(&lab.path("mnt")), before);
    let elsewhere = Path::new("/dev/shm");
    if elsewhere.metadata().unwrap().dev() != lab.path("mnt").metadata().unwrap().dev() {
        lab.run(&["adopt", "/dev/shm", "--yes"])
            .expect(4)
            .says("on another file system");
    }
    lab.run(&["adopt", &lab.stored(".backup").display().to_string()])
        .expect(4);
}

#[test]
fn one_that_was_never_finished_is_left_alone() {
    let lab = ready();
    time_backup(&lab, "mnt/old", &TIMES);
    fs::write(lab.path("mnt/old/backup.inprogress"), "123").unwrap();
    let (old, home) = (lab.text("mnt/old"), lab.text("home"));
    lab.run(&["adopt", &old, "--at", &home, "--yes"])
        .expect(0)
        .says("never finished");
    assert_eq!(lab.ids(), IDS[..3]);
    assert!(lab.path("mnt/old").join(TIMES[3]).is_dir());
}

#[test]
fn dated_folders_in_the_tiers_are_adopted_where_they_are() {
    let lab = ready();
    let home = lab.text("home");
    for name in [
        "daily/2025-03-04",
        "weekly/2025-03-02_02-00-00",
        "daily/by hand",
    ] {
        let into = lab.stored(name).join(home.trim_start_matches('/'));
        fs::create_dir_all(into.parent().unwrap()).unwrap();
        run(Command::new("cp")
            .arg("-a")
            .arg(lab.path("home"))
            .arg(&into));
    }
    lab.run(&["adopt", "--yes"])
        .expect(0)
        .says("left alone: daily/by hand")
        .says("adopted 2 snapshots");
    assert_eq!(
        lab.tiers(),
        [
            "daily/2025-03-04_00-00-00",
            "daily/by hand",
            "weekly/2025-03-02_02-00-00"
        ]
    );
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    lab.run(&["adopt", "--yes"])
        .expect(0)
        .says("nothing to adopt was found");
    assert_eq!(copied(&lab.backup(NOW)), 0);
}

#[test]
fn hard_links_of_the_source_are_told_from_those_between_snapshots() {
    let lab = ready();
    fs::hard_link(
        lab.path("home/ann/photo.jpg"),
        lab.path("home/bob/same.jpg"),
    )
    .unwrap();
    time_backup(&lab, "mnt/old", &TIMES);
    let (old, home) = (lab.text("mnt/old"), lab.text("home"));
    lab.run(&["adopt", &old, "--at", &home, "--yes"]).expect(0);
    lab.run(&["restore", IDS[3], &home, "back"]).expect(0);
    let of = |path: &str| fs::metadata(lab.path(path)).unwrap();
    assert_eq!(
        of("back/ann/photo.jpg").ino(),
        of("back/bob/same.jpg").ino()
    );
    assert_eq!(of("back/bob/notes/list.md").nlink(), 1);
    assert_eq!(
        contents_below(&lab.path("back")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn many_that_are_adopted_are_not_deleted_without_approval() {
    let lab = ready();
    let times: Vec<String> = (1..=14)
        .map(|day| format!("2025-02-{day:02}-020000"))
        .collect();
    let times: Vec<&str> = times.iter().map(String::as_str).collect();
    time_backup(&lab, "mnt/old", &times);
    let (old, home) = (lab.text("mnt/old"), lab.text("home"));
    lab.run(&["adopt", &old, "--at", &home, "--yes"]).expect(0);
    let report = lab.at(NOW, &["apply", "--json"]).expect(3).json();
    let codes = crate::lab::finding_codes(&report["findings"]);
    assert!(codes.contains(&"deletions-need-approval"), "{codes:?}");
    assert_eq!(lab.ids().len(), 15);
}

#[test]
fn an_adoption_killed_at_any_rename_goes_on_and_loses_nothing() {
    if !can_trace() {
        return skip("strace may not trace here");
    }
    let mut ended = false;
    for when in 1..40 {
        let lab = ready();
        time_backup(&lab, "mnt/old", &TIMES[..3]);
        let (old, home) = (lab.text("mnt/old"), lab.text("home"));
        let adopt = ["adopt", &old, "--at", &home, "--yes", "--threads", "1"];
        let inner = lab.command(&adopt);
        let mut killed = lab.bare("strace");
        killed
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"])
            .arg("-e")
            .arg(format!("inject=renameat2:signal=SIGKILL:when={when}"))
            .arg(inner.get_program())
            .args(inner.get_args());
        ended = run_command(killed, &["adopt"]).code == 0;
        // A backup in between has no business with it.
        if when % 2 == 0 && !ended {
            lab.at(NOW, &["apply"]);
        }
        lab.run(&adopt).expect(0);
        let ids = lab.ids();
        for id in &IDS[..3] {
            assert!(ids.contains(&(*id).to_owned()), "kill {when}: {ids:?}");
            let letter = lab.inside(&format!("daily/{id}"), "home/ann/letter.txt");
            let moved = ["weekly", "monthly"]
                .map(|tier| lab.inside(&format!("{tier}/{id}"), "home/ann/letter.txt"));
            let is_there = letter.exists() || moved.iter().any(|path| path.exists());
            assert!(is_there, "kill {when}: {id}");
        }
        assert_eq!(
            entry_names(&lab.path("mnt/old")),
            ["backup.marker", "latest"]
        );
        assert_eq!(
            entry_names(&lab.stored(".backup/adopt")),
            [""; 0],
            "kill {when}"
        );
        lab.run(&["verify", "--all"]).expect(0).says("Whole.");
        if ended {
            break;
        }
    }
    assert!(ended, "there were more renames than were tried");
}

#[test]
fn an_adoption_reports_in_json_too() {
    let lab = ready();
    time_backup(&lab, "mnt/old", &TIMES[..2]);
    let (old, home) = (lab.text("mnt/old"), lab.text("home"));
    let told = lab.run(&["adopt", &old, "--at", &home, "--yes", "--json"]);
    let report = told.expect(0).json();
    assert_eq!(step_outcome(&report, "adopt")["status"], "succeeded");
}

#[test]
fn one_date_in_two_tiers_becomes_two_snapshots_that_do_no_harm() {
    let mut lab = ready();
    lab.set("local.keepDaily", 3);
    lab.set("local.keepWeekly", 1);
    lab.set("local.keepMonthly", 1);
    for day in ["04", "05", "06"] {
        let letter = format!(
            "mnt/atlas/daily/2025-03-{day}_02-00-00{}",
            lab.text("home/ann/letter.txt")
        );
        lab.write(&letter, &format!("letter of {day}\n"));
    }
    for (tier, day) in [("weekly", "04"), ("weekly", "06"), ("monthly", "04")] {
        fs::create_dir_all(lab.stored(tier)).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-al")
            .arg(lab.stored(&format!("daily/2025-03-{day}_02-00-00")))
            .arg(lab.stored(tier));
        run(&mut copy);
    }
    lab.run(&["adopt", "--yes"]).expect(0);
    assert_eq!(lab.ids().len(), 6);
    lab.run(&["verify", "--all"]).expect(0);
    for night in ["08", "09", "10", "11"] {
        let now = format!("2025-03-{night}T02:00:00+01:00");
        lab.at(&now, &["apply", "--approve-deletions"]).expect(0);
        lab.run(&["verify", "--all"]).expect(0);
    }
}

#[test]
fn a_copy_of_a_snapshot_in_another_tier_is_none_of_ours() {
    let lab = ready();
    lab.backup(NOW);
    let id = crate::lab::id_of(NOW);
    let home = lab
        .tiers()
        .into_iter()
        .find(|one| !one.contains("->"))
        .unwrap();
    let link = lab
        .tiers()
        .into_iter()
        .find(|one| one.contains("->"))
        .unwrap();
    let link = link.split(" -> ").next().unwrap();
    fs::remove_file(lab.stored(link)).unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-al").arg(lab.stored(&home)).arg(lab.stored(link));
    run(&mut copy);
    let json = lab.run(&["list", "--json"]).expect(0).json();
    assert_eq!(json["snapshots"].as_array().unwrap().len(), 1);
    assert_eq!(json["unmanaged"][0]["name"], *id);
    let before = contents_below(&lab.stored(link));
    lab.backup("2025-03-09T02:00:00+01:00");
    assert_eq!(contents_below(&lab.stored(link)), before);
    lab.run(&["verify", "--all"]).expect(0);
}

#[test]
fn a_folder_that_cannot_be_adopted_is_named_and_the_others_are_adopted() {
    let lab = ready();
    for (tier, name, below) in [
        (
            "daily",
            "2025-01-10_02-00-00",
            lab.text("home/ann/letter.txt"),
        ),
        (
            "daily",
            "2025-01-11_02-00-00",
            lab.text("home/ann/letter.txt"),
        ),
        (
            "daily",
            "2025-01-12_02-00-00",
            "/elsewhere/letter".to_owned(),
        ),
    ] {
        lab.write(&format!("mnt/atlas/{tier}/{name}{below}"), "old\n");
    }
    fs::create_dir_all(lab.stored("weekly/2025-01-05_02-00-00")).unwrap();
    let ran = lab.run(&["adopt", "--yes"]).expect(0);
    assert_eq!(lab.ids(), ["2025-01-10_02-00-00", "2025-01-11_02-00-00"]);
    let ran = ran.says("weekly/2025-01-05_02-00-00").says("it is empty");
    ran.says("daily/2025-01-12_02-00-00").says("--at");
    assert!(lab.stored("weekly/2025-01-05_02-00-00").is_dir());
    lab.backup(NOW);
}
