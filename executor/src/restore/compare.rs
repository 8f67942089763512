//! Whether what stands at a target's name is already what the snapshot has.
//!
//! Only reads; what is in doubt is compared by content.

use std::{ffi::OsStr, fs::File};

use schema::Digest;

use super::{
    place::Holds,
    source::{Item, Source},
};
use crate::{
    copy::{Copier, CopyError},
    error::Result,
    event::Stop,
    manifest::Entry,
    sys::{Dir, Kind, Stat, bytes},
};

/// How closely to compare.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// What the target's file system gives back.
    pub(super) holds: Holds,
    /// Compare content even where size and time agree.
    pub(super) content: bool,
    /// Ends a long comparison.
    pub(super) stop: &'a Stop,
}

/// Whether an entry of a target's folder equals what the snapshot has.
///
/// Folders are the same when both are folders. Files are the same with equal content, mode and
/// owner; a different time alone does not make a conflict, nor do size and time prove content
/// where `rules` say so.
pub(super) fn same(
    source: &Source,
    item: &Item,
    dir: &Dir,
    name: &OsStr,
    there: &Stat,
    rules: Rules<'_>,
) -> Result<bool> {
    let wanted = &item.wanted;
    if there.kind != wanted.kind {
        return Ok(false);
    }
    match there.kind {
        Kind::Folder => Ok(true),
        Kind::Symlink => Ok(dir
            .read_symlink(name)
            .is_ok_and(|target| Some(bytes(&target)) == wanted.target.as_deref())),
        Kind::File => {
            if there.size != wanted.size || !same_rights(wanted, there, rules.holds) {
                return Ok(false);
            }
            let apart = (there.mtime - wanted.mtime).abs();
            if apart < rules.holds.time_step && !rules.content {
                return Ok(true);
            }
            same_content(source, item, dir, name, there, rules.stop)
        }
        Kind::CharDevice | Kind::BlockDevice if wanted.device != Some(there.device) => Ok(false),
        _ => Ok(same_rights(wanted, there, rules.holds)),
    }
}

/// Whether mode and owner are the same, as far as the file system and our rights can tell.
pub(super) fn same_rights(wanted: &Entry, there: &Stat, holds: Holds) -> bool {
    let same_owner = (wanted.uid, wanted.gid) == (there.uid, there.gid);
    // A set-id bit is only given together with the owner it is of.
    let bits = if same_owner { 0o7777 } else { 0o777 };
    (!holds.modes || wanted.mode & bits == there.mode & bits) && (!holds.owners || same_owner)
}

fn same_content(
    source: &Source,
    item: &Item,
    dir: &Dir,
    name: &OsStr,
    there: &Stat,
    stop: &Stop,
) -> Result<bool> {
    let Some(here) = digest(dir, name, there, stop)? else {
        return Ok(false);
    };
    let wanted = match (item.wanted.digest, source.parent(), &item.stored) {
        (Some(digest), _, _) => Some(digest),
        (None, Some(parent), Some(stat)) => digest(parent, &item.stored_name, stat, stop)?,
        _ => None,
    };
    Ok(wanted == Some(here))
}

/// The digest of a file's content; `None` if it cannot be read or is no longer what it was.
pub(super) fn digest(dir: &Dir, name: &OsStr, stat: &Stat, stop: &Stop) -> Result<Option<Digest>> {
    match dir.file(name) {
        Ok(file) => digest_of(&file, stat, stop),
        Err(_) => Ok(None),
    }
}

/// The same of a file that is open.
pub(super) fn digest_of(file: &File, stat: &Stat, stop: &Stop) -> Result<Option<Digest>> {
    if !Stat::of_fd(file).is_ok_and(|opened| opened.same_inode(stat) && opened.size == stat.size) {
        return Ok(None);
    }
    let sparse = stat.allocated < stat.size;
    match Copier::default().digest(file, sparse, &mut |_| stop.check()) {
        Ok(read) => Ok((read.bytes == stat.size).then_some(read.digest)),
        Err(CopyError::Ended(error)) => Err(error),
        Err(CopyError::Read(_) | CopyError::Write(_)) => Ok(None),
    }
}
