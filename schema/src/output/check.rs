//! What `backup check --json` prints, and any verb with `--json` that is given a wrong configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// What is wrong with a configuration, or, where it is valid, what it is warned of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ConfigFaults(pub Vec<ConfigFault>);

/// Something that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigFault {
    /// Format of this document.
    pub format_version: u32,
    /// The key as a user would write it: `local.keepDaily`, `local.sources[2]`; empty for the whole
    /// file.
    pub path: String,
    /// What is wrong, in a few words: `unknown key`, `wrong type`.
    pub problem: String,
    /// The value found, as compact JSON, shortened; null where the file does not have the key.
    pub found: Option<String>,
    /// What was expected; empty where the problem says it all.
    pub expected: String,
    /// The nearest known key, with its full path, or the nearest value.
    pub nearest: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}
