//! When backups are due, and since when one is late.
//!
//! A run is due, not merely triggered: timers fire twice, on battery or not at all, so the last
//! good backup is compared with the schedule. Times are the wall clock of the offset in force.

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::Config;

use crate::calendar::{Calendar, schedule_expression};

type Time = DateTime<FixedOffset>;

/// Whether the schedule asks for a backup: it elapsed since the last good one was started.
///
/// Nothing is due where `schedule.enable` is off.
#[must_use]
pub fn is_due(config: &Config, last_good: Option<Time>, now: Time) -> bool {
    let Some(calendar) = calendar(config) else {
        return false;
    };
    let Some(last_good) = last_good else {
        return true;
    };
    // From just after now, so that a timer that fires to the second finds its own elapse.
    let after = now.naive_local() + TimeDelta::microseconds(1);
    calendar
        .previous_before(after)
        .and_then(|elapse| elapse.and_local_timezone(*now.offset()).single())
        .is_some_and(|elapse| last_good < elapse)
}

/// When the schedule elapses next; none where `schedule.enable` is off, or never.
#[must_use]
pub fn next_run(config: &Config, now: Time) -> Option<Time> {
    calendar(config)?
        .next_after(now.naive_local())?
        .and_local_timezone(*now.offset())
        .single()
}

/// Since when a backup is late: the last good one is older than `monitoring.maxAge`, or without
/// that than twice the schedule's interval; never where there is neither.
#[must_use]
pub fn late_since(config: &Config, last_good: Option<Time>, now: Time) -> Option<Time> {
    let limit = match &config.monitoring.max_age {
        Some(age) => TimeDelta::from_std(age.as_duration()).ok()?,
        None => {
            let hint = calendar(config)?.interval_hint(now.naive_local())?;
            let seconds = i64::try_from(hint).ok()?;
            TimeDelta::try_seconds(seconds.checked_mul(2)?)?
        }
    };
    last_good?
        .checked_add_signed(limit)
        .filter(|late| *late < now)
}

/// The schedule's calendar. The config was checked, so an expression that cannot be read is none.
fn calendar(config: &Config) -> Option<Calendar> {
    let schedule = &config.schedule;
    let time = schedule.time_of_day.time();
    schedule
        .enable
        .then(|| schedule_expression(schedule.frequency.as_str(), time).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(&format!("{{\"schedule\": {json}}}")).unwrap()
    }

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn a_backup_is_due_once_in_each_period() {
        let daily = config(r#"{"enable": true}"#);
        let now = at("2025-01-16T02:00:00+01:00");
        assert!(is_due(&daily, None, now));
        assert!(is_due(&daily, Some(at("2025-01-15T02:10:00+01:00")), now));
        assert!(!is_due(&daily, Some(at("2025-01-16T02:00:00+01:00")), now));
        let later = at("2025-01-16T23:00:00+01:00");
        assert!(!is_due(
            &daily,
            Some(at("2025-01-16T02:00:00+01:00")),
            later
        ));
        assert!(is_due(&daily, Some(at("2025-01-15T23:00:00+01:00")), later));
        assert!(!is_due(&config("{}"), None, now));
    }

    #[test]
    fn a_backup_is_late_after_twice_the_interval_or_the_given_age() {
        let now = at("2025-01-16T12:00:00+01:00");
        let daily = config(r#"{"enable": true}"#);
        let old = Some(at("2025-01-14T02:00:00+01:00"));
        assert_eq!(
            late_since(&daily, old, now),
            Some(at("2025-01-16T02:00:00+01:00"))
        );
        assert_eq!(
            late_since(&daily, Some(at("2025-01-15T02:00:00+01:00")), now),
            None
        );
        let weekly = config(r#"{"enable": true, "frequency": "weekly"}"#);
        assert_eq!(late_since(&weekly, old, now), None);
        let mut strict = weekly;
        strict.monitoring.max_age = "1d".parse().ok();
        assert_eq!(
            late_since(&strict, old, now),
            Some(at("2025-01-15T02:00:00+01:00"))
        );
        let mut unscheduled = config("{}");
        assert_eq!(late_since(&unscheduled, old, now), None);
        unscheduled.monitoring.max_age = "1d".parse().ok();
        assert_eq!(
            late_since(&unscheduled, old, now),
            Some(at("2025-01-15T02:00:00+01:00"))
        );
        assert_eq!(
            next_run(&strict, now),
            Some(at("2025-01-20T02:00:00+01:00"))
        );
    }
}
