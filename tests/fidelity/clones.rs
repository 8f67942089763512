//! Snapshots that are clones are what hard links make of the same history, on disks of both kinds too.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileExt as _, MetadataExt as _, symlink},
    path::Path,
};

use schema::SnapshotId;
use test_support::{Random, check_with_example, skip};

use crate::{
    compare::same,
    lab::{Engine, World, is_missing, run_tool},
    metadata::{set_mode, set_time},
};

const TOOLS: [&str; 5] = ["mkfs.btrfs", "btrfs", "losetup", "setfattr", "filefrag"];

/// A world on btrfs; none where it cannot be had, which is said.
pub(crate) fn on_btrfs(name: &str, engine: Engine) -> Option<World> {
    if is_missing(name, &TOOLS, true) {
        return None;
    }
    let world = World::on("btrfs", engine, &["src"]);
    if world.is_none() {
        skip(&format!("{name} because no btrfs can be mounted"));
    }
    world
}

/// The time of the nth run.
pub(crate) fn day(number: usize) -> String {
    format!("2025-02-{:02}T02:00:00+00:00", number + 1)
}

/// A source whose inodes and times are not those of any other, but all else is the same each time.
fn make(source: &Path) {
    let mut random = Random::new(5);
    for folder in 0..8 {
        let at = source.join(format!("folder {folder}/below"));
        fs::create_dir_all(&at).unwrap();
        for file in 0..6 {
            fs::write(at.join(file.to_string()), random.bytes(file * 900)).unwrap();
            let above = at.with_file_name(format!("file {file}"));
            fs::write(above, format!("{folder} {file}")).unwrap();
        }
    }
    let large = random.bytes(3 << 20);
    fs::write(source.join("large"), large).unwrap();
    fs::hard_link(
        source.join("folder 0/file 1"),
        source.join("folder 1/other name"),
    )
    .unwrap();
    fs::hard_link(
        source.join("folder 0/file 2"),
        source.join("folder 0/file 2b"),
    )
    .unwrap();
    symlink("large", source.join("link")).unwrap();
    run_tool("mkfifo", [source.join("fifo")]);
    for path in ["folder 2", "folder 2/file 1"] {
        let path = source.join(path);
        run_tool(
            "setfattr",
            [
                "-n".as_ref(),
                "user.kept".as_ref(),
                "-v".as_ref(),
                "1".as_ref(),
                path.as_os_str(),
            ],
        );
    }
    run_tool(
        "setfacl",
        [
            "-d".as_ref(),
            "-m".as_ref(),
            "u:12345:rwx".as_ref(),
            source.join("folder 3").as_os_str(),
        ],
    );
}

/// All kinds of changes, some of them in each step.
fn change(source: &Path, step: usize) {
    let at = |path: &str| source.join(path);
    match step {
        0 | 6 => {}
        1 => {
            fs::write(at("folder 1/file 1"), "changed").unwrap();
            fs::remove_file(at("folder 2/file 2")).unwrap();
            fs::remove_dir_all(at("folder 4")).unwrap();
            fs::write(at("folder 3/new"), "in a folder with a default list").unwrap();
            fs::create_dir(at("folder 3/new folder")).unwrap();
            fs::rename(at("folder 5"), at("folder 5 moved")).unwrap();
            fs::rename(at("folder 6/file 3"), at("folder 7/moved")).unwrap();
        }
        2 => {
            // Kinds change both ways.
            fs::remove_dir_all(at("folder 0/below")).unwrap();
            fs::write(at("folder 0/below"), "a file now").unwrap();
            fs::remove_file(at("folder 1/file 2")).unwrap();
            fs::create_dir(at("folder 1/file 2")).unwrap();
            fs::write(at("folder 1/file 2/inner"), "in it").unwrap();
            fs::remove_file(at("link")).unwrap();
            symlink("elsewhere", at("link")).unwrap();
            fs::remove_file(at("fifo")).unwrap();
            fs::write(at("fifo"), "a file now").unwrap();
            // Most of it stays.
            let large = fs::File::options().write(true).open(at("large")).unwrap();
            large.write_all_at(b"changed", 1 << 20).unwrap();
            large.set_len((3 << 20) + 5).unwrap();
        }
        3 => {
            // Metadata alone.
            set_mode(&at("folder 1/file 3"), 0o600);
            set_mode(&at("folder 7"), 0o700);
            run_tool(
                "setfattr",
                [
                    "-x".as_ref(),
                    "user.kept".as_ref(),
                    at("folder 2").as_os_str(),
                ],
            );
            run_tool(
                "setfattr",
                [
                    "-n".as_ref(),
                    "user.kept".as_ref(),
                    "-v".as_ref(),
                    "2".as_ref(),
                    at("folder 2/file 1").as_os_str(),
                ],
            );
            std::os::unix::fs::chown(at("large"), Some(1), Some(1)).unwrap();
            std::os::unix::fs::chown(at("folder 6/below"), Some(1), Some(1)).unwrap();
            set_time(&at("folder 6"), 1_600_000_000, 5);
        }
        4 => {
            // Names of one file.
            fs::remove_file(at("folder 1/other name")).unwrap();
            fs::hard_link(at("folder 7/file 1"), at("folder 7/further name")).unwrap();
            fs::remove_file(at("folder 0/file 2b")).unwrap();
            fs::copy(at("folder 0/file 2"), at("folder 0/file 2b")).unwrap();
        }
        _ => {
            fs::remove_dir_all(at("folder 2")).unwrap();
            fs::write(at("folder 2"), "a file now").unwrap();
            fs::write(at("large"), Random::new(6).bytes(3 << 20)).unwrap();
        }
    }
}

