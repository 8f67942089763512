//! The build context is what all threads that build one snapshot share.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use schema::{
    SnapshotId, StoredPath,
    plan::SnapshotStep,
    record::{Capabilities, SnapshotRecord},
};

use super::{
    doubt::DoubtfulPaths,
    feed::Feed,
    limits::{free_bytes, too_little_space},
    resume_journal::CopiedFile,
};
use crate::{
    copy::{Copier, Passed},
    error::{Error, Result},
    event::Context,
    flush::Flusher,
    leases::LeasePatience,
    manifest::Entry,
    store::Store,
    survey::{HoleBudget, Moves, Since, is_recent},
    sys::{Dir, Folder, Kind, Stat, stat::Nanos},
    width::Width,
};

/// Bytes written between two looks at the free space.
const SPACE_STEP: u64 = 64 << 20;

/// What all threads share.
pub(super) struct BuildContext<'a> {
    pub(super) store: &'a Store,
    pub(super) step: &'a SnapshotStep,
    pub(super) context: Context<'a>,
    /// How many threads make entries.
    pub(super) width: Width,
    /// Each look at the destination is a question to somebody elsewhere.
    pub(super) is_distant: bool,
    pub(super) capabilities: Capabilities,
    pub(super) privileged: bool,
    /// The new tree.
    pub(super) tree: &'a Dir,
    /// The basis' tree.
    pub(super) basis: Option<Folder>,
    /// What rsync or an interrupted run copied, by the copies' inode numbers.
    pub(super) copied: HashMap<u64, CopiedFile>,
    pub(super) moves: Moves,
    /// The trees of others that are linked to, in the order of their manifests.
    pub(super) also: Vec<Folder>,
    /// Something was linked to one of these.
    pub(super) also_linked: AtomicBool,
    /// When the sources of the basis, and of the others, were read: what is unchanged since.
    pub(super) since: Vec<Since>,
    /// What the new tree is judged by.
    pub(super) reference: Reference,
    /// What another destination was given in this run.
    pub(super) feed: Option<&'a Feed>,
    /// When this run's sources were looked at.
    pub(super) read_from: Nanos,
    /// Which source inode a basis inode was linked for, where others may ask for it: two files must
    /// not become one because they are alike.
    pub(super) given: Mutex<HashMap<u64, (u64, u64)>>,
    /// Device numbers of sources whose blocks the destination was found not to share.
    pub(super) shares_nothing: Mutex<HashSet<u64>>,
    pub(super) copiers: Mutex<Vec<Copier>>,
    /// For files of the sources on which others hold leases.
    pub(super) leases: LeasePatience,
    /// For holes that files get after they were judged.
    pub(super) grown: Mutex<HoleBudget>,
    /// Bytes of files passed so far: written, or found to be there.
    pub(super) passed: AtomicU64,
    /// Has them put on the disk.
    pub(super) flusher: Flusher,
    /// The work has failed somewhere.
    pub(super) ended: AtomicBool,
    /// Each file and folder is synced by itself.
    pub(super) one_by_one: bool,
    /// The pieces that a file's size is rounded up to on the destination's disk, once one showed it; none
    /// where the disk does otherwise.
    pub(super) block_bytes: OnceLock<Option<u64>>,
    /// A sync failed: what was written since the last checkpoint must not be trusted.
    pub(super) unsynced: AtomicBool,
    /// The basis' record, where the tree began as a clone of it that is taken over unseen.
    pub(super) clone_of: Option<Arc<SnapshotRecord>>,
    /// Where such a clone is looked at all the same.
    pub(super) doubtful: DoubtfulPaths,
    /// Numbers of files of several names in the basis of which it is counted that they are not as it has
    /// them: the new tree's are counted by themselves.
    pub(super) lost_groups: Mutex<HashSet<u64>>,
}

/// What a new tree is judged by.
pub(super) enum Reference {
    /// The basis.
    Basis,
    /// Another snapshot, with those that stored its content.
    Other(BTreeSet<SnapshotId>),
}

