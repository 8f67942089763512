//! Symlinks, FIFOs, sockets and devices.

use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;

use super::{
    ends_attributes, ends_everything,
    job::{First, Group, Item},
    worker::Worker,
};
use crate::{
    error::{Error, Result},
    manifest::{Entry, xattrs_digest},
    sys::{Dir, Kind, Stat, attributes},
};

/// Puts an entry that is neither a file nor a folder into the new tree.
pub(super) fn other(
    worker: &mut Worker<'_>,
    item: &Item,
    stat: &Stat,
    group: Option<&Group>,
) -> Result<()> {
    let Some(new) = worker.new_dir()? else {
        return Ok(());
    };
    let basis = item.basis.as_deref();
    let untouched = basis.filter(|basis| basis.untouched(stat) && !basis.absent);
    let mut entry = Entry::of(worker.path(), stat);
    let mut attributes = attributes::Attributes::new();
    if let Some(basis) = untouched.filter(|basis| basis.xattrs_digest.is_none()) {
        entry.target.clone_from(&basis.target);
    } else {
        let (dir, name) = match worker.source(item) {
            Ok(found) => found,
            Err(error) => {
                worker.not_read(error);
                return Ok(());
            }
        };
        if stat.kind == Kind::Symlink {
            match dir.read_symlink(name) {
                Ok(target) => entry.target = Some(target.as_bytes().to_vec()),
                Err(Errno::INVAL) => {
                    worker.vanished();
                    return Ok(());
                }
                Err(error) => {
                    worker.not_read(error);
                    return Ok(());
                }
            }
        }
        attributes = attributes::of_entry(&dir, name).unwrap_or_default();
        entry.xattrs_digest = xattrs_digest(&attributes);
    }
    worker.clear(&new, &item.name)?;

    // Whoever comes to another name of it waits until the first one is there.
    let mut first = group.map(Group::first);
    entry.group = group.map(|group| group.number);
    let mut linked = false;
    if let Some(first) = first.as_ref().and_then(|first| first.as_ref()) {
        linked = !first.entry.absent && link_to_first(worker, item, &new, first)?;
    } else if let Some(basis) = untouched
        && basis.target == entry.target
        && basis.xattrs_digest == entry.xattrs_digest
    {
        linked = link(worker, item, &new)?;
    }
    if !linked {
        entry.absent = !make(worker, item, &new, &entry, stat)?;
        if !entry.absent {
            for (attribute, value) in attributes {
                match attributes::set_entry(&new, &item.name, &attribute, &value) {
                    Ok(()) => {}
                    Err(error) if ends_attributes(error) => {
                        return Err(Error::io("store an attribute of", &worker.here(), error));
                    }
                    Err(_) => entry.xattrs_kept.push((attribute, value)),
                }
            }
        }
    }
    if let Some(first) = &mut first
        && first.is_none()
    {
        **first = Some(First {
            place: worker.place()?,
            name: item.name.clone(),
            entry: entry.clone(),
        });
    }
    worker.list(&item.name, &entry)
}

/// Gives the entry the inode of its first name.
fn link_to_first(worker: &Worker<'_>, item: &Item, new: &Dir, first: &First) -> Result<bool> {
    let dir = first
        .place
        .new
        .open()
        .map_err(|error| Error::io("open", &worker.here(), error))?;
    match new.link_from(&dir, &first.name, &item.name) {
        Ok(()) => Ok(true),
        Err(error) if ends_everything(error) => Err(Error::io("link", &worker.here(), error)),
        Err(_) => Ok(false),
    }
}

/// Gives the entry the basis' inode.
fn link(worker: &mut Worker<'_>, item: &Item, new: &Dir) -> Result<bool> {
    let Some(basis) = worker.basis_dir() else {
        return Ok(false);
    };
    let kind = match &item.what {
        super::job::What::Other(stat, _) => stat.kind,
        _ => return Ok(false),
    };
    let is_it = |found: Stat| found.kind == kind && !worker.shop.never_link(found.ino);
    if !basis.stat(&item.name).is_ok_and(is_it) {
        return Ok(false);
    }
    match new.link_from(&basis, &item.name, &item.name) {
        Ok(()) => Ok(true),
        Err(error) if ends_everything(error) => Err(Error::io("link", &worker.here(), error)),
        Err(_) => Ok(false),
    }
}

/// Makes the entry anew; says whether the destination can hold such a thing. What it cannot hold
/// stands in the manifest and comes back from there.
fn make(
    worker: &mut Worker<'_>,
    item: &Item,
    new: &Dir,
    entry: &Entry,
    stat: &Stat,
) -> Result<bool> {
    let name = &item.name;
    let made = match &entry.target {
        Some(target) => new.make_symlink(std::ffi::OsStr::from_bytes(target), name),
        None => new.make_special(name, entry.kind, stat.device),
    };
    match made {
        Ok(()) => {}
        Err(error) if ends_everything(error) => {
            return Err(Error::io("make", &worker.here(), error));
        }
        Err(_) => return Ok(false),
    }
    let shop = worker.shop;
    let mut faults = Vec::new();
    if shop.privileged
        && let Err(error) = new.set_owner(name, entry.uid, entry.gid)
        && shop.capabilities.owners
    {
        faults.push(("set the owner", error));
    }
    if entry.kind != Kind::Symlink
        && let Err(error) = new.set_mode_of(name, entry.mode)
        && shop.capabilities.modes
    {
        faults.push(("set the mode", error));
    }
    if let Err(error) = new.set_mtime(name, entry.mtime) {
        faults.push(("set the time", error));
    }
    for (doing, error) in faults {
        worker.not_stored(doing, error)?;
    }
    Ok(true)
}
