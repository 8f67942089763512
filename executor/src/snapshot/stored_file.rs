//! A regular file that stands in the new tree, and how it got there.

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

/// How a file got into the new tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StorageMethod {
    Linked,
    Copied,
}
