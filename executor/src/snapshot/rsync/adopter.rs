//! Taking over what rsync copies, while it copies: each new file is read once for its digest, as
//! long as the system still has it in memory, and recorded in the log of copied files.
//!
//! From that log whoever makes the tree equal to the sources knows these files as copied, and an
//! interrupted run goes on with them. What is not taken over here is merely copied again.

use std::{
    collections::HashSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use schema::{Digest, StoredPath, StoredPathBuf, record::Capabilities};

use super::super::{
    adopt::is_a_copy,
    jobs::CompletedCopy,
    resume_journal::{self, ResumeJournal},
    start::Started,
};
use crate::{
    copy::{Copier, CopyError},
    error::{Error, Result},
    store::Store,
    sys::{Dir, Kind, Stat, stat::Nanos},
    threads,
    watch::{Storing, WHOLE},
};

/// How often everything so far is made durable, so that a continued run need not read it back.
const CHECKPOINT: Duration = Duration::from_secs(30);
/// Bytes after which it is, however little time that took: left to itself the kernel keeps gigabytes in
/// memory, and the disk idles until rsync has ended and everybody waits for it.
const MANY_BYTES: u64 = 128 << 20;
/// How far the kernel's stamps may lag behind its clock.
const LAG: Nanos = 20_000_000;

/// Takes over what one run of this step copies.
pub(super) struct Adopter<'a> {
    store: &'a Store,
    started: &'a Started,
    capabilities: Capabilities,
    log: ResumeJournal,
    copier: Copier,
    /// Inode numbers of all that was taken over.
    taken: HashSet<u64>,
    /// Recorded while a sync runs, which does not speak for it.
    held: Vec<(u64, Stat, Digest)>,
    syncing: Option<JoinHandle<std::result::Result<(), Errno>>>,
    last_checkpoint: Instant,
    /// Bytes that were copied by then.
    synced_bytes: u64,
    /// Something was recorded since.
    fresh: bool,
}

/// Where one call copies from and to.
pub(super) struct Sides {
    /// The folder of the source, and the one of the new tree that stands for it.
    pub(super) source: Dir,
    pub(super) new: Dir,
    /// The names on both sides where the source is not a folder.
    pub(super) single: Option<(Vec<u8>, Vec<u8>)>,
    /// When rsync began.
    pub(super) began: Nanos,
    /// Nothing that is mounted below the source is crossed.
    one_file_system: bool,
    /// The folder of the last file, since most files have the same as the one before.
    last: Option<(StoredPathBuf, Dir, Dir)>,
}

impl Sides {
    pub(super) fn new(
        source: Dir,
        new: Dir,
        single: Option<(Vec<u8>, Vec<u8>)>,
        one_file_system: bool,
    ) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
        Self {
            source,
            new,
            single,
            began: now - LAG,
            one_file_system,
            last: None,
        }
    }

    /// Both folders of a path and both of its names; none where one of the folders is not there.
    fn of<'p>(
        &'p mut self,
        path: &'p StoredPath,
    ) -> Option<(&'p Dir, &'p [u8], &'p Dir, &'p [u8])> {
        if let Some((source, new)) = &self.single {
            return Some((&self.source, source, &self.new, new));
        }
        let (folder, name) = path.split_name().unwrap_or_default();
        if self
            .last
            .as_ref()
            .is_none_or(|(last, ..)| **last != *folder)
        {
            let descend = |dir: &Dir, here: bool| {
                let mut dir = dir.again().ok()?;
                for name in folder.names() {
                    dir = match here {
                        true => dir.folder_here(name).ok()?,
                        false => dir.folder(OsStr::from_bytes(name)).ok()?,
                    };
                }
                Some(dir)
            };
            self.last = Some((
                folder.to_owned(),
                descend(&self.source, self.one_file_system)?,
                descend(&self.new, false)?,
            ));
        }
        let (_, source, new) = self.last.as_ref()?;
        Some((source, name, new, name))
    }
}

/// Whether a file was dealt with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TakeOver {
    /// It was, or never can be.
    Done,
    /// rsync has not given it its name yet.
    NotYet,
}

impl<'a> Adopter<'a> {
    /// Takes over copies of sources that were looked at from `read_from` on.
    pub(super) fn new(
        store: &'a Store,
        started: &'a Started,
        capabilities: Capabilities,
        read_from: Nanos,
    ) -> Result<Self> {
        let (mut log, _) = ResumeJournal::open(&started.records)
            .map_err(|error| store.io("open", "the log of copied files", error))?;
        log.begin_run(read_from)
            .map_err(|error| store.io("write", "the log of copied files", error))?;
        Ok(Self {
            store,
            started,
            capabilities,
            log,
            copier: Copier::default(),
            taken: HashSet::new(),
            held: Vec::new(),
            syncing: None,
            last_checkpoint: Instant::now(),
            synced_bytes: 0,
            fresh: false,
        })
    }

