//! `restore`: getting things back, without ever losing what is there.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use crate::lab::{Lab, contents_below, entry_names, everything_below, id_of, step_outcome};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// A lab with two snapshots: in the second the letter is another one.
fn two_snapshots() -> Lab {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    lab.backup(SECOND);
    lab
}

fn read(lab: &Lab, path: &str) -> String {
    fs::read_to_string(lab.path(path)).unwrap()
}

#[test]
fn a_file_comes_back_by_latest_id_or_tier() {
    let lab = two_snapshots();
    let path = lab.text("home/ann/letter.txt");
    let (first, second) = (id_of(FIRST), id_of(SECOND));
    for (index, (snapshot, expected)) in [
        ("latest", "dear all, again\n"),
        (second.as_str(), "dear all, again\n"),
        (first.as_str(), "dear all\n"),
        // Its home, and a tier in which only a link to it stands.
        (&format!("monthly/{first}"), "dear all\n"),
        (&format!("daily/{first}"), "dear all\n"),
        (&format!("daily/{second}/"), "dear all, again\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("restored{index}");
        lab.run(&["restore", snapshot, &path, &target]).expect(0);
        assert_eq!(read(&lab, &target), expected, "{snapshot}");
    }
}

#[test]
fn a_file_comes_back_with_mode_and_time() {
    let lab = Lab::new();
    let original = lab.path("home/ann/letter.txt");
    fs::set_permissions(&original, fs::Permissions::from_mode(0o640)).unwrap();
    lab.backup(FIRST);
    let path = lab.text("home/ann/letter.txt");
    lab.run(&["restore", "latest", &path, "back"]).expect(0);
    let (was, is) = (
        fs::metadata(&original).unwrap(),
        fs::metadata(lab.path("back")).unwrap(),
    );
    assert_eq!((was.mode(), was.mtime_nsec()), (is.mode(), is.mtime_nsec()));
    // A copy of its own: writing to it must not change the snapshot.
    assert_eq!(is.nlink(), 1);
    fs::write(lab.path("back"), "scribble").unwrap();
    let stored = lab.inside("latest", "home/ann/letter.txt");
    assert_eq!(fs::read_to_string(stored).unwrap(), "dear all\n");
}

#[test]
fn a_folder_comes_back_as_the_target_and_not_inside_it() {
    let lab = two_snapshots();
    let home = lab.text("home");
    for target in ["new", "there"] {
        if target == "there" {
            fs::create_dir(lab.path(target)).unwrap();
        }
        for path in [home.clone(), format!("{home}/")] {
            // The second time everything is there already.
            lab.run(&["restore", "latest", &path, target]).expect(0);
            assert_eq!(
                contents_below(&lab.path(target)),
                contents_below(&lab.path("home"))
            );
        }
    }
}

#[test]
fn the_whole_snapshot_can_be_restored() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.run(&["restore", "latest", "/", "all"]).expect(0);
    let home = lab.path("home");
    let below = lab.path("all").join(home.strip_prefix("/").unwrap());
    assert_eq!(contents_below(&below), contents_below(&home));
}

#[test]
fn what_is_lost_comes_back_to_where_it_was() {
    let lab = two_snapshots();
    let before = contents_below(&lab.path("home"));
    fs::remove_dir_all(lab.path("home/bob")).unwrap();
    fs::remove_file(lab.path("home/ann/photo.jpg")).unwrap();
    let home = lab.text("home");
    lab.run(&["restore", "latest", &home, &home]).expect(0);
    assert_eq!(contents_below(&lab.path("home")), before);
}

