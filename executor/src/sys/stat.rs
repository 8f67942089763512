//! What the kernel says of one entry.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, FileType, Statx, StatxFlags, major, makedev, minor, statx},
    io::Errno,
    path::Arg,
};
use schema::record::Capabilities;

pub use super::times::Nanos;

/// What kind of thing an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    File,
    Folder,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

impl Kind {
    /// The kind that the kernel calls so; none where it does not know.
    pub(super) fn of(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Unknown => return None,
        })
    }

    /// Whether a file system that can hold this much can hold an entry of this kind.
    #[must_use]
    pub fn is_held(self, can: &Capabilities) -> bool {
        match self {
            Self::File | Self::Folder => true,
            Self::Symlink => can.symlinks,
            Self::Fifo | Self::Socket => can.fifos,
            Self::CharDevice | Self::BlockDevice => can.devices,
        }
    }
}

/// Whether a time that a file system gives back is the one that it was given.
///
/// Some cut it more coarsely once it is on disk than while they have it in memory: an unlikely
/// round time that is as near as its roundness counts as well, and so does the end of its range for
/// a time that lies outside.
#[must_use]
pub fn same_time(found: Nanos, given: Nanos, step_ns: u32) -> bool {
    let apart = (found - given).abs();
    apart < Nanos::from(step_ns.max(1))
        || [
            100,
            1_000,
            1_000_000,
            10_000_000,
            1_000_000_000,
            2_000_000_000,
        ]
        .into_iter()
        .any(|step: Nanos| apart < step && found % step == 0)
        || super::times::is_limit_for(found, given)
}

/// What the kernel says of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, set-id and sticky bits included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Bytes allocated on disk.
    pub allocated: u64,
    /// Time of the last change of content.
    pub mtime: Nanos,
    /// Time of the last change of content or metadata.
    pub ctime: Nanos,
    /// File system it is on.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Number of names.
    pub nlink: u32,
    /// For devices, what they are: `major`, `minor`.
    pub device: (u32, u32),
    /// The mount it was reached through; 0 where the kernel does not say.
    pub mount: u64,
    /// Whether it is the root of a mount.
    pub mount_root: bool,
    /// Whether it cannot be changed at all (`chattr +i`).
    pub immutable: bool,
    /// Whether it can be appended to only (`chattr +a`).
    pub append_only: bool,
}

/// `STATX_ATTR_IMMUTABLE`, `STATX_ATTR_APPEND` and `STATX_ATTR_MOUNT_ROOT` of statx(2).
const ATTR_IMMUTABLE: u64 = 0x10;
const ATTR_APPEND: u64 = 0x20;
const ATTR_MOUNT_ROOT: u64 = 0x2000;

impl Stat {
    /// Whether less of it is on disk than its size says.
    #[must_use]
    pub fn has_holes(&self) -> bool {
        self.allocated < self.size
    }

    /// What the kernel says of an entry of an open folder; a symlink is not followed.
    ///
    /// # Errors
    /// Fails if it cannot be looked at.
    pub fn of(dir: impl AsFd, name: impl Arg) -> Result<Self, Errno> {
        Self::with(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
    }

    /// The same as far as the kernel knows it without asking anybody (`AT_STATX_DONT_SYNC`).
    ///
    /// # Errors
    /// Fails if it cannot be looked at.
    pub fn of_unasked(dir: impl AsFd, name: impl Arg) -> Result<Self, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        Self::with(dir, name, flags)
    }

    /// What the kernel says of an open file or folder.
    ///
    /// # Errors
    /// Fails if it cannot be looked at.
    pub fn of_fd(fd: impl AsFd) -> Result<Self, Errno> {
        Self::with(fd, c"", AtFlags::EMPTY_PATH)
    }

    /// The same as far as the kernel knows it without asking anybody.
    ///
    /// # Errors
    /// Fails if it cannot be looked at.
    pub fn of_fd_unasked(fd: impl AsFd) -> Result<Self, Errno> {
        Self::with(fd, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC)
    }

