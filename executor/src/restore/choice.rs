//! A choice says what of a path is restored, and whose it becomes.

use schema::{StoredPath, plan::Owner};

use crate::{manifest::Entry, sys::Kind};

/// What of a path is restored, whose it becomes and how sure to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Names of the entries of a folder to restore; empty for all of it.
    pub only: Vec<Vec<u8>>,
    /// Whose everything is to be; none for whoever it was recorded for.
    pub owner: Option<Owner>,
    /// Whom it was recorded for is told by the number, whatever its name is here.
    pub numeric_ids: bool,
    /// Read back what was written and compare it with the manifest.
    pub read_back: bool,
    /// Also devices, and set-id bits and capabilities of files, that no sealed manifest vouches for.
    pub special: bool,
}

impl Choice {
    /// Whether a path, relative to what is restored, is of what was chosen; the whole always is.
    pub(super) fn has(&self, path: &StoredPath) -> bool {
        let Some(top) = path.names().next() else {
            return true;
        };
        self.only.is_empty() || self.only.iter().any(|name| name == top)
    }

    /// Makes an entry that is wanted the new owner's.
    pub(super) fn give(&self, wanted: &mut Entry) {
        let Some(owner) = self.owner else {
            return;
        };
        if (wanted.uid, wanted.gid) != (owner.uid, owner.gid) {
            (wanted.uid, wanted.gid) = (owner.uid, owner.gid);
            // A set-id bit is a grant of its owner's rights, not of another's.
            if wanted.kind != Kind::Folder {
                wanted.mode &= 0o1777;
            }
        }
    }
}
