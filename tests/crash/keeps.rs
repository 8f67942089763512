//! What the destination cannot hold stays in the manifest, however often the run is interrupted.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    time::SystemTime,
};

use executor::{manifest, sys::Dir};
use serde_json::json;

use crate::{
    check::equal,
    lab::{BEFORE, ID, Mounted, NOW, World, is_missing, make_ext4},
    tree::attribute,
};

#[test]
fn an_attribute_that_the_destination_cannot_hold_is_kept_by_a_run_that_is_continued() {
    let name = "an_attribute_that_the_destination_cannot_hold_is_kept_by_a_run_that_is_continued";
    let tools = ["mkfs.ext4", "blkid", "losetup", "setfattr", "strace"];
    if is_missing(name, &tools, true) {
        return;
    }
    let world = World::new(&json!({ "requireMount": true }));
    // A value of this size needs ext4's inodes for attributes, which only the source has.
    make_ext4(&world.path("large"), 32, &["-O", "ea_inode"]);
    make_ext4(&world.path("image"), 32, &["-O", "^ea_inode"]);
    let _source = Mounted::image(&world.path("large"), "noatime", &world.source());
    let _mounted = Mounted::image(&world.path("image"), "noatime", &world.path("dst"));
    fs::write(world.source().join("first"), "x").unwrap();
    fs::remove_dir(world.source().join("lost+found")).unwrap();
    world.apply(BEFORE[0]).expect(0);
    let file = world.source().join("with attributes");
    fs::write(&file, "content").unwrap();
    attribute(&file, "user.large", &"x".repeat(8000));
    attribute(&file, "user.small", "x");
    // The copy is done and logged when the sync is interrupted.
    world.kill_at_sync();
    let inode = |snapshot: &str| {
        let copy = world.in_snapshot(snapshot).join("with attributes");
        fs::metadata(copy).unwrap().ino()
    };
    let copied = inode(&format!(".backup/partial/{ID}"));
    world.apply(NOW).expect(0);
    assert_eq!(inode("latest"), copied, "it was copied again");
    let records = world.host().join(".backup/snapshots").join(ID);
    let records = Dir::from_fd(fs::File::open(records).unwrap().into());
    let kept: Vec<_> = manifest::Reader::of_records(&records)
        .unwrap()
        .map(Result::unwrap)
        .find(|entry| entry.path.ends_with(b"with attributes"))
        .unwrap()
        .xattrs_kept
        .into_iter()
        .map(|(name, _)| String::from_utf8(name).unwrap())
        .collect();
    assert_eq!(kept, ["user.large"]);
}

#[test]
fn a_copy_whose_metadata_a_power_cut_took_is_made_again() {
    let name = "a_copy_whose_metadata_a_power_cut_took_is_made_again";
    if is_missing(name, &["rsync", "strace"], false) {
        return;
    }
    let world = World::new(&json!({}));
    for name in ["mode", "time", "whole"] {
        fs::write(world.source().join(name), name).unwrap();
    }
    world.kill_at_sync();
    let partial = world.in_snapshot(&format!(".backup/partial/{ID}"));
    let inode = |folder: &Path, name| fs::metadata(folder.join(name)).unwrap().ino();
    let whole = inode(&partial, "whole");
    fs::set_permissions(partial.join("mode"), Permissions::from_mode(0o600)).unwrap();
    let time = fs::File::open(partial.join("time")).unwrap();
    time.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    world.apply(NOW).expect(0);
    equal(&world, "latest");
    assert_eq!(inode(&world.in_snapshot("latest"), "whole"), whole);
}
