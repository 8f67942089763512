//! What has a name on a destination, and nothing else of it: for a shell that offers names while
//! somebody types, in as few calls as that takes.

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use schema::{
    config::Local,
    escape,
    inventory::{DestinationState, NeighbourHost},
};

use super::{
    destination::scan_neighbours,
    tiers::{list_tiers, scan_tiers},
};
use crate::{
    error::Result,
    state_dir::RecordIndex,
    store::{LATEST, RecordRoom, Store},
    sys::{Dir, Kind, bytes, mounts, resolve::resolve},
};

/// Entries of a folder that are named; nobody reads more.
const MAX_ENTRIES: usize = 2000;

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEntry {
    /// Its name.
    pub name: OsString,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// Looks at what stands in the tiers; with `index` also at the records, of which those that it has are not read
/// again. Leftovers are not measured, and nothing is kept.
///
/// # Errors
/// Fails if a record of the destination cannot be read.
pub fn scan_names(
    store: &Store,
    local: &Local,
    index: Option<&dyn Fn(&str) -> RecordIndex>,
) -> Result<DestinationState> {
    let mut state = DestinationState::absent(local.mount_point.clone());
    state.latest = store
        .root
        .read_symlink(LATEST.as_ref())
        .ok()
        .map(|target| escape::display(bytes(&target)));
    match index {
        Some(index) => {
            let record = store.destination()?;
            let mut index = record.map_or_else(RecordIndex::empty, |record| index(&record.id));
            let (listed, room) = (list_tiers(store, 1), RecordRoom::of_outlines());
            scan_tiers(store, listed, &mut state, &mut index, room, 1);
        }
        None => scan_folders(store, &mut state)?,
    }
    Ok(state)
}

/// The folders in the tiers, as to somebody to whom the records are closed.
fn scan_folders(store: &Store, state: &mut DestinationState) -> Result<()> {
    for tier in schema::Tier::ALL {
        let Some(dir) = store.tier(tier)? else {
            continue;
        };
        let listed = dir.list_once().unwrap_or_default().into_iter();
        let folders = listed.filter(|one| is_folder(&dir, one.kind, &one.name));
        state
            .unmanaged
            .extend(folders.map(|one| schema::inventory::Unmanaged {
                tier,
                name: escape::display(one.name.as_bytes()),
                record_fault: None,
            }));
    }
    Ok(())
}

/// The names in a folder below an open one, sorted; no symlink is followed.
///
/// # Errors
/// Fails if it is not there, or cannot be listed.
pub fn scan_folder(tree: &Dir, path: &[u8]) -> std::result::Result<Vec<NamedEntry>, Errno> {
    let dir = match path {
        b"" => tree.again()?,
        path => tree.folder_below(path)?,
    };
    let mut listed = dir.list()?;
    listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let entries = listed.into_iter().take(MAX_ENTRIES);
    let entries = entries.map(|one| NamedEntry {
        is_folder: is_folder(&dir, one.kind, &one.name),
        name: one.name,
    });
    Ok(entries.collect())
}

fn is_folder(dir: &Dir, listed: Option<Kind>, name: &std::ffi::OsStr) -> bool {
    let kind = listed.or_else(|| dir.stat(name).ok().map(|stat| stat.kind));
    kind == Some(Kind::Folder)
}

/// The folders of other hosts beside this one's, where something is mounted.
#[must_use]
pub fn scan_other_hosts(local: &Local, folder: &str) -> Vec<NeighbourHost> {
    let Ok(dir) = resolve(local.mount_point.as_path()).and_then(|found| found.folder()) else {
        return Vec::new();
    };
    let is_mounted = dir.stat_self().is_ok_and(|stat| mounts::is_mounted(&stat));
    if local.require_mount && !is_mounted {
        return Vec::new();
    }
    let mut found = scan_neighbours(&dir, local.mount_point.as_str());
    found.retain(|host| host.folder != folder);
    found
}
