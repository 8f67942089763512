//! The systemd units of a configuration: their names and their text, and nothing of this machine.
//!
//! Owns which units there are and what is in them, once: as templates. `backup systemd-units` fills
//! them in and writes them; the NixOS module reads the same ones from `nixos/units.json`. What a unit
//! starts is the command line's; the program decides itself whether a run is due, because timers are
//! skipped, fire twice or not at all.

mod facts;
mod json;
mod quote;
mod sandbox;
mod services;
mod template;
mod timers;
mod user;

use schema::{Config, config::DestinationName, plan::Part};

pub use self::{
    facts::Facts, json::templates_as_json, quote::mount_unit, template::UnitTemplate,
    user::render_user_units,
};

/// Where the units find the program and what it works with. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The program.
    pub program: String,
    /// The configuration.
    pub config: String,
    /// What the machine remembers between runs.
    pub state_dir: String,
}

impl Layout {
    /// Where root's runs find everything, with the program at this path.
    #[must_use]
    pub fn of_root(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            config: "/etc/backup/config.json".to_owned(),
            state_dir: STATE_DIR.to_owned(),
        }
    }
}

/// The state directory that `StateDirectory=backup` makes (systemd.exec(5)).
const STATE_DIR: &str = "/var/lib/backup";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name: a unit's, or for the rule that notices AC power `60-backup.rules`.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// The run: plans, runs scripts, tells of the result.
pub const COORDINATOR: &str = "backup.service";
/// The run's local steps.
pub const LOCAL: &str = "backup-local.service";
/// The run's cloud steps.
pub const CLOUD: &str = "backup-cloud.service";
/// The health check.
pub const HEALTH: &str = "backup-health-check.service";
/// What users see of the snapshots.
pub const VIEW: &str = "backup-view.service";
/// When the run is due.
pub const TIMER: &str = "backup.timer";
/// Asks again until the period is served.
pub const RETRY_TIMER: &str = "backup-retry.timer";
/// When health is checked.
pub const HEALTH_TIMER: &str = "backup-health-check.timer";
/// A trial restore.
pub const DRILL: &str = "backup-drill.service";
/// When a restore is tried.
pub const DRILL_TIMER: &str = "backup-drill.timer";
/// The udev rule that asks again when AC power comes back.
pub const POWER_RULE: &str = "60-backup.rules";

/// What the names of the views of named destinations begin with.
const VIEW_OF: &str = "backup-view@";

/// Every name that [`render_units`] may give, but for those of named destinations.
pub const NAMES: [&str; 11] = [
    TIMER,
    COORDINATOR,
    LOCAL,
    CLOUD,
    VIEW,
    RETRY_TIMER,
    HEALTH_TIMER,
    HEALTH,
    DRILL_TIMER,
    DRILL,
    POWER_RULE,
];

/// The first line of every file.
pub const HEADER: &str =
    "# Made by `backup systemd-units`; make it again after a change of the configuration.";

/// All units but the udev rule, in the order of [`NAMES`].
#[must_use]
pub fn unit_templates() -> [UnitTemplate; 10] {
    [
        timers::backup_timer(),
        services::coordinator_service(),
        services::local_service(),
        services::cloud_service(),
        services::view_service(),
        timers::retry_timer(),
        timers::health_timer(),
        services::health_service(),
        timers::drill_timer(),
        services::drill_service(),
    ]
}

/// The units of a named destination that is a disk.
pub(crate) fn disk_templates() -> [UnitTemplate; 3] {
    [
        services::disk_service(),
        timers::disk_timer(),
        services::disk_view_service(),
    ]
}

/// The units of a named destination that is a remote.
pub(crate) fn remote_templates() -> [UnitTemplate; 2] {
    [services::remote_service(), timers::disk_timer()]
}

/// The unit that does the steps of a named destination.
#[must_use]
pub fn service_of(name: &DestinationName) -> String {
    format!("backup-{name}.service")
}

/// Whether a unit of this name may be one of a named destination.
#[must_use]
pub fn is_of_destination(unit: &str) -> bool {
    let own = unit.strip_prefix("backup-").and_then(|rest| {
        rest.strip_suffix(".service")
            .map(|name| name.strip_prefix("view@").unwrap_or(name))
            .or_else(|| rest.strip_suffix(".timer"))
    });
    !NAMES.contains(&unit) && own.is_some_and(|name| name.parse::<DestinationName>().is_ok())
}

/// Which of these units are to be enabled, and with whether they are to be started at once: timers, and what
/// the drive starts when it is mounted.
#[must_use]
pub fn enabled_units(units: &[Unit]) -> Vec<(&str, bool)> {
    let starts = |name: &str| name.ends_with(".timer") || name == VIEW || name.starts_with(VIEW_OF);
    let units = units.iter();
    let wanted = units.filter(|unit| unit.text.contains("\n[Install]\n"));
    let wanted = wanted.map(|unit| unit.name.as_str());
    wanted.map(|name| (name, starts(name))).collect()
}

/// All units of a configuration, in the order of [`NAMES`], and then those of each named destination.
///
/// Without `schedule.enable` there is nothing that starts a run by itself.
#[must_use]
pub fn render_units(config: &Config, layout: &Layout) -> Vec<Unit> {
    let facts = Facts::from_config(config, layout);
    let filled = unit_templates()
        .into_iter()
        .filter_map(|unit| unit.render(&facts));
    let rule = facts.hold(timers::WHEN_POWER_COUNTS).then(|| {
        let text = [timers::POWER_NOTE, timers::POWER].concat();
        (POWER_RULE.to_owned(), text)
    });
    let of_others = config.chains().into_iter().flat_map(|name| {
        let facts = Facts::of_destination(config, &name, layout);
        let all = match config.part_of(&name) {
            Part::Cloud => remote_templates().to_vec(),
            _ => disk_templates().to_vec(),
        };
        let all = all.into_iter();
        all.filter_map(move |unit| unit.render(facts.as_ref()?))
    });
    filled
        .chain(rule)
        .chain(of_others)
        .map(|(name, text)| Unit {
            name,
            text: format!("{HEADER}\n{text}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
