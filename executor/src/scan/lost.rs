//! Snapshots of which there is a record and nothing else.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::SnapshotId;

use crate::{
    error::Result,
    store::{ADOPT, MOVING, PARTIAL, SNAPSHOT_FILE, SNAPSHOTS, Store, TRASH},
};

/// Snapshots that were sealed and are neither in a tier nor on their way in or out.
///
/// # Errors
/// Fails if the records cannot be listed.
pub(crate) fn lost_snapshots(store: &Store) -> Result<Vec<SnapshotId>> {
    let io = |error: Errno| store.io("list", SNAPSHOTS, error);
    let records = match store.backup.folder(OsStr::new(SNAPSHOTS)) {
        Ok(records) => records,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut lost = Vec::new();
    for name in records.names().map_err(io)? {
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let is_sealed = records
            .folder(&name)
            .and_then(|folder| folder.look(OsStr::new(SNAPSHOT_FILE)))
            .is_ok_and(|there| there.is_some());
        if is_sealed && is_lost(store, id)? {
            lost.push(id);
        }
    }
    lost.sort_unstable();
    Ok(lost)
}

/// Whether a snapshot surely is nowhere: what cannot be looked at may be there.
///
/// # Errors
/// Fails if the tiers cannot be looked at.
pub(crate) fn is_lost(store: &Store, id: SnapshotId) -> Result<bool> {
    let name = id.to_string();
    let on_its_way = [PARTIAL, TRASH, MOVING].iter().any(|area| {
        let there = store
            .backup
            .folder(OsStr::new(area))
            .and_then(|area| area.look(OsStr::new(&name)));
        !matches!(there, Ok(None) | Err(Errno::NOENT))
    });
    // An adoption writes its records before it moves what they are of.
    let adopting = match store
        .backup
        .folder(OsStr::new(ADOPT))
        .map(|area| area.names())
    {
        Ok(Ok(names)) => !names.is_empty(),
        Err(Errno::NOENT) => false,
        _ => true,
    };
    Ok(!on_its_way && !adopting && store.home_of(id)?.is_none())
}
