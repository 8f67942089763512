//! btrfs: snapshots that are subvolumes, killed at each call that makes, moves, closes or removes one.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::json;

use crate::{
    check::{all_whole, equal, fingerprint, finished, layout},
    lab::{BEFORE, HOST, ID, LATER, Mounted, NOW, World, copy, every_point, is_missing, run_tool},
};

const TOOLS: [&str; 5] = ["rsync", "setfattr", "strace", "mkfs.btrfs", "losetup"];

/// A world whose destination is a btrfs of its own, which can be brought back as a whole.
struct Disk {
    world: World,
    mounted: Option<Mounted>,
}

impl Disk {
    fn new() -> Self {
        let world = World::new(&json!({ "requireMount": true }));
        let image = fs::File::create(world.path("image")).unwrap();
        image.set_len(160 << 20).unwrap();
        run_tool("mkfs.btrfs", ["-q", &world.text("image")]);
        let mut disk = Self {
            world,
            mounted: None,
        };
        disk.mount();
        disk
    }

    fn mount(&mut self) {
        let at = self.world.path("dst");
        let mounted = Mounted::image(&self.world.path("image"), "noatime", &at);
        self.mounted = Some(mounted);
    }

    fn unmount(&mut self) {
        if let Some(mounted) = self.mounted.take() {
            mounted.end();
        }
    }

    fn keep(&mut self) {
        self.swap("image", "kept.image", "state", "kept.state");
    }

    fn bring_back(&mut self) {
        self.swap("kept.image", "image", "kept.state", "state");
    }

    fn swap(&mut self, image: &str, to_image: &str, state: &str, to_state: &str) {
        self.unmount();
        let world = &self.world;
        run_tool(
            "cp",
            ["--sparse=always", &world.text(image), &world.text(to_image)],
        );
        run_tool("rm", ["-rf", &world.text(to_state)]);
        copy(&world.path(state), &world.path(to_state));
        self.mount();
    }
}

/// Ends the test unless each snapshot in a tier is a subvolume that nobody can write to.
#[track_caller]
fn all_closed(host: &Path) {
    for name in all_whole(host) {
        let found = executor::sys::resolve::resolve(&host.join(&name)).unwrap();
        let tree = found.folder().unwrap();
        assert!(tree.is_subvolume(), "{name} is a plain folder");
        assert_eq!(tree.is_read_only(), Ok(true), "{name} can be written to");
    }
}

/// Ends the test where a subvolume is left that no snapshot is.
#[track_caller]
fn nothing_left(host: &Path) {
    let named = host.parent().unwrap().to_str().unwrap().to_owned();
    let listed = run_tool("btrfs", ["subvolume", "list", "-o", &named]);
    let tiers = ["daily", "weekly", "monthly"];
    for line in listed.lines() {
        let path = line.rsplit(" path ").next().unwrap_or_default();
        let place = path
            .split_once(&format!("{HOST}/"))
            .map_or("", |(_, rest)| rest);
        assert!(tiers.iter().any(|tier| place.starts_with(tier)), "{line}");
    }
}

/// A history of clones, and what an undisturbed run makes of it.
fn with_clones() -> (Disk, BTreeMap<String, String>) {
    let mut disk = Disk::new();
    let world = &disk.world;
    let source = world.source();
    crate::tree::make(&source, false);
    for now in &BEFORE[..3] {
        world.apply(now).expect(0);
    }
    fs::write(source.join("small/3"), "changed once").unwrap();
    world.apply(BEFORE[3]).expect(0);
    all_closed(&world.host());
    crate::tree::change(&source);
    disk.keep();
    disk.world.apply(NOW).expect(0);
    equal(&disk.world, &format!("weekly/{ID}"));
    all_closed(&disk.world.host());
    nothing_left(&disk.world.host());
    let layout = layout(&disk.world.host());
    disk.bring_back();
    (disk, layout)
}

