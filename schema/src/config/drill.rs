//! `monitoring.drill.*`: trial restores that nobody has to remember.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AbsolutePath, CalendarText, text::text_type};
use crate::duration::Span;

/// Trial restores: the last good snapshot is put where its files belong, in a room of its own that no network
/// and no other process can be reached from, and is looked at there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Drill {
    /// Whether drills run by themselves.
    pub enable: bool,
    /// How often drills run, as a systemd calendar expression.
    pub schedule: CalendarText,
    /// What tells whether what was restored is of use. An absolute path is an executable; one that ends with
    /// another exit code than 0 fails the drill. It finds the files of the snapshot at the paths that they have
    /// on the machine, and `BACKUP_SNAPSHOT` and `BACKUP_SNAPSHOT_TIME` in its environment. `service:NAME` is
    /// a service of systemd that must start with them, in a container without network (systemd-nspawn).
    pub checks: Vec<DrillCheck>,
    /// Time after which a check is ended and has failed.
    pub timeout: Span,
}

impl Default for Drill {
    fn default() -> Self {
        Self {
            enable: false,
            schedule: CalendarText::new("weekly"),
            checks: Vec::new(),
            timeout: Span::minutes(10),
        }
    }
}

/// A check of a drill: an executable by its absolute path, or `service:` and the unit that must start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrillCheck {
    /// An executable that ends with exit code 0 if all is well.
    Program(AbsolutePath),
    /// A service by the name of its unit, without `.service`.
    Service(String),
}

impl DrillCheck {
    /// What a service's check begins with.
    const SERVICE: &'static str = "service:";
    /// The longest name of a unit (systemd.unit(5)), without `.service`.
    const LONGEST: usize = 255 - ".service".len();

    /// The unit that must start, where it is one.
    #[must_use]
    pub fn unit(&self) -> Option<String> {
        match self {
            Self::Program(_) => None,
            Self::Service(name) => Some(format!("{name}.service")),
        }
    }

    fn service(name: &str) -> Result<Self, String> {
        const OTHERS: [&str; 10] = [
            ".automount",
            ".device",
            ".mount",
            ".path",
            ".scope",
            ".slice",
            ".socket",
            ".swap",
            ".target",
            ".timer",
        ];
        let name = name.strip_suffix(".service").unwrap_or(name);
        let may_be = |one: char| one.is_ascii_alphanumeric() || ":-_.\\@".contains(one);
        if OTHERS.iter().any(|other| name.ends_with(other)) {
            return Err("a service: other units have nothing that runs".to_owned());
        }
        let first = name.chars().next();
        let begins_well = first.is_some_and(|one| one.is_ascii_alphanumeric() || one == '_');
        if !begins_well || !name.chars().all(may_be) || name.len() > Self::LONGEST {
            return Err("`service:` and the name of a unit, such as service:postgresql".to_owned());
        }
        if name.ends_with('@') {
            return Err("an instance of the template, such as service:name@instance".to_owned());
        }
        Ok(Self::Service(name.to_owned()))
    }
}

impl fmt::Display for DrillCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(path) => path.fmt(f),
            Self::Service(name) => write!(f, "{}{name}", Self::SERVICE),
        }
    }
}

impl FromStr for DrillCheck {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(Self::SERVICE) {
            Some(name) => Self::service(name),
            None if text.starts_with('/') => text.parse().map(Self::Program),
            None => Err("an absolute path, or `service:` and the name of a unit".to_owned()),
        }
    }
}

text_type!(
    DrillCheck,
    "drill-check",
    "The absolute path of an executable, or `service:` and the name of a service."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_a_drill_is_a_program_or_a_service() {
        let read = |text: &str| text.parse::<DrillCheck>();
        let path = AbsolutePath::new("/etc/check");
        assert_eq!(read("/etc//check"), Ok(DrillCheck::Program(path)));
        for (text, unit) in [
            ("service:postgresql", "postgresql.service"),
            ("service:postgresql.service", "postgresql.service"),
            ("service:postgresql@15-main", "postgresql@15-main.service"),
            ("service:a\\x2db", "a\\x2db.service"),
        ] {
            let check = read(text).unwrap();
            assert_eq!(check.unit().as_deref(), Some(unit));
            assert_eq!(read(&check.to_string()), Ok(check));
        }
        let long = format!("service:{}", "a".repeat(248));
        for bad in [
            "",
            "check",
            "service:",
            "service:.service",
            "service:-x",
            "service:a b",
            "service:a/b",
            "service:a\nb",
            "service:getty@",
            "service:backup.timer",
            "services:a",
            &long,
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
