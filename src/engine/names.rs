//! Names that a shell offers while somebody types a command line.
//!
//! No lock is taken and nothing is written, the index of records included.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use executor::{
    Error,
    error::Result,
    scan::{self, NamedEntry},
    state_dir::RecordIndex,
    store::Store,
    sys::Kind,
};
use planner::{
    offers::{Offer, Purpose, offer_snapshots},
    stored_snapshot::find_stored,
};
use schema::{SnapshotId, StoredPathBuf, path::rest_below};

use super::{Engine, destination::naming_error};

impl Engine {
    /// The names of snapshots that begin as it was `typed` and serve this purpose. Without `closely` nothing
    /// is read but the names of their folders, so that more may be named than serve.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails if it cannot be looked at.
    pub fn offer_snapshots(
        &self,
        purpose: Purpose,
        typed: &str,
        closely: bool,
    ) -> Result<Vec<Offer>> {
        let store = self.open_store_present()?;
        let state = self.state().ok().flatten();
        let index = |id: &str| match &state {
            Some(state) => state.record_index(id, false),
            None => RecordIndex::empty(),
        };
        let index: Option<&dyn Fn(&str) -> RecordIndex> = match closely {
            true => Some(&index),
            false => None,
        };
        let destination = scan::scan_names(&store, &self.config.local, index)?;
        Ok(offer_snapshots(purpose, typed, &destination, self.now()))
    }

    /// The ids of what is in the cloud, the newest first, as far as it is remembered.
    #[must_use]
    pub fn remembered_uploads(&self) -> Vec<SnapshotId> {
        let copies = self.config.cloud.enable.then(|| self.remembered_copies());
        let copies = copies.flatten().map(|copies| copies.memory.uploaded);
        let mut ids: Vec<SnapshotId> = copies.unwrap_or_default().into_iter().collect();
        ids.sort_unstable();
        ids.reverse();
        ids
    }

    /// What is in a folder of a snapshot: in the first of these paths that is one.
    ///
    /// # Errors
    /// Refused if the destination is not there, or the name means no snapshot; fails if none of them is a
    /// folder in it.
    pub fn names_in_snapshot(&self, name: &str, folders: &[PathBuf]) -> Result<Vec<NamedEntry>> {
        let store = self.open_store_present()?;
        // What is known of a remote stands in no tier: its records alone tell of it.
        let of_records = |_: &str| RecordIndex::empty();
        let of_records: Option<&dyn Fn(&str) -> RecordIndex> = match self.known_of {
            Some(_) => Some(&of_records),
            None => None,
        };
        let destination = scan::scan_names(&store, &self.config.local, of_records)?;
        let named = find_stored(name, &destination, self.now()).map_err(naming_error)?;
        let nowhere = || {
            let first = folders.first().map_or(Path::new(""), PathBuf::as_path);
            Error::refused(format!("{} is no folder in {name}", first.display()))
                .hint("`backup find` shows in which snapshots a path is")
        };
        // What is known of a remote has no trees.
        if let (Some(_), Some(id)) = (&self.known_of, named.id) {
            return names_in_manifest(&store, id, folders)?.ok_or_else(nowhere);
        }
        let tree = store.folder(&[named.home.folder(), &named.folder])?;
        let list = |path: &PathBuf| {
            let stored = StoredPathBuf::of_typed(executor::sys::bytes(path.as_os_str()));
            scan::scan_folder(&tree, &stored).ok()
        };
        folders.iter().find_map(list).ok_or_else(nowhere)
    }

    /// The folders of other hosts on the destination.
    #[must_use]
    pub fn other_hosts(&self) -> Vec<String> {
        let hosts = scan::scan_other_hosts(&self.config.local, &self.host_folder());
        hosts.into_iter().map(|host| host.folder).collect()
    }
}

/// What is in the first of these paths that is a folder of a snapshot, by its manifest; none where none is one.
fn names_in_manifest(
    store: &Store,
    id: SnapshotId,
    folders: &[PathBuf],
) -> Result<Option<Vec<NamedEntry>>> {
    let paths = folders.iter();
    let mut found: Vec<(StoredPathBuf, Option<Vec<NamedEntry>>)> = paths
        .map(|path| StoredPathBuf::of_typed(executor::sys::bytes(path.as_os_str())))
        .map(|path| {
            let root = path.as_bytes().is_empty().then(Vec::new);
            (path, root)
        })
        .collect();
    for entry in store.manifest(id)? {
        let entry = entry.map_err(|error| store.io("read", &format!("manifest of {id}"), error))?;
        let is_folder = entry.kind == Kind::Folder;
        for (folder, names) in &mut found {
            if is_folder && entry.path == *folder {
                names.get_or_insert_default();
            }
            let rest = rest_below(entry.path.as_bytes(), folder.as_bytes());
            let name = rest.filter(|rest| !rest.is_empty() && !rest.contains(&b'/'));
            if let (Some(names), Some(name)) = (names, name) {
                names.push(NamedEntry {
                    name: OsStr::from_bytes(name).to_owned(),
                    is_folder,
                });
            }
        }
    }
    Ok(found.into_iter().find_map(|(_, names)| names))
}
