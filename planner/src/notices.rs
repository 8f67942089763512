//! How often people are told of what no step of a run tells: errors before there is a plan, runs
//! that were deferred for too long, and the report over a period.
//!
//! Owns when that is told. Whom, how and in which words is the executor's.

use chrono::{DateTime, Datelike as _, Days, FixedOffset, Months, NaiveDate, NaiveTime, Weekday};
use schema::{
    Config,
    clock::is_ahead,
    config::ReportPeriod,
    notified::{Deferrals, MailedReport, NotifiedError, was_lately},
};

use crate::schedule;

type Time = DateTime<FixedOffset>;

/// A call by a timer. Whoever started a backup by hand is told of each error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerCall {
    /// Whether it is the timer that asks again every quarter of an hour.
    pub is_retry: bool,
}

/// Whether people are told of an error, and whether that can only be said after it was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorNotice {
    /// They are told.
    Notify,
    /// They are told, and that is remembered; if it cannot be, `otherwise` says whether they are.
    RememberFirst {
        /// Whether they are told of what cannot be remembered.
        otherwise: bool,
    },
    /// They were told of it lately.
    Suppress,
}

/// Decides whether people are told of an error that ended a backup before it could tell of itself;
/// `last` is the last one that they were told of. Without a state directory (`is_remembering` is
/// false), and of what cannot be remembered, the timer itself tells and not the one that asks again.
#[must_use]
pub fn decide_error(
    message: &str,
    last: Option<&NotifiedError>,
    timer: Option<TimerCall>,
    is_remembering: bool,
    now: Time,
) -> ErrorNotice {
    let Some(timer) = timer else {
        return ErrorNotice::Notify;
    };
    let otherwise = !timer.is_retry;
    if !is_remembering {
        return if otherwise {
            ErrorNotice::Notify
        } else {
            ErrorNotice::Suppress
        };
    }
    if last.is_some_and(|last| last.is_of(message) && was_lately(last.at, now)) {
        return ErrorNotice::Suppress;
    }
    ErrorNotice::RememberFirst { otherwise }
}

/// What is remembered of deferred runs once another one is. Those of a clock that was ahead say
/// nothing of how long it has been.
#[must_use]
pub fn deferrals_with_one_more(known: Option<Deferrals>, now: Time) -> Deferrals {
    let credible = known.filter(|known| !is_ahead(known.since, now));
    credible.unwrap_or_else(|| Deferrals::new(now))
}

/// Whether people would be told of a deferred run, if the last good backup is too old.
#[must_use]
pub fn wants_deferral_notice(config: &Config, deferrals: &Deferrals, now: Time) -> bool {
    let wanted = &config.notifications;
    wanted.enable && wanted.on_failure && !deferrals.was_notified_lately(now)
}

/// Whether the last good backup is too old for another deferral to pass in silence. Without any
/// backup the first deferred run is what its age is counted from.
#[must_use]
pub fn is_late_with_deferrals(
    config: &Config,
    deferrals: &Deferrals,
    last_good_at: Option<Time>,
    now: Time,
) -> bool {
    let since = last_good_at.unwrap_or(deferrals.since);
    schedule::late_since(config, Some(since), now).is_some()
}

/// Since when a report is to tell that is mailed now; none where it is not due. It is once in each week or month,
/// and tells of all the time since the last one: of no more than a year, and no less than a period.
///
/// A time that the clock has not reached yet is of a clock that was ahead, and silences nothing.
#[must_use]
pub fn report_due(config: &Config, last: Option<&MailedReport>, now: Time) -> Option<Time> {
    let wanted = &config.notifications;
    let period = wanted.report?;
    wanted.email.as_ref().filter(|_| wanted.enable)?;
    let today = now.date_naive();
    let (begin, before) = match period {
        ReportPeriod::Weekly => (
            begin_of_week(today, config.local.week_starts_on.into()),
            now.checked_sub_days(Days::new(7)),
        ),
        ReportPeriod::Monthly => (
            today.with_day(1).unwrap_or(today),
            now.checked_sub_months(Months::new(1)),
        ),
    };
    let failed = last.and_then(|last| last.failed.as_ref());
    if failed.is_some_and(|failed| failed.was_tried_lately(now)) {
        return None;
    }
    let sent_at = last.and_then(|last| last.sent_at);
    let sent_at = sent_at.filter(|sent_at| !is_ahead(*sent_at, now));
    // By the clock of where it was sent: who travels west gets no second one.
    if sent_at.is_some_and(|sent_at| sent_at.naive_local() >= begin.and_time(NaiveTime::MIN)) {
        return None;
    }
    let before = before.unwrap_or(now);
    let longest = now.checked_sub_months(Months::new(12)).unwrap_or(before);
    Some(sent_at.map_or(before, |sent_at| sent_at.clamp(longest, before)))
}

