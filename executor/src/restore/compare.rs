//! Compares what stands at a target's name with what the snapshot has.
//!
//! Only reads. Content is read: a damaged file may have the size and time of the good one.

use std::{ffi::OsStr, fs::File};

use schema::Digest;

use super::{
    item::RestoreItem,
    metadata::{self, WantedAttributes},
    names,
    place::Holds,
    rights::{differing_rights, is_time},
    source::RestoreSource,
};
use crate::{
    copy::{Copier, CopyError},
    error::Result,
    event::Stop,
    manifest::Entry,
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
        bytes,
        stat::Nanos,
    },
};

/// How closely to compare.
#[derive(Clone, Copy)]
pub(super) struct ComparisonRules<'a> {
    /// What the target's file system gives back.
    pub(super) holds: Holds,
    /// Compare content even where size and time agree.
    pub(super) content: bool,
    /// What looks the same and was changed since was written by a restore that did not end, and is
    /// read back at the end of this one.
    pub(super) read_back_since: Option<Nanos>,
    /// Ends a long comparison.
    pub(super) stop: &'a Stop,
}

/// How an entry of a target's folder compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is as the snapshot has it.
    Same,
    /// It has the snapshot's content; this of its metadata differs.
    Metadata(Vec<&'static str>),
    /// It has another content or is another kind of entry.
    Other,
}

/// Compares an entry of a target's folder. The time of a folder, which moves with its content, is
/// left to whoever knows what else is in it.
pub(super) fn compare_standing(
    source: &RestoreSource,
    item: &RestoreItem,
    dir: &Dir,
    name: &OsStr,
    there: &Stat,
    rules: ComparisonRules<'_>,
) -> Result<Standing> {
    let wanted = &item.wanted;
    let is_same = there.kind == wanted.kind
        && match there.kind {
            Kind::Folder | Kind::Fifo | Kind::Socket => true,
            Kind::Symlink => dir
                .read_symlink(name)
                .is_ok_and(|target| Some(bytes(&target)) == wanted.target.as_deref()),
            Kind::File => {
                there.size == wanted.size
                    && (is_trusted(wanted, there, rules)
                        || same_content(source, item, dir, name, there, rules.stop)?)
            }
            Kind::CharDevice | Kind::BlockDevice => wanted.device == Some(there.device),
        };
    if !is_same {
        return Ok(Standing::Other);
    }
    let mut differs = differing_rights(wanted, there, rules.holds);
    if matches!(there.kind, Kind::File | Kind::Symlink) && !is_time(wanted, there, rules.holds) {
        differs.push("time");
    }
    if !same_attributes(source, item, dir, name, rules.holds) {
        differs.push("attributes");
    }
    Ok(match differs.is_empty() {
        true => Standing::Same,
        false => Standing::Metadata(differs),
    })
}

/// Whether a file that looks the same need not be read.
fn is_trusted(wanted: &Entry, there: &Stat, rules: ComparisonRules<'_>) -> bool {
    let written_by_us = || {
        rules
            .read_back_since
            .is_some_and(|since| there.ctime >= since)
    };
    is_time(wanted, there, rules.holds) && (!rules.content || written_by_us())
}

/// Whether the attributes are the wanted ones, as far as the file system and our rights can tell.
fn same_attributes(
    source: &RestoreSource,
    item: &RestoreItem,
    dir: &Dir,
    name: &OsStr,
    holds: Holds,
) -> bool {
    if item.wanted.kind == Kind::Symlink && !holds.symlink_metadata {
        return true;
    }
    let found = attributes_of(source, item);
    let Ok(there) = attributes::of_entry(dir, name) else {
        return true;
    };
    // What cannot be known is told when it is set.
    let wanted = &found.all;
    found.fault.is_some()
        || (has_all(wanted, &there, holds) && spare_attributes(wanted, &there, holds).is_empty())
}

/// The attributes that an item is to have.
pub(super) fn attributes_of(source: &RestoreSource, item: &RestoreItem) -> WantedAttributes {
    metadata::wanted_attributes(item, || match (source.parent(), item.wanted.kind) {
        _ if !item.is_stored => Ok(Attributes::new()),
        (_, Kind::Folder) => source.folder().map_or(Ok(Attributes::new()), |folder| {
            attributes::of_fd(folder.as_ref())
        }),
        (Some(parent), _) => attributes::of_entry(parent, &item.stored_name),
        (None, _) => Ok(Attributes::new()),
    })
}

/// Whether all that is wanted and can be held is there.
fn has_all(wanted: &Attributes, there: &Attributes, holds: Holds) -> bool {
    let mut wanted = wanted.iter().filter(|(name, _)| holds.attribute(name));
    wanted.all(|one| there.contains(one))
}

/// Names of what is there and not wanted. Labels that the system gives are not asked for.
pub(super) fn spare_attributes(
    wanted: &Attributes,
    there: &Attributes,
    holds: Holds,
) -> Vec<Vec<u8>> {
    let is_ours = |name: &[u8]| {
        name.starts_with(b"user.")
            || name.starts_with(b"system.posix_acl_")
            || name == b"security.capability"
    };
    let spare = there.iter().filter(|(name, _)| {
        is_ours(name) && holds.attribute(name) && !wanted.iter().any(|(known, _)| known == name)
    });
    spare.map(|(name, _)| name.clone()).collect()
}

fn same_content(
    source: &RestoreSource,
    item: &RestoreItem,
    dir: &Dir,
    name: &OsStr,
    there: &Stat,
    stop: &Stop,
) -> Result<bool> {
    let Some(here) = digest_of(dir, name, there, stop)? else {
        return Ok(false);
    };
    let wanted = match (item.wanted.digest, source.parent(), &item.looks) {
        (Some(digest), _, _) => Some(digest),
        (None, Some(parent), Some(stat)) => digest_of(parent, &item.stored_name, stat, stop)?,
        _ => None,
    };
    Ok(wanted == Some(here))
}

/// The digest of a file's content; `None` if it cannot be read or is no longer what it was.
pub(super) fn digest_of(
    dir: &Dir,
    name: &OsStr,
    stat: &Stat,
    stop: &Stop,
) -> Result<Option<Digest>> {
    match dir.file(name) {
        Ok(file) => digest_of_open(&file, stat, &mut Copier::default(), stop),
        Err(_) => Ok(None),
    }
}

/// The same of a file that is open.
pub(super) fn digest_of_open(
    file: &File,
    stat: &Stat,
    copier: &mut Copier,
    stop: &Stop,
) -> Result<Option<Digest>> {
    if !Stat::of_fd(file).is_ok_and(|opened| opened.same_inode(stat) && opened.size == stat.size) {
        return Ok(None);
    }
    let sparse = stat.allocated < stat.size;
    match copier.digest_of_size(file, sparse, stat.size, &mut |_| stop.check()) {
        Ok(read) => Ok((read.bytes == stat.size).then_some(read.digest)),
        Err(CopyError::Ended(error)) => Err(error),
        Err(CopyError::Read(_) | CopyError::Write(_)) => Ok(None),
    }
}

/// Whether a folder is one that an earlier restore made and did not finish: since when.
pub(super) fn unfinished_since(folder: &Dir) -> Option<Nanos> {
    let marker = folder.look(OsStr::new(names::MARKER)).ok()??;
    Some(marker.ctime)
}
