//! Starts a snapshot's tree from an empty folder, or from what an interrupted run left.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::plan::SnapshotStep;

use crate::{
    error::Result,
    store::{BACKUP, PARTIAL, SNAPSHOTS, Store},
    sys::{Dir, attributes},
};

/// A tree that was started.
pub(super) struct Started {
    /// `.backup/partial`.
    pub(super) area: Dir,
    /// The tree in it.
    pub(super) tree: Dir,
    /// The snapshot's record folder.
    pub(super) records: Dir,
    /// Whether the tree may hold something already.
    pub(super) continued: bool,
}

/// Opens the snapshot's tree in `partial`, taking over an older unfinished one if the step says so.
pub(super) fn start_tree(store: &Store, step: &SnapshotStep) -> Result<Started> {
    let name = step.id.to_string();
    let area = store.area(PARTIAL)?;
    let snapshots = store.area(SNAPSHOTS)?;
    let at = |folder: &str| format!("{BACKUP}/{folder}/{name}");

    if let Some(old) = step.continue_from.filter(|old| *old != step.id) {
        let old = old.to_string();
        // The records first: a tree without them is merely copied again, records without their
        // tree would be taken for another's.
        for (dir, folder) in [(&snapshots, SNAPSHOTS), (&area, PARTIAL)] {
            match dir.rename_new(OsStr::new(&old), dir, OsStr::new(&name)) {
                Ok(()) | Err(Errno::NOENT | Errno::EXIST) => {}
                Err(error) => return Err(store.io("rename", &at(folder), error)),
            }
        }
    }
    let records = snapshots
        .folder_or_new(OsStr::new(&name), 0o700)
        .map_err(|error| store.io("make", &at(SNAPSHOTS), error))?;
    let continued = match area.make_folder(OsStr::new(&name), 0o700) {
        Ok(()) => false,
        Err(Errno::EXIST) => true,
        Err(error) => return Err(store.io("make", &at(PARTIAL), error)),
    };
    let tree = area
        .folder(OsStr::new(&name))
        .map_err(|error| store.io("open", &at(PARTIAL), error))?;
    attributes::clear_attributes(&tree);
    Ok(Started {
        area,
        tree,
        records,
        continued,
    })
}
