//! Which snapshots to keep: a pure function of the policy, the time and what was found.
//!
//! Owns the rules of retention and the reason for every verdict. It must not look at names on the
//! destination, sizes or approvals: what becomes of a verdict is decided elsewhere.
//!
//! # The rules
//!
//! A snapshot *counts* if it is not suspect and starts no more than five minutes in the future.
//!
//! - The last N stay whatever their day (`keepLast`).
//! - The representative of an hour, day, week, month or year is the greatest in one order: complete before
//!   errors, then the earliest day, then the newest of that day, then the greater id.
//! - A tier keeps the representatives of its last N buckets. N counts buckets that have a snapshot,
//!   never time, so that a machine that was off loses nothing.
//! - Kept besides: the newest, the newest complete, the newest verified, whatever is pinned, suspect
//!   or dated in the future.
//!
//! # Why it is safe to prune after each run
//!
//! Each rule picks the greatest in a fixed order, or the last N of those, or filters. Such a choice
//! has two properties: what it picks from many it also picks from fewer, and taking away what it did
//! not pick changes nothing. A union of such choices has them too. Hence pruning after each run ends
//! as pruning once at the end, a survivor of the last N buckets ever filled cannot have been lost on
//! the way, and a snapshot that counts only later (accepted, or the clock caught up) finds the same
//! set as if it had always counted. A new rule must keep the two properties.
//!
//! # Readings
//!
//! Where a plain reading of the rules would collide with what is promised about them:
//!
//! - **Errors take no places.** A bucket that has only snapshots with errors must not push a complete
//!   one out, or a week of unreadable files would cost the week before. So each tier keeps the last N
//!   buckets that have a complete snapshot, and those with errors among the last N of all. For the
//!   same reason the newest complete one stays when the newest has errors, and a verified one with
//!   errors never takes the place of a complete verified one.
//!   `keepLast` counts likewise: the last N complete ones, and those with errors among the last N
//!   of all.
//! - **At most one deletion for each rule in force** (N > 0) holds for complete ones: a new one
//!   enters one bucket of each rule, and each lets go of at most one. That the newest stays is a
//!   rule of its own where no other rule keeps whatever is newest. Of those with errors at most one
//!   more than that may go besides. A former newest that no daily keeps (recorded on an earlier day than an older one,
//!   after a journey westward) and a former newest verified are one more each.
//! - **Clocks.** What is dated in the future is kept and takes no place, until the clock has caught
//!   up with it; then it counts like any other, and the bound is for each that begins to count. If the clock runs ahead while snapshots are sealed, each fills a bucket like any other;
//!   they and the last buckets before them are the last ones ever filled.
//! - **An hour** is one of the clock that the snapshot was started under: the hour that comes twice
//!   when the clocks go back is two.
//! - **A representative is final once its first day is over**, that is over everywhere on Earth. Only
//!   a snapshot that begins to count on the same or an earlier day can replace it (accepted later,
//!   or sealed under a clock that ran backwards). One with errors gives way to a complete one.

mod buckets;
pub mod outlook;
pub mod simulate;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, DurationRound as _, FixedOffset, NaiveDate, TimeDelta, Utc, Weekday};
pub use schema::{ExpireReason, KeepReason, KeepRule};
use schema::{SnapshotId, Tier, clock, config::Local};

/// How many each rule keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The last snapshots, whatever their day.
    pub keep_last: u32,
    /// Hours.
    pub keep_hourly: u32,
    /// Days.
    pub keep_daily: u32,
    /// Weeks.
    pub keep_weekly: u32,
    /// Calendar months.
    pub keep_monthly: u32,
    /// Calendar years.
    pub keep_yearly: u32,
    /// The first day of a week.
    pub week_starts_on: Weekday,
}

impl Policy {
    /// What a configuration asks for.
    #[must_use]
    pub fn of(local: &Local) -> Self {
        Self {
            keep_last: local.keep_last,
            keep_hourly: local.keep_hourly,
            keep_daily: local.keep_daily,
            keep_weekly: local.keep_weekly,
            keep_monthly: local.keep_monthly,
            keep_yearly: local.keep_yearly,
            week_starts_on: local.week_starts_on.into(),
        }
    }

    /// The number of buckets that this tier keeps.
    #[must_use]
    pub fn keep(&self, tier: Tier) -> u32 {
        match tier {
            Tier::Hourly => self.keep_hourly,
            Tier::Daily => self.keep_daily,
            Tier::Weekly => self.keep_weekly,
            Tier::Monthly => self.keep_monthly,
            Tier::Yearly => self.keep_yearly,
        }
    }

