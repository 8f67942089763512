//! `diff`: what changed between two snapshots.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use serde_json::Value;

use crate::{
    cloud_live::change_unseen,
    lab::{Lab, id_of},
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A lab in which everything happened that can.
fn changed() -> Lab {
    let lab = Lab::new();
    lab.write("home/ann/gone.txt", "soon gone\n");
    lab.write("home/ann/moved.txt", "a text that moves\n");
    lab.write("home/ann/touched.txt", "the same\n");
    lab.write("home/ann/empty", "");
    symlink("letter.txt", lab.path("home/ann/link")).unwrap();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    lab.write("home/bob/new.txt", "new\n");
    fs::remove_file(lab.path("home/ann/gone.txt")).unwrap();
    fs::rename(
        lab.path("home/ann/moved.txt"),
        lab.path("home/bob/moved to bob.txt"),
    )
    .unwrap();
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(lab.path("home/ann/touched.txt"), mode).unwrap();
    fs::rename(lab.path("home/ann/empty"), lab.path("home/ann/void")).unwrap();
    fs::remove_file(lab.path("home/ann/link")).unwrap();
    symlink("photo.jpg", lab.path("home/ann/link")).unwrap();
    lab.backup(SECOND);
    lab
}

fn told(lab: &Lab, diff: &Value) -> Vec<String> {
    let home = lab.text("home/");
    let differences = diff["differences"].as_array().unwrap().iter();
    differences
        .map(|one| {
            let from = one["from"].as_str().map(|from| format!("{from} -> "));
            let text = format!(
                "{} {}{}",
                one["change"].as_str().unwrap(),
                from.unwrap_or_default(),
                one["path"].as_str().unwrap()
            );
            text.replace(&home, "")
        })
        .collect()
}

#[test]
fn each_kind_of_change_is_told_once() {
    let lab = changed();
    let (first, second) = (id_of(FIRST), id_of(SECOND));
    let diff = lab.run(&["diff", &first, &second, "--json"]);
    let diff = diff.expect(0).json();
    assert_eq!(
        told(&lab, &diff),
        [
            // Empty files are all alike, so one that moved is told as gone and come.
            "removed ann/empty",
            "removed ann/gone.txt",
            "changed ann/letter.txt",
            "changed ann/link",
            "metadata ann/touched.txt",
            "added ann/void",
            "renamed ann/moved.txt -> bob/moved\\040to\\040bob.txt",
            "added bob/new.txt",
        ]
    );
    let totals = &diff["totals"];
    assert_eq!(totals["added"]["count"], 2);
    assert_eq!(totals["added"]["bytes"], 4);
    assert_eq!(totals["changed"]["bytes"], 16);
    assert_eq!(totals["renamed"]["count"], 1);
    let text = lab.run(&["diff", &first]).expect(0);
    text.fits();
    let text = text
        .says("9 B -> 16 B")
        .says("letter.txt -> photo.jpg")
        .says("mode 0644 -> 0600")
        .says("2 added (4 B), 2 removed (10 B), 2 changed (16 B), 1 renamed (18 B)");
    assert!(text.stdout.contains("moved to bob.txt"), "{text}");
}

#[test]
fn the_other_way_round_added_is_removed() {
    let lab = changed();
    let (first, second) = (id_of(FIRST), id_of(SECOND));
    let there = lab.run(&["diff", &first, &second, "--json"]).json();
    let back = lab.run(&["diff", &second, &first, "--json"]).json();
    assert_eq!(there["totals"]["added"], back["totals"]["removed"]);
    assert_eq!(there["totals"]["removed"], back["totals"]["added"]);
    assert_eq!(there["same"], back["same"]);
}

#[test]
fn a_path_narrows_it_to_what_is_below() {
    let lab = changed();
    let first = id_of(FIRST);
    for path in [lab.text("home/bob"), format!("{}/", lab.text("home/bob"))] {
        let diff = lab.run(&["diff", &first, "latest", &path, "--json"]);
        let diff = diff.expect(0).json();
        // What came from elsewhere is new here.
        assert_eq!(
            told(&lab, &diff),
            ["added bob/moved\\040to\\040bob.txt", "added bob/new.txt"]
        );
    }
    let letter = lab.text("home/ann/letter.txt");
    let diff = lab.run(&["diff", &first, "latest", &letter, "--json"]);
    assert_eq!(told(&lab, &diff.json()), ["changed ann/letter.txt"]);
}

#[test]
fn equal_snapshots_do_not_differ() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    lab.run(&["diff", &id_of(FIRST)])
        .expect(0)
        .says("nothing differs");
    let unknown = lab.run(&["diff", "2020-01-01_00-00-00"]);
    unknown.expect(4).hints("backup list");
    fs::create_dir_all(lab.stored("daily/2019-05-01/home")).unwrap();
    lab.run(&["diff", "daily/2019-05-01"])
        .expect(4)
        .hints("backup adopt");
}

