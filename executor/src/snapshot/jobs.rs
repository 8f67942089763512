//! Jobs are handed to the threads that build a snapshot; this is what is in them, and what comes back.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::io::Errno;
use schema::{Digest, SnapshotId, StoredPathBuf, journal::Problem, record::SnapshotTotals};

use crate::{
    error::Result,
    manifest::Entry,
    survey::Stretch,
    sys::{Folder, Stat, attributes::Attributes, stat::Nanos},
};

/// Looks at entries of one folder that cost more than to read it.
const WORTH_LISTING: usize = 7;

/// A folder of the new tree.
pub(super) struct DirectoryNode {
    /// The folder in the new tree.
    pub(super) new: Folder,
    /// The same folder in the basis, where it has one.
    pub(super) basis: Option<Folder>,
    /// The same folder in the source; none for folders above the sources.
    pub(super) source: Option<Folder>,
    /// Its path in the snapshot.
    pub(super) path: StoredPathBuf,
    /// It stood in a tree that was continued.
    pub(super) continued: bool,
    /// It stands in a clone of the basis, with all that the basis has in it.
    pub(super) inherited: bool,
    /// Something in it is not as the basis has it.
    touched: AtomicBool,
    /// What it gets when it is full.
    end: Mutex<FolderMetadata>,
    /// The names made so far, where it may hold others from an interrupted run.
    made: Mutex<HashSet<OsString>>,
    /// The names that an interrupted run left, where other spellings of them are the same.
    left: Mutex<Option<HashSet<OsString>>>,
    /// The destination cannot hold it, which is listed, and nothing that is in it.
    lost: AtomicBool,
    /// How many entries of the basis' folder were asked for, far away, and that it was read whole.
    asked: AtomicUsize,
    listed: OnceLock<()>,
}

/// What a folder gets when it is full; no entry for one that could not be made.
#[derive(Default, Clone)]
pub(super) struct FolderMetadata {
    /// Its entry in the manifest.
    pub(super) entry: Option<Entry>,
    /// Its extended attributes.
    pub(super) attributes: Attributes,
    /// The basis has it with this very metadata.
    pub(super) as_in_basis: bool,
}

impl DirectoryNode {
    pub(super) fn new(
        new: Folder,
        basis: Option<Folder>,
        source: Option<Folder>,
        path: StoredPathBuf,
        (continued, inherited): (bool, bool),
    ) -> Arc<Self> {
        Arc::new(Self {
            new,
            basis,
            source,
            path,
            continued,
            inherited,
            touched: AtomicBool::new(false),
            end: Mutex::default(),
            made: Mutex::default(),
            left: Mutex::default(),
            lost: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            listed: OnceLock::new(),
        })
    }

    /// So many entries of the same folder in the basis will be looked at, each of which is a question to
    /// somebody far away. To read the folder takes about six; who reads it is told of all that is in it,
    /// and the kernel, or the program that it asks, knows the answers then.
    pub(super) fn expect_looks(&self, entries: usize) {
        let asked = self.asked.fetch_add(entries, Ordering::Relaxed) + entries;
        if asked > WORTH_LISTING
            && let Some(basis) = &self.basis
        {
            // What cannot be read is asked for one by one.
            self.listed.get_or_init(|| {
                let _ = basis.open().and_then(|dir| dir.read_through());
            });
        }
    }

    /// Whether the destination cannot hold it.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// The destination cannot hold it.
    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> MutexGuard<'_, Option<HashSet<OsString>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something in it becomes another than the basis has.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// Whether it is to all appearances the folder that the clone has from the basis.
    pub(super) fn is_untouched(&self) -> bool {
        self.inherited
            && !self.touched.load(Ordering::Relaxed)
            && !self.new.is_changed()
            && !self.new.is_new()
    }

    /// Whether entries may stand in it that nothing was done for yet.
    pub(super) fn may_hold_others(&self) -> bool {
        self.is_continued() || (self.inherited && !self.new.is_new())
    }

