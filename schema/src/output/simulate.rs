//! What `backup simulate --json` prints.

use chrono::NaiveDateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ExpireReason, SnapshotId};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// The retention policy over time, a run after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Simulation(pub Vec<SimulatedRun>);

/// What exists after one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedRun {
    /// Format of this document.
    pub format_version: u32,
    /// When the run took place; wall-clock time, taken as UTC.
    pub at: NaiveDateTime,
    /// The snapshot that the run sealed.
    pub id: SnapshotId,
    /// The hourlies that stay, oldest first.
    pub hourly: Vec<SnapshotId>,
    /// The dailies that stay, oldest first.
    pub daily: Vec<SnapshotId>,
    /// The weeklies that stay, oldest first.
    pub weekly: Vec<SnapshotId>,
    /// The monthlies that stay, oldest first.
    pub monthly: Vec<SnapshotId>,
    /// The yearlies that stay, oldest first.
    pub yearly: Vec<SnapshotId>,
    /// What stays for another reason only, such as being one of the last.
    pub other: Vec<SnapshotId>,
    /// What the run deleted, oldest first.
    pub expired: Vec<SimulatedExpiry>,
}

/// A snapshot that a simulated run deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedExpiry {
    /// Which one.
    pub id: SnapshotId,
    /// Why.
    pub reason: ExpireReason,
}
