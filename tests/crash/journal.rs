//! Journals that were cut anywhere, or damaged: the run ends right all the same.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use crate::{
    check::{all_whole, equal, fingerprint},
    kills::{Reference, reference},
    lab::{ID, LATER, NOW, Random, every_point, is_missing},
    sweep::APPLY,
};

/// Keeps a run as it stands right after its last record: the report was not written yet.
fn run_without_report(reference: &Reference) -> PathBuf {
    let world = &reference.world;
    world.bring_back();
    world.apply(NOW).expect(0);
    let run = world.planned_runs().pop().unwrap();
    fs::remove_file(run.join("report.json")).unwrap();
    run
}

#[test]
fn a_journal_that_is_shorter_than_what_was_done_leads_to_the_same_end() {
    let name = "a_journal_that_is_shorter_than_what_was_done_leads_to_the_same_end";
    if is_missing(name, &["rsync", "setfattr"], false) {
        return;
    }
    let mut reference = reference(false);
    let run = run_without_report(&reference);
    let journal = run.join("journal.jsonl");
    let bytes = fs::read(&journal).unwrap();
    let ends = (0..=bytes.len()).filter(|at| *at == 0 || bytes[*at - 1] == b'\n');
    let mut random = Random::from_environment(4);
    let mut lengths: Vec<usize> = ends.collect();
    assert_eq!(lengths.len(), 11, "records of a run");
    let more = if every_point() { 40 } else { 8 };
    for _ in 0..more {
        lengths.push(usize::try_from(random.below(bytes.len() as u64)).unwrap());
    }
    lengths.sort_unstable();
    reference.stay.push(format!("weekly/{ID}"));
    let old = reference.old();
    for length in lengths {
        fs::write(&journal, &bytes[..length]).unwrap();
        let _ = fs::remove_file(run.join("report.json"));
        reference.ends_right(Some(run.clone()), &old);
    }
}

#[test]
fn the_journal_of_a_killed_run_may_lose_its_end_or_its_middle() {
    let name = "the_journal_of_a_killed_run_may_lose_its_end_or_its_middle";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    let world = &reference.world;
    let mut random = Random::from_environment(5);
    // Between sealing and publishing, in the middle of the copying, in the rotation.
    for (call, nth) in [
        ("renameat2", 1),
        ("linkat", 20),
        ("renameat2", 2),
        ("renameat2", 3),
    ] {
        for damage in 0..4 {
            world.bring_back();
            let old = reference.old();
            let done = world.kill_at_call(&APPLY, call, nth);
            assert_eq!(done.signal, Some(9), "{call} {nth}");
            let run = world.unfinished().unwrap();
            let journal = run.join("journal.jsonl");
            let mut bytes = fs::read(&journal).unwrap();
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match damage {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1,
                // What a power cut makes of blocks that were never written.
                2 => bytes[at..].fill(0),
                _ => bytes.clear(),
            }
            eprintln!("{call} {nth}: damage {damage} at {at}");
            fs::write(&journal, &bytes).unwrap();
            reference.ends_right(Some(run), &old);
        }
    }
}

#[test]
fn a_run_that_is_continued_does_not_copy_again_what_is_known_to_be_whole() {
    let name = "a_run_that_is_continued_does_not_copy_again_what_is_known_to_be_whole";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    let world = &reference.world;
    world.bring_back();
    // A full disk, told by the last file that is copied: the run ends by itself and keeps its log.
    let inject = [
        "-e",
        "trace=syncfs",
        "-e",
        "inject=syncfs:signal=SIGTERM:when=1",
    ];
    let done = world.traced(NOW, &inject);
    assert_eq!(done.signal, None, "{}", done.all());
    let sizes = |snapshot: &str| {
        let folder = world.in_snapshot(snapshot).join("sizes");
        let inode = |number| {
            fs::metadata(folder.join(format!("new {number}")))
                .ok()?
                .ino()
                .into()
        };
        (0..6).map(inode).collect::<Vec<Option<u64>>>()
    };
    let partial = sizes(&format!(".backup/partial/{ID}"));
    let old = reference.old();
    if partial.iter().all(Option::is_some) {
        reference.ends_right(world.unfinished(), &old);
        assert_eq!(sizes("latest"), partial);
    } else {
        // The signal was seen only after everything was done.
        let published = fingerprint(&world.in_snapshot("latest"), &[]);
        assert!(!published.is_empty());
    }
}

#[test]
fn a_run_that_had_failed_before_it_was_killed_is_ended_and_a_new_one_made() {
    let name = "a_run_that_had_failed_before_it_was_killed_is_ended_and_a_new_one_made";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    let world = &reference.world;
    let fault = ["-e", "trace=syncfs", "-e", "inject=syncfs:error=EIO:when=1"];
    world.traced(NOW, &fault).expect(1);
    // As a kill before the end leaves it.
    let run = world.planned_runs().pop().unwrap();
    fs::remove_file(run.join("report.json")).unwrap();
    let journal = run.join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let (rest, last) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(last.contains("run-ended"));
    fs::write(&journal, format!("{rest}\n")).unwrap();
    world.apply(LATER).expect(0);
    assert!(run.join("report.json").exists());
    all_whole(&world.host());
    equal(world, "latest");
    let partial = fs::read_dir(world.host().join(".backup/partial")).unwrap();
    assert_eq!(partial.count(), 0);
}
