//! What tags leave out: a valid `CACHEDIR.TAG`, and the names of `local.excludeIfPresent`.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::lchown,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;
use test_support::is_missing;

use crate::{
    cloud_live::{remote, there_is_rclone},
    lab::{Lab, finding_codes, id_of, is_installed, skip, step_outcome},
};

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# by a build\n";
const NIGHTS: [&str; 3] = [
    "2025-01-16T02:00:00Z",
    "2025-01-17T02:00:00Z",
    "2025-01-18T02:00:00Z",
];

/// Caches and folders with names of `local.excludeIfPresent`.
fn tag_folders(lab: &Lab) {
    for (file, content) in [
        // The source's own folder is never left out.
        ("CACHEDIR.TAG", TAG),
        (".nobackup", ""),
        ("cache/CACHEDIR.TAG", TAG),
        ("cache/object", "large"),
        ("cache/deep/er/object", "large"),
        (
            "fake/CACHEDIR.TAG",
            "Signature: of another kind, and as long as it takes\n",
        ),
        ("fake/kept", "kept"),
        ("secret/.nobackup", ""),
        ("secret/diary", "large"),
        ("both/.nobackup", ""),
        ("both/CACHEDIR.TAG", TAG),
    ] {
        lab.write(&format!("home/{file}"), content);
    }
}

/// What is left of that, besides what each lab has.
const LEFT: [&str; 14] = [
    "",
    "ann",
    "ann/letter.txt",
    "ann/photo.jpg",
    "bob",
    "bob/notes",
    "bob/notes/list.md",
    ".nobackup",
    "CACHEDIR.TAG",
    "cache",
    "cache/CACHEDIR.TAG",
    "fake",
    "fake/CACHEDIR.TAG",
    "fake/kept",
];
fn below(folder: &Path) -> BTreeSet<String> {
    let all = walkdir::WalkDir::new(folder).into_iter();
    let all = all.map(|entry| {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(folder).unwrap();
        path.to_str().unwrap().to_owned()
    });
    all.collect()
}