    /// Whether it may hold what an interrupted run left.
    pub(super) fn is_continued(&self) -> bool {
        self.continued && !self.new.is_new()
    }

    pub(super) fn end(&self) -> MutexGuard<'_, FolderMetadata> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn made(&self) -> MutexGuard<'_, HashSet<OsString>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of one file.
pub(super) struct LinkGroup {
    /// The number that they share in the manifest.
    pub(super) number: u64,
    /// The first of them that was made. Whoever makes it holds the lock meanwhile.
    pub(super) first: Mutex<Option<FirstName>>,
}

impl LinkGroup {
    pub(super) fn first(&self) -> MutexGuard<'_, Option<FirstName>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that was made.
pub(super) struct FirstName {
    /// The folder it is in.
    pub(super) node: Arc<DirectoryNode>,
    /// Its name there.
    pub(super) name: OsString,
    /// Its entry in the manifest.
    pub(super) entry: Entry,
}

/// Some entries that follow each other, and folders that are full now.
#[derive(Default)]
pub(super) struct BuildJob {
    /// The source that they belong to.
    pub(super) source: Option<usize>,
    /// Entries to make, in the manifest's order.
    pub(super) items: Vec<BuildItem>,
    /// Folders whose content was made by earlier jobs.
    pub(super) full: Vec<Arc<DirectoryNode>>,
    /// Folders that are full once this job is done.
    pub(super) leaves: Vec<Arc<DirectoryNode>>,
    /// Bytes that may have to be copied.
    pub(super) bytes: u64,
    /// Lines of the basis' manifest that its entries refer to.
    pub(super) lines: Vec<u8>,
}

/// An entry to make.
pub(super) struct BuildItem {
    /// The folder that gets it.
    pub(super) node: Arc<DirectoryNode>,
    /// Its name there, which is not its own where the destination cannot hold that.
    pub(super) name: OsString,
    /// Its path in the snapshot, with its own name, if that is not the name in the folder.
    pub(super) path: Option<Box<StoredPathBuf>>,
    /// Where it is found, if that is not the same name in the node's source.
    pub(super) from: Option<Box<(Folder, OsString)>>,
    /// What the basis has at its path, or another one that is linked to, once its line was taken apart.
    pub(super) basis: Option<Box<Entry>>,
    /// Where the basis' line of its path stands among the job's, without its newline; empty if there is
    /// none, or `basis` has it.
    pub(super) line: Range<usize>,
    /// What another destination was given of it in this run, where its source takes longer to read.
    pub(super) fed: Option<Box<Entry>>,
    /// The digest of what the reference has at its path, where that is not the basis.
    pub(super) reference: Option<Digest>,
    /// What it is.
    pub(super) what: ItemKind,
}

/// What an entry is.
pub(super) enum ItemKind {
    /// A folder.
    Folder(Stat, Arc<DirectoryNode>),
    /// A regular file.
    File(Stat, Option<Arc<LinkGroup>>),
    /// A symlink, FIFO, socket or device.
    Other(Stat, Option<Arc<LinkGroup>>),
    /// The tree's own folder stands for `/`; only its metadata is taken over.
    Root(Stat),
    /// It cannot be looked at.
    Unreadable(Errno),
    /// These entries of the clone are as the basis has them, with all that is in them.
    Stretch(Stretch),
    /// These names of the folder are in a clone of the basis and not in the sources any more.
    Gone(Vec<OsString>),
    /// The source is not there or cannot be looked at.
    NoSource(Errno),
    /// It has more holes than are read.
    Hollow(Stat),
    /// It was there and then was not.
    Vanished,
}

/// Bytes and files by the snapshot that stored them first.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<SnapshotId, (u64, u64)>);

impl Lost {
    /// Counts one file.
    pub(super) fn count(&mut self, by: SnapshotId, bytes: u64) {
        let one = self.0.entry(by).or_default();
        one.0 += bytes;
        one.1 += 1;
    }

