//! Whether folders can be cloned as a whole here, by whoever tries: all that a snapshot does that is a
//! subvolume is done once.

use std::{ffi::OsStr, io::Write as _};

use rustix::io::Errno;

use crate::sys::{Dir, subvolume::is_btrfs};

/// Names in the folder in which this is tried.
const ONE: &str = "subvolume";
const CLONE: &str = "clone";
const INTO: &str = "moved into";

/// Whether a subvolume can be made, cloned, moved, closed to all who write, and removed in this folder.
pub(super) fn can_clone(dir: &Dir) -> bool {
    if !is_btrfs(dir) {
        return false;
    }
    let done = try_clones(dir);
    let left = remove_tried(dir);
    done.is_ok() && left.is_ok()
}

fn try_clones(dir: &Dir) -> Result<(), Errno> {
    let (one, clone) = (OsStr::new(ONE), OsStr::new(CLONE));
    dir.new_subvolume(one)?;
    let first = dir.folder(one)?;
    let mut file = first.new_file(OsStr::new("file"), 0o600)?;
    file.write_all(b"1").map_err(of_io)?;
    dir.make_folder(OsStr::new(INTO), 0o700)?;
    let into = dir.folder(OsStr::new(INTO))?;
    // As it is published: moved while it can be written to.
    dir.rename_new(one, &into, one)?;
    first.set_read_only(true)?;
    dir.clone_subvolume(&first, clone)?;
    let second = dir.folder(clone)?;
    second.remove_file(OsStr::new("file"))?;
    drop(second.new_file(OsStr::new("other"), 0o600)?);
    // What a sealed one has nobody can write to.
    let refused = first.new_file(OsStr::new("other"), 0o600).err() == Some(Errno::ROFS);
    // As it is deleted.
    first.set_read_only(false)?;
    into.rename_new(one, dir, one)?;
    dir.remove_subvolume(one)?;
    dir.remove_subvolume(clone)?;
    if refused { Ok(()) } else { Err(Errno::NOTSUP) }
}

/// Removes what was tried out, now or by a run that was killed. Fails where something is left.
pub(super) fn remove_tried(dir: &Dir) -> Result<(), Errno> {
    let into = dir.folder(OsStr::new(INTO)).ok();
    let places = [Some(dir), into.as_ref()];
    for place in places.into_iter().flatten() {
        for name in [ONE, CLONE] {
            let name = OsStr::new(name);
            if place.unlock_subvolume(name).is_err() || place.subvolume(name)?.is_none() {
                continue;
            }
            if place.remove_subvolume(name).is_err() {
                // Who may make one and not remove it may remove an empty one.
                let inner = place.folder(name)?;
                for file in inner.names()? {
                    inner.remove_file(&file)?;
                }
                place.remove_folder(name)?;
                return Err(Errno::PERM);
            }
        }
    }
    match dir.remove_folder(OsStr::new(INTO)) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

fn of_io(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
