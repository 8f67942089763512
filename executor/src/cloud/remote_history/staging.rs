//! The folder that rclone copies to `objects`: a symlink for each object, under its digest, to a file that
//! has the content. Nothing is copied here, and nothing on the disk is touched.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStringExt as _,
};

use rustix::io::Errno;
use schema::{Digest, StoredPathBuf};

use super::{HistoryRemote, upload::SourceTree};
use crate::{cloud::roots::SeenFile, error::Result, sys::Dir};

/// The folder in the cache.
pub(super) const PUT: &str = "put";
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
    root: Dir,
    folders: HashMap<u8, Dir>,
}

impl Stage {
    fn folder(&mut self, digest: Digest) -> std::result::Result<&Dir, Errno> {
        let first = digest.0[0];
        if !self.folders.contains_key(&first) {
            let dir = self
                .root
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

impl HistoryRemote<'_> {
    /// Makes the folder for these objects.
    pub(super) fn stage(&self, objects: &[StagedObject], source: SourceTree<'_>) -> Result<Stage> {
        let mut stage = Stage {
            root: self.cache.empty_area(PUT, self.rclone.context)?,
            folders: HashMap::new(),
        };
        let io = |error: Errno| self.io("write", PUT, error);
        for object in objects {
            self.rclone.context.stop.check()?;
            let name = object.digest.to_string();
            let mut target = source.folder.trim_end_matches('/').as_bytes().to_vec();
            target.push(b'/');
            target.extend_from_slice(&object.path);
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
