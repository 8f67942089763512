//! `diff`: what changed between two snapshots.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use serde_json::Value;

use crate::lab::{Lab, id_of};

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
