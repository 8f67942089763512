//! `destinations.<name>.*`: more places for backups beside `local` and `cloud`, each by its name.
//!
//! Flat on purpose: which key is of which type stands in [`keys_of`] alone, and the schema says it of
//! each as `x-of`.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use serde_json::Value;

use super::{
    AbsolutePath, CalendarText, Cloud, IfAbsent, Local, MakeRoom, MaxDelete, TimeOfDay, Weekday,
    text::text_type,
};
use crate::duration::Span;

/// The name of a destination: lower-case letters, digits and dashes, as it stands in step ids, units and
/// logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationName(String);

impl DestinationName {
    /// Longest name in bytes.
    pub const LONGEST: usize = 32;

    /// The name of `local.*`.
    pub const LOCAL: &str = "local";

    /// The name of `cloud.*`.
    pub const CLOUD: &str = "cloud";

    /// A name that is known to be one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `local` or `cloud`, which have sections of their own.
    #[must_use]
    pub fn is_predefined(&self) -> bool {
        [Self::LOCAL, Self::CLOUD].contains(&self.as_str())
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DestinationName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sound = text.len() <= Self::LONGEST
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .chars()
                .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-');
        match sound {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "a name of lower-case letters, digits and dashes that begins with a letter and has at most \
                 {} of them",
                Self::LONGEST
            )),
        }
    }
}

text_type!(
    DestinationName,
    "destination-name",
    "The name of a destination: lower-case letters, digits and dashes."
);

/// One more place for backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = name_types)]
pub struct Destination {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: DestinationKind,
    /// Whether it is used.
    #[serde(default = "default::yes")]
    pub enable: bool,
    /// Folders or files to back up; null takes those of `local.sources`.
    #[serde(default)]
    pub sources: Option<Vec<AbsolutePath>>,
    /// What to leave out; null takes `local.excludePatterns`.
    #[serde(default)]
    pub exclude_patterns: Option<Vec<String>>,
    /// When its backups are due; null takes the common `schedule`.
    #[serde(default)]
    pub schedule: Option<OwnSchedule>,
    /// Whether it is kept away from the machine's own place; null: a remote is, a disk is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = null))]
    pub off_site: Option<bool>,
    /// How many of the last snapshots stay whatever their day.
    #[serde(default = "default::keep_last")]
    pub keep_last: u32,
    /// How many hours that have a snapshot keep one.
    #[serde(default = "default::keep_hourly")]
    pub keep_hourly: u32,
    /// How many days that have a snapshot keep one.
    #[serde(default = "default::keep_daily")]
    pub keep_daily: u32,
    /// How many weeks that have a snapshot keep one.
    #[serde(default = "default::keep_weekly")]
    pub keep_weekly: u32,
    /// How many months that have a snapshot keep one.
    #[serde(default = "default::keep_monthly")]
    pub keep_monthly: u32,
    /// How many years that have a snapshot keep one.
    #[serde(default = "default::keep_yearly")]
    pub keep_yearly: u32,
    /// The first day of a week, whose snapshot becomes the weekly one.
    #[serde(default = "default::week_starts_on")]
    pub week_starts_on: Weekday,
    /// Where the drive is mounted; a destination that is used needs it.
    #[serde(default)]
    pub mount_point: Option<AbsolutePath>,
    /// Refuse unless `mountPoint` is a mount point; false serves a plain folder.
    #[serde(default = "default::require_mount")]
    pub require_mount: bool,
    /// Refuse any file system but the one with this UUID.
    #[serde(rename = "fileSystemUUID", default)]
    pub file_system_uuid: Option<String>,
    /// Whether it fails or is deferred while it is absent; the others are served all the same.
    #[serde(default = "default::if_absent")]
    pub if_absent: IfAbsent,
    /// Which engine copies: rsync (true) or the built-in one (false), as `local.useRsync` says it.
    #[serde(default = "default::use_rsync")]
    pub use_rsync: bool,
    /// GiB that stay free on it during and after a run.
    #[serde(rename = "minSpaceGB", default = "default::min_space_gb")]
    pub min_space_gb: u32,
    /// What may go before a snapshot that would not fit.
    #[serde(default = "default::make_room")]
    pub make_room: MakeRoom,
    /// Accept a file system without hard links, where each snapshot is a whole copy.
    #[serde(default = "default::allow_full_copies")]
    pub allow_full_copies: bool,
    /// Let users read the snapshots, where each file's own permissions apply, as `local.readableByUsers`
    /// says it.
    #[serde(default = "default::readable_by_users")]
    pub readable_by_users: bool,
    /// Any rclone remote, `name:` or `name:bucket`; a destination that is used needs it.
    #[serde(default)]
    pub remote: Option<String>,
    /// Folder on the remote; the host's folder is below it.
    #[serde(default = "default::remote_path")]
    pub remote_path: String,
    /// The rclone configuration; must not be readable by others.
    #[serde(default)]
    pub config_file: Option<AbsolutePath>,
    /// rclone's `--bwlimit`, for example "10M".
    #[serde(default)]
    pub bandwidth_limit: Option<String>,
    /// Longest time an upload may take.
    #[serde(default = "default::timeout")]
    pub timeout: Span,
    /// Most snapshots, or files of a mirror, that may go at once: a percentage ("5%") or a count. More stay
    /// until a person agrees.
    #[serde(default = "default::max_delete")]
    pub max_delete: MaxDelete,
    /// Days for which what went from the history can still be had.
    #[serde(default = "default::keep_history_days")]
    pub keep_history_days: u32,
    /// How copies stand on the remote.
    #[serde(default)]
    pub layout: Layout,
    /// Who takes old snapshots away.
    #[serde(default)]
    pub expire: Expire,
}