const STEPS: usize = 7;

/// What must be the same however the unchanged was taken over.
type Told = (Vec<String>, BTreeMap<SnapshotId, u64>, String);

/// What was made of a history, one for each snapshot, each of which is its source.
fn run_history(world: &World, between: &mut dyn FnMut(&World, usize)) -> Vec<Told> {
    let source = world.path("src");
    make(&source);
    let mut told = Vec::new();
    for step in 0..STEPS {
        change(&source, step);
        between(world, step);
        let id = world.apply(&day(step), 0);
        same(&source, &world.in_snapshot(&id, "src"));
        let record = world.snapshot_record(&id);
        let prefix = source
            .strip_prefix("/")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let entries = world.manifest(&id).into_iter().filter_map(|entry| {
            let path = String::from_utf8(entry.path.as_bytes().to_vec()).unwrap();
            let below = path.strip_prefix(&prefix)?.to_owned();
            Some(format!(
                "{below} {:?} {:o} {} {} {} {:?} {:?} {:?} {:?} {:?}",
                entry.kind,
                entry.mode,
                entry.uid,
                entry.gid,
                entry.size,
                entry.digest,
                entry.stored,
                entry.target,
                entry.group,
                entry.xattrs_digest,
            ))
        });
        let totals = record.totals;
        let totals = format!(
            "{} {} {} copied {} {} linked {} {} errors {}",
            totals.files,
            totals.folders,
            totals.bytes,
            totals.files_copied,
            totals.bytes_copied,
            totals.files_linked,
            totals.bytes_linked,
            totals.errors
        );
        told.push((entries.collect(), record.files_stored_by, totals));
    }
    world.run(&["verify", "--full", "--all"]).expect(0);
    if let Some(read) = check_with_example("clones", &world.host(), None) {
        read.expect(0);
    }
    told
}

#[track_caller]
fn same_history(one: &[Told], other: &[Told], named: &str) {
    for (step, (one, other)) in one.iter().zip(other).enumerate() {
        for (line, there) in one.0.iter().zip(&other.0) {
            assert_eq!(line, there, "{named}: step {step}");
        }
        assert_eq!(one, other, "{named}: step {step}");
    }
}

#[test]
fn clones_hold_what_links_hold_for_each_kind_of_change() {
    let name = "clones_hold_what_links_hold_for_each_kind_of_change";
    for engine in [Engine::BuiltIn, Engine::Rsync] {
        if is_missing(name, &["setfacl", "rsync"], true) {
            return;
        }
        let Some(world) = on_btrfs(name, engine) else {
            return;
        };
        let clones = run_history(&world, &mut |_, _| {});
        for step in 0..STEPS {
            let record = world.snapshot_record(&test_support::id_of(&day(step)));
            assert!(record.subvolume, "step {step} of {engine:?}");
        }
        let links = run_history(&World::new(engine, &["src"]), &mut |_, _| {});
        same_history(&clones, &links, &format!("{engine:?}"));
    }
}

/// Makes a plain folder of a snapshot, as older versions made them.
fn make_plain(world: &World, id: &str) {
    let at = world.snapshot(id);
    let beside = at.with_file_name("beside");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    set_open(&at, true);
    run_tool(
        "cp",
        ["-a", "--reflink=always", "-T", &text(&at), &text(&beside)],
    );
    run_tool("btrfs", ["-q", "subvolume", "delete", &text(&at)]);
    fs::rename(&beside, &at).unwrap();
}

#[test]
fn a_disk_of_older_snapshots_goes_on_with_clones_and_stores_nothing_twice() {
    let name = "a_disk_of_older_snapshots_goes_on_with_clones_and_stores_nothing_twice";
    let Some(world) = on_btrfs(name, Engine::BuiltIn) else {
        return;
    };
    if is_missing(name, &["setfacl"], true) {
        return;
    }
    // In the middle the basis becomes a plain folder, once while a clone of it was begun.
    let mut was_plain = Vec::new();
    let mixed = run_history(&world, &mut |world, step| {
        if [1, 3, 4].contains(&step) {
            let id = test_support::id_of(&day(step - 1));
            make_plain(world, &id);
            was_plain.push(id);
        }
    });
    assert_eq!(was_plain.len(), 3);
    let links = run_history(&World::new(Engine::BuiltIn, &["src"]), &mut |_, _| {});
    same_history(&mixed, &links, "mixed");
    // What is unchanged shares its blocks across the border.
    let (old, new) = (was_plain[0].clone(), test_support::id_of(&day(1)));
    let (old, new) = (
        world.in_snapshot(&old, "src/large"),
        world.in_snapshot(&new, "src/large"),
    );
    assert_ne!(
        fs::metadata(&old).unwrap().dev(),
        fs::metadata(&new).unwrap().dev()
    );
    let extents = run_tool("filefrag", ["-v".as_ref(), new.as_os_str()]);
    assert!(extents.contains("shared"), "{extents}");
}

