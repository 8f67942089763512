//! What is remembered of runs that were deferred and of errors that people were notified of, so that
//! they are told once a day and not at every retry, and of reports that were mailed, which come once in a
//! period: `deferrals.json`, `told-error.json` and `mailed-report.json` in the state directory.

use chrono::{DateTime, FixedOffset, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::clock::is_within;

/// Between two messages. A little less than a day, because timers are not exact.
const BETWEEN: TimeDelta = TimeDelta::hours(23);

/// Between two tries to mail a report: each night again, and not at every retry of a run.
const BETWEEN_TRIES: TimeDelta = TimeDelta::hours(6);

/// Whether something was told so lately that it need not be told again. A clock that was ahead
/// silences nothing.
#[must_use]
pub fn was_lately(notified_at: DateTime<FixedOffset>, now: DateTime<FixedOffset>) -> bool {
    is_within(notified_at, now, BETWEEN)
}

/// The last error that people were notified of without a run to tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedError {
    /// Its message.
    pub message: String,
    /// When.
    pub at: DateTime<FixedOffset>,
}

impl NotifiedError {
    /// Whether another message is of the same error: what has digits in it, such as the id of a run
    /// or how much is free, is another one each time.
    #[must_use]
    pub fn is_of(&self, message: &str) -> bool {
        fn lasting(text: &str) -> impl Iterator<Item = &str> {
            text.split(|one: char| !one.is_alphanumeric())
                .filter(|part| !part.contains(|one: char| one.is_ascii_digit()))
        }
        lasting(&self.message).eq(lasting(message))
    }
}

/// What became of the reports that come by mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailedReport {
    /// When the last one was sent; none if none was.
    pub sent_at: Option<DateTime<FixedOffset>>,
    /// Why none could be sent since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedMail>,
}

/// Why a report could not be mailed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedMail {
    /// When that was first so.
    pub since: DateTime<FixedOffset>,
    /// When it was last tried.
    pub tried_at: DateTime<FixedOffset>,
    /// In a sentence, as the last attempt told it.
    pub because: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl FailedMail {
    /// Whether it was tried so lately that it is not tried again yet.
    #[must_use]
    pub fn was_tried_lately(&self, now: DateTime<FixedOffset>) -> bool {
        is_within(self.tried_at, now, BETWEEN_TRIES)
    }
}

/// Runs that were deferred since the last one that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferrals {
    /// When the first of them was.
    pub since: DateTime<FixedOffset>,
    /// When people were last told.
    #[serde(rename = "told_at")]
    pub notified_at: Option<DateTime<FixedOffset>>,
}

impl Deferrals {
    /// The first one, now.
    #[must_use]
    pub fn new(now: DateTime<FixedOffset>) -> Self {
        Self {
            since: now,
            notified_at: None,
        }
    }

    /// Whether people were told within the last day.
    #[must_use]
    pub fn was_notified_lately(&self, now: DateTime<FixedOffset>) -> bool {
        self.notified_at.is_some_and(|told| was_lately(told, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_once_a_day() {
        let at = |text: &str| text.parse::<DateTime<FixedOffset>>().unwrap();
        let now = at("2025-01-16T02:00:00+01:00");
        let mut deferrals = Deferrals::new(now);
        assert!(!deferrals.was_notified_lately(now));
        deferrals.notified_at = Some(now);
        assert!(deferrals.was_notified_lately(at("2025-01-16T23:50:00+01:00")));
        assert!(!deferrals.was_notified_lately(at("2025-01-17T01:59:00+01:00")));
        assert!(!deferrals.was_notified_lately(at("2025-01-15T01:59:00+01:00")));
    }

    #[test]
    fn an_error_is_the_same_whatever_run_met_it_and_however_much_was_free() {
        let told = |message: &str| NotifiedError {
            message: message.to_owned(),
            at: "2025-01-16T02:00:00+01:00".parse().unwrap(),
        };
        let first =
            told("cannot make /s/runs/2025-03-06_02-00-00-d00fab84/: no room, 40.0 KiB free");
        assert!(
            first.is_of("cannot make /s/runs/2025-03-06_02-15-00-1c03e9b7/: no room, 8 KiB free")
        );
        assert!(!first.is_of("cannot make /s/runs/2025-03-06_02-15-00-1c03e9b7/: read-only"));
        assert!(!first.is_of(""));
    }
}
