//! What is known of the copies in the cloud: rclone as it was found, and what was uploaded.
//!
//! On the remote stand `<remotePath>/<hostname>/current` (the files), `history/<id>/<attempt>` (what
//! an upload of snapshot `<id>` replaced or took away; `history/<id>/moved-<attempt>.list` says what
//! it moved within `current`) and `manifests/<id>` (record and manifest of each uploaded snapshot,
//! with modes, owners, links and attributes, which remotes do not keep).

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SnapshotId, digest::Digest, problem::Problem, remote_history::RemoteContent};

/// Version of the format of what is written to the remote.
pub const FORMAT_VERSION: u32 = 1;

/// Folder of the newest upload's files.
pub const CURRENT: &str = "current";
/// Folder of what uploads replaced or took away, and of where they moved files.
pub const HISTORY: &str = "history";
/// Folder of the uploaded snapshots' records and manifests.
pub const MANIFESTS: &str = "manifests";

/// rclone as it was found on the PATH.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RcloneFound {
    /// What it says that it is, such as `1.75.2`; none where it cannot be run or says nothing.
    pub version: Option<String>,
    /// Why no version is known.
    pub fault: Option<String>,
}

/// `manifests/<id>/uploaded-<attempt>.json`, written last of all: this snapshot is on the remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadRecord {
    /// Format of this file.
    pub format_version: u32,
    /// The snapshot.
    pub id: SnapshotId,
    /// Number of the attempt that ended well. Attempts of a host are counted on, so that they have
    /// an order that no clock can change.
    pub attempt: u64,
    /// When it ended.
    pub uploaded_at: DateTime<FixedOffset>,
    /// Regular files of it on the remote.
    pub files: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
    /// Digest of the manifest file beside this one.
    pub manifest_digest: Digest,
    /// The program that made it, with its version.
    pub made_by: String,
    /// Files that the remote could not hold, the first thousand.
    pub not_uploaded: Vec<Problem>,
    /// What was not taken away although the snapshot has it no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
    /// Digest of `kept.mtree.zst` beside this one: files of earlier uploads that are still in
    /// `current` although the snapshot does not have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_digest: Option<Digest>,
    /// Digest of the manifest that was sealed on the destination, of which the one beside this is
    /// made: it tells a machine that lost its state directory what it sealed. None for live sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_digest: Option<Digest>,
}

/// A guard that held back what an upload would have taken away, until a person agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withheld {
    /// Files that stay in `current` although the snapshot does not have them.
    pub files: u64,
    /// Why, as a sentence.
    pub because: String,
    /// The upload that this one looked damaged beside, and that the next ones are judged by until a
    /// person agrees; none where only `cloud.maxDelete` held them back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<SnapshotId>,
}

/// `manifests/owner-<machine>.json`: the machine whose copies these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudOwner {
    /// Format of this file.
    pub format_version: u32,
    /// Its host name.
    pub host: String,
    /// Digest of its machine-id.
    pub machine: String,
    /// When it began to copy here.
    pub since: DateTime<FixedOffset>,
    /// The program that wrote this, with its version.
    pub made_by: String,
}

/// What this machine remembers of its copies on one remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CloudMemory {
    /// The newest upload that ended well.
    pub last: Option<UploadRecord>,
    /// Ids of all uploaded snapshots that can still be restored from there.
    pub uploaded: Vec<SnapshotId>,
    /// Ids of the history folders there, each with when its upload ended.
    pub history: Vec<HistoryFolder>,
    /// Number of the newest attempt.
    pub attempt: u64,
    /// When the last uploads ended by the clock of their run, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<DateTime<FixedOffset>>,
    /// A person said that this machine goes on with another one's copies.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub take_over: bool,
}

/// A folder of history on the remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryFolder {
    /// The snapshot whose upload made it.
    pub id: SnapshotId,
    /// When this machine first saw it, which is when the upload ended.
    pub since: DateTime<FixedOffset>,
    /// What the clock said at that run and the two after it: no single clock is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<DateTime<FixedOffset>>,
}

/// The cloud as the inventory has it: without asking the remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CloudState {
    /// rclone.
    pub rclone: RcloneFound,
    /// What this machine remembers.
    pub memory: CloudMemory,
    /// What the newest good snapshot has that the last upload has not; none where one of the two
    /// is not known.
    pub pending: Option<CloudChange>,
    /// Whether rclone's configuration has the remote; none where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured: Option<bool>,
    /// What a remote of layout `history` has; none of one of layout `mirror`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<RemoteContent>,
}

/// The difference between an upload and a snapshot, in regular files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudChange {
    /// Files to upload: new ones and changed ones.
    pub upload_files: u64,
    /// Their bytes.
    pub upload_bytes: u64,
    /// Files whose old content is replaced.
    pub replaced_files: u64,
    /// Files that are gone.
    pub gone_files: u64,
}

/// What rclone saved of the credentials of a remote, which is newer than what its configuration of
/// `cloud.configFile` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedCredentials {
    /// Values that change by themselves, such as the token of a remote.
    #[serde(default)]
    pub values: Vec<SavedCredential>,
    /// What people were told of where these are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<CredentialsKept>,
}

/// One value of rclone's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedCredential {
    /// The section: a remote's name. Empty, as the key, for an encrypted configuration as a whole.
    pub section: String,
    /// The key.
    pub key: String,
    /// The newest value that is known.
    pub value: String,
    /// Digests of values before it, the newest last: a configuration that has one of them is older.
    #[serde(default)]
    pub before: Vec<Digest>,
}

/// Where credentials that rclone saved are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialsKept {
    /// In the configuration that they came from.
    InConfigFile,
    /// In the state directory.
    InState,
}
