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
    Lab, can_trace, contents_below, entry_names, everything_below, is_installed, run_command, skip,
    step_outcome,
};

const NOW: &str = "2025-03-08T02:00:00+01:00";

/// Path and inode of every file below a folder.
fn inodes(folder: &Path) -> BTreeMap<PathBuf, u64> {
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
fn ready() -> Lab {
    let lab = Lab::new();
    lab.run(&["init"]).expect(0);
    lab
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Makes what rsync-time-backup makes: a folder for each time, linked to the one before.
fn time_backup(lab: &Lab, folder: &str, times: &[&str]) {
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

const TIMES: [&str; 4] = [
    "2025-03-04-020000",
    "2025-03-05-020000",
    "2025-03-06-020000",
    "2025-03-07-020000",
];
const IDS: [&str; 4] = [
    "2025-03-04_02-00-00",
    "2025-03-05_02-00-00",
    "2025-03-06_02-00-00",
    "2025-03-07_02-00-00",
];

/// What the next backup copied.
fn copied(report: &Value) -> u64 {
    report["snapshot"]["totals"]["files_copied"]
        .as_u64()
        .unwrap()
}

#[test]
fn what_rsync_time_backup_made_becomes_snapshots_without_moving_data() {
    let lab = ready();
    time_backup(&lab, "mnt/old", &TIMES);
    let old = lab.text("mnt/old");
    let before: Vec<_> = TIMES
        .iter()
        .map(|time| inodes(&lab.path("mnt/old").join(time)))
        .collect();
    // Where its content was cannot be guessed.
    lab.run(&["adopt", &old, "--yes"])
        .expect(4)
        .says("which holds ann, bob")
        .hints("--at");
    let home = lab.text("home");
    lab.run(&["adopt", &old, "--at", &home, "--yes"])
        .expect(0)
        .says("adopted 4 snapshots")
        .says("nothing was copied");
    assert_eq!(lab.ids(), IDS);
    for (id, before) in IDS.iter().zip(&before) {
        let stored = lab.inside(&format!("daily/{id}"), "home");
        assert_eq!(&inodes(&stored), before, "{id}");
        let record = lab.record(id);
        assert_eq!(record["engine"], "adopted");
        assert_eq!(record["complete"], true);
        assert_eq!(record["sources"][0]["present"], true);
    }
    // What two share is counted for the first of them.
    let stored_by = &lab.record(IDS[1])["stored_by"];
    assert!(stored_by[IDS[0]].as_u64().unwrap() > 0, "{stored_by}");
    assert_eq!(
        entry_names(&lab.path("mnt/old")),
        ["backup.marker", "latest"]
    );
    assert_eq!(entry_names(&lab.stored(".backup/adopt")), [""; 0]);
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    // Restored, found and compared like any other.
    let letter = lab.text("home/ann/letter.txt");
    lab.run(&["restore", IDS[0], &letter, "back"]).expect(0);
    assert_eq!(fs::read_to_string(lab.path("back")).unwrap(), "letter 0\n");
    let found = lab.run(&["find", &letter, "--json"]).expect(0).json();
    assert_eq!(found["paths"][0]["versions"].as_array().unwrap().len(), 2);
    // The next run is linked to the newest, and retention decides about all of them.
    let report = lab.backup(NOW);
    assert_eq!(copied(&report), 0, "{report:#}");
    let newest = lab.inside(&format!("daily/{}", IDS[3]), "home");
    let latest = lab.inside("latest", "home");
    assert_eq!(inodes(&latest), inodes(&newest));
    assert!(lab.tiers().iter().any(|one| one.starts_with("monthly/")));
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
    lab.run(&["adopt", &old, "--at", "home"]).expect(2);
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

/// Makes what Back In Time makes of the lab's home, with the folder's content read-only as it leaves it.
fn back_in_time(lab: &Lab, profile: &str, ids: &[&str]) {
    let profile = lab.path(profile);
    fs::create_dir_all(profile.join("new_snapshot/backup")).unwrap();
    for (at, id) in ids.iter().enumerate() {
        lab.write("home/ann/letter.txt", &format!("letter {at}\n"));
        let into = profile
            .join(id)
            .join("backup")
            .join(lab.path("home").strip_prefix("/").unwrap());
        fs::create_dir_all(into.parent().unwrap()).unwrap();
        run(Command::new("cp")
            .arg("-a")
            .arg(lab.path("home"))
            .arg(&into));
        fs::write(profile.join(id).join("info"), "").unwrap();
    }
    let newest = ids[ids.len() - 1];
    std::os::unix::fs::symlink(newest, profile.join("last_snapshot")).unwrap();
}

#[test]
fn what_back_in_time_made_becomes_snapshots_on_a_drive_that_was_never_set_up() {
    let lab = Lab::new();
    let profile = "mnt/backintime/atlas/ann/1";
    back_in_time(
        &lab,
        profile,
        &["20250301-020000-123", "20250302-020000-123"],
    );
    fs::create_dir_all(lab.path(profile).join("20250303-020000-123")).unwrap();
    let before = inodes(&lab.path(profile));
    let dry = lab.run(&["adopt", &lab.text("mnt"), "--dry-run"]);
    dry.expect(0)
        .says("20250302-020000-123/backup becomes")
        .says("20250303-020000-123: it holds no folder `backup`");
    assert_eq!(inodes(&lab.path(profile)), before);
    assert_eq!(
        entry_names(&lab.path("mnt")),
        ["backintime"],
        "nothing is set up"
    );

    lab.run(&["adopt", &lab.text("mnt"), "--yes"]).expect(0);
    let list = lab.run(&["--json", "list"]).expect(0).json();
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 2, "{list}");
    lab.run(&["verify", "--full", "--all"]).expect(0);
    let letter = lab.text("home/ann/letter.txt");
    let back = lab.text("back");
    lab.run(&["restore", "2025-03-01_02-00-00", &letter, &back])
        .expect(0);
    assert_eq!(fs::read_to_string(&back).unwrap(), "letter 0\n");
    let report = lab.backup(NOW);
    let totals = &step_outcome(&report, "snapshot")["sealed"]["totals"];
    assert_eq!(totals["files_copied"], 0, "{totals}");

    // Of several profiles one has to be named.
    let other = "other/backintime/atlas";
    for user in ["ann", "bob"] {
        back_in_time(&lab, &format!("{other}/{user}/1"), &["20250301-020000-124"]);
    }
    let several = lab.run(&["adopt", &lab.text("other"), "--dry-run"]);
    several
        .expect(4)
        .says("atlas/ann/1 or ")
        .says("atlas/bob/1");
}

#[test]
fn what_real_rsnapshot_made_becomes_snapshots() {
    if !is_installed("rsnapshot") {
        return skip("rsnapshot is not installed");
    }
    let lab = ready();
    let root = lab.text("mnt/rsnapshot/");
    let conf = [
        "config_version\t1.2".to_owned(),
        format!("snapshot_root\t{root}"),
        "cmd_rsync\trsync".to_owned(),
        "cmd_cp\t/bin/cp".to_owned(),
        "retain\talpha\t4".to_owned(),
        "retain\tbeta\t4".to_owned(),
        format!("lockfile\t{}", lab.text("rsnapshot.pid")),
        format!("backup\t{}/\tlocalhost/", lab.text("home")),
    ];
    let rsync = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("rsync"))
        .find(|rsync| rsync.exists())
        .unwrap();
    let conf = conf
        .join("\n")
        .replace("\trsync\n", &format!("\t{}\n", rsync.display()));
    lab.write("rsnapshot.conf", &format!("{conf}\n"));
    let conf = lab.text("rsnapshot.conf");
    for at in 0..3 {
        // Of another size, since rsync looks no closer than a second.
        lab.write("home/ann/letter.txt", &"letter\n".repeat(at + 1));
        run(Command::new("rsnapshot").args(["-c", &conf, "alpha"]));
    }
    // Its times are those of its folders, which it made within a moment.
    for (at, name) in ["alpha.2", "alpha.1", "alpha.0"].into_iter().enumerate() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_741_136_400 + 86_400 * at as u64);
        let folder = File::open(lab.path("mnt/rsnapshot").join(name)).unwrap();
        folder.set_modified(time).unwrap();
    }
    let newest = lab.path("mnt/rsnapshot/alpha.0/localhost");
    let before = inodes(&newest.join(lab.text("home").trim_start_matches('/')));
    lab.run(&["adopt", &root, "--yes"])
        .expect(0)
        .says("adopted 3 snapshots");
    let ids = lab.ids();
    assert_eq!(
        ids,
        [
            "2025-03-05_02-00-00",
            "2025-03-06_02-00-00",
            "2025-03-07_02-00-00"
        ]
    );
    for (at, id) in ids.iter().enumerate() {
        let letter = lab.inside(&format!("daily/{id}"), "home/ann/letter.txt");
        assert_eq!(
            fs::read_to_string(letter).unwrap(),
            "letter\n".repeat(at + 1)
        );
    }
    let stored = lab.inside(&format!("daily/{}", ids[2]), "home");
    assert_eq!(inodes(&stored), before);
    // Nothing was deleted: its own folders are empty now.
    assert_eq!(
        entry_names(&lab.path("mnt/rsnapshot")),
        ["alpha.0", "alpha.1", "alpha.2"]
    );
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    let report = lab.backup(NOW);
    assert_eq!(copied(&report), 0, "{report:#}");
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
