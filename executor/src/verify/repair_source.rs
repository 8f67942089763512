//! Where the content of a repaired file is taken from.

use std::fs::File;

use schema::{escape::unescape, plan::RepairFrom, verify::StoredName};

use crate::{
    error::{Error, Result},
    store::Store,
    sys::{Dir, Kind, Stat, resolve::resolve},
};

/// Opens the place that a repaired file's content is taken from; no symlink is followed.
///
/// # Errors
/// Fails if the file cannot be opened; also for anything but a regular file.
pub(crate) fn open_repair_source(store: &Store, from: &RepairFrom) -> std::io::Result<File> {
    let unreadable = || std::io::Error::other("the plan names no path");
    let file = match from {
        RepairFrom::Source { source, path } => {
            let path = unescape(path).ok_or_else(unreadable)?;
            let resolved = resolve(source.as_path())?;
            if path.is_empty() {
                resolved.parent.file(&resolved.name)?
            } else {
                let (dir, name) = resolved.folder()?.descend(&path)?;
                dir.file(name)?
            }
        }
        RepairFrom::Stored { name } => {
            let path = unescape(&name.path).ok_or_else(unreadable)?;
            let tree =
                snapshot_tree(store, name).map_err(|error| std::io::Error::other(error.message))?;
            let (dir, name) = tree.descend(&path)?;
            dir.file(name)?
        }
    };
    if Stat::of_fd(&file)?.kind != Kind::File {
        return Err(std::io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// The tree of a name's snapshot, in whichever tier it stands.
pub(crate) fn snapshot_tree(store: &Store, name: &StoredName) -> Result<Dir> {
    let id = name.snapshot;
    let home = store
        .home_of(id)?
        .ok_or_else(|| Error::failed(format!("snapshot {id} is not there any more")))?;
    store.snapshot(home, id)
}
