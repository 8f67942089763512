//! Before rsync copies into a clone of the basis: what the clone has in the place of files that rsync is to
//! copy goes, for rsync passes over whatever is there.
//!
//! Invariant: only what is the basis' own goes, nothing that an interrupted run has copied.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use schema::{StoredPath, StoredPathBuf, plan::SnapshotStep};

use super::{
    Job,
    list::{self, Choice},
};
use crate::{
    error::{Error, Result},
    snapshot::{inherit::is_clone, start::Started},
    store::Store,
    survey::Survey,
    sys::{Dir, Kind},
};

/// Removes the files of the clone that rsync is to copy anew; nothing to do where the tree is none.
pub(super) fn clear_changed_files(
    store: &Store,
    step: &SnapshotStep,
    started: &Started,
    jobs: &[Job<'_>],
    survey: &Survey,
    choice: Choice<'_>,
) -> Result<()> {
    let Some(basis) = step.basis.as_ref().filter(|_| started.tree.is_subvolume()) else {
        return Ok(());
    };
    let basis = store
        .snapshot(basis.home, basis.id)
        .map_err(Error::of_basis_tree)?;
    for Job { call, found, .. } in jobs {
        let source = call.source.as_stored();
        let mut last: Option<(StoredPathBuf, Option<(Dir, Dir)>)> = None;
        let mut each = |below: &[u8]| -> io::Result<()> {
            let mut path = source.to_owned();
            for name in below
                .split(|byte| *byte == b'/')
                .filter(|name| !name.is_empty())
            {
                path.push(name);
            }
            let above = path.parent().unwrap_or_default();
            if last.as_ref().is_none_or(|(known, _)| **known != *above) {
                let both = open(&started.tree, above).zip(open(&basis, above));
                last = Some((above.to_owned(), both));
            }
            let Some((_, Some((tree, basis)))) = &last else {
                return Ok(());
            };
            clear_one(tree, basis, OsStr::from_bytes(path.file_name())).map_err(io::Error::from)
        };
        list::visit_files(
            found.record.look_through(),
            &survey.moves,
            choice,
            call,
            &mut each,
        )
        .map_err(|error| store.io("make way for rsync in", "partial", error))?;
    }
    Ok(())
}

/// A folder of a tree; none where there is none.
fn open(tree: &Dir, path: &StoredPath) -> Option<Dir> {
    let opened = match path.is_root() {
        true => tree.again(),
        false => tree.folder_below(path),
    };
    opened.ok()
}

fn clear_one(tree: &Dir, basis: &Dir, name: &OsStr) -> std::result::Result<(), Errno> {
    let (Some(there), Some(found)) = (tree.look(name)?, basis.look(name)?) else {
        return Ok(());
    };
    if !is_clone(&there, &found) || there.kind == Kind::Folder {
        return Ok(());
    }
    match tree.remove_file(name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}
