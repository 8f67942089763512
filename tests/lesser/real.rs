//! Real file systems that hold less, and a real one whose limit of links is reached.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;
use test_support::entry_names;

use crate::{
    lab::{Mounted, World, make_ext4, run_tool},
    nas::{
        FIRST, Nas, SECOND, THIRD, passed_over, same_inode, sftp_server, skipped_without,
        without_odd_names,
    },
};

/// Mounts an image of this type, made by a tool with these arguments.
fn disk(world: &World, at: &Path, kind: &str, tool: &str, arguments: &[&str]) -> Mounted {
    let image = world.path("image");
    let image = image.to_str().unwrap();
    fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
    run_tool(tool, arguments.iter().copied().chain([image]));
    Mounted::new(&["-t", kind, "-o", "loop", image], at)
}

#[test]
fn a_real_exfat_drive_gives_everything_back() {
    let name = "a_real_exfat_drive_gives_everything_back";
    if skipped_without(name, &["mkfs.exfat", "mount.exfat-fuse", "losetup"]) {
        return;
    }
    let mut nas = Nas::real(&json!({}), |world, at| {
        disk(world, at, "exfat-fuse", "mkfs.exfat", &[])
    });
    without_odd_names(&nas);
    nas.apply(FIRST, 4).says("has no hard links").says("hint");
    assert_eq!(entry_names(&nas.world.path("dst")), Vec::<String>::new());
    nas.world.configure(&json!({ "allowFullCopies": true }));
    nas.apply(FIRST, 0);
    nas.restores_all(FIRST);
    let can = nas.destination().capabilities;
    assert!(!can.hard_links && !can.symlinks && !can.modes && !can.owners);
    assert!(
        !can.case_sensitive && can.names.refused.contains(':'),
        "{can:?}"
    );
    fs::write(nas.source("small/5"), "changed").unwrap();
    fs::write(nas.source("a:b"), "of another name").unwrap();
    assert!(nas.plan(SECOND).contains("cannot hold the names of"));
    nas.apply(SECOND, 0);
    let restored = nas.restore(SECOND, 0);
    let text = fs::read_to_string(restored.join("a:b")).unwrap();
    assert_eq!(text, "of another name");
    assert_eq!(
        fs::read_to_string(restored.join("small/5")).unwrap(),
        "changed"
    );
    nas.tidy();
}

#[test]
fn a_real_ntfs_drive_links_and_gives_everything_back() {
    let name = "a_real_ntfs_drive_links_and_gives_everything_back";
    if skipped_without(name, &["mkfs.ntfs", "mount.ntfs-3g", "losetup"]) {
        return;
    }
    let nas = Nas::real(&json!({}), |world, at| {
        disk(world, at, "ntfs-3g", "mkfs.ntfs", &["-Q", "-F", "-q"])
    });
    fs::remove_file(nas.source("odd names").join(not_utf8())).unwrap();
    nas.apply(FIRST, 0);
    nas.restores_all(FIRST);
    let can = nas.destination().capabilities;
    assert!(can.hard_links && can.time_step_ns == 100, "{can:?}");
    nas.apply(SECOND, 0);
    nas.all_linked(SECOND);
    nas.restores_all(SECOND);
    nas.tidy();
}

fn not_utf8() -> &'static std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe not utf-8")
}

#[test]
fn a_file_with_as_many_links_as_the_disk_allows_is_copied() {
    let name = "a_file_with_as_many_links_as_the_disk_allows_is_copied";
    if skipped_without(name, &["mkfs.ext4", "blkid", "losetup"]) {
        return;
    }
    let nas = Nas::real(&json!({}), |world, at| {
        make_ext4(&world.path("image"), 64, &[]);
        Mounted::image(&world.path("image"), "noatime", at)
    });
    nas.apply(FIRST, 0);
    // What 65,000 snapshots would have made, in a folder that is the user's own.
    let stored = nas.stored(FIRST, "small/5");
    let others = nas.world.path("dst/others");
    fs::create_dir(&others).unwrap();
    let mut made = 0;
    while fs::hard_link(&stored, others.join(made.to_string())).is_ok() {
        made += 1;
    }
    assert!(made > 60_000, "{made}");
    nas.apply(SECOND, 0);
    let totals = nas.record(SECOND).totals;
    assert_eq!(totals.files_copied, 1, "{totals:?}");
    let copy = nas.stored(SECOND, "small/5");
    assert!(!same_inode(&stored, &copy));
    nas.restores_all(SECOND);
    // The copy is what the next one is linked to.
    nas.apply(THIRD, 0);
    nas.all_linked(THIRD);
    assert!(same_inode(&copy, &nas.stored(THIRD, "small/5")));
    nas.tidy();
}

