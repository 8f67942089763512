//! `verify --repair`: what is damaged is healed without writing to a stored file.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};
use test_support::flip_byte;

use crate::{
    damage::{
        FIRST, FOURTH, SECOND, THIRD, VICTIM, attribute, copy, damage, nights, stored,
        thousand_files, unseen,
    },
    lab::{
        Lab, PROGRAM, can_trace, entry_names, everything_below, is_installed, run_command, skip,
        step_outcome,
    },
};

#[test]
fn a_repair_takes_the_source_and_heals_all_snapshots_without_writing_to_the_damaged_inode() {
    let lab = nights(&[FIRST, SECOND, THIRD]);
    let places = [FIRST, SECOND, THIRD].map(|night| stored(&lab, night, VICTIM));
    let damaged = File::open(&places[0]).unwrap();
    unseen(&places[0], || flip_byte(&places[0]));
    let before = damaged.metadata().unwrap();
    let parents: Vec<_> = places.iter().map(|path| folder_time(path)).collect();
    let others = crate::lab::contents_below(&lab.path("home"));

    let repaired = lab.run(&["verify", "--repair", "--json"]).expect(0).json();
    assert_eq!(repaired["repair"]["result"], "success");
    assert!(
        step_outcome(&repaired["repair"], "repair")["message"]
            .as_str()
            .unwrap()
            .contains("1 file repaired under 3 names")
    );
    let inodes: Vec<u64> = places
        .iter()
        .map(|path| path.metadata().unwrap().ino())
        .collect();
    assert!(
        inodes
            .iter()
            .all(|inode| *inode == inodes[0] && *inode != before.ino())
    );
    for path in &places {
        assert_eq!(fs::read_to_string(path).unwrap(), "dear all\n");
    }
    let after = damaged.metadata().unwrap();
    assert_eq!(after.nlink(), 0);
    assert_eq!(
        (after.mtime(), after.size()),
        (before.mtime(), before.size())
    );
    let times: Vec<_> = places.iter().map(|path| folder_time(path)).collect();
    assert_eq!(times, parents);
    assert_eq!(crate::lab::contents_below(&lab.path("home")), others);
    assert!(!lab.stored(".backup/repair").exists());

    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    assert!(
        lab.run(&["status", "--json"])
            .json()
            .get("damaged")
            .is_none()
    );
    lab.run(&["verify", "--repair"]).expect(0);
    // A repair is no backup: the last run is the last backup.
    assert_eq!(
        lab.run(&["status", "--json"]).json()["last_run"]["result"],
        "success"
    );
    assert_eq!(lab.backup(FOURTH)["snapshot"]["totals"]["files_copied"], 0);
}

fn folder_time(path: &Path) -> (i64, i64) {
    let of = path.parent().unwrap().metadata().unwrap();
    (of.mtime(), of.mtime_nsec())
}

#[test]
fn a_repair_takes_another_stored_file_where_the_source_has_changed() {
    let lab = Lab::new();
    lab.write("home/bob/same", "dear all\n");
    lab.backup(FIRST);
    let victim = stored(&lab, FIRST, VICTIM);
    unseen(&victim, || flip_byte(&victim));
    lab.write(VICTIM, "new text\n");
    lab.run(&["verify", "--repair"])
        .expect(0)
        .says("1 file repaired under 1 name");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "dear all\n");
    lab.run(&["verify"]).expect(0);

    // The other one is damaged, too: nothing has the content.
    let other = stored(&lab, FIRST, "home/bob/same");
    lab.write("home/bob/same", "another\n");
    for path in [&victim, &other] {
        unseen(path, || flip_byte(path));
    }
    let before = everything_below(&lab.path("mnt"));
    let told = lab.run(&["verify", "--repair"]).expect(3);
    assert_eq!(told.stdout.matches("not repaired").count(), 2, "{told}");
    assert_eq!(everything_below(&lab.path("mnt")), before);
    let again = lab.run(&["verify", "--repair", "--json"]).expect(3).json();
    assert!(again["damage"][0]["not_repaired"].is_string());
    assert!(again.get("repair").is_none());
}

#[test]
fn a_repair_takes_the_source_where_the_file_was_moved_to() {
    let lab = nights(&[FIRST]);
    let inode = |path: &Path| path.metadata().unwrap().ino();
    fs::create_dir(lab.path("home/moved")).unwrap();
    fs::rename(lab.path(VICTIM), lab.path("home/moved/it")).unwrap();
    lab.backup(SECOND);
    let places = [
        stored(&lab, FIRST, VICTIM),
        stored(&lab, SECOND, "home/moved/it"),
    ];
    assert_eq!(
        inode(&places[0]),
        inode(&places[1]),
        "a moved file is linked"
    );
    unseen(&places[1], || flip_byte(&places[1]));
    lab.run(&["verify"]).expect(3);
    lab.run(&["verify", "--repair"]).expect(0);
    assert_eq!(inode(&places[0]), inode(&places[1]));
    for path in &places {
        assert_eq!(fs::read_to_string(path).unwrap(), "dear all\n");
    }
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
}

#[test]
fn a_symlink_in_a_source_is_not_followed_for_a_repair() {
    let lab = nights(&[FIRST]);
    let victim = stored(&lab, FIRST, VICTIM);
    unseen(&victim, || flip_byte(&victim));
    lab.write("elsewhere/letter.txt", "dear all\n");
    fs::remove_dir_all(lab.path("home/ann")).unwrap();
    symlink(lab.path("elsewhere"), lab.path("home/ann")).unwrap();
    lab.run(&["verify", "--repair"])
        .expect(3)
        .says("not repaired: neither its source");
}