#[test]
fn a_kill_at_any_call_that_makes_moves_closes_or_removes_a_clone_is_survived() {
    let name = "a_kill_at_any_call_that_makes_moves_closes_or_removes_a_clone_is_survived";
    if is_missing(name, &[&TOOLS[..], &["btrfs"]].concat(), true) {
        return;
    }
    let (mut disk, expected) = with_clones();
    let calls = [
        ("ioctl", 60),
        ("renameat2", 12),
        ("syncfs", 12),
        ("fsync", 4),
        ("unlinkat", 12),
        ("mkdirat", 4),
        ("utimensat", 8),
        ("linkat", 4),
    ];
    let all: Vec<&str> = calls.iter().map(|(call, _)| *call).collect();
    let trace = format!("trace={}", all.join(","));
    disk.world.traced(NOW, &["-e", &trace]).expect(0);
    let trace = disk.world.trace();
    for (call, most) in calls {
        let count = trace.matches(&format!(" {call}(")).count();
        assert!(count > 0, "no {call} in a whole run");
        let step = if every_point() {
            1
        } else {
            count.div_ceil(most)
        };
        for nth in (1..=count).step_by(step) {
            disk.bring_back();
            let world = &disk.world;
            let old = fingerprint(&world.host().join("monthly/2025-02-01_02-00-00"), &[]);
            let trace = format!("trace={call}");
            let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
            let done = world.traced(NOW, &["-e", &trace, "-e", &inject]);
            eprintln!("{call} {nth} of {count}: {:?} {:?}", done.code, done.signal);
            if world.unfinished().is_some() || world.planned_runs().len() < 5 {
                world.apply(NOW).expect(0);
            }
            assert_eq!(world.planned_runs().len(), 5, "runs");
            finished(world, &expected);
            // Whoever comes next closes what a kill left open.
            world.apply(LATER).expect(0);
            all_closed(&world.host());
            nothing_left(&world.host());
            let now = fingerprint(&world.host().join("monthly/2025-02-01_02-00-00"), &[]);
            assert!(now == old, "an old snapshot was changed");
        }
    }
}

#[test]
fn a_run_that_changes_nothing_looks_at_nothing_in_a_clone() {
    let name = "a_run_that_changes_nothing_looks_at_nothing_in_a_clone";
    if is_missing(name, &[&TOOLS[..], &["btrfs"]].concat(), true) {
        return;
    }
    let disk = Disk::new();
    let world = &disk.world;
    for folder in 0..20 {
        let folder = world.source().join(folder.to_string());
        fs::create_dir(&folder).unwrap();
        for file in 0..10 {
            fs::write(folder.join(file.to_string()), "content").unwrap();
        }
    }
    // What was touched just before a run began is read once more by the next one: the basis is of a run that
    // began when one had ended since.
    world.apply(BEFORE[0]).expect(0);
    world.apply(BEFORE[1]).expect(0);
    let calls = "trace=openat,openat2,statx,mkdirat,linkat,unlinkat,utimensat,fchmod,fchown,\
                 flistxattr,getdents64";
    world.traced(NOW, &["-y", "-e", calls]).expect(0);
    let at = format!("{HOST}/.backup/partial/{ID}");
    let trace = world.trace();
    let in_tree: Vec<&str> = trace.lines().filter(|line| line.contains(&at)).collect();
    // Not even its own folder: those above it are this test's and have changed.
    assert!(!in_tree.is_empty());
    let mut of_source = in_tree.iter().filter(|line| line.contains("src"));
    assert_eq!(of_source.next(), None);
    equal(world, "latest");

    // One file: the folders on the way to it, and no other.
    fs::write(world.source().join("7/5"), "other content").unwrap();
    world.traced(LATER, &["-y", "-e", calls]).expect(0);
    let trace = world.trace();
    let touched = |folder: &str| {
        let at = format!("src/{folder}>");
        let later = ".backup/partial/2025-02-09_03";
        trace
            .lines()
            .any(|line| line.contains(later) && line.contains(&at))
    };
    assert!(touched("7") && !touched("6") && !touched("8"));
    equal(world, "latest");
    all_closed(&world.host());
}
