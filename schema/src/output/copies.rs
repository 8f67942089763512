//! How many copies there are of what is backed up, as `check`, `plan` and `status` say it.

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
}
