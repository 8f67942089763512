//! A file that is as the basis has it, as most are: its stored inode gets one more name, or stays in the
//! clone, and its line goes into the new manifest as it stands.
//!
//! Whatever is not that simple (several names, another name on the destination, attributes kept in the
//! manifest, a line of a word that is not known) takes the long way, which comes to the same.

use schema::SnapshotId;

use super::{
    build_context::Reference,
    capability_checks,
    file::{self, Given},
    jobs::{BuildItem, ItemKind},
    worker::Worker,
};
use crate::{
    error::Result,
    manifest::{Entry, StoredLine},
    sys::{Kind, Owners, Stat, bytes},
};

/// Keeps a file that the basis has as the source has it now, by the basis' line of it; says whether it did.
///
/// Invariant: the line is of this path, and of a file that stands under its own names in the basis.
pub(super) fn keep(worker: &mut Worker<'_>, item: &BuildItem, line: &[u8]) -> Result<bool> {
    let build = worker.build;
    let ItemKind::File(stat, None) = &item.what else {
        return Ok(false);
    };
    // In a clone only what it has from the basis is counted there.
    let is_elsewhere = build.clone_of.is_some() && !item.node.inherited;
    if is_elsewhere || build.doubtful.has(worker.path()) {
        return Ok(false);
    }
    let is_judged_by_basis = matches!(build.reference, Reference::Basis);
    let is_named_so = worker.path().file_name() == bytes(&item.name);
    if !is_judged_by_basis || !is_named_so || stat.immutable || stat.append_only {
        return Ok(false);
    }
    let Some((line, by)) = StoredLine::read(line).and_then(|line| stored_by(worker, line)) else {
        return Ok(false);
    };
    if !build.since_basis().untouched(line.looks, stat)
        || !worker.has_names((stat.uid, stat.gid), line.names)
    {
        return Ok(false);
    }
    if item.node.inherited {
        if item.node.is_continued() {
            return Ok(false);
        }
        file::count_kept(worker, stat.size);
    } else {
        let Some(copy) = link(worker, item, &line, stat)? else {
            return Ok(false);
        };
        file::count_kept(worker, stat.size);
        worker.stores(by, &copy);
    }
    debug_assert!(is_long_way_the_same(&line, stat), "{:?}", worker.path());
    worker.tally.totals.entries += 1;
    worker.tally.lines.extend_from_slice(line.text);
    worker.tally.lines.push(b'\n');
    Ok(true)
}

/// A line that can be taken over, and the snapshot that stored its content.
fn stored_by<'l>(
    worker: &mut Worker<'_>,
    line: StoredLine<'l>,
) -> Option<(StoredLine<'l>, SnapshotId)> {
    let is_whole = line.is_plain && line.looks.kind == Kind::File && line.looks.has_digest;
    let by = worker.id_of(line.stored.filter(|_| is_whole)?)?;
    Some((line, by))
}

/// Gives the inode of the basis one more name; none where that is not so simple.
fn link(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    line: &StoredLine<'_>,
    stat: &Stat,
) -> Result<Option<Stat>> {
    if item.node.may_hold_others() {
        return Ok(None);
    }
    let (Some(new), Some(basis)) = (worker.new_dir()?, worker.basis_dir()) else {
        return Ok(None);
    };
    if capability_checks::why_refused(worker, &new, &item.name)?.is_some()
        || worker.build.capabilities.refuses_size(stat.size).is_some()
    {
        return Ok(None);
    }
    let from = (&*basis, item.name.as_os_str());
    match file::give_inode(worker, item, &new, from, &line.looks, None)? {
        Given::Linked(copy) => Ok(Some(copy)),
        Given::Refused(_) | Given::Not => Ok(None),
    }
}

/// Whether the long way would list the same: all tests of whole runs compare both ways.
fn is_long_way_the_same(line: &StoredLine<'_>, stat: &Stat) -> bool {
    let long = Entry::from_nameless_line(line.text).map(|entry| Entry {
        owners: Owners::of(stat.uid, stat.gid),
        ino: stat.ino,
        ctime: stat.ctime,
        immutable: stat.immutable,
        append_only: stat.append_only,
        unread: false,
        group: None,
        stored_as: None,
        ..entry
    });
    Entry::from_line(line.text).ok() == long.ok()
}

/// The entry of a line of the basis' manifest.
pub(super) fn entry_of(worker: &Worker<'_>, line: &[u8]) -> Result<Entry> {
    Entry::from_nameless_line(line).map_err(|fault| worker.build.basis_fault(fault))
}
