//! What `backup find --json` prints.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EntryKind;
use crate::{Digest, SnapshotId};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// What was searched for and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundPaths {
    /// Format of this document.
    pub format_version: u32,
    /// The pattern.
    pub pattern: String,
    /// The snapshots that were searched, oldest first.
    pub searched: Vec<SnapshotId>,
    /// What was not searched, or not to its end.
    pub not_searched: Vec<NotSearched>,
    /// Paths that the pattern means, each with its versions.
    pub paths: Vec<FoundPath>,
}

/// A folder that was not searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotSearched {
    /// Its id, or tier and name.
    pub snapshot: String,
    /// Why.
    pub because: String,
}

/// A path and its versions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundPath {
    /// The path as it was on the machine, escaped where it is not printable.
    pub path: String,
    /// From the first snapshot that has it to the newest.
    pub versions: Vec<PathVersion>,
}

impl FoundPath {
    /// The newest version that is one.
    #[must_use]
    pub fn newest(&self) -> Option<&PathVersion> {
        let mut versions = self.versions.iter().rev();
        versions.find(|version| version.kind != EntryKind::Absent)
    }
}

/// A run of snapshots in which the path has the same content, or is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathVersion {
    /// The first of them.
    pub first: SnapshotId,
    /// The last of them.
    pub last: SnapshotId,
    /// How many they are.
    pub snapshots: u64,
    /// What it is; `absent` where it is not there.
    pub kind: EntryKind,
    /// Size of a regular file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Time of the last change of content, as the last of them has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<DateTime<FixedOffset>>,
    /// Digest of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What a symlink points to, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}
