//! What starts a run: the schedule, the second trigger that asks until the period is served, and
//! the return of AC power.

use super::{
    COORDINATOR, DRILL_TIMER, HEALTH_TIMER, RETRY_TIMER, TIMER,
    template::{Line, UnitTemplate},
};

/// How long after a run the next one is asked for; asking costs a look at the state directory.
const RETRY: &str = "15min";

/// `backup.timer`.
pub(super) fn backup_timer() -> UnitTemplate {
    timer_template(
        TIMER,
        "Backup on its schedule",
        &["schedule.enable"],
        vec![
            Line::set("OnCalendar", "${schedule}"),
            Line::one_of(
                "RandomizedDelaySec",
                &[("${randomDelay}", &["schedule.isDelayed"])],
            ),
            Line::one_of(
                "Persistent",
                &[
                    ("yes", &["schedule.persistent"]),
                    ("no", &["!schedule.persistent"]),
                ],
            ),
            Line::set("AccuracySec", "1min"),
            Line::set("Unit", COORDINATOR),
        ],
    )
}

/// `backup-<name>.timer`, for a destination whose schedule is its own: a timer has one delay. It asks the
/// whole, which does what is due.
pub(super) fn disk_timer() -> UnitTemplate {
    UnitTemplate {
        name: "backup-${name}.timer",
        when: &["schedule.enable", "destination.hasSchedule"],
        unit: about("Backup to ${name} on its own schedule"),
        ..backup_timer()
    }
}

/// `backup-retry.timer`.
pub(super) fn retry_timer() -> UnitTemplate {
    timer_template(
        RETRY_TIMER,
        "Backup again if the schedule was not served",
        &["schedule.enable"],
        vec![
            Line::set("OnActiveSec", RETRY).because(&[
                "A timer that fires on battery, without the disk, or in the hour that the change",
                "of clocks leaves out, counts as done for systemd: so the program is asked again.",
            ]),
            Line::set("OnUnitInactiveSec", RETRY),
            Line::set("AccuracySec", "1min"),
            Line::set("Unit", COORDINATOR),
        ],
    )
}

/// `backup-health-check.timer`.
pub(super) fn health_timer() -> UnitTemplate {
    timer_template(
        HEALTH_TIMER,
        "Check of the backup's health on its schedule",
        &["monitoring.enable"],
        vec![
            Line::set("OnCalendar", "${healthCheckInterval}"),
            Line::set("RandomizedDelaySec", "1h"),
            Line::set("Persistent", "yes"),
        ],
    )
}

/// `backup-drill.timer`.
pub(super) fn drill_timer() -> UnitTemplate {
    timer_template(
        DRILL_TIMER,
        "Trial restore of the backup on its schedule",
        &["monitoring.drill.enable"],
        vec![
            Line::set("OnCalendar", "${drillSchedule}"),
            Line::set("RandomizedDelaySec", "1h"),
            Line::set("Persistent", "yes"),
        ],
    )
}

fn timer_template(
    name: &'static str,
    description: &'static str,
    when: &'static [&'static str],
    lines: Vec<Line>,
) -> UnitTemplate {
    UnitTemplate {
        name,
        when,
        unit: about(description),
        service: Vec::new(),
        timer: lines,
        install: vec![Line::words("WantedBy", &[("timers.target", &[])])],
    }
}

fn about(description: &'static str) -> Vec<Line> {
    vec![
        Line::set("Description", description),
        Line::words("Documentation", &[("man:backup(1)", &[])]),
    ]
}

/// When the udev rule is wanted.
pub(super) const WHEN_POWER_COUNTS: &[&str] = &["schedule.enable", "schedule.onlyOnAC"];

/// The udev rule. At boot there is the timer, so only changes count (`udev(7)`, `SYSTEMD_WANTS` in
/// systemd.device(5)).
pub(super) const POWER: &str = "ACTION==\"change\", SUBSYSTEM==\"power_supply\", \
ATTR{type}==\"Mains\", ATTR{online}==\"1\", TAG+=\"systemd\", ENV{SYSTEMD_WANTS}+=\"backup.service\"\n";

/// Where the rule belongs, for who reads it.
pub(super) const POWER_NOTE: &str =
    "# Belongs into /etc/udev/rules.d: asks for a deferred backup when AC power comes back.\n";
