//! Sources as they were found, and what in them is noteworthy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ResolvedLocation;
use crate::{LeftOut, config::AbsolutePath};

/// Whether a source can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Presence {
    /// It is there.
    Present,
    /// It is not there.
    Missing,
    /// It is there but cannot be read.
    Unreadable {
        /// The system's reason.
        because: String,
    },
}

/// A source as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// The configured path.
    pub path: AbsolutePath,
    /// Whether it can be read.
    pub presence: Presence,
    /// Where it really is; none while it cannot be read.
    pub place: Option<ResolvedLocation>,
    /// Whether something is mounted there.
    pub mounted: bool,
    /// Whether it is on a file system of the network, or of a program; where several destinations may share what
    /// is read of it.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub is_distant: bool,
    /// What is in it.
    pub scan: SourceScan,
    /// Mount points below it that are passed over, relative to it, escaped.
    pub mounts_passed_over: Vec<String>,
    /// Those of them, and nested subvolumes, that hold data which this machine keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_passed_over: Vec<DataPassedOver>,
    /// Entries that cannot be read, relative to it, escaped; the first hundred.
    pub unreadable: Vec<String>,
    /// Entries that the destination cannot hold; the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_held: Vec<NotHeld>,
    /// Entries that are stored under another name than their own; the first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<Renamed>,
    /// Files that mostly consist of holes; the first hundred of those that are left out or take long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hollow: Vec<HollowFile>,
    /// What takes most of what is to be copied of it and of the sources in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs_most: Option<Cost>,
    /// What tags in its folders leave out; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Databases whose files are in it, by the names of those files; one item for each kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Databases>,
}

/// A file that claims many times what it has on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HollowFile {
    /// Its path relative to the source, escaped.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes of it that are holes.
    pub holes: u64,
    /// The user who owns it: a name, or a number that has none.
    pub user: String,
    /// Whether it is left out, because more holes than `local.maxHolesGB` would have to be read.
    pub left_out: bool,
}

/// What takes most of what a snapshot has to copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// An entry directly in a source, or a source that is a file: its path, escaped.
    pub path: String,
    /// The user who owns most of it: a name, or a number that has none.
    pub user: String,
    /// Bytes on disk that it will need at most.
    pub bytes: u64,
}

/// Databases of one kind below a source, whose files may change together while they are copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Databases {
    /// What keeps them.
    pub kind: DatabaseKind,
    /// How many there are.
    pub count: u64,
    /// The first of them: a file or a folder, relative to the source, escaped; empty for the source
    /// itself.
    pub example: String,
}

/// What keeps a database.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseKind {
    /// SQLite, in use: a log or a journal stands beside the file.
    Sqlite,
    /// A cluster of PostgreSQL.
    Postgresql,
    /// MySQL or MariaDB.
    Mysql,
}

impl DatabaseKind {
    /// Its name, as people know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgresql => "PostgreSQL",
            Self::Mysql => "MySQL or MariaDB",
        }
    }
}

/// An entry whose name the destination cannot hold, or takes for another one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renamed {
    /// Its path relative to the source, escaped.
    pub path: String,
    /// The name that it is stored under, escaped.
    pub stored_as: String,
}

/// A file system below a source that is passed over although it holds data of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataPassedOver {
    /// Its path relative to the source, escaped.
    pub path: String,
    /// Type of the file system, such as `ext4`; none for a subvolume of the source's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system: Option<String>,
    /// Device number of the file system, `major:minor`.
    pub device: String,
    /// Which folder of the file system it is, from its root; none for a nested subvolume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

/// An entry that the destination cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotHeld {
    /// Its path relative to the source, escaped.
    pub path: String,
    /// Why, in words that end a sentence.
    pub because: String,
}

/// What is in a source, less what is excluded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceScan {
    /// Files, folders, links and all else; the source itself included.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Sum of the sizes of regular files, in bytes.
    pub bytes: u64,
    /// Regular files that are not as the basis has them.
    pub new_files: u64,
    /// Those of them whose path is in the basis.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub changed_files: u64,
    /// Bytes on disk that these and other new entries will need at most.
    pub new_bytes: u64,
    /// Entries other than folders that will need an inode of their own.
    pub new_inodes: u64,
    /// Entries that cannot be read.
    pub unreadable: u64,
    /// Entries left out by a pattern.
    pub excluded: u64,
    /// Regular files that the basis has at another path.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub moved_files: u64,
    /// Entries that cannot be changed, or be appended to only (`chattr +i`, `+a`).
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub immutable: u64,
    /// Entries that the destination cannot hold.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub not_held: u64,
    /// Entries that are stored under another name than their own.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub renamed: u64,
    /// Regular files that are left out because of their holes.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub hollow: u64,
    /// New regular files of which less is on disk than their size says: they have holes, or their file system
    /// compresses. None where nobody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<u64>,
}
