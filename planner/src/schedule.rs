//! When backups are due, and since when one is late.
//!
//! A run is due, not merely triggered: timers fire twice, on battery or not at all, so the last
//! good backup is compared with the schedule. Times are the wall clock of the offset in force.

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, TimeDelta};
use schema::{Config, clock::is_ahead};

use crate::calendar::{Calendar, schedule_expression};

type Time = DateTime<FixedOffset>;

/// Whether a backup that was begun then serves the period that began at `since`.
///
/// It does if it was begun later. It does, too, if it was begun at that time of the calendar or later
/// by the wall clock of where it was made, and the two are less than half an interval apart: between
/// them clocks were changed, or the machine travelled. So no week goes by without a backup, and
/// nothing is done twice.
#[must_use]
pub fn serves(config: &Config, since: Time, started_at: Time) -> bool {
    if started_at >= since {
        return true;
    }
    let interval = calendar(config)
        .and_then(|calendar| calendar.interval_hint(since.naive_local()))
        .and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?));
    started_at.naive_local() >= since.naive_local()
        && interval.is_some_and(|interval| (since - started_at) * 2 < interval)
}

/// When the period began that a backup now is for: the schedule's last elapse. None where
/// `schedule.enable` is off, or it never elapsed.
#[must_use]
pub fn due_since(config: &Config, now: Time) -> Option<Time> {
    // From just after now, so that a timer that fires to the second finds its own elapse.
    let after = now.naive_local() + TimeDelta::microseconds(1);
    calendar(config)?
        .previous_before(after)?
        .and_local_timezone(*now.offset())
        .single()
}

/// How long to wait after so many runs of a period that all failed: a quarter of an hour, then
/// twice as long each time, at most six hours. Whoever is told of each failure is not told a
/// hundred times a day.
#[must_use]
pub fn retry_delay(failures: usize) -> TimeDelta {
    match u32::try_from(failures) {
        Ok(0) => TimeDelta::zero(),
        Ok(many @ 1..=5) => TimeDelta::minutes(15 << (many - 1)),
        _ => TimeDelta::hours(6),
    }
}

/// When the schedule elapses next; none where `schedule.enable` is off, or never.
#[must_use]
pub fn next_run(config: &Config, now: Time) -> Option<Time> {
    calendar(config)?
        .next_after(now.naive_local())?
        .and_local_timezone(*now.offset())
        .single()
}

/// How old the last good backup may be: `monitoring.maxAge`, or without that twice the schedule's
/// interval. None where neither says anything.
#[must_use]
pub fn oldest_acceptable(config: &Config, now: Time) -> Option<TimeDelta> {
    if let Some(age) = &config.monitoring.max_age {
        return TimeDelta::from_std(age.as_duration()).ok();
    }
    let interval = calendar(config)?.interval_hint(now.naive_local())?;
    TimeDelta::try_seconds(i64::try_from(interval).ok()?.checked_mul(2)?)
}

/// The share of a copy in the cloud that is read on a day, and of how many: a check a day reads all
/// within thirty days.
#[must_use]
pub fn cloud_share_of(day: NaiveDate) -> (u32, u32) {
    const OF: u32 = 30;
    let day = day.num_days_from_ce().unsigned_abs();
    (day % OF + 1, OF)
}

/// When a calendar elapses in so many days, from `start` on.
///
/// # Errors
/// It elapses more often than `at_most`.
pub fn elapses_within(
    calendar: &Calendar,
    start: NaiveDateTime,
    days: u32,
    at_most: usize,
) -> Result<Vec<NaiveDateTime>, TooMany> {
    let end = start + TimeDelta::days(days.into());
    let mut elapses = Vec::new();
    let mut at = start - TimeDelta::microseconds(1);
    while let Some(next) = calendar.next_after(at).filter(|next| *next < end) {
        if elapses.len() == at_most {
            return Err(TooMany);
        }
        elapses.push(next);
        at = next;
    }
    Ok(elapses)
}

/// More elapses than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Since when a backup is late: the last good one is older than it may be.
#[must_use]
pub fn late_since(config: &Config, last_good: Option<Time>, now: Time) -> Option<Time> {
    last_good?
        .checked_add_signed(oldest_acceptable(config, now)?)
        .filter(|late| *late < now)
}

/// Whether health was last checked longer ago than twice `monitoring.healthCheckInterval`; never
/// where `monitoring.enable` is off.
#[must_use]
pub fn is_check_late(config: &Config, checked_at: Time, now: Time) -> bool {
    let monitoring = &config.monitoring;
    let interval = monitoring.health_check_interval.as_str();
    let calendar: Option<Calendar> = interval.parse().ok().filter(|_| monitoring.enable);
    let limit = calendar
        .and_then(|calendar| calendar.interval_hint(checked_at.naive_local()))
        .and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(2))
        .and_then(TimeDelta::try_seconds);
    // A check of the future says nothing of today.
    limit.is_some_and(|limit| now - checked_at > limit || is_ahead(checked_at, now))
}

