//! System calls that fail: the program says so, ends as documented, and the next run ends right.

use std::{collections::BTreeMap, fs};

use serde_json::json;
use test_support::entry_names;

use crate::{
    check::{all_whole, equal},
    kills::{Reference, reference},
    lab::{BEFORE, ID, LATER, NOW, Ran, Random, World, every_point, is_missing, kills},
    sweep::APPLY,
};

const ERRORS: [&str; 3] = ["ENOSPC", "EIO", "EROFS"];

const CALLS: [&str; 27] = [
    "read",
    "pread64",
    "getdents64",
    "readlinkat",
    "flistxattr",
    "fstatfs",
    "lseek",
    "flock",
    "renameat2",
    "renameat",
    "linkat",
    "mkdirat",
    "openat",
    "fsync",
    "fdatasync",
    "syncfs",
    "pwrite64",
    "write",
    "ftruncate",
    "fchown",
    "fchmod",
    "fsetxattr",
    "utimensat",
    "symlinkat",
    "mknodat",
    "unlinkat",
    "statx",
];

/// The first call that is the program's own: before it the loader and the runtime work, whose
/// faults are not ours.
fn first_of_ours(trace: &str, call: &str) -> usize {
    let start = trace
        .find("config.json")
        .expect("the configuration is opened");
    let start = trace[..start].rfind('\n').unwrap_or(0);
    trace[..start].matches(&format!(" {call}(")).count() + 1
}

/// Ends the test unless a disturbed run ended as documented and said what to do.
#[track_caller]
fn explained(done: &Ran, what: &str) {
    assert_eq!(done.signal, None, "{what}: {}", done.all());
    assert!(!done.all().contains("panicked"), "{what}: {}", done.all());
    let code = done.code;
    assert!(
        [0, 1, 2, 3, 4].contains(&code),
        "{what}: code {code}: {}",
        done.all()
    );
    if code != 0 {
        assert!(
            done.all().contains("hint"),
            "{what}: no hint in {}",
            done.all()
        );
    }
}

/// One run with a fault, one without.
#[track_caller]
fn try_one(reference: &Reference, call: &str, error: &str, when: &str) -> i32 {
    let world = &reference.world;
    let what = format!("{call} {error} {when}");
    world.bring_back();
    let old = reference.old();
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:error={error}:when={when}");
    let done = world.traced(NOW, &["-e", &trace, "-e", &inject]);
    explained(&done, &what);
    let code = done.code;
    all_whole(&world.host());
    // Where nothing can be linked copies serve, and an attribute that has no room is kept in the
    // manifest.
    let all_in_tree = call != "fsetxattr" || error != "ENOSPC";
    if code == 0 && all_in_tree && error != "EMLINK" {
        equal(world, "latest");
    }
    let mut clean = world.apply(LATER);
    let had_failed = clean.code == 1 && clean.all().contains("continuing run");
    if clean.code == 3 || had_failed {
        // It continued a run in which the fault is on record already.
        clean = world.apply("2025-02-09T04:00:00+00:00");
    }
    if clean.code == 3 && clean.all().contains("accept 2025-02-09_02-00-00") {
        // Half of the source could not be read: only a person knows why.
        world.accept(ID);
        clean = world.apply("2025-02-09T05:00:00+00:00");
    }
    assert_eq!(clean.code, 0, "after {what}: {}", clean.all());
    all_whole(&world.host());
    if all_in_tree {
        equal(world, "latest");
    }
    for area in ["partial", "trash"] {
        let left = fs::read_dir(world.host().join(".backup").join(area)).unwrap();
        assert_eq!(left.count(), 0, "{area} after {what}");
    }
    assert!(
        reference.old() == old,
        "{what}: an old snapshot was changed"
    );
    code
}

#[test]
fn a_failing_system_call_is_explained_and_the_next_run_ends_right() {
    let name = "a_failing_system_call_is_explained_and_the_next_run_ends_right";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    let world = &reference.world;
    let trace = format!("trace={}", CALLS.join(","));
    world.traced(NOW, &["-e", &trace]).expect(0);
    let trace = world.trace();
    let mut random = Random::from_environment(9);
    let mut codes: BTreeMap<String, BTreeMap<i32, usize>> = BTreeMap::new();
    let most = if every_point() {
        40
    } else {
        kills().div_ceil(20)
    };
    for call in CALLS {
        let count = trace.matches(&format!(" {call}(")).count();
        let first = first_of_ours(&trace, call);
        if call == "fchown" && count == 0 && !nix::unistd::geteuid().is_root() {
            // Only root gives files away.
            continue;
        }
        assert!(count >= first, "no {call} in a whole run");
        let step = (count + 1 - first).div_ceil(most);
        let error = random.below(3);
        for (number, nth) in (first..=count).step_by(step).enumerate() {
            // Somewhere within the step, with each error in turn.
            let nth = (nth + usize::try_from(random.below(step as u64)).unwrap()).min(count);
            let error = ERRORS[(number + usize::try_from(error).unwrap()) % 3];
            let code = try_one(&reference, call, error, &nth.to_string());
            *codes
                .entry(call.to_owned())
                .or_default()
                .entry(code)
                .or_default() += 1;
        }
        eprintln!("{call}, {count} times: codes {:?}", codes.get(call));
    }
}

