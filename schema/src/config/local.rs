//! `local.*`: snapshots onto a drive, a NAS or a folder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AbsolutePath;

/// A tebibyte of zeros is read in a quarter of an hour.
const DEFAULT_MAX_HOLES_GB: u32 = 1024;

/// What plans without it mean by `max_hole_bytes`.
pub(crate) fn default_max_hole_bytes() -> u64 {
    u64::from(DEFAULT_MAX_HOLES_GB) << 30
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) fn is_default_max_hole_bytes(bytes: &u64) -> bool {
    *bytes == default_max_hole_bytes()
}

/// Snapshots on an external drive, a NAS or a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Local {
    /// Whether local snapshots are made.
    pub enable: bool,
    /// Where the backup drive is mounted.
    pub mount_point: AbsolutePath,
    /// Refuse unless `mountPoint` is a mount point; false serves a plain folder.
    pub require_mount: bool,
    /// Refuse any file system but the one with this UUID.
    #[serde(rename = "fileSystemUUID")]
    pub file_system_uuid: Option<String>,
    /// Whether an absent destination fails the run or defers it.
    pub if_absent: IfAbsent,
    /// Which engine copies: rsync (true) or the built-in one (false). Layout, manifest and
    /// guarantees are the same. Over a network the built-in one copies in any case, because there rsync
    /// waits for each answer before it asks for the next.
    pub use_rsync: bool,
    /// How many of the last snapshots stay whatever their day, so that two runs on one day both
    /// stay.
    pub keep_last: u32,
    /// How many hours that have a snapshot keep one.
    pub keep_hourly: u32,
    /// How many days that have a snapshot keep one.
    pub keep_daily: u32,
    /// How many weeks that have a snapshot keep one.
    pub keep_weekly: u32,
    /// How many months that have a snapshot keep one.
    pub keep_monthly: u32,
    /// How many years that have a snapshot keep one.
    pub keep_yearly: u32,
    /// The first day of a week, whose snapshot becomes the weekly one.
    pub week_starts_on: Weekday,
    /// What may go before a snapshot that would not fit.
    pub make_room: MakeRoom,
    /// GiB that stay free on the destination during and after a run.
    #[serde(rename = "minSpaceGB")]
    pub min_space_gb: u32,
    /// GiB of holes that are read of the files of each owner in a run; a file with more is left out
    /// and told. Holes of up to eight times what a file has on disk do not count.
    #[serde(rename = "maxHolesGB")]
    pub max_holes_gb: u32,
    /// Folders or files to back up; a missing one makes the run incomplete.
    pub sources: Vec<AbsolutePath>,
    /// Those of `sources` that need not be there yet, such as the folder of a service that has not run: one
    /// that is missing and had no files in the last good snapshot is left out, with a note.
    pub optional_sources: Vec<AbsolutePath>,
    /// What to leave out, with rsync's meaning of a pattern: without `/` a name at any depth, with one
    /// within the end of a path, with one before it a path from the source on, with one behind it folders
    /// only; `*`, `?` and `[...]` stop at `/`, `**` does not. A path from the source on is also taken for a
    /// full path, so that `/home/*/.cache` means the same whatever the source is.
    pub exclude_patterns: Vec<String>,
    /// Leave out what is in folders that say that they are caches: those with a valid `CACHEDIR.TAG`
    /// (bford.info/cachedir). The folder and its tag are backed up; plan and report say how much is left
    /// out. The tag has to belong to root or to whom the folder belongs to.
    pub exclude_caches: bool,
    /// Leave out folders in which there is an entry of one of these names, such as `.nobackup`; a source
    /// itself never, and only where the entry belongs to root or to whom the folder belongs to.
    pub exclude_if_present: Vec<String>,
    /// Accept a destination without hard links, where each snapshot is a whole copy.
    pub allow_full_copies: bool,
    /// Let users read the snapshots, where each file's own permissions apply, and never write to them:
    /// they see them read-only below `/run/backup`, followed by the path of the host's folder.
    pub readable_by_users: bool,
    /// Do not cross mount points below a source; each one passed over is reported.
    pub one_file_system: bool,
}

impl Local {
    /// Bytes that must stay free on the destination.
    #[must_use]
    pub fn min_space_bytes(&self) -> u64 {
        u64::from(self.min_space_gb) << 30
    }

    /// Bytes of holes that are read of the files of each owner.
    #[must_use]
    pub fn max_hole_bytes(&self) -> u64 {
        u64::from(self.max_holes_gb) << 30
    }
}

impl Default for Local {
    fn default() -> Self {
        Self {
            enable: false,
            mount_point: AbsolutePath::new("/mnt/backup"),
            require_mount: true,
            file_system_uuid: None,
            if_absent: IfAbsent::Fail,
            use_rsync: true,
            keep_last: 3,
            keep_hourly: 0,
            keep_daily: 7,
            keep_weekly: 4,
            keep_monthly: 6,
            keep_yearly: 0,
            week_starts_on: Weekday::Sunday,
            make_room: MakeRoom::Expired,
            min_space_gb: 10,
            max_holes_gb: DEFAULT_MAX_HOLES_GB,
            sources: ["/home", "/etc/nixos"].map(AbsolutePath::new).into(),
            optional_sources: Vec::new(),
            exclude_patterns: [
                ".cache",
                "*.tmp",
                ".local/share/Trash",
                "node_modules",
                "__pycache__",
            ]
            .map(str::to_owned)
            .into(),
            exclude_caches: true,
            exclude_if_present: Vec::new(),
            allow_full_copies: false,
            readable_by_users: false,
            one_file_system: true,
        }
    }
}

/// What an absent destination means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IfAbsent {
    /// The run is refused.
    Fail,
    /// The run is deferred: not a failure until the last good backup is too old.
    Defer,
}

/// What may be deleted before a snapshot for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MakeRoom {
    /// What the keep numbers let go once the new snapshot is there, oldest first, no more than
    /// needed.
    Expired,
    /// Beyond that the oldest that only a keep number holds; never the newest good one, a pinned
    /// or a suspect one, or one of the last two.
    Oldest,
    /// Nothing: the run is refused.
    Never,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl From<Weekday> for chrono::Weekday {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Sunday => Self::Sun,
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
        }
    }
}
