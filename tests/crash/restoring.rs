//! A restore that is killed at a system call, or loses its power: nothing that is not whole looks whole, and
//! the same restore again ends it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;
use walkdir::WalkDir;

use crate::lab::{BEFORE, World, is_missing, run_tool};

/// The mode of a file that is not whole, in a folder that nobody else can come into.
const UNFINISHED: u32 = 0o1600;

/// Ends the test if a file stands under its own name and has another content than the source.
#[track_caller]
fn nothing_half(source: &Path, target: &Path) {
    for entry in WalkDir::new(target).into_iter().flatten() {
        let name = entry.file_name().to_string_lossy();
        if !entry.file_type().is_file() || name.contains(".backup-restore-") {
            continue;
        }
        let path = entry.path().strip_prefix(target).unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        if mode != UNFINISHED {
            let same = fs::read(entry.path()).unwrap() == fs::read(source.join(path)).unwrap();
            assert!(same, "half a file: {}", path.display());
        }
    }
}

/// Ends the test if rsync finds a difference.
#[track_caller]
fn is_as_the_source(from: &str, to: &str) {
    let options = ["-aHAXnci", "--delete", "--numeric-ids"];
    let ends = [format!("{from}/"), format!("{to}/")];
    let words = options.into_iter().chain(ends.iter().map(String::as_str));
    assert_eq!(run_tool("rsync", words), "", "not as the source");
}

#[test]
fn a_restore_killed_at_any_call_goes_on_and_nothing_half_looks_whole() {
    let name = "a_restore_killed_at_any_call_goes_on_and_nothing_half_looks_whole";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let source = world.source();
    crate::tree::make(&source, false);
    world.apply(BEFORE[0]).expect(0);
    world.keep();
    let (from, to) = (world.text("src"), world.text("back"));
    let target = world.path("back");
    let words = ["restore", "latest", &from, &to];
    let calls = [
        ("pwrite64", 6),
        ("fchmod", 12),
        ("utimensat", 12),
        ("fchown", 4),
        ("mkdirat", 4),
        ("renameat2", 6),
        ("unlinkat", 6),
        ("linkat", 2),
        ("symlinkat", 2),
    ];
    let points = world.points(&words, &calls);
    let mut unfinished = 0;
    for point in &points {
        world.bring_back();
        run_tool("rm", ["-rf", &to]);
        let killed = world.kill_at_point(&words, point);
        assert_eq!(killed.signal, Some(9), "{}", killed.all());
        nothing_half(&source, &target);
        let is_unfinished = |entry: &walkdir::DirEntry| {
            let stat = entry.metadata().unwrap();
            stat.is_file() && stat.permissions().mode() & 0o7777 == UNFINISHED
        };
        let left = WalkDir::new(&target).into_iter().flatten();
        unfinished += left.filter(is_unfinished).count();
        world.run(&words).expect(0);
        is_as_the_source(&from, &to);
    }
    // Otherwise this would try less than it says.
    assert!(unfinished > 3, "{unfinished} of {} points", points.len());
}

#[test]
fn what_is_not_on_disk_has_a_mark_above_it_and_is_made_anew_after_a_power_cut() {
    let name = "what_is_not_on_disk_has_a_mark_above_it_and_is_made_anew_after_a_power_cut";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let world = World::new(&json!({}));
    let source = world.source();
    crate::tree::make(&source, false);
    world.apply(BEFORE[0]).expect(0);
    let (from, to) = (world.text("src"), world.text("back"));
    let target = world.path("back");
    let words = ["restore", "latest", &from, &to];
    // All is made, and nothing of it is known to be on disk yet.
    let killed = world.kill_at_call(&words, "syncfs", 1);
    assert_eq!(killed.signal, Some(9), "{}", killed.all());
    assert!(target.join(".backup-restore-unfinished").exists());
    let files = WalkDir::new(&target).into_iter().flatten();
    let mut cut = 0;
    for entry in files.filter(|entry| entry.file_type().is_file()) {
        let stat = entry.metadata().unwrap();
        // As a file system leaves it that writes down names before content.
        if stat.len() > 1 && !entry.file_name().to_string_lossy().contains(".backup-") {
            let file = fs::File::options().write(true).open(entry.path()).unwrap();
            file.set_len(0).unwrap();
            file.set_modified(stat.modified().unwrap()).unwrap();
            cut += 1;
        }
    }
    assert!(cut > 3, "{cut}");
    world.run(&words).expect(0);
    is_as_the_source(&from, &to);
}

#[test]
fn a_name_that_cannot_be_linked_is_a_copy_that_is_told() {
    let name = "a_name_that_cannot_be_linked_is_a_copy_that_is_told";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let world = World::new(&json!({}));
    crate::tree::make(&world.source(), false);
    world.apply(BEFORE[0]).expect(0);
    let (from, to) = (world.text("src"), world.text("back"));
    let words = ["restore", "latest", &from, &to];
    let inject = "inject=linkat:error=EPERM:when=1";
    let done = world.trace_words(&words, &["-e", "trace=linkat", "-e", inject]);
    let done = done.expect(3).says("links/relative too: is a copy of");
    done.says("not its hard link").says("remove these copies");
    let copy = world.path("back/links/relative too");
    assert_eq!(fs::read_link(&copy).unwrap().to_str(), Some("one"));
    fs::remove_file(copy).unwrap();
    world.run(&words).expect(0);
    is_as_the_source(&from, &to);
}
