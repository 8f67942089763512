//! How many copies there are of what is backed up, as `check`, `plan` and `status` say it.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{AbsolutePath, DestinationName};

/// The copies of one list of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Copies {
    /// What they are copies of.
    pub sources: Vec<AbsolutePath>,
    /// The destinations that have all of it, in the order of a run.
    pub destinations: Vec<DestinationName>,
    /// How many there are, with the original.
    pub count: u64,
    /// On how many kinds of medium: disks, with that of the original, are one, remotes are another.
    pub media: u64,
    /// Those of the destinations that are kept away from the machine's own place.
    pub off_site: Vec<DestinationName>,
    /// Those of them that this machine cannot delete.
    pub undeletable: Vec<DestinationName>,
    /// When each was last read back, as far as this machine remembers it; nothing where nobody asked that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checked: BTreeMap<DestinationName, CheckedCopy>,
}

/// When what is on a destination was last read back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedCopy {
    /// When a share of it was last read and compared; none if it never was.
    pub verified_at: Option<DateTime<FixedOffset>>,
    /// When a trial restore of it last passed; none if the last one failed, or there was none.
    pub drilled_at: Option<DateTime<FixedOffset>>,
}
