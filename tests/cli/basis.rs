//! What a new snapshot is linked to and judged by, whatever went wrong in the nights before.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    time::SystemTime,
};

use serde_json::json;

use crate::lab::{Lab, can_trace, finding_codes, id_of, run_command, skip};

fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

fn id(day: u32) -> String {
    id_of(&night(day))
}

/// Where the snapshot of a night stands, or a link to it.
fn daily(day: u32) -> String {
    format!("daily/{}", id(day))
}

/// A lab that keeps every snapshot, with so many files in one source.
fn lab(engine: bool, files: u32) -> Lab {
    let mut lab = Lab::new();
    lab.set("local.useRsync", engine);
    lab.set("local.keepDaily", 40);
    lab.set(
        "local.sources",
        json!([lab.text("home"), lab.text("photos")]),
    );
    for file in 0..files {
        lab.write(&format!("home/file{file}"), &format!("content {file}\n"));
        lab.write(&format!("photos/img{file}"), &format!("picture {file}\n"));
    }
    lab
}

/// How many inodes all snapshots together have under a path.
fn copies(lab: &Lab, path: &str) -> usize {
    let inodes = lab.ids().into_iter().filter_map(|id| {
        let found = fs::metadata(lab.inside(&format!("daily/{id}"), path));
        found.ok().map(|found| found.ino())
    });
    inodes.collect::<BTreeSet<_>>().len()
}

#[test]
fn what_came_in_an_incomplete_night_is_stored_once() {
    for engine in [false, true] {
        let mut lab = lab(engine, 3);
        lab.backup(&night(3));
        let gone = json!([lab.text("home"), lab.text("photos"), lab.text("gone.conf")]);
        lab.set("local.sources", gone);
        lab.write("home/film", "a film\n");
        for day in 4..8 {
            lab.at(&night(day), &["apply"]).expect(3);
        }
        assert_eq!(copies(&lab, "home/film"), 1);
    }
}

#[test]
fn a_source_that_was_away_for_a_night_is_linked_again() {
    let lab = lab(false, 30);
    lab.backup(&night(3));
    fs::rename(lab.path("photos"), lab.path("away")).unwrap();
    lab.at(&night(4), &["apply"]).expect(3);
    fs::rename(lab.path("away"), lab.path("photos")).unwrap();
    let plan = lab.at(&night(5), &["plan", "--json"]).json();
    assert_eq!(plan["totals"]["copy_files"], 0);
    lab.at(&night(5), &["apply"]).expect(3);
    lab.at(&night(6), &["apply"]).expect(3);
    assert_eq!(copies(&lab, "photos/img7"), 1);
    assert_eq!(copies(&lab, "home/file7"), 1);
    // It says so, for what a deletion frees is computed from it.
    assert_eq!(lab.record(&id(5))["line_from"], *id(5));
    assert_eq!(lab.record(&id(6))["line_from"], *id(5));
    assert_eq!(lab.record(&id(5))["suspect"], json!([]));
    lab.run(&["verify", "--all"]).expect(0);
}

#[test]
fn a_folder_that_could_not_be_read_once_is_linked_again() {
    if !can_trace() {
        return skip("a_folder_that_could_not_be_read_once_is_linked_again: no strace");
    }
    for engine in [false, true] {
        let lab = lab(engine, 3);
        lab.backup(&night(3));
        let mut traced = lab.bare("strace");
        let folder = lab.text("home/ann");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-P", folder.as_str()]);
        traced.args(["-e", "inject=getdents64:error=EIO"]);
        let command = lab.command(&["--threads", "1", "apply", "--now", &night(4)]);
        traced.arg(command.get_program()).args(command.get_args());
        run_command(traced, &["apply under strace"])
            .expect(3)
            .says("home/ann");
        assert!(!lab.inside(&daily(4), "home/ann/letter.txt").exists());
        lab.backup(&night(5));
        assert_eq!(copies(&lab, "home/ann/letter.txt"), 1);
    }
}