impl BuildContext<'_> {
    /// When the sources were read that an entry is of.
    pub(super) fn since(&self, entry: &Entry) -> &Since {
        // None are read that have none.
        &self.since[usize::from(entry.tree).min(self.since.len() - 1)]
    }

    /// When the basis' sources were read.
    pub(super) fn since_basis(&self) -> &Since {
        &self.since[0]
    }

    /// The basis' manifest cannot be read on.
    pub(super) fn basis_fault(&self, error: std::io::Error) -> Error {
        self.store
            .io("read", "the basis' manifest", error)
            .of_basis()
            .hint("run `backup list`; `backup apply --fresh` starts without continuing")
    }

    /// The tree that an entry is of.
    pub(super) fn tree_of(&self, entry: &Entry) -> Option<&Folder> {
        match usize::from(entry.tree) {
            0 => self.basis.as_ref(),
            other => self.also.get(other - 1),
        }
    }

    /// Ends the work here if it was asked to stop or failed elsewhere.
    pub(super) fn check(&self) -> Result<()> {
        self.context.stop.check()?;
        if self.ended.load(Ordering::Relaxed) {
            return Err(Error::failed("the work ended with another error"));
        }
        Ok(())
    }

    /// The same, while this file is at hand.
    pub(super) fn check_at(&self, path: &StoredPath) -> Result<()> {
        self.context.observer.at_hand(path);
        self.check()
    }

    /// For what one of the threads has done by others: not by as many as a distance asks for, since each
    /// of these threads may come to that at the same time.
    pub(super) fn of_one_thread(&self) -> Context<'_> {
        Context {
            widens: false,
            ..self.context
        }
    }

    /// A sync failed.
    pub(super) fn sync_failed(&self) {
        self.unsynced.store(true, Ordering::Relaxed);
    }

    /// Bytes of a file were written: looks at the free space now and then.
    pub(super) fn wrote(&self, path: &StoredPath, bytes: u64) -> Result<()> {
        let passed = Passed {
            read: bytes,
            written: bytes,
        };
        self.passed(path, passed)
    }

    /// Bytes of a file were passed, of which some may stand there already.
    pub(super) fn passed(&self, path: &StoredPath, passed: Passed) -> Result<()> {
        let Passed { read, written } = passed;
        self.flusher.wrote(0, written);
        let before = self.passed.fetch_add(read, Ordering::Relaxed);
        if before / SPACE_STEP != (before + read) / SPACE_STEP {
            self.check_space()?;
        }
        self.check_at(path)
    }

    /// Ends the work where the destination has less space than must stay free.
    pub(super) fn check_space(&self) -> Result<()> {
        let free = free_bytes(self.tree)
            .map_err(|error| self.store.io("look at", "the free space", error))?;
        if free < self.step.min_free_bytes {
            return Err(too_little_space(self.store, free, self.step.min_free_bytes));
        }
        Ok(())
    }

    /// What rsync or an interrupted run copied from this source to this inode.
    pub(super) fn copied_before(&self, stat: &Stat, copy: &Stat) -> Option<&CopiedFile> {
        let found = self.copied.get(&copy.ino)?;
        // Touched while that run looked at it: it may have been touched once more after it was read.
        if found.read_from != self.read_from && is_recent(stat, found.read_from) {
            return None;
        }
        (found.source_ino == stat.ino && found.source_ctime == stat.ctime && copy.size == stat.size)
            .then_some(found)
    }

    /// Whether an entry of a source was met where nothing is mounted on it, and nothing may be when it
    /// is opened.
    pub(super) fn is_here(&self, stat: &Stat) -> bool {
        // Which mount it is on not every kernel says.
        self.step.one_file_system && !stat.mount_root && stat.mount != 0
    }

    /// Whether what the basis stores of an entry is to be counted as lost to a clone of it: once for
    /// each file, whatever names it has.
    pub(super) fn counts_as_lost(&self, entry: &Entry) -> bool {
        let is_stored = entry.kind == Kind::File && entry.tree == 0 && entry.stored.is_some();
        is_stored
            && entry.group.is_none_or(|group| {
                let groups = self.lost_groups.lock();
                groups.unwrap_or_else(PoisonError::into_inner).insert(group)
            })
    }

    /// Whether an inode of the destination is known to be damaged.
    pub(super) fn never_link(&self, inode: u64) -> bool {
        self.step.never_link.binary_search(&inode).is_ok()
    }

    /// Whether a basis inode may be linked for this source inode.
    pub(super) fn may_give(&self, inode: u64, source: (u64, u64)) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        *given.entry(inode).or_insert(source) == source
    }
}
