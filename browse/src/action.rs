//! What is done, and not only shown: outside of this crate, by the verbs that do it elsewhere.

use std::collections::BTreeMap;

use schema::StoredPathBuf;

/// Where restored files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Where they were.
    InPlace,
    /// Into this folder, as it was typed.
    Folder(String),
}

/// Something that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Paths come out of snapshots.
    Restore {
        /// What of which snapshot, by its name.
        from: BTreeMap<String, Vec<StoredPathBuf>>,
        /// Where to.
        target: Target,
    },
    /// A snapshot is kept whatever the retention says.
    Pin(String),
    /// It is left to the retention again.
    Unpin(String),
    /// It is as it should be although it is suspect.
    Accept(String),
    /// Snapshots go.
    Delete(Vec<String>),
    /// A file of a snapshot is read and compared with what was recorded of it.
    Verify {
        /// The snapshot's name.
        snapshot: String,
        /// The file.
        path: StoredPathBuf,
    },
}
