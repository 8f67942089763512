//! The calls of the kernel, passed on to the folder below.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::Path,
    time::SystemTime,
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, INodeNo, LockOwner,
    OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use rustix::fs::XattrFlags;

use super::{
    below::{Answer, Lesser, NO_TIME, Wanted, errno},
    lacks::{How, Lacks},
};

fn done(answer: Answer<()>, reply: ReplyEmpty) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
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
        if uid.or(gid).is_some() {
            self.faults.asked_for_owner();
        }
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
            self.make_own(&path)?;
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
            self.make_own(&path)?;
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
            self.make_own(&path)?;
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
            if reads {
                self.allowed(&path, 0o400)?;
                self.faults.reads.open(&path);
            }
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
            self.make_own(&path)?;
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
            Ok(length) => {
                self.faults.reads.read(length);
                reply.data(&bytes[..length]);
            }
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
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
            self.faults.wrote(handle.0, self.path(node)?);
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
        self.faults.closed(handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        self.faults.called();
        let synced = self.faults.sync_content(handle.0).or_else(|error| {
            // What it had taken and not stored is gone.
            self.file(handle)?.set_len(0)?;
            Err(error)
        });
        self.faults.synced(handle.0);
        done(synced.and_then(|()| self.faults.sync()), reply);
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
        self.faults.called();
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
            How::Ran => {
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
                .filter(|name| self.how_attribute(OsStr::from_bytes(name)) == How::Ran);
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
