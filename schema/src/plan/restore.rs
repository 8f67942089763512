//! The restore step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SnapshotId;

/// Copies a file or folder out of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreStep {
    /// The snapshot; none for a folder that this program did not make.
    pub snapshot: Option<SnapshotId>,
    /// The folder that holds it, relative to the host's folder.
    pub folder: String,
    /// The path in the snapshot, escaped, without a leading slash; empty for all of it.
    pub path: String,
    /// Only these entries of the path, which is a folder then: their names, escaped and sorted;
    /// empty for all of it. A target that is there keeps its own metadata then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// What becomes the path's content, escaped.
    pub target: String,
    /// Whose everything is to be; none for whoever it was recorded for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whom it was recorded for is told by numbers, whatever the recorded names mean here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub numeric_ids: bool,
    /// Read back what was written and compare it with the manifest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_back: bool,
    /// Also devices, and set-id bits and capabilities of files, that no sealed manifest vouches for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub special: bool,
    /// Replace what is there, keeping the old aside.
    pub overwrite: bool,
    /// Suffix of what is kept aside.
    pub aside_suffix: String,
    /// Entries to create.
    pub creates: u64,
    /// Entries that are there already, as the snapshot has them.
    pub already_there: u64,
    /// Bytes to write.
    pub bytes: u64,
    /// Entries that are there and differ, escaped, relative to the target; the first hundred.
    pub conflicts: Vec<String>,
    /// How many there are.
    pub conflict_count: u64,
    /// Entries that are there with the snapshot's content and another mode, owner, time or other
    /// attributes; with `overwrite` they are put right where they are. The first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put_right: Vec<PutRight>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub put_right_count: u64,
    /// Entries that stand in the snapshot and that its manifest does not list, escaped, relative to
    /// the target: they are left. The first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<String>,
    /// How many there are; what is in such a folder is not counted.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub unlisted_count: u64,
    /// Paths relative to the target, escaped, where a symlink leads to the folder that the snapshot
    /// has there: what was backed up through it is restored through it. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
}

/// An entry that has the snapshot's content and other metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRight {
    /// Its path relative to the target, escaped.
    pub path: String,
    /// What differs, in words.
    pub what: String,
}

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}
