//! What is asked and changed of mounts that are there.

use std::os::fd::AsFd;

use rustix::{
    fs::{StatVfsMountFlags, fstatvfs},
    io::Errno,
    mount::{MountFlags, mount_remount},
};

use super::mounts::path_of;

/// Makes the mount at which this was opened read-only, with these restrictions and those that it has.
pub(super) fn remount_read_only(at: &impl AsFd, more: MountFlags) -> Result<(), Errno> {
    let has = fstatvfs(at)?.f_flag;
    let kept = [
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let kept = kept.into_iter().filter(|(bit, _)| has.contains(*bit));
    let flags = kept.fold(
        MountFlags::BIND | MountFlags::RDONLY | more,
        |all, (_, flag)| all | flag,
    );
    mount_remount(path_of(at), flags, "")
}

/// Whether root of this process is the machine's.
pub(super) fn is_real_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mut words = map.split_whitespace();
    (words.next(), words.next()) == (Some("0"), Some("0")) && words.next() != Some("1")
}
