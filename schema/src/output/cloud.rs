//! What `backup restore --list --from cloud --json` and `backup verify --cloud --json` print.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SnapshotId, journal::Problem};

/// Version of the verification's format.
pub const FORMAT_VERSION: u32 = 1;

/// The snapshots on the remote, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-format-version" = 1))]
pub struct CloudSnapshotList(pub Vec<SnapshotId>);

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
