//! The inventory: everything that the planner may know about the machine and the destination.
//!
//! Made by `executor::scan`, which only reads. Lists are sorted, so that the same state gives the
//! same bytes.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Digest, FailureCode, SnapshotId, Tier,
    cloud::CloudState,
    config::AbsolutePath,
    record::{Capabilities, DestinationRecord, RotationRecord, SnapshotMarks, SnapshotRecord},
    rsync::RsyncFound,
    verify::DamagedFile,
};

/// Version of the inventory's format.
pub const FORMAT_VERSION: u32 = 1;

/// The state of machine and destination at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Format of this file.
    pub format_version: u32,
    /// The planner's only "now", with the machine's local offset.
    pub taken_at: DateTime<FixedOffset>,
    /// The machine's host name.
    pub host: String,
    /// Whether the program runs as root.
    pub privileged: bool,
    /// What the machine runs on.
    pub power: Power,
    /// A digest of this machine's id; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
    /// Ids of the destinations that this machine has used.
    pub known_destinations: Vec<String>,
    /// The destination, where `local.enable` is on.
    pub destination: Option<DestinationState>,
    /// The sources, in the order of the configuration.
    pub sources: Vec<SourceState>,
    /// Exclude patterns that leave out nothing of what is in the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched_patterns: Vec<String>,
    /// rsync, where `local.useRsync` is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsync: Option<RsyncFound>,
    /// The cloud copies, where `cloud.enable` is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudState>,
    /// Files of the state directory that cannot be read, each with the reason: what they remember
    /// is done without, and the next run sets them aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state_faults: Vec<String>,
    /// Why no run can write down what it does in the state directory, with its path; none where it
    /// can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_unwritable: Option<String>,
    /// Files of the configuration that hold secrets and are not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusable_secrets: Vec<UnusableSecret>,
    /// Programs and files of the configuration that others could change although they decide what is
    /// run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untrusted: Vec<UntrustedFile>,
}

/// The read-only view of the snapshots for users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserView {
    /// Where it is.
    pub path: String,
    /// Whether its folder is there.
    pub is_there: bool,
    /// Whether it shows all tiers of this destination, and nobody can write to them there.
    pub is_complete: bool,
    /// Why none can be made by who runs this; none if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
    /// This runs in a unit that sees mounts of its own: the view is made after the run, outside of it.
    pub by_unit: bool,
}

/// Where users see what a host's folder has, below the folder to which only root writes.
pub const USER_VIEWS: &str = "/run/backup";

/// The path of the view of a host's folder.
#[must_use]
pub fn user_view_path(mount_point: &AbsolutePath, folder: &str) -> String {
    let mount_point = mount_point.as_str().trim_end_matches('/');
    format!("{USER_VIEWS}{mount_point}/{folder}")
}

impl UserView {
    /// Whether it is there and whoever runs this can take it away.
    #[must_use]
    pub fn can_be_taken_away(&self) -> bool {
        self.is_there && self.impossible.is_none() && !self.by_unit
    }
}

/// A file that holds a secret and is not used, because it is missing or not private.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnusableSecret {
    /// What is wrong, with the file and its option, and nothing of what is in it.
    pub because: String,
    /// What to do.
    pub hint: String,
}

/// A file that decides what is run, and that others than root and the user who runs it could change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UntrustedFile {
    /// The option that names it, such as `preBackupScript`.
    pub option: String,
    /// Its path, as the option has it.
    pub path: String,
    /// Who can change it, and how, with the path of what is at fault.
    pub because: String,
    /// What ends that.
    pub hint: String,
}

/// What a machine runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// AC power, or a machine without a battery.
    Ac,
    /// Battery.
    Battery,
    /// The kernel does not say.
    Unknown,
}

/// Where a path is, in a form in which bind mounts and symlinks are already resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedLocation {
    /// Device number of the file system, `major:minor`.
    pub device: String,
    /// Inode number.
    pub inode: u64,
    /// Path within the file system itself, from its root.
    pub within: String,
    /// The subvolume, where a file system has several, each with inode numbers of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subvolume: Option<String>,
}

/// The destination as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationState {
    /// `local.mountPoint`.
    pub mount_point: AbsolutePath,
    /// Whether the mount point can be opened; false with the system's reason in `absent_because`.
    pub present: bool,
    /// Why it could not be opened.
    pub absent_because: Option<String>,
    /// The same as a code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_code: Option<FailureCode>,
    /// Whether something is mounted there.
    pub mounted: bool,
    /// Whether the file system is mounted read-only.
    pub read_only: bool,
    /// Where it really is; none while it is absent.
    pub place: Option<ResolvedLocation>,
    /// Type of its file system, such as `ext4`.
    pub file_system: Option<String>,
    /// UUID of its file system, where the machine tells it.
    pub file_system_uuid: Option<String>,
    /// Free bytes that the program may use.
    pub free_bytes: u64,
    /// Size of the file system in bytes.
    pub total_bytes: u64,
    /// Free inodes; none where the file system does not count them.
    pub free_inodes: Option<u64>,
    /// `destination.json`, where there is one.
    pub record: Option<DestinationRecord>,
    /// Where there is none: the folders of other hosts beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<NeighbourHost>,
    /// Why `destination.json` could not be read although it is there.
    pub record_fault: Option<String>,
    /// The same as a code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_fault_code: Option<FailureCode>,
    /// The id that it surely has although its record is damaged or missing: this machine knows no
    /// other destination, and the snapshot of its last run stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recognized_id: Option<String>,
    /// What the file system surely cannot do, judged by its type before it was ever probed.
    pub expected_capabilities: Option<Capabilities>,
    /// Snapshots with a record, sorted by start.
    pub snapshots: Vec<SnapshotState>,
    /// Folders in the tiers that have no record, the user's own or another tool's, and snapshots
    /// whose record is damaged.
    pub unmanaged: Vec<Unmanaged>,
    /// Relative symlinks that stand in the tiers.
    pub links: Vec<TierLink>,
    /// Where `latest` points; none where there is no such link.
    pub latest: Option<String>,
    /// Unfinished snapshots in `partial`.
    pub partial: Vec<Leftover>,
    /// Snapshots in `trash`, whose removal was begun and not ended.
    pub trash: Vec<Leftover>,
    /// Snapshots that have a record and are neither in a tier nor on their way in or out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<SnapshotId>,
    /// When retention was last applied.
    pub rotation: Option<RotationRecord>,
    /// Why that cannot be read; it is then taken to have been after the newest snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_fault: Option<String>,
    /// Stored files that are known to be damaged, as this machine remembers them, sorted by inode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedFile>,
    /// What stands in the host's folder where a folder or a link of ours belongs, sorted. It is
    /// left alone, and what would stand there is done without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_the_way: Vec<InTheWay>,
    /// The read-only view of the snapshots for users, where `local.readableByUsers` is on or one is
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_view: Option<UserView>,
}

