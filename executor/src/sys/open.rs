//! Sets owner, permission bits and modification time of an open file or folder.

use std::os::fd::AsFd;

use rustix::{
    fs::{Gid, Mode, Timespec, Timestamps, Uid, fchmod, fchown, futimens},
    io::Errno,
};

use super::stat::Nanos;

/// Sets the owner.
///
/// # Errors
/// Fails if the owner cannot be set, as where only root may.
pub fn set_owner(fd: impl AsFd, uid: u32, gid: u32) -> Result<(), Errno> {
    fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

/// Sets the permission bits.
///
/// # Errors
/// Fails if the mode cannot be set.
pub fn set_mode(fd: impl AsFd, mode: u32) -> Result<(), Errno> {
    fchmod(fd, Mode::from_raw_mode(mode))
}

/// Sets the modification time and leaves the access time.
///
/// # Errors
/// Fails if the time cannot be set.
pub fn set_mtime(fd: impl AsFd, mtime: Nanos) -> Result<(), Errno> {
    futimens(fd, &timestamps(mtime))
}

/// The modification time, and the access time as it is.
pub(super) fn timestamps(mtime: Nanos) -> Timestamps {
    const SECOND: Nanos = 1_000_000_000;
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: i64::try_from(mtime.div_euclid(SECOND)).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(mtime.rem_euclid(SECOND)).unwrap_or(0),
        },
    }
}
