//! The inventory: everything that the planner may know about the machine and the destination.
//!
//! Made by `executor::scan`, which only reads. Lists are sorted, so that the same state gives the
//! same bytes.

mod destination;
mod others;
mod source;

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    destination::{
        DestinationState, InTheWay, Leftover, NeighbourHost, SnapshotState, TierLink, Unmanaged,
    },
    others::OtherDestination,
    source::{
        Cost, DataPassedOver, DatabaseKind, Databases, HollowFile, NotHeld, Presence, Renamed,
        SourceScan, SourceState,
    },
};
use crate::{
    Digest, Finding, Gone,
    cloud::CloudState,
    config::{AbsolutePath, DestinationName},
    rsync::RsyncFound,
};

/// Version of the inventory's format.
pub const FORMAT_VERSION: u32 = 1;

/// The state of machine and destination at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Format of this file.
    pub format_version: u32,
    /// The planner's only "now", with the machine's local offset.
    pub taken_at: DateTime<FixedOffset>,
    /// The machine's host name.
    pub host: String,
    /// Whether the program runs as root.
    pub privileged: bool,
    /// What the machine runs on.
    pub power: Power,
    /// A digest of this machine's id; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
    /// Ids of the destinations that this machine has used.
    pub known_destinations: Vec<String>,
    /// The destination, where `local.enable` is on.
    pub destination: Option<DestinationState>,
    /// The sources, in the order of the configuration.
    pub sources: Vec<SourceState>,
    /// Exclude patterns that leave out nothing of what is in the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched_patterns: Vec<String>,
    /// What is gone from the sources since the basis; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// rsync, where `local.useRsync` is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsync: Option<RsyncFound>,
    /// The cloud copies, where `cloud.enable` is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudState>,
    /// Files of the state directory that cannot be read, each with the reason: what they remember
    /// is done without, and the next run sets them aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state_faults: Vec<String>,
    /// Why no run can write down what it does in the state directory, with its path; none where it
    /// can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_unwritable: Option<String>,
    /// What kept the destination or the sources from being looked at, where others were: nothing is done there
    /// but for what ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Finding>,
    /// Files of the configuration that hold secrets and are not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusable_secrets: Vec<UnusableSecret>,
    /// Programs and files of the configuration that others could change although they decide what is
    /// run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untrusted: Vec<UntrustedFile>,
    /// What was found for each named destination; what is above is for `local` and `cloud`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<DestinationName, OtherDestination>,
}

/// The read-only view of the snapshots for users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserView {
    /// Where it is.
    pub path: String,
    /// Whether its folder is there.
    pub is_there: bool,
    /// Whether it shows all tiers of this destination, and nobody can write to them there.
    pub is_complete: bool,
    /// Why none can be made by who runs this; none if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
    /// This runs in a unit that sees mounts of its own: the view is made after the run, outside of it.
    pub by_unit: bool,
}

/// Where users see what a host's folder has, below the folder to which only root writes.
pub const USER_VIEWS: &str = "/run/backup";

/// The path of the view of a host's folder.
#[must_use]
pub fn user_view_path(mount_point: &AbsolutePath, folder: &str) -> String {
    let mount_point = mount_point.as_str().trim_end_matches('/');
    format!("{USER_VIEWS}{mount_point}/{folder}")
}

impl UserView {
    /// Whether it is there and whoever runs this can take it away.
    #[must_use]
    pub fn can_be_taken_away(&self) -> bool {
        self.is_there && self.impossible.is_none() && !self.by_unit
    }
}

/// A file that holds a secret and is not used, because it is missing or not private.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnusableSecret {
    /// What is wrong, with the file and its option, and nothing of what is in it.
    pub because: String,
    /// What to do.
    pub hint: String,
}

/// A file that decides what is run, and that others than root and the user who runs it could change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UntrustedFile {
    /// The option that names it, such as `preBackupScript`.
    pub option: String,
    /// Its path, as the option has it.
    pub path: String,
    /// Who can change it, and how, with the path of what is at fault.
    pub because: String,
    /// What ends that.
    pub hint: String,
}

/// What a machine runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// AC power, or a machine without a battery.
    Ac,
    /// Battery.
    Battery,
    /// The kernel does not say.
    Unknown,
}

/// Where a path is, in a form in which bind mounts and symlinks are already resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedLocation {
    /// Device number of the file system, `major:minor`.
    pub device: String,
    /// Inode number.
    pub inode: u64,
    /// Path within the file system itself, from its root.
    pub within: String,
    /// The subvolume, where a file system has several, each with inode numbers of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subvolume: Option<String>,
}
