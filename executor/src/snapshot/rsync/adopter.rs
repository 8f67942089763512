//! Taking over what rsync copies, while it copies: each new file is read once for its digest, as
//! long as the system still has it in memory, and recorded in the log of copied files.
//!
//! From that log whoever makes the tree equal to the sources knows these files as copied, and an
//! interrupted run goes on with them. What is not taken over here is merely copied again.

use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use schema::Digest;

use super::{
    super::{
        jobs::CompletedCopy,
        resume_journal::{self, ResumeJournal, Taken},
        start::Started,
    },
    reader::ReadCopy,
};
use crate::{
    error::{Error, Result},
    store::Store,
    sys::{Stat, stat::Nanos},
    threads,
    watch::{Storing, WHOLE},
};

/// How often everything so far is made durable, so that a continued run need not read it back.
const CHECKPOINT: Duration = Duration::from_secs(30);
/// Bytes after which it is, however little time that took: left to itself the kernel keeps gigabytes in
/// memory, and the disk idles until rsync has ended and everybody waits for it.
const MANY_BYTES: u64 = 128 << 20;

/// Takes over what one run of this step copies.
pub(super) struct Adopter<'a> {
    store: &'a Store,
    started: &'a Started,
    log: ResumeJournal,
    /// What was taken over.
    taken: Taken,
    /// Recorded while a sync runs, which does not speak for it.
    held: Vec<(u64, Stat, Digest)>,
    syncing: Option<JoinHandle<std::result::Result<(), Errno>>>,
    last_checkpoint: Instant,
    /// Bytes that were copied by then.
    synced_bytes: u64,
    /// Something was recorded since.
    fresh: bool,
}

impl<'a> Adopter<'a> {
    /// Takes over copies of sources that were looked at from `read_from` on.
    pub(super) fn new(store: &'a Store, started: &'a Started, read_from: Nanos) -> Result<Self> {
        let (mut log, _) = ResumeJournal::open(&started.records)
            .map_err(|error| store.io("open", "the log of copied files", error))?;
        log.begin_run(read_from)
            .map_err(|error| store.io("write", "the log of copied files", error))?;
        Ok(Self {
            store,
            started,
            log,
            taken: Taken::new(),
            held: Vec::new(),
            syncing: None,
            last_checkpoint: Instant::now(),
            synced_bytes: 0,
            fresh: false,
        })
    }

    /// Takes over a file that was read.
    ///
    /// # Errors
    /// A log that cannot be written.
    pub(super) fn take(&mut self, read: ReadCopy) -> Result<()> {
        self.taken.insert(read.ino, read.is_bare);
        self.record(read.ino, read.source, read.digest)
    }

    fn record(&mut self, ino: u64, source: Stat, digest: Digest) -> Result<()> {
        self.fresh = true;
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

    /// Hands over what was recorded: all that this process knows. Nothing of it
    /// need be durable before the whole snapshot is.
    ///
    /// # Errors
    /// A sync that failed: never tried again into success.
    pub(super) fn finish(mut self) -> Result<Taken> {
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