/// Types of file systems whose server is asked for each entry over a network.
const OVER_A_NETWORK: [&str; 16] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "davfs",
    "fuse.ceph-fuse",
    "fuse.curlftpfs",
    "fuse.davfs2",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.smbnetfs",
    "fuse.sshfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
];

impl DestinationState {
    /// Whether a server is asked for each entry over a network, as the file system's type tells.
    #[must_use]
    pub fn is_over_a_network(&self) -> bool {
        let kind = self.file_system.as_deref();
        kind.is_some_and(|kind| OVER_A_NETWORK.contains(&kind))
    }

    /// One that cannot be looked at, and of which nothing is known.
    #[must_use]
    pub const fn absent(mount_point: AbsolutePath) -> Self {
        Self {
            mount_point,
            present: false,
            absent_because: None,
            absent_code: None,
            mounted: false,
            read_only: false,
            place: None,
            file_system: None,
            file_system_uuid: None,
            free_bytes: 0,
            total_bytes: 0,
            free_inodes: None,
            record: None,
            beside: Vec::new(),
            record_fault: None,
            record_fault_code: None,
            recognized_id: None,
            expected_capabilities: None,
            snapshots: Vec::new(),
            unmanaged: Vec::new(),
            links: Vec::new(),
            latest: None,
            partial: Vec::new(),
            trash: Vec::new(),
            lost: Vec::new(),
            rotation: None,
            rotation_fault: None,
            damaged: Vec::new(),
            in_the_way: Vec::new(),
            user_view: None,
        }
    }

    /// What it can hold: found out by trying, else judged by its type, else unknown.
    #[must_use]
    pub fn capabilities(&self) -> Option<&Capabilities> {
        let tried = self.record.as_ref().map(|record| &record.capabilities);
        tried.or(self.expected_capabilities.as_ref())
    }
}

/// The folder of another host on the same destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeighbourHost {
    /// Its name.
    pub folder: String,
    /// The id of the destination that it is.
    pub id: String,
    /// The machine that it belongs to, as far as that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
}

/// A published snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotState {
    /// The tier whose folder holds it.
    pub home: Tier,
    /// Its record.
    pub record: SnapshotRecord,
    /// What was said of it since.
    pub marks: SnapshotMarks,
    /// Why that cannot be read; it is then taken to be pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks_fault: Option<String>,
    /// Why its manifest cannot be used; nothing is linked to it then, unless the code says that only a
    /// part of it is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_fault: Option<String>,
    /// The same as a code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_fault_code: Option<FailureCode>,
    /// Since when it is known that somebody changed manifest and record; none where that is not so, or
    /// is noticed now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<DateTime<FixedOffset>>,
    /// How many of its entries are known to be damaged, as far as they were compared.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub damaged: u64,
}

impl SnapshotState {
    /// Whether a new snapshot may be linked to it: its manifest, or nearly all of it, can be read.
    #[must_use]
    pub fn serves_as_basis(&self) -> bool {
        self.manifest_fault.is_none()
            || self.manifest_fault_code == Some(FailureCode::ManifestPartlyDamaged)
    }
}

/// A folder in a tier that this program did not make, or whose record is damaged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Unmanaged {
    /// The tier it stands in.
    pub tier: Tier,
    /// Its name, escaped where it is not printable.
    pub name: String,
    /// Why its record cannot be used, where this program did make it: it is then a snapshot whose
    /// record is damaged, which is never deleted and never linked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_fault: Option<String>,
}

/// Something that stands where a folder or a link of ours belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InTheWay {
    /// Its path relative to the host's folder, such as `weekly`, escaped.
    pub path: String,
    /// What it is, such as `a file`, or why it cannot be opened.
    pub what: String,
    /// Why it cannot be opened although it is a folder, where there is a code for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
}

/// A symlink in a tier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TierLink {
    /// The tier it stands in.
    pub tier: Tier,
    /// Its name: a snapshot id.
    pub id: SnapshotId,
    /// What it points to.
    pub target: String,
}

/// A tree in `partial` or `trash`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    /// Its id.
    pub id: SnapshotId,
    /// Bytes it holds that nothing else shares, and that can be removed.
    pub bytes: u64,
    /// Entries it holds that can be removed.
    pub entries: u64,
    /// Entries that cannot be removed: immutable ones, what is directly in an immutable folder, and
    /// the folders around them.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub stuck: u64,
}

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
}
