//! Back up, compare, back up again, restore, compare: a hostile tree comes through as it was.

use std::{fs, os::unix::fs::MetadataExt as _};

use test_support::{restore_with_example, skip};

use crate::{
    compare::{listing, same, same_for_rsync},
    deep, hostile,
    lab::{DAYS, ENGINES, Engine, World, is_missing},
};

/// What the listing says of names of one file.
const LINKED: &str = "is one with";

#[test]
fn a_hostile_tree_is_stored_and_restored_to_the_last_bit() {
    let name = "a_hostile_tree_is_stored_and_restored_to_the_last_bit";
    if is_missing(name, &hostile::TOOLS, true) {
        return;
    }
    for engine in ENGINES {
        let world = World::new(engine, &["src"]);
        hostile::make(&world.path("src"));
        hostile::beyond(&world.path("src"));
        faithful(&world);
    }
}

#[test]
fn a_hostile_tree_is_stored_on_file_systems_that_share_blocks() {
    let name = "a_hostile_tree_is_stored_on_file_systems_that_share_blocks";
    for (file_system, tool) in [("xfs", "mkfs.xfs"), ("btrfs", "mkfs.btrfs")] {
        if is_missing(name, &[&hostile::TOOLS[..], &[tool]].concat(), true) {
            continue;
        }
        for engine in ENGINES {
            let Some(world) = World::on(file_system, engine, &["src"]) else {
                skip(&format!("{name} because no {file_system} can be mounted"));
                continue;
            };
            let source = world.path("src");
            hostile::make(&source);
            faithful(&world);

            // What the destination cannot hold, the manifest holds.
            hostile::beyond(&source);
            let third = world.apply(DAYS[2], 0);
            let longest = world.in_snapshot(&third, "src/beyond/longest");
            assert_eq!(longest.is_symlink(), file_system == "btrfs");
            world.restore("src", &world.path("restored again"));
            same(&source, &world.path("restored again"));
        }
    }
}

fn faithful(world: &World) {
    let source = world.path("src");
    let before = listing(&source);

    let first = world.apply(DAYS[0], 0);
    let stored = world.in_snapshot(&first, "src");
    same(&source, &stored);
    same_for_rsync(&source, &stored);
    assert_eq!(world.snapshot_record(&first).totals.errors, 0);

    // Nothing changed: all is the same inode again, and nothing of the source was touched.
    let second = world.apply(DAYS[1], 0);
    let again = world.in_snapshot(&second, "src");
    same(&source, &again);
    let (old, new) = (listing(&stored), listing(&again));
    let folders = old.iter().filter(|seen| seen.what.starts_with("Directory"));
    let shared = old
        .iter()
        .zip(&new)
        .filter(|(old, new)| old.inode == new.inode);
    let record = world.snapshot_record(&second);
    // A clone has the folders as well.
    let own = if record.subvolume { 0 } else { folders.count() };
    assert_eq!(shared.count() + own, old.len());
    let totals = record.totals;
    assert_eq!((totals.files_copied, totals.bytes_copied), (0, 0));
    assert!(before.iter().any(|seen| seen.what.contains(LINKED)));
    assert_eq!(listing(&source), before);

    world.restore("src", &world.path("restored"));
    same_for_rsync(&source, &world.path("restored"));
    same(&source, &world.path("restored"));
    let by_page = world.path("restored by the page");
    let paths = [&*source, &*by_page];
    if let Some(read) = restore_with_example("hostile tree", &world.host(), &second, paths) {
        read.expect(0);
        same_for_rsync(&source, &by_page);
        same(&source, &by_page);
    }
    // What was restored is the user's own: no inode of a snapshot, where it stands on the same file system.
    let device = |path: &std::path::Path| fs::metadata(path).unwrap().dev();
    let restored = world.path("restored");
    if device(&again) == device(&restored) {
        let inodes: std::collections::HashSet<u64> = new.iter().map(|seen| seen.inode).collect();
        let restored = listing(&restored);
        assert!(restored.iter().all(|seen| !inodes.contains(&seen.inode)));
    }
}

#[test]
fn a_path_of_thirty_thousand_bytes_is_stored_and_restored() {
    let name = "a_path_of_thirty_thousand_bytes_is_stored_and_restored";
    if is_missing(name, &["setfattr"], true) {
        return;
    }
    // rsync's own paths end at 4096 bytes, so this is the built-in engine's alone.
    let world = World::new(Engine::BuiltIn, &["src"]);
    let source = world.path("src");
    deep::make(&source);
    let found = listing(&source);
    assert_eq!(
        found.iter().map(|seen| seen.depth).max(),
        Some(deep::DEPTH + 1)
    );

    let first = world.apply(DAYS[0], 0);
    same(&source, &world.in_snapshot(&first, "src"));
    let second = world.apply(DAYS[1], 0);
    same(&source, &world.in_snapshot(&second, "src"));
    assert_eq!(world.snapshot_record(&second).totals.files_copied, 0);
    let one = fs::metadata(world.in_snapshot(&first, "src/a name at 3000")).unwrap();
    let other = fs::metadata(world.in_snapshot(&second, "src/a name at 3000")).unwrap();
    assert_eq!(one.ino(), other.ino());
    let target = world.path("restored");
    world.restore("src", &target);
    same(&source, &target);
}
