//! An open folder: what is in it, and what of that is opened. What is done to its entries is in
//! [`super::entries`].

use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{Mode, OFlags, RawDir, ResolveFlags, openat, openat2, readlinkat},
    io::Errno,
    mount::{OpenTreeFlags, open_tree},
};

use super::stat::{Kind, Stat};

/// An open folder.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a folder says of an entry, without a look at the entry itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// Its inode number. To look at entries in this order is to read a disk from front to back.
    pub inode: u64,
    /// What the folder says that it is; some file systems say nothing of it.
    pub kind: Option<Kind>,
}

impl Listed {
    /// Whether the folder says that it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.kind == Some(Kind::Folder)
    }
}

/// Bytes that the kernel takes as one path, the final NUL included (`linux/limits.h`).
const PATH_MAX: usize = 4096;

const OPEN_DIR: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Never blocks on a FIFO, and makes no terminal ours.
const OPEN_FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

impl Dir {
    /// A folder that was opened elsewhere.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// A descriptor that only names a folder, which need not be readable.
    ///
    /// # Errors
    /// Fails if the folder cannot be reached.
    pub fn named_only(&self, name: &OsStr) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.0, name, flags, Mode::empty()).map(Self)
    }

    /// The root of the file-system tree.
    ///
    /// # Errors
    /// Fails if the root cannot be opened.
    pub fn root() -> Result<Self, Errno> {
        openat(rustix::fs::CWD, "/", OPEN_DIR, Mode::empty()).map(Self)
    }

    /// Another descriptor of the same folder.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn again(&self) -> Result<Self, Errno> {
        openat(&self.0, ".", OPEN_DIR, Mode::empty()).map(Self)
    }

    /// Opens a folder in this one; `ENOTDIR` or `ELOOP` if it is anything else.
    ///
    /// # Errors
    /// Fails if the folder cannot be opened.
    pub fn folder(&self, name: &OsStr) -> Result<Self, Errno> {
        self.open(name, OPEN_DIR).map(Self)
    }

    /// Opens a folder at a relative path below this one, following no symlink on the way.
    ///
    /// One call where the kernel has `openat2` (Linux 5.6), which cannot be led out of this folder;
    /// one call for each component where it has not, or where the path is longer than it takes.
    ///
    /// # Errors
    /// Fails if a folder cannot be opened; `ENOTDIR` or `ELOOP` if a component is anything but a folder.
    pub fn folder_below(&self, path: &[u8]) -> Result<Self, Errno> {
        if !path.contains(&b'/') {
            return self.folder(OsStr::from_bytes(path));
        }
        self.folder_along(path, ResolveFlags::empty())
    }

    /// The same for a folder that nothing is mounted on the way to: `EXDEV` otherwise. So nobody asks a
    /// file system that appeared meanwhile and may never answer.
    ///
    /// # Errors
    /// As [`Self::folder_below`]. Where the kernel has no `openat2`, mounts are crossed.
    pub fn folder_here(&self, path: &[u8]) -> Result<Self, Errno> {
        self.folder_along(path, ResolveFlags::NO_XDEV)
    }

    fn folder_along(&self, path: &[u8], more: ResolveFlags) -> Result<Self, Errno> {
        if path.len() < PATH_MAX
            && let Some(opened) = self.open_beneath(path, OPEN_DIR, more)
            // A rename elsewhere made the kernel give up.
            && !matches!(opened, Err(Errno::AGAIN))
        {
            return opened.map(Self);
        }
        let mut parts = path.split(|byte| *byte == b'/').map(OsStr::from_bytes);
        let mut dir = self.folder(parts.next().unwrap_or_default())?;
        for part in parts {
            dir = dir.folder(part)?;
        }
        Ok(dir)
    }

    /// Opens a folder in this one, making it first where it is missing.
    ///
    /// # Errors
    /// Fails if the folder cannot be made or opened.
    pub fn folder_or_new(&self, name: &OsStr, mode: u32) -> Result<Self, Errno> {
        match self.make_folder(name, mode) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(error) => Err(error),
        }
    }

    /// Opens a file for reading without touching its access time where that is allowed.
    ///
    /// Never blocks on a FIFO that took the file's place; look at what was opened.
    ///
    /// # Errors
    /// Fails if the file cannot be opened.
    pub fn file(&self, name: &OsStr) -> Result<File, Errno> {
        self.open(name, OPEN_FILE).map(File::from)
    }

    /// The same for a file that nothing is mounted on: `EXDEV` otherwise.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn file_here(&self, name: &OsStr) -> Result<File, Errno> {
        match self.open_beneath(name.as_bytes(), OPEN_FILE, ResolveFlags::NO_XDEV) {
            Some(opened) => opened.map(File::from),
            None => self.file(name),
        }
    }

    /// Opens an entry below this folder by one call that cannot be led out of it; none where the
    /// kernel does not have it.
    fn open_beneath(
        &self,
        path: &[u8],
        flags: OFlags,
        more: ResolveFlags,
    ) -> Option<Result<OwnedFd, Errno>> {
        static MISSING: AtomicBool = AtomicBool::new(false);
        if MISSING.load(Ordering::Relaxed) {
            return None;
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | more;
        let open = |flags| openat2(&self.0, path, flags, Mode::empty(), resolve);
        let opened = match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags),
            result => result,
        };
        if matches!(opened, Err(Errno::NOSYS | Errno::PERM)) {
            // Seccomp filters of containers say EPERM for calls that they do not know.
            MISSING.store(true, Ordering::Relaxed);
            return None;
        }
        Some(opened)
    }

    /// Opens an entry, first with `O_NOATIME`, which only the owner and root may ask for.
    fn open(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        match openat(&self.0, name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => openat(&self.0, name, flags, Mode::empty()),
            result => result,
        }
    }

    /// Creates a file for writing; `EEXIST` if the name is taken.
    ///
    /// # Errors
    /// Fails if the file cannot be created.
    pub fn new_file(&self, name: &OsStr, mode: u32) -> Result<File, Errno> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.0, name, flags, Mode::from_raw_mode(mode)).map(File::from)
    }

    /// Opens a file for reading and writing, creating it where it is missing.
    ///
    /// # Errors
    /// Fails if the file cannot be opened or created.
    pub fn file_or_new(&self, name: &OsStr, mode: u32) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.0, name, flags, Mode::from_raw_mode(mode)).map(File::from)
    }

    /// Opens a file for appending, creating it where it is missing.
    ///
    /// Never blocks on a FIFO that took the file's place; look at what was opened.
    ///
    /// # Errors
    /// Fails if the file cannot be opened or created.
    pub fn append_or_new(&self, name: &OsStr, mode: u32) -> Result<File, Errno> {
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NONBLOCK
            | OFlags::NOCTTY;
        openat(&self.0, name, flags, Mode::from_raw_mode(mode)).map(File::from)
    }

    /// What the kernel says of an entry.
    ///
    /// # Errors
    /// Fails if the entry cannot be looked at, or is not there.
    pub fn stat(&self, name: &OsStr) -> Result<Stat, Errno> {
        Stat::of(&self.0, name)
    }

    /// What the kernel knows of an entry without asking whoever serves its file system: of a local one
    /// that is all, and one that is mounted there and may never answer is not waited for.
    ///
    /// # Errors
    /// Fails if the entry cannot be looked at, or is not there.
    pub fn stat_unasked(&self, name: &OsStr) -> Result<Stat, Errno> {
        Stat::of_unasked(&self.0, name)
    }

    /// What the kernel says of an entry, `None` if there is none of that name.
    ///
    /// # Errors
    /// Fails if the entry cannot be looked at.
    pub fn look(&self, name: &OsStr) -> Result<Option<Stat>, Errno> {
        match self.stat(name) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the kernel says of the folder that something is mounted on, which is not asked.
    ///
    /// # Errors
    /// Fails if what is below the mount cannot be seen; `EPERM` for all but root.
    pub fn covered(&self, name: &OsStr) -> Result<Stat, Errno> {
        // A copy of this mount without those in it, which goes away again with its descriptor.
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Self(open_tree(&self.0, ".", flags)?).stat(name)
    }

    /// What the kernel says of this folder.
    ///
    /// # Errors
    /// Fails if the folder cannot be looked at.
    pub fn stat_self(&self) -> Result<Stat, Errno> {
        Stat::of_fd(&self.0)
    }

    /// The names in this folder, in byte order.
    ///
    /// # Errors
    /// Fails if the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<OsString>, Errno> {
        let mut listed = self.list()?;
        listed.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(listed.into_iter().map(|one| one.name).collect())
    }

    /// What the folder says of its entries, in its own order.
    ///
    /// # Errors
    /// Fails if the folder cannot be listed.
    pub fn list(&self) -> Result<Vec<Listed>, Errno> {
        // A fresh description: some file systems list what was there when theirs was opened.
        Self(self.open(OsStr::new("."), OPEN_DIR)?).list_once()
    }

    /// The same for a folder that was opened just now and is listed only once, which costs less.
    ///
    /// # Errors
    /// Fails if the folder cannot be listed.
    pub fn list_once(&self) -> Result<Vec<Listed>, Errno> {
        let mut listed = Vec::new();
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut entries = RawDir::new(&self.0, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                listed.push(Listed {
                    name: OsString::from_vec(name.to_vec()),
                    inode: entry.ino(),
                    kind: Kind::of(entry.file_type()),
                });
            }
        }
        Ok(listed)
    }

    /// Reads all names of this folder and keeps none: whoever answers for a network file system sends with
    /// them what the entries are, which is then known.
    ///
    /// # Errors
    /// Fails if the folder cannot be read.
    pub fn read_through(&self) -> Result<(), Errno> {
        let fresh = self.open(OsStr::new("."), OPEN_DIR)?;
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut entries = RawDir::new(&fresh, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            entry?;
        }
        Ok(())
    }

    /// What a symlink points to.
    ///
    /// # Errors
    /// Fails if the entry is no symlink or cannot be read.
    pub fn read_symlink(&self, name: &OsStr) -> Result<OsString, Errno> {
        let target: CString = readlinkat(&self.0, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// Opens the folder that holds a relative path of several names, one name after the other, and
    /// gives the last name.
    ///
    /// # Errors
    /// Fails if a folder on the way cannot be opened; `ENOTDIR` or `ELOOP` if anything on the way is not a folder.
    pub fn descend<'p>(&self, path: &'p [u8]) -> Result<(Self, &'p OsStr), Errno> {
        let mut dir = self.again()?;
        let mut parts = path.split(|byte| *byte == b'/');
        let name = parts.next_back().unwrap_or_default();
        for part in parts {
            dir = dir.folder(OsStr::from_bytes(part))?;
        }
        Ok((dir, OsStr::from_bytes(name)))
    }

    /// The path that the kernel knows an entry of this folder by, for comparing places only.
    ///
    /// # Errors
    /// Fails if the kernel does not tell.
    pub fn proc_name(&self, name: &OsStr) -> std::io::Result<Vec<u8>> {
        let own = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        let mut path = std::fs::read_link(own)?.into_os_string().into_vec();
        if name != "." {
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
        }
        Ok(path)
    }

    /// Path of an entry through this descriptor, for the calls that know no descriptors.
    #[must_use]
    pub fn proc_path(&self, name: &OsStr) -> Vec<u8> {
        let mut path = format!("/proc/self/fd/{}/", self.0.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.as_bytes());
        path
    }
}
