//! Giving what was made its final name, and what is in the way another one.
//!
//! A name is given by one rename that replaces nothing. Only what a restore made itself is removed.

use std::ffi::{OsStr, OsString};

use rustix::io::Errno;
use schema::journal::ProblemKind;

use super::{
    compare,
    item::RestoreItem,
    make::{RestoreFault, Spot},
    names,
    place::Holds,
    rights,
};
use crate::{
    error::Result,
    event::Stop,
    sys::{Dir, Kind, Stat, owners, stat::Nanos},
};

/// Makes an entry under a temporary name; gives that name, too.
pub(super) fn new_temporary<T>(
    name: &OsStr,
    make: impl Fn(&OsStr) -> std::result::Result<T, Errno>,
) -> std::result::Result<(T, OsString), Errno> {
    let mut last = Errno::EXIST;
    for _ in 0..100 {
        let temporary = names::temporary_name(name);
        match make(&temporary) {
            Ok(made) => return Ok((made, temporary)),
            Err(Errno::EXIST) => last = Errno::EXIST,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Gives a finished entry its name, after what has the name was renamed aside.
pub(super) fn place_entry(
    spot: Spot<'_>,
    temporary: &OsStr,
    aside: Option<&str>,
) -> std::result::Result<(), RestoreFault> {
    let Spot {
        dir, name, shown, ..
    } = spot;
    let placed = match aside {
        Some(suffix) => rename_beside(dir, name, name, suffix).and_then(|_| {
            // Also if something took the name just now: what we made has no claim on it.
            dir.rename_new(temporary, dir, name)
        }),
        None => dir.rename_new(temporary, dir, name),
    };
    placed.map_err(|error| {
        remove_temporary(dir, temporary);
        match error {
            Errno::EXIST => name_taken(),
            error => RestoreFault::of(error, shown),
        }
    })
}

/// Something has the name that was free, or equal, when the restore began.
pub(super) fn name_taken() -> RestoreFault {
    RestoreFault::Entry(
        ProblemKind::NotStored,
        "something else took its name meanwhile".into(),
    )
}

/// Renames an entry to a free name beside another; gives that name.
pub(super) fn rename_beside(
    dir: &Dir,
    entry: &OsStr,
    name: &OsStr,
    suffix: &str,
) -> std::result::Result<OsString, Errno> {
    for attempt in 1..1000 {
        let beside = names::neighbouring_name(name, suffix, attempt);
        match dir.rename_new(entry, dir, &beside) {
            Ok(()) => return Ok(beside),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}

/// Keeps damaged content beside its name; the same damage is kept once.
pub(super) fn keep_damaged(
    dir: &Dir,
    temporary: &OsStr,
    name: &OsStr,
    stop: &Stop,
) -> Result<std::result::Result<OsString, Errno>> {
    let beside = names::neighbouring_name(name, names::DAMAGED, 1);
    if let (Ok(Some(there)), Ok(new)) = (dir.look(&beside), dir.stat(temporary))
        && there.kind == Kind::File
        && there.size == new.size
    {
        let kept = compare::digest_of(dir, &beside, &there, stop)?;
        if kept.is_some() && kept == compare::digest_of(dir, temporary, &new, stop)? {
            let _ = dir.remove_file(temporary);
            return Ok(Ok(beside));
        }
    }
    Ok(rename_beside(dir, temporary, name, names::DAMAGED))
}

/// Whether an entry of a folder with our mark is a file that an earlier, interrupted restore did not finish.
/// It may have its owner already, in a folder that nobody else could come into.
pub(super) fn is_unfinished(folder: &Stat, there: &Stat) -> bool {
    let is_ours = |stat: &Stat| stat.uid == owners::OURS.0;
    there.kind == Kind::File
        && there.mode == names::UNFINISHED_MODE
        && there.nlink == 1
        && (is_ours(there) || (is_ours(folder) && folder.mode & 0o077 == 0))
}

/// Whether a power cut took content of a file that an interrupted restore had ended, `since` it made the
/// folder that has its mark: it has the time that only a restore gives it, to the last digit, and is shorter.
pub(super) fn is_cut_short(
    item: &RestoreItem,
    there: &Stat,
    since: Option<Nanos>,
    holds: Holds,
) -> bool {
    let wanted = &item.wanted;
    since.is_some_and(|since| there.ctime >= since)
        && (wanted.kind, there.kind) == (Kind::File, Kind::File)
        && there.size < wanted.size
        && rights::is_time(wanted, there, holds)
}

/// Removes a file that a restore did not finish; says whether it was one.
pub(super) fn remove_unfinished(dir: &Dir, folder: &Stat, name: &OsStr) -> bool {
    let there = dir.stat(name);
    there.is_ok_and(|there| is_unfinished(folder, &there)) && dir.remove_file(name).is_ok()
}

/// Removes what an earlier, interrupted restore left under a temporary name.
pub(super) fn remove_temporary(dir: &Dir, name: &OsStr) {
    if dir.remove_file(name).is_ok() {
        return;
    }
    // A folder holds at most its mark before it gets its final name; any other stays.
    if let Ok(folder) = dir.folder(name) {
        let _ = folder.remove_file(OsStr::new(names::MARKER));
        let _ = dir.remove_folder(name);
    }
}
