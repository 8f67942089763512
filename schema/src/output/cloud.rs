//! What `backup restore --list --from cloud --json` and `backup verify --cloud --json` print.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SnapshotId, journal::Problem};

/// Version of the format of the list and of the verification.
pub const FORMAT_VERSION: u32 = 1;

/// What can be restored from the remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudSnapshotList {
    /// Format of this document.
    pub format_version: u32,
    /// The snapshots, newest first.
    pub snapshots: Vec<CloudSnapshot>,
}

/// A snapshot on the remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudSnapshot {
    /// Its id.
    pub id: SnapshotId,
}

/// What comparing the remote with its newest upload's manifest found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudVerification {
    /// Format of this document.
    pub format_version: u32,
    /// The snapshot.
    pub id: SnapshotId,
    /// Files whose size was compared.
    pub files: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// The remote's hash that was compared, by its name in rclone; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Files whose hash on the remote is that of their content.
    #[serde(default)]
    pub hashed_files: u64,
    /// Their bytes.
    #[serde(default)]
    pub hashed_bytes: u64,
    /// Files that were downloaded and compared.
    pub read_files: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Files that are missing or damaged, the first thousand.
    pub damage: Vec<Problem>,
    /// How many there are.
    pub damage_count: u64,
}
