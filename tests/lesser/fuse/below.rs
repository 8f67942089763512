//! The folder below, and what of it is shown, allowed and done as [`Lacks`] says.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{Errno, FileAttr, FileHandle, FileType, Generation, INodeNo, ReplyEntry, TimeOrNow};
use rustix::fs::{
    AtFlags, CWD, Mode, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, mknodat, utimensat,
};

use super::{
    faults::Faults,
    lacks::{How, Lacks},
    nodes::Nodes,
};

/// Nothing is remembered by the kernel, so that it always sees what was really done.
pub(super) const NO_TIME: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;

pub(super) type Answer<T> = Result<T, Errno>;
/// What a folder holds.
type List = Vec<(INodeNo, FileType, OsString)>;

pub(super) struct Lesser {
    pub(super) below: PathBuf,
    pub(super) lacks: Lacks,
    pub(super) faults: Arc<Faults>,
    pub(super) nodes: Mutex<Nodes>,
    pub(super) files: Mutex<HashMap<u64, File>>,
    pub(super) lists: Mutex<HashMap<u64, List>>,
    pub(super) handles: Mutex<u64>,
}

impl Lesser {
    pub(super) fn new(below: &Path, lacks: Lacks, faults: Arc<Faults>) -> Self {
        Self {
            below: below.to_owned(),
            nodes: Mutex::new(Nodes::new(lacks.lasting_inodes, lacks.apart)),
            lacks,
            faults,
            files: Mutex::default(),
            lists: Mutex::default(),
            handles: Mutex::default(),
        }
    }

    pub(super) fn path(&self, node: INodeNo) -> Answer<PathBuf> {
        self.faults.called();
        Ok(self.below.join(self.nodes.lock().unwrap().path(node)?))
    }

    /// The path of a name that may be there, as it is written there.
    pub(super) fn child(&self, parent: INodeNo, name: &OsStr) -> Answer<PathBuf> {
        let folder = self.path(parent)?;
        self.allowed(&folder, 0o100)?;
        let mut bytes = name.as_bytes();
        let lacks = &self.lacks;
        if lacks.name_max > 0 && bytes.len() > lacks.name_max {
            return Err(Errno::ENAMETOOLONG);
        }
        let unknown = lacks.any_bytes && std::str::from_utf8(bytes).is_err();
        if unknown || bytes.iter().any(|byte| lacks.forbidden.contains(byte)) {
            return Err(Errno::EINVAL);
        }
        while lacks.name_ends && bytes.len() > 1 && matches!(bytes.last(), Some(b'.' | b' ')) {
            bytes = &bytes[..bytes.len() - 1];
        }
        let name = OsStr::from_bytes(bytes);
        if lacks.case && fs::symlink_metadata(folder.join(name)).is_err() {
            let folded = |name: &OsStr| name.to_string_lossy().to_lowercase();
            let wanted = folded(name);
            let mut names = fs::read_dir(&folder)?
                .flatten()
                .map(|entry| entry.file_name());
            if let Some(found) = names.find(|found| folded(found) == wanted) {
                return Ok(folder.join(found));
            }
        }
        Ok(folder.join(name))
    }

    /// A path that is about to be made, or an error if there is something.
    pub(super) fn new_child(&self, parent: INodeNo, name: &OsStr) -> Answer<PathBuf> {
        let path = self.child(parent, name)?;
        self.allowed(&self.path(parent)?, 0o300)?;
        if fs::symlink_metadata(&path).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.faults.change()?;
        Ok(path)
    }

    /// Nobody has no more rights than the owner's bits give, whoever asks.
    pub(super) fn allowed(&self, folder: &Path, bits: u32) -> Answer<()> {
        let mode = fs::symlink_metadata(folder)?.mode();
        if self.lacks.squashed_to.is_some() && mode & bits != bits {
            return Err(Errno::EACCES);
        }
        Ok(())
    }

    /// Gives what was just made the mode and the owner that this server gives it.
    pub(super) fn make_own(&self, path: &Path) -> Answer<()> {
        let Some(owner) = self.lacks.makes_as else {
            return Ok(());
        };
        std::os::unix::fs::lchown(path, Some(owner), Some(owner))?;
        let found = fs::symlink_metadata(path)?;
        if !found.is_symlink() {
            // Some bits fewer and some more, and never fewer than its owner needs.
            let mode = found.mode() & 0o7777 & !0o044 | 0o711;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    pub(super) fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.below).unwrap_or(path)
    }

    pub(super) fn attributes(&self, path: &Path) -> Answer<FileAttr> {
        let found = fs::symlink_metadata(path)?;
        let number = self
            .nodes
            .lock()
            .unwrap()
            .number(self.relative(path), &found);
        Ok(self.describe(&found, number))
    }

    pub(super) fn describe(&self, found: &fs::Metadata, number: u64) -> FileAttr {
        let lacks = &self.lacks;
        let owner = lacks.squashed_to.unwrap_or_default();
        let owned = lacks.owners == How::Ran && lacks.squashed_to.is_none();
        let mtime = match lacks.times {
            How::Ran => time(found.mtime(), found.mtime_nsec(), lacks.time_step),
            _ => time(found.ctime(), found.ctime_nsec(), lacks.time_step),
        };
        FileAttr {
            ino: INodeNo(number),
            size: found.size(),
            blocks: found.blocks(),
            atime: mtime,
            mtime,
            ctime: match lacks.change_times {
                true => mtime,
                false => time(found.ctime(), found.ctime_nsec(), 0),
            },
            crtime: UNIX_EPOCH,
            kind: FileType::from_std(found.file_type()).unwrap(),
            perm: match lacks.modes {
                How::Ran => (found.mode() & 0o7777) as u16,
                _ => 0o755,
            },
            nlink: if lacks.apart { 1 } else { found.nlink() as u32 },
            uid: if owned { found.uid() } else { owner },
            gid: if owned { found.gid() } else { owner },
            rdev: found.rdev() as u32,
            blksize: BLOCK,
            flags: 0,
        }
    }

