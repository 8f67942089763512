//! What `backup systemd-units --json` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// The units of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitFiles {
    /// Format of this document.
    pub format_version: u32,
    /// The text of each unit and rule by the name of its file.
    pub units: BTreeMap<String, String>,
}
