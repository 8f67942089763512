//! One entry that is to be restored.

use std::ffi::OsString;

use schema::StoredPathBuf;

use crate::{manifest::Entry, sys::Stat};

/// One entry to restore.
#[derive(Debug, Clone)]
pub(super) struct RestoreItem {
    /// Path relative to what is restored; empty for that itself.
    pub(super) path: StoredPathBuf,
    /// The name that it gets: its own, where the target can hold that.
    pub(super) name: OsString,
    /// Whether it gets another one.
    pub(super) renamed: bool,
    /// The name under which the snapshot has it.
    pub(super) stored_name: OsString,
    /// What it was, after the manifest or else after the tree.
    pub(super) wanted: Entry,
    /// Whether it stands in the snapshot; else only the manifest knows it.
    pub(super) is_stored: bool,
    /// What the kernel says of it there, where the manifest does not say enough.
    pub(super) looks: Option<Stat>,
    /// Whether the manifest knows it.
    pub(super) listed: bool,
    /// Whether it may give somebody rights.
    pub(super) rights: Rights,
    /// Set-id bits were taken from what it is to become.
    pub(super) bits_withheld: bool,
}

impl RestoreItem {
    /// An entry that gets its own name and gives nobody rights, and of which the snapshot holds nothing.
    pub(super) fn new(
        path: StoredPathBuf,
        name: OsString,
        stored_name: OsString,
        wanted: Entry,
    ) -> Self {
        Self {
            path,
            name,
            renamed: false,
            stored_name,
            wanted,
            is_stored: false,
            looks: None,
            listed: true,
            rights: Rights::Withheld,
            bits_withheld: false,
        }
    }
}

/// Whether an entry may give somebody rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// As the sealed manifest lists them.
    Listed,
    /// As it stands there: a person asked for it.
    Asked,
    /// None.
    Withheld,
}
