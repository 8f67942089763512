//! What an interrupted run copied: kept where it can be trusted.

use schema::Digest;

use super::{
    file::{How, Stored},
    job::Item,
    worker::Worker,
};
use crate::{
    copy::CopyError,
    error::Result,
    manifest::{Entry, xattrs_digest},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
    },
};

/// Takes over a copy that an interrupted run made, if it can be trusted.
pub(super) fn kept_copy(
    worker: &mut Worker<'_>,
    item: &Item,
    new: &Dir,
    stat: &Stat,
) -> Result<Option<Stored>> {
    if !worker.place()?.is_continued() {
        return Ok(None);
    }
    let Some((copy, digest)) = trusted(worker, item, new, stat)? else {
        return Ok(None);
    };
    let Some((wanted, held)) = attributes_of_both(worker, item, new, stat) else {
        return Ok(None);
    };
    let mut entry = Entry {
        digest: Some(digest),
        stored: Some(worker.shop.step.id),
        ..Entry::of(worker.path(), stat)
    };
    entry.xattrs_digest = xattrs_digest(&wanted);
    // What could not be stored then stands nowhere but in the manifest.
    let source = wanted.clone();
    entry.xattrs_kept = wanted;
    entry.xattrs_kept.retain(|one| !held.contains(one));
    // What could have been stored and was not, or stands there and should not, came in from
    // elsewhere, such as a folder's default access control list: it is copied anew.
    let shop = worker.shop;
    let missing = entry
        .xattrs_kept
        .iter()
        .any(|(name, _)| shop.surely_holds(name));
    let mut more = held.iter().filter(|one| !source.contains(one));
    if missing || more.any(|(name, _)| shop.surely_holds(name)) {
        return Ok(None);
    }
    let basis = item.basis.as_ref().and_then(|basis| basis.digest);
    Ok(Some(Stored {
        entry,
        how: How::Copied,
        copy,
        inode: (stat.dev, stat.ino),
        unchanged: Some(digest) == basis,
    }))
}

fn trusted(
    worker: &mut Worker<'_>,
    item: &Item,
    new: &Dir,
    stat: &Stat,
) -> Result<Option<(Stat, Digest)>> {
    let Ok(Some(copy)) = new.look(&item.name) else {
        return Ok(None);
    };
    if copy.kind != Kind::File {
        return Ok(None);
    }
    let Some((digest, durable)) = worker.shop.copied_before(stat, &copy) else {
        return Ok(None);
    };
    // A power cut may have left the content on disk and taken what came after it; and where inode
    // numbers do not last, this may be another one's record.
    if !has_metadata(worker, &copy, stat) {
        return Ok(None);
    }
    if durable {
        return Ok(Some((copy, digest)));
    }
    let Ok(file) = new.file(&item.name) else {
        return Ok(None);
    };
    let shop = worker.shop;
    let sparse = copy.allocated < copy.size;
    match worker.copier.digest(&file, sparse, &mut |_| shop.check()) {
        Ok(read) if read.digest == digest => {
            worker.sync_one(|| file.sync_all())?;
            Ok(Some((copy, digest)))
        }
        Err(CopyError::Ended(error)) => Err(error),
        _ => Ok(None),
    }
}

/// Whether a copy has the metadata of its source, as far as the destination can hold it.
fn has_metadata(worker: &Worker<'_>, copy: &Stat, stat: &Stat) -> bool {
    let shop = worker.shop;
    let can = &shop.capabilities;
    shop.is_time(copy, stat.mtime)
        && (!can.modes || copy.mode == shop.mode_there(Kind::File, stat.mode))
        && (!can.owners || !shop.privileged || (copy.uid, copy.gid) == (stat.uid, stat.gid))
}

/// The attributes of a source that is still the same, and of its copy.
fn attributes_of_both(
    worker: &mut Worker<'_>,
    item: &Item,
    new: &Dir,
    stat: &Stat,
) -> Option<(Attributes, Attributes)> {
    let source = {
        let (dir, name) = worker.source(item).ok()?;
        dir.file(name).ok()?
    };
    let wanted = attributes::of_fd(&source).ok()?;
    let opened = Stat::of_fd(&source).ok()?;
    let copy = new.file(&item.name).ok()?;
    let held = attributes::of_fd(&copy).ok()?;
    (opened.same_inode(stat) && opened.ctime == stat.ctime).then_some((wanted, held))
}