    /// Counts what another counted.
    pub(super) fn add(&mut self, other: Self) {
        for (by, (bytes, files)) in other.0 {
            let one = self.0.entry(by).or_default();
            one.0 += bytes;
            one.1 += files;
        }
    }

    /// What is left of what the basis stores, bytes and files.
    pub(super) fn of_basis(
        &self,
        stored_by: &BTreeMap<SnapshotId, u64>,
        files_stored_by: &BTreeMap<SnapshotId, u64>,
    ) -> (BTreeMap<SnapshotId, u64>, BTreeMap<SnapshotId, u64>) {
        let none = (0, 0);
        let mut bytes = BTreeMap::new();
        let mut files = BTreeMap::new();
        for (by, held) in files_stored_by {
            let lost = self.0.get(by).unwrap_or(&none);
            let left = held.saturating_sub(lost.1);
            if left > 0 {
                files.insert(*by, left);
                let held = stored_by.get(by).copied().unwrap_or(0);
                bytes.insert(*by, held.saturating_sub(lost.0));
            }
        }
        (bytes, files)
    }
}

/// What a job came to.
#[derive(Default)]
pub(super) struct Tally {
    /// Lines of the manifest.
    pub(super) lines: Vec<u8>,
    /// Stretches whose lines come after so many bytes of these.
    pub(super) stretches: Vec<(usize, Stretch)>,
    pub(super) totals: SnapshotTotals,
    pub(super) stored_by: BTreeMap<SnapshotId, u64>,
    pub(super) files_stored_by: BTreeMap<SnapshotId, u64>,
    /// What the basis stores and a clone of it does not any more.
    pub(super) lost: Lost,
    /// Regular files whose content is as the basis has it.
    pub(super) unchanged_files: u64,
    /// Regular files whose content is as the reference has it.
    pub(super) files_as_before: u64,
    /// Regular files that the reference has with other content, and one of them.
    pub(super) files_changed: u64,
    pub(super) changed: Option<StoredPathBuf>,
    pub(super) problems: Vec<Problem>,
    /// Files that were copied.
    pub(super) copies: Vec<CompletedCopy>,
}

/// A file that was copied whole.
pub(super) struct CompletedCopy {
    /// Inode number of the copy.
    pub(super) inode: u64,
    /// Inode number of the source.
    pub(super) source_inode: u64,
    /// The source's change time when it was read.
    pub(super) source_ctime: Nanos,
    /// Digest of the content.
    pub(super) digest: Digest,
}

/// A job that was done, or ended.
pub(super) struct BuildJobResult {
    pub(super) source: Option<usize>,
    pub(super) leaves: Vec<Arc<DirectoryNode>>,
    pub(super) tally: Tally,
    pub(super) result: Result<()>,
}

impl Tally {
    /// Adds what another job came to, but for its lines and copies.
    pub(super) fn add(&mut self, other: Self) {
        let (sum, more) = (&mut self.totals, other.totals);
        sum.entries += more.entries;
        sum.files += more.files;
        sum.folders += more.folders;
        sum.bytes += more.bytes;
        sum.files_copied += more.files_copied;
        sum.bytes_copied += more.bytes_copied;
        sum.files_linked += more.files_linked;
        sum.bytes_linked += more.bytes_linked;
        sum.errors += more.errors;
        sum.vanished += more.vanished;
        sum.torn += more.torn;
        sum.renamed += more.renamed;
        for (id, bytes) in other.stored_by {
            *self.stored_by.entry(id).or_default() += bytes;
        }
        for (id, files) in other.files_stored_by {
            *self.files_stored_by.entry(id).or_default() += files;
        }
        self.lost.add(other.lost);
        self.unchanged_files += other.unchanged_files;
        self.files_as_before += other.files_as_before;
        let room = super::limits::MAX_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(other.problems.into_iter().take(room));
    }
}
