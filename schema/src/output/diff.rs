//! What `backup diff --json` prints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EntryKind;
use crate::SnapshotId;

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// What changed between two snapshots, or since one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotDiff {
    /// Format of this document.
    pub format_version: u32,
    /// The earlier snapshot.
    pub before: SnapshotId,
    /// The later one, or `now`.
    pub after: String,
    /// The path that was compared, escaped.
    pub path: String,
    /// By kind of change, how many there are and how many bytes of regular files they are.
    pub totals: DiffTotals,
    /// Entries that are the same.
    pub same: u64,
    /// What differs, by path.
    pub differences: Vec<PathDifference>,
    /// Sources and what is in them that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<NotCompared>,
}

/// A path of which nothing is known, nor of what is below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotCompared {
    /// The path as on the machine, escaped.
    pub path: String,
    /// Why.
    pub because: String,
}

/// How many paths changed in each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffTotals {
    /// Only in the later one; bytes as they are there.
    pub added: DiffTotal,
    /// Only in the earlier one; bytes as they were there.
    pub removed: DiffTotal,
    /// With other content; bytes as they are in the later one.
    pub changed: DiffTotal,
    /// With other metadata only.
    pub metadata: DiffTotal,
    /// At another path.
    pub renamed: DiffTotal,
    /// Of live files those that look the same and may not be.
    #[serde(default, skip_serializing_if = "DiffTotal::is_none")]
    pub touched: DiffTotal,
}

impl DiffTotals {
    /// The total of a kind of change.
    pub fn total_mut(&mut self, change: ChangeKind) -> &mut DiffTotal {
        match change {
            ChangeKind::Added => &mut self.added,
            ChangeKind::Removed => &mut self.removed,
            ChangeKind::Changed => &mut self.changed,
            ChangeKind::Metadata => &mut self.metadata,
            ChangeKind::Renamed => &mut self.renamed,
            ChangeKind::Touched => &mut self.touched,
        }
    }
}

/// How many, and how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffTotal {
    /// Paths.
    pub count: u64,
    /// Sum of the sizes of regular files.
    pub bytes: u64,
}

impl DiffTotal {
    fn is_none(&self) -> bool {
        self.count == 0
    }
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathDifference {
    /// How it differs.
    pub change: ChangeKind,
    /// The path as on the machine, escaped.
    pub path: String,
    /// Of something renamed, its earlier path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the earlier snapshot has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<EntryState>,
    /// What the later one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EntryState>,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is only in the later one.
    Added,
    /// It is only in the earlier one.
    Removed,
    /// It has other content.
    Changed,
    /// It has the same content and other metadata.
    Metadata,
    /// It was at another path.
    Renamed,
    /// It looks the same and may not be; of live files only.
    Touched,
}

impl ChangeKind {
    /// The kind's name, as documents and users have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Metadata => "metadata",
            Self::Renamed => "renamed",
            Self::Touched => "touched",
        }
    }
}

/// What one snapshot has at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryState {
    /// What it is.
    pub kind: EntryKind,
    /// Size in bytes; 0 for all but regular files.
    pub size: u64,
    /// Permission bits, octal.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of content, in nanoseconds since 1970.
    pub mtime_ns: String,
    /// What a symlink points to, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}