#[test]
fn missing_files_and_damaged_metadata_are_repaired_and_the_rest_is_left() {
    if !is_installed("setfattr") {
        return skip("missing_files_and_damaged_metadata: setfattr is not installed");
    }
    let lab = thousand_files();
    lab.backup(SECOND);
    let in_first = |relative: &str| stored(&lab, FIRST, relative);
    fs::remove_file(in_first("home/more/1/9")).unwrap();
    fs::set_permissions(in_first("home/more/2"), Permissions::from_mode(0o711)).unwrap();
    let victim = in_first(VICTIM);
    fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
    attribute(&victim, "user.colour", "red");
    fs::remove_dir_all(in_first("home/more/4")).unwrap();
    fs::write(in_first("home/extra"), "").unwrap();
    let told = lab
        .run(&["verify", "--all", "--repair", "--json"])
        .expect(3);
    let json = told.json();
    let left: Vec<_> = json["damage"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["not_repaired"].is_string())
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["extra", "missing"]);
    let missing = json["damage"].as_array().unwrap().iter();
    let missing = missing.filter(|one| one["kind"] == "missing");
    assert!(missing.clone().any(|one| {
        let message = one["message"].as_str().unwrap();
        message.contains("nor are the 50 entries below it")
    }));
    let found = damage(&lab.run(&["verify", "--all", "--json"]).expect(3));
    let kinds: Vec<_> = found.iter().map(|one| one.0.as_str()).collect();
    assert_eq!(kinds, ["extra", "missing"], "{found:?}");
    let restored = in_first("home/more/1/9");
    assert_eq!(
        fs::read(restored).unwrap(),
        fs::read(lab.path("home/more/1/9")).unwrap()
    );
    let both = [FIRST, SECOND].map(|night| stored(&lab, night, VICTIM).metadata().unwrap());
    assert_eq!(both[0].ino(), both[1].ino());
    assert_eq!(both[0].mode() & 0o777, 0o644);
}

#[test]
fn a_repair_that_was_killed_anywhere_is_ended_by_the_next_one() {
    if !can_trace() {
        return skip("a_repair_that_was_killed_anywhere: strace may not trace here");
    }
    let lab = nights(&[FIRST, SECOND]);
    let places = [FIRST, SECOND].map(|night| stored(&lab, night, VICTIM));
    unseen(&places[0], || flip_byte(&places[0]));
    fs::remove_file(stored(&lab, FIRST, "home/ann/photo.jpg")).unwrap();
    for name in ["mnt", "state"] {
        copy(&lab.path(name), &lab.path(format!("kept.{name}")));
    }
    let traced = |options: &[&str]| {
        let command = lab.command(&["verify", "--all", "--repair"]);
        let mut traced = lab.bare("strace");
        traced
            .args(["-f", "-qq", "-o"])
            .arg(lab.path("trace"))
            .args(options)
            .arg(PROGRAM)
            .args(command.get_args());
        run_command(traced, &["strace"])
    };
    let calls = [
        "renameat",
        "renameat2",
        "linkat",
        "utimensat",
        "fsync",
        "unlinkat",
        "write",
    ];
    traced(&["-e", &format!("trace={}", calls.join(","))]).expect(0);
    let trace = fs::read_to_string(lab.path("trace")).unwrap();
    let mut killed = 0;
    for call in calls {
        let count = trace.matches(&format!(" {call}(")).count();
        assert!(count > 0, "no {call} in a repair");
        let step = count.div_ceil(8);
        for nth in (1..=count).step_by(step) {
            for name in ["mnt", "state"] {
                fs::remove_dir_all(lab.path(name)).unwrap();
                copy(&lab.path(format!("kept.{name}")), &lab.path(name));
            }
            let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
            let done = traced(&["-e", &format!("trace={call}"), "-e", &inject]);
            killed += usize::from(done.code == 128 + 9);
            let again = lab.run(&["verify", "--all", "--repair"]);
            assert_eq!(again.code, 0, "{call} {nth}: {again}");
            let whole = lab.run(&["verify", "--all", "--json"]);
            assert_eq!(whole.code, 0, "{call} {nth}: {whole}");
            for path in &places {
                assert_eq!(fs::read_to_string(path).unwrap(), "dear all\n");
            }
            assert!(!lab.stored(".backup/repair").exists() || done.code == 128 + 9);
            lab.backup(THIRD);
            assert_eq!(
                entry_names(&lab.stored(".backup")),
                [
                    "destination.json",
                    "lock",
                    "moving",
                    "partial",
                    "rotation.json",
                    "snapshots",
                    "trash",
                ]
            );
        }
    }
    assert!(killed > 20, "{killed}");
}

#[test]
fn a_disk_that_this_machine_does_not_know_is_compared_and_not_repaired() {
    let lab = nights(&[FIRST]);
    let victim = stored(&lab, FIRST, VICTIM);
    unseen(&victim, || flip_byte(&victim));
    let other = r#"{"known": ["00000000-0000-4000-8000-000000000000"]}"#;
    fs::write(lab.path("state/destinations.json"), other).unwrap();
    lab.run(&["verify"]).expect(3);
    let before = everything_below(&lab.path("mnt"));
    lab.run(&["verify", "--repair"])
        .expect(4)
        .says("/home/ann/letter.txt")
        .hints("backup init");
    lab.run(&["verify", "--repair", "--json"]).expect(4).json();
    assert_eq!(everything_below(&lab.path("mnt")), before);
}
