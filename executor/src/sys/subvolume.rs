//! Subvolumes of btrfs: folders that are cloned, made read-only and removed as a whole.
//!
//! One of three places with `unsafe` (the others are `uuid.rs` and `process/parent.rs`): the kernel's calls
//! have no safe wrappers. Each is one `ioctl` on an open folder with a structure of
//! `linux/btrfs.h`, whose size the opcode encodes.

use std::{ffi::OsStr, os::fd::AsFd, os::unix::ffi::OsStrExt as _};

use rustix::{io::Errno, ioctl};

use super::{Dir, Kind, stat::Nanos};

/// `BTRFS_IOCTL_MAGIC`.
const GROUP: u8 = 0x94;
/// `BTRFS_SUPER_MAGIC` of `linux/magic.h`.
const BTRFS: u64 = 0x9123_683e;
/// `BTRFS_FIRST_FREE_OBJECTID`: the inode number of each subvolume's own folder.
const ROOT_INODE: u64 = 256;
/// `BTRFS_SUBVOL_RDONLY`.
const READ_ONLY: u64 = 1 << 1;

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct VolumeArguments {
    fd: i64,
    name: [u8; 4088],
}

/// `struct btrfs_ioctl_vol_args_v2`.
#[repr(C)]
struct VolumeArguments2 {
    fd: i64,
    transid: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

impl VolumeArguments2 {
    /// Names what is to be made, from the subvolume behind a descriptor where one is given.
    fn of(name: &OsStr, from: i64) -> Result<Self, Errno> {
        Ok(Self {
            fd: from,
            transid: 0,
            flags: 0,
            unused: [0; 4],
            name: name_of(name)?,
        })
    }
}

/// `struct btrfs_ioctl_timespec`.
#[repr(C)]
struct Time {
    seconds: u64,
    nanos: u32,
}

/// `struct btrfs_ioctl_get_subvol_info_args`.
#[repr(C)]
struct SubvolumeFacts {
    id: u64,
    name: [u8; 256],
    place_and_flags: [u64; 4],
    uuids: [[u8; 16]; 3],
    transactions: [u64; 4],
    changed: Time,
    other_times: [Time; 3],
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<SubvolumeFacts>() == 504);
const _: () = assert!(size_of::<VolumeArguments>() == 4096);
const _: () = assert!(size_of::<VolumeArguments2>() == 4096);

/// A single name that ends with a NUL, as the kernel takes it.
fn name_of<const SIZE: usize>(name: &OsStr) -> Result<[u8; SIZE], Errno> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.contains(&b'/') || bytes == b"." || bytes == b".." {
        return Err(Errno::INVAL);
    }
    let mut filled = [0; SIZE];
    filled
        .get_mut(..bytes.len())
        .filter(|_| bytes.len() < SIZE)
        .ok_or(Errno::NAMETOOLONG)?
        .copy_from_slice(bytes);
    Ok(filled)
}

/// Whether a folder is on btrfs.
#[must_use]
pub fn is_btrfs(dir: impl AsFd) -> bool {
    rustix::fs::fstatfs(dir).is_ok_and(|found| u64::try_from(found.f_type) == Ok(BTRFS))
}

impl Dir {
    /// Makes an empty subvolume in this folder.
    ///
    /// # Errors
    /// Fails where there are no subvolumes, it is not allowed, or the name is taken.
    pub fn new_subvolume(&self, name: &OsStr) -> Result<(), Errno> {
        const MAKE: ioctl::Opcode = ioctl::opcode::write::<VolumeArguments2>(GROUP, 24);
        let arguments = VolumeArguments2::of(name, 0)?;
        #[expect(unsafe_code, reason = "no safe wrapper exists")]
        // SAFETY: BTRFS_IOC_SUBVOL_CREATE_V2 reads one `btrfs_ioctl_vol_args_v2`, whose layout
        // and size this is; the name in it ends with a NUL. Nothing is written back.
        unsafe {
            ioctl::ioctl(self, ioctl::Setter::<MAKE, _>::new(arguments))
        }
    }

