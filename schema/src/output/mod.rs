//! What verbs print with `--json`: one file for each verb.
//!
//! Owns the documents' keys and their meaning. `backup schema VERB` prints the JSON Schema of what
//! each verb prints; those of `plan`, `report`, `health` and `verification` are the nouns of the
//! modules of these names. What is found and judged comes from elsewhere.
//!
//! Each document says its `format_version`; where a verb prints a list, each element says it. Keys
//! may be added without another version, so a reader passes over those that it does not know.

pub mod adopt;
pub mod check;
pub mod cloud;
pub mod copies;
pub mod diff;
pub mod find;
pub mod list;
pub mod notify_test;
pub mod period_report;
pub mod progress;
pub mod restore;
pub mod setup;
pub mod simulate;
pub mod state;
pub mod status;
pub mod systemd_units;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an entry of a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// There is no entry.
    Absent,
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
}

impl EntryKind {
    /// The kind's name, as documents and users have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::File => "file",
            Self::Folder => "folder",
            Self::Symlink => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::CharacterDevice => "character-device",
            Self::BlockDevice => "block-device",
        }
    }
}
