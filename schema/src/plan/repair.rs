//! The payload of a repair: what is made anew, from where, and with which metadata.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SnapshotId, config::AbsolutePath, digest::Digest, verify::StoredName};

/// Heals what is damaged in snapshots. Nothing is written to a stored file: a new one takes over
/// its names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairStep {
    /// Files that are made anew.
    pub files: Vec<RepairFile>,
    /// Folders that get their metadata back; no other snapshot shares them.
    pub folders: Vec<RepairFolder>,
    /// Snapshots whose manifest or record is made anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RepairRecords>,
}

/// A snapshot whose manifest or record is damaged and made anew, from its tree and from what its
/// neighbours' manifests say. What is damaged is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairRecords {
    /// The snapshot.
    pub id: SnapshotId,
    /// When it was made, as far as that is known: by its record, else by its name.
    pub started_at: DateTime<FixedOffset>,
    /// Sources that a record which is made from nothing lists, unless a neighbour's record does.
    pub sources: Vec<AbsolutePath>,
}

/// A stored file that is made anew, with the metadata that the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairFile {
    /// The damaged inode; none where a name is missing.
    pub inode: Option<u64>,
    /// The names that the new file takes over.
    pub names: Vec<RepairName>,
    /// Where the content is taken from.
    pub from: RepairFrom,
    /// The digest that the content must have.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Owner, mode and time.
    pub metadata: StoredMetadata,
    /// Extended attributes, escaped names with values in hexadecimal.
    pub attributes: Vec<(String, String)>,
}

/// A name that a repaired file takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairName {
    /// The name.
    pub name: StoredName,
    /// The time of the folder that holds it, which a new name changes and which is put back.
    pub folder_time: StoredTime,
}

/// Where the content of a repaired file is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RepairFrom {
    /// The source, which has not changed since.
    Source {
        /// The configured path.
        source: AbsolutePath,
        /// The path below it, escaped; empty for the source itself.
        path: String,
    },
    /// Another stored file of the same content, or the file itself where only its metadata is
    /// damaged.
    Stored {
        /// One of its names.
        name: StoredName,
    },
}

/// A folder that gets its metadata back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairFolder {
    /// The folder.
    pub name: StoredName,
    /// Owner, mode and time.
    pub metadata: StoredMetadata,
}

/// Owner, mode and time as a manifest has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredMetadata {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of content.
    pub time: StoredTime,
}

/// A time of a file, since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredTime {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds beyond them.
    pub nanos: u32,
}