#[test]
fn a_rewrite_is_stored_once_and_settled_by_one_word() {
    for (engine, word) in [(false, 4), (true, 6)] {
        let lab = lab(engine, 30);
        lab.backup(&night(3));
        for file in 0..30 {
            lab.write(&format!("home/file{file}"), &format!("tagged {file}\n"));
            lab.write(&format!("photos/img{file}"), &format!("tagged {file}\n"));
        }
        for day in 4..8 {
            lab.write("home/file1", &format!("day {day}\n"));
            // Always the same event, and the same command.
            lab.at(&night(day), &["apply"])
                .expect(3)
                .says("30 files with other content")
                .says(&lab.text("photos"))
                .hints(&format!("backup accept {}", id(4)));
            assert_eq!(lab.record(&id(day))["suspect_since"], *id(4));
        }
        assert_eq!(copies(&lab, "photos/img7"), 2);
        let health = lab.at(&night(7), &["health", "--quick"]);
        health
            .says("3 later ones like it")
            .hints(&format!("`backup accept {}`", id(4)));
        lab.run(&["accept", &id(word)]).expect(0).says(&id(word));
        let report = lab.backup(&night(8));
        assert_eq!(finding_codes(&report["findings"]), [""; 0]);
        assert_eq!(copies(&lab, "photos/img7"), 2);
    }
}

#[test]
fn another_event_after_a_suspect_night_asks_once_more() {
    let lab = lab(false, 30);
    lab.backup(&night(3));
    for file in 0..30 {
        fs::remove_file(lab.path(format!("photos/img{file}"))).unwrap();
    }
    lab.at(&night(4), &["apply"])
        .expect(3)
        .says("had 30 files")
        .hints(&format!("backup accept {}", id(4)));
    for file in 0..30 {
        lab.write(&format!("home/file{file}"), "encrypted\n");
    }
    lab.at(&night(5), &["apply"])
        .expect(3)
        .hints(&format!("backup accept {}", id(5)));
    lab.run(&["accept", "latest"]).expect(0).says(&id(5));
    lab.at(&night(6), &["apply"])
        .expect(3)
        .hints(&format!("`backup accept {}`", id(4)));
    assert_eq!(lab.record(&id(6))["suspect"], json!([]));
    lab.run(&["accept", &id(4)]).expect(0);
    lab.backup(&night(7));
}

#[test]
fn to_back_up_less_is_not_suspect() {
    let mut lab = lab(false, 40);
    for file in 0..60 {
        lab.write(&format!("home/cache/object{file}"), "object\n");
        lab.write(&format!("home/{file}.tmp"), "temporary\n");
    }
    lab.backup(&night(3));
    lab.set("local.excludePatterns", json!(["cache", "*.tmp"]));
    lab.backup(&night(4));
    lab.set("local.sources", json!([lab.text("home")]));
    lab.backup(&night(5));
    // What is missing besides counts as before.
    lab.set("local.excludePatterns", json!(["cache", "*.tmp", "file1?"]));
    for file in 20..38 {
        fs::remove_file(lab.path(format!("home/file{file}"))).unwrap();
    }
    lab.at(&night(6), &["apply"])
        .expect(3)
        .says("18 files missing");
}

#[test]
fn a_slow_change_under_incomplete_runs_never_adds_up() {
    let mut lab = lab(false, 20);
    lab.backup(&night(3));
    let gone = json!([lab.text("home"), lab.text("photos"), lab.text("gone.conf")]);
    lab.set("local.sources", gone);
    for day in 4..16 {
        for file in 0..4 {
            lab.write(
                &format!("home/file{}", (day * 4 + file) % 20),
                &format!("{day}\n"),
            );
            lab.write(
                &format!("photos/img{}", (day * 4 + file) % 20),
                &format!("{day}\n"),
            );
        }
        lab.at(&night(day), &["apply"]).expect(3);
        assert_eq!(lab.record(&id(day))["suspect"], json!([]));
    }
}