#[test]
fn a_disk_that_fails_from_some_moment_on_ends_the_run_and_the_next_one_ends_right() {
    let name = "a_disk_that_fails_from_some_moment_on_ends_the_run_and_the_next_one_ends_right";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    for (call, error, when) in [
        ("pwrite64", "ENOSPC", "3+"),
        ("linkat", "EIO", "2+"),
        ("linkat", "EMLINK", "1+"),
        ("syncfs", "EIO", "1+"),
        ("fsync", "EIO", "1+"),
        ("fsync", "EIO", "8+"),
        ("renameat2", "EINVAL", "1+"),
        ("mkdirat", "EROFS", "9+"),
        ("unlinkat", "EROFS", "1+"),
        ("unlinkat", "EIO", "40+"),
    ] {
        let code = try_one(&reference, call, error, when);
        eprintln!("{call} {error} {when}: code {code}");
    }
}

#[test]
fn a_fault_in_a_run_that_is_continued_after_a_kill_is_survived_too() {
    let name = "a_fault_in_a_run_that_is_continued_after_a_kill_is_survived_too";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let reference = reference(false);
    let world = &reference.world;
    let mut random = Random::from_environment(10);
    for number in 0..kills() / 4 {
        world.bring_back();
        let old = reference.old();
        let (call, most) = [
            ("renameat2", 4),
            ("renameat", 8),
            ("linkat", 60),
            ("fchmod", 50),
            ("fsync", 28),
            ("unlinkat", 400),
        ][usize::try_from(random.below(6)).unwrap()];
        let nth = 1 + random.below(most);
        let killed = world.kill_at_call(&APPLY, call, usize::try_from(nth).unwrap());
        assert_eq!(killed.signal, Some(9), "{call} {nth}");
        let fault = CALLS[usize::try_from(random.below(27)).unwrap()];
        let error = ERRORS[usize::try_from(random.below(3)).unwrap()];
        // Past what the loader and the runtime do.
        let when = 60 + random.below(100);
        let when = match fault {
            "openat" | "read" | "statx" => when,
            _ => 1 + random.below(6),
        };
        let what = format!("{number}: killed at {call} {nth}, then {fault} {error} {when}");
        let trace = format!("trace={fault}");
        let inject = format!("inject={fault}:error={error}:when={when}");
        let done = world.traced(NOW, &["-e", &trace, "-e", &inject]);
        if done.all().contains("error while loading shared libraries") {
            continue;
        }
        eprintln!("{what}: code {:?}", done.code);
        explained(&done, &what);
        all_whole(&world.host());
        let clean = world.apply(LATER);
        // What it continues may have the fault on record.
        if clean.code != 0 {
            explained(&clean, &what);
            if clean.all().contains("accept 2025-02-09_02-00-00") {
                world.accept(ID);
            }
            world.apply("2025-02-09T04:00:00+00:00").expect(0);
        }
        all_whole(&world.host());
        if fault != "fsetxattr" {
            equal(world, "latest");
        }
        assert!(
            reference.old() == old,
            "{what}: an old snapshot was changed"
        );
    }
}

/// The world's first snapshots, of a source with a folder in it.
fn with_a_folder() -> World {
    let world = World::new(&json!({}));
    for name in ["first/file", "second/file"] {
        world.write(&format!("src/{name}"), name);
    }
    world
}

/// Has calls of this name on what is in a folder fail.
fn fault_in<'a>(folder: &'a str, call: &str, options: &'a mut [String; 2]) -> [&'a str; 6] {
    *options = [
        format!("trace={call}"),
        format!("inject={call}:error=EMLINK:when=1"),
    ];
    ["-P", folder, "-e", &options[0], "-e", &options[1]]
}

#[test]
fn a_folder_that_cannot_be_opened_once_it_is_made_does_not_stay_in_the_tree() {
    let name = "a_folder_that_cannot_be_opened_once_it_is_made_does_not_stay_in_the_tree";
    if is_missing(name, &["rsync", "strace"], false) {
        return;
    }
    let world = with_a_folder();
    let new = world.in_snapshot(&format!(".backup/partial/{ID}"));
    let mut options = Default::default();
    let fault = fault_in(new.to_str().unwrap(), "openat", &mut options);
    world.traced(NOW, &fault).expect(3).says("src/first");
    let stored = all_whole(&world.host());
    assert_eq!(stored.len(), 1);
    assert_eq!(entry_names(&world.in_snapshot(&stored[0])), ["second"]);
}

