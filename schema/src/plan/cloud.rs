//! The cloud step: what is copied to the remote, and what holds it back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deletion, DestinationCheckStep, UploadFeed};
use crate::SnapshotId;
use crate::cloud::CloudChange;
use crate::config::AbsolutePath;
use crate::config::MaxDelete;
use crate::config::SyncMode;
use crate::duration::Span;

/// Copies the newest good snapshot to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudSyncStep {
    /// The program, found on the PATH.
    pub program: String,
    /// Options of each of its calls.
    pub options: Vec<String>,
    /// The host's folder on the remote, as rclone names it; `current`, `history` and `manifests`
    /// are below it.
    pub remote: String,
    /// The rclone configuration; refused if others can read it.
    pub config_file: Option<AbsolutePath>,
    /// Time after which it is ended and the step failed.
    pub timeout: Span,
    /// What happens to files that are on the remote only.
    pub mode: SyncMode,
    /// The snapshot that is copied, if it is good.
    pub snapshot: SnapshotId,
    /// The destination that holds it, where no other step of the plan checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationCheckStep>,
    /// Of a named mirror: where the snapshot comes from, as an upload says it, and `snapshot` is the one that
    /// is likely to come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<UploadFeed>,
    /// The live sources that are copied under that name, where there are no local snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveSources>,
    /// The last upload, as far as this machine knows.
    pub last: Option<SnapshotId>,
    /// What there will be to do, at most.
    pub expected: CloudChange,
    /// When it is refused before anything on the remote changes.
    pub limits: CloudLimits,
    /// History folders that go once the upload ended well: they are older than
    /// `cloud.keepHistoryDays`.
    pub expire: Vec<SnapshotId>,
    /// Local snapshots that go once the remote was checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub give_back: Vec<Deletion>,
}

/// What is copied to the cloud where there are no local snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveSources {
    /// The sources.
    pub sources: Vec<AbsolutePath>,
    /// Patterns of what is left out.
    pub exclude_patterns: Vec<String>,
    /// Leave out what is in caches, as their `CACHEDIR.TAG` says.
    #[serde(default = "crate::yes", skip_serializing_if = "crate::is_yes")]
    pub exclude_caches: bool,
    /// Leave out folders that hold an entry of one of these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_if_present: Vec<String>,
    /// Do not cross mount points below a source.
    pub one_file_system: bool,
    /// Bytes of holes that are read of the files of each owner; a file with more is left out.
    #[serde(
        default = "crate::config::default_max_hole_bytes",
        skip_serializing_if = "crate::config::is_default_max_hole_bytes"
    )]
    pub max_hole_bytes: u64,
}

/// When a cloud copy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudLimits {
    /// More files than this would go from `current`; none where nothing goes.
    pub max_delete: Option<MaxDelete>,
    /// Refuse a source without files, with less than half of the uploaded files, or with more than
    /// half of them rewritten; false where a person has agreed.
    pub guard: bool,
}
