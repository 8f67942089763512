//! How far clocks may differ, and what a time says that lies in the future.
//!
//! Owns the one tolerance. Clocks are set wrong and put right: a year ahead by a dead battery, back to
//! 1970 by another, an hour by a person. Whatever is compared with now asks here.

use chrono::{DateTime, FixedOffset, TimeDelta, TimeZone};

type Time = DateTime<FixedOffset>;

/// How far a time may lie in the future before a clock is taken to have been wrong.
pub const FUTURE_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Whether a time lies so far in the future that a clock must be wrong, then or now.
#[must_use]
pub fn is_ahead<A: TimeZone, B: TimeZone>(time: DateTime<A>, now: DateTime<B>) -> bool {
    time.signed_duration_since(now) > FUTURE_TOLERANCE
}

/// The time from then till now; never less than none.
#[must_use]
pub fn age<A: TimeZone, B: TimeZone>(time: DateTime<A>, now: DateTime<B>) -> TimeDelta {
    now.signed_duration_since(time).max(TimeDelta::zero())
}

/// Whether something that happened at `time` is less than `rest` ago. A time of the future says
/// nothing: what was told or tried under a clock that was ahead neither silences nor delays
/// anything now.
#[must_use]
pub fn is_within<A: TimeZone, B: TimeZone>(
    time: DateTime<A>,
    now: DateTime<B>,
    rest: TimeDelta,
) -> bool {
    !is_ahead(time.clone(), now.clone()) && now.signed_duration_since(time) < rest
}

/// Which times of what happened one after the other are credible now: none that lies in the future,
/// and none that lies after a later one, for then the clock was put back in between.
///
/// `newest_first` are the times in the order of events, the last event first.
#[must_use]
pub fn credible_times(newest_first: impl IntoIterator<Item = Time>, now: Time) -> Vec<bool> {
    let mut earliest = now;
    newest_first
        .into_iter()
        .map(|time| {
            let credible = !is_ahead(time, earliest);
            earliest = earliest.min(time);
            credible
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn five_minutes_are_no_future() {
        let now = at("2025-01-16T02:00:00+01:00");
        assert!(!is_ahead(at("2025-01-16T02:05:00+01:00"), now));
        assert!(is_ahead(at("2025-01-16T02:05:01+01:00"), now));
        assert_eq!(age(at("2025-01-16T02:04:00+01:00"), now), TimeDelta::zero());
        assert_eq!(age(at("2025-01-16T00:00:00Z"), now), TimeDelta::hours(1));
    }

    #[test]
    fn a_time_of_the_future_delays_nothing() {
        let now = at("2025-01-16T02:00:00Z");
        let rest = TimeDelta::hours(23);
        assert!(is_within(at("2025-01-15T04:00:00Z"), now, rest));
        assert!(is_within(at("2025-01-16T02:04:00Z"), now, rest));
        assert!(!is_within(at("2025-01-15T03:00:00Z"), now, rest));
        assert!(!is_within(at("2026-01-15T03:00:00Z"), now, rest));
    }

    #[test]
    fn what_lies_after_a_later_event_is_of_a_clock_that_was_ahead() {
        let now = at("2025-01-20T02:30:00Z");
        let newest_first = [
            "2025-01-17T02:00:00Z",
            // Three days ahead: by now it is past, and yet it never was.
            "2025-01-20T02:00:00Z",
            "2025-01-16T02:00:00Z",
            // Put back by a minute meanwhile: clocks may differ by that.
            "2025-01-16T02:01:00Z",
        ];
        let credible = credible_times(newest_first.map(at), now);
        assert_eq!(credible, [true, false, true, true]);
        assert_eq!(credible_times([at("2026-01-01T00:00:00Z")], now), [false]);
    }
}
