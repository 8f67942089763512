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
    // It stays as it is until a person removes it, and that is said.
    world
        .run(&words)
        .expect(0)
        .says("remove it and run the same restore again");
    fs::remove_file(copy).unwrap();
    let again = world.run(&words).expect(0);
    assert!(!again.all().contains("hard link"), "{}", again.all());
    is_as_the_source(&from, &to);
}

/// How many calls of a name its thread has made up to a line, as strace counts them.
fn nth_of_its_thread(lines: &[&str], at: usize, call: &str) -> usize {
    let thread = |line: &str| line.split(' ').next().map(str::to_owned);
    let is_one =
        |line: &&&str| line.contains(&format!(" {call}(")) && thread(line) == thread(lines[at]);
    lines[..=at].iter().filter(is_one).count()
}

#[test]
fn a_single_file_whose_folder_cannot_be_opened_is_not_said_to_be_restored() {
    let name = "a_single_file_whose_folder_cannot_be_opened_is_not_said_to_be_restored";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let world = World::new(&json!({}));
    crate::tree::make(&world.source(), false);
    world.apply(BEFORE[0]).expect(0);
    let (from, to) = (world.text("src/sizes/4097"), world.text("one"));
    let words = ["restore", "latest", &from, &to];
    world.keep();
    world.trace_words(&words, &["-e", "trace=openat"]).expect(0);
    let trace = world.trace();
    // Folders that are opened once more, that of the file among them.
    let opened = |line: &str| line.contains(", \".\", ") && line.contains("O_DIRECTORY");
    let lines: Vec<&str> = trace.lines().collect();
    let points: Vec<usize> = (0..lines.len())
        .filter(|at| opened(lines[*at]))
        .map(|at| nth_of_its_thread(&lines, at, "openat"))
        .collect();
    assert!(!points.is_empty(), "{trace}");
    for nth in points {
        world.bring_back();
        let _ = fs::remove_file(&to);
        let inject = format!("inject=openat:error=ENFILE:when={nth}");
        let done = world.trace_words(&words, &["-e", "trace=openat", "-e", &inject]);
        let there = fs::read(&to).ok() == fs::read(&from).ok();
        assert!(there || done.code != 0, "{nth}: {}", done.all());
        let is_read_back = done.in_one_line().contains("1 file read back");
        assert!(is_read_back || done.code != 0, "{nth}: {}", done.all());
    }
}

#[test]
fn a_folder_that_cannot_be_read_back_is_told() {
    let name = "a_folder_that_cannot_be_read_back_is_told";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let world = World::new(&json!({}));
    crate::tree::make(&world.source(), false);
    world.apply(BEFORE[0]).expect(0);
    let (from, to) = (world.text("src"), world.text("back"));
    let words = ["restore", "latest", &from, &to];
    let trace = ["-e", "trace=openat,openat2,syncfs"];
    // The first restore of a snapshot reads what the second has at hand.
    for _ in 0..2 {
        run_tool("rm", ["-rf", &to]);
        world.trace_words(&words, &trace).expect(0);
    }
    let lines = world.trace();
    let lines: Vec<&str> = lines.lines().collect();
    let synced = lines.iter().position(|line| line.contains(" syncfs("));
    let at = |wanted: &str| {
        let after = lines
            .iter()
            .skip(synced.expect("a sync"))
            .position(|line| line.contains(wanted));
        let at = synced.unwrap() + after.expect(wanted);
        let call = match lines[at].contains(" openat2(") {
            true => "openat2",
            false => "openat",
        };
        (call, nth_of_its_thread(&lines, at, call))
    };
    let (call, nth) = at("\"sizes\"");
    let mut told = 0;
    // Which call it is depends a little on who copies when.
    for nth in nth - 6..=nth + 6 {
        run_tool("rm", ["-rf", &to]);
        let inject = format!("inject={call}:error=ENFILE:when={nth}");
        let done = world.trace_words(&words, &[trace[0], trace[1], "-e", &inject]);
        let said = done.in_one_line();
        let is_read_back = said.contains("67 files read back");
        assert!(is_read_back || done.code != 0, "{nth}: {}", done.all());
        if said.contains("it was not read back") {
            told += 1;
            done.expect(3).says("the same restore again reads it");
            world.run(&words).expect(0);
            is_as_the_source(&from, &to);
        }
    }
    assert!(told > 0, "{call} {nth}");
}
