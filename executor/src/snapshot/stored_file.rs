//! A regular file that stands in the new tree, and how it got there.

use super::jobs::BuildItem;
use crate::{manifest::Entry, sys::Stat};

/// A file that stands in the new tree.
pub(super) struct Stored {
    pub(super) entry: Entry,
    /// How it got there.
    pub(super) how: StorageMethod,
    /// Its inode in the new tree.
    pub(super) copy: Stat,
    /// Device and inode number of the source.
    pub(super) inode: (u64, u64),
    /// The content is as the basis has it.
    pub(super) unchanged: bool,
}

impl Stored {
    /// A copy of a file that its source has in this state.
    pub(super) fn copied(item: &BuildItem, entry: Entry, copy: Stat, source: &Stat) -> Self {
        let basis = item.basis.as_ref().and_then(|basis| basis.digest);
        Self {
            unchanged: entry.digest.is_some() && entry.digest == basis,
            entry,
            how: StorageMethod::Copied,
            copy,
            inode: (source.dev, source.ino),
        }
    }
}

/// How a file got into the new tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StorageMethod {
    Linked,
    Copied,
}
