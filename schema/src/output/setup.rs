//! What `backup setup --json` prints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// A configuration that was made for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetupOutcome {
    /// Format of this document.
    pub format_version: u32,
    /// Whether this is only what would be done, as with `--dry-run`.
    pub dry_run: bool,
    /// Path of the configuration.
    pub config: String,
    /// What is in it.
    pub text: String,
    /// Path of the README beside it; null where a file of this name is somebody else's.
    pub readme: Option<String>,
    /// Where the configuration is kept that was there before.
    pub kept: Option<String>,
    /// Where this program was installed.
    pub installed: Option<String>,
    /// Paths of the units and rules.
    pub units: Vec<String>,
    /// Names of the units that systemd starts from now on.
    pub enabled: Vec<String>,
    /// Whether the drive was set up for this machine.
    pub initialized: bool,
    /// What is not as it should be.
    pub warnings: Vec<SetupWarning>,
    /// What to do next.
    pub next: Vec<NextStep>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetupWarning {
    /// One lowercase sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A command line, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextStep {
    /// The command line, as a shell takes it.
    pub command: String,
    /// What it does.
    pub does: String,
}