    pub(super) fn entry(&self, path: Answer<PathBuf>, reply: ReplyEntry) {
        match path.and_then(|path| self.attributes(&path)) {
            Ok(found) => reply.entry(&NO_TIME, &found, self.generation(found.ino)),
            Err(error) => reply.error(error),
        }
    }

    pub(super) fn generation(&self, number: INodeNo) -> Generation {
        Generation(self.nodes.lock().unwrap().generation(number.0))
    }

    pub(super) fn keep(&self, file: File) -> FileHandle {
        let mut last = self.handles.lock().unwrap();
        *last += 1;
        self.files.lock().unwrap().insert(*last, file);
        FileHandle(*last)
    }

    pub(super) fn file(&self, handle: FileHandle) -> Answer<File> {
        self.faults.called();
        let files = self.files.lock().unwrap();
        Ok(files.get(&handle.0).ok_or(Errno::EBADF)?.try_clone()?)
    }

    pub(super) fn how_attribute(&self, name: &OsStr) -> How {
        if name.as_bytes().starts_with(b"system.posix_acl_") {
            self.lacks.acls
        } else {
            self.lacks.xattrs
        }
    }

    pub(super) fn remove(
        &self,
        parent: INodeNo,
        name: &OsStr,
        how: impl Fn(&Path) -> std::io::Result<()>,
    ) -> Answer<()> {
        let path = self.child(parent, name)?;
        self.allowed(&self.path(parent)?, 0o300)?;
        self.faults.change()?;
        how(&path)?;
        self.nodes.lock().unwrap().removed(self.relative(&path));
        Ok(())
    }

    pub(super) fn set(&self, path: &Path, wanted: &Wanted, file: Option<File>) -> Answer<()> {
        self.faults.change()?;
        let lacks = &self.lacks;
        let mut path = path.to_owned();
        if lacks.symlink_metadata && path.is_symlink() {
            path = fs::canonicalize(path)?;
            // The real ones change whatever it is.
            if !path.starts_with(&self.below) {
                return Err(Errno::EXDEV);
            }
        }
        let path = path.as_path();
        if let Some(mode) = wanted.mode
            && Lacks::refuse(lacks.modes, Errno::EPERM)?
        {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))?;
        }
        if (wanted.uid.is_some() || wanted.gid.is_some())
            && Lacks::refuse(lacks.owners, Errno::EPERM)?
        {
            std::os::unix::fs::lchown(path, wanted.uid, wanted.gid)?;
        }
        if let Some(size) = wanted.size {
            if lacks.file_max > 0 && size > lacks.file_max {
                return Err(Errno::EFBIG);
            }
            match file {
                Some(file) => file.set_len(size)?,
                None => OpenOptions::new().write(true).open(path)?.set_len(size)?,
            }
        }
        if let Some(mtime) = wanted.mtime
            && Lacks::refuse(lacks.times, Errno::EPERM)?
        {
            let omit = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            };
            let times = Timestamps {
                last_access: omit,
                last_modification: timespec(mtime),
            };
            utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
        }
        Ok(())
    }

    pub(super) fn make_node(&self, path: &Path, mode: u32, device: u32) -> Answer<()> {
        let kind = rustix::fs::FileType::from_raw_mode(mode);
        let how = match kind {
            rustix::fs::FileType::RegularFile => How::Ran,
            rustix::fs::FileType::Fifo | rustix::fs::FileType::Socket => self.lacks.fifos,
            _ => self.lacks.devices,
        };
        let mode = Mode::from_raw_mode(mode & 0o7777);
        if Lacks::refuse(how, Errno::EPERM)? {
            let device = rustix::fs::makedev((device >> 8) & 0xfff, device & 0xff);
            mknodat(CWD, path, kind, mode, device).map_err(errno)
        } else {
            Ok(fs::write(path, "")?)
        }
    }

    pub(super) fn listed(&self, folder: &Path) -> Answer<List> {
        self.allowed(folder, 0o400)?;
        let mut all = vec![
            (INodeNo(1), FileType::Directory, OsString::from(".")),
            (INodeNo(1), FileType::Directory, OsString::from("..")),
        ];
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = FileType::from_std(entry.file_type()?).unwrap();
            let found = entry.metadata()?;
            let path = self.relative(&folder.join(entry.file_name())).to_owned();
            let number = self.nodes.lock().unwrap().number(&path, &found);
            all.push((INodeNo(number), kind, entry.file_name()));
        }
        Ok(all)
    }
}

/// What an entry is to become.
pub(super) struct Wanted {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<TimeOrNow>,
}

pub(super) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_i32(error.raw_os_error())
}

/// A time cut to a step.
fn time(seconds: i64, nanos: i64, step: u64) -> SystemTime {
    let all = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let cut = all - all.rem_euclid(i128::from(step.max(1)));
    let apart = Duration::from_nanos(cut.unsigned_abs() as u64);
    if cut < 0 {
        UNIX_EPOCH - apart
    } else {
        UNIX_EPOCH + apart
    }
}

fn timespec(time: TimeOrNow) -> Timespec {
    let TimeOrNow::SpecificTime(time) = time else {
        return Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
    };
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
        // What fuser 0.18 makes of a time before 1970, undone.
        Err(before) => {
            let before = before.duration();
            (-(before.as_secs() as i64), before.subsec_nanos())
        }
    };
    Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    }
}
