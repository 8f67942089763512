//! The rules once more, as slow questions about pairs of snapshots.
//!
//! Shares no code with the implementation, so that both would have to be wrong in the same way.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc};
use planner::retention::{Candidate, Policy};
use schema::Tier;

/// The name of the bucket: found by walking back, a day at a time.
pub(crate) fn bucket(policy: &Policy, tier: Tier, one: &Candidate) -> DateTime<Utc> {
    if tier == Tier::Hourly {
        let offset = *one.hour.offset();
        let start = one.started_at.with_timezone(&offset);
        let since = 60 * start.minute() + start.second();
        return one.started_at - TimeDelta::seconds(i64::from(since));
    }
    let is_first = |day: NaiveDate| match tier {
        Tier::Hourly | Tier::Daily => true,
        Tier::Weekly => day.weekday() == policy.week_starts_on,
        Tier::Monthly => day.day() == 1,
        Tier::Yearly => day.ordinal() == 1,
    };
    let mut first = one.day;
    if tier == Tier::Yearly {
        // So many steps would take minutes.
        first = first.with_month(1).unwrap_or(first);
    }
    while !is_first(first) {
        first = first.pred_opt().unwrap();
    }
    first.and_hms_opt(0, 0, 0).unwrap().and_utc()
}

pub(crate) fn number(policy: &Policy, tier: Tier) -> usize {
    let keep = match tier {
        Tier::Hourly => policy.keep_hourly,
        Tier::Daily => policy.keep_daily,
        Tier::Weekly => policy.keep_weekly,
        Tier::Monthly => policy.keep_monthly,
        Tier::Yearly => policy.keep_yearly,
    };
    usize::try_from(keep).unwrap()
}

/// Rules that keep something; that the newest stays is one where nothing else keeps it.
pub(crate) fn rules(policy: &Policy) -> usize {
    let kept = Tier::ALL.map(|tier| number(policy, tier));
    let tiers = kept.iter().filter(|keep| **keep > 0).count();
    let short = policy.keep_last + policy.keep_hourly + policy.keep_daily;
    tiers + usize::from(policy.keep_last > 0 || short == 0)
}

pub(crate) fn counts(one: &Candidate, now: DateTime<Utc>) -> bool {
    !one.suspect && one.started_at <= now + TimeDelta::minutes(5)
}

pub(crate) fn newer(a: &Candidate, b: &Candidate) -> bool {
    a.started_at > b.started_at || (a.started_at == b.started_at && a.id > b.id)
}

/// Whether `a` stands for a bucket rather than `b`.
fn better(a: &Candidate, b: &Candidate) -> bool {
    if a.complete != b.complete {
        return a.complete;
    }
    if a.day != b.day {
        return a.day < b.day;
    }
    newer(a, b)
}

/// Whether `one` stands for its bucket among `all`.
pub(crate) fn stands(policy: &Policy, tier: Tier, one: &Candidate, all: &[&Candidate]) -> bool {
    let of = |one: &Candidate| bucket(policy, tier, one);
    !all.iter()
        .any(|other| of(other) == of(one) && better(other, one))
}

/// Whether fewer than N buckets among `all` are later than that of `one`.
pub(crate) fn among_last(policy: &Policy, tier: Tier, one: &Candidate, all: &[&Candidate]) -> bool {
    let of = |one: &Candidate| bucket(policy, tier, one);
    let later: BTreeSet<DateTime<Utc>> = all.iter().map(|other| of(other)).collect();
    later.range(of(one)..).count() <= number(policy, tier)
}

/// The tiers that keep `one`.
pub(crate) fn tiers(
    policy: &Policy,
    now: DateTime<Utc>,
    one: &Candidate,
    found: &[Candidate],
) -> Vec<Tier> {
    if !counts(one, now) {
        return Vec::new();
    }
    let counting: Vec<&Candidate> = found.iter().filter(|one| counts(one, now)).collect();
    // A snapshot with errors waits in the line of all, a complete one in the line of its like.
    let line: Vec<&Candidate> = counting
        .iter()
        .copied()
        .filter(|other| other.complete || !one.complete)
        .collect();
    Tier::ALL
        .into_iter()
        .filter(|tier| number(policy, *tier) > 0)
        .filter(|tier| stands(policy, *tier, one, &counting))
        .filter(|tier| among_last(policy, *tier, one, &line))
        .collect()
}

/// Whether something besides the tiers keeps `one`.
pub(crate) fn kept_anyway(
    policy: &Policy,
    now: DateTime<Utc>,
    one: &Candidate,
    found: &[Candidate],
) -> bool {
    let rivals = || found.iter().filter(|other| counts(other, now));
    let ahead = rivals().filter(|other| newer(other, one) && (other.complete || !one.complete));
    let last = ahead.count() < usize::try_from(policy.keep_last).unwrap();
    let newest = !rivals().any(|other| newer(other, one));
    let newest_complete =
        one.complete && !rivals().any(|other| other.complete && newer(other, one));
    let newest_verified = one.verified
        && !rivals().any(|other| {
            let ahead = (other.complete, newer(other, one)) > (one.complete, false);
            other.verified && other.id != one.id && ahead
        });
    last || one.pinned || !counts(one, now) || newest || newest_complete || newest_verified
}
