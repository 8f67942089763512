//! Reclaims what earlier runs left, then makes sure that there is room.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{SnapshotId, amount, journal::Outcome, plan::SpaceCheckStep};

use crate::{
    error::{Error, Result},
    event::Context,
    remove::remove_tree,
    store::{BACKUP, PARTIAL, SNAPSHOTS, Store, TRASH},
};

/// Ends interrupted removals, discards what no run continues, and looks at the free space.
///
/// # Errors
/// A refusal if there is too little space.
pub fn run(store: &Store, step: &SpaceCheckStep, context: Context<'_>) -> Result<Outcome> {
    super::repair::clean(store, context)?;
    let trash = store.area(TRASH)?;
    let partial = store.area(PARTIAL)?;
    for discarded in &step.discard_partial {
        let name = discarded.id.to_string();
        match partial.rename_new(OsStr::new(&name), &trash, OsStr::new(&name)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => {
                return Err(store.io("discard", &format!("{BACKUP}/{PARTIAL}/{name}"), error));
            }
        }
    }
    let discarded = step.discard_partial.iter().map(|partial| partial.id);
    for id in step.empty_trash.iter().copied().chain(discarded) {
        empty(store, id, context)?;
    }
    let size = rustix::fs::fstatvfs(&store.root)
        .map_err(|error| store.io("look at", "the free space", error))?;
    let free = size.f_bavail.saturating_mul(size.f_frsize);
    if free < step.needed_bytes.saturating_add(step.min_free_bytes) {
        return Err(Error::refused(format!(
            "insufficient space: {} has {} free, the snapshot needs up to {}, local.minSpaceGB keeps {}",
            store.path,
            amount::bytes(free),
            amount::bytes(step.needed_bytes),
            amount::bytes(step.min_free_bytes)
        ))
        .hint(format!(
            "free space (df -h {}), lower local.minSpaceGB, or keep fewer snapshots",
            store.path
        )));
    }
    if let Some(needed) = step.needed_inodes
        && size.f_files > 0
        && size.f_favail < needed
    {
        return Err(Error::refused(format!(
            "insufficient space: {} has {} inodes free, the snapshot needs up to {needed}",
            store.path, size.f_favail
        ))
        .hint("keep fewer snapshots, or use a file system with more inodes"));
    }
    Ok(Outcome::success(format!(
        "{} free, up to {} needed",
        amount::bytes(free),
        amount::bytes(step.needed_bytes)
    )))
}

/// Ends the removal of a snapshot: its records, then its tree.
///
/// Invariant: the tree goes last, because it is by its name in the trash that the next run finds
/// an interrupted removal.
///
/// # Errors
/// The system's reason, or an interruption.
pub fn empty(store: &Store, id: SnapshotId, context: Context<'_>) -> Result<()> {
    let name = id.to_string();
    for area in [SNAPSHOTS, TRASH] {
        if area == SNAPSHOTS && store.home_of(id)?.is_some() {
            // Published again under this id: its records are not the trash's.
            continue;
        }
        let dir = store.area(area)?;
        let named = store.named(&format!("{BACKUP}/{area}/{name}"));
        remove_tree(&dir, OsStr::new(&name), &named, context)?;
    }
    Ok(())
}