    /// How many rules keep something: as many complete snapshots may go for one that is sealed.
    #[must_use]
    pub fn rules_in_force(&self) -> usize {
        let tiers = Tier::ALL.into_iter().filter(|tier| self.keep(*tier) > 0);
        // Where neither these nor days nor hours keep it, the newest is kept as such.
        let newest = self.keep_daily == 0 && self.keep_hourly == 0;
        tiers.count() + usize::from(self.keep_last > 0 || newest)
    }
}

/// A sealed snapshot, as far as retention needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id, unique among those found.
    pub id: SnapshotId,
    /// When it was started; the order of snapshots.
    pub started_at: DateTime<Utc>,
    /// When the hour began that it was started in, by the clock of that time.
    pub hour: DateTime<FixedOffset>,
    /// The local date recorded with it; the only source of its days, weeks, months and years.
    pub day: NaiveDate,
    /// False if it was sealed with listed errors.
    pub complete: bool,
    /// Suspect and not yet accepted.
    pub suspect: bool,
    /// Pinned by a person.
    pub pinned: bool,
    /// Passed a verification.
    pub verified: bool,
}

impl Candidate {
    /// Whether it starts so far in the future that a clock must be wrong.
    #[must_use]
    pub fn in_future(&self, now: DateTime<Utc>) -> bool {
        clock::is_ahead(self.started_at, now)
    }

    /// Whether it can stand for a day, week or month.
    #[must_use]
    pub fn counts(&self, now: DateTime<Utc>) -> bool {
        !self.suspect && !self.in_future(now)
    }

    /// The order of time; equal starts are ordered by id.
    #[must_use]
    pub fn cmp_time(&self, other: &Self) -> Ordering {
        (self.started_at, self.id).cmp(&(other.started_at, other.id))
    }
}

/// When the hour began in which something started, by the clock that it was started under.
#[must_use]
pub fn hour_of(started_at: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
    // Only a time that nothing can be started at has no hour.
    started_at
        .duration_trunc(TimeDelta::hours(1))
        .unwrap_or(started_at)
}

/// The verdict on every snapshot found: each id is in exactly one of the two maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What stays.
    pub keep: BTreeMap<SnapshotId, KeptSnapshot>,
    /// What goes.
    pub expire: BTreeMap<SnapshotId, Expired>,
    /// All ids by time: names may disagree with it when the offset changed.
    order: Vec<SnapshotId>,
}

/// Where a kept snapshot lives and why it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSnapshot {
    /// The longest-lived tier that keeps it, else daily.
    pub home: Tier,
    /// The tiers that keep it, shortest-lived first; empty if only another reason does.
    pub tiers: Vec<Tier>,
    /// All reasons, tiers first; never empty.
    pub reasons: Vec<KeepReason>,
}

/// Why a snapshot is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// The reason, for the plan and for people.
    pub reason: ExpireReason,
}

impl Decision {
    /// What stays, oldest first.
    pub fn kept_by_time(&self) -> impl DoubleEndedIterator<Item = (SnapshotId, &KeptSnapshot)> {
        self.order
            .iter()
            .filter_map(|id| Some((*id, self.keep.get(id)?)))
    }

    /// What goes, oldest first.
    pub fn expired_by_time(&self) -> impl DoubleEndedIterator<Item = (SnapshotId, &Expired)> {
        self.order
            .iter()
            .filter_map(|id| Some((*id, self.expire.get(id)?)))
    }

    /// The ids that this tier keeps, oldest first.
    pub fn in_tier(&self, tier: Tier) -> impl DoubleEndedIterator<Item = SnapshotId> {
        self.kept_by_time()
            .filter(move |(_, kept)| kept.tiers.contains(&tier))
            .map(|(id, _)| id)
    }
}

/// The newest snapshot that counts: the one that must never be deleted.
#[must_use]
pub fn newest_good(found: &[Candidate], now: DateTime<Utc>) -> Option<&Candidate> {
    found
        .iter()
        .filter(|one| one.counts(now))
        .max_by(|a, b| a.cmp_time(b))
}

/// The newest one that lacks nothing; it may be older than the newest good one.
#[must_use]
pub fn newest_complete(found: &[Candidate], now: DateTime<Utc>) -> Option<&Candidate> {
    found
        .iter()
        .filter(|one| one.counts(now) && one.complete)
        .max_by(|a, b| a.cmp_time(b))
}

