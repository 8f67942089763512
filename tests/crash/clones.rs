//! btrfs: snapshots that are subvolumes, killed at each call that makes, moves, closes or removes one. And
//! files that share blocks with the basis' ones, there and on XFS.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate};
use serde_json::json;
use test_support::{Random, flip_byte};

use crate::{
    check::{equal, fingerprint, finished, layout},
    lab::{BEFORE, HOST, ID, LATER, Mounted, NOW, Ran, World, copy, is_missing, run_tool},
    sweep::APPLY,
};

const TOOLS: [&str; 5] = ["rsync", "setfattr", "strace", "mkfs.btrfs", "losetup"];

/// How a file system whose files share blocks is made, and how large it has to be in mebibytes.
const BTRFS: (&str, u64) = ("mkfs.btrfs", 160);
const XFS: (&str, u64) = ("mkfs.xfs", 320);

/// A world whose destination is a file system of its own, which can be brought back as a whole. The disk is in
/// memory, and so is the state, which is synced as often.
struct Disk {
    // Unmounted in this order, before the world's folder goes.
    mounted: Option<Mounted>,
    _state: Mounted,
    _memory: Mounted,
    world: World,
}

impl Disk {
    fn new() -> Self {
        Self::made_by(BTRFS)
    }

    fn made_by((tool, mebibytes): (&str, u64)) -> Self {
        let world = World::new(&json!({ "requireMount": true }));
        let memory = Mounted::new(&["-t", "tmpfs", "tmpfs"], &world.path("memory"));
        fs::create_dir(memory.path().join("state")).unwrap();
        let state = Mounted::bind(&memory.path().join("state"), &world.path("state"));
        let image = fs::File::create(memory.path().join("image")).unwrap();
        image.set_len(mebibytes << 20).unwrap();
        run_tool(tool, ["-q", &world.text("memory/image")]);
        let mut disk = Self {
            mounted: None,
            _state: state,
            _memory: memory,
            world,
        };
        disk.mount();
        disk
    }

    fn mount(&mut self) {
        let image = self.world.path("memory/image");
        let at = self.world.path("dst");
        self.mounted = Some(Mounted::image(&image, "noatime", &at));
    }

    fn keep(&mut self) {
        self.swap("memory/image", "memory/kept.image", "state", "kept.state");
    }

    fn bring_back(&mut self) {
        self.swap("memory/kept.image", "memory/image", "kept.state", "state");
    }

    fn swap(&mut self, image: &str, to_image: &str, state: &str, to_state: &str) {
        if let Some(mounted) = self.mounted.take() {
            mounted.end();
        }
        let world = &self.world;
        let (image, to_image) = (world.text(image), world.text(to_image));
        run_tool("cp", ["--sparse=always", &image, &to_image]);
        fs::create_dir_all(world.path(to_state)).unwrap();
        run_tool("find", [&world.text(to_state), "-mindepth", "1", "-delete"]);
        copy(&world.path(state), &world.path(to_state));
        self.mount();
    }
}

/// The snapshots in the tiers.
fn trees(host: &Path) -> Vec<PathBuf> {
    let tiers = ["daily", "weekly", "monthly"].map(|tier| host.join(tier));
    let entries = tiers.iter().filter_map(|tier| fs::read_dir(tier).ok());
    let entries = entries.flatten().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.path()).collect()
}

