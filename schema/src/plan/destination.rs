//! The steps before a snapshot: whether the destination is the right one and has room.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SnapshotId;
use crate::config::AbsolutePath;
use crate::digest::Digest;

/// Makes sure that the right destination is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationCheckStep {
    /// `local.mountPoint`.
    pub mount_point: AbsolutePath,
    /// The host's folder below it.
    pub folder: String,
    /// Refuse unless something is mounted there.
    pub require_mount: bool,
    /// Refuse any other file system.
    pub file_system_uuid: Option<String>,
    /// The id that the destination must have, or gets if `create` is set.
    pub destination_id: String,
    /// Set the folder up, because it was never used.
    pub create: bool,
    /// Remember the id as one of this machine's destinations.
    pub remember: bool,
    /// The machine to record as the one that it belongs to, because none is or another was taken
    /// over; none where that is not to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
    /// What it is taken over from: a folder that gets this host's name, or the machine that had the
    /// same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_over: Option<TakeOver>,
    /// Only read from it: a restore takes any destination that has the snapshot, even one whose
    /// own record is damaged.
    #[serde(default)]
    pub read_only: bool,
    /// Refuse a file system without hard links.
    pub need_hard_links: bool,
    /// Let users read the snapshots, and never write to them.
    pub readable_by_users: bool,
    /// Where users see the snapshots read-only; none where `readable_by_users` is off, or where no such
    /// view is made in this run. The host's folder itself is closed to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_view: Option<String>,
}

/// What a destination is taken over from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeOver {
    /// The folder that is renamed to the host's; none for the host's own.
    pub folder: Option<String>,
}

/// Reclaims leftovers and makes sure that there is room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceCheckStep {
    /// Snapshots whose removal an earlier run began: it is ended now.
    pub empty_trash: Vec<SnapshotId>,
    /// Unfinished snapshots that no run will continue.
    pub discard_partial: Vec<DiscardPartial>,
    /// Snapshots that somebody removed from the tiers: their records go as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear_records: Vec<SnapshotId>,
    /// Bytes that the snapshot needs at most.
    pub needed_bytes: u64,
    /// Inodes that the snapshot needs at most; none where the file system does not count them.
    pub needed_inodes: Option<u64>,
    /// Bytes that must stay free besides.
    pub min_free_bytes: u64,
}

/// An unfinished snapshot that is thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardPartial {
    /// Its id.
    pub id: SnapshotId,
    /// Bytes that this frees.
    pub frees: u64,
    /// Why it is not continued.
    pub reason: String,
}