/// What differs from the sources as they are.
fn now(lab: &Lab, arguments: &[&str], code: i32) -> Value {
    let all = [&["diff", "latest", "now"], arguments, &["--json"]].concat();
    lab.run(&all).expect(code).json()
}

#[test]
fn a_snapshot_is_compared_with_the_sources_as_they_are() {
    let lab = changed();
    let same = now(&lab, &[], 0);
    assert_eq!(told(&lab, &same), [""; 0]);
    assert_eq!(same["after"], "now");
    let entries = same["same"].as_u64().unwrap();
    let two = lab.run(&["diff", &id_of(FIRST), &id_of(SECOND), "--json"]);
    let (two, since) = (
        two.json(),
        lab.run(&["diff", &id_of(FIRST), "now", "--json"]).json(),
    );
    // What is known by its digest of two snapshots is known by its inode of live files.
    assert_eq!(told(&lab, &two), told(&lab, &since));
    assert_eq!(two["same"], since["same"]);

    lab.write("home/ann/letter.txt", "dear all, at last\n");
    lab.write("home/bob/newer.txt", "newer\n");
    fs::remove_file(lab.path("home/bob/new.txt")).unwrap();
    let moved = lab.path("home/bob/moved to bob.txt");
    fs::rename(moved, lab.path("home/ann/back.txt")).unwrap();
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(lab.path("home/ann/touched.txt"), mode).unwrap();
    fs::remove_file(lab.path("home/ann/link")).unwrap();
    symlink("elsewhere", lab.path("home/ann/link")).unwrap();
    // The same size and time: only the kernel's own time shows that something happened.
    let photo = lab.path("home/ann/photo.jpg");
    let text = fs::read(&photo).unwrap();
    let time = fs::metadata(&photo).unwrap().modified().unwrap();
    fs::write(&photo, text.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).unwrap();
    let file = fs::File::options().write(true).open(&photo).unwrap();
    file.set_modified(time).unwrap();
    drop(file);
    let found = now(&lab, &[], 0);
    assert_eq!(
        told(&lab, &found),
        [
            "renamed bob/moved\\040to\\040bob.txt -> ann/back.txt",
            "changed ann/letter.txt",
            "changed ann/link",
            "touched ann/photo.jpg",
            "metadata ann/touched.txt",
            "removed bob/new.txt",
            "added bob/newer.txt",
        ]
    );
    assert_eq!(found["same"].as_u64().unwrap(), entries - 6);
    assert_eq!(found["totals"]["touched"]["count"], 1);
    lab.run(&["diff", "latest", "now"])
        .expect(0)
        .says("to now: 1 added")
        .says("1 touched");

    let bob = lab.text("home/bob/");
    let below = now(&lab, &[&bob], 0);
    assert_eq!(
        told(&lab, &below),
        [
            "removed bob/moved\\040to\\040bob.txt",
            "removed bob/new.txt",
            "added bob/newer.txt",
        ]
    );
}

#[test]
fn what_patterns_leave_out_by_now_is_removed() {
    let mut lab = changed();
    lab.set("local.excludePatterns", vec!["*.jpg"]);
    let found = now(&lab, &[], 0);
    assert_eq!(told(&lab, &found), ["removed ann/photo.jpg"]);
}

#[test]
fn a_source_that_is_not_there_is_not_compared_and_not_called_removed() {
    let lab = changed();
    fs::rename(lab.path("home"), lab.path("away")).unwrap();
    let found = now(&lab, &[], 3);
    let left = told(&lab, &found);
    assert!(left.iter().all(|one| !one.contains("removed")), "{left:?}");
    assert_eq!(found["not_compared"][0]["path"], lab.text("home"));
    lab.run(&["diff", "latest", "now"])
        .expect(3)
        .says("not compared");
}

#[test]
fn what_was_touched_while_the_snapshot_was_made_is_read() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let records = lab.stored(&format!(".backup/snapshots/{}", id_of(FIRST)));
    let letter = lab.path("home/ann/letter.txt");
    change_unseen(&records, &letter, "dear ann\n");
    let found = now(&lab, &[], 0);
    assert_eq!(told(&lab, &found), ["changed ann/letter.txt"]);
    // What only was touched then, and is as it was, is the same.
    change_unseen(&records, &letter, "dear all\n");
    let found = now(&lab, &[], 0);
    assert_eq!(told(&lab, &found), [""; 0]);
    assert_eq!(found["totals"]["touched"]["count"].as_u64().unwrap_or(0), 0);
}

#[test]
fn the_latest_alone_is_compared_with_the_one_before() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.write("home/ann/new.txt", "new\n");
    lab.backup(SECOND);
    let said = format!("From {} to {}: 1 added", id_of(FIRST), id_of(SECOND));
    for before in ["latest", &id_of(SECOND)] {
        lab.run(&["diff", before]).expect(0).says(&said);
    }
    lab.run(&["diff", "latest", "latest"])
        .expect(0)
        .says("nothing differs");
}
