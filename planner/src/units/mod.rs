//! The systemd units of a configuration: their names and their text, and nothing of this machine.
//!
//! Owns which units there are and what is in them. `backup systemd-units` writes them; the NixOS
//! module makes the same ones. What a unit starts is the command line's; the program decides
//! itself whether a run is due, because timers are skipped, fire twice or not at all.

mod sandbox;
mod services;
mod text;
mod timers;

use schema::Config;

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
    pub name: &'static str,
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
/// When the run is due.
pub const TIMER: &str = "backup.timer";
/// Asks again until the period is served.
pub const RETRY_TIMER: &str = "backup-retry.timer";
/// When health is checked.
pub const HEALTH_TIMER: &str = "backup-health-check.timer";
/// The udev rule that asks again when AC power comes back.
pub const POWER_RULE: &str = "60-backup.rules";

/// Every name that [`render`] may give.
pub const NAMES: [&str; 8] = [
    TIMER,
    COORDINATOR,
    LOCAL,
    CLOUD,
    RETRY_TIMER,
    HEALTH_TIMER,
    HEALTH,
    POWER_RULE,
];

/// The first line of every file.
pub const HEADER: &str =
    "# Made by `backup systemd-units`; make it again after a change of the configuration.";

/// All units of a configuration, in the order of [`NAMES`].
///
/// Without `schedule.enable` there is nothing that starts a run by itself.
#[must_use]
pub fn render(config: &Config, layout: &Layout) -> Vec<Unit> {
    let scheduled = config.schedule.enable;
    NAMES
        .into_iter()
        .filter_map(|name| {
            let text = match name {
                TIMER => scheduled.then(|| timers::backup(config)).flatten(),
                RETRY_TIMER => scheduled.then(timers::retry),
                POWER_RULE => (scheduled && config.schedule.only_on_ac).then(timers::power),
                COORDINATOR => Some(services::coordinator(config, layout)),
                LOCAL => config.local.enable.then(|| services::local(config, layout)),
                CLOUD => config.cloud.enable.then(|| services::cloud(config, layout)),
                HEALTH_TIMER => config.monitoring.enable.then(|| timers::health(config)),
                _ => config
                    .monitoring
                    .enable
                    .then(|| services::health(config, layout)),
            }?;
            let text = format!("{HEADER}\n{text}");
            Some(Unit { name, text })
        })
        .collect()
}

/// The name of the unit that mounts a path (systemd.unit(5), "String Escaping for Inclusion in
/// Unit Names").
#[must_use]
pub fn mount_unit(path: &str) -> String {
    text::mount_unit(path)
}

#[cfg(test)]
mod tests;
