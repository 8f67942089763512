//! What a machine has that a first configuration can be made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is mounted, whose folders there are, and what could copy and start backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Surroundings {
    /// Whether root asks.
    pub is_root: bool,
    /// The home folder of whoever asks.
    pub home: String,
    /// File systems that are mounted and that somebody may keep things on.
    pub mounts: Vec<MountedDrive>,
    /// File systems that could be mounted and are not.
    pub idle: Vec<IdleDrive>,
    /// Whether whoever asks types `sudo` before what only root may do.
    pub needs_sudo: bool,
    /// Folders that somebody may want to have backed up and that are there.
    pub folders: Vec<String>,
    /// The version of rsync; none where it cannot be run.
    pub rsync: Option<String>,
    /// Whether systemd starts things here.
    pub has_systemd: bool,
    /// Whether this is NixOS, which makes its units from its own configuration.
    pub is_nixos: bool,
}

/// A file system that is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MountedDrive {
    /// Where.
    pub mount_point: String,
    /// Its type, such as `ext4`.
    pub file_system: String,
    /// What is mounted, such as `/dev/sdb1`.
    pub source: String,
    /// The whole disks that it is on, such as `sdb`; none where the kernel names no device.
    pub disks: Vec<String>,
    /// Whether one of the disks can be taken away: it is removable, or connected by USB.
    pub removable: bool,
    /// Whether a server or a program answers for it.
    pub distant: bool,
    /// Whether it keeps what is written after the machine is turned off.
    pub lasting: bool,
    /// Whether it answered in time; of one that did not, nothing else is known.
    pub answers: bool,
    /// Whether whoever asks may write to its topmost folder.
    pub writable: bool,
    /// Its size in bytes; none where it was not told in time.
    pub bytes: Option<u64>,
    /// The bytes that are free.
    pub free: Option<u64>,
}

/// A file system that is not mounted: one that `/etc/fstab` names, or one on a drive that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdleDrive {
    /// What is mounted, as `/etc/fstab` names it, such as `LABEL=backup`; else the device.
    pub source: String,
    /// The device, such as `/dev/sdb1`; none where it is not there, and of what is on a server.
    pub device: Option<String>,
    /// Where `/etc/fstab` mounts it; none of what it does not name.
    pub mount_point: Option<String>,
    /// Its type, such as `ext4`.
    pub file_system: String,
    /// The name that it was given.
    pub label: Option<String>,
    /// Whether it is on a server.
    pub distant: bool,
    /// Whether a disk that it is on can be taken away.
    pub removable: bool,
    /// The bytes of the device; none where they are not known.
    pub bytes: Option<u64>,
    /// The whole disks that it is on.
    pub disks: Vec<String>,
}
