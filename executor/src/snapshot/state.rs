//! What building a snapshot carries from entry to entry.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use schema::{
    Digest, SnapshotId, escape,
    journal::{Problem, ProblemKind},
    plan::SnapshotStep,
    record::{Capabilities, SnapshotTotals},
};

use super::{
    MAX_PROBLEMS,
    copied_log::{CopiedFile, CopiedLog},
    ends_everything, too_little_space,
};
use crate::{
    copy::Copier,
    error::{Error, Result, reason},
    event::{Context, Event, Phase, Progress},
    manifest::{Cursor, Entry, Writer},
    store::Store,
    sys::{Dir, Stat},
};

/// How often everything so far is made durable, so that a continued run need not read it back.
const CHECKPOINT: Duration = Duration::from_secs(30);
/// Bytes written between two looks at the free space.
const SPACE_STEP: u64 = 64 << 20;
/// Entries between two looks at the free space, and between two events.
const ENTRY_STEP: u64 = 500;

/// A folder of the new tree that is being filled.
pub(super) struct Level {
    /// The folder in the new tree.
    pub(super) new: Dir,
    /// The same folder in the basis, where it has one.
    pub(super) basis: Option<Dir>,
    /// The names made so far, where the folder may hold others from an interrupted run.
    pub(super) made: Option<HashSet<OsString>>,
    /// Names that an interrupted run left here, where other spellings of them are the same.
    pub(super) left: HashSet<OsString>,
    /// The folder's entry in the manifest, whose metadata it gets when it is full.
    pub(super) entry: Entry,
    /// Its extended attributes.
    pub(super) attributes: crate::sys::attributes::Attributes,
}

/// The first name of a file that has several.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) path: Vec<u8>,
    pub(super) entry: Entry,
}

/// The basis' tree and manifest.
pub(super) struct BasisTree {
    pub(super) cursor: Cursor,
    /// Which source inode a basis inode of several names was linked for: two files that were one
    /// must not become one again.
    pub(super) given: HashMap<u64, (u64, u64)>,
}

/// What building a snapshot carries from entry to entry.
pub(super) struct State<'a> {
    pub(super) store: &'a Store,
    pub(super) step: &'a SnapshotStep,
    pub(super) context: Context<'a>,
    pub(super) capabilities: Capabilities,
    pub(super) privileged: bool,
    /// Each file and folder is synced by itself.
    pub(super) one_by_one: bool,
    pub(super) tree: &'a Dir,
    pub(super) basis: Option<BasisTree>,
    pub(super) manifest: Writer,
    pub(super) log: CopiedLog,
    pub(super) copied: HashMap<u64, CopiedFile>,
    pub(super) copier: Copier,
    pub(super) levels: Vec<Level>,
    /// Path in the snapshot of the entry at hand.
    pub(super) path: Vec<u8>,
    pub(super) groups: HashMap<(u64, u64), Group>,
    /// The last number that the names of one file got.
    pub(super) last_group: u64,
    pub(super) totals: SnapshotTotals,
    pub(super) stored_by: BTreeMap<SnapshotId, u64>,
    /// Regular files whose content is as the basis has it at the same path.
    pub(super) unchanged_files: u64,
    pub(super) problems: Vec<Problem>,
    pub(super) written: u64,
    pub(super) written_at_check: u64,
    pub(super) last_checkpoint: Instant,
    /// A sync failed: what was written since the last checkpoint must not be trusted.
    pub(super) unsynced: bool,
}

