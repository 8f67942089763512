//! One folder of the new tree: made or taken over, and given its metadata once it is full.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use rustix::io::Errno;
use schema::journal::ProblemKind;

use super::{
    holds,
    state::{Level, State},
};
use crate::{
    error::{Error, Result, reason},
    manifest::Entry,
    remove::remove_tree,
    sys::{Dir, Kind, Stat, attributes, dir::open},
};

/// Makes or takes over a folder in the new tree and goes into it; says whether it could.
pub(super) fn enter(
    state: &mut State<'_>,
    name: &OsStr,
    stat: &Stat,
    source: Option<&Dir>,
    continued: bool,
) -> Result<bool> {
    let mut continued = continued;
    if let Some(because) = holds::refuses(state, name)? {
        let message = format!("{because}; it is left out with all that is in it");
        state.problem(ProblemKind::NotStored, message);
        return Ok(false);
    }
    let made = {
        let level = state.level()?;
        match level.new.make_folder(name, 0o700) {
            // In a folder that was made now it is another entry of the source.
            Err(Errno::EXIST) if level.made.is_some() => {
                let there = level.new.stat(name).map(|stat| stat.kind);
                if there == Ok(Kind::Folder) {
                    let _ = level.new.set_mode_of(name, 0o700);
                } else {
                    level
                        .new
                        .remove_file(name)
                        .and_then(|()| level.new.make_folder(name, 0o700))
                        .map_err(|error| Error::io("replace", &state.here(), error))?;
                }
                Ok(())
            }
            Ok(()) => {
                continued = false;
                Ok(())
            }
            Err(error) => Err(error),
        }
    };
    if let Err(error) = made {
        state.not_stored("make the folder", error)?;
        return Ok(false);
    }
    let attributes = match source.map(attributes::of_fd).transpose() {
        Ok(attributes) => attributes.unwrap_or_default(),
        Err(error) => {
            state.problem(
                ProblemKind::Metadata,
                format!("cannot read its attributes: {}", reason(&error.into())),
            );
            Vec::new()
        }
    };
    let level = state.level()?;
    let new = level
        .new
        .folder(name)
        .map_err(|error| Error::io("open", &state.here(), error))?;
    let basis = level
        .basis
        .as_ref()
        .and_then(|basis| basis.folder(name).ok());
    let mut entry = Entry::of(&state.path, stat);
    entry.xattrs_digest = crate::manifest::xattrs_digest(&attributes);
    entry.xattrs_kept.clone_from(&attributes);
    entry
        .xattrs_kept
        .retain(|(name, _)| !state.surely_holds(name));
    state.totals.folders += 1;
    state.list(&entry)?;
    state.levels.push(Level {
        left: holds::left(&state.capabilities, &new, continued),
        new,
        basis,
        made: continued.then(HashSet::new),
        entry,
        attributes,
    });
    Ok(true)
}

/// Gives a full folder its metadata and goes out of it.
pub(super) fn leave(state: &mut State<'_>) -> Result<()> {
    let Some(level) = state.levels.pop() else {
        return Ok(());
    };
    state.path.clone_from(&level.entry.path);
    if let Some(made) = &level.made {
        remove_others(state, &level.new, made)?;
    }
    let entry = &level.entry;
    if state.privileged && !entry.path.is_empty() {
        let owned = open::set_owner(&level.new, entry.uid, entry.gid);
        if let (Err(error), true) = (owned, state.capabilities.owners) {
            state.not_stored("set the owner", error)?;
        }
    }
    for (name, value) in &level.attributes {
        // What may not be held stands in the manifest already.
        let set = attributes::set_fd(&level.new, name, value);
        if let (Err(error), true) = (set, state.surely_holds(name)) {
            state.problem(
                ProblemKind::Metadata,
                format!(
                    "cannot store attribute {}: {}",
                    schema::escape::display(name),
                    reason(&error.into())
                ),
            );
        }
    }
    let moded = open::set_mode(&level.new, state.mode_there(Kind::Folder, entry.mode));
    if let (Err(error), true) = (moded, state.capabilities.modes) {
        state.not_stored("set the mode", error)?;
    }
    state.time_set(open::set_mtime(&level.new, entry.mtime))?;
    state.sync_one(|| Ok(level.new.sync()?))?;
    let stat = level
        .new
        .stat_self()
        .map_err(|error| Error::io("look at", &state.here(), error))?;
    state.stores(state.step.id, &stat);
    Ok(())
}

/// Removes what an interrupted run left in a folder and the sources do not have any more.
pub(super) fn remove_others(state: &State<'_>, dir: &Dir, made: &HashSet<OsString>) -> Result<()> {
    let names = dir
        .names()
        .map_err(|error| Error::io("list", &state.here(), error))?;
    for name in names.iter().filter(|name| !made.contains(*name)) {
        let named =
            schema::escape::display(&[state.here().as_slice(), b"/", name.as_bytes()].concat());
        remove_tree(dir, name, &named, state.context)?;
    }
    Ok(())
}
