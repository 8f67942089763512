//! Random lives of a machine: runs that fail, repeat, lie about the time and travel.
//!
//! Makes what retention will be shown and prunes as told. It must not judge a verdict.

use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc, Weekday};
use planner::retention::{Candidate, Decision, Policy, decide_retention, hour_of};
use proptest::{collection::vec, prelude::*};
use schema::SnapshotId;

/// What may happen in a life besides complete and failed runs at any distance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Runs that seal with errors.
    pub(crate) errors: bool,
    /// Changes of the offset: daylight saving time and journeys.
    pub(crate) zones: bool,
    /// Clocks that jump by up to ten years, and back.
    pub(crate) jumps: bool,
    /// Pins set and taken away, verifications, suspects and their acceptance.
    pub(crate) marks: bool,
}

pub(crate) const PLAIN: Kind = Kind {
    errors: false,
    zones: false,
    jumps: false,
    marks: false,
};
pub(crate) const ANY: Kind = Kind {
    errors: true,
    zones: true,
    jumps: true,
    marks: true,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Failed,
    Complete,
    Errors,
}

/// How the offset differs from the run before.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Move {
    Stay,
    Summer,
    Winter,
    /// To this many quarters of an hour east of Greenwich.
    To(i64),
}

/// What the clock does before the run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    Runs,
    Jumps(i64),
    IsSet,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Nothing,
    Verify(prop::sample::Index),
    Unpin(prop::sample::Index),
    Accept(prop::sample::Index),
}

/// One run and what came before it. All times in minutes.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) gap: i64,
    pub(crate) length: i64,
    pub(crate) offset: Move,
    pub(crate) clock: Clock,
    pub(crate) mark: Mark,
    pub(crate) outcome: Outcome,
    pub(crate) suspect: bool,
    pub(crate) pinned: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Minutes since 2000-01-01.
    pub(crate) start: i64,
    pub(crate) quarters: i64,
    pub(crate) runs: Vec<Run>,
}

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    let keep = || prop_oneof![2 => Just(0u32), 2 => Just(1), 6 => 2u32..9];
    let start = prop::sample::select(vec![
        Weekday::Mon,
        Weekday::Tue,
        Weekday::Wed,
        Weekday::Thu,
        Weekday::Fri,
        Weekday::Sat,
        Weekday::Sun,
    ]);
    // Most machines have neither.
    let rare = || prop_oneof![6 => Just(0u32), 2 => Just(1), 4 => 2u32..9];
    ((keep(), rare()), (keep(), keep(), keep(), rare()), start)
        .prop_map(
            |((last, hourly), (daily, weekly, monthly, yearly), start)| Policy {
                keep_last: last,
                keep_hourly: hourly,
                keep_daily: daily,
                keep_weekly: weekly,
                keep_monthly: monthly,
                keep_yearly: yearly,
                week_starts_on: start,
            },
        )
        .prop_filter("all three zero is no policy", |p| {
            p.keep_daily + p.keep_weekly + p.keep_monthly > 0
        })
}

pub(crate) fn histories(kind: Kind) -> impl Strategy<Value = History> {
    let years_40 = 40 * 365 * 24 * 60i64;
    (0..years_40, quarters(), vec(runs(kind), 1..70)).prop_map(|(start, quarters, runs)| History {
        start,
        quarters,
        runs,
    })
}

/// UTC−12 to UTC+14 in quarters of an hour.
fn quarters() -> impl Strategy<Value = i64> {
    -48i64..=56
}

fn runs(kind: Kind) -> impl Strategy<Value = Run> {
    let day = 24 * 60i64;
    let gap = prop_oneof![
        4 => Just(day),
        3 => 5i64..300,
        3 => 0..3 * day,
        1 => 0..=45 * day,
    ];
    let if_on = |on: bool, weight: u32| if on { weight } else { 0 };
    let offset = prop_oneof![
        20 => Just(Move::Stay),
        if_on(kind.zones, 2) => Just(Move::Summer),
        if_on(kind.zones, 2) => Just(Move::Winter),
        if_on(kind.zones, 3) => quarters().prop_map(Move::To),
    ];
    let ten_years = 3653 * day;
    let clock = prop_oneof![
        20 => Just(Clock::Runs),
        if_on(kind.jumps, 1) => prop_oneof![Just(ten_years), Just(-ten_years)].prop_map(Clock::Jumps),
        if_on(kind.jumps, 1) => (-40 * day..40 * day).prop_map(Clock::Jumps),
        if_on(kind.jumps, 1) => (-15i64..15).prop_map(Clock::Jumps),
        if_on(kind.jumps, 2) => Just(Clock::IsSet),
    ];
    let mark = prop_oneof![
        10 => Just(Mark::Nothing),
        if_on(kind.marks, 2) => any::<prop::sample::Index>().prop_map(Mark::Verify),
        if_on(kind.marks, 1) => any::<prop::sample::Index>().prop_map(Mark::Unpin),
        if_on(kind.marks, 1) => any::<prop::sample::Index>().prop_map(Mark::Accept),
    ];
    let outcome = prop_oneof![
        10 => Just(Outcome::Complete),
        2 => Just(Outcome::Failed),
        if_on(kind.errors, 4) => Just(Outcome::Errors),
    ];
    let rarely = move || prop::bool::weighted(if kind.marks { 0.1 } else { 0.0 });
    let life = (gap, 0i64..180, offset, clock, mark);
    (life, outcome, rarely(), rarely()).prop_map(
        |((gap, length, offset, clock, mark), outcome, suspect, pinned)| Run {
            gap,
            length,
            offset,
            clock,
            mark,
            outcome,
            suspect,
            pinned,
        },
    )
}

