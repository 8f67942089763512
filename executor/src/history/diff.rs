//! Compares two snapshots by their manifests, side by side.
//!
//! Lines that are equal are passed over as bytes. Kept is only what differs.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use schema::{Digest, SnapshotId, StoredPath, StoredPathBuf};

use super::{
    find::same_content,
    lines::{Lines, RecentTexts},
};
use crate::{
    error::Result,
    event::Context,
    manifest::{Entry, order_of_paths},
    store::Store,
    sys::{Kind, stat::Nanos},
};

/// What differs between two snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// In the order of manifests.
    pub differences: Vec<Difference>,
    /// Entries that are the same in both.
    pub same: u64,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path, without a leading slash; of something renamed its new one.
    pub path: StoredPathBuf,
    /// How it differs.
    pub change: Change,
    /// What the earlier snapshot has.
    pub before: Option<Side>,
    /// What the later one has.
    pub after: Option<Side>,
}

/// How a path differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the later snapshot has it.
    Added,
    /// Only the earlier one has it.
    Removed,
    /// Its content is another one, or it is another kind of entry.
    Content,
    /// Only its mode, owner, time or attributes are other ones. The time of a folder, which moves
    /// with its content, does not count.
    Metadata,
    /// It has the content of a file that the earlier snapshot has at this path and the later one
    /// does not.
    Renamed {
        /// The earlier path.
        from: StoredPathBuf,
    },
    /// It is a live file that looks the same, but the kernel noted a change or has another inode
    /// for it: only reading it would tell, which the next snapshot does.
    Touched,
}

/// What one snapshot has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// What it is.
    pub kind: Kind,
    /// Size in bytes; of regular files only.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Time of the last change of content.
    pub mtime: Nanos,
    /// Digest of the content.
    pub digest: Option<Digest>,
    /// What a symlink points to.
    pub target: Option<Vec<u8>>,
    /// Digest over all extended attributes.
    pub xattrs: Option<Digest>,
    /// The source's inode.
    pub(super) ino: u64,
}

impl From<Entry> for Side {
    fn from(entry: Entry) -> Self {
        Self {
            kind: entry.kind,
            size: entry.size,
            mode: entry.mode,
            owner: (entry.uid, entry.gid),
            mtime: entry.mtime,
            digest: entry.digest,
            target: entry.target,
            xattrs: entry.xattrs_digest,
            ino: entry.ino,
        }
    }
}

/// Compares two snapshots at and below a path, which has no leading slash; empty for all.
///
/// # Errors
/// A manifest that cannot be read, or an interruption.
pub fn diff_snapshots(
    store: &Store,
    snapshots: (SnapshotId, SnapshotId),
    path: &StoredPath,
    context: Context<'_>,
) -> Result<Diff> {
    let mut diff = Diff::default();
    let differs = &mut |before, after| match (before, after) {
        (Some(before), Some(after)) => diff.both(before, after),
        (None, after) => diff.push(Change::Added, None, after),
        (before, None) => diff.push(Change::Removed, before, None),
    };
    let same = pass_differences(store, snapshots, path, context, differs)?;
    diff.same += same;
    diff.find_renames_by(&|side: &Side| {
        // Empty files are all alike.
        let is_some = side.kind == Kind::File && side.size > 0;
        side.digest.filter(|_| is_some)
    });
    Ok(diff)
}