/// Opens a snapshot to writers, or closes it.
fn set_open(tree: &Path, open: bool) {
    let tree = tree.to_str().unwrap();
    let value = if open { "false" } else { "true" };
    run_tool("btrfs", ["property", "set", "-ts", tree, "ro", value]);
}

#[test]
fn what_somebody_took_out_of_the_basis_is_stored_again() {
    let name = "what_somebody_took_out_of_the_basis_is_stored_again";
    let Some(world) = on_btrfs(name, Engine::BuiltIn) else {
        return;
    };
    let source = world.path("src");
    fs::create_dir_all(source.join("folder/below")).unwrap();
    for file in ["gone", "emptied", "kept"] {
        fs::write(source.join("folder/below").join(file), file).unwrap();
    }
    symlink("kept", source.join("folder/link")).unwrap();
    let mut days = (0..).map(day);
    let mut basis = world.apply(&days.next().unwrap(), 0);
    // Closed again by whoever opened it, or by the next run before it looks at it.
    for closes in [true, false] {
        let tree = world.snapshot(&basis);
        set_open(&tree, true);
        let inside = world.in_snapshot(&basis, "src/folder");
        fs::remove_file(inside.join("below/gone")).unwrap();
        fs::remove_file(inside.join("link")).unwrap();
        let emptied = inside.join("below/emptied");
        fs::File::options()
            .write(true)
            .truncate(true)
            .open(emptied)
            .unwrap();
        if closes {
            set_open(&tree, false);
        }
        basis = world.apply(&days.next().unwrap(), 0);
        same(&source, &world.in_snapshot(&basis, "src"));
        world.run(&["verify", "--full", &basis]).expect(0);
    }
}

#[test]
fn a_damaged_file_is_named_and_healed_in_each_clone_that_has_it() {
    let name = "a_damaged_file_is_named_and_healed_in_each_clone_that_has_it";
    let Some(world) = on_btrfs(name, Engine::BuiltIn) else {
        return;
    };
    let source = world.path("src");
    fs::create_dir(source.join("folder")).unwrap();
    fs::write(source.join("folder/file"), Random::new(1).bytes(200_000)).unwrap();
    set_time(&source.join("folder/file"), 1_700_000_000, 0);
    fs::hard_link(source.join("folder/file"), source.join("again")).unwrap();
    fs::write(source.join("other"), "other").unwrap();
    let first = world.apply(&day(0), 0);
    // Damage that the next two have as well: a medium that loses bits touches no change time.
    let damaged = world.in_snapshot(&first, "src/folder/file");
    let tree = world.snapshot(&first);
    set_open(&tree, true);
    let file = fs::OpenOptions::new().write(true).open(&damaged).unwrap();
    file.write_all_at(b"damage", 100_000).unwrap();
    drop(file);
    set_time(&damaged, 1_700_000_000, 0);
    set_open(&tree, false);
    let second = world.apply(&day(1), 0);
    let third = world.apply(&day(2), 0);
    for id in [&second, &third] {
        assert_eq!(
            fs::read(world.in_snapshot(id, "src/again")).unwrap()[100_000..100_006],
            *b"damage"
        );
    }
    let found = world
        .run(&["verify", "--full", "--all", "--json"])
        .expect(3);
    let told: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    let damage = told["damage"].as_array().unwrap();
    assert_eq!(damage.len(), 1, "{damage:#?}");
    assert_eq!(
        damage[0]["names"].as_array().unwrap().len(),
        6,
        "{damage:#?}"
    );
    // Read once for all three.
    assert_eq!(told["files_read"], 2, "{told:#?}");

    world
        .run(&["verify", "--full", "--all", "--repair"])
        .expect(0);
    for id in [&first, &second, &third] {
        same(&source, &world.in_snapshot(id, "src"));
        let at = executor::sys::resolve::resolve(&world.snapshot(id)).unwrap();
        assert_eq!(at.folder().unwrap().is_read_only(), Ok(true));
    }
    world.run(&["verify", "--full", "--all"]).expect(0);
    let left = run_tool(
        "btrfs",
        ["subvolume", "list", world.path("dst").to_str().unwrap()],
    );
    assert_eq!(left.lines().count(), 3, "{left}");
}