    /// Makes a writable clone of a whole subvolume in this folder, at one instant; it shares all blocks.
    ///
    /// # Errors
    /// Fails where that is no subvolume, it is not allowed, or the name is taken.
    pub fn clone_subvolume(&self, from: &Self, name: &OsStr) -> Result<(), Errno> {
        use std::os::fd::AsRawFd as _;
        const CLONE: ioctl::Opcode = ioctl::opcode::write::<VolumeArguments2>(GROUP, 23);
        let arguments = VolumeArguments2::of(name, from.as_fd().as_raw_fd().into())?;
        #[expect(unsafe_code, reason = "no safe wrapper exists")]
        // SAFETY: BTRFS_IOC_SNAP_CREATE_V2 reads one `btrfs_ioctl_vol_args_v2`, whose layout and
        // size this is; the descriptor in it is open for as long as `from` is borrowed. Nothing is
        // written back.
        unsafe {
            ioctl::ioctl(self, ioctl::Setter::<CLONE, _>::new(arguments))
        }
    }

    /// Whether this folder is a subvolume's own.
    #[must_use]
    pub fn is_subvolume(&self) -> bool {
        self.stat_self().is_ok_and(|stat| stat.ino == ROOT_INODE) && is_btrfs(self)
    }

    /// Whether the subvolume that this folder is can only be read.
    ///
    /// # Errors
    /// Fails where it is no subvolume.
    pub fn is_read_only(&self) -> Result<bool, Errno> {
        Ok(self.subvolume_flags()? & READ_ONLY != 0)
    }

    /// Makes the subvolume that this folder is read-only, or writable again. Nobody can write to what
    /// is in a read-only one, nor move it to another folder.
    ///
    /// # Errors
    /// Fails where it is no subvolume, or it is not allowed.
    pub fn set_read_only(&self, wanted: bool) -> Result<(), Errno> {
        const SET: ioctl::Opcode = ioctl::opcode::write::<u64>(GROUP, 26);
        let found = self.subvolume_flags()?;
        if (found & READ_ONLY != 0) == wanted {
            return Ok(());
        }
        let flags = found ^ READ_ONLY;
        #[expect(unsafe_code, reason = "no safe wrapper exists")]
        // SAFETY: BTRFS_IOC_SUBVOL_SETFLAGS reads one `u64`. Nothing is written back.
        unsafe {
            ioctl::ioctl(self, ioctl::Setter::<SET, _>::new(flags))
        }
    }

    fn subvolume_flags(&self) -> Result<u64, Errno> {
        const GET: ioctl::Opcode = ioctl::opcode::read::<u64>(GROUP, 25);
        #[expect(unsafe_code, reason = "no safe wrapper exists")]
        // SAFETY: BTRFS_IOC_SUBVOL_GETFLAGS writes one `u64`, which the opcode encodes, and every bit
        // pattern of it is valid.
        unsafe {
            ioctl::ioctl(self, ioctl::Getter::<GET, u64>::new())
        }
    }

    /// When an inode of the subvolume that this folder is was last changed, whichever it was. To open or
    /// close it to writers, to clone it and to move it are no such changes.
    ///
    /// # Errors
    /// Fails where it is no subvolume, or the kernel does not tell (before Linux 4.18).
    pub fn changed_at(&self) -> Result<Nanos, Errno> {
        const ASK: ioctl::Opcode = ioctl::opcode::read::<SubvolumeFacts>(GROUP, 60);
        #[expect(unsafe_code, reason = "no safe wrapper exists")]
        // SAFETY: BTRFS_IOC_GET_SUBVOL_INFO writes one `btrfs_ioctl_get_subvol_info_args`, whose layout
        // and size this is, and every bit pattern of it is valid.
        let facts = unsafe { ioctl::ioctl(self, ioctl::Getter::<ASK, SubvolumeFacts>::new()) }?;
        let Time { seconds, nanos } = facts.changed;
        Ok(Nanos::from(seconds.cast_signed()) * 1_000_000_000 + Nanos::from(nanos))
    }

