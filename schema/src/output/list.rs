//! What `backup list --json` prints.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ExpireReason, Gone, KeepReason, SnapshotId, Tier,
    config::DestinationName,
    inventory::{Leftover, Unmanaged},
};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// What stands on a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotList {
    /// Format of this document.
    pub format_version: u32,
    /// Where the destination is mounted.
    pub mount_point: String,
    /// Snapshots with a record, newest first.
    pub snapshots: Vec<ListedSnapshot>,
    /// Why records cannot be read, where they cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_fault: Option<String>,
    /// Folders in the tiers that have no record, or a damaged one.
    pub unmanaged: Vec<Unmanaged>,
    /// Snapshots that were begun and not ended.
    pub unfinished: Vec<Leftover>,
    /// Snapshots whose removal was begun and not ended.
    pub being_removed: Vec<Leftover>,
    /// What stands on each named destination that is there; what is above is of `local`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<DestinationName, Self>,
}

/// A snapshot with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The tier whose folder holds it.
    pub home: Tier,
    /// All tiers in which it appears, shortest-lived first.
    pub tiers: Vec<Tier>,
    /// When its run started.
    pub started_at: DateTime<FixedOffset>,
    /// Seconds since then; negative if the clock says it is yet to come.
    pub age_seconds: i64,
    /// Regular files.
    pub files: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// Bytes that were copied for it.
    pub new_bytes: u64,
    /// Bytes that only it holds: what its deletion frees.
    pub frees: u64,
    /// Whether that is exact; where not, more may be freed, never less.
    pub frees_is_exact: bool,
    /// Why retention keeps it now.
    pub kept: Vec<KeepReason>,
    /// Why the next rotation removes it; none if it is kept.
    pub expires: Option<ExpireReason>,
    /// False when it was sealed with listed errors.
    pub complete: bool,
    /// How many problems it was sealed with.
    pub problems: u64,
    /// What was gone from the sources since its basis; none where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// Why it is suspect.
    pub suspect: Vec<String>,
    /// A person said that it is as it should be all the same.
    pub accepted: bool,
    /// Kept whatever retention says.
    pub pinned: bool,
    /// When its content was last found whole.
    pub verified_at: Option<DateTime<FixedOffset>>,
    /// How many of its entries are known to be damaged.
    pub damaged: u64,
    /// Why its manifest cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_fault: Option<String>,
    /// When its manifest was made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_rebuilt_at: Option<DateTime<FixedOffset>>,
    /// When its record was made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_rebuilt_at: Option<DateTime<FixedOffset>>,
}

impl ListedSnapshot {
    /// Whether it is suspect and nobody has accepted it.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        !self.suspect.is_empty() && !self.accepted
    }
}
