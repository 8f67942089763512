//! The calls of the kernel, each passed on to the folder below or met as [`Lacks`] says.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{
    AtFlags, CWD, Mode, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, XattrFlags, mknodat, utimensat,
};

use super::{
    faults::Faults,
    lacks::{How, Lacks},
    nodes::Nodes,
};

/// Nothing is remembered by the kernel, so that it always sees what was really done.
const NO_TIME: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;

type Answer<T> = Result<T, Errno>;

pub(super) struct Lesser {
    below: PathBuf,
    lacks: Lacks,
    faults: Arc<Faults>,
    nodes: Mutex<Nodes>,
    files: Mutex<HashMap<u64, File>>,
    lists: Mutex<HashMap<u64, Vec<(INodeNo, FileType, OsString)>>>,
    handles: Mutex<u64>,
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

    fn path(&self, node: INodeNo) -> Answer<PathBuf> {
        Ok(self.below.join(self.nodes.lock().unwrap().path(node)?))
    }

    /// The path of a name that may be there, as it is written there.
    fn child(&self, parent: INodeNo, name: &OsStr) -> Answer<PathBuf> {
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
    fn new_child(&self, parent: INodeNo, name: &OsStr) -> Answer<PathBuf> {
        let path = self.child(parent, name)?;
        self.allowed(&self.path(parent)?, 0o300)?;
        if fs::symlink_metadata(&path).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.faults.change()?;
        Ok(path)
    }

    /// Nobody has no more rights than the owner's bits give, whoever asks.
    fn allowed(&self, folder: &Path, bits: u32) -> Answer<()> {
        let mode = fs::symlink_metadata(folder)?.mode();
        if self.lacks.squashed_to.is_some() && mode & bits != bits {
            return Err(Errno::EACCES);
        }
        Ok(())
    }

    fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.below).unwrap_or(path)
    }

    fn attributes(&self, path: &Path) -> Answer<FileAttr> {
        let found = fs::symlink_metadata(path)?;
        let number = self
            .nodes
            .lock()
            .unwrap()
            .number(self.relative(path), &found);
        Ok(self.describe(&found, number))
    }

    fn describe(&self, found: &fs::Metadata, number: u64) -> FileAttr {
        let lacks = &self.lacks;
        let owner = lacks.squashed_to.unwrap_or_default();
        let owned = lacks.owners == How::Done && lacks.squashed_to.is_none();
        let mtime = match lacks.times {
            How::Done => time(found.mtime(), found.mtime_nsec(), lacks.time_step),
            _ => time(found.ctime(), found.ctime_nsec(), lacks.time_step),
        };
        FileAttr {
            ino: INodeNo(number),
            size: found.size(),
            blocks: found.blocks(),
            atime: mtime,
            mtime,
            ctime: time(found.ctime(), found.ctime_nsec(), 0),
            crtime: UNIX_EPOCH,
            kind: FileType::from_std(found.file_type()).unwrap(),
            perm: match lacks.modes {
                How::Done => (found.mode() & 0o7777) as u16,
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

    fn entry(&self, path: Answer<PathBuf>, reply: ReplyEntry) {
        match path.and_then(|path| self.attributes(&path)) {
            Ok(found) => reply.entry(&NO_TIME, &found, self.generation(found.ino)),
            Err(error) => reply.error(error),
        }
    }

    fn generation(&self, number: INodeNo) -> Generation {
        Generation(self.nodes.lock().unwrap().generation(number.0))
    }

    fn keep(&self, file: File) -> FileHandle {
        let mut last = self.handles.lock().unwrap();
        *last += 1;
        self.files.lock().unwrap().insert(*last, file);
        FileHandle(*last)
    }

    fn file(&self, handle: FileHandle) -> Answer<File> {
        let files = self.files.lock().unwrap();
        Ok(files.get(&handle.0).ok_or(Errno::EBADF)?.try_clone()?)
    }

    fn how_attribute(&self, name: &OsStr) -> How {
        if name.as_bytes().starts_with(b"system.posix_acl_") {
            self.lacks.acls
        } else {
            self.lacks.xattrs
        }
    }

    fn remove(
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

    fn set(&self, path: &Path, wanted: &Wanted, file: Option<File>) -> Answer<()> {
        self.faults.change()?;
        let lacks = &self.lacks;
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

    fn make_node(&self, path: &Path, mode: u32, device: u32) -> Answer<()> {
        let kind = rustix::fs::FileType::from_raw_mode(mode);
        let how = match kind {
            rustix::fs::FileType::RegularFile => How::Done,
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

    fn listed(&self, folder: &Path) -> Answer<Vec<(INodeNo, FileType, OsString)>> {
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
struct Wanted {
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    size: Option<u64>,
    mtime: Option<TimeOrNow>,
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_i32(error.raw_os_error())
}

fn done(answer: Answer<()>, reply: ReplyEmpty) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
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

impl Filesystem for Lesser {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(self.child(parent, name), reply);
    }

    fn getattr(&self, _: &Request, node: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        let open = handle.and_then(|handle| self.file(handle).ok());
        let found = match open {
            // Also of a file that has no name any more.
            Some(file) => file
                .metadata()
                .map(|found| self.describe(&found, node.0))
                .map_err(Errno::from),
            None => self.path(node).and_then(|path| self.attributes(&path)),
        };
        match found {
            Ok(found) => reply.attr(&NO_TIME, &FileAttr { ino: node, ..found }),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let wanted = Wanted {
            mode,
            uid,
            gid,
            size,
            mtime,
        };
        let file = handle.and_then(|handle| self.file(handle).ok());
        let found = self.path(node).and_then(|path| {
            self.set(&path, &wanted, file)?;
            self.attributes(&path)
        });
        match found {
            Ok(found) => reply.attr(&NO_TIME, &FileAttr { ino: node, ..found }),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, node: INodeNo, reply: ReplyData) {
        let target = self.path(node).and_then(|path| Ok(fs::read_link(path)?));
        match target {
            Ok(target) => reply.data(target.as_os_str().as_bytes()),
            Err(error) => reply.error(error),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let made = self.new_child(parent, name).and_then(|path| {
            self.make_node(&path, mode, device)?;
            Ok(path)
        });
        self.entry(made, reply);
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let made = self.new_child(parent, name).and_then(|path| {
            fs::create_dir(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777))?;
            Ok(path)
        });
        self.entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(
            self.remove(parent, name, |path| fs::remove_file(path)),
            reply,
        );
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(
            self.remove(parent, name, |path| fs::remove_dir(path)),
            reply,
        );
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        if self.lacks.symlinks {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let made = self.new_child(parent, name).and_then(|path| {
            std::os::unix::fs::symlink(target, &path)?;
            Ok(path)
        });
        self.entry(made, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let rename = || {
            if self.lacks.rename_flags && !flags.is_empty() {
                return Err(Errno::EINVAL);
            }
            let (from, target) = (self.child(parent, name)?, self.child(to, new_name)?);
            self.allowed(&self.path(parent)?, 0o300)?;
            self.allowed(&self.path(to)?, 0o300)?;
            if flags.contains(RenameFlags::RENAME_NOREPLACE)
                && fs::symlink_metadata(&target).is_ok()
            {
                return Err(Errno::EEXIST);
            }
            self.faults.change()?;
            fs::rename(&from, &target)?;
            let mut nodes = self.nodes.lock().unwrap();
            nodes.renamed(self.relative(&from), self.relative(&target));
            Ok(())
        };
        done(rename(), reply);
    }

    fn link(&self, _: &Request, node: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self.new_child(parent, name).and_then(|path| {
            if Lacks::refuse(self.lacks.hard_links, Errno::EPERM)? {
                fs::hard_link(self.path(node)?, &path)?;
            } else {
                fs::copy(self.path(node)?, &path)?;
            }
            Ok(path)
        });
        self.entry(linked, reply);
    }

    fn open(&self, _: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = self.path(node).and_then(|path| {
            let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
            let reads = flags.acc_mode() != OpenAccMode::O_WRONLY;
            Ok(OpenOptions::new().read(reads).write(writes).open(path)?)
        });
        match opened {
            Ok(file) => reply.opened(self.keep(file), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let created = self.new_child(parent, name).and_then(|path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(mode);
            let file = options.open(&path)?;
            Ok((file, self.attributes(&path)?))
        });
        match created {
            Ok((file, found)) => reply.created(
                &NO_TIME,
                &found,
                self.generation(found.ino),
                self.keep(file),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = vec![0; size as usize];
        let length = self.file(handle).and_then(|file| {
            let mut length = 0;
            loop {
                match file.read_at(&mut bytes[length..], offset + length as u64)? {
                    0 => return Ok(length),
                    more => length += more,
                }
            }
        });
        match length {
            Ok(length) => reply.data(&bytes[..length]),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let end = offset + data.len() as u64;
        let written = self.faults.change().and_then(|()| {
            if self.lacks.file_max > 0 && end > self.lacks.file_max {
                return Err(Errno::EFBIG);
            }
            Ok(self.file(handle)?.write_all_at(data, offset)?)
        });
        match written {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.lock().unwrap().remove(&handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.faults.sync(), reply);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.faults.sync(), reply);
    }

    fn opendir(&self, _: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.path(node).and_then(|path| self.listed(&path)) {
            Ok(list) => {
                let mut last = self.handles.lock().unwrap();
                *last += 1;
                self.lists.lock().unwrap().insert(*last, list);
                reply.opened(FileHandle(*last), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        node: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        // A listing that starts again sees what is there now.
        if offset == 0
            && let Ok(fresh) = self.path(node).and_then(|path| self.listed(&path))
        {
            self.lists.lock().unwrap().insert(handle.0, fresh);
        }
        let lists = self.lists.lock().unwrap();
        let list = lists.get(&handle.0).map_or(&[][..], Vec::as_slice);
        for (at, (number, kind, name)) in list.iter().enumerate().skip(offset as usize) {
            if reply.add(*number, at as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.lists.lock().unwrap().remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let name_max = match self.lacks.name_max {
            0 => 255,
            some => some as u32,
        };
        match rustix::fs::statvfs(&self.below) {
            Ok(found) => {
                let (all, free) = if self.lacks.inode_count {
                    (0, 0)
                } else {
                    (found.f_files, found.f_ffree)
                };
                let block = found.f_frsize as u32;
                reply.statfs(
                    found.f_blocks,
                    found.f_bfree,
                    found.f_bavail,
                    all,
                    free,
                    block,
                    name_max,
                    block,
                );
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setxattr(
        &self,
        _: &Request,
        node: INodeNo,
        name: &OsStr,
        value: &[u8],
        _: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let set = || {
            self.faults.change()?;
            if Lacks::refuse(self.how_attribute(name), Errno::EOPNOTSUPP)? {
                let path = self.path(node)?;
                rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).map_err(errno)?;
            }
            Ok(())
        };
        done(set(), reply);
    }

    fn getxattr(&self, _: &Request, node: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let get = || match self.how_attribute(name) {
            How::Refused => Err(Errno::EOPNOTSUPP),
            How::Ignored => Err(Errno::ENODATA),
            How::Done => {
                let mut value = vec![0; 64 << 10];
                let path = self.path(node)?;
                let length = rustix::fs::lgetxattr(path, name, &mut value).map_err(errno)?;
                value.truncate(length);
                Ok(value)
            }
        };
        sized(get(), size, reply);
    }

    fn listxattr(&self, _: &Request, node: INodeNo, size: u32, reply: ReplyXattr) {
        let list = || {
            let mut names = vec![0; 64 << 10];
            let length = rustix::fs::llistxattr(self.path(node)?, &mut names).map_err(errno)?;
            names.truncate(length);
            let held = names
                .split_inclusive(|byte| *byte == 0)
                .filter(|name| self.how_attribute(OsStr::from_bytes(name)) == How::Done);
            Ok(held.flatten().copied().collect())
        };
        sized(list(), size, reply);
    }

    fn removexattr(&self, _: &Request, node: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self
            .path(node)
            .and_then(|path| rustix::fs::lremovexattr(path, name).map_err(errno));
        done(removed, reply);
    }
}

/// Answers with bytes, or with their number where that is asked for.
fn sized(answer: Answer<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match answer {
        Ok(bytes) if size == 0 => reply.size(bytes.len() as u32),
        Ok(bytes) if bytes.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(bytes) => reply.data(&bytes),
        Err(error) => reply.error(error),
    }
}
