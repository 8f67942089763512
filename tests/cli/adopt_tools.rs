//! `adopt`: what each of the other tools made becomes snapshots.

use std::{
    fs::{self, File},
    process::Command,
    time::{Duration, SystemTime},
};

use crate::{
    adopt::{IDS, NOW, TIMES, copied, inodes, ready, run, time_backup},
    lab::{Lab, entry_names, is_installed, skip, step_outcome},
};

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
        .says("nothing is copied");
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

/// Makes what Back In Time makes of the lab's home.
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
    // What it leaves where it could not copy all.
    lab.write(&format!("{profile}/20250301-020000-123/failed"), "");
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
    assert_eq!(lab.record("2025-03-01_02-00-00")["complete"], false);
    assert_eq!(lab.record("2025-03-02_02-00-00")["complete"], true);
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
