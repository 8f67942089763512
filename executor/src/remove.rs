//! Removing a tree, by directory descriptors and without recursion.
//!
//! Invariant: only single names are removed, each from a folder that was opened without following
//! a symlink, so nothing outside the tree can be reached.

use std::ffi::{OsStr, OsString};

use rustix::io::Errno;

use crate::{
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    sys::{Dir, bytes},
};

/// Removes an entry of a folder with all that is in it; nothing to do if it is not there.
///
/// Can be repeated after an interruption: what is gone is gone.
///
/// # Errors
/// The system's reason, naming the path below `named`; or an interruption.
pub fn remove_tree(parent: &Dir, name: &OsStr, named: &str, context: Context<'_>) -> Result<()> {
    let mut path: Vec<u8> = named.as_bytes().to_vec();
    let io = |doing: &str, path: &[u8], error: Errno| Error::io(doing, path, error);
    match parent.remove_file(name) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Linux says EISDIR for a folder, POSIX and some file systems EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(io("remove", &path, error)),
    }
    let mut progress = Progress {
        phase: Phase::Remove,
        ..Progress::default()
    };
    let mut stack = vec![(
        open(parent, name).map_err(|e| io("open", &path, e))?,
        path.len(),
    )];
    let mut names: Vec<Vec<OsString>> = vec![stack[0].0.names().map_err(|e| io("list", &path, e))?];
    while let (Some((dir, length)), Some(rest)) = (stack.last(), names.last_mut()) {
        path.truncate(*length);
        let Some(child) = rest.pop() else {
            names.pop();
            stack.pop();
            let Some((dir, length)) = stack.last() else {
                break;
            };
            let gone = path[*length + 1..].to_vec();
            dir.remove_folder(std::os::unix::ffi::OsStrExt::from_bytes(gone.as_slice()))
                .map_err(|e| io("remove", &path, e))?;
            continue;
        };
        context.stop.check()?;
        path.push(b'/');
        path.extend_from_slice(bytes(&child));
        progress.entries += 1;
        if progress.entries.is_multiple_of(1000) {
            context.observer.event(Event::Progress(progress));
        }
        match dir.remove_file(&child) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                let inner = open(dir, &child).map_err(|e| io("remove", &path, e))?;
                names.push(inner.names().map_err(|e| io("list", &path, e))?);
                stack.push((inner, path.len()));
            }
            Err(error) => return Err(io("remove", &path, error)),
        }
    }
    parent
        .remove_folder(name)
        .map_err(|error| io("remove", named.as_bytes(), error))
}

/// Opens a folder to empty it. Its owner may have no right to: then the right is given, which
/// touches no other snapshot, because folders are never shared.
fn open(parent: &Dir, name: &OsStr) -> std::result::Result<Dir, Errno> {
    let dir = match parent.folder(name) {
        Err(Errno::ACCESS) => {
            parent.set_mode_of(name, 0o700)?;
            parent.folder(name)?
        }
        result => result?,
    };
    let mode = dir.stat_self()?.mode;
    if mode & 0o300 != 0o300 {
        crate::sys::dir::open::set_mode(&dir, 0o700)?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::event::Stop;

    #[test]
    fn a_tree_goes_and_what_its_links_point_to_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        let mut deep = root.join("tree");
        for _ in 0..600 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.join("outside"), "kept").unwrap();
        std::os::unix::fs::symlink(root, root.join("tree/link")).unwrap();
        std::os::unix::fs::symlink("../outside", root.join("tree/file-link")).unwrap();
        std::fs::create_dir(root.join("tree/closed")).unwrap();
        std::fs::write(root.join("tree/closed/file"), "x").unwrap();
        std::fs::set_permissions(root.join("tree/closed"), Permissions::from_mode(0o500)).unwrap();

        let dir = crate::sys::resolve::resolve(root)
            .unwrap()
            .folder()
            .unwrap();
        let stop = Stop::default();
        remove_tree(&dir, "tree".as_ref(), "tree", Context::silent(&stop)).unwrap();
        remove_tree(&dir, "tree".as_ref(), "tree", Context::silent(&stop)).unwrap();
        assert!(!root.join("tree").exists());
        assert_eq!(
            std::fs::read_to_string(root.join("outside")).unwrap(),
            "kept"
        );
    }

    #[test]
    fn a_request_to_stop_ends_the_removal_and_the_next_one_finishes_it() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temporary.path().join("tree/a")).unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        let stop = Stop::default();
        stop.ask(15);
        let ended = remove_tree(&dir, "tree".as_ref(), "tree", Context::silent(&stop));
        assert_eq!(ended.unwrap_err().kind, crate::ErrorKind::Interrupted);
        let stop = Stop::default();
        remove_tree(&dir, "tree".as_ref(), "tree", Context::silent(&stop)).unwrap();
        assert!(!temporary.path().join("tree").exists());
    }
}
