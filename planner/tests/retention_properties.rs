//! What retention promises, checked over random histories: each promise is one test.
//!
//! The checks know the whole history and a slow model of the rules; they must not lean on the
//! implementation's own helpers. `RETENTION_HISTORIES` sets how many histories each test lives.

#![allow(clippy::unwrap_used)]

#[path = "retention/history.rs"]
mod history;
#[path = "retention/model.rs"]
mod model;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use history::{ANY, Clock, History, Kind, Moment, PLAIN, histories, live, policies};
use planner::retention::{
    Candidate, Decision, KeepReason, KeptSnapshot, Policy, decide_retention, newest_good,
};
use proptest::prelude::*;
use schema::{SnapshotId, Tier};

/// Every kind of history except those where the clock jumps.
const STEADY_CLOCK: Kind = Kind {
    jumps: false,
    ..ANY
};

fn cases() -> ProptestConfig {
    // The number of cases is the one thing that a nightly run changes.
    #[allow(clippy::disallowed_methods)]
    let wanted = std::env::var("RETENTION_HISTORIES");
    ProptestConfig {
        cases: wanted.map_or(256, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn kept(decision: &Decision) -> BTreeSet<SnapshotId> {
    decision.keep.keys().copied().collect()
}

fn expired(decision: &Decision) -> BTreeSet<SnapshotId> {
    decision.expire.keys().copied().collect()
}

fn with(all: &[Candidate], test: impl Fn(&Candidate) -> bool) -> Vec<&Candidate> {
    all.iter().filter(|one| test(one)).collect()
}

fn owned(some: &[&Candidate]) -> Vec<Candidate> {
    some.iter().map(|one| (*one).clone()).collect()
}

/// The snapshot that each kept bucket names as its representative.
fn named(decision: &Decision) -> BTreeMap<(Tier, DateTime<Utc>), SnapshotId> {
    let first = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let mut named = BTreeMap::new();
    for (id, kept) in &decision.keep {
        for reason in &kept.reasons {
            let bucket = match *reason {
                KeepReason::Hourly { hour } => (Tier::Hourly, hour.to_utc()),
                KeepReason::Daily { day } => (Tier::Daily, first(day)),
                KeepReason::Weekly { week_start } => (Tier::Weekly, first(week_start)),
                KeepReason::Monthly { year, month } => (
                    Tier::Monthly,
                    first(NaiveDate::from_ymd_opt(year, month, 1).unwrap()),
                ),
                KeepReason::Yearly { year } => (
                    Tier::Yearly,
                    first(NaiveDate::from_ymd_opt(year, 1, 1).unwrap()),
                ),
                _ => continue,
            };
            assert_eq!(named.insert(bucket, *id), None, "two stand for {bucket:?}");
        }
    }
    named
}

/// When nobody on Earth writes this date any more: the last are at UTC−12.
fn over_everywhere(day: NaiveDate) -> DateTime<Utc> {
    (day.and_time(NaiveTime::MIN) + TimeDelta::hours(36)).and_utc()
}

/// Deletions, at the moments that carry them out, of what satisfies the test.
fn deletions(moment: &Moment, test: impl Fn(&Candidate) -> bool) -> usize {
    let expire = moment.decision.expire.keys();
    expire.filter(|id| test(moment.get(**id))).count()
}

/// Each pruning with the pruning before it.
fn prunings(moments: &[Moment]) -> Vec<(Option<&Moment>, &Moment)> {
    let pruned: Vec<&Moment> = moments.iter().filter(|m| m.sealed.is_some()).collect();
    let before = std::iter::once(None).chain(pruned.iter().copied().map(Some));
    before.zip(pruned.iter().copied()).collect()
}

/// A policy that keeps so many more by each rule.
fn raised(policy: Policy, more: [u32; 6]) -> Policy {
    Policy {
        keep_last: policy.keep_last + more[0],
        keep_hourly: policy.keep_hourly + more[1],
        keep_daily: policy.keep_daily + more[2],
        keep_weekly: policy.keep_weekly + more[3],
        keep_monthly: policy.keep_monthly + more[4],
        keep_yearly: policy.keep_yearly + more[5],
        ..policy
    }
}

/// Some moments of a life, the last among them: for checks that look at one decision alone.
fn samples(moments: Vec<Moment>) -> impl Iterator<Item = Moment> {
    moments.into_iter().rev().step_by(6)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_verdict_is_what_the_rules_spell_out(
        policy in policies(), history in histories(ANY)
    ) {
        for moment in samples(live(&policy, &history)) {
            for all in [&moment.found, &moment.ever] {
                let decision = decide_retention(&policy, moment.now, all);
                for one in all {
                    let tiers = model::tiers(&policy, moment.now, one, all);
                    let anyway = model::kept_anyway(&policy, moment.now, one, all);
                    let wanted = !tiers.is_empty() || anyway;
                    prop_assert_eq!(decision.keep.contains_key(&one.id), wanted, "{:?}", one);
                    prop_assert_eq!(decision.expire.contains_key(&one.id), !wanted, "{:?}", one);
                    if let Some(kept) = decision.keep.get(&one.id) {
                        prop_assert_eq!(kept.home, *tiers.last().unwrap_or(&Tier::Daily));
                        prop_assert_eq!(&kept.tiers, &tiers);
                        prop_assert!(!kept.reasons.is_empty());
                    }
                }
            }
        }
    }

    /// I1.
    #[test]
    fn deciding_again_changes_nothing_and_the_order_found_does_not_matter(
        policy in policies(),
        (found, shuffled, now) in histories(ANY)
            .prop_map(|history| {
                let keep_all = Policy {
                    keep_last: u32::MAX, keep_hourly: 0,
                    keep_daily: u32::MAX, keep_weekly: 0, keep_monthly: 0, keep_yearly: 0,
                    week_starts_on: chrono::Weekday::Sun,
                };
                let last = live(&keep_all, &history).pop().unwrap();
                (last.ever, last.now)
            })
            .prop_flat_map(|(ever, now)| {
                (Just(ever.clone()), Just(ever).prop_shuffle(), Just(now))
            })
    ) {
        let decision = decide_retention(&policy, now, &found);
        prop_assert_eq!(&decide_retention(&policy, now, &shuffled), &decision);
        let rest = owned(&with(&found, |one| decision.keep.contains_key(&one.id)));
        let again = decide_retention(&policy, now, &rest);
        prop_assert_eq!(&again.keep, &decision.keep);
        prop_assert!(again.expire.is_empty());
    }

    /// I2. Under any clock: buckets of snapshots dated in the future are among those ever filled,
    /// suspects fill theirs when they are accepted. The survivor is the representative itself, and
    /// the last buckets with a complete snapshot have one of their own.
    #[test]
    fn each_of_the_last_buckets_ever_filled_has_its_representative(
        policy in policies(), history in histories(ANY)
    ) {
        for moment in live(&policy, &history) {
            let filled = with(&moment.ever, |one| !one.suspect);
            let complete = with(&moment.ever, |one| !one.suspect && one.complete);
            for line in [&filled, &complete] {
                for tier in Tier::ALL.into_iter().filter(|tier| policy.keep(*tier) > 0) {
                    for one in line.iter().filter(|one| {
                        model::among_last(&policy, tier, one, line)
                            && model::stands(&policy, tier, one, line)
                    }) {
                        prop_assert!(
                            moment.decision.keep.contains_key(&one.id), "{:?} {:?}", tier, one
                        );
                    }
                }
            }
        }
    }

    /// I3. Under any clock that is right in the end: while snapshots are dated in the future, those
    /// that they will push out are still there, and those that they pushed out are not.
    #[test]
    fn pruning_after_each_run_ends_as_pruning_once(
        policy in policies(), history in histories(ANY)
    ) {
        let last = live(&policy, &history).pop().unwrap();
        let newest = last.ever.iter().map(|one| one.started_at).max();
        let end = newest.map_or(last.now, |newest| newest.max(last.now));
        let each = decide_retention(&policy, end, &owned(&with(&last.ever, |one| {
            last.decision.keep.contains_key(&one.id)
                || (last.sealed.is_none() && last.decision.expire.contains_key(&one.id))
        })));
        let once = decide_retention(&policy, end, &last.ever);
        prop_assert_eq!(each.keep, once.keep);
    }

    /// I4.
    #[test]
    fn the_newest_is_never_deleted(policy in policies(), history in histories(ANY)) {
        for moment in live(&policy, &history) {
            let newest = moment.found.iter()
                .filter(|one| model::counts(one, moment.now))
                .reduce(|a, b| if model::newer(a, b) { a } else { b });
            prop_assert_eq!(newest_good(&moment.found, moment.now), newest);
            if let Some(newest) = newest {
                let kept = moment.decision.keep.get(&newest.id);
                prop_assert!(kept.is_some_and(|kept| kept.reasons.contains(&KeepReason::Newest)));
            }
            prop_assert_eq!(moment.decision.keep.is_empty(), moment.found.is_empty());
            if newest.is_none() {
                prop_assert!(moment.decision.expire.is_empty());
            }
        }
    }

    /// I4, seen from the whole history: nothing newer is ever missed while the clock is right.
    #[test]
    fn the_newest_ever_sealed_is_still_there(
        policy in policies(), history in histories(STEADY_CLOCK)
    ) {
        for moment in live(&policy, &history) {
            for complete_only in [false, true] {
                let newest = moment.ever.iter()
                    .filter(|one| !one.suspect && (one.complete || !complete_only))
                    .reduce(|a, b| if model::newer(a, b) { a } else { b });
                if let Some(newest) = newest {
                    prop_assert!(moment.decision.keep.contains_key(&newest.id));
                }
            }
        }
    }

    /// I5, to the letter: where all runs are complete or fail, at one place and under one clock.
    #[test]
    fn one_sealed_snapshot_causes_at_most_a_deletion_for_each_rule_and_a_failed_run_none(
        policy in policies(), history in histories(PLAIN)
    ) {
        for moment in live(&policy, &history) {
            let most = if moment.sealed.is_some() { model::rules(&policy) } else { 0 };
            prop_assert!(moment.decision.expire.len() <= most);
        }
    }

    /// I5 with errors at one place and under one clock: the bound is for complete ones, at most one
    /// more with errors go besides, and one with errors never causes a complete one to go.
    #[test]
    fn a_snapshot_with_errors_causes_no_deletion_of_a_complete_one(
        policy in policies(), history in histories(Kind { errors: true, ..PLAIN })
    ) {
        let rules = model::rules(&policy);
        for moment in live(&policy, &history) {
            let most = match moment.sealed {
                Some(id) if moment.get(id).complete => (rules, rules + 1),
                Some(_) => (0, rules + 1),
                None => (0, 0),
            };
            prop_assert!(deletions(&moment, |one| one.complete) <= most.0);
            prop_assert!(deletions(&moment, |one| !one.complete) <= most.1);
        }
    }

    /// I5 in all other lives. One of each rule for each snapshot that begins to count, plus one for
    /// each condition that ended otherwise: a pin, a newest verified, a newest that no daily kept because
    /// an older one was recorded on a later day. With errors, one more of each rule may go and one.
    #[test]
    fn each_snapshot_that_begins_to_count_causes_at_most_a_deletion_for_each_rule(
        policy in policies(), history in histories(ANY)
    ) {
        for (before, moment) in prunings(&live(&policy, &history)) {
            let new = moment.new_since(before);
            let was = |id: SnapshotId| before
                .and_then(|before| before.found.iter().find(|one| one.id == id));
            let unpinned = with(&moment.found, |one| {
                !one.pinned && was(one.id).is_some_and(|was| was.pinned)
            }).len();
            let verified = with(&moment.found, |one| {
                one.verified && (new.contains(&one.id) || was(one.id).is_some_and(|was| !was.verified))
            }).len().min(1);
            // Days out of the order of time: the newest of each prefix may stand outside the days.
            let complete = with(&moment.found, |one| one.complete && model::counts(one, moment.now));
            let astray = complete.iter().filter(|one| {
                complete.iter().any(|other| model::newer(one, other) && other.day > one.day)
            }).count();
            let extra = unpinned + verified + astray;
            let rules = model::rules(&policy);
            prop_assert!(deletions(moment, |one| one.complete) <= rules * new.len() + extra);
            prop_assert!(deletions(moment, |one| !one.complete) <= (rules + 1) * new.len() + extra);
        }
    }

    /// I6, snapshots with errors: a complete one keeps its verdict, tiers and home whether or not
    /// they exist. Only the word for the newest differs.
    #[test]
    fn snapshots_with_errors_change_nothing_for_complete_ones(
        policy in policies(), history in histories(ANY)
    ) {
        let plain = |kept: &KeptSnapshot| {
            let mut kept = kept.clone();
            for reason in &mut kept.reasons {
                if *reason == KeepReason::NewestComplete {
                    *reason = KeepReason::Newest;
                }
            }
            kept
        };
        for moment in samples(live(&policy, &history)) {
            let complete = owned(&with(&moment.ever, |one| one.complete));
            let alone = decide_retention(&policy, moment.now, &complete);
            let among = decide_retention(&policy, moment.now, &moment.ever);
            for one in &complete {
                prop_assert_eq!(
                    among.keep.get(&one.id).map(plain), alone.keep.get(&one.id).map(plain)
                );
                prop_assert_eq!(among.expire.get(&one.id), alone.expire.get(&one.id));
            }
        }
    }

    /// I6, snapshots dated in the future and suspects: all others keep their whole verdict.
    #[test]
    fn snapshots_that_do_not_count_change_nothing(
        policy in policies(), history in histories(ANY)
    ) {
        for moment in samples(live(&policy, &history)) {
            let counting = owned(&with(&moment.ever, |one| model::counts(one, moment.now)));
            let alone = decide_retention(&policy, moment.now, &counting);
            let among = decide_retention(&policy, moment.now, &moment.ever);
            for one in &counting {
                prop_assert_eq!(among.keep.get(&one.id), alone.keep.get(&one.id));
                prop_assert_eq!(among.expire.get(&one.id), alone.expire.get(&one.id));
            }
        }
    }

    /// I7.
    #[test]
    fn raising_a_keep_number_never_deletes_more(
        policy in policies(), more in [0u32..3, 0u32..3, 0u32..3, 0u32..3, 0u32..3, 0u32..3], history in histories(ANY)
    ) {
        let raised = raised(policy, more);
        for moment in samples(live(&policy, &history)) {
            for all in [&moment.found, &moment.ever] {
                let few = expired(&decide_retention(&raised, moment.now, all));
                prop_assert!(few.is_subset(&expired(&decide_retention(&policy, moment.now, all))));
            }
        }
    }

    /// I7 over a whole life under a right clock. Without marks: only what is there can be verified.
    #[test]
    fn a_machine_with_higher_keep_numbers_always_has_more(
        policy in policies(), more in [0u32..3, 0u32..3, 0u32..3, 0u32..3, 0u32..3, 0u32..3],
        history in histories(Kind { jumps: false, marks: false, ..ANY })
    ) {
        let raised = raised(policy, more);
        for (low, high) in live(&policy, &history).iter().zip(live(&raised, &history)) {
            prop_assert!(kept(&low.decision).is_subset(&kept(&high.decision)));
        }
    }

    /// I8. While the clock is right and nobody accepts a suspect: once the representative's day is
    /// over everywhere on Earth, only a complete one can replace it, and only if it has errors.
    #[test]
    fn a_representative_is_final_once_its_first_day_is_over(
        policy in policies(), history in histories(Kind { jumps: false, marks: false, ..ANY })
    ) {
        let moments = live(&policy, &history);
        for pair in moments.windows(2) {
            let later = named(&pair[1].decision);
            for (bucket, id) in named(&pair[0].decision) {
                let was = pair[0].get(id);
                let Some(is) = later.get(&bucket) else { continue };
                if *is != id && pair[0].now >= over_everywhere(was.day) {
                    prop_assert!(!was.complete && pair[1].get(*is).complete, "{:?}", bucket);
                }
            }
        }
    }

    /// I8 under any clock: only what begins to count on the same or an earlier day replaces a
    /// representative that still counts, or what is complete one with errors.
    #[test]
    fn only_a_new_snapshot_of_no_later_day_replaces_a_representative(
        policy in policies(), history in histories(ANY)
    ) {
        let moments = live(&policy, &history);
        for pair in moments.windows(2) {
            let new = pair[1].new_since(Some(&pair[0]));
            let later = named(&pair[1].decision);
            for (bucket, id) in named(&pair[0].decision) {
                let was = pair[1].get(id);
                let Some(is) = later.get(&bucket) else { continue };
                if *is == id || !model::counts(was, pair[1].now) {
                    continue;
                }
                let is = pair[1].get(*is);
                prop_assert!(new.contains(&is.id), "{:?}", bucket);
                prop_assert!(is.complete || !was.complete);
                prop_assert!(is.day <= was.day || (is.complete && !was.complete));
            }
        }
    }

    /// I9.
    #[test]
    fn after_a_gap_of_any_length_the_next_run_deletes_at_most_one_of_each_rule(
        policy in policies(), mut history in histories(PLAIN), days in 0i64..30_000
    ) {
        let mut next = history.runs[0].clone();
        next.gap = days * 24 * 60;
        next.clock = Clock::Runs;
        next.outcome = history::Outcome::Complete;
        history.runs.push(next);
        let last = live(&policy, &history).pop().unwrap();
        prop_assert!(last.sealed.is_some());
        prop_assert!(last.decision.expire.len() <= model::rules(&policy));
    }

    #[test]
    fn verdicts_are_listed_by_time_and_cover_all_that_was_found(
        policy in policies(), history in histories(ANY)
    ) {
        for moment in live(&policy, &history) {
            let of = |id: SnapshotId| (moment.get(id).started_at, id);
            let stays: Vec<_> = moment.decision.kept_by_time().map(|(id, _)| of(id)).collect();
            let goes: Vec<_> = moment.decision.expired_by_time().map(|(id, _)| of(id)).collect();
            prop_assert!(stays.is_sorted() && goes.is_sorted());
            prop_assert_eq!(stays.len() + goes.len(), moment.found.len());
            prop_assert!(kept(&moment.decision).is_disjoint(&expired(&moment.decision)));
        }
    }
}

/// Guards the generator: a quiet one would let every promise hold.
#[test]
fn histories_reach_the_corners() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..256 {
        let policy = policies().new_tree(&mut runner).unwrap().current();
        let history: History = histories(ANY).new_tree(&mut runner).unwrap().current();
        let moments = live(&policy, &history);
        let last = moments.last().unwrap();
        let newest_is_astray = |moment: &Moment| {
            newest_good(&moment.found, moment.now).is_some_and(|newest| {
                let counting = with(&moment.found, |one| model::counts(one, moment.now));
                counting.iter().any(|one| one.day > newest.day)
            })
        };
        for (corner, reached) in [
            (
                "a zero",
                policy.keep_daily * policy.keep_weekly * policy.keep_monthly == 0,
            ),
            (
                "three deletions",
                moments.iter().any(|m| m.decision.expire.len() == 3),
            ),
            ("a failed run", moments.iter().any(|m| m.sealed.is_none())),
            ("days out of order", moments.iter().any(newest_is_astray)),
            (
                "a future one",
                last.found.iter().any(|one| one.in_future(last.now)),
            ),
            ("a suspect", last.found.iter().any(|one| one.suspect)),
            ("a verified one", last.found.iter().any(|one| one.verified)),
            ("a pinned one", last.found.iter().any(|one| one.pinned)),
            (
                "the newest with errors",
                moments
                    .iter()
                    .any(|m| newest_good(&m.found, m.now).is_some_and(|one| !one.complete)),
            ),
        ] {
            *seen.entry(corner).or_default() += usize::from(reached);
        }
    }
    for (corner, times) in &seen {
        assert!(*times >= 8, "{corner}: {times} of 256 histories");
    }
}
