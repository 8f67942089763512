//! Symlinks, FIFOs, sockets and devices.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use schema::journal::ProblemKind;

use super::{
    ends_attributes, ends_everything,
    file::{find_in_basis, join_group, link_to_path},
    holds,
    state::State,
};
use crate::{
    error::{Error, Result, reason},
    manifest::{Entry, xattrs_digest},
    sys::{Dir, Kind, Stat, attributes},
};

/// Puts an entry that is neither a file nor a folder into the new tree.
pub(super) fn other(
    state: &mut State<'_>,
    parent: &Dir,
    source_name: &OsStr,
    name: &OsStr,
    stat: &Stat,
) -> Result<()> {
    let mut entry = Entry::of(&state.path, stat);
    if stat.kind == Kind::Symlink {
        match parent.read_symlink(source_name) {
            Ok(target) => entry.target = Some(target.as_bytes().to_vec()),
            Err(Errno::NOENT | Errno::INVAL) => {
                state.problem(ProblemKind::Vanished, "was there and then was not");
                return Ok(());
            }
            Err(error) => {
                state.problem(ProblemKind::Unreadable, reason(&error.into()));
                return Ok(());
            }
        }
    }
    let attributes = attributes::of_entry(parent, source_name).unwrap_or_default();
    entry.xattrs_digest = xattrs_digest(&attributes);
    let basis_entry = find_in_basis(state)?;
    // What cannot stand there stands in the manifest, and nothing of another entry is touched.
    if holds::refuses(state, name)?.is_some() {
        entry.absent = true;
        entry.xattrs_kept = attributes;
        match state.groups.get(&(stat.dev, stat.ino)) {
            Some(group) => entry.group = Some(group.number),
            None => join_group(state, stat, &mut entry),
        }
        return state.list(&entry);
    }
    state.make_room(name)?;

    let mut linked = stat.nlink > 1 && link_to_first(state, name, stat, &mut entry)?;
    if let Some(basis) = basis_entry
        && !linked
        && basis.untouched(stat)
        && basis.target == entry.target
        && basis.xattrs_digest == entry.xattrs_digest
        && !basis.absent
        && entry.group.is_none()
    {
        linked = link(state, name, &entry)?;
        if linked {
            entry.xattrs_kept = basis.xattrs_kept;
        }
    }
    if !linked {
        entry.absent = !make(state, name, &entry, stat)?;
        let bare = stat.kind == Kind::Symlink && !state.capabilities.symlink_metadata;
        if entry.absent || bare {
            entry.xattrs_kept = attributes;
        } else {
            let level = state.level()?;
            let mut all_set = true;
            for (attribute, value) in &attributes {
                match attributes::set_entry(&level.new, name, attribute, value) {
                    Ok(()) => {}
                    Err(error) if ends_attributes(error) => {
                        return Err(Error::io("store an attribute of", &state.here(), error));
                    }
                    Err(_) => all_set = false,
                }
            }
            let held = || attributes::of_entry(&level.new, name);
            entry.xattrs_kept = state.not_held(attributes, all_set, held);
        }
    }
    if stat.nlink > 1 && entry.group.is_none() {
        join_group(state, stat, &mut entry);
    }
    state.list(&entry)
}

/// Gives the entry the inode of its first name, if that is in the new tree already.
fn link_to_first(state: &State<'_>, name: &OsStr, stat: &Stat, entry: &mut Entry) -> Result<bool> {
    let Some(group) = state.groups.get(&(stat.dev, stat.ino)) else {
        return Ok(false);
    };
    if group.entry.absent || !state.capabilities.hard_links {
        entry.group = Some(group.number);
        return Ok(false);
    }
    let linked = link_to_path(state, &group.path, name)?;
    if linked {
        entry.group = Some(group.number);
        entry.xattrs_kept.clone_from(&group.entry.xattrs_kept);
    }
    Ok(linked)
}

/// Gives the entry the basis' inode.
fn link(state: &State<'_>, name: &OsStr, entry: &Entry) -> Result<bool> {
    let level = state.level()?;
    let Some(basis) = &level.basis else {
        return Ok(false);
    };
    if !basis.stat(name).is_ok_and(|found| found.kind == entry.kind) {
        return Ok(false);
    }
    match level.new.link_from(basis, name, name) {
        Ok(()) => Ok(true),
        Err(error) if ends_everything(error) => Err(Error::io("link", &state.here(), error)),
        Err(_) => Ok(false),
    }
}

/// Makes the entry anew; says whether the destination can hold such a thing. What it cannot hold
/// stands in the manifest and comes back from there.
fn make(state: &mut State<'_>, name: &OsStr, entry: &Entry, stat: &Stat) -> Result<bool> {
    if !entry.kind.is_held(&state.capabilities) {
        return Ok(false);
    }
    let level = state.level()?;
    let made = match &entry.target {
        Some(target) => level.new.make_symlink(OsStr::from_bytes(target), name),
        None => level.new.make_special(name, entry.kind, stat.device),
    };
    match made {
        Ok(()) => {}
        Err(error) if ends_everything(error) => {
            return Err(Error::io("make", &state.here(), error));
        }
        Err(_) => return Ok(false),
    }
    if !holds::is_made(&state.level()?.new, name, entry.kind)? {
        return Ok(false);
    }
    if entry.kind == Kind::Symlink && !state.capabilities.symlink_metadata {
        return Ok(true);
    }
    let level = state.level()?;
    let mut faults = Vec::new();
    if state.privileged
        && let Err(error) = level.new.set_owner(name, entry.uid, entry.gid)
        && state.capabilities.owners
    {
        faults.push(("set the owner", error));
    }
    if entry.kind != Kind::Symlink
        && let Err(error) = level.new.set_mode_of(name, entry.mode)
        && state.capabilities.modes
    {
        faults.push(("set the mode", error));
    }
    let timed = level.new.set_mtime(name, entry.mtime);
    for (doing, error) in faults {
        state.not_stored(doing, error)?;
    }
    state.time_set(timed)?;
    Ok(true)
}
