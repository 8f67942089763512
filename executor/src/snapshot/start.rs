//! Starts a snapshot's tree: as a clone of the basis', from an empty folder, or from what an
//! interrupted run left.
//!
//! Invariant: a clone is taken over unseen only if nobody has written to the basis since it was sealed, and
//! nothing is known to be wrong with it. Else each entry of it is compared with the basis, as in a
//! tree that is continued: what somebody took out of the basis is copied from the sources again.

use std::{ffi::OsStr, sync::Arc};

use rustix::io::Errno;
use schema::{
    plan::{Basis, SnapshotStep},
    record::{Capabilities, SnapshotRecord},
};

use super::{doubt::names_all_doubts, resume_journal};
use crate::{
    error::{Error, Result},
    event::Stop,
    store::{BACKUP, PARTIAL, SNAPSHOTS, Store},
    survey::nanos_of,
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
    /// Whether the tree may hold something that must be looked at.
    pub(super) continued: bool,
    /// The basis' record, where the tree is a clone of it that nothing was done to yet.
    pub(super) clone_of: Option<Arc<SnapshotRecord>>,
}

impl Started {
    /// Something else than the converging pass changed the tree: everything in it is looked at.
    pub(super) fn look_at_everything(&mut self) {
        self.continued = true;
        self.clone_of = None;
    }
}

/// Opens the snapshot's tree in `partial`, taking over an older unfinished one if the step says so.
pub(super) fn start_tree(
    store: &Store,
    step: &SnapshotStep,
    capabilities: &Capabilities,
    stop: &Stop,
) -> Result<Started> {
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
    let is_there = area
        .look(OsStr::new(&name))
        .map_err(|error| store.io("look at", &at(PARTIAL), error))?
        .is_some();
    if !is_there {
        // What stands there of copies is of another tree, whose inode numbers this one may have again.
        match records.remove_file(OsStr::new(resume_journal::FILE_NAME)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(store.io("remove", "the log of copied files", error)),
        }
    }
    let made = match is_there {
        true => Made::Before,
        false => make_tree(store, step, &area, OsStr::new(&name), capabilities)
            .map_err(|error| store.io("make", &at(PARTIAL), error))?,
    };
    let tree = area
        .folder(OsStr::new(&name))
        .map_err(|error| store.io("open", &at(PARTIAL), error))?;
    attributes::clear_attributes(&tree);
    let clone_of = match (&made, &step.basis) {
        (Made::Clone, Some(basis)) => taken_over_unseen(store, step, basis, stop)?,
        _ => None,
    };
    let is_empty = made == Made::Empty;
    Ok(Started {
        area,
        tree,
        records,
        continued: !is_empty && clone_of.is_none(),
        clone_of,
    })
}

/// How a tree got there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// An interrupted run made it.
    Before,
    /// There is nothing in it.
    Empty,
    /// It has what the basis has.
    Clone,
}

/// Makes the tree: where that can be, as a subvolume.
fn make_tree(
    store: &Store,
    step: &SnapshotStep,
    area: &Dir,
    name: &OsStr,
    capabilities: &Capabilities,
) -> std::result::Result<Made, Errno> {
    // A clone has the basis' names as they stand there.
    if capabilities.clones && !capabilities.limits_names() {
        let basis = step.basis.as_ref();
        let basis = basis.and_then(|basis| store.snapshot(basis.home, basis.id).ok());
        let made = match basis.filter(Dir::is_subvolume) {
            Some(basis) => area.clone_subvolume(&basis, name).map(|()| Made::Clone),
            // Of a plain folder each file is cloned by itself, once.
            None => area.new_subvolume(name).map(|()| Made::Empty),
        };
        match made {
            Ok(made) => return Ok(made),
            Err(error) if is_for_clones_only(error) => {}
            Err(error) => return Err(error),
        }
    }
    match area.make_folder(name, 0o700) {
        Ok(()) => Ok(Made::Empty),
        Err(Errno::EXIST) => Ok(Made::Before),
        Err(error) => Err(error),
    }
}

/// Whether a subvolume was refused where a folder may be made all the same: for want of a right, by a
/// quota, or because there is no such call.
fn is_for_clones_only(error: Errno) -> bool {
    matches!(
        error,
        Errno::PERM
            | Errno::ACCESS
            | Errno::DQUOT
            | Errno::MLINK
            | Errno::NOTTY
            | Errno::NOSYS
            | Errno::NOTSUP
            | Errno::INVAL
            | Errno::XDEV
            | Errno::TXTBSY
            | Errno::ROFS
    )
}

/// The record of a basis whose clone need not be looked at.
fn taken_over_unseen(
    store: &Store,
    step: &SnapshotStep,
    basis: &Basis,
    stop: &Stop,
) -> Result<Option<Arc<SnapshotRecord>>> {
    if !step.never_link.is_empty() || !step.also_link.is_empty() || step.compare_basis {
        return Ok(None);
    }
    let tree = store
        .snapshot(basis.home, basis.id)
        .map_err(Error::of_basis_tree)?;
    let Some(record) = store.record(basis.id)? else {
        return Ok(None);
    };
    if !is_as_sealed(&tree, &record) {
        return Ok(None);
    }
    // What a damaged segment of its manifest lists would be seen neither here nor there.
    if store.manifest_damage(&record, stop)?.is_some() {
        return Ok(None);
    }
    // What it stores is counted from what the basis stores, and names are the sources' own.
    let serves = |record: &SnapshotRecord| {
        let counted = record.totals.files == 0 || !record.files_stored_by.is_empty();
        counted && record.totals.renamed == 0 && names_all_doubts(&record.problems)
    };
    Ok(Some(record).filter(serves).map(Arc::new))
}

/// Whether nobody can write to a subvolume and nobody did since its snapshot was on disk. That it is closed
/// now does not say that it always was: after a kill, or by root's hand, it was open for a while.
fn is_as_sealed(tree: &Dir, record: &SnapshotRecord) -> bool {
    let (Ok(true), Ok(changed), Some(read)) = (tree.is_read_only(), tree.changed_at(), record.read)
    else {
        return false;
    };
    changed <= nanos_of(read.until)
}
