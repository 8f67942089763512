//! Where the file system can share blocks, a snapshot of what is on it takes none.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};
use test_support::{Random, skip};

use crate::{
    lab::{DAYS, Engine, World, is_missing, run_tool},
    metadata::{set_mode, set_time},
};

/// Whether all of a file's content is shared with another file.
fn shares_all(path: &Path) -> bool {
    let extents = run_tool("filefrag", ["-v".as_ref(), path.as_os_str()]);
    let mut extents = extents.lines().filter(|line| {
        let number = line.trim_start().split(':').next().unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    extents.all(|extent| extent.contains("shared"))
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