/// What a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationKind {
    /// A drive, a NAS or a folder, with snapshots as plain folders.
    Disk,
    /// An rclone remote.
    Remote,
}

/// How copies stand on a remote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Each content once, named by its digest, with a manifest for each snapshot: with tiers as on disks.
    #[default]
    History,
    /// The newest snapshot as plain files and dated folders of what went, as `cloud` has it.
    Mirror,
}

/// Who takes old snapshots away from a remote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expire {
    /// This machine, by the keep numbers.
    #[default]
    Here,
    /// This machine never: its key may not delete.
    Never,
}

/// When the backups of one destination are due; what is null is as the common `schedule` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OwnSchedule {
    /// `daily`, `weekly`, or a systemd calendar expression; null takes `schedule.frequency`.
    pub frequency: Option<CalendarText>,
    /// Time of day of the backup, `HH:MM`; null takes `schedule.timeOfDay`.
    pub time_of_day: Option<TimeOfDay>,
    /// Longest random delay added to the time; null takes `schedule.randomDelay`.
    pub random_delay: Option<Span>,
    /// Whether it is deferred on battery until the machine is on AC power; null takes `schedule.onlyOnAC`.
    #[serde(rename = "onlyOnAC")]
    pub only_on_ac: Option<bool>,
}

/// The keys that only destinations of this type have.
#[must_use]
pub fn keys_of(kind: DestinationKind) -> &'static [&'static str] {
    match kind {
        DestinationKind::Disk => &[
            "mountPoint",
            "requireMount",
            "fileSystemUUID",
            "ifAbsent",
            "useRsync",
            "minSpaceGB",
            "makeRoom",
            "allowFullCopies",
            "readableByUsers",
        ],
        DestinationKind::Remote => &[
            "remote",
            "remotePath",
            "configFile",
            "bandwidthLimit",
            "timeout",
            "maxDelete",
            "keepHistoryDays",
            "layout",
            "expire",
        ],
    }
}

impl DestinationKind {
    /// The other type.
    fn other(self) -> Self {
        match self {
            Self::Disk => Self::Remote,
            Self::Remote => Self::Disk,
        }
    }
}

/// Writes each destination without the keys of the other type, which it cannot have.
pub(super) fn serialize<S: Serializer>(
    destinations: &BTreeMap<DestinationName, Destination>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut all = serde_json::Map::new();
    for (name, destination) in destinations {
        let mut value = serde_json::to_value(destination).map_err(S::Error::custom)?;
        if let Some(keys) = value.as_object_mut() {
            let others = keys_of(destination.kind.other());
            keys.retain(|key, _| !others.contains(&key.as_str()));
        }
        all.insert(name.to_string(), value);
    }
    all.serialize(serializer)
}

/// A destination for each name.
pub(super) fn map_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "default": {},
        "propertyNames": generator.subschema_for::<DestinationName>(),
        "additionalProperties": generator.subschema_for::<Destination>(),
    })
}