/// How long a copy may go without being read back: twice the interval of the health checks that do it, or of
/// its backups where those are rarer, since a drive may be there only then.
#[must_use]
pub fn longest_unread(config: &Config, now: Time) -> Option<TimeDelta> {
    let checks = config.monitoring.health_check_interval.as_str();
    let checks: Option<Calendar> = checks.parse().ok();
    let intervals = [checks, calendar(config)].into_iter().flatten();
    let intervals = intervals.filter_map(|calendar| calendar.interval_hint(now.naive_local()));
    let seconds = i64::try_from(intervals.max()?).ok()?.checked_mul(2)?;
    TimeDelta::try_seconds(seconds)
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

    /// Whether a backup that was begun then is all that is asked for now.
    fn served(config: &Config, started_at: &str, now: &str) -> bool {
        serves(config, due_since(config, at(now)).unwrap(), at(started_at))
    }

    #[test]
    fn a_backup_serves_the_period_in_which_it_was_begun() {
        let daily = config(r#"{"enable": true}"#);
        let now = "2025-01-16T02:00:00+01:00";
        assert!(!served(&daily, "2025-01-15T02:10:00+01:00", now));
        assert!(served(&daily, now, now));
        let later = "2025-01-16T23:00:00+01:00";
        assert!(served(&daily, now, later));
        assert!(!served(&daily, "2025-01-15T23:00:00+01:00", later));
        assert_eq!(due_since(&config("{}"), at(now)), None);
    }

    #[test]
    fn neither_a_change_of_clocks_nor_a_flight_makes_a_weekly_backup_due_again() {
        let weekly = config(r#"{"enable": true, "frequency": "weekly"}"#);
        // Berlin: clocks went back on Sunday, 26 October 2025, and forward on 30 March.
        let monday = "2025-10-20T02:00:00+02:00";
        assert!(served(&weekly, monday, "2025-10-26T12:00:00+01:00"));
        assert!(!served(&weekly, monday, "2025-10-27T02:00:00+01:00"));
        let monday = "2025-03-24T02:00:00+01:00";
        assert!(served(&weekly, monday, "2025-03-30T12:00:00+02:00"));
        assert!(!served(&weekly, monday, "2025-03-31T02:00:00+02:00"));
        // From Tokyo to Los Angeles and the other way.
        let monday = "2025-06-02T02:00:00+09:00";
        assert!(served(&weekly, monday, "2025-06-05T12:00:00-07:00"));
        assert!(!served(&weekly, monday, "2025-06-09T02:00:00-07:00"));
        let monday = "2025-06-02T02:00:00-07:00";
        assert!(served(&weekly, monday, "2025-06-05T12:00:00+09:00"));
        assert!(!served(&weekly, monday, "2025-06-09T02:00:00+09:00"));
    }

    #[test]
    fn a_daily_backup_is_made_once_in_the_night_that_has_its_time_twice() {
        let daily = config(r#"{"enable": true}"#);
        let first = "2025-10-26T02:00:00+02:00";
        assert!(served(&daily, first, "2025-10-26T02:20:00+01:00"));
        assert!(served(&daily, first, "2025-10-26T23:00:00+01:00"));
        assert!(!served(&daily, first, "2025-10-27T02:00:00+01:00"));
        // Half a day later by the sun, though of the same date: a flight over the date line.
        let tokyo = "2025-06-03T02:00:00+09:00";
        assert!(!served(&daily, tokyo, "2025-06-03T02:00:00-07:00"));
    }

    #[test]
    fn a_health_check_is_late_after_twice_its_interval() {
        let mut config = config("{}");
        let checked = at("2025-01-06T12:00:00+01:00");
        let late = |config: &Config, now| is_check_late(config, checked, at(now));
        assert!(!late(&config, "2025-01-20T11:00:00+01:00"));
        assert!(late(&config, "2025-01-20T13:00:00+01:00"));
        assert!(
            late(&config, "2024-01-06T13:00:00+01:00"),
            "of a clock ahead"
        );
        config.monitoring.enable = false;
        assert!(!late(&config, "2025-01-20T13:00:00+01:00"));
    }

    #[test]
    fn thirty_days_in_a_row_read_all_of_a_copy() {
        let first = NaiveDate::from_ymd_opt(2025, 2, 20).unwrap();
        let shares = first.iter_days().take(30).map(cloud_share_of);
        let mut parts: Vec<u32> = shares
            .map(|(part, of)| {
                assert_eq!(of, 30);
                part
            })
            .collect();
        parts.sort_unstable();
        assert_eq!(parts, (1..=30).collect::<Vec<_>>());
    }

    #[test]
    fn elapses_are_counted_from_the_start_to_the_end_without_it() {
        let start = at("2025-01-16T02:00:00Z").naive_utc();
        let calendar: Calendar = "*-*-* 02:00:00".parse().unwrap();
        let elapses = |days, at_most| elapses_within(&calendar, start, days, at_most);
        let three = elapses(3, 3).unwrap();
        assert_eq!(three, [0, 1, 2].map(|day| start + TimeDelta::days(day)));
        assert_eq!(elapses(3, 2), Err(TooMany));
    }

    #[test]
    fn failures_are_tried_again_at_growing_distances() {
        let minutes: Vec<i64> = (0..8)
            .map(|failures| retry_delay(failures).num_minutes())
            .collect();
        assert_eq!(minutes, [0, 15, 30, 60, 120, 240, 360, 360]);
    }

    #[test]
    fn on_the_day_that_leaves_the_time_out_a_backup_is_due_all_the_same() {
        // In Berlin there was no 02:00 on this day, and systemd's timer did not elapse.
        let daily = config(r#"{"enable": true}"#);
        let last = "2027-03-27T02:10:00+01:00";
        assert!(served(&daily, last, "2027-03-28T01:59:00+01:00"));
        assert!(!served(&daily, last, "2027-03-28T03:00:00+02:00"));
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
        // A person who starts backups by hand may say how old the last one may be.
        strict.schedule.enable = false;
        assert!(late_since(&strict, old, now).is_some());
        strict.schedule.enable = true;
        assert_eq!(
            next_run(&strict, now),
            Some(at("2025-01-20T02:00:00+01:00"))
        );
    }
}
