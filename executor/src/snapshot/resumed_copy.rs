//! Takes over what rsync or an interrupted run copied, where it can be trusted, with its metadata.

use std::fs::File;

use schema::Digest;

use super::{copying::set_metadata, jobs::BuildItem, stored_file::Stored, worker::Worker};
use crate::{
    copy::CopyError,
    error::Result,
    manifest::{Entry, xattrs_digest},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
    },
};

/// A copy that can be trusted.
struct Trusted {
    file: File,
    /// What the kernel says of it.
    copy: Stat,
    digest: Digest,
    /// It has the metadata of its source, but for attributes.
    is_dressed: bool,
}

/// Takes over a copy that rsync or an interrupted run made, if it can be trusted.
pub(super) fn take_over_copy(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    stat: &Stat,
) -> Result<Option<Stored>> {
    if !worker.node()?.is_continued() {
        return Ok(None);
    }
    let Ok(Some(copy)) = new.look(&item.name) else {
        return Ok(None);
    };
    if let Some(digest) = known_whole(worker, &copy, stat) {
        let entry = Entry {
            digest: Some(digest),
            stored: Some(worker.build.step.id),
            ..Entry::of(worker.path(), stat)
        };
        return Ok(Some(Stored::copied(item, entry, copy, stat)));
    }
    let Some(trusted) = open_trusted(worker, item, new, (&copy, stat))? else {
        return Ok(None);
    };
    let Some((source, held)) = attributes_of_both(worker, item, &trusted.file, stat) else {
        return Ok(None);
    };
    let mut entry = Entry {
        digest: Some(trusted.digest),
        stored: Some(worker.build.step.id),
        ..Entry::of(worker.path(), stat)
    };
    entry.xattrs_digest = xattrs_digest(&source);
    let build = worker.build;
    // What stands there and should not came in from elsewhere, such as a folder's default access
    // control list: it is copied anew.
    let mut more = held.iter().filter(|one| !source.contains(one));
    if more.any(|(name, _)| build.surely_holds(name)) {
        return Ok(None);
    }
    // What could not be stored then stands nowhere but in the manifest.
    let lacking = source.iter().filter(|one| !held.contains(one)).cloned();
    entry.xattrs_kept = lacking.collect();
    let mut kept = entry.xattrs_kept.iter();
    let mut copy = trusted.copy;
    let lacks = !trusted.is_dressed || kept.any(|(name, _)| build.surely_holds(name));
    // An inode of one name that this snapshot's own runs made: no published one shares it.
    if copy.nlink == 1 && (lacks || !entry.xattrs_kept.is_empty()) {
        copy = set_metadata(worker, &trusted.file, &mut entry, source, copy)?;
    } else if lacks {
        return Ok(None);
    }
    worker.sync_one(|| trusted.file.sync_all())?;
    Ok(Some(Stored::copied(item, entry, copy, stat)))
}

/// The digest of a copy that was seen to have all that its source has, a moment ago and by this process: it
/// need not be opened.
fn known_whole(worker: &Worker<'_>, copy: &Stat, stat: &Stat) -> Option<Digest> {
    let found = worker.build.copied_before(stat, copy)?;
    let is_whole = found.fresh
        && found.is_bare
        && (copy.kind, copy.nlink) == (Kind::File, 1)
        && has_metadata(worker, copy, stat);
    (is_whole && !worker.build.one_by_one).then_some(found.digest)
}

fn open_trusted(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    (copy, stat): (&Stat, &Stat),
) -> Result<Option<Trusted>> {
    let copy = *copy;
    if copy.kind != Kind::File {
        return Ok(None);
    }
    let Some(found) = worker.build.copied_before(stat, &copy).copied() else {
        return Ok(None);
    };
    let Ok(file) = new.file(&item.name) else {
        return Ok(None);
    };
    if !Stat::of_fd(&file).is_ok_and(|open| open.same_inode(&copy)) {
        return Ok(None);
    }
    let is_dressed = has_metadata(worker, &copy, stat);
    let trusted = Trusted {
        file,
        copy,
        digest: found.digest,
        is_dressed,
    };
    // A power cut may have left the content on disk and taken what came after it; and where inode
    // numbers do not last, this may be another one's record.
    if found.fresh || (found.durable && is_dressed) {
        return Ok(Some(trusted));
    }
    let build = worker.build;
    let sparse = copy.allocated < copy.size;
    let read = worker
        .copier
        .digest(&trusted.file, sparse, &mut |_| build.check());
    match read {
        Ok(read) if read.digest == found.digest => Ok(Some(trusted)),
        Err(CopyError::Ended(error)) => Err(error),
        _ => Ok(None),
    }
}

/// Whether a copy has the metadata of its source, as far as the destination can hold it.
fn has_metadata(worker: &Worker<'_>, copy: &Stat, stat: &Stat) -> bool {
    let build = worker.build;
    let can = &build.capabilities;
    build.is_time(copy, stat.mtime)
        && (!can.modes || copy.mode == build.mode_there(Kind::File, stat.mode))
        && (!can.owners || !build.privileged || (copy.uid, copy.gid) == (stat.uid, stat.gid))
}

/// The attributes of a source that is still the same, and of its copy.
fn attributes_of_both(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    copy: &File,
    stat: &Stat,
) -> Option<(Attributes, Attributes)> {
    let source = worker.open_source(item, stat).ok()?.ok()?;
    let wanted = attributes::of_fd(&source).ok()?;
    let opened = Stat::of_fd(&source).ok()?;
    let held = attributes::of_fd(copy).ok()?;
    (opened.same_inode(stat) && opened.ctime == stat.ctime).then_some((wanted, held))
}