    /// Takes a file over, if it can be; `tick` is called now and then while it is read.
    ///
    /// # Errors
    /// What `tick` says, or a log that cannot be written.
    pub(super) fn take(
        &mut self,
        sides: &mut Sides,
        path: &StoredPath,
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<TakeOver> {
        let began = sides.began;
        let Some((source_dir, source_name, dir, name)) = sides.of(path) else {
            return Ok(TakeOver::Done);
        };
        let (source_name, name) = (OsStr::from_bytes(source_name), OsStr::from_bytes(name));
        let copy = match dir.look(name) {
            Ok(None) => return Ok(TakeOver::NotYet),
            Ok(Some(copy)) if copy.kind == Kind::File => copy,
            _ => return Ok(TakeOver::Done),
        };
        let Ok(source) = source_dir.stat(source_name) else {
            return Ok(TakeOver::Done);
        };
        if !is_a_copy(&copy, &source, began, &self.capabilities) {
            return Ok(TakeOver::Done);
        }
        let Ok(file) = dir.file(name) else {
            return Ok(TakeOver::Done);
        };
        if !Stat::of_fd(&file).is_ok_and(|open| open.same_inode(&copy)) {
            return Ok(TakeOver::Done);
        }
        let sparse = copy.has_holes();
        match self.copier.digest(&file, sparse, &mut |_| tick()) {
            Ok(read) if read.bytes == copy.size => {
                self.record(copy.ino, source, read.digest)?;
            }
            Err(CopyError::Ended(error)) => return Err(error),
            // Whoever copies it again finds out why.
            _ => {}
        }
        Ok(TakeOver::Done)
    }

    fn record(&mut self, ino: u64, source: Stat, digest: Digest) -> Result<()> {
        self.fresh = true;
        self.taken.insert(ino);
        if self.syncing.is_some() {
            self.held.push((ino, source, digest));
            return Ok(());
        }
        let written = self.log.record(&CompletedCopy {
            inode: ino,
            source_inode: source.ino,
            source_ctime: source.ctime,
            digest,
        });
        written.map_err(|error| self.log_fault(error))
    }

    /// Starts a sync when it is time, and writes the checkpoint of one that has ended.
    /// `copied` are the bytes of all calls so far.
    pub(super) fn checkpoint_now_and_then(&mut self, copied: u64) -> Result<()> {
        if self.syncing.as_ref().is_some_and(JoinHandle::is_finished) {
            return self.end_sync();
        }
        let is_time = self.last_checkpoint.elapsed() >= CHECKPOINT
            || copied.saturating_sub(self.synced_bytes) >= MANY_BYTES;
        if self.syncing.is_none() && self.fresh && is_time {
            self.synced_bytes = copied;
            let tree = self.started.tree.again();
            let tree = tree.map_err(|error| self.store.io("open", "partial", error))?;
            // Beside the work: the space must be watched while a slow disk syncs. Without a thread
            // for it there is one thing less to go on with after a kill.
            let syncing = threads::start_thread("sync", move || {
                let _storing = Storing::new(&tree, WHOLE);
                tree.sync_file_system()
            });
            self.last_checkpoint = Instant::now();
            if let Ok(syncing) = syncing {
                self.syncing = Some(syncing);
                self.fresh = false;
            }
        }
        Ok(())
    }

    /// Waits for a sync that runs, and records what was held back.
    fn end_sync(&mut self) -> Result<()> {
        let Some(syncing) = self.syncing.take() else {
            return Ok(());
        };
        match syncing.join() {
            Ok(Ok(())) => self.log.checkpoint(),
            Ok(Err(error)) => return Err(self.not_synced(error)),
            Err(_) => return Err(self.not_synced(Errno::IO)),
        }
        .map_err(|error| self.log_fault(error))?;
        self.last_checkpoint = Instant::now();
        for (ino, source, digest) in std::mem::take(&mut self.held) {
            self.record(ino, source, digest)?;
        }
        Ok(())
    }

    /// Hands over what was recorded: the inode numbers of all that this process knows. Nothing of it
    /// need be durable before the whole snapshot is.
    ///
    /// # Errors
    /// A sync that failed: never tried again into success.
    pub(super) fn finish(mut self) -> Result<HashSet<u64>> {
        self.end_sync()?;
        let written = self.log.flush();
        written.map_err(|error| self.log_fault(error))?;
        Ok(self.taken)
    }

    /// Leaves what was recorded to the next run, whatever ended this one.
    pub(super) fn stop(&mut self, because: Error) -> Error {
        match self.end_sync() {
            Ok(()) => {
                let _ = self.log.flush();
                because
            }
            Err(error) => error,
        }
    }

    /// Forgets what a failed sync may have lost.
    fn not_synced(&mut self, error: Errno) -> Error {
        self.held.clear();
        // What is still in memory must not reach the file after it was cut.
        let _ = self.log.flush();
        if let Err(error) = resume_journal::forget_unsynced(&self.started.records) {
            return self.log_fault(error);
        }
        self.store.io("sync", "what was copied", error).hint(
            "the disk could not store what was written: look at `dmesg`; the next run copies it \
             again",
        )
    }

    fn log_fault(&self, error: std::io::Error) -> Error {
        self.store.io("write", "the log of copied files", error)
    }
}
