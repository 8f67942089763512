//! What the threads of one pass share: what they found, and how far they are.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use schema::{
    Digest, SnapshotId, StoredPath, StoredPathBuf,
    record::Capabilities,
    verify::{DamageKind, Depth},
};

use super::{compare::kind_noun, seen::Seen};
use crate::{
    error::{Error, ErrorKind},
    event::{Context, Event, Observer, Phase, Progress, Stop},
    leases::LeasePatience,
    sys::{Kind, Stat},
    width::Width,
};

/// Damages that are listed; more are only counted.
pub(super) const MOST: usize = 10_000;

/// A stored inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredInode {
    pub(super) number: u64,
    /// How many names it has.
    pub(super) links: u32,
    /// It is in a subvolume: clones that have the same are other inodes with the same content.
    pub(super) is_cloned: bool,
    /// What is the same for all that share it.
    pub(super) identity: u64,
}

impl StoredInode {
    /// An inode as the kernel describes it, on a destination whose own folder is on `device`.
    pub(super) fn of(stat: &Stat, device: u64) -> Self {
        Self {
            number: stat.ino,
            links: stat.nlink,
            is_cloned: stat.dev != device,
            identity: stat.identity(device),
        }
    }
}

/// Something that is not as it should be, at one name.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    /// Place of the snapshot in the list of all.
    pub(super) snapshot: usize,
    pub(super) path: StoredPathBuf,
    pub(super) kind: DamageKind,
    pub(super) message: String,
    /// The inode, where the damage is in it.
    pub(super) inode: Option<StoredInode>,
    pub(super) expected: Option<Digest>,
    pub(super) found: Option<Digest>,
    /// Other snapshots that have the same damage in the same inode of their manifests.
    pub(super) shared_by: Vec<SnapshotId>,
}

impl Raw {
    pub(super) fn new(
        snapshot: usize,
        path: &StoredPath,
        kind: DamageKind,
        message: String,
    ) -> Self {
        Self {
            snapshot,
            path: path.to_owned(),
            kind,
            message,
            inode: None,
            expected: None,
            found: None,
            shared_by: Vec::new(),
        }
    }
}

/// What the threads of one pass share.
pub(super) struct Pass<'a> {
    pub(super) depth: Depth,
    /// The file system of the destination's own folder.
    pub(super) device: u64,
    /// Several snapshots are compared.
    pub(super) several: bool,
    pub(super) capabilities: &'a Capabilities,
    pub(super) stop: &'a Stop,
    pub(super) observer: &'a dyn Observer,
    pub(super) width: Width,
    /// Small files are on a file system that is asked for just what is read.
    pub(super) as_asked: bool,
    pub(super) seen: Seen,
    /// For stored files on which their owners hold leases.
    pub(super) leases: LeasePatience,
    pub(super) found: Mutex<Vec<Raw>>,
    /// Snapshots with damage that is not listed.
    pub(super) unlisted: Mutex<BTreeSet<usize>>,
    /// Files whose inode was read for another name of which another content was expected.
    pub(super) doubts: Mutex<Vec<Raw>>,
    pub(super) damage_count: AtomicU64,
    pub(super) entries: AtomicU64,
    pub(super) files: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) entries_total: u64,
    pub(super) bytes_total: u64,
}

impl<'a> Pass<'a> {
    /// A pass that has found nothing yet; `expected` are its entries and the bytes to read.
    pub(super) fn new(
        depth: Depth,
        (device, several): (u64, bool),
        capabilities: &'a Capabilities,
        expected: (u64, u64),
        (width, as_asked): (Width, bool),
        context: Context<'a>,
    ) -> Self {
        let (entries_total, bytes_total) = expected;
        Self {
            depth,
            device,
            several,
            capabilities,
            stop: context.stop,
            observer: context.observer,
            width,
            as_asked,
            seen: Seen::new(),
            leases: LeasePatience::default(),
            found: Mutex::default(),
            unlisted: Mutex::default(),
            doubts: Mutex::default(),
            damage_count: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            entries_total,
            bytes_total,
        }
    }

    pub(super) fn found(&self, raw: Raw) {
        self.damage_count.fetch_add(1, Ordering::Relaxed);
        let at = raw.snapshot;
        if !push_bounded(&self.found, raw) {
            let unlisted = self.unlisted.lock();
            unlisted.unwrap_or_else(PoisonError::into_inner).insert(at);
        }
    }

    /// Adds what is wrong with a snapshot as a whole.
    pub(super) fn found_at_root(&self, at: usize, kind: DamageKind, message: String) {
        self.found(Raw::new(at, StoredPath::root(), kind, message));
    }

    pub(super) fn doubt(&self, raw: Raw) {
        let _ = push_bounded(&self.doubts, raw);
    }

    pub(super) fn count_entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A large file alone is news, too.
        if before >> 26 != (before + bytes) >> 26 {
            self.report();
        }
    }

    pub(super) fn count_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells how far the work is.
    pub(super) fn report(&self) {
        self.observer.event(Event::Progress(Progress {
            phase: Phase::Verify,
            entries: self.entries.load(Ordering::Relaxed),
            entries_total: self.entries_total,
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: self.bytes_total,
        }));
    }
}

/// Adds to a list that is not full; says whether it did.
pub(super) fn push_bounded(list: &Mutex<Vec<Raw>>, raw: Raw) -> bool {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    let room = list.len() < MOST;
    if room {
        list.push(raw);
    }
    room
}

/// What is there, and what should be.
pub(super) fn wrong_kind(found: Kind, wanted: Kind) -> String {
    format!("is {}, should be {}", kind_noun(found), kind_noun(wanted))
}

/// The same interruption with what to do about it here.
pub(super) fn verify_interrupted(error: Error) -> Error {
    if error.kind != ErrorKind::Interrupted {
        return error;
    }
    error.with_hint("nothing was changed; run the same again")
}
