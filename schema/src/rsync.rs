//! What is known of rsync, and how it is called: one call for each source, arguments and all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::AbsolutePath;

/// The argument that stands for the source: the executor opens it and passes the open folder as
/// standard input, so that its path is not resolved again.
pub const SOURCE: &str = "{source}";

/// rsync as it was found on the PATH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RsyncFound {
    /// What it says that it is, such as `3.5.0`; none where it cannot be run or says nothing.
    pub version: Option<String>,
    /// Why no version is known.
    pub fault: Option<String>,
}

/// What rsync is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RsyncPlan {
    /// The program, found on the PATH.
    pub program: String,
    /// The version that was found.
    pub version: String,
    /// The calls, in the order of the sources.
    pub calls: Vec<RsyncCall>,
}

/// One call of rsync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RsyncCall {
    /// The source that it copies.
    pub source: AbsolutePath,
    /// Whether the source is a folder. A folder is copied from within the folder that stands for
    /// it in the unfinished snapshot, anything else from within the folder above.
    pub folder: bool,
    /// All arguments; `{source}` alone stands for the opened source.
    pub arguments: Vec<String>,
}