/// Decides for every snapshot found whether it stays, and says why.
#[must_use]
pub fn decide_retention(policy: &Policy, now: DateTime<Utc>, found: &[Candidate]) -> Decision {
    let counting: Vec<&Candidate> = found.iter().filter(|one| one.counts(now)).collect();
    let mut reasons: BTreeMap<SnapshotId, Vec<(Option<Tier>, KeepReason)>> = BTreeMap::new();
    let mut keep = |id: SnapshotId, tier: Option<Tier>, reason: KeepReason| {
        reasons.entry(id).or_default().push((tier, reason));
    };

    for tier in Tier::ALL {
        for (bucket, one) in buckets::kept(tier, policy, &counting) {
            keep(one.id, Some(tier), buckets::reason(tier, bucket));
        }
    }
    let of = policy.keep_last;
    for id in buckets::last(of, &counting) {
        keep(id, None, KeepReason::Last { of });
    }
    let newest = newest_good(found, now);
    if let Some(one) = newest {
        keep(one.id, None, KeepReason::Newest);
    }
    let complete = newest_complete(found, now);
    if let Some(one) = complete.filter(|one| newest.is_some_and(|top| top.id != one.id)) {
        keep(one.id, None, KeepReason::NewestComplete);
    }
    let verified = counting.iter().filter(|one| one.verified);
    if let Some(one) =
        verified.max_by(|a, b| a.complete.cmp(&b.complete).then_with(|| a.cmp_time(b)))
    {
        keep(one.id, None, KeepReason::NewestVerified);
    }
    for one in found {
        for (holds, reason) in [
            (one.pinned, KeepReason::Pinned),
            (one.in_future(now), KeepReason::Future),
            (one.suspect, KeepReason::Suspect),
        ] {
            if holds {
                keep(one.id, None, reason);
            }
        }
    }

    let keep: BTreeMap<SnapshotId, KeptSnapshot> = reasons
        .into_iter()
        .map(|(id, why)| {
            let tiers: Vec<Tier> = why.iter().filter_map(|(tier, _)| *tier).collect();
            let kept = KeptSnapshot {
                home: tiers.iter().copied().max().unwrap_or(Tier::Daily),
                tiers,
                reasons: why.into_iter().map(|(_, reason)| reason).collect(),
            };
            (id, kept)
        })
        .collect();
    let expire = expired(policy, found, &counting, &keep);
    Decision {
        expire,
        keep,
        order: chronological(found),
    }
}

/// The reason for each snapshot that nothing keeps: the longest-lived rule that it fell out of.
fn expired(
    policy: &Policy,
    found: &[Candidate],
    counting: &[&Candidate],
    keep: &BTreeMap<SnapshotId, KeptSnapshot>,
) -> BTreeMap<SnapshotId, Expired> {
    if found.iter().all(|one| keep.contains_key(&one.id)) {
        return BTreeMap::new();
    }
    let all = |tier| {
        buckets::representatives(tier, policy.week_starts_on, counting.iter().copied())
            .into_values()
            .map(|one| (one.id, one))
            .collect::<BTreeMap<SnapshotId, &Candidate>>()
    };
    let stands: Vec<(Tier, BTreeMap<SnapshotId, &Candidate>)> = Tier::ALL
        .into_iter()
        .map(|tier| (tier, all(tier)))
        .collect();
    let days: BTreeMap<NaiveDate, &Candidate> = all(Tier::Daily)
        .into_values()
        .map(|one| (one.day, one))
        .collect();
    let past = |rule: KeepRule| ExpireReason::PastLimits {
        rule: Some(rule),
        keep_last: policy.keep_last,
        keep_hourly: policy.keep_hourly,
        keep_daily: policy.keep_daily,
        keep_weekly: policy.keep_weekly,
        keep_monthly: policy.keep_monthly,
        keep_yearly: policy.keep_yearly,
    };
    found
        .iter()
        .filter(|one| !keep.contains_key(&one.id))
        .map(|one| {
            let mut held = stands
                .iter()
                .rev()
                .filter(|(tier, those)| policy.keep(*tier) > 0 && those.contains_key(&one.id));
            // Only one that stays is named: a reason must not point at something that goes as well.
            let better = days
                .get(&one.day)
                .filter(|better| better.id != one.id && keep.contains_key(&better.id));
            let reason = match (held.next(), better) {
                (Some((tier, _)), _) => past((*tier).into()),
                (None, Some(better)) => ExpireReason::Superseded {
                    day: one.day,
                    by: better.id,
                    keep_last: Some(policy.keep_last),
                },
                (None, None) if policy.keep_last > 0 => past(KeepRule::Last),
                (None, None) => past(KeepRule::Daily),
            };
            (one.id, Expired { reason })
        })
        .collect()
}

/// All ids, oldest first, each once.
fn chronological(found: &[Candidate]) -> Vec<SnapshotId> {
    let mut order: Vec<&Candidate> = found.iter().collect();
    order.sort_by(|a, b| a.cmp_time(b));
    let mut seen = BTreeSet::new();
    order
        .into_iter()
        .map(|one| one.id)
        .filter(|id| seen.insert(*id))
        .collect()
}

#[cfg(test)]
mod tests;