impl State<'_> {
    /// The folder being filled.
    pub(super) fn level(&self) -> Result<&Level> {
        self.levels
            .last()
            .ok_or_else(|| Error::failed("an entry outside of every folder"))
    }

    /// Path in the snapshot for messages: as on the machine.
    pub(super) fn here(&self) -> Vec<u8> {
        [b"/", self.path.as_slice()].concat()
    }

    /// Lists a problem with the entry at hand.
    pub(super) fn problem(&mut self, kind: ProblemKind, message: impl Into<String>) {
        match kind {
            ProblemKind::Unreadable | ProblemKind::NotStored | ProblemKind::Metadata => {
                self.totals.errors += 1;
            }
            ProblemKind::Vanished => self.totals.vanished += 1,
            ProblemKind::Torn => self.totals.torn += 1,
        }
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                path: escape::display(&self.here()),
                kind,
                message: message.into(),
            });
        }
    }

    /// A failure to write to the destination: the end of everything, or a problem of this entry.
    pub(super) fn not_stored(
        &mut self,
        doing: &str,
        error: impl Into<std::io::Error>,
    ) -> Result<()> {
        let error = error.into();
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        if errno.is_none_or(ends_everything) {
            return Err(Error::io(doing, &self.here(), error));
        }
        let because = errno.and_then(|errno| super::holds::explains(doing, errno));
        let because = because.map_or_else(|| reason(&error), str::to_owned);
        self.problem(ProblemKind::NotStored, format!("cannot {doing}: {because}"));
        Ok(())
    }

    /// Writes the entry to the manifest and counts it.
    pub(super) fn list(&mut self, entry: &Entry) -> Result<()> {
        self.totals.entries += 1;
        self.manifest
            .write(entry)
            .map_err(|error| self.store.io("write", "the manifest", error))?;
        let remembered = entry.path.rsplit(|byte| *byte == b'/').next();
        if let (Some(name), Some(level)) = (remembered, self.levels.last_mut())
            && let Some(made) = &mut level.made
        {
            made.insert(std::os::unix::ffi::OsStringExt::from_vec(name.to_vec()));
        }
        self.tick()
    }

    /// Counts bytes on disk for the snapshot that first stored them.
    pub(super) fn stores(&mut self, by: SnapshotId, stat: &Stat) {
        *self.stored_by.entry(by).or_default() += stat.allocated;
    }

    /// What must happen every now and then: progress, a look at the space, a checkpoint.
    pub(super) fn tick(&mut self) -> Result<()> {
        self.context.stop.check()?;
        if self.totals.entries.is_multiple_of(ENTRY_STEP) {
            self.report();
        }
        if self.written - self.written_at_check >= SPACE_STEP
            || self.totals.entries.is_multiple_of(ENTRY_STEP)
        {
            self.written_at_check = self.written;
            let free = free_bytes(self.tree)
                .map_err(|error| self.store.io("look at", "the free space", error))?;
            if free < self.step.min_free_bytes {
                return Err(too_little_space(self.store, free, self.step.min_free_bytes));
            }
        }
        if self.last_checkpoint.elapsed() >= CHECKPOINT {
            self.sync()?;
            self.log
                .checkpoint()
                .map_err(|error| self.store.io("write", "the log of copied files", error))?;
            self.last_checkpoint = Instant::now();
        }
        Ok(())
    }

    /// Makes everything on the destination durable. Never tried again into success.
    pub(super) fn sync(&mut self) -> Result<()> {
        if let Err(error) = self.tree.sync_file_system() {
            self.unsynced = true;
            return Err(self
                .store
                .io("sync", "what was copied", error)
                .hint("the disk could not store what was written: look at `dmesg`; the next run copies it again"));
        }
        Ok(())
    }

    /// Tells how far the work is.
    pub(super) fn report(&self) {
        self.context.observer.event(Event::Progress(Progress {
            phase: Phase::Copy,
            entries: self.totals.entries,
            entries_total: self.step.expected.entries,
            bytes: self.written,
            bytes_total: self.step.expected.new_bytes,
        }));
    }

    /// Where a content is found whose digest is known: what an interrupted run copied.
    pub(super) fn copied_before(&self, stat: &Stat, copy: &Stat) -> Option<(Digest, bool)> {
        let found = self.copied.get(&copy.ino)?;
        (found.source_ino == stat.ino && found.source_ctime == stat.ctime && copy.size == stat.size)
            .then_some((found.digest, found.durable))
    }
}

/// Bytes that an unprivileged writer may still use on a folder's file system.
pub(super) fn free_bytes(dir: &Dir) -> std::result::Result<u64, Errno> {
    let stat = rustix::fs::fstatvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