#[test]
fn content_changed_before_the_mode_is_seen_although_its_time_was_put_back() {
    let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for engine in [false, true] {
        for size in [5, 100_000] {
            let lab = lab(engine, 1);
            let set = |text: &str, mode| {
                lab.write("home/f", &text.repeat(size));
                let file = fs::File::options()
                    .write(true)
                    .open(lab.path("home/f"))
                    .unwrap();
                file.set_modified(long_ago).unwrap();
                file.set_permissions(fs::Permissions::from_mode(mode))
                    .unwrap();
            };
            set("A", 0o644);
            lab.backup(&night(3));
            set("B", 0o600);
            lab.backup(&night(4));
            let stored = |day| fs::read_to_string(lab.inside(&daily(day), "home/f")).unwrap();
            assert_eq!(stored(3), "A".repeat(size));
            assert_eq!(stored(4), "B".repeat(size));
            // Only the mode: the content is that of before.
            set("B", 0o640);
            lab.backup(&night(5));
            assert_eq!(stored(5), "B".repeat(size));
            lab.run(&["verify", "--all"]).expect(0);
        }
    }
}

#[test]
fn attributes_that_could_not_be_read_once_are_read_the_next_time() {
    if !can_trace() {
        return skip("attributes_that_could_not_be_read_once_are_read_the_next_time: no strace");
    }
    // The list of them, or one of them, for a file and for a folder.
    for (engine, calls) in [
        (false, "flistxattr,llistxattr"),
        (false, "fgetxattr,lgetxattr"),
        (true, "flistxattr,llistxattr"),
        (true, "fgetxattr,lgetxattr"),
    ] {
        let lab = lab(engine, 1);
        let set = |path: &str| {
            let path = lab.path(path);
            rustix::fs::setxattr(&path, "user.k", b"v", rustix::fs::XattrFlags::empty()).unwrap();
        };
        set("home/file0");
        set("photos");
        let mut traced = lab.bare("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null"]);
        traced.args(["-e", &format!("inject={calls}:error=EIO")]);
        let command = lab.command(&["--threads", "1", "apply", "--now", &night(3)]);
        traced.arg(command.get_program()).args(command.get_args());
        run_command(traced, &["apply under strace"])
            .expect(3)
            .says("cannot read its attributes");
        lab.backup(&night(4));
        for path in ["home/file0", "photos"] {
            let mut value = [0; 8];
            let stored = lab.inside(&daily(4), path);
            let length = rustix::fs::getxattr(stored, "user.k", &mut value);
            assert_eq!(&value[..length.unwrap()], b"v", "{engine} {calls} {path}");
        }
        lab.backup(&night(5));
        assert_eq!(copies(&lab, "home/file0"), 2, "{engine} {calls}");
    }
}

#[test]
fn a_source_that_the_script_before_makes_is_judged_after_it() {
    let mut lab = lab(false, 30);
    let make = format!(
        "mkdir '{0}'; cp '{1}'/file* '{0}'",
        lab.text("dump"),
        lab.text("home")
    );
    lab.set("preBackupScript", lab.script("pre", &make));
    let clear = format!("rm -r '{}'", lab.text("dump"));
    lab.set("postBackupScript", lab.script("post", &clear));
    lab.set("local.sources", json!([lab.text("dump")]));
    for day in 3..6 {
        let report = lab.backup(&night(day));
        assert_eq!(
            finding_codes(&report["findings"])[0],
            "source-not-yet-there"
        );
        assert!(lab.inside(&daily(day), "dump/file7").exists());
        assert!(!lab.path("dump").exists());
    }
    // It makes nothing one day: that is no backup, and what follows it still runs.
    lab.set("preBackupScript", lab.script("pre", "true"));
    let ended = format!("touch '{}'", lab.text("ended"));
    lab.set("postBackupScript", lab.script("post", &ended));
    lab.at(&night(6), &["apply"])
        .expect(4)
        .says("nothing to back up");
    assert!(lab.path("ended").exists());
    // Or an empty folder, where files used to be.
    let empty = format!("mkdir '{}'", lab.text("dump"));
    lab.set("preBackupScript", lab.script("pre", &empty));
    lab.at(&night(7), &["apply"]).expect(3).says("had 30 files");
}
