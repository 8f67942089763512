//! Where live files are, and whether they still are what their entries say.
//!
//! Asked after a file was uploaded, since it may have changed meanwhile. By descriptors, from the
//! source down.

use rustix::io::Errno;

use crate::{
    manifest::Entry,
    sys::{Kind, Stat, resolve::Resolved, stat::Nanos},
};

/// The sources, each with its path in the manifest.
#[derive(Default)]
pub struct Roots(pub(super) Vec<(Vec<u8>, Resolved)>);

impl Roots {
    /// What the kernel says now of a path of the manifest, without following symlinks below the
    /// source.
    ///
    /// # Errors
    /// The system's reason.
    pub fn stat(&self, path: &[u8]) -> Result<Stat, Errno> {
        for (prefix, root) in &self.0 {
            let Some(rest) = path.strip_prefix(prefix.as_slice()) else {
                continue;
            };
            let rest = match rest {
                [] => return root.parent.stat(&root.name),
                [b'/', rest @ ..] => rest,
                rest if prefix.is_empty() => rest,
                _ => continue,
            };
            let (dir, name) = root.folder()?.descend(rest)?;
            return dir.stat(name);
        }
        Err(Errno::NOENT)
    }
}

/// How a file was when its entry was made.
pub(super) struct Seen {
    path: Vec<u8>,
    ino: u64,
    size: u64,
    ctime: Nanos,
}

impl Seen {
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
