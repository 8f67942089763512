//! Days, weeks and months, and the snapshot that stands for each.
//!
//! Owns the calendar of retention and the one order that picks a representative. It must not know
//! about pins, clocks or reasons: it sees only snapshots that count.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc, Weekday};
use schema::{KeepReason, SnapshotId, Tier};

use super::{Candidate, Policy};

/// The first day of the tier's bucket that `day` falls into; buckets are named by it.
pub(super) fn bucket(tier: Tier, week_starts_on: Weekday, day: NaiveDate) -> NaiveDate {
    let back = match tier {
        Tier::Daily => 0,
        Tier::Weekly => day.weekday().days_since(week_starts_on),
        Tier::Monthly => day.day0(),
    };
    // Only the week of the first date that can be written has no first day.
    day.checked_sub_days(Days::new(back.into()))
        .unwrap_or(NaiveDate::MIN)
}

/// Why the representative of this bucket is kept.
pub(super) fn reason(tier: Tier, bucket: NaiveDate) -> KeepReason {
    match tier {
        Tier::Daily => KeepReason::Daily { day: bucket },
        Tier::Weekly => KeepReason::Weekly { week_start: bucket },
        Tier::Monthly => KeepReason::Monthly {
            year: bucket.year(),
            month: bucket.month(),
        },
    }
}

/// The order within a bucket; the greatest stands for it.
///
/// Complete before errors, then the earliest day, then the newest of that day. Within one day the
/// middle part is equal, so the same order serves all tiers, and a weekly is always a daily.
fn rank(of: &Candidate) -> (bool, Reverse<NaiveDate>, DateTime<Utc>, SnapshotId) {
    (of.complete, Reverse(of.day), of.started_at, of.id)
}

/// The representative of each bucket that has one.
pub(super) fn representatives<'a>(
    tier: Tier,
    week_starts_on: Weekday,
    counting: impl IntoIterator<Item = &'a Candidate>,
) -> BTreeMap<NaiveDate, &'a Candidate> {
    let mut best: BTreeMap<NaiveDate, &Candidate> = BTreeMap::new();
    for one in counting {
        best.entry(bucket(tier, week_starts_on, one.day))
            .and_modify(|held| {
                if rank(one) > rank(held) {
                    *held = one;
                }
            })
            .or_insert(one);
    }
    best
}

/// The buckets that the tier keeps, each with its representative.
pub(super) fn kept<'a>(
    tier: Tier,
    policy: &Policy,
    counting: &[&'a Candidate],
) -> BTreeMap<NaiveDate, &'a Candidate> {
    // The complete ones are counted alone first: a bucket with errors must not use up the place of
    // a complete one. Where both passes keep a bucket, they name the same snapshot.
    let keep = policy.keep(tier) as usize;
    let last = |complete_only: bool| {
        let line = counting
            .iter()
            .copied()
            .filter(move |one| one.complete || !complete_only);
        representatives(tier, policy.week_starts_on, line)
            .into_iter()
            .rev()
            .take(keep)
    };
    last(true).chain(last(false)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_week_starts_on_the_configured_day_and_has_seven_days() {
        // 2025-01-12 is a Sunday.
        for (start, of, first) in [
            (Weekday::Sun, "2025-01-12", "2025-01-12"),
            (Weekday::Sun, "2025-01-18", "2025-01-12"),
            (Weekday::Sun, "2025-01-11", "2025-01-05"),
            (Weekday::Mon, "2025-01-12", "2025-01-06"),
            (Weekday::Mon, "2025-01-13", "2025-01-13"),
            (Weekday::Sat, "2025-01-12", "2025-01-11"),
            (Weekday::Sat, "2025-01-10", "2025-01-04"),
            // Across the year and a leap day.
            (Weekday::Mon, "2025-01-01", "2024-12-30"),
            (Weekday::Sun, "2024-03-01", "2024-02-25"),
        ] {
            assert_eq!(
                bucket(Tier::Weekly, start, day(of)),
                day(first),
                "{start} {of}"
            );
        }
    }

    #[test]
    fn a_month_is_named_by_its_first_day() {
        let first = bucket(Tier::Monthly, Weekday::Sun, day("2024-02-29"));
        assert_eq!(first, day("2024-02-01"));
        assert_eq!(
            reason(Tier::Monthly, first).to_string(),
            "monthly of 2024-02"
        );
    }

    #[test]
    fn the_first_date_there_is_has_a_week() {
        for start in [Weekday::Mon, Weekday::Thu, Weekday::Sun] {
            assert!(bucket(Tier::Weekly, start, NaiveDate::MIN) <= NaiveDate::MIN);
        }
    }
}