/// Says of each key which type it belongs to.
fn name_types(schema: &mut Schema) {
    let Some(keys) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (kind, word) in [
        (DestinationKind::Disk, "disk"),
        (DestinationKind::Remote, "remote"),
    ] {
        for key in keys_of(kind) {
            let key = keys.get_mut(*key).and_then(Value::as_object_mut);
            if let Some(key) = key {
                key.insert("x-of".to_owned(), word.into());
            }
        }
    }
}

/// What keys that are not given mean: what they mean by default in `local` and `cloud`, whatever those are
/// set to.
mod default {
    use super::{Cloud, IfAbsent, Local, MakeRoom, MaxDelete, Span, Weekday};

    pub(super) fn yes() -> bool {
        true
    }

    macro_rules! as_in {
        ($section:ident: $($field:ident -> $type:ty),* $(,)?) => {
            $(pub(super) fn $field() -> $type {
                $section::default().$field
            })*
        };
    }

    as_in!(Local:
        keep_last -> u32,
        keep_hourly -> u32,
        keep_daily -> u32,
        keep_weekly -> u32,
        keep_monthly -> u32,
        keep_yearly -> u32,
        week_starts_on -> Weekday,
        require_mount -> bool,
        if_absent -> IfAbsent,
        use_rsync -> bool,
        min_space_gb -> u32,
        make_room -> MakeRoom,
        allow_full_copies -> bool,
        readable_by_users -> bool,
    );
    as_in!(Cloud:
        remote_path -> String,
        timeout -> Span,
        max_delete -> MaxDelete,
        keep_history_days -> u32,
    );
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;
    use serde_json::json;

    use super::*;
    use crate::Config;

    fn config(destinations: Value) -> Config {
        serde_json::from_value(json!({ "destinations": destinations })).unwrap()
    }

    #[test]
    fn a_name_can_stand_in_a_unit_and_in_a_path_of_keys() {
        for good in ["usb", "b2", "nas-2", &"a".repeat(32)] {
            assert!(good.parse::<DestinationName>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "2",
            "-a",
            "Usb",
            "a.b",
            "a_b",
            "ä",
            "a/b",
            &"a".repeat(33),
        ] {
            assert!(bad.parse::<DestinationName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_key_is_of_both_types_or_of_one_that_the_schema_names() {
        let schema = schema_for!(Destination).to_value();
        let keys = schema["properties"].as_object().unwrap();
        for (kind, word) in [
            (DestinationKind::Disk, "disk"),
            (DestinationKind::Remote, "remote"),
        ] {
            let marked = keys.iter().filter(|(_, key)| key["x-of"] == word);
            let mut marked: Vec<&str> = marked.map(|(name, _)| name.as_str()).collect();
            let mut listed = keys_of(kind).to_vec();
            marked.sort_unstable();
            listed.sort_unstable();
            assert_eq!(marked, listed);
        }
        assert_eq!(schema["required"], json!(["type"]));
    }

    #[test]
    fn what_is_written_has_the_keys_of_its_type_alone_and_is_read_as_the_same() {
        let config = config(json!({
            "usb": { "type": "disk", "mountPoint": "/mnt/usb" },
            "b2": { "type": "remote", "remote": "b2:bucket", "schedule": { "frequency": "weekly" } },
        }));
        let written = serde_json::to_value(&config).unwrap();
        let keys = |name: &str| written["destinations"][name].as_object().unwrap();
        assert!(keys("usb").contains_key("minSpaceGB"));
        assert!(!keys("usb").contains_key("layout"));
        assert!(keys("b2").contains_key("layout"));
        assert!(!keys("b2").contains_key("minSpaceGB"));
        assert_eq!(serde_json::from_value::<Config>(written).unwrap(), config);
    }

    #[test]
    fn without_one_nothing_is_written_of_them() {
        let written = serde_json::to_value(Config::default()).unwrap();
        assert!(written.get("destinations").is_none());
    }

    #[test]
    fn keys_that_are_not_given_are_the_defaults_and_not_what_local_is_set_to() {
        let config: Config = serde_json::from_value(json!({
            "local": { "keepDaily": 30, "useRsync": false },
            "destinations": { "usb": { "type": "disk" } },
        }))
        .unwrap();
        let usb = &config.destinations[&DestinationName::new("usb")];
        assert_eq!((usb.keep_daily, usb.use_rsync), (7, true));
        assert_eq!(usb.max_delete, MaxDelete::new("5%"));
    }
}
