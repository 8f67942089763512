//! A drive that keeps a log of what is written and flushed, so that its power can be cut anywhere afterwards; and
//! that can be pulled, after which nothing answers but with an error.
//!
//! It is one file of a FUSE file system of our own, with a loop device on it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyWrite, Request, WriteFlags,
};
use test_support::{Mounted, Random, run_tool};

const BLOCK: u64 = 4096;
const EMPTY: [u8; BLOCK as usize] = [0; BLOCK as usize];
/// Attributes never change.
const LONG: Duration = Duration::from_secs(3600);
const DISK: INodeNo = INodeNo(2);

/// What stands on a drive, without the blocks that are empty.
#[derive(Clone, Default)]
pub(crate) struct Content(BTreeMap<u64, Vec<u8>>);

impl Content {
    fn read_from(image: &Path) -> Self {
        let file = File::open(image).unwrap();
        let mut all = Self::default();
        for at in 0..file.metadata().unwrap().len() / BLOCK {
            let mut block = vec![0; BLOCK as usize];
            file.read_exact_at(&mut block, at * BLOCK).unwrap();
            if block != EMPTY {
                all.0.insert(at, block);
            }
        }
        all
    }

    /// Writes an image of this size.
    pub(crate) fn write_to(&self, image: &Path, size: u64) {
        let file = File::create(image).unwrap();
        file.set_len(size).unwrap();
        for (at, block) in &self.0 {
            file.write_all_at(block, at * BLOCK).unwrap();
        }
    }

    /// The blocks that a stretch touches: which, from where in it on, and how much.
    fn pieces(at: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let place = at + done as u64;
            let from = (place % BLOCK) as usize;
            let piece = (BLOCK as usize - from).min(length - done);
            done += piece;
            (piece > 0).then_some((place / BLOCK, from, piece))
        })
    }

    fn read(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        for (block, from, piece) in Self::pieces(at, length) {
            match self.0.get(&block) {
                Some(block) => bytes.extend_from_slice(&block[from..from + piece]),
                None => bytes.resize(bytes.len() + piece, 0),
            }
        }
        bytes
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut done = 0;
        for (block, from, piece) in Self::pieces(at, bytes.len()) {
            let block = self
                .0
                .entry(block)
                .or_insert_with(|| vec![0; BLOCK as usize]);
            block[from..from + piece].copy_from_slice(&bytes[done..done + piece]);
            done += piece;
        }
    }
}

/// What reached the drive.
enum Event {
    Write(u64, Vec<u8>),
    Flush,
}

struct Inside {
    content: Content,
    /// What was there when the log began.
    before: Content,
    log: Vec<Event>,
}

struct State {
    size: u64,
    inside: Mutex<Inside>,
    pulled: AtomicBool,
}

/// A drive with a file system, mounted until this is dropped.
pub(crate) struct Drive {
    state: Arc<State>,
    served: PathBuf,
    mounted: Option<Mounted>,
    session: Option<BackgroundSession>,
}

impl Drive {
    /// A drive with what stands in an image, mounted at a place; `served` is a folder for the drive itself.
    pub(crate) fn new(image: &Path, served: &Path, at: &Path) -> Self {
        let content = Content::read_from(image);
        let state = Arc::new(State {
            size: fs::metadata(image).unwrap().len(),
            inside: Mutex::new(Inside {
                before: content.clone(),
                content,
                log: Vec::new(),
            }),
            pulled: AtomicBool::new(false),
        });
        fs::create_dir_all(served).unwrap();
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("drive".into())];
        let session = fuser::spawn_mount(Served(Arc::clone(&state)), served, &config).unwrap();
        Self {
            mounted: Some(Mounted::image(&served.join("disk"), "noatime", at)),
            state,
            served: served.to_owned(),
            session: Some(session),
        }
    }

    /// All that is on it is there for good; the log begins.
    pub(crate) fn begin_log(&self) {
        if let Some(mounted) = &self.mounted {
            run_tool("sync", ["-f".as_ref(), mounted.path().as_os_str()]);
        }
        let mut inside = self.state.inside.lock().unwrap();
        inside.before = inside.content.clone();
        inside.log.clear();
    }

    /// How much was written and flushed since.
    pub(crate) fn log_length(&self) -> usize {
        self.state.inside.lock().unwrap().log.len()
    }

    /// From now on each call to it fails.
    pub(crate) fn pull(&self) {
        self.state.pulled.store(true, Ordering::SeqCst);
    }

    /// What is on it if its power went after so many entries of the log: all that was flushed before; of what
    /// was written since, each block by chance or, with `all`, in full.
    pub(crate) fn after_cut(&self, cut: usize, all: bool, random: &mut Random) -> Content {
        let inside = self.state.inside.lock().unwrap();
        let mut content = inside.before.clone();
        let log = &inside.log[..cut.min(inside.log.len())];
        let flushed = log.iter().rposition(|event| matches!(event, Event::Flush));
        let flushed = flushed.map_or(0, |at| at + 1);
        let kept = [10, 50, 90][random.index_below(3)];
        for (number, event) in log.iter().enumerate() {
            let Event::Write(at, bytes) = event else {
                continue;
            };
            if number < flushed || all {
                content.write(*at, bytes);
                continue;
            }
            let mut done = 0;
            for (_, _, piece) in Content::pieces(*at, bytes.len()) {
                if random.below(100) < kept {
                    content.write(at + done as u64, &bytes[done..done + piece]);
                }
                done += piece;
            }
        }
        content
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.state.size
    }

    /// Unmounts it, although it may not answer.
    pub(crate) fn unmount(&mut self) {
        if self.state.pulled.load(Ordering::SeqCst)
            && let Some(mounted) = &self.mounted
        {
            mounted.end_lazily();
        }
        self.mounted = None;
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.unmount();
        let _ = std::process::Command::new("umount")
            .arg("-ql")
            .arg(&self.served)
            .status();
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

/// What the kernel sees of it.
struct Served(Arc<State>);

impl Served {
    fn attributes(&self, node: INodeNo) -> FileAttr {
        let (kind, size, perm) = if node == DISK {
            (FileType::RegularFile, self.0.size, 0o600)
        } else {
            (FileType::Directory, 0, 0o700)
        };
        FileAttr {
            ino: node,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn is_pulled(&self) -> bool {
        self.0.pulled.load(Ordering::SeqCst)
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == "disk" {
            true => reply.entry(&LONG, &self.attributes(DISK), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&LONG, &self.attributes(node));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if self.is_pulled() {
            return reply.error(Errno::EIO);
        }
        let left = usize::try_from(self.0.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = left.min(size as usize);
        reply.data(&self.0.inside.lock().unwrap().content.read(offset, length));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if self.is_pulled() {
            return reply.error(Errno::EIO);
        }
        let mut inside = self.0.inside.lock().unwrap();
        inside.content.write(offset, data);
        inside.log.push(Event::Write(offset, data.to_vec()));
        reply.written(u32::try_from(data.len()).unwrap());
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if self.is_pulled() {
            return reply.error(Errno::EIO);
        }
        self.0.inside.lock().unwrap().log.push(Event::Flush);
        reply.ok();
    }
}
