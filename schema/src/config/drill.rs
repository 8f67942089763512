//! `monitoring.drill.*`: trial restores that nobody has to remember.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AbsolutePath, CalendarText};
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
    /// Executables that look whether what was restored is of use; one that ends with another exit code
    /// than 0 fails the drill. Each finds the files of the snapshot at the paths that they have on the machine,
    /// and `BACKUP_SNAPSHOT` and `BACKUP_SNAPSHOT_TIME` in its environment.
    pub checks: Vec<AbsolutePath>,
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
