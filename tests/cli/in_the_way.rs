//! What stands where a folder or link of ours belongs is left alone and named, and the backup is
//! made all the same; and a disk that fails while it is tried out is not taken for a poor one.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    damage::{FIRST, FOURTH, SECOND, THIRD, VICTIM, nights},
    damage_table::has_turn,
    lab::{
        Lab, PROGRAM, can_trace, contents_below, entry_names, finding_codes, id_of, run_command,
        skip,
    },
};

const FIFTH: &str = "2025-03-09T02:00:00+01:00";

/// Where the snapshot of a night stands, as a folder.
fn home(lab: &Lab, night: &str) -> Option<PathBuf> {
    let tiers = ["hourly", "daily", "weekly", "monthly", "yearly"];
    tiers.iter().find_map(|tier| {
        let at = lab.stored(&format!("{tier}/{}", id_of(night)));
        at.symlink_metadata()
            .is_ok_and(|of| of.is_dir())
            .then_some(at)
    })
}

fn put(what: &str, at: &Path) {
    match what {
        "a file" => fs::write(at, "a note\n").unwrap(),
        "a symlink" => {
            let other = at.with_extension("elsewhere");
            fs::create_dir(&other).unwrap();
            fs::write(other.join("precious"), "of somebody\n").unwrap();
            symlink(&other, at).unwrap();
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_tier_that_is_no_folder_costs_no_backup_and_nothing_in_it_is_touched() {
    for what in ["a file", "a symlink"] {
        for tier in ["daily", "weekly", "monthly"] {
            let mut lab = nights(&[FIRST, SECOND]);
            lab.set("local.keepDaily", 2);
            let saved = lab.stored(&format!("{tier}.saved"));
            fs::rename(lab.stored(tier), &saved).unwrap();
            put(what, &lab.stored(tier));
            let kept = contents_below(&saved);
            let elsewhere = lab.stored(&format!("{tier}.elsewhere"));

            for verb in ["list", "status", "plan"] {
                lab.at(THIRD, &[verb]).expect(0);
            }
            let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
            assert!(finding_codes(&plan["findings"]).contains(&"in-the-way"));
            lab.write(VICTIM, "tonight\n");
            for night in [THIRD, FOURTH, FIFTH] {
                lab.at(night, &["apply"])
                    .expect(3)
                    .says(&format!("{tier} is {what}"))
                    .hints(&format!("{tier}.saved"));
                let there = home(&lab, night).unwrap();
                let letter = lab.path(VICTIM);
                let letter = there.join(letter.strip_prefix("/").unwrap());
                assert_eq!(fs::read(letter).unwrap(), b"tonight\n", "{what} {tier}");
            }
            assert_eq!(contents_below(&saved), kept, "{what} {tier}");
            if what == "a symlink" {
                assert_eq!(entry_names(&elsewhere), ["precious"], "{tier}");
                fs::remove_file(lab.stored(tier)).unwrap();
            } else {
                assert_eq!(fs::read(lab.stored(tier)).unwrap(), b"a note\n");
                fs::remove_file(lab.stored(tier)).unwrap();
            }
            // Once it is gone, all is as ever.
            let night = "2025-03-10T02:00:00+01:00";
            lab.at(night, &["apply"]).expect(0);
            lab.run(&["verify", "--all"]).expect(0);
            assert!(fs::read_link(lab.stored("latest")).is_ok());
        }
    }
}

#[test]
fn what_stands_where_a_snapshot_or_a_link_comes_to_is_left_alone() {
    let lab = nights(&[FIRST]);
    fs::write(lab.stored(&format!("daily/{}", id_of(SECOND))), "mine\n").unwrap();
    fs::remove_file(lab.stored("latest")).unwrap();
    fs::create_dir(lab.stored("latest")).unwrap();
    fs::write(lab.stored("latest/mine"), "too\n").unwrap();
    let run = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    let id = run["snapshot"]["id"].as_str().unwrap().to_owned();
    assert_ne!(id, id_of(SECOND));
    assert!(lab.stored(&format!("daily/{id}")).is_dir());
    let file = lab.stored(&format!("daily/{}", id_of(SECOND)));
    assert_eq!(fs::read(file).unwrap(), b"mine\n");
    assert_eq!(entry_names(&lab.stored("latest")), ["mine"]);
    lab.run(&["verify", "--all"]).expect(0);
}

#[test]
fn what_stands_in_a_folder_of_our_own_is_moved_aside() {
    for area in ["partial", "trash", "snapshots"] {
        for what in ["a file", "a symlink"] {
            let lab = nights(&[FIRST]);
            let at = lab.stored(&format!(".backup/{area}"));
            fs::rename(&at, lab.path("kept")).unwrap();
            put(what, &at);
            for verb in ["list", "status", "plan"] {
                lab.at(SECOND, &[verb]).expect(0);
            }
            let report = lab.at(SECOND, &["apply", "--json"]).expect(0).json();
            assert_eq!(report["result"], "success", "{area} {what}");
            let beside = entry_names(&lab.stored(".backup"));
            let saved = format!("{area}.saved-");
            assert!(
                beside.iter().any(|name| name.starts_with(&saved)),
                "{beside:?}"
            );
            if what == "a symlink" {
                let other = lab.stored(&format!(".backup/{area}.elsewhere"));
                assert_eq!(entry_names(&other), ["precious"]);
            }
        }
    }
}

#[test]
fn a_disk_that_fails_while_it_is_tried_out_is_not_taken_for_a_poor_one() {
    if !can_trace() {
        return skip("a_disk_that_fails_while_it_is_tried_out: no strace here");
    }
    let mut offered = 0;
    for (calls, nth) in [
        ("readlinkat,readlink", 1..7),
        ("symlinkat", 1..4),
        ("fsetxattr", 1..4),
        ("fchmod", 1..4),
        ("fchown", 1..2),
        ("mknodat", 1..4),
        ("linkat", 1..3),
        ("utimensat", 1..3),
    ] {
        for error in ["EIO", "ENOSPC", "EMFILE"] {
            // Another call of the same name with each error.
            offered += 1;
            for nth in nth.clone() {
                offered += 1;
                if !has_turn(offered) {
                    continue;
                }
                let lab = Lab::new();
                symlink("letter.txt", lab.path("home/ann/link")).unwrap();
                let mut strace = lab.bare("strace");
                strace
                    .args(["-f", "-qq", "-o", "/dev/null", "-e"])
                    .arg(format!("trace={calls}"))
                    .args(["-e", &format!("inject={calls}:error={error}:when={nth}")])
                    .args([PROGRAM, "--threads", "1", "init", "--config"])
                    .arg(lab.path("config.json"))
                    .arg("--state-dir")
                    .arg(lab.path("state"))
                    .arg("--log-dir")
                    .arg(lab.path("log"));
                run_command(strace, &["init, with a call that fails"]);
                lab.backup(FIRST);
                lab.backup(SECOND);
                let why = format!("{calls} {nth} {error}");
                let record = lab.stored(".backup/destination.json");
                let can = crate::lab::read_json(&record)["capabilities"].clone();
                for key in ["hard_links", "symlinks", "modes", "xattrs", "fifos"] {
                    assert_eq!(can[key], true, "{why}: {can}");
                }
                let link = lab.inside("latest", "home/ann/link");
                assert_eq!(
                    fs::read_link(link).unwrap(),
                    Path::new("letter.txt"),
                    "{why}"
                );
            }
        }
    }
}

#[test]
fn what_a_disk_was_once_said_not_to_hold_is_tried_again() {
    let lab = nights(&[FIRST]);
    let record = lab.stored(".backup/destination.json");
    let text = fs::read_to_string(&record).unwrap();
    let poor = text.replace("\"symlinks\": true", "\"symlinks\": false");
    assert_ne!(text, poor);
    fs::write(&record, poor).unwrap();
    lab.at(SECOND, &["apply"])
        .expect(0)
        .says("can now hold symlinks");
    lab.at(THIRD, &["apply"]).expect(0);
    assert_eq!(lab.latest(), format!("daily/{}", id_of(THIRD)));
}
