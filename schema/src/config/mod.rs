//! The configuration: every key of `config.json`, its default and its meaning.
//!
//! Defaults exist here and nowhere else; the doc comment of a field is its description in the
//! generated schema and in the NixOS options. Cross-field rules belong to `planner::check`.

mod cloud;
pub(crate) mod destinations;
mod drill;
mod local;
mod notifications;
mod policy;
pub(crate) mod text;
mod view;
mod words;

pub use cloud::{Cloud, ProtonDrive, Provider, SyncMode};
pub use destinations::{
    Destination, DestinationKind, DestinationName, Expire, Layout, OwnSchedule, keys_of,
};
pub use drill::{Drill, DrillCheck};
pub use local::{IfAbsent, Local, MakeRoom, Weekday};
pub(crate) use local::{default_max_hole_bytes, is_default_max_hole_bytes};
pub use notifications::{
    Command, Email, Healthcheck, Monitoring, Notifications, Ntfy, ReportPeriod, Webhook,
};
pub use policy::Policy;
pub use text::{AbsolutePath, CalendarText, ConfigVersion, MaxDelete, Subset, TimeOfDay, fault};
pub use view::RemoteOptions;
pub use words::{VERBS_OF_ONE, may_name_destination, retention_in_words_of};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// What to back up, where to, how often, and whom to tell.
///
/// Keys are the NixOS option names below `hwc.system.services.backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Format of this file.
    pub version: ConfigVersion,
    /// Folder below the mount point; null takes the machine's host name.
    pub hostname: Option<String>,
    /// Executable to run before the backup. Each line that it writes to the file that `BACKUP_INCOMPLETE`
    /// names says what could not be done: the backup is made, and the run is incomplete.
    pub pre_backup_script: Option<AbsolutePath>,
    /// Executable to run after the backup, whatever its result; it finds `BACKUP_RESULT`,
    /// `BACKUP_SNAPSHOT` and `BACKUP_RUN_ID` in its environment.
    pub post_backup_script: Option<AbsolutePath>,
    /// Time after which the pre-backup script's process group is ended and its step failed.
    pub pre_backup_timeout: Span,
    /// Time after which the post-backup script's process group is ended and its step failed.
    pub post_backup_timeout: Span,
    /// Whether a failed pre-backup script ends the run or is only reported.
    pub on_pre_backup_failure: OnPreBackupFailure,
    /// Snapshots on an external drive, a NAS or a folder.
    pub local: Local,
    /// Copies of the newest good snapshot through rclone.
    pub cloud: Cloud,
    /// Proton Drive as the cloud provider.
    pub proton_drive: ProtonDrive,
    /// More destinations beside `local` and `cloud`, each by its name.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "destinations::serialize"
    )]
    #[schemars(schema_with = "destinations::map_schema")]
    pub destinations: BTreeMap<DestinationName, Destination>,
    /// How many copies there must be, on what and where; a gap is an error.
    #[serde(skip_serializing_if = "Policy::is_none")]
    #[schemars(extend("default" = "none"))]
    pub policy: Policy,
    /// When backups are due.
    pub schedule: Schedule,
    /// Whom to tell, and of what.
    pub notifications: Notifications,
    /// Health checks, logs and metrics.
    pub monitoring: Monitoring,
    /// The folder of the trial that this is for. No key of a configuration: `backup try` alone says so, and
    /// what says so is read in that folder only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub trial: Option<AbsolutePath>,
}

impl Config {
    /// The files that hold secrets of what is asked for, each with its option.
    #[must_use]
    pub fn secret_files(&self) -> Vec<(&'static str, &AbsolutePath)> {
        let cloud = self.cloud.config_file.as_ref();
        let cloud = cloud.filter(|_| self.cloud.enable);
        let cloud = cloud.map(|file| ("cloud.configFile", file)).into_iter();
        cloud.chain(self.notifications.secret_files()).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: ConfigVersion,
            hostname: None,
            pre_backup_script: None,
            post_backup_script: None,
            pre_backup_timeout: Span::hours(1),
            post_backup_timeout: Span::hours(1),
            on_pre_backup_failure: OnPreBackupFailure::Abort,
            local: Local::default(),
            cloud: Cloud::default(),
            proton_drive: ProtonDrive::default(),
            destinations: BTreeMap::new(),
            policy: Policy::None,
            schedule: Schedule::default(),
            notifications: Notifications::default(),
            monitoring: Monitoring::default(),
            trial: None,
        }
    }
}

/// What a failed pre-backup script means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnPreBackupFailure {
    /// The run ends; nothing is backed up.
    Abort,
    /// The run goes on and reports it.
    Warn,
}

/// When backups are due. NixOS makes timers of it; the program reads it to know when one is late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Schedule {
    /// Whether backups run by themselves.
    pub enable: bool,
    /// `daily`, `weekly`, or a systemd calendar expression; one without a time takes `timeOfDay`.
    pub frequency: CalendarText,
    /// Time of day of the backup, `HH:MM`.
    pub time_of_day: TimeOfDay,
    /// Longest random delay added to the time.
    pub random_delay: Span,
    /// Whether a run on battery is deferred until the machine is on AC power.
    #[serde(rename = "onlyOnAC")]
    pub only_on_ac: bool,
    /// Whether a run missed while the machine was off is caught up.
    pub persistent: bool,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            enable: false,
            frequency: CalendarText::new("daily"),
            time_of_day: TimeOfDay::new(2, 0),
            random_delay: Span::hours(1),
            only_on_ac: true,
            persistent: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_documented_defaults() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        let json = serde_json::to_value(&config).unwrap();
        assert_eq!(json["local"]["keepDaily"], 7);
        assert_eq!(json["local"]["keepLast"], 3);
        assert_eq!(json["local"]["makeRoom"], "expired");
        assert_eq!(json["local"]["fileSystemUUID"], serde_json::Value::Null);
        assert_eq!(json["local"]["minSpaceGB"], 10);
        assert_eq!(json["schedule"]["onlyOnAC"], true);
        assert_eq!(json["schedule"]["timeOfDay"], "02:00");
        assert_eq!(json["preBackupTimeout"], "1h");
    }

    #[test]
    fn every_default_survives_a_round_trip() {
        let json = serde_json::to_string(&Config::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<Config>(&json).unwrap(),
            Config::default()
        );
    }
}
