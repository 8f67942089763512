//! The folder that rclone copies to `objects`: a symlink for each object, under its digest, to a file that
//! has the content. Nothing is copied here, and nothing on the disk is touched.
//!
//! The symlinks lead through another one, `from`, which leads to the folder that all the files are below: most
//! file systems keep a short target beside the inode and give a long one a block.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use rustix::io::Errno;
use schema::{Digest, StoredPath, StoredPathBuf};

use super::{HistoryRemote, upload::SourceTree};
use crate::{cloud::roots::SeenFile, error::Result, sys::Dir};

/// The folder in the cache.
pub(super) const PUT: &str = "put";
/// The folder in it that is copied.
pub(super) const PUT_OBJECTS: &str = "put/objects";
/// The symlink beside that to the folder that all the files are below.
const FROM: &str = "from";
/// Longest target of a symlink (symlink(2)).
const LONGEST_TARGET: usize = 4095;

/// An object that is to be put, and a file that has it.
pub(super) struct StagedObject {
    pub(super) digest: Digest,
    /// Where the file stands in the tree.
    pub(super) path: StoredPathBuf,
    pub(super) size: u64,
    /// How a live file was.
    pub(super) seen: Option<SeenFile>,
}

/// A folder for rclone.
pub(super) struct Stage {
    objects: Dir,
    folders: HashMap<u8, Dir>,
}

impl Stage {
    fn folder(&mut self, digest: Digest) -> std::result::Result<&Dir, Errno> {
        let first = digest.0[0];
        if !self.folders.contains_key(&first) {
            let dir = self
                .objects
                .folder_or_new(OsStr::new(&format!("{first:02x}")), 0o700)?;
            self.folders.insert(first, dir);
        }
        self.folders.get(&first).ok_or(Errno::NOENT)
    }

    /// Takes an object away that came through.
    pub(super) fn remove(&mut self, digest: Digest) {
        let name = digest.to_string();
        // What cannot be removed is put again.
        if let Ok(folder) = self.folder(digest) {
            let _ = folder.remove_file(OsStr::new(&name));
        }
    }
}

/// The longest folder, with its slash, that all these paths are below; none that is longer than `longest`.
fn common_parent<'a>(mut paths: impl Iterator<Item = &'a StoredPath>, longest: usize) -> &'a [u8] {
    let end_of_parent = |path: &[u8]| memchr::memrchr(b'/', path).map_or(0, |at| at + 1);
    let first: &[u8] = paths.next().unwrap_or_default();
    let mut parent = &first[..end_of_parent(first)];
    let mut shorten = |is_one: &dyn Fn(&[u8]) -> bool| {
        while !is_one(parent) {
            parent = &parent[..end_of_parent(&parent[..parent.len() - 1])];
        }
    };
    shorten(&|parent| parent.len() <= longest || parent.is_empty());
    for path in paths {
        shorten(&|parent| path.starts_with(parent));
    }
    parent
}

impl HistoryRemote<'_> {
    /// Makes the folder for these objects.
    pub(super) fn stage(&self, objects: &[StagedObject], source: SourceTree<'_>) -> Result<Stage> {
        let io = |error: Errno| self.io("write", PUT, error);
        let root = self.cache.empty_area(PUT, self.rclone.context)?;
        let mut stage = Stage {
            objects: root
                .folder_or_new(OsStr::new("objects"), 0o700)
                .map_err(io)?,
            folders: HashMap::new(),
        };
        let folder = source.folder.trim_end_matches('/').as_bytes();
        let longest = LONGEST_TARGET.saturating_sub(folder.len() + 1);
        let parent = common_parent(objects.iter().map(|object| &*object.path), longest);
        let from = [folder, b"/", parent].concat();
        root.make_symlink(OsStr::from_bytes(&from), OsStr::new(FROM))
            .map_err(io)?;
        for object in objects {
            self.rclone.context.stop.check()?;
            let name = object.digest.to_string();
            let mut target = b"../../from/".to_vec();
            target.extend_from_slice(&object.path[parent.len()..]);
            let folder = stage.folder(object.digest).map_err(io)?;
            if target.len() <= LONGEST_TARGET {
                folder
                    .make_symlink(&OsString::from_vec(target), OsStr::new(&name))
                    .map_err(io)?;
                continue;
            }
            // No call takes so long a path: this one is copied. What cannot be read does not come through.
            if let Ok(file) = source
                .tree
                .descend(&object.path)
                .and_then(|(dir, name)| dir.file(name))
            {
                folder
                    .copy_whole(&name, file, u64::MAX - 1)
                    .map_err(|error| self.io("write", PUT, error))?;
            }
        }
        Ok(stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent_of(paths: &[&str], longest: usize) -> String {
        let paths = paths.iter().map(|path| StoredPath::new(*path));
        String::from_utf8_lossy(common_parent(paths, longest)).into_owned()
    }

    #[test]
    fn the_common_parent_is_a_folder_that_all_are_below() {
        assert_eq!(parent_of(&[], 9), "");
        assert_eq!(parent_of(&["a"], 9), "");
        assert_eq!(parent_of(&["a/b/c"], 9), "a/b/");
        assert_eq!(parent_of(&["a/b/c", "a/b/d/e"], 9), "a/b/");
        assert_eq!(parent_of(&["a/b/c", "a/bc"], 9), "a/");
        assert_eq!(parent_of(&["a/b/c", "a/b"], 9), "a/");
        assert_eq!(parent_of(&["a/b", "ab"], 9), "");
        assert_eq!(parent_of(&["abc/def/g"], 7), "abc/");
        assert_eq!(parent_of(&["abc/def/g"], 3), "");
    }
}