fn expected() -> BTreeSet<String> {
    LEFT.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn both_engines_leave_out_what_tags_say_and_tell_how_much() {
    for use_rsync in [false, true] {
        if use_rsync && !is_installed("rsync") {
            return skip("both_engines_leave_out_what_tags_say because rsync is not installed");
        }
        let mut lab = Lab::new();
        tag_folders(&lab);
        lab.set("local.excludeIfPresent", json!([".nobackup2", ".nobackup"]));
        lab.set("local.useRsync", use_rsync);
        let told = "in 1 cache and 2 tagged folders, most in ";
        lab.at(NIGHTS[0], &["plan"]).expect(0).says(told);
        lab.at(NIGHTS[0], &["apply"]).expect(0).says(told);
        assert_eq!(
            below(&lab.inside("latest", "home")),
            expected(),
            "rsync {use_rsync}"
        );
        // What a snapshot would leave out is not what one lacks.
        let diff = lab.run(&["--json", "diff", "latest", "now"]);
        let diff = diff.expect(0).json();
        assert_eq!(diff["differences"], json!([]), "{diff}");
        lab.run(&["verify", "--full"]).expect(0);
        // Without the options all of it is there.
        lab.set("local.excludeCaches", false);
        lab.set("local.excludeIfPresent", json!([]));
        lab.backup(NIGHTS[1]);
        assert_eq!(
            below(&lab.inside("latest", "home")),
            below(&lab.path("home"))
        );
    }
}

#[test]
fn the_cloud_without_local_snapshots_leaves_out_the_same() {
    if !there_is_rclone("the_cloud_without_local_snapshots_leaves_out_the_same") {
        return;
    }
    let (mut lab, far) = remote();
    tag_folders(&lab);
    lab.set("local.excludeIfPresent", json!([".nobackup2", ".nobackup"]));
    let plan = lab.at(NIGHTS[0], &["plan"]);
    plan.expect(0).says("in 1 cache and 2 tagged folders");
    lab.backup(NIGHTS[0]);
    let home = lab.path("home");
    let there = far.join("current").join(home.strip_prefix("/").unwrap());
    // The copy has files only.
    let files: BTreeSet<String> = expected()
        .into_iter()
        .filter(|path| home.join(path).is_file())
        .collect();
    let copied: BTreeSet<String> = below(&there)
        .into_iter()
        .filter(|path| there.join(path).is_file())
        .collect();
    assert_eq!(copied, files);
}

#[test]
fn what_tags_leave_out_later_is_told_and_most_of_all_is_suspect() {
    for use_rsync in [false, true] {
        if use_rsync && !is_installed("rsync") {
            return skip("what_tags_leave_out_later_is_told because rsync is not installed");
        }
        let mut lab = Lab::new();
        lab.set("local.useRsync", use_rsync);
        lab.set("local.excludeIfPresent", json!([".nobackup"]));
        for number in 0..60 {
            lab.write(&format!("home/ann/target/{number}"), "object");
            lab.write(&format!("other/ann/{number}"), "object");
        }
        lab.set(
            "local.sources",
            json!([lab.text("home"), lab.text("other")]),
        );
        lab.backup(NIGHTS[0]);
        lab.write("home/ann/target/CACHEDIR.TAG", TAG);
        // All that a source has.
        lab.write("other/ann/.nobackup", "");
        let plan = lab.at(NIGHTS[1], &["--json", "plan"]).expect(0).json();
        let codes = finding_codes(&plan["findings"]);
        assert!(!codes.contains(&"source-empty"), "{codes:?}");
        // Whoever tagged them may not know what else was in there.
        let report = lab.at(NIGHTS[1], &["apply", "--json"]).expect(3).json();
        let sealed = &step_outcome(&report, "snapshot")["sealed"];
        let reasons = sealed["suspect"].as_array().unwrap();
        let said = |text: &str| {
            reasons
                .iter()
                .any(|one| one.as_str().unwrap().contains(text))
        };
        assert!(
            said("less than half") && said("other had 60 files"),
            "{sealed}"
        );
        assert!(
            said("a tag that came into their folders leaves out 120 files"),
            "{sealed}"
        );
        let left_out = &sealed["left_out"];
        assert_eq!(
            (&left_out["caches"], &left_out["folders"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(left_out["entries"], 121, "{left_out}");
        let id = id_of(NIGHTS[1]);
        let new = format!("daily/{id}");
        assert!(lab.inside(&new, "home/ann/target/CACHEDIR.TAG").exists());
        assert!(!lab.inside(&new, "home/ann/target/7").exists());
        lab.run(&["accept", &id]).expect(0);
        // The tag goes, and all is there again.
        fs::remove_file(lab.path("home/ann/target/CACHEDIR.TAG")).unwrap();
        lab.backup(NIGHTS[2]);
        assert!(lab.inside("latest", "home/ann/target/7").exists());
    }
}

#[test]
fn a_tag_that_a_stranger_put_into_a_folder_leaves_nothing_out() {
    let test = "a_tag_that_a_stranger_put_into_a_folder_leaves_nothing_out";
    if is_missing(test, &[], true) {
        return;
    }
    let mut lab = Lab::new();
    lab.set("local.excludeIfPresent", json!([".nobackup"]));
    for (folder, tag) in [("shared", "CACHEDIR.TAG"), ("open", ".nobackup")] {
        lab.write(&format!("home/{folder}/file"), "content");
        let tag = format!("home/{folder}/{tag}");
        lab.write(&tag, TAG);
        lchown(lab.path(&tag), Some(64_001), None).unwrap();
    }
    lab.backup(NIGHTS[0]);
    assert!(lab.inside("latest", "home/shared/file").exists());
    assert!(lab.inside("latest", "home/open/file").exists());
    // Whose folder it is may say so.
    for folder in ["shared", "open"] {
        lchown(lab.path(format!("home/{folder}")), Some(64_001), None).unwrap();
    }
    lab.backup(NIGHTS[1]);
    assert!(!lab.inside("latest", "home/shared/file").exists());
    assert!(!lab.inside("latest", "home/open").exists());
}

#[test]
fn tags_that_a_person_lets_count_from_now_on_make_nothing_suspect() {
    let mut lab = Lab::new();
    lab.set("local.excludeCaches", false);
    for number in 0..60 {
        lab.write(&format!("home/ann/target/{number}"), "object");
    }
    lab.write("home/ann/target/CACHEDIR.TAG", TAG);
    lab.backup(NIGHTS[0]);
    lab.set("local.excludeCaches", true);
    let report = lab.backup(NIGHTS[1]);
    assert_eq!(report["result"], "success", "{report}");
    assert!(!lab.inside("latest", "home/ann/target/7").exists());
}

/// Whatever the owner of a folder does with its tag meanwhile: it is backed up or left out.
#[test]
fn a_tag_that_comes_and_goes_is_no_fault() {
    let mut lab = Lab::new();
    lab.set("local.excludeIfPresent", json!([".nobackup"]));
    for number in 0..200 {
        lab.write(&format!("home/flips/{number}"), "object");
    }
    // The flipping ones are not most of all: that would be suspect.
    for number in 0..300 {
        lab.write(&format!("home/steady/{number}"), "object");
    }
    lab.write("home/tag", TAG);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let names = [
                "home/tag",
                "home/flips/CACHEDIR.TAG",
                "home/flips/.nobackup",
            ];
            let names = names.map(|name| lab.path(name));
            let mut at = 0;
            while !ended.load(Ordering::Relaxed) {
                let next = (at + 1) % names.len();
                fs::rename(&names[at], &names[next]).unwrap();
                at = next;
                thread::sleep(Duration::from_micros(300));
            }
        });
        let run = || {
            for night in NIGHTS {
                let report = lab.at(night, &["--json", "apply"]);
                if report.code != 0 {
                    return Err(report.stdout);
                }
                let there = fs::read_dir(lab.inside("latest", "home/flips"));
                let files = there.map_or(0, Iterator::count);
                if (2..200).contains(&files) {
                    return Err(format!("{files} files of 200"));
                }
            }
            Ok(())
        };
        let result = run();
        ended.store(true, Ordering::Relaxed);
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn a_name_that_no_entry_has_is_refused() {
    let mut lab = Lab::new();
    lab.set(
        "local.excludeIfPresent",
        json!([".nobackup", "a/b", "", ".."]),
    );
    let checked = lab.run(&["check"]);
    checked
        .expect(2)
        .says("local.excludeIfPresent[1]")
        .says("local.excludeIfPresent[2]")
        .says("local.excludeIfPresent[3]")
        .says("hint:");
}
