//! What starts a run: the schedule, the second trigger that asks until the period is served, and
//! the return of AC power.

use schema::Config;

use super::{COORDINATOR, text::File};
use crate::calendar::schedule_expression;

/// How long after a run the next one is asked for; asking costs a look at the state directory.
const RETRY: &str = "15min";

/// `backup.timer`; none for an expression that cannot be read, which `check` refuses.
pub(super) fn backup(config: &Config) -> Option<String> {
    let schedule = &config.schedule;
    let calendar = on_calendar(config)?;
    let delay = schedule.random_delay.as_micros();
    let delay = (delay > 0).then(|| format!("{}us", delay));
    Some(
        File::new("Backup on its schedule")
            .set("Documentation", "man:backup(1)")
            .section("Timer")
            .set("OnCalendar", calendar)
            .maybe("RandomizedDelaySec", delay)
            .set("Persistent", yes_no(schedule.persistent))
            .set("AccuracySec", "1min")
            .set("Unit", COORDINATOR)
            .section("Install")
            .set("WantedBy", "timers.target")
            .done(),
    )
}

/// The schedule as one expression with its time of day.
fn on_calendar(config: &Config) -> Option<String> {
    let schedule = &config.schedule;
    let text = schedule.frequency.as_str();
    let calendar = schedule_expression(text, schedule.time_of_day.time()).ok()?;
    let midnight = schedule_expression(text, chrono::NaiveTime::MIN).ok()?;
    let noon = schedule_expression(text, chrono::NaiveTime::from_hms_opt(12, 0, 0)?).ok()?;
    // One that names its time stands as it was written.
    Some(if midnight == noon {
        text.replace('%', "%%")
    } else {
        calendar.normalized()
    })
}

/// `backup-retry.timer`.
pub(super) fn retry() -> String {
    File::new("Backup again if the schedule was not served")
        .set("Documentation", "man:backup(1)")
        .section("Timer")
        .because("A timer that fires on battery, without the disk, or in the hour that the change")
        .because("of clocks leaves out, counts as done for systemd: so the program is asked again.")
        .set("OnActiveSec", RETRY)
        .set("OnUnitInactiveSec", RETRY)
        .set("AccuracySec", "1min")
        .set("Unit", COORDINATOR)
        .section("Install")
        .set("WantedBy", "timers.target")
        .done()
}

/// `backup-health-check.timer`.
pub(super) fn health(config: &Config) -> String {
    File::new("Check of the backup's health on its schedule")
        .set("Documentation", "man:backup(1)")
        .section("Timer")
        .set(
            "OnCalendar",
            config
                .monitoring
                .health_check_interval
                .as_str()
                .replace('%', "%%"),
        )
        .set("RandomizedDelaySec", "1h")
        .set("Persistent", "yes")
        .section("Install")
        .set("WantedBy", "timers.target")
        .done()
}

/// The udev rule. At boot there is the timer, so only changes count (`udev(7)`, `SYSTEMD_WANTS` in
/// systemd.device(5)).
pub(super) fn power() -> String {
    format!(
        "# Belongs into /etc/udev/rules.d: asks for a deferred backup when AC power comes back.\n\
         ACTION==\"change\", SUBSYSTEM==\"power_supply\", ATTR{{type}}==\"Mains\", \
         ATTR{{online}}==\"1\", TAG+=\"systemd\", ENV{{SYSTEMD_WANTS}}+=\"{COORDINATOR}\"\n"
    )
}

pub(super) fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