/// Gives the entries of two snapshots whose lines differ, in the order of manifests: what the earlier has of a
/// path, and what the later has. How many have the same line in both is the result.
///
/// # Errors
/// As [`diff_snapshots`].
pub(super) fn pass_differences(
    store: &Store,
    (before, after): (SnapshotId, SnapshotId),
    path: &StoredPath,
    context: Context<'_>,
    differs: &mut dyn FnMut(Option<Entry>, Option<Entry>),
) -> Result<u64> {
    let texts = RecentTexts::default();
    let before = &mut Lines::open(store, before, path, &texts)?;
    let after = &mut Lines::open(store, after, path, &texts)?;
    let mut same = 0;
    let mut steps = 0_u32;
    before.advance()?;
    after.advance()?;
    loop {
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(4096) {
            context.stop.check()?;
        }
        if let (Some(one), Some(other)) = (before.untouched_segment(), after.untouched_segment())
            && one == other
        {
            same += before.skip_segment()?;
            after.skip_segment()?;
            continue;
        }
        let order = match (before.path(), after.path()) {
            (None, None) => return Ok(same),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => order_of_paths(before, after),
        };
        match order {
            Ordering::Less => {
                differs(Some(before.entry()?), None);
                before.advance()?;
            }
            Ordering::Greater => {
                differs(None, Some(after.entry()?));
                after.advance()?;
            }
            Ordering::Equal => {
                if before.line() == after.line() {
                    same += 1;
                } else {
                    differs(Some(before.entry()?), Some(after.entry()?));
                }
                before.advance()?;
                after.advance()?;
            }
        }
    }
}

impl Diff {
    pub(super) fn push(&mut self, change: Change, before: Option<Entry>, after: Option<Entry>) {
        let path = before.as_ref().or(after.as_ref());
        self.differences.push(Difference {
            path: path.map(|entry| entry.path.clone()).unwrap_or_default(),
            change,
            before: before.map(Side::from),
            after: after.map(Side::from),
        });
    }

    fn both(&mut self, before: Entry, after: Entry) {
        let change = if !same_content(&before, &after) {
            Change::Content
        } else if same_metadata(&before, &after) {
            self.same += 1;
            return;
        } else {
            Change::Metadata
        };
        self.push(change, Some(before), Some(after));
    }

    /// Makes one difference of a file that went and one of the same content that came: rather the
    /// same inode, rather of the same name, and never one twice. `told` is what tells the content.
    pub(super) fn find_renames_by<T: Ord>(&mut self, told: &dyn Fn(&Side) -> Option<T>) {
        let mut gone: BTreeMap<T, Vec<usize>> = BTreeMap::new();
        let content = |side: &Option<Side>| {
            let side = side.as_ref()?;
            Some((told(side)?, side.ino))
        };
        for (at, one) in self.differences.iter().enumerate() {
            if let (Change::Removed, Some((told, _))) = (&one.change, content(&one.before)) {
                gone.entry(told).or_default().push(at);
            }
        }
        let mut taken = BTreeSet::new();
        for closeness in 0..3 {
            for at in 0..self.differences.len() {
                let one = &self.differences[at];
                let (Change::Added, Some((told, ino))) = (&one.change, content(&one.after)) else {
                    continue;
                };
                let is_close = |other: &usize| {
                    let other = &self.differences[*other];
                    match closeness {
                        0 => other.before.as_ref().is_some_and(|side| side.ino == ino),
                        1 => other.path.file_name() == one.path.file_name(),
                        _ => true,
                    }
                };
                let from = gone
                    .get(&told)
                    .and_then(|gone| gone.iter().find(|at| !taken.contains(*at) && is_close(at)))
                    .copied();
                if let Some(from) = from {
                    taken.insert(from);
                    let earlier = &self.differences[from];
                    let (path, before) = (earlier.path.clone(), earlier.before.clone());
                    self.differences[at].change = Change::Renamed { from: path };
                    self.differences[at].before = before;
                }
            }
        }
        let mut at = 0;
        self.differences.retain(|_| {
            at += 1;
            !taken.contains(&(at - 1))
        });
    }
}

/// Whether mode, owner, attributes and, but for folders, time are the same.
pub(super) fn same_metadata(one: &Entry, other: &Entry) -> bool {
    (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid)
        && (one.kind == Kind::Folder || one.mtime == other.mtime)
        && one.xattrs_digest == other.xattrs_digest
        && (one.immutable, one.append_only) == (other.immutable, other.append_only)
}