/// Ends the test unless each snapshot in a tier is a subvolume that nobody can write to, and no subvolume
/// is left that no snapshot is.
#[track_caller]
fn all_closed(host: &Path) {
    let trees = trees(host);
    for at in &trees {
        let tree = executor::sys::resolve::resolve(at).unwrap();
        let tree = tree.folder().unwrap();
        let named = at.display();
        assert!(tree.is_subvolume(), "{named} is a plain folder");
        assert_eq!(tree.is_read_only(), Ok(true), "{named} can be written to");
    }
    let destination = host.parent().unwrap().to_str().unwrap();
    let listed = run_tool("btrfs", ["subvolume", "list", "-o", destination]);
    assert_eq!(listed.lines().count(), trees.len(), "{listed}");
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
        ("fsync", 2),
        ("unlinkat", 6),
        ("mkdirat", 2),
        ("utimensat", 4),
        ("linkat", 2),
    ];
    let points = disk.world.points(&APPLY, &calls);
    disk.bring_back();
    let old = disk.world.host().join("monthly/2025-02-01_02-00-00");
    let before = fingerprint(&old, &[]);
    for point in &points {
        disk.bring_back();
        let world = &disk.world;
        world.kill_at_point(&APPLY, point);
        if world.unfinished().is_some() || world.planned_runs().len() < 5 {
            world.apply(NOW).expect(0);
        }
        assert_eq!(world.planned_runs().len(), 5, "runs");
        finished(world, &expected);
        // Whoever comes next closes what a kill left open.
        world.apply(LATER).expect(0);
        equal(world, "latest");
        all_closed(&world.host());
        assert!(
            fingerprint(&old, &[]) == before,
            "an old snapshot was changed"
        );
    }
}

/// Lets something be done in the newest snapshot's tree, which is open to writers meanwhile.
fn with_latest_open(world: &World, change: impl FnOnce(&Path)) {
    let tree = fs::canonicalize(world.host().join("latest")).unwrap();
    let set = |value| {
        let tree = tree.to_str().unwrap();
        run_tool("btrfs", ["property", "set", "-ts", tree, "ro", value]);
    };
    set("false");
    change(&world.in_snapshot("latest"));
    set("true");
}

/// Two snapshots that share a damaged file of two names; the second one has lost another file.
fn with_damage() -> Disk {
    let mut disk = Disk::new();
    let world = &disk.world;
    let source = world.source();
    fs::create_dir(source.join("folder")).unwrap();
    for name in ["damaged", "lost", "whole"] {
        fs::write(source.join("folder").join(name), name).unwrap();
    }
    fs::hard_link(source.join("folder/damaged"), source.join("again")).unwrap();
    world.apply(BEFORE[0]).expect(0);
    with_latest_open(world, |tree| {
        // As a medium does that loses bits: nothing tells of it but the content.
        let path = tree.join("again");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        flip_byte(&path);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
    });
    world.apply(BEFORE[1]).expect(0);
    with_latest_open(world, |tree| {
        fs::remove_file(tree.join("folder/lost")).unwrap();
    });
    disk.keep();
    disk
}

#[test]
fn a_kill_at_any_call_of_a_repair_of_clones_is_ended_by_the_next_one() {
    let name = "a_kill_at_any_call_of_a_repair_of_clones_is_ended_by_the_next_one";
    if is_missing(name, &[&TOOLS[..], &["btrfs"]].concat(), true) {
        return;
    }
    let mut disk = with_damage();
    let words = ["verify", "--all", "--full", "--repair"];
    let found = disk.world.run(&["verify", "--all", "--full", "--json"]);
    let found = found.expect(3).json();
    let names = found["damage"][0]["names"].as_array().unwrap();
    assert_eq!(names.len(), 4, "both clones have both names: {found:#}");
    let calls = [
        ("ioctl", 40),
        ("renameat2", 8),
        ("renameat", 1),
        ("syncfs", 2),
        ("unlinkat", 2),
        ("linkat", 1),
        ("utimensat", 1),
    ];
    let points = disk.world.points(&words, &calls);
    let mut killed = 0;
    for point in &points {
        disk.bring_back();
        let world = &disk.world;
        let done = world.kill_at_point(&words, point);
        killed += usize::from(done.signal == Some(9));
        // What stands in a tier is the damaged snapshot or the healed one, and nothing between.
        let trees = trees(&world.host());
        assert_eq!(trees.len(), 2, "{trees:?}");
        for tree in trees {
            let content = |name| {
                let inside = world.in_snapshot(tree.to_str().unwrap());
                fs::read(inside.join(name)).unwrap()
            };
            let named = tree.display();
            assert_eq!(content("again"), content("folder/damaged"), "{named}");
            assert_eq!(content("folder/whole"), b"whole", "{named}");
        }
        world.run(&words).expect(0);
        world.run(&["verify", "--all", "--full"]).expect(0);
        // Where nothing was left to heal, the next run closes what was left open.
        world.apply(LATER).expect(0);
        equal(world, "latest");
        all_closed(&world.host());
    }
    assert!(killed > points.len() / 2, "{killed} of {}", points.len());
}

