//! Entries of a clone of the basis: what is as the source has it stays, unseen; what is not gives way.
//!
//! Invariant: no file that the clone has from the basis is changed. Another one takes its place, so that
//! what is the basis' own can be told by inode number and change time ([`is_clone`]).

use std::ffi::{OsStr, OsString};

use schema::{StoredPath, journal::ProblemKind};

use super::{
    file,
    jobs::{BuildItem, ItemKind},
    limits::ends_everything,
    worker::Worker,
};
use crate::{
    error::{Error, Result, system_reason},
    manifest::Entry,
    remove::remove_tree,
    survey::Stretch,
    sys::{Dir, Kind, Stat, bytes},
};

/// Whether an entry of a subvolume is what a clone has from the other: nothing was done to it since. The
/// kernel moves the change time with anything that is done.
pub(crate) fn is_clone(one: &Stat, other: &Stat) -> bool {
    one.dev != other.dev
        && one.ino == other.ino
        && one.ctime == other.ctime
        && (one.kind, one.size, one.mtime) == (other.kind, other.size, other.mtime)
}

/// Takes an entry over that was not touched since the basis was made; says whether it did.
pub(super) fn take_over(worker: &mut Worker<'_>, item: &mut BuildItem) -> Result<bool> {
    let (stat, is_file) = match &item.what {
        ItemKind::File(stat, None) => (*stat, true),
        ItemKind::Other(stat, None) => (*stat, false),
        // Which names are one inode only a look can tell.
        _ => return Ok(false),
    };
    let Some(entry) = item.basis.as_deref() else {
        return Ok(false);
    };
    let stands = entry.tree == 0
        && !entry.absent
        && entry.group.is_none()
        && entry.stored_as.is_none()
        && entry.stored.is_some() == is_file;
    // Attributes of what is no file are read and compared where there are any.
    let known = is_file || entry.xattrs_digest.is_none();
    let is_doubtful = worker.build.doubtful.has(worker.path());
    if !stands || !known || is_doubtful || !worker.build.since(entry).untouched(entry, &stat) {
        return Ok(false);
    }
    if is_file {
        file::count_taken_over(worker, item, entry);
    }
    let Some(mut entry) = item.basis.take() else {
        return Ok(false);
    };
    entry.immutable = stat.immutable;
    entry.append_only = stat.append_only;
    worker.list(&item.name, &entry)?;
    Ok(true)
}

/// Takes entries over that were not touched since the basis was made, as the survey found.
pub(super) fn take_over_stretch(worker: &mut Worker<'_>, stretch: &Stretch) {
    let tally = &mut worker.tally;
    tally.stretches.push((tally.lines.len(), *stretch));
    let totals = &mut tally.totals;
    totals.entries += stretch.lines;
    totals.folders += stretch.folders;
    totals.files += stretch.files;
    totals.bytes += stretch.bytes;
    totals.files_linked += stretch.files;
    totals.bytes_linked += stretch.bytes;
    tally.unchanged_files += stretch.files;
    tally.files_as_before += stretch.files;
}

/// Counts what the basis stores of an entry that is not taken over.
pub(super) fn count_lost(worker: &mut Worker<'_>, entry: &Entry) {
    if !worker.build.counts_as_lost(entry) {
        return;
    }
    let stored = worker.basis_dir();
    if let (Some(by), Some(dir)) = (entry.stored, stored)
        && let Ok(stat) = dir.stat(entry.stored_name())
    {
        worker.tally.lost.count(by, stat.allocated);
    }
}

/// Whether the entry at hand stands in the new tree as a clone has it from the basis.
pub(super) fn is_there(worker: &mut Worker<'_>, new: &Dir, name: &OsStr) -> bool {
    let Some(basis) = worker.basis_dir() else {
        return false;
    };
    match (new.stat(name), basis.stat(name)) {
        (Ok(there), Ok(found)) => is_clone(&there, &found) && found.kind != Kind::Folder,
        _ => false,
    }
}

/// Takes away what is not in the sources any more.
pub(super) fn take_away(worker: &mut Worker<'_>, names: &[OsString]) -> Result<()> {
    let node = worker.node()?;
    node.touch();
    let dir = node.new.open_or_make();
    for name in names {
        worker.build.check()?;
        let path = node.path.join(bytes(name));
        let removed = match &dir {
            Ok(dir) => remove_tree(dir, name, &path.shown(), worker.build.context),
            Err(error) => Err(Error::io("open", &node.path.to_absolute(), *error)),
        };
        leave_unlisted(worker, &path, removed)?;
    }
    Ok(())
}

/// Nothing was listed for an entry: then the basis' must not stand there either.
pub(super) fn clear_unlisted(worker: &mut Worker<'_>, item: &BuildItem) -> Result<()> {
    let opened = item.node.new.open_or_make();
    let cleared = match opened {
        Ok(dir) => worker.clear(&dir, &item.name),
        Err(error) => Err(Error::io("open", &worker.here(), error)),
    };
    let path = worker.path().to_owned();
    leave_unlisted(worker, &path, cleared)
}

/// Lists what should not stand there and could not be taken away: the next clone looks at it again.
fn leave_unlisted(worker: &mut Worker<'_>, path: &StoredPath, removed: Result<()>) -> Result<()> {
    let Err(error) = removed else { return Ok(()) };
    let errno = error.errno().filter(|errno| !ends_everything(*errno));
    let Some(errno) = errno else {
        return Err(error);
    };
    let because = system_reason(&errno.into());
    worker.problem_at(
        path,
        ProblemKind::Unlisted,
        format!("is as the snapshot before has it, and cannot be taken away: {because}"),
    );
    Ok(())
}
