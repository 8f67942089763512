//! What is done to the entries of an open folder by single names: made, linked, renamed, removed, given
//! metadata, and put on the disk.

use std::ffi::OsStr;

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, RenameFlags, Uid, chmodat, chownat, fsync, linkat, makedev,
        mkdirat, mknodat, renameat, renameat_with, symlinkat, syncfs, unlinkat, utimensat,
    },
    io::Errno,
};

use super::{Dir, Kind, open::timestamps, stat::Nanos};

impl Dir {
    /// Makes a folder.
    ///
    /// # Errors
    /// Fails if the folder cannot be made, as where the name is taken.
    pub fn make_folder(&self, name: &OsStr, mode: u32) -> Result<(), Errno> {
        mkdirat(self, name, Mode::from_raw_mode(mode))
    }

    /// Makes a symlink.
    ///
    /// # Errors
    /// Fails if the symlink cannot be made, as where the name is taken.
    pub fn make_symlink(&self, target: &OsStr, name: &OsStr) -> Result<(), Errno> {
        symlinkat(target, self, name)
    }

    /// Makes a FIFO, a socket or a device.
    ///
    /// # Errors
    /// Fails if the entry cannot be made; `EINVAL` for any other kind.
    pub fn make_special(&self, name: &OsStr, kind: Kind, device: (u32, u32)) -> Result<(), Errno> {
        let file_type = match kind {
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::File | Kind::Folder | Kind::Symlink => return Err(Errno::INVAL),
        };
        let mode = Mode::from_raw_mode(0o600);
        mknodat(self, name, file_type, mode, makedev(device.0, device.1))
    }

    /// Gives an entry of another folder a name in this one.
    ///
    /// # Errors
    /// Fails if the file system makes no such link, or the name is taken.
    pub fn link_from(&self, from: &Self, from_name: &OsStr, name: &OsStr) -> Result<(), Errno> {
        linkat(from, from_name, self, name, AtFlags::empty())
    }

    /// Renames an entry into another folder; `EEXIST` if the name is taken there.
    ///
    /// Where the file system cannot refuse a taken name in the rename itself (some FUSE and
    /// network ones), the name is looked for first.
    ///
    /// # Errors
    /// Fails if the entry cannot be renamed, as where the name is taken.
    pub fn rename_new(&self, name: &OsStr, to: &Self, to_name: &OsStr) -> Result<(), Errno> {
        match renameat_with(self, name, to, to_name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                if to.look(to_name)?.is_some() {
                    return Err(Errno::EXIST);
                }
                renameat(self, name, to, to_name)
            }
            result => result,
        }
    }

    /// Exchanges two entries at one instant.
    ///
    /// # Errors
    /// Fails if the names cannot be exchanged; `EINVAL` where the file system cannot.
    pub fn exchange(&self, name: &OsStr, other: &Self, other_name: &OsStr) -> Result<(), Errno> {
        renameat_with(self, name, other, other_name, RenameFlags::EXCHANGE)
    }

    /// Renames an entry within this folder over whatever has the name.
    ///
    /// # Errors
    /// Fails if the entry cannot be renamed.
    pub fn rename_over(&self, name: &OsStr, to_name: &OsStr) -> Result<(), Errno> {
        renameat(self, name, self, to_name)
    }

    /// Renames an entry into another folder over whatever has the name there.
    ///
    /// # Errors
    /// Fails if the entry cannot be renamed.
    pub fn rename_to(&self, name: &OsStr, to: &Self, to_name: &OsStr) -> Result<(), Errno> {
        renameat(self, name, to, to_name)
    }

    /// Removes anything but a folder.
    ///
    /// # Errors
    /// Fails if the entry cannot be removed, as where it is a folder.
    pub fn remove_file(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(self, name, AtFlags::empty())
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// Fails if the folder cannot be removed, as where it is not empty.
    pub fn remove_folder(&self, name: &OsStr) -> Result<(), Errno> {
        unlinkat(self, name, AtFlags::REMOVEDIR)
    }

    /// Sets the owner of an entry, not of what a symlink points to.
    ///
    /// # Errors
    /// Fails if the owner cannot be set, as where only root may.
    pub fn set_owner(&self, name: &OsStr, uid: u32, gid: u32) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        chownat(self, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Sets the modification time of an entry, not of what a symlink points to.
    ///
    /// # Errors
    /// Fails if the time cannot be set.
    pub fn set_mtime(&self, name: &OsStr, mtime: Nanos) -> Result<(), Errno> {
        utimensat(self, name, &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Sets the permission bits of an entry that cannot be opened, such as a FIFO or a folder
    /// without permissions. Follows a symlink: only for names that nobody else can change.
    ///
    /// # Errors
    /// Fails if the mode cannot be set.
    pub fn set_mode_of(&self, name: &OsStr, mode: u32) -> Result<(), Errno> {
        chmodat(self, name, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    /// Makes this folder's entries durable.
    ///
    /// # Errors
    /// Fails if the disk did not take it; never to be tried again into success.
    pub fn sync(&self) -> Result<(), Errno> {
        fsync(self)
    }

    /// Makes everything on this folder's file system durable.
    ///
    /// # Errors
    /// Fails if the disk did not take it; never to be tried again into success.
    pub fn sync_file_system(&self) -> Result<(), Errno> {
        syncfs(self)
    }
}