#[test]
fn a_snapshot_that_cannot_be_closed_is_told_of_and_closed_by_the_next_run() {
    let name = "a_snapshot_that_cannot_be_closed_is_told_of_and_closed_by_the_next_run";
    if is_missing(name, &[&TOOLS[..], &["btrfs"]].concat(), true) {
        return;
    }
    let mut disk = Disk::new();
    fs::write(disk.world.source().join("file"), "content").unwrap();
    disk.world.apply(BEFORE[0]).expect(0);
    disk.keep();
    disk.world.traced(NOW, &["-e", "trace=ioctl"]).expect(0);
    // Calls are counted for each thread. The first one closes the new snapshot; others are of its rotation.
    let trace = disk.world.trace();
    let closes = |line: &str| line.contains("SUBVOL_SETFLAGS");
    let closing = trace.lines().find(|line| closes(line)).unwrap();
    let thread = closing.split(' ').next().unwrap();
    let mut of_thread = trace.lines().filter(|line| line.starts_with(thread));
    let nth = 1 + of_thread.position(closes).unwrap();

    disk.bring_back();
    let world = &disk.world;
    let inject = format!("inject=ioctl:error=EPERM:when={nth}");
    let done = world.traced(NOW, &["-e", "trace=ioctl", "-e", &inject]);
    done.expect(0).says("could not be made read-only");
    equal(world, "latest");
    fs::write(world.source().join("other"), "content").unwrap();
    let later = world.apply(LATER).expect(0);
    assert!(!later.all().contains("read-only"), "{}", later.all());
    equal(world, "latest");
    all_closed(&world.host());
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

/// A large file of the basis of which a little has changed since, and has become a hole.
fn with_changed_file(made_by: (&str, u64)) -> Disk {
    let mut disk = Disk::made_by(made_by);
    let world = &disk.world;
    let large = world.source().join("large");
    fs::write(&large, Random::new(1).bytes(1 << 20)).unwrap();
    world.apply(BEFORE[0]).expect(0);
    let file = fs::File::options().write(true).open(&large).unwrap();
    for at in [5000, 300_000, 900_000] {
        file.write_all_at(b"changed", at).unwrap();
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&file, flags, 512 << 10, 128 << 10).unwrap();
    disk.keep();
    disk
}

/// Ends what was done to a file that shares its blocks with the basis' one before it was whole, or lets one
/// call that makes it fail.
fn at_changed_file(world: &World, inject: &str) -> Ran {
    let source = world.source();
    let partial = world.host().join(".backup/partial").join(ID);
    let at = partial
        .join(source.strip_prefix("/").unwrap())
        .join("large");
    let call = inject.split(':').next().unwrap();
    let (trace, inject) = (format!("trace={call}"), format!("inject={inject}"));
    world.traced(
        NOW,
        &["-P", at.to_str().unwrap(), "-e", &trace, "-e", &inject],
    )
}

/// Kills a run at each kind of call that makes such a file; the next one ends it.
fn kill_at_changed_file(disk: &mut Disk) {
    for inject in [
        "ioctl:signal=SIGKILL:when=2",
        "pwrite64:signal=SIGKILL:when=1",
        "pwrite64:signal=SIGKILL:when=3",
        "fallocate:signal=SIGKILL:when=1",
        "ftruncate:signal=SIGKILL:when=1",
    ] {
        disk.bring_back();
        let world = &disk.world;
        let done = at_changed_file(world, inject);
        assert_eq!(done.signal, Some(9), "{inject}: {}", done.all());
        world.apply(NOW).expect(0);
        equal(world, "latest");
        world.run(&["verify", "--all", "--full"]).expect(0);
    }
}

#[test]
fn what_shares_blocks_with_the_basis_is_whole_or_not_there() {
    let name = "what_shares_blocks_with_the_basis_is_whole_or_not_there";
    if is_missing(name, &[&TOOLS[..], &["btrfs"]].concat(), true) {
        return;
    }
    let mut disk = with_changed_file(BTRFS);
    kill_at_changed_file(&mut disk);
    // No blocks to share, no reading back, no holes: then it is copied as always.
    for inject in [
        "ioctl:error=ENOSPC:when=1+",
        "ioctl:error=EIO:when=2",
        "pread64:error=EIO:when=2",
        "fallocate:error=EOPNOTSUPP:when=1",
    ] {
        disk.bring_back();
        let world = &disk.world;
        at_changed_file(world, inject).expect(0);
        assert!(world.trace().contains("(INJECTED)"), "{inject}");
        equal(world, "latest");
        world.run(&["verify", "--all", "--full"]).expect(0);
    }
}

#[test]
fn what_shares_blocks_on_xfs_is_whole_or_not_there() {
    let name = "what_shares_blocks_on_xfs_is_whole_or_not_there";
    if is_missing(name, &["strace", "mkfs.xfs", "losetup"], true) {
        return;
    }
    kill_at_changed_file(&mut with_changed_file(XFS));
}

/// How many calls of a kind fail, each by itself.
const AT_EACH_CALL: usize = 8;

/// What a run could not do in a clone, whichever call failed, is done by the next one: a clone of that is not
/// taken over unseen.
#[test]
fn what_a_run_could_not_set_or_take_away_in_a_clone_the_next_one_does() {
    let name = "what_a_run_could_not_set_or_take_away_in_a_clone_the_next_one_does";
    if is_missing(name, &[&TOOLS[..], &["btrfs"]].concat(), true) {
        return;
    }
    let mut disk = Disk::new();
    let source = disk.world.source();
    let folder = source.join("folder");
    fs::create_dir(&folder).unwrap();
    for name in ["changed", "gone", "same"] {
        fs::write(folder.join(name), name).unwrap();
        fs::write(source.join(name), name).unwrap();
    }
    disk.world.apply(BEFORE[0]).expect(0);
    for folder in [&source, &folder] {
        fs::write(folder.join("changed"), "once more").unwrap();
        fs::remove_file(folder.join("gone")).unwrap();
        fs::write(folder.join("new"), "new").unwrap();
    }
    disk.keep();
    let mut points = 0;
    for (call, error) in [
        ("utimensat", "EMLINK"),
        ("mkdirat", "EACCES"),
        ("unlinkat", "EPERM"),
        ("read", "EIO"),
    ] {
        disk.bring_back();
        let trace = format!("trace={call}");
        disk.world.traced(NOW, &["-e", &trace]).expect(0);
        let calls = disk.world.trace().lines().count();
        // Those at the end are the tree's and its record's.
        for nth in (1..=calls).rev().step_by(1 + calls / AT_EACH_CALL) {
            disk.bring_back();
            let world = &disk.world;
            let inject = format!("inject={call}:error={error}:when={nth}");
            let done = world.traced(NOW, &["-e", &trace, "-e", &inject]);
            let later = world.apply(LATER);
            assert_eq!(later.code, 0, "{inject}: {}\n{}", done.all(), later.all());
            equal(world, "latest");
            points += usize::from(done.code != 0);
        }
    }
    assert!(points > 4, "{points}");
}