    /// Removes a subvolume with all that is in it, at one instant; its room is given back later.
    ///
    /// # Errors
    /// Fails where it is no subvolume, or it is not allowed; `ENOTEMPTY` if other ones are in it.
    pub fn remove_subvolume(&self, name: &OsStr) -> Result<(), Errno> {
        const REMOVE: ioctl::Opcode = ioctl::opcode::write::<VolumeArguments>(GROUP, 15);
        let arguments = VolumeArguments {
            fd: 0,
            name: name_of(name)?,
        };
        #[expect(unsafe_code, reason = "no safe wrapper exists")]
        // SAFETY: BTRFS_IOC_SNAP_DESTROY reads one `btrfs_ioctl_vol_args`, whose layout and size this
        // is; the name in it ends with a NUL. Nothing is written back.
        unsafe {
            ioctl::ioctl(self, ioctl::Setter::<REMOVE, _>::new(arguments))
        }
    }

    /// Has the file system begin to give back the room of subvolumes that were removed.
    ///
    /// # Errors
    /// Fails where this is not btrfs, or the disk did not take what was written.
    pub fn give_back_room(&self) -> Result<(), Errno> {
        const SYNC: ioctl::Opcode = ioctl::opcode::none(GROUP, 8);
        #[expect(unsafe_code, reason = "no safe wrapper exists")]
        // SAFETY: BTRFS_IOC_SYNC takes no argument.
        unsafe {
            ioctl::ioctl(self, ioctl::NoArg::<SYNC>::new())
        }
    }

    /// Opens the subvolume of this name in this folder; none if something else has the name, or nothing.
    ///
    /// # Errors
    /// Fails if it cannot be looked at or opened.
    pub fn subvolume(&self, name: &OsStr) -> Result<Option<Self>, Errno> {
        let there = self.look(name)?;
        if there.is_none_or(|there| there.kind != Kind::Folder || there.ino != ROOT_INODE) {
            return Ok(None);
        }
        let dir = self.folder(name)?;
        Ok(dir.is_subvolume().then_some(dir))
    }

    /// Lets an entry of this folder be moved to another one, if it is a read-only subvolume; says
    /// whether it was one.
    ///
    /// # Errors
    /// Fails if it cannot be opened, or this is not allowed.
    pub fn unlock_subvolume(&self, name: &OsStr) -> Result<bool, Errno> {
        let Some(subvolume) = self.subvolume(name)? else {
            return Ok(false);
        };
        let was = subvolume.is_read_only()?;
        subvolume.set_read_only(false)?;
        Ok(was)
    }

    /// Makes an entry of this folder read-only, if it is a subvolume.
    ///
    /// # Errors
    /// Fails if it cannot be opened, or this is not allowed.
    pub fn lock_subvolume(&self, name: &OsStr) -> Result<(), Errno> {
        match self.subvolume(name)? {
            Some(subvolume) => subvolume.set_read_only(true),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_names_reach_the_kernel() {
        for refused in ["", ".", "..", "a/b", "/a"] {
            assert_eq!(name_of::<8>(refused.as_ref()), Err(Errno::INVAL));
        }
        assert_eq!(name_of::<4>("abcd".as_ref()), Err(Errno::NAMETOOLONG));
        assert_eq!(name_of::<4>("abc".as_ref()), Ok(*b"abc\0"));
    }

    #[test]
    fn where_there_are_no_subvolumes_nothing_is_one() {
        // No test runs on a btrfs of its own here; the ones that do mount one.
        let proc = crate::sys::resolve::resolve("/proc".as_ref()).unwrap();
        let proc = proc.folder().unwrap();
        assert!(!is_btrfs(&proc) && !proc.is_subvolume());
        assert!(proc.is_read_only().is_err() && proc.changed_at().is_err());
        assert_eq!(proc.subvolume("self".as_ref()).unwrap().map(|_| ()), None);
        assert!(proc.new_subvolume("x".as_ref()).is_err());
        assert_eq!(proc.lock_subvolume("sys".as_ref()), Ok(()));
    }
}
