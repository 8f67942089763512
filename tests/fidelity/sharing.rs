//! Where the file system can share blocks, a snapshot of what is on it takes none.

use std::{
    fs,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use rustix::fs::{FallocateFlags, fallocate};
use test_support::{Random, skip};

use crate::{
    compare::same,
    lab::{DAYS, ENGINES, Engine, World, is_missing, run_tool},
    metadata::{set_mode, set_time},
};

/// Bytes of a file that are shared with another one, and bytes that are its own.
fn shared_and_own(path: &Path) -> (u64, u64) {
    let options = ["-v".as_ref(), "-b1".as_ref(), path.as_os_str()];
    let extents = run_tool("filefrag", options);
    let (mut shared, mut own) = (0, 0);
    for line in extents.lines() {
        let parts: Vec<&str> = line.split(':').map(str::trim).collect();
        let is_extent = parts[0].parse::<u64>().is_ok();
        if let (true, Some(length)) = (is_extent, parts.get(3)) {
            let bytes: u64 = length.parse().unwrap();
            *(match line.contains("shared") {
                true => &mut shared,
                false => &mut own,
            }) += bytes;
        }
    }
    assert!(shared + own > 0, "{extents}");
    (shared, own)
}

/// Whether all of a file's content is shared with another file.
fn shares_all(path: &Path) -> bool {
    shared_and_own(path).1 == 0
}

#[test]
fn a_copy_on_the_file_system_of_its_source_shares_its_blocks() {
    let name = "a_copy_on_the_file_system_of_its_source_shares_its_blocks";
    for (file_system, tool) in [("xfs", "mkfs.xfs"), ("btrfs", "mkfs.btrfs")] {
        if is_missing(name, &[tool, "filefrag"], true) {
            continue;
        }
        let Some(mut world) = World::on(file_system, Engine::BuiltIn, &[]) else {
            skip(&format!("{name} because no {file_system} can be mounted"));
            continue;
        };
        let (source, host) = world.side_by_side();
        let file = source.join("large");
        fs::write(&file, Random::new(3).bytes(20 << 20)).unwrap();
        set_time(&file, 1_700_000_000, 0);
        let at = |id: &str| {
            let all = ["daily", "weekly", "monthly"].map(|tier| host.join(tier).join(id));
            let snapshot = all.into_iter().find(|path| path.exists()).unwrap();
            snapshot.join(file.strip_prefix("/").unwrap())
        };
        let first = at(&world.apply(DAYS[0], 0));
        assert!(shares_all(&first), "{file_system}: the copy");
        assert_eq!(fs::read(&first).unwrap(), fs::read(&file).unwrap());

        // A new inode for another mode, and still the same blocks: those of the basis, since the
        // source's are others now.
        let bytes = fs::read(&file).unwrap();
        let inode = fs::OpenOptions::new().write(true).open(&file).unwrap();
        std::io::Write::write_all(&mut &inode, &bytes).unwrap();
        inode.sync_all().unwrap();
        set_time(&file, 1_700_000_000, 0);
        set_mode(&file, 0o640);
        assert!(!shares_all(&file));
        let second = at(&world.apply(DAYS[1], 0));
        assert_ne!(
            second.metadata().unwrap().ino(),
            first.metadata().unwrap().ino()
        );
        assert_eq!(second.metadata().unwrap().mode() & 0o777, 0o640);
        assert!(shares_all(&second), "{file_system}: another mode");
        assert!(!shares_all(&file), "{file_system}: the source was read");
    }
}

/// Changes files in all the ways in which the most of them stays as it was.
fn change_some(source: &Path) {
    let open = |name: &str| {
        let file = fs::File::options().write(true).open(source.join(name));
        file.unwrap()
    };
    let patched = open("patched");
    for at in [0, 1_000_000, 1_004_096, 2_500_000] {
        patched.write_all_at(b"changed", at).unwrap();
    }
    open("longer")
        .write_all_at(&Random::new(8).bytes(9000), 3 << 20)
        .unwrap();
    open("shorter").set_len(1_500_001).unwrap();
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(open("hollowed"), flags, 1 << 20, 1 << 20).unwrap();
    // Written where there was a hole.
    open("filled")
        .write_all_at(&Random::new(9).bytes(4096), 2 << 20)
        .unwrap();
    // Other bytes all over, and a few.
    fs::write(source.join("new"), Random::new(10).bytes(3 << 20)).unwrap();
    fs::write(source.join("small"), Random::new(11).bytes(50_000)).unwrap();
}

#[test]
fn a_changed_file_shares_with_the_basis_what_stayed_as_it_was() {
    let name = "a_changed_file_shares_with_the_basis_what_stayed_as_it_was";
    for (file_system, tool) in [("xfs", "mkfs.xfs"), ("btrfs", "mkfs.btrfs")] {
        if is_missing(name, &[tool, "filefrag", "rsync"], true) {
            continue;
        }
        for engine in ENGINES {
            match World::on(file_system, engine, &["src"]) {
                Some(world) => changed_files_share(&world, &format!("{file_system}, {engine:?}")),
                None => skip(&format!("{name} because no {file_system} can be mounted")),
            }
        }
    }
}

fn changed_files_share(world: &World, named: &str) {
    let source = world.path("src");
    let names = ["patched", "longer", "shorter", "hollowed", "new"];
    for (name, seed) in names.iter().zip(1..) {
        fs::write(source.join(name), Random::new(seed).bytes(3 << 20)).unwrap();
    }
    fs::write(source.join("small"), Random::new(7).bytes(60_000)).unwrap();
    fs::File::create(source.join("filled"))
        .unwrap()
        .set_len(3 << 20)
        .unwrap();
    let first = world.apply(DAYS[0], 0);
    let before = world.path("before");
    run_tool(
        "cp",
        ["-a".as_ref(), source.as_os_str(), before.as_os_str()],
    );
    change_some(&source);
    let second = world.apply(DAYS[1], 0);
    // XFS keeps room around what was written for as long as it knows the inode.
    world.mount_again();

    same(&before, &world.in_snapshot(&first, "src"));
    same(&source, &world.in_snapshot(&second, "src"));
    world.run(&["verify", "--full", "--all"]).expect(0);
    for (name, shares, owns) in [
        ("patched", 3 << 20, 4 * 4096),
        ("longer", 3 << 20, 12_288),
        ("shorter", 1_500_000, 4096),
        ("hollowed", 2 << 20, 0),
    ] {
        let (shared, own) = shared_and_own(&world.in_snapshot(&second, "src").join(name));
        assert!(own <= owns, "{named}: {name}: {own} of its own");
        let least = shares - owns - 4096;
        assert!(shared >= least, "{named}: {name}: {shared} shared");
    }
    let (shared, _) = shared_and_own(&world.in_snapshot(&second, "src/new"));
    assert_eq!(shared, 0, "{named}: nothing of it is as it was");
    let hollowed = world.in_snapshot(&second, "src/hollowed");
    assert!(hollowed.metadata().unwrap().blocks() * 512 <= 2 << 20);
}
