//! The payload of an adoption: which folders of other tools become which snapshots.

use chrono::{DateTime, FixedOffset, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SnapshotId, Tier, config::AbsolutePath};

/// Makes snapshots of folders that another tool made: each is read once for its manifest and then
/// renamed to where it belongs. Nothing is copied or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptStep {
    /// The folder that holds them, absolute, escaped.
    pub root: String,
    /// What is adopted, oldest first.
    pub trees: Vec<AdoptTree>,
    /// The configured sources, which later runs compare with.
    pub sources: Vec<AbsolutePath>,
}

/// A folder that becomes a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptTree {
    /// The folder, relative to the root, its names escaped.
    pub from: String,
    /// Its inode, so that another one that takes its name meanwhile is not taken for it.
    pub inode: u64,
    /// Where its content was on the machine, escaped, without a leading slash; empty where it
    /// begins at `/`.
    pub at: String,
    /// The snapshot that it becomes.
    pub id: SnapshotId,
    /// The tier that holds it at first.
    pub home: Tier,
    /// When it was made.
    pub started_at: DateTime<FixedOffset>,
    /// The day that it counts for.
    pub day: NaiveDate,
    /// Which kind of tool made it.
    pub made_by: MadeBy,
    /// Whoever made it noted that something is missing from it: the snapshot is incomplete.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub with_errors: bool,
}

/// Which kind of tool made a folder.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum MadeBy {
    /// One that names folders by date, as rsync-time-backup does and older scripts of this layout.
    Dated,
    /// rsnapshot, whose folders are numbered from the newest on.
    Rsnapshot,
    /// Back In Time, which has the content in a folder of each.
    BackInTime,
}

impl MadeBy {
    /// As people know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dated => "dated folder",
            Self::Rsnapshot => "rsnapshot",
            Self::BackInTime => "Back In Time",
        }
    }
}

/// A folder that could become a snapshot, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdoptCandidate {
    /// The folder, relative to the root, its names escaped.
    pub from: String,
    /// Its inode.
    pub inode: u64,
    /// When it was made, by its name or else by its time.
    pub made_at: DateTime<FixedOffset>,
    /// Which kind of tool made it.
    pub made_by: MadeBy,
    /// The tier of the destination that it stands in already.
    pub tier: Option<Tier>,
    /// Names that stand in it, sorted, escaped; the first hundred.
    pub names: Vec<String>,
    /// Whoever made it noted that something is missing from it.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub with_errors: bool,
}
