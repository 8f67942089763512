//! Rules about `schedule.frequency`, `monitoring.healthCheckInterval` and `monitoring.drill.schedule`.
//!
//! The grammar is `calendar`'s. Whether an expression ever elapses again needs a clock, so the rules
//! do not ask it: [`never_again`] is for whoever has one.

use chrono::{DateTime, FixedOffset};
use schema::Config;

use super::{fault::Fault, finding::RuleFinding};
use crate::calendar::{Calendar, InvalidCalendar, schedule_expression};

/// When backups run.
pub(super) fn frequency(config: &Config) -> Vec<RuleFinding> {
    let schedule = &config.schedule;
    let time = schedule.time_of_day.time();
    let calendar = schedule_expression(schedule.frequency.as_str(), time);
    invalid("schedule.frequency", calendar)
}

/// When health checks run.
pub(super) fn health_check(config: &Config) -> Vec<RuleFinding> {
    let interval = config.monitoring.health_check_interval.as_str();
    invalid("monitoring.healthCheckInterval", interval.parse())
}

/// When drills run.
pub(super) fn drill(config: &Config) -> Vec<RuleFinding> {
    let schedule = config.monitoring.drill.schedule.as_str();
    invalid("monitoring.drill.schedule", schedule.parse())
}

/// The calendar expressions in use that elapse no more: systemd accepts them, starts the timer, and
/// nothing ever happens.
///
/// `now` is the time that `check` and the health check have.
#[must_use]
pub fn never_again(config: &Config, now: DateTime<FixedOffset>) -> Vec<Fault> {
    let schedule = &config.schedule;
    let monitoring = &config.monitoring;
    let time = schedule.time_of_day.time();
    let frequency = schedule.frequency.as_str();
    let interval = monitoring.health_check_interval.as_str();
    let frequency = schedule.enable.then(|| {
        let calendar = schedule_expression(frequency, time);
        ("schedule.frequency", frequency, calendar)
    });
    let interval = monitoring.enable.then(|| {
        let calendar = interval.parse::<Calendar>();
        ("monitoring.healthCheckInterval", interval, calendar)
    });
    let drill = monitoring.drill.enable.then(|| {
        let schedule = monitoring.drill.schedule.as_str();
        let calendar = schedule.parse::<Calendar>();
        ("monitoring.drill.schedule", schedule, calendar)
    });
    let common = [frequency, interval, drill].into_iter().flatten();
    let common = common.map(|(path, text, calendar)| (path.to_owned(), text.to_owned(), calendar));
    let own = config.chains().into_iter().filter_map(|name| {
        let path = config.path_of(&name, "schedule.frequency");
        let Config { schedule, .. } = config.view(&name)?;
        let of_its_own = schedule.enable && path != "schedule.frequency";
        let text = schedule.frequency.as_str();
        let calendar = schedule_expression(text, schedule.time_of_day.time());
        of_its_own.then(|| (path, text.to_owned(), calendar))
    });
    common
        .chain(own)
        .filter(|(_, _, calendar)| {
            let next = calendar
                .as_ref()
                .map(|one| one.next_after(now.naive_local()));
            next.is_ok_and(|next| next.is_none())
        })
        .map(|(path, text, _)| {
            Fault::new(
                path.clone(),
                "this never elapses again, so nothing is ever started",
            )
            .found(format!("\"{text}\""))
            .expected("an expression with moments in the future, such as \"*-*-1/2\"")
            .hint(format!(
                "set `{path}` to one for which `systemd-analyze calendar` names a next elapse"
            ))
        })
        .collect()
}

fn invalid(path: &str, calendar: Result<Calendar, InvalidCalendar>) -> Vec<RuleFinding> {
    let finding = |error: InvalidCalendar| {
        RuleFinding::new(path, error.to_string())
            .expected("a calendar expression such as \"daily\" or \"Mon,Wed,Fri\"")
            .hint(format!(
                "set `{path}` to an expression that `systemd-analyze calendar` accepts"
            ))
    };
    calendar.err().map(finding).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_of_past_years_only_never_elapses_again() {
        let config = |json: &str| serde_json::from_str::<Config>(json).unwrap();
        let found = |json: &str, now: &str| {
            let faults = never_again(&config(json), now.parse().unwrap());
            let paths = faults.into_iter().map(|fault| fault.path);
            paths.collect::<Vec<String>>()
        };
        let odd = r#"{"schedule": {"enable": true, "frequency": "2025-*-1/2"}}"#;
        assert_eq!(found(odd, "2025-12-31T01:00:00+01:00"), [""; 0]);
        assert_eq!(
            found(odd, "2025-12-31T02:00:00+01:00"),
            ["schedule.frequency"]
        );
        let off = r#"{"schedule": {"frequency": "2025-*-1/2"}}"#;
        assert_eq!(found(off, "2026-01-01T00:00:00+00:00"), [""; 0]);
        let checks = r#"{"monitoring": {"healthCheckInterval": "2024-02-30"}}"#;
        assert_eq!(
            found(checks, "2024-01-01T00:00:00+00:00"),
            ["monitoring.healthCheckInterval"]
        );
        let own = r#"{"schedule": {"enable": true}, "destinations": {
            "usb": {"type": "disk", "schedule": {"frequency": "2024-02-30"}},
            "nas": {"type": "disk"}}}"#;
        assert_eq!(
            found(own, "2024-01-01T00:00:00+00:00"),
            ["destinations.usb.schedule.frequency"]
        );
    }
}
