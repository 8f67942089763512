//! The destination as it was found, and what stands on it.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ResolvedLocation, UserView};
use crate::{
    Digest, FailureCode, SnapshotId, Tier,
    config::AbsolutePath,
    record::{Capabilities, DestinationRecord, RotationRecord, SnapshotMarks, SnapshotRecord},
    verify::DamagedFile,
};

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
