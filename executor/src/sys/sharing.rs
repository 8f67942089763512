//! Whether files of a file system can share blocks.

use std::{fs::File, os::unix::fs::FileExt as _};

use rustix::fs::{Mode, OFlags, ioctl_ficlone, openat};

use super::Dir;

/// The least that is shared.
const BLOCK: [u8; 4096] = [1; 4096];

impl Dir {
    /// Whether files in this folder can share blocks, tried with two that have no name.
    #[must_use]
    pub fn shares_blocks(&self) -> bool {
        let unnamed = || {
            let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
            openat(self, ".", flags, Mode::RUSR | Mode::WUSR).map(File::from)
        };
        let (Ok(one), Ok(other)) = (unnamed(), unnamed()) else {
            return false;
        };
        one.write_all_at(&BLOCK, 0).is_ok() && ioctl_ficlone(&other, &one).is_ok()
    }
}
