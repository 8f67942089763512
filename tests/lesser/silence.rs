//! A destination or a source that answers at first and then no more, with a call that was taken and
//! that nothing ends: everything ends all the same, says why, and the next run goes on.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use test_support::{Terminal, is_missing};

use crate::{
    fuse::{Faults, Lacks, Mounted},
    lab::{Ran, World},
    nas::{different, skipped},
};

const FIRST: &str = "2025-02-07T02:00:00+00:00";
const SECOND: &str = "2025-02-07T03:00:00+00:00";
const LATER: &str = "2025-02-07T04:00:00+00:00";
/// Far more than anything here may take; who is not back then never comes.
const FOR_EVER: Duration = Duration::from_secs(180);
const SLICE: Duration = Duration::from_millis(5);

/// Waits until something is so.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < FOR_EVER, "it never came to that");
        std::thread::sleep(SLICE);
    }
}

/// A command that runs, with files that take what it says.
struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    fn new(mut command: Command, said: PathBuf) -> Self {
        let file = fs::File::create(&said).unwrap();
        command.stdout(Stdio::from(file.try_clone().unwrap()));
        command.stderr(Stdio::from(file));
        Self {
            child: command.spawn().unwrap(),
            said,
        }
    }

    /// How it ended; a test in which it does not end fails.
    #[track_caller]
    fn ended(mut self) -> Ran {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let output = Output {
            status: status.unwrap(),
            stdout: fs::read(&self.said).unwrap(),
            stderr: Vec::new(),
        };
        Ran::from_output(&["apply"], &output)
    }
}

