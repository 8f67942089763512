//! What `backup state` prints.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{config::AbsolutePath, inventory::DatabaseKind, state::StateKind};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// What the machine says that it keeps, and how each of it is backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateReport {
    /// Format of this document.
    pub format_version: u32,
    /// The file that says it.
    pub file: String,
    /// Whether the paths were added to the sources when the file was made (`state.enable`).
    pub enabled: bool,
    /// When this was.
    pub now: DateTime<FixedOffset>,
    /// The paths, sorted.
    pub paths: Vec<StateRow>,
    /// How many of them are in no backup and not ignored.
    pub missing: u64,
}

/// A path, and how it is backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateRow {
    /// The path.
    pub path: AbsolutePath,
    /// What kind of state it is.
    pub kind: StateKind,
    /// The options that say it.
    pub from: Vec<String>,
    /// A link that leads to it, by which people know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<AbsolutePath>,
    /// Whether it is there now; none where it cannot be looked at.
    pub there: Option<bool>,
    /// How it stands.
    pub standing: StateStanding,
    /// The source or the pattern that it is in or left out by, or what of `state.ignore` it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What keeps it, where it is a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseKind>,
    /// What was written out of it, where that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<StateDump>,
}

/// How a path is backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateStanding {
    /// A source holds it.
    Source,
    /// It is written out before a backup, to a file that a source holds.
    Dumped,
    /// It is known and left out.
    Ignored,
    /// A source holds it, and a pattern leaves it out.
    Excluded,
    /// No source holds it.
    Missing,
}

impl StateStanding {
    /// Whether it is in no backup although nobody said that it need not be.
    #[must_use]
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::Excluded | Self::Missing)
    }
}

/// The file that a database is written out to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateDump {
    /// The file.
    pub file: AbsolutePath,
    /// Whether it is there now; none where it cannot be looked at.
    pub there: Option<bool>,
    /// When it was last written; none where it is not there or cannot be looked at.
    pub written_at: Option<DateTime<FixedOffset>>,
    /// Its size in bytes.
    pub bytes: Option<u64>,
}
