//! Hours, days, weeks, months and years, and the snapshot that stands for each.
//!
//! Owns the calendar of retention and the one order that picks a representative. It must not know
//! about pins, clocks or reasons: it sees only snapshots that count.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, Utc, Weekday};
use schema::{KeepReason, SnapshotId, Tier};

use super::{Candidate, Policy};

/// The instant that names a bucket of the tier: an hour by the time it began, all others by the
/// first midnight of their days. Buckets of one tier are in the order of their names.
pub(super) fn bucket(tier: Tier, week_starts_on: Weekday, of: &Candidate) -> DateTime<FixedOffset> {
    let back = match tier {
        Tier::Hourly => return of.hour,
        Tier::Daily => 0,
        Tier::Weekly => of.day.weekday().days_since(week_starts_on),
        Tier::Monthly => of.day.day0(),
        Tier::Yearly => of.day.ordinal0(),
    };
    // Only the week of the first date that can be written has no first day.
    let first = of.day.checked_sub_days(Days::new(back.into()));
    first
        .unwrap_or(NaiveDate::MIN)
        .and_time(NaiveTime::MIN)
        .and_utc()
        .fixed_offset()
}

/// Why the representative of this bucket is kept.
pub(super) fn reason(tier: Tier, bucket: DateTime<FixedOffset>) -> KeepReason {
    let day = bucket.date_naive();
    match tier {
        Tier::Hourly => KeepReason::Hourly { hour: bucket },
        Tier::Daily => KeepReason::Daily { day },
        Tier::Weekly => KeepReason::Weekly { week_start: day },
        Tier::Monthly => KeepReason::Monthly {
            year: day.year(),
            month: day.month(),
        },
        Tier::Yearly => KeepReason::Yearly { year: day.year() },
    }
}

/// The last so many, whatever their day, newest first.
pub(super) fn last(keep: u32, counting: &[&Candidate]) -> BTreeSet<SnapshotId> {
    let mut newest_first = counting.to_vec();
    newest_first.sort_by(|a, b| b.cmp_time(a));
    // As with buckets: those with errors use up no place of a complete one.
    let line = |complete_only: bool| {
        newest_first
            .iter()
            .filter(move |one| one.complete || !complete_only)
            .take(keep as usize)
    };
    line(true).chain(line(false)).map(|one| one.id).collect()
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
) -> BTreeMap<DateTime<FixedOffset>, &'a Candidate> {
    let mut best: BTreeMap<DateTime<FixedOffset>, &Candidate> = BTreeMap::new();
    for one in counting {
        best.entry(bucket(tier, week_starts_on, one))
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
) -> BTreeMap<DateTime<FixedOffset>, &'a Candidate> {
    // The complete ones are counted alone first: a bucket with errors must not use up the place of
    // a complete one. Where both passes keep a bucket, they name the same snapshot.
    let keep = policy.keep(tier) as usize;
    if keep == 0 {
        return BTreeMap::new();
    }
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
    match counting.iter().all(|one| one.complete) {
        // Both passes have the same before them.
        true => last(true).collect(),
        false => last(true).chain(last(false)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(time: &str) -> Candidate {
        let started_at = DateTime::parse_from_rfc3339(time).unwrap();
        Candidate {
            id: SnapshotId::from_local(started_at.naive_local()),
            started_at: started_at.to_utc(),
            hour: super::super::hour_of(started_at),
            day: started_at.date_naive(),
            complete: true,
            suspect: false,
            pinned: false,
            verified: false,
        }
    }

    /// The day that names the bucket of two in the morning of this day.
    fn named(tier: Tier, start: Weekday, day: &str) -> String {
        let bucket = bucket(tier, start, &of(&format!("{day}T02:00:00Z")));
        bucket.date_naive().to_string()
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
            assert_eq!(named(Tier::Weekly, start, of), first, "{start} {of}");
        }
    }

    #[test]
    fn a_month_and_a_year_are_named_by_their_first_day() {
        for (tier, first, said) in [
            (Tier::Monthly, "2024-02-01", "monthly of 2024-02"),
            (Tier::Yearly, "2024-01-01", "yearly of 2024"),
        ] {
            assert_eq!(named(tier, Weekday::Sun, "2024-02-29"), first);
            let bucket = bucket(tier, Weekday::Sun, &of("2024-02-29T02:00:00Z"));
            assert_eq!(reason(tier, bucket).to_string(), said);
        }
    }

    #[test]
    fn an_hour_is_one_of_the_clock_on_the_wall() {
        let bucket = |time| bucket(Tier::Hourly, Weekday::Sun, &of(time));
        let india = bucket("2025-01-16T14:20:00+05:30");
        assert_eq!(india, bucket("2025-01-16T14:59:59+05:30"));
        assert_ne!(india, bucket("2025-01-16T15:00:00+05:30"));
        let said = reason(Tier::Hourly, india).to_string();
        assert_eq!(said, "hourly of 2025-01-16 14:00");
        // The hour that comes twice is two.
        let (summer, winter) = ("2025-10-26T02:10:00+02:00", "2025-10-26T02:10:00+01:00");
        assert_ne!(bucket(summer), bucket(winter));
    }

    #[test]
    fn the_first_date_there_is_has_a_week() {
        for start in [Weekday::Mon, Weekday::Thu, Weekday::Sun] {
            let first = Candidate {
                day: NaiveDate::MIN,
                ..of("2025-01-01T00:00:00Z")
            };
            let week = bucket(Tier::Weekly, start, &first).date_naive();
            assert_eq!(week, NaiveDate::MIN);
        }
    }
}
