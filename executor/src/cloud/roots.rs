//! Knows where live files are, and whether they still are what their entries say.
//!
//! Asked after a file was uploaded, since it may have changed meanwhile. By descriptors, from the
//! source down.

use rustix::io::Errno;

use schema::{StoredPath, StoredPathBuf};

use crate::{
    manifest::Entry,
    sys::{Kind, Stat, resolve::Resolved, stat::Nanos},
};

/// The sources, each with its path in the manifest.
#[derive(Default)]
pub struct Roots(pub(super) Vec<(StoredPathBuf, Resolved)>);

impl Roots {
    /// What the kernel says now of a path of the manifest, without following symlinks below the
    /// source.
    ///
    /// # Errors
    /// Fails if the path cannot be looked at.
    pub fn stat(&self, path: &StoredPath) -> Result<Stat, Errno> {
        for (prefix, root) in &self.0 {
            let Some(rest) = path.rest_below(prefix) else {
                continue;
            };
            if rest.is_root() {
                return root.parent.stat(&root.name);
            }
            let (dir, name) = root.folder()?.descend(rest)?;
            return dir.stat(name);
        }
        Err(Errno::NOENT)
    }
}

/// How a file was when its entry was made.
pub(super) struct SeenFile {
    path: StoredPathBuf,
    ino: u64,
    size: u64,
    ctime: Nanos,
}

impl SeenFile {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            path: entry.path.clone(),
            ino: entry.ino,
            size: entry.size,
            ctime: entry.ctime,
        }
    }

    /// Whether the file is still so: the kernel would have moved `ctime` with any change.
    pub(super) fn holds(&self, roots: &Roots) -> bool {
        roots.stat(&self.path).is_ok_and(|now| {
            now.kind == Kind::File
                && (now.ino, now.size, now.ctime) == (self.ino, self.size, self.ctime)
        })
    }
}