/// A world that notes what people are told, and when the script after a backup runs; `more` are
/// sources.
fn world(changes: &Value, more: &[&str]) -> World {
    let mut world = World::new(changes);
    let sources = ["src"].iter().chain(more).map(|name| world.path(name));
    let sources: Vec<PathBuf> = sources.collect();
    world.configure(&json!({ "sources": sources }));
    let script = |name: &str, text: String| {
        let path = world.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let noted = world.path("noted");
    let noted = noted.display();
    let told = script(
        "tell",
        format!("#!/bin/sh\necho told >>{noted}\ncat >>{noted}\n"),
    );
    let post = script(
        "post",
        format!("#!/bin/sh\necho after: $BACKUP_RESULT >>{noted}\n"),
    );
    let config = fs::read(world.path("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config["postBackupScript"] = json!(post);
    config["notifications"] = json!({
        "enable": true,
        "onFailure": true,
        "command": told,
        "desktop": false,
    });
    fs::write(world.path("config.json"), config.to_string()).unwrap();
    world
}

fn noted(world: &World) -> String {
    fs::read_to_string(world.path("noted")).unwrap_or_default()
}

/// Files that take the whole run some time.
fn fill(folder: &Path) {
    for number in 0..600 {
        let at = folder.join(format!("{}", number / 50));
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join(format!("{number}")), vec![b'x'; 20_000 + number]).unwrap();
    }
}

/// How many files stand in unfinished snapshots.
fn unfinished_files(host: &Path) -> usize {
    let all = walkdir::WalkDir::new(host.join(".backup/partial")).into_iter();
    let files = all.flatten().filter(|entry| entry.file_type().is_file());
    files.count()
}

/// Starts a run, and lets the file system fall silent in the midst of it; gives how the run ended.
#[track_caller]
fn run_into_silence(world: &World, host: &Path, faults: &Faults) -> Ran {
    let run = Running::new(world.apply_command(FIRST), world.path("said"));
    until(|| unfinished_files(host) > 20);
    faults.fall_silent_after(0);
    let done = run.ended();
    assert!(faults.is_silent(), "nobody was in a call:\n{}", done.all());
    done
}

fn destination_falls_silent(test: &str, use_rsync: bool) {
    if skipped(test) {
        return;
    }
    let world = world(&json!({ "requireMount": true, "useRsync": use_rsync }), &[]);
    let below = world.path("below");
    let mounted = Mounted::new(&below, &world.path("dst"), Lacks::default());
    let host = below.join(crate::lab::HOST);
    fill(&world.source());
    run_into_silence(&world, &host, mounted.faults())
        .expect(1)
        .says("the destination does not answer any more")
        .says("(local.mountPoint)")
        .says("hint:");
    let told = noted(&world);
    assert!(told.contains("after: failed"), "{told}");
    assert!(told.contains("does not answer any more"), "{told}");
    assert_eq!(told.matches("told\n").count(), 1, "{told}");
    // The lock is free although a process may still be in its call.
    world.apply(SECOND).expect(4).says("does not answer");
    mounted.faults().answer();
    until(|| !mounted.faults().is_silent());
    world.apply(LATER).expect(0);
    let snapshots = fs::read_dir(host.join(".backup/snapshots")).unwrap();
    assert_eq!(snapshots.count(), 1, "the first run was continued");
    let stored = world.in_snapshot("latest");
    assert_eq!(different(&world.source(), &stored), "");
}

#[test]
fn a_destination_that_falls_silent_ends_the_run_which_the_next_one_continues() {
    destination_falls_silent(
        "a_destination_that_falls_silent_ends_the_run_which_the_next_one_continues",
        false,
    );
}

#[test]
fn a_destination_that_falls_silent_under_rsync_ends_the_run_which_the_next_one_continues() {
    destination_falls_silent(
        "a_destination_that_falls_silent_under_rsync_ends_the_run_which_the_next_one_continues",
        true,
    );
}

fn source_falls_silent(test: &str, use_rsync: bool) {
    if skipped(test) {
        return;
    }
    let world = world(&json!({ "useRsync": use_rsync }), &["far"]);
    let (far, near) = (world.path("far"), world.source());
    let below = world.path("below");
    let mounted = Mounted::new(&below, &far, Lacks::default());
    fill(&below);
    fs::write(near.join("letter"), "near").unwrap();
    run_into_silence(&world, &world.host(), mounted.faults())
        .expect(1)
        .says("a source does not answer any more")
        .says("(local.sources)");
    let told = noted(&world);
    assert!(told.contains("after: failed"), "{told}");
    let done = world.apply(SECOND).expect(3).says("does not answer");
    assert!(done.all().contains("far"), "{}", done.all());
    let letter = world.in_snapshot("latest").join("letter");
    assert_eq!(fs::read_to_string(letter).unwrap(), "near");
    mounted.faults().answer();
    until(|| !mounted.faults().is_silent());
    world.apply(LATER).expect(0);
    let stored = world
        .host()
        .join("latest")
        .join(far.strip_prefix("/").unwrap());
    assert_eq!(different(&far, &stored), "");
}

#[test]
fn a_source_that_falls_silent_ends_the_run_and_the_next_one_does_without_it() {
    source_falls_silent(
        "a_source_that_falls_silent_ends_the_run_and_the_next_one_does_without_it",
        false,
    );
}

#[test]
fn a_source_that_falls_silent_under_rsync_ends_the_run_and_the_next_one_does_without_it() {
    source_falls_silent(
        "a_source_that_falls_silent_under_rsync_ends_the_run_and_the_next_one_does_without_it",
        true,
    );
}

#[test]
fn every_verb_ends_and_says_so_when_the_destination_falls_silent_meanwhile() {
    if skipped("every_verb_ends_and_says_so_when_the_destination_falls_silent_meanwhile") {
        return;
    }
    let world = world(&json!({ "requireMount": true }), &[]);
    let below = world.path("below");
    let mounted = Mounted::new(&below, &world.path("dst"), Lacks::default());
    fill(&world.source());
    world.apply(FIRST).expect(0);
    fs::write(world.source().join("new"), "new").unwrap();
    let target = world.path("restored");
    let source = world.source();
    let paths = [&source, &target].map(|path| path.to_str().unwrap());
    let verbs: [&[&str]; 9] = [
        &["restore", "latest", paths[0], paths[1]],
        &["verify"],
        &["plan"],
        &["list"],
        &["status"],
        &["health"],
        &["find", "letter"],
        &["diff", "latest", "now"],
        &["prune", "--dry-run"],
    ];
    let start = |words: &&[&str]| {
        let said = world.path(format!("said.{}", words[0]));
        (
            words[0].to_owned(),
            Running::new(world.command(words), said),
        )
    };
    // The first is in the midst of its work, of the others each is where it happens to be.
    let mut all = vec![start(&verbs[0])];
    until(|| walkdir::WalkDir::new(&target).into_iter().count() > 20);
    all.extend(verbs[1..].iter().map(start));
    mounted.faults().fall_silent_after(40);
    for (verb, running) in all {
        let done = running.ended().says("does not answer");
        let code = done.code;
        // An absent destination is part of the answer of `status`, where it was so from the start.
        assert!(code != 0 || verb == "status", "{verb}: {}", done.all());
    }
    assert!(mounted.faults().is_silent());
    // Nor does a shell wait that asks for names meanwhile, which hears nothing then.
    let mut question = world.command(&["__complete", "backup", "restore"]);
    question.arg("");
    let since = Instant::now();
    let asked = Running::new(question, world.path("said.asked"))
        .ended()
        .expect(0);
    assert_eq!(asked.stdout, "");
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn who_browses_a_destination_that_falls_silent_is_told_so_and_leaves_at_once() {
    let name = "who_browses_a_destination_that_falls_silent_is_told_so_and_leaves_at_once";
    if skipped(name) || is_missing(name, &["tmux"], true) {
        return;
    }
    let world = world(&json!({ "requireMount": true }), &[]);
    let below = world.path("below");
    let mounted = Mounted::new(&below, &world.path("dst"), Lacks::default());
    fill(&world.source());
    world.apply(FIRST).expect(0);
    let open = || {
        let terminal = Terminal::start(&world, &["browse"], 80, 24);
        terminal.shows(&["1 snapshot ", "> 0/", "1 version"]);
        terminal
    };
    let (leaves, stays) = (open(), open());
    mounted.faults().fall_silent_after(0);
    for terminal in [&leaves, &stays] {
        terminal.keys(&["Enter"]).shows(&["reading ..."]);
    }
    leaves.shows(&["no answer for ", "Ctrl-C leaves"]);
    assert!(mounted.faults().is_silent());
    let since = Instant::now();
    leaves.keys(&["q"]).ends(0);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    stays
        .told(&["the destination does not answer any more", "hint:"])
        .ends(1);
}

#[test]
fn a_silent_mount_below_a_source_stops_nothing_whether_it_is_excluded_or_passed_over() {
    let name = "a_silent_mount_below_a_source_stops_nothing_whether_it_is_excluded_or_passed_over";
    if skipped(name) {
        return;
    }
    for (use_rsync, excluded) in [(false, ""), (true, ""), (false, "Cl*"), (true, "Cloud/")] {
        let patterns: Vec<&str> = [excluded]
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect();
        let changes = json!({ "useRsync": use_rsync, "excludePatterns": patterns });
        let world = World::new(&changes);
        fs::create_dir_all(world.source().join("ann/docs")).unwrap();
        fs::write(world.source().join("ann/docs/letter"), "letter").unwrap();
        let cloud = world.source().join("ann/Cloud");
        let mounted = Mounted::new(&world.path("below"), &cloud, Lacks::default());
        mounted.faults().fall_silent_after(0);
        for verb in ["plan", "apply"] {
            let words = [verb, "--now", FIRST];
            let running = Running::new(world.command(&words), world.path("said"));
            let done = running.ended().expect(0);
            let told = done.in_one_line().contains("passed over");
            assert_eq!(told, excluded.is_empty(), "{verb}: {}", done.all());
        }
        assert!(!mounted.faults().is_silent(), "something asked it");
        let letter = world.in_snapshot("latest").join("ann/docs/letter");
        assert_eq!(fs::read_to_string(letter).unwrap(), "letter");
    }
}