fn begin_of_week(day: NaiveDate, starts_on: Weekday) -> NaiveDate {
    let back = (day.weekday().num_days_from_monday() + 7 - starts_on.num_days_from_monday()) % 7;
    day.checked_sub_days(Days::new(back.into())).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use schema::notified::FailedMail;

    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    const TIMER: Option<TimerCall> = Some(TimerCall { is_retry: false });
    const RETRY: Option<TimerCall> = Some(TimerCall { is_retry: true });

    #[test]
    fn a_person_is_told_of_each_error_and_whom_a_timer_serves_once_a_day() {
        let now = at("2025-01-16T02:00:00Z");
        let told = NotifiedError {
            message: "cannot open /mnt/backup".to_owned(),
            at: at("2025-01-15T20:00:00Z"),
        };
        let decide = |timer, last: Option<&NotifiedError>| {
            decide_error("cannot open /mnt/backup", last, timer, true, now)
        };
        assert_eq!(decide(None, Some(&told)), ErrorNotice::Notify);
        assert_eq!(decide(TIMER, Some(&told)), ErrorNotice::Suppress);
        let first = ErrorNotice::RememberFirst { otherwise: true };
        assert_eq!(decide(TIMER, None), first);
        let old = NotifiedError {
            at: at("2025-01-15T02:00:00Z"),
            ..told.clone()
        };
        assert_eq!(decide(TIMER, Some(&old)), first);
        let other = NotifiedError {
            message: "cannot open /home".to_owned(),
            ..told
        };
        assert_eq!(decide(TIMER, Some(&other)), first);
    }

    #[test]
    fn what_cannot_be_remembered_is_not_told_at_every_retry() {
        let now = at("2025-01-16T02:00:00Z");
        let decide = |timer, is_remembering| decide_error("e", None, timer, is_remembering, now);
        assert_eq!(decide(TIMER, false), ErrorNotice::Notify);
        assert_eq!(decide(RETRY, false), ErrorNotice::Suppress);
        let not = ErrorNotice::RememberFirst { otherwise: false };
        assert_eq!(decide(RETRY, true), not);
    }

    #[test]
    fn deferrals_are_counted_from_the_first_and_not_from_a_clock_that_was_ahead() {
        let now = at("2025-01-16T02:00:00Z");
        assert_eq!(deferrals_with_one_more(None, now), Deferrals::new(now));
        let known = Deferrals::new(at("2025-01-14T02:00:00Z"));
        assert_eq!(deferrals_with_one_more(Some(known), now), known);
        let ahead = Deferrals::new(at("2026-01-14T02:00:00Z"));
        assert_eq!(
            deferrals_with_one_more(Some(ahead), now),
            Deferrals::new(now)
        );
    }

    fn mailing(period: &str) -> Config {
        serde_json::from_value(serde_json::json!({
            "notifications": {
                "enable": true,
                "email": {"to": "a@example.org", "from": "b@example.org"},
                "report": period,
            },
        }))
        .unwrap()
    }

    /// Since when a report tells that is due now, after one that was sent then.
    fn due(config: &Config, sent_at: Option<&str>, now: &str) -> Option<String> {
        let last = sent_at.map(|sent_at| MailedReport {
            sent_at: Some(at(sent_at)),
            failed: None,
        });
        let since = report_due(config, last.as_ref(), at(now))?;
        Some(since.format("%m-%d %H:%M").to_string())
    }

    #[test]
    fn a_report_is_due_once_a_week_from_its_first_day_on() {
        // 2025-03-09 is a Sunday, with which weeks begin.
        let weekly = mailing("weekly");
        let sunday = "2025-03-09T02:30:00+01:00";
        assert_eq!(due(&weekly, None, sunday).as_deref(), Some("03-02 02:30"));
        let last = Some("2025-03-02T02:30:00+01:00");
        assert_eq!(due(&weekly, last, "2025-03-08T23:59:00+01:00"), None);
        assert_eq!(
            due(&weekly, last, "2025-03-09T00:10:00+01:00").as_deref(),
            Some("03-02 00:10")
        );
        assert_eq!(
            due(&weekly, Some(sunday), "2025-03-15T02:00:00+01:00"),
            None
        );
        // A machine that was off for a while tells of all that time.
        let late = due(&weekly, last, "2025-04-02T12:00:00+02:00");
        assert_eq!(late.as_deref(), Some("03-02 02:30"));
        // From Berlin to New York on the first day.
        assert_eq!(
            due(
                &weekly,
                Some("2025-03-09T02:00:00+01:00"),
                "2025-03-09T02:00:00-05:00"
            ),
            None
        );
    }

    #[test]
    fn a_monthly_report_is_due_from_the_first_of_the_month_on() {
        let monthly = mailing("monthly");
        let last = Some("2025-02-01T02:00:00+01:00");
        assert_eq!(due(&monthly, last, "2025-02-28T02:00:00+01:00"), None);
        let first = due(&monthly, last, "2025-03-01T02:00:00+01:00");
        assert_eq!(first.as_deref(), Some("02-01 02:00"));
    }

    #[test]
    fn a_clock_that_was_ahead_silences_no_report_and_who_wants_none_gets_none() {
        let weekly = mailing("weekly");
        let now = "2025-03-12T02:00:00+01:00";
        let ahead = Some("2027-01-01T02:00:00+01:00");
        assert_eq!(due(&weekly, ahead, now).as_deref(), Some("03-05 02:00"));
        let mut without = weekly.clone();
        without.notifications.email = None;
        assert_eq!(due(&without, None, now), None);
        let mut off = weekly;
        off.notifications.enable = false;
        assert_eq!(due(&off, None, now), None);
        assert_eq!(due(&Config::default(), None, now), None);
    }

    #[test]
    fn what_could_not_be_sent_is_tried_again_the_next_night_and_not_at_every_retry() {
        let weekly = mailing("weekly");
        let tried_at = at("2025-03-09T02:30:00+01:00");
        let last = MailedReport {
            sent_at: Some(at("2025-03-02T02:30:00+01:00")),
            failed: Some(FailedMail {
                since: tried_at,
                tried_at,
                because: "no sendmail".to_owned(),
                hint: None,
            }),
        };
        let due = |now| report_due(&weekly, Some(&last), at(now)).is_some();
        assert!(!due("2025-03-09T02:45:00+01:00"));
        assert!(due("2025-03-10T02:00:00+01:00"));
    }

    #[test]
    fn people_are_told_of_deferrals_once_a_day_while_the_last_good_backup_is_too_old() {
        let config: Config = serde_json::from_value(serde_json::json!({
            "local": {"enable": true},
            "schedule": {"enable": true},
            "notifications": {"enable": true, "onFailure": true},
        }))
        .unwrap();
        let now = at("2025-01-16T02:00:00Z");
        let mut deferrals = Deferrals::new(at("2025-01-15T02:00:00Z"));
        let late = |deferrals: &Deferrals, good: Option<&str>| {
            is_late_with_deferrals(&config, deferrals, good.map(at), now)
        };
        assert!(!late(&deferrals, None));
        assert!(!late(&deferrals, Some("2025-01-15T02:00:00Z")));
        assert!(late(&deferrals, Some("2025-01-12T02:00:00Z")));
        deferrals.since = at("2025-01-12T02:00:00Z");
        assert!(late(&deferrals, None));
        assert!(wants_deferral_notice(&config, &deferrals, now));
        deferrals.notified_at = Some(at("2025-01-15T20:00:00Z"));
        assert!(!wants_deferral_notice(&config, &deferrals, now));
        deferrals.notified_at = Some(at("2025-01-14T20:00:00Z"));
        assert!(wants_deferral_notice(&config, &deferrals, now));
        let mut off = config.clone();
        off.notifications.on_failure = false;
        assert!(!wants_deferral_notice(&off, &deferrals, now));
    }
}
