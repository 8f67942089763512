//! The steps of a remote with history: where a snapshot comes from and where it goes, and what a person says
//! of one that is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DeletePurpose, DestinationCheckStep, LiveSources, Lost, MarkStep};
use crate::config::{AbsolutePath, DestinationName};
use crate::duration::Span;
use crate::{ExpireReason, SnapshotId};

/// How a step calls the remote of layout `history` that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteCall {
    /// The program, found on the PATH.
    pub program: String,
    /// Options of each of its calls.
    pub options: Vec<String>,
    /// The host's folder on the remote, as rclone names it; `objects`, `manifests` and `records` are
    /// below it.
    pub remote: String,
    /// The name of the host's folder.
    pub folder: String,
    /// The rclone configuration; refused if others can read it.
    pub config_file: Option<AbsolutePath>,
    /// Time after which it is ended and the step failed.
    pub timeout: Span,
}

/// Puts the newest good snapshot on a remote of layout `history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadStep {
    /// How the remote is called.
    pub call: RemoteCall,
    /// Where the snapshot comes from: the first of these that is there and has a good one of this run,
    /// else the first that has an earlier one.
    pub from: Vec<UploadFeed>,
    /// The live sources, which are copied where none of these has a new snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveSources>,
    /// The name that live sources get.
    pub snapshot: SnapshotId,
    /// Nothing there is to be let go now, so that what is due later is due by what comes later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settles: bool,
    /// The key may delete: files by which machines keep off each other go when they are needed no more.
    pub may_delete: bool,
}

/// A destination that a snapshot can be uploaded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadFeed {
    /// Its name.
    pub of: DestinationName,
    /// How it is checked before it is read.
    pub destination: DestinationCheckStep,
    /// The snapshot that this run makes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// The newest good one that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<SnapshotId>,
}

/// Lets snapshots go on a remote of layout `history`, and takes away what those had that were let go long
/// enough ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpireStep {
    /// How the remote is called.
    pub call: RemoteCall,
    /// What a person asks it for, without an upload; none in a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<DeletePurpose>,
    /// Snapshots that are let go, oldest first. All that they hold stays for now.
    pub expire: Vec<RemoteExpiry>,
    /// What would go as well, and waits for a person's approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<RemoteExpiry>,
    /// Days for which what was let go stays.
    pub keep_days: u32,
    /// Snapshots that were let go longer ago: their records and manifests go, and each object that no
    /// snapshot needs which is not let go.
    pub sweep: Vec<RemoteSweep>,
}

impl ExpireStep {
    /// What of these goes for good in the end.
    #[must_use]
    pub fn lost_with(expire: &[RemoteExpiry]) -> Lost {
        Lost::sum(expire.iter().map(|one| one.lost.unwrap_or(Lost::UNKNOWN)))
    }

    /// What is taken away for good now.
    #[must_use]
    pub fn swept(&self) -> Lost {
        let all = self.sweep.iter();
        Lost::sum(all.map(|one| one.lost.unwrap_or(Lost::UNKNOWN)))
    }
}

/// A snapshot that is let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteExpiry {
    /// Its id.
    pub id: SnapshotId,
    /// Why.
    pub reason: ExpireReason,
    /// What no snapshot there has that stays, once those before this one are let go; none where that is
    /// not known, because a manifest is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// A snapshot that was let go, and is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteSweep {
    /// Its id.
    pub id: SnapshotId,
    /// What no other snapshot there has, whether that is let go or not, once those before this one are taken
    /// away; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// Records on a remote of layout `history` what a person says of a snapshot there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteMarkStep {
    /// How the remote is called.
    pub call: RemoteCall,
    /// What is said of which snapshot.
    pub mark: MarkStep,
}