#[test]
fn a_dry_run_says_what_would_be_restored_and_writes_nothing() {
    let lab = two_snapshots();
    let home = lab.text("home");
    let before = everything_below(&lab.path(""));
    let dry = ["restore", "latest", &home, "new", "--dry-run"];
    let said = lab.run(&dry).expect(0);
    assert!(said.stdout.contains(&lab.text("new")), "{said}");
    let step = lab.run(&[&dry[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(step["creates"], 7, "{step}");
    assert_eq!(step["conflict_count"], 0);

    let first = id_of(FIRST);
    let dry = ["restore", &first, &home, &home, "--dry-run", "--json"];
    let step = lab.run(&dry).expect(0).json();
    assert_eq!(step["conflicts"], serde_json::json!(["ann/letter.txt"]));
    let mut after = everything_below(&lab.path(""));
    let mut unchanged = before;
    // Only the log tells that something was looked at.
    for all in [&mut after, &mut unchanged] {
        all.retain(|path, _| !path.starts_with(lab.path("log")));
    }
    assert_eq!(after, unchanged);
}

#[test]
fn what_differs_is_not_overwritten() {
    let lab = two_snapshots();
    fs::remove_file(lab.path("home/ann/photo.jpg")).unwrap();
    let home = lab.text("home");
    let before = everything_below(&lab.path("home"));
    let first = id_of(FIRST);
    lab.run(&["restore", &first, &home, &home])
        .expect(4)
        .says("ann/letter.txt")
        .hints("--overwrite");
    // Not even the file that is missing was restored: all or nothing.
    assert_eq!(everything_below(&lab.path("home")), before);
}

#[test]
fn overwriting_keeps_the_old_aside() {
    let lab = two_snapshots();
    lab.write("home/ann/extra.txt", "not in any snapshot\n");
    let home = lab.text("home");
    let first = id_of(FIRST);
    lab.run(&["restore", &first, &home, &home, "--overwrite"])
        .expect(0);
    assert_eq!(read(&lab, "home/ann/letter.txt"), "dear all\n");
    assert_eq!(read(&lab, "home/ann/extra.txt"), "not in any snapshot\n");
    let aside: Vec<String> = entry_names(&lab.path("home/ann"))
        .into_iter()
        .filter(|name| name.starts_with("letter.txt.before-"))
        .collect();
    assert_eq!(aside.len(), 1);
    let aside = format!("home/ann/{}", aside[0]);
    assert_eq!(read(&lab, &aside), "dear all, again\n");
}

#[test]
fn a_path_that_is_not_in_the_snapshot_is_refused_with_one_like_it() {
    let lab = two_snapshots();
    let path = lab.text("home/ann/leter.txt");
    let told = lab.run(&["restore", "latest", &path, "new"]).expect(4);
    told.says("is not in snapshot").hints(&format!(
        "did you mean {}?",
        lab.text("home/ann/letter.txt")
    ));
    assert!(!lab.path("new").exists());
    lab.run(&["restore", "latest", "../etc", "new"]).expect(4);
}

#[test]
fn a_snapshot_that_is_not_there_is_refused() {
    let lab = two_snapshots();
    let path = lab.text("home");
    for name in [
        "2024-01-01_00-00-00",
        "newest",
        "decennial/2025-03-05_02-00-00",
    ] {
        lab.run(&["restore", name, &path, "new"])
            .expect(4)
            .hints("backup list");
    }
    let empty = Lab::new();
    let told = empty.run(&["restore", "latest", "/home", "new"]).expect(4);
    told.says("there is no snapshot yet");
}

#[test]
fn a_target_in_the_destination_is_refused() {
    let lab = two_snapshots();
    let before = contents_below(&lab.stored("daily"));
    let home = lab.text("home");
    let target = lab.inside("latest", "home/ann").join("new");
    let target = target.to_str().unwrap();
    lab.run(&["restore", "latest", &home, target])
        .expect(4)
        .hints("outside the destination");
    assert_eq!(contents_below(&lab.stored("daily")), before);
}

#[test]
fn a_symlink_at_the_target_is_not_followed() {
    let lab = two_snapshots();
    lab.write("elsewhere/letter.txt", "mine\n");
    symlink(lab.path("elsewhere"), lab.path("target")).unwrap();
    let ann = lab.text("home/ann");
    lab.run(&["restore", "latest", &ann, "target"]).expect(4);
    assert_eq!(entry_names(&lab.path("elsewhere")), ["letter.txt"]);
    assert_eq!(read(&lab, "elsewhere/letter.txt"), "mine\n");
}

#[test]
fn the_snapshots_that_can_be_restored_from_are_listed() {
    let lab = two_snapshots();
    let listed = lab.run(&["restore", "--list"]).expect(0);
    for id in [id_of(FIRST), id_of(SECOND)] {
        assert!(listed.stdout.contains(&id), "{listed}");
    }
    lab.run(&["restore", "--list", "latest"]).expect(2);
    lab.run(&["restore", "latest"]).expect(2);
    lab.run(&["restore"]).expect(2);
}

#[test]
fn folders_that_another_tool_made_can_be_restored_from() {
    let lab = two_snapshots();
    let old = lab.stored("daily/2019-05-01");
    fs::create_dir_all(old.join("home/carla")).unwrap();
    fs::write(old.join("home/carla/letter"), "old\n").unwrap();
    lab.run(&["restore", "daily/2019-05-01", "/home/carla", "carla"])
        .expect(0);
    assert_eq!(read(&lab, "carla/letter"), "old\n");
}

#[test]
fn a_target_whose_folder_is_not_there_is_refused_with_how_to_make_it() {
    let lab = two_snapshots();
    let home = lab.text("home");
    lab.run(&["restore", "latest", &home, "deep/below/target"])
        .expect(4)
        .hints(&format!("mkdir -p {}", lab.text("deep/below")));
    assert!(!lab.path("deep").exists());
}

#[test]
fn a_restore_reports_in_json_too() {
    let lab = two_snapshots();
    let home = lab.text("home");
    let told = lab.run(&["restore", "latest", &home, "new", "--json"]);
    let report = told.expect(0).json();
    assert_eq!(report["result"], "success");
    assert_eq!(step_outcome(&report, "restore")["status"], "succeeded");
    // One that would overwrite is refused, with what it is about.
    let first = id_of(FIRST);
    let told = lab.run(&["restore", &first, &home, "new", "--json"]);
    let report = told.expect(4).json();
    assert_eq!(report["result"], "refused");
}

#[test]
fn a_folder_of_another_tool_is_restored_from_whatever_its_name_is() {
    let lab = two_snapshots();
    let odd = lab.stored("daily").join("back\\slash\nand line");
    fs::create_dir_all(odd.join("home")).unwrap();
    fs::write(odd.join("home/kept"), "by another tool").unwrap();
    lab.run(&[
        "restore",
        "daily/back\\134slash\\012and line",
        "/home/kept",
        "kept",
    ])
    .expect(0);
    assert_eq!(
        fs::read_to_string(lab.path("kept")).unwrap(),
        "by another tool"
    );
}
