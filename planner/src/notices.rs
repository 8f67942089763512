//! How often people are told of what no step of a run tells: errors before there is a plan, and runs
//! that were deferred for too long.
//!
//! Owns when that is told. Whom, how and in which words is the executor's.

use chrono::{DateTime, FixedOffset};
use schema::{
    Config,
    clock::is_ahead,
    notified::{Deferrals, NotifiedError, was_lately},
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

#[cfg(test)]
mod tests {
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