#[test]
fn a_symlink_that_could_not_be_made_is_told_and_the_next_run_makes_it() {
    let name = "a_symlink_that_could_not_be_made_is_told_and_the_next_run_makes_it";
    if is_missing(name, &["rsync", "strace"], false) {
        return;
    }
    let world = with_a_folder();
    std::os::unix::fs::symlink("file", world.path("src/first/link")).unwrap();
    let link = |tree: &str| fs::read_link(world.in_snapshot(tree).join("first/link"));
    world.keep();
    world.traced(NOW, &["-e", "trace=symlinkat"]).expect(0);
    let trace = world.trace();
    let nth = 1 + trace
        .lines()
        .position(|line| line.contains("\"link\""))
        .expect("the symlink is made");
    world.bring_back();
    let inject = format!("inject=symlinkat:error=EACCES:when={nth}");
    let done = world.traced(NOW, &["-e", "trace=symlinkat", "-e", &inject]);
    done.expect(3).says("src/first/link").says("cannot make it");
    let stored = all_whole(&world.host());
    link(&stored[0]).unwrap_err();
    // It is in the manifest, and a restore has it.
    let (from, to) = (world.text("src"), world.text("back"));
    world.run(&["restore", "latest", &from, &to]);
    let restored = fs::read_link(world.path("back/first/link")).unwrap();
    assert_eq!(restored.to_str(), Some("file"));
    world.apply(LATER).expect(0);
    assert_eq!(link("latest").unwrap().to_str(), Some("file"));
}

#[test]
fn a_tier_link_that_could_not_be_read_goes_with_its_snapshot() {
    let name = "a_tier_link_that_could_not_be_read_goes_with_its_snapshot";
    if is_missing(name, &["rsync", "strace"], false) {
        return;
    }
    let world = with_a_folder();
    for now in BEFORE {
        world.apply(now).expect(0);
    }
    let tiers = || {
        let all = world.tiers().into_iter();
        all.filter(|one| one.contains(" -> ")).collect::<Vec<_>>()
    };
    let before = tiers();
    let daily = world.host().join("daily");
    let mut options = Default::default();
    let fault = fault_in(daily.to_str().unwrap(), "readlinkat", &mut options);
    world.traced(NOW, &fault);
    all_whole(&world.host());
    assert_ne!(before, tiers(), "no link went");
    world.apply(LATER).expect(0);
    all_whole(&world.host());
}

#[test]
fn a_tier_that_cannot_be_looked_at_is_not_said_to_be_whole() {
    let name = "a_tier_that_cannot_be_looked_at_is_not_said_to_be_whole";
    if is_missing(name, &["rsync", "strace"], false) {
        return;
    }
    let world = with_a_folder();
    for now in &BEFORE[..3] {
        world.apply(now).expect(0);
    }
    for words in [
        &["verify", "--all"][..],
        &["verify"],
        &["verify", "--all", "--quick"],
    ] {
        world.run(words).expect(0).says("Whole.");
        world
            .trace_words(words, &["-e", "trace=openat,statx"])
            .expect(0);
        let trace = world.trace();
        let before = |at: &str, call: &str| {
            let end = trace.find(at).unwrap_or_else(|| panic!("{at}"));
            trace[..end].matches(&format!(" {call}(")).count()
        };
        let newest = "2025-02-07_02-00-00\"";
        let mut told = 0;
        for (at, call) in [("\"daily\"", "openat"), (newest, "statx")] {
            let inject = format!("inject={call}:error=EIO:when={}", before(at, call));
            let done = world.trace_words(words, &["-e", "trace=openat,statx", "-e", &inject]);
            let said = done.all();
            assert!(said.contains("Whole.") || done.code != 0, "{call}: {said}");
            if said.contains("nobody could look at") {
                told += 1;
                done.expect(3).says("input/output error").says("hint");
            }
        }
        assert!(told > 0, "{words:?}");
    }
}

#[test]
fn a_symlink_whose_time_was_not_set_is_made_anew_and_not_linked() {
    let name = "a_symlink_whose_time_was_not_set_is_made_anew_and_not_linked";
    if is_missing(name, &["rsync", "setfattr", "strace"], false) {
        return;
    }
    let world = with_a_folder();
    std::os::unix::fs::symlink("file", world.path("src/first/link")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    world.keep();
    world.traced(NOW, &["-e", "trace=utimensat"]).expect(0);
    let trace = world.trace();
    let nth = 1 + trace
        .lines()
        .position(|line| line.contains("\"link\""))
        .expect("its time is set");
    world.bring_back();
    let inject = format!("inject=utimensat:error=EACCES:when={nth}");
    let done = world.traced(NOW, &["-e", "trace=utimensat", "-e", &inject]);
    done.expect(3).says("src/first/link: cannot set the time");
    world.apply(LATER).expect(0);
    equal(&world, "latest");
}
