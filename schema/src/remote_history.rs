//! What stands on a remote of layout `history`, and what a machine remembers of it.
//!
//! `<remotePath>/<hostname>/objects/ab/<sha256>` has each content once, `manifests/<id>.mtree.zst` what a
//! snapshot holds, `records/<id>.json` that it is there: written last, so that every object of a snapshot
//! with a record is there, too. All else that an upload must know stands in `records` as well: one list of
//! that folder tells everything.

use chrono::{DateTime, FixedOffset, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::cloud::MANIFESTS;
use crate::{
    SnapshotId,
    cloud::{CloudMemory, UploadRecord},
    digest::Digest,
    inventory::SnapshotState,
    plan::Lost,
    problem::Problem,
    reason::ExpireReason,
    record::SnapshotRecord,
};

/// Version of the layout and of its files: what is greater is neither read nor written to.
pub const FORMAT_VERSION: u32 = 1;

/// Folder of the contents, each under its digest.
pub const OBJECTS: &str = "objects";
/// Folder of the snapshots' records and of all that is said of them.
pub const RECORDS: &str = "records";

/// `records/<id>.json`, written last of all: this snapshot is on the remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteRecord {
    /// Format of this file.
    pub format_version: u32,
    /// The snapshot's record, with the digest of the manifest as it travelled; what it shares with which
    /// snapshot on the disk that it came from is left out.
    pub snapshot: SnapshotRecord,
    /// Size of `manifests/<id>.mtree.zst`, in bytes.
    pub manifest_bytes: u64,
    /// Digest of the manifest that was sealed on the disk; none for live sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_digest: Option<Digest>,
    /// When the upload ended.
    pub uploaded_at: DateTime<FixedOffset>,
    /// The program that made it, with its version.
    pub made_by: String,
    /// Later snapshots of the disk that were the same as the one uploaded before this, and were not
    /// uploaded themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<SameSnapshot>,
    /// Files whose content the remote did not take, the first thousand: the manifest does not have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_uploaded: Vec<Problem>,
}

/// A snapshot that had nothing which another one does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SameSnapshot {
    /// Its id on the disk.
    pub id: SnapshotId,
    /// When its run started.
    pub started_at: DateTime<FixedOffset>,
    /// The day it counts for in retention.
    pub day: NaiveDate,
    /// The snapshot on the remote that has all of it.
    pub like: SnapshotId,
}

/// `records/format-<n>.json`: a version that reads n is needed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteFormat {
    /// The version, as in the name.
    pub format_version: u32,
    /// The program that wrote this, with its version.
    pub made_by: String,
}

/// `records/upload-<machine>-<n>.json`, `records/expiry-<machine>.json`: what is being done here. A week
/// later it counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteIntent {
    /// Format of this file.
    pub format_version: u32,
    /// The machine, as in the name.
    pub machine: String,
    /// When it began.
    pub begun_at: DateTime<FixedOffset>,
}

/// `records/<id>.expired.json`: the snapshot is let go. Its record and all that it holds stay for
/// `keepHistoryDays`; who takes this file away before has it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteTombstone {
    /// Format of this file.
    pub format_version: u32,
    /// The snapshot.
    pub id: SnapshotId,
    /// Why it is let go.
    pub reason: ExpireReason,
    /// When it was let go, by the clock of that run.
    pub expired_at: DateTime<FixedOffset>,
    /// The program that wrote this, with its version.
    pub made_by: String,
}

/// A snapshot that is let go and not yet taken away, as this machine remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpiredSnapshot {
    /// The snapshot.
    pub id: SnapshotId,
    /// When the first runs that saw it so ended by their clocks, each on a day of its own.
    pub seen: Vec<DateTime<FixedOffset>>,
}

/// What a remote of layout `history` has, as this machine last saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteContent {
    /// The snapshots that are there and not let go.
    pub snapshots: Vec<SnapshotState>,
    /// Snapshots of a disk that were the same as one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<SameSnapshot>,
    /// Those that are let go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<ExpiredSnapshot>,
    /// When all was let go last that was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<DateTime<FixedOffset>>,
    /// What goes with those that are to go, as far as their manifests and all others are here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<RemoteLoss>,
}

/// What goes with a snapshot of a remote. Files are contents, each counted once whatever its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteLoss {
    /// The snapshot.
    pub id: SnapshotId,
    /// What no other snapshot will have.
    pub lost: Lost,
}

impl RemoteContent {
    /// Whether a snapshot is there, or one that is the same.
    #[must_use]
    pub fn has(&self, id: SnapshotId) -> bool {
        let mut snapshots = self.snapshots.iter();
        let mut same = self.same.iter();
        snapshots.any(|one| one.record.id == id) || same.any(|one| one.id == id)
    }
}

/// `cloud/<key>/history.json`: what this machine remembers of a remote of layout `history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryMemory {
    /// Snapshots that were there at the last look.
    pub known: Vec<SnapshotId>,
    /// The newest upload that ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<HistoryUpload>,
    /// Snapshots since then that were the same as that one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<SameSnapshot>,
    /// Snapshots that are let go there, as they were seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<ExpiredSnapshot>,
    /// When all was let go last that was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<DateTime<FixedOffset>>,
    /// When an upload last put objects of which no record tells yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub putting: Option<DateTime<FixedOffset>>,
    /// When the last uploads ended by the clock of their run, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<DateTime<FixedOffset>>,
}

/// An upload that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryUpload {
    /// The snapshot on the remote.
    pub id: SnapshotId,
    /// When it ended.
    pub at: DateTime<FixedOffset>,
    /// Digest of its manifest on the remote.
    pub manifest_digest: Digest,
    /// Digest of the manifest that was sealed on the disk; none for live sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_digest: Option<Digest>,
    /// Regular files of the snapshot.
    pub files: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
}

impl HistoryUpload {
    /// What is remembered of a snapshot that is there.
    #[must_use]
    pub fn of(there: &RemoteRecord) -> Self {
        Self {
            id: there.snapshot.id,
            at: there.uploaded_at,
            manifest_digest: there.snapshot.manifest_digest,
            sealed_digest: there.sealed_digest,
            files: there.snapshot.totals.files,
            bytes: there.snapshot.totals.bytes,
        }
    }
}

impl HistoryMemory {
    /// What is remembered in the form in which that of `cloud` is: when a copy was last brought there, and
    /// which snapshots can be had. What a remote with history does not have is empty.
    #[must_use]
    pub fn as_cloud(&self) -> CloudMemory {
        let last = self.last.as_ref().map(|last| UploadRecord {
            format_version: FORMAT_VERSION,
            id: last.id,
            attempt: 0,
            // Where nothing was new since, it is still as new as the last look.
            uploaded_at: self.runs.last().copied().unwrap_or(last.at),
            files: last.files,
            bytes: last.bytes,
            manifest_digest: last.manifest_digest,
            made_by: String::new(),
            not_uploaded: Vec::new(),
            withheld: None,
            kept_digest: None,
            sealed_digest: last.sealed_digest,
        });
        CloudMemory {
            last,
            uploaded: self.known.clone(),
            runs: self.runs.clone(),
            ..CloudMemory::default()
        }
    }
}