    fn with(dir: impl AsFd, name: impl Arg, flags: AtFlags) -> Result<Self, Errno> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        Self::new(&statx(dir, name, flags, wanted)?)
    }

    fn new(raw: &Statx) -> Result<Self, Errno> {
        let kind = Kind::of(FileType::from_raw_mode(raw.stx_mode.into())).ok_or(Errno::INVAL)?;
        let nanos =
            |seconds: i64, nanos: u32| Nanos::from(seconds) * 1_000_000_000 + Nanos::from(nanos);
        let attributes = raw.stx_attributes.bits();
        Ok(Self {
            kind,
            mode: u32::from(raw.stx_mode) & 0o7777,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            size: raw.stx_size,
            allocated: raw.stx_blocks * 512,
            mtime: nanos(raw.stx_mtime.tv_sec, raw.stx_mtime.tv_nsec),
            ctime: nanos(raw.stx_ctime.tv_sec, raw.stx_ctime.tv_nsec),
            dev: makedev(raw.stx_dev_major, raw.stx_dev_minor),
            ino: raw.stx_ino,
            nlink: raw.stx_nlink,
            device: (raw.stx_rdev_major, raw.stx_rdev_minor),
            mount: if raw.stx_mask & StatxFlags::MNT_ID.bits() != 0 {
                raw.stx_mnt_id
            } else {
                0
            },
            mount_root: attributes & ATTR_MOUNT_ROOT != 0,
            immutable: attributes & ATTR_IMMUTABLE != 0,
            append_only: attributes & ATTR_APPEND != 0,
        })
    }

    /// What stands for a folder of which nothing is known.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self {
            kind: Kind::Folder,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            allocated: 0,
            mtime: 0,
            ctime: 0,
            dev: 0,
            ino: 0,
            nlink: 1,
            device: (0, 0),
            mount: 0,
            mount_root: false,
            immutable: false,
            append_only: false,
        }
    }

    /// The file system's number as `/proc/self/mountinfo` writes it.
    #[must_use]
    pub fn device_text(&self) -> String {
        format!("{}:{}", major(self.dev), minor(self.dev))
    }

    /// Whether both are the same inode.
    #[must_use]
    pub fn same_inode(&self, other: &Self) -> bool {
        self.dev == other.dev && self.ino == other.ino
    }

    /// What tells a stored inode from all others of a destination, whose own folder is on `device`: its
    /// number. In a subvolume of it, which has numbers of its own, the number and the change time: what
    /// a clone has unchanged has both from the other, and nothing that was made by itself has both.
    #[must_use]
    pub fn identity(&self, device: u64) -> u64 {
        if self.dev == device {
            return self.ino;
        }
        // The finalizer of SplitMix64, twice: 64 bits of both.
        let mix = |mut bits: u64| {
            bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
            bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^ bits >> 31
        };
        // Nanoseconds since 1970 have 64 bits until the year 2554.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        let changed = self.ctime.cast_unsigned() as u64;
        mix(self.ino ^ mix(changed))
    }

    /// Whether other snapshots may have this stored inode as well: it has several names, or is in a
    /// subvolume, which clones share.
    #[must_use]
    pub fn may_be_shared(&self, device: u64) -> bool {
        self.nlink > 1 || self.dev != device
    }
}

#[cfg(test)]
mod tests {
    use super::{Stat, same_time};

    #[test]
    fn in_a_subvolume_it_takes_number_and_change_time_to_be_the_same() {
        let stat = Stat::of(rustix::fs::CWD, "/").unwrap();
        let other = |change: fn(&mut Stat)| {
            let mut other = stat;
            change(&mut other);
            other
        };
        let cloned = other(|stat| stat.dev += 1);
        let device = stat.dev;
        assert_eq!(stat.identity(device), stat.ino);
        assert_eq!(other(|stat| stat.ctime += 1).identity(device), stat.ino);
        let one = cloned.identity(device);
        assert_ne!(one, stat.ino);
        assert_eq!(other(|stat| stat.dev += 2).identity(device), one);
        assert_ne!(
            other(|stat| (stat.dev, stat.ctime) = (stat.dev + 2, stat.ctime + 1)).identity(device),
            one
        );
        assert_ne!(
            other(|stat| (stat.dev, stat.ino) = (stat.dev + 2, stat.ino + 1)).identity(device),
            one
        );
    }

    #[test]
    fn a_time_cut_on_disk_is_the_same_and_another_one_is_not() {
        let given = 1_700_000_001_123_456_789;
        for cut in [
            1,
            100,
            1_000,
            1_000_000,
            10_000_000,
            1_000_000_000,
            2_000_000_000,
        ] {
            assert!(same_time(given - given % cut, given, 1), "{cut}");
        }
        assert!(same_time(-1_500_000_000, -1_500_000_001, 100));
        // Touched a moment later, or by whole seconds.
        assert!(!same_time(given + 1, given, 1));
        assert!(!same_time(given + 1_000_000_000, given, 1));
        assert!(!same_time(1_700_000_004_000_000_000, given, 1));
        // 2077 where times end with 2038.
        let (last, late) = (2_147_483_647_000_000_000, 3_392_758_923_000_000_000);
        assert!(same_time(last, late, 1) && !same_time(late, last, 1));
    }
}