/// What retention saw and said at the end of one run.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) now: DateTime<Utc>,
    /// What was on the destination.
    pub(crate) found: Vec<Candidate>,
    /// All that was ever sealed, as it would look today.
    pub(crate) ever: Vec<Candidate>,
    pub(crate) sealed: Option<SnapshotId>,
    pub(crate) decision: Decision,
}

impl Moment {
    pub(crate) fn get(&self, id: SnapshotId) -> &Candidate {
        self.found.iter().find(|one| one.id == id).unwrap()
    }

    /// The ids that count now and did not count at the moment before.
    pub(crate) fn new_since(&self, before: Option<&Self>) -> BTreeSet<SnapshotId> {
        let counting = |moment: &Self| -> BTreeSet<SnapshotId> {
            let counts = moment.found.iter().filter(|one| one.counts(moment.now));
            counts.map(|one| one.id).collect()
        };
        &counting(self) - &before.map(counting).unwrap_or_default()
    }
}

/// Lives the history, pruning after each run that sealed a snapshot.
pub(crate) fn live(policy: &Policy, history: &History) -> Vec<Moment> {
    let minutes = TimeDelta::minutes;
    let mut clock: DateTime<Utc> =
        "2000-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + minutes(history.start);
    let mut drift = TimeDelta::zero();
    let mut quarters = history.quarters;
    let mut ever: Vec<Candidate> = Vec::new();
    let mut alive: BTreeSet<SnapshotId> = BTreeSet::new();
    let mut moments = Vec::new();
    for run in &history.runs {
        clock += minutes(run.gap);
        match run.clock {
            Clock::Runs => {}
            Clock::Jumps(by) => {
                clock += minutes(by);
                drift += minutes(by);
            }
            Clock::IsSet => {
                clock -= drift;
                drift = TimeDelta::zero();
            }
        }
        quarters = match run.offset {
            Move::Stay => quarters,
            Move::Summer => (quarters + 4).min(56),
            Move::Winter => (quarters - 4).max(-48),
            Move::To(quarters) => quarters,
        };
        mark(run.mark, &mut ever, &alive);
        let started_at = clock;
        clock += minutes(run.length);
        let local = |time: DateTime<Utc>| time.naive_utc() + minutes(15 * quarters);
        let sealed = (run.outcome != Outcome::Failed).then(|| {
            SnapshotId::from_local(local(started_at))
                .first_free(|id| ever.iter().any(|one| one.id == id))
        });
        if let Some(id) = sealed {
            ever.push(Candidate {
                id,
                started_at,
                hour: hour_of(started_at.with_timezone(
                    &FixedOffset::east_opt(i32::try_from(quarters).unwrap() * 900).unwrap(),
                )),
                day: local(clock).date(),
                complete: run.outcome == Outcome::Complete,
                suspect: run.suspect,
                pinned: run.pinned,
                verified: false,
            });
            alive.insert(id);
        }
        let found: Vec<Candidate> = ever
            .iter()
            .filter(|one| alive.contains(&one.id))
            .cloned()
            .collect();
        let decision = decide_retention(policy, clock, &found);
        if sealed.is_some() {
            alive = decision.keep.keys().copied().collect();
        }
        moments.push(Moment {
            now: clock,
            found,
            ever: ever.clone(),
            sealed,
            decision,
        });
    }
    moments
}

/// Only what is still there can be marked.
fn mark(mark: Mark, ever: &mut [Candidate], alive: &BTreeSet<SnapshotId>) {
    let there = |index: prop::sample::Index, ever: &[Candidate]| {
        let at = (!ever.is_empty()).then(|| index.index(ever.len()));
        at.filter(|at| alive.contains(&ever[*at].id))
    };
    match mark {
        Mark::Nothing => {}
        Mark::Verify(index) => {
            if let Some(at) = there(index, ever) {
                ever[at].verified = true;
            }
        }
        Mark::Unpin(index) => {
            if let Some(at) = there(index, ever) {
                ever[at].pinned = false;
            }
        }
        Mark::Accept(index) => {
            if let Some(at) = there(index, ever) {
                ever[at].suspect = false;
            }
        }
    }
}