#[test]
fn a_real_sshfs_mount_links_and_gives_everything_back() {
    let name = "a_real_sshfs_mount_links_and_gives_everything_back";
    if skipped_without(name, &["mount.fuse.sshfs"]) {
        return;
    }
    let Some(server) = sftp_server() else {
        passed_over(name, "sftp-server is not installed");
        return;
    };
    let nas = Nas::real(&json!({}), |world, at| {
        // The server's own program at the other end of a pipe, without a network between.
        let ssh = world.path("ssh");
        fs::write(&ssh, format!("#!/bin/sh\nexec {}\n", server.display())).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(world.path("below")).unwrap();
        let options = format!("ssh_command={}", ssh.display());
        let from = format!("server:{}", world.path("below").display());
        Mounted::new(&["-t", "fuse.sshfs", "-o", &options, &from], at)
    });
    // The protocol knows no time before 1970: such a file would be copied each time.
    let old = fs::File::open(nas.source("small/7")).unwrap();
    let later = std::time::Duration::from_secs(1_000_000_000);
    old.set_modified(std::time::UNIX_EPOCH + later).unwrap();
    nas.apply(FIRST, 0);
    nas.restores_all(FIRST);
    nas.apply(SECOND, 0);
    nas.all_linked(SECOND);
    nas.restores_all(SECOND);
    let can = nas.destination().capabilities;
    assert!(
        can.hard_links && can.time_step_ns == 1_000_000_000,
        "{can:?}"
    );
    let below = |now| {
        let stored = nas.stored(now, "small/5");
        let relative = stored.strip_prefix(nas.world.path("dst")).unwrap();
        nas.world.path("below").join(relative)
    };
    assert!(same_inode(&below(FIRST), &below(SECOND)));
    if can.symlinks {
        return nas.tidy();
    }
    // This server gives no symlink that leads out of its folder back, so none is made. One that stands there
    // from a mount that did still leads to the newest, which goes to another tier in the run that makes it.
    let host = nas.world.host();
    let latest = host.join("latest");
    assert!(fs::symlink_metadata(&latest).is_err());
    std::os::unix::fs::symlink("daily/2020-01-01_00-00-00", &latest).unwrap();
    nas.apply(THIRD, 0);
    let target = fs::read_link(&latest).unwrap();
    assert!(
        nas.stored(THIRD, "small/5").starts_with(host.join(&target)),
        "{target:?}"
    );
    nas.tidy();
}

#[test]
fn a_disk_whose_times_end_with_2038_neither_copies_for_ever_nor_is_called_damaged() {
    let name = "a_disk_whose_times_end_with_2038_neither_copies_for_ever_nor_is_called_damaged";
    if skipped_without(name, &["mkfs.ext4", "losetup"]) {
        return;
    }
    let nas = Nas::real(&json!({}), |world, at| {
        disk(world, at, "ext4", "mkfs.ext4", &["-q", "-F", "-I", "128"])
    });
    let late = |name: &str, time: &str| {
        let path = nas.source(name);
        run_tool("touch", ["-h", "-d", time, path.to_str().unwrap()]);
    };
    fs::create_dir(nas.source("trip")).unwrap();
    fs::write(nas.source("trip/film"), "of 2077").unwrap();
    std::os::unix::fs::symlink("film", nas.source("trip/link")).unwrap();
    for name in ["trip/film", "trip/link", "trip"] {
        late(name, "2077-07-07 01:02:03.5 UTC");
    }
    late("small/5", "1880-01-01 00:00:00 UTC");
    nas.apply(FIRST, 0);
    for now in [SECOND, THIRD] {
        nas.apply(now, 0);
        nas.all_linked(now);
        for name in ["trip/film", "small/5"] {
            assert!(same_inode(&nas.stored(FIRST, name), &nas.stored(now, name)));
        }
        nas.verify(now, 0);
        nas.restores_all(now);
    }
    nas.tidy();
}
