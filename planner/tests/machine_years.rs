//! Whole lives of machines, run by run: what the policy promises holds on each day of them.
//!
//! Nothing is looked up afterwards: how many hours, days, weeks, months and years were ever filled is counted as
//! they come, so that a million years take minutes. `MACHINE_YEARS` says how many are lived.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::VecDeque;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Utc, Weekday};
use planner::retention::{Candidate, Policy, decide_retention, hour_of};
use schema::{SnapshotId, Tier};
use test_support::{Random, keep_evidence};

/// Years of one machine.
const LIFE: i64 = 10;

/// Which hour, day, week, month or year a snapshot is of, as a number that grows with it.
fn bucket(tier: Tier, one: &Candidate, week_starts_on: Weekday) -> i64 {
    let day = |day: NaiveDate| i64::from(day.num_days_from_ce());
    let month = i64::from(one.day.year()) * 12 + i64::from(one.day.month0());
    match tier {
        Tier::Hourly => one.hour.timestamp() / 3600,
        Tier::Daily => day(one.day),
        Tier::Weekly => {
            let into = one.day.weekday().days_since(week_starts_on);
            day(one.day - Days::new(into.into()))
        }
        Tier::Monthly => month,
        Tier::Yearly => month / 12,
    }
}

fn some_policy(random: &mut Random) -> Policy {
    let mut up_to = |most: u64| u32::try_from(random.below(most + 1)).unwrap();
    Policy {
        keep_last: up_to(4),
        keep_hourly: up_to(1) * up_to(6),
        keep_daily: up_to(10),
        keep_weekly: up_to(6),
        keep_monthly: up_to(13),
        keep_yearly: up_to(4),
        week_starts_on: if up_to(1) == 0 {
            Weekday::Sun
        } else {
            Weekday::Mon
        },
    }
}

/// How long until the next run, in hours: most machines run each night, others when they are on.
fn pause(habit: u64, random: &mut Random) -> i64 {
    let hours = match habit {
        0 => 24,
        1 => 1 + random.below(40),
        2 => 24 * (1 + random.below(14)),
        _ if random.below(30) == 0 => 24 * random.below(90),
        _ => 20 + random.below(9),
    };
    i64::try_from(hours).unwrap()
}

/// Lives one machine; gives how many runs it made.
fn live(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let policy = some_policy(&mut random);
    let habit = random.below(4);
    let begin: DateTime<Utc> = "2001-03-04T02:00:00Z".parse().unwrap();
    let end = begin + TimeDelta::days(365 * LIFE);
    let mut now = begin;
    let mut found: Vec<Candidate> = Vec::new();
    // The last buckets of each tier that were ever filled.
    let mut filled = [const { VecDeque::new() }; Tier::ALL.len()];
    let mut last = VecDeque::new();
    let mut runs = 0;
    while now < end {
        now += TimeDelta::hours(pause(habit, &mut random));
        runs += 1;
        if random.below(20) == 0 {
            // A run that fails lets nothing go, and so it is with all that are there.
            assert!(
                decide_retention(&policy, now, &found).expire.is_empty(),
                "{seed}"
            );
            continue;
        }
        let one = Candidate {
            id: SnapshotId::from_local(now.naive_utc()),
            started_at: now,
            hour: hour_of(now.fixed_offset()),
            day: now.date_naive(),
            complete: true,
            suspect: false,
            pinned: false,
            verified: false,
        };
        for (tier, filled) in Tier::ALL.into_iter().zip(&mut filled) {
            let bucket = bucket(tier, &one, policy.week_starts_on);
            if filled.back() != Some(&bucket) {
                filled.push_back(bucket);
            }
            if filled.len() > policy.keep(tier) as usize {
                filled.pop_front();
            }
        }
        last.push_back(one.id);
        if last.len() > policy.keep_last as usize {
            last.pop_front();
        }
        let newest = one.id;
        found.push(one);
        let decision = decide_retention(&policy, now, &found);
        assert!(
            decision.expire.len() <= policy.rules_in_force(),
            "{seed} {now}"
        );
        found.retain(|one| decision.keep.contains_key(&one.id));
        let is_there = |id: &SnapshotId| found.iter().any(|one| one.id == *id);
        assert!(
            is_there(&newest) && last.iter().all(is_there),
            "{seed} {now}"
        );
        for (tier, filled) in Tier::ALL.into_iter().zip(&filled) {
            let of = |one: &Candidate| bucket(tier, one, policy.week_starts_on);
            for wanted in filled {
                let stands = found.iter().any(|one| of(one) == *wanted);
                assert!(stands, "{seed} {now}: no {tier:?} of {wanted}");
            }
        }
    }
    runs
}

#[test]
fn on_each_day_of_each_life_all_is_there_that_the_policy_promises() {
    let years = std::env::var("MACHINE_YEARS").map_or(200, |text| text.parse().unwrap());
    let machines = years / LIFE.cast_unsigned();
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let live_some = |first: u64| {
        (first..machines)
            .step_by(threads as usize)
            .map(live)
            .sum::<u64>()
    };
    let runs: u64 = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || live_some(first)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert!(runs > machines * 20, "{runs} runs");
    let what = "a year of a machine, by the rules of retention alone";
    let came_of = "each of the last hours, days, weeks, months and years has its snapshot, the newest are there, and \
                   no run lets more go than there are rules";
    keep_evidence(what, machines * LIFE.cast_unsigned(), None, came_of);
}
