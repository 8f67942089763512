//! Whether a timer's call asks for a run: the schedule, compared with what was done.
//!
//! Timers only trigger. What counts is what runs reported, in the order in which they were begun; a
//! report of a clock that was ahead counts for nothing, and a part that ran alone counts for itself.

mod all;
#[cfg(test)]
mod tests;

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::{
    Config, Finding, Plan, Report, RunResult, Severity, SnapshotId,
    amount::times,
    clock,
    inventory::DestinationState,
    journal::Status,
    plan::{PRE_SCRIPT, Part, copies_away},
    tries::Tries,
};

pub use all::{DecisionForAll, decide_for_all};

use crate::{
    facts,
    findings::{battery_deferral, code, destination::destination_absence},
    schedule,
};

type Time = DateTime<FixedOffset>;

/// What is known of the past.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Backups that ended, the last one that was begun first.
    pub reports: &'a [Report],
    /// How often timers tried.
    pub tries: Option<Tries>,
    /// Whether the timer that asks again does so: it alone waits after failures.
    pub again: bool,
    /// When the machine was started, where that is known.
    pub booted: Option<Time>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing, and why.
    Not(String),
    /// A run, or the steps of one part of it.
    Run(Option<Part>),
    /// A run, unless a snapshot on the destination serves; see [`on_disk`].
    Unless(Newer),
}

/// What serves on the destination instead of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// The period that is to be served.
    since: Time,
    /// Snapshots whose time is of a clock that was ahead.
    disbelieved: Vec<SnapshotId>,
}

/// Decides whether anything is due now.
#[must_use]
pub fn decide(config: &Config, past: &Past<'_>, now: Time) -> Asked {
    let Some(since) = schedule::due_since(config, now) else {
        return Asked::Not("the schedule asks for nothing".to_owned());
    };
    let mut reports = Vec::new();
    let mut disbelieved = Vec::new();
    for (report, credible) in believed(past.reports, now) {
        if !credible {
            disbelieved.extend(report.snapshot.as_ref().map(|sealed| sealed.id));
        } else if schedule::serves(config, since, report.started_at) {
            reports.push(report);
        }
    }
    let local = config.local.enable;
    let main = if local { Part::Local } else { Part::Cloud };
    // Whether the drive is there by now is asked each time: that costs next to nothing.
    let of_main = of_part(&reports, main).filter(|report| !was_absent(report));
    let of_main: Vec<&Report> = of_main.collect();
    let served = reports.iter().position(|report| serves(report, main));
    if let Some(at) = served {
        let not = Asked::Not("the last backup is as new as the schedule asks for".to_owned());
        let sealed = reports[at].snapshot.as_ref();
        let suspect = sealed.is_some_and(|one| !one.suspect.is_empty());
        // From the backup on: what was copied before does not have it.
        let since_then = &reports[..=at];
        let copied = since_then.iter().any(|one| serves(one, Part::Cloud));
        if !local || !config.cloud.enable || suspect || copied {
            return not;
        }
        let failed: Vec<&Report> = of_part(since_then, Part::Cloud).collect();
        return wait(past, &failed, since, now).unwrap_or(Asked::Run(Some(Part::Cloud)));
    }
    let tried = tries(past, since).is_some();
    if of_main.is_empty() && !tried {
        if past.again && now < since + delay(config) {
            return Asked::Not(
                "the timer's random delay is not over (schedule.randomDelay)".to_owned(),
            );
        }
        if !config.schedule.persistent && past.booted.is_some_and(|booted| since < booted) {
            return Asked::Not(
                "it was missed while the machine was off (schedule.persistent)".to_owned(),
            );
        }
    }
    if let Some(not) = wait(past, &of_main, since, now) {
        return not;
    }
    if local {
        Asked::Unless(Newer { since, disbelieved })
    } else {
        Asked::Run(None)
    }
}

/// Whether it is too early to go on with an unfinished run, and until when.
#[must_use]
pub fn decide_unfinished(config: &Config, past: &Past<'_>, now: Time) -> Option<Time> {
    let tries = past.tries?;
    let same = tries.since == schedule::due_since(config, now);
    // What was interrupted once, as by somebody who shut the machine down, goes on at once.
    let died = if same && tries.count > 1 {
        tries.count
    } else {
        0
    };
    until(past, died, tries.last_at, now)
}

/// The last report of this period of a part, or of a whole run.
#[must_use]
pub fn last_of_period<'a>(
    config: &Config,
    reports: &'a [Report],
    part: Part,
    now: Time,
) -> Option<&'a Report> {
    let since = schedule::due_since(config, now)?;
    believed(reports, now)
        .filter(|(_, credible)| *credible)
        .map(|(report, _)| report)
        .filter(|report| report.only.is_none_or(|only| only == part))
        .find(|report| schedule::serves(config, since, report.started_at))
}

/// Whether a run was refused for nothing but an absent drive, which no script looked for.
#[must_use]
pub fn was_absent(report: &Report) -> bool {
    if ran_script(report) {
        return false;
    }
    let mut refusals = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refusal)
        .peekable();
    refusals.peek().is_some() && refusals.all(|one| one.code == code::DESTINATION_NOT_MOUNTED)
}

/// Whether the script before the backup ran: a try that costs more than a look.
#[must_use]
pub fn ran_script(report: &Report) -> bool {
    let mut steps = report.steps.iter();
    steps.any(|step| step.step == PRE_SCRIPT && step.outcome.status != Status::Skipped)
}

/// Whether a snapshot on the destination serves: another state directory may have made it, or this
/// one is new.
#[must_use]
pub fn on_disk(config: &Config, destination: &DestinationState, newer: &Newer, now: Time) -> bool {
    destination.snapshots.iter().any(|one| {
        facts::candidate(one).counts(now.to_utc())
            && !newer.disbelieved.contains(&one.record.id)
            && schedule::serves(config, newer.since, one.record.started_at)
    })
}

/// What a timer's call comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is due, and why.
    Nothing(String),
    /// A run, or the steps of one part of it.
    Run(Option<Part>),
    /// A run, but not now, and why.
    Defer(Finding),
    /// A run that is refused for the reason that one of this period was refused for.
    RefuseAsBefore(Finding),
}

/// An unfinished run, as a timer's call finds it.
#[derive(Debug, Clone, Copy)]
pub struct WaitingRun<'a> {
    /// The run.
    pub run_id: &'a str,
    /// How often in a row it was interrupted, with the runs that it took the place of.
    pub interruptions: u64,
    /// Whether a process is at work on it; its lock then says so.
    pub is_busy: bool,
    /// Whether schedule.onlyOnAC is set and the machine is on battery.
    pub is_on_battery: bool,
}

/// Decides whether an unfinished run is gone on with now, as far as that can be said without its
/// destination; see [`decide_by_absence`].
#[must_use]
pub fn decide_continuation(
    config: &Config,
    past: &Past<'_>,
    unfinished: &WaitingRun<'_>,
    now: Time,
) -> Option<Decision> {
    let WaitingRun { run_id, .. } = *unfinished;
    if unfinished.is_busy {
        return Some(Decision::Run(None));
    }
    // A new run is deferred by its plan; this one has its plan already.
    if unfinished.is_on_battery {
        let what = format!("the rest of run {run_id}");
        return Some(Decision::Defer(battery_deferral(&what)));
    }
    let until = decide_unfinished(config, past, now)?;
    Some(Decision::Nothing(format!(
        "run {run_id} was interrupted {}; it is continued at {}",
        times(unfinished.interruptions),
        until.format("%H:%M")
    )))
}

/// Decides whether an unfinished run is gone on with now whose destination is away as `absence` says: the
/// script before the backup may mount it.
#[must_use]
pub fn decide_by_absence(config: &Config, absence: Option<Finding>) -> Decision {
    let waits = config.pre_backup_script.is_none();
    match absence {
        Some(absence) if absence.severity == Severity::Deferral && waits => {
            Decision::Defer(absence)
        }
        _ => Decision::Run(None),
    }
}

/// Decides about a run that is due unless a snapshot on this destination serves.
#[must_use]
pub fn decide_at_destination(
    config: &Config,
    newer: &Newer,
    destination: &DestinationState,
    reports: &[Report],
    is_on_battery: bool,
    now: Time,
) -> Decision {
    if on_disk(config, destination, newer, now) {
        let because = "the newest snapshot is as new as the schedule asks for";
        return Decision::Nothing(because.to_owned());
    }
    if is_on_battery {
        return Decision::Defer(battery_deferral("this run"));
    }
    // Without the drive only a run that copies to the cloud, or whose script may mount it, has anything
    // to do.
    let waits = !config.cloud.enable && !facts::may_be_mounted_by_script(config, destination);
    let absence = destination_absence(config, destination).filter(|_| waits);
    let Some(absence) = absence else {
        return Decision::Run(None);
    };
    if absence.severity == Severity::Deferral {
        return Decision::Defer(absence);
    }
    let before = last_of_period(config, reports, Part::Local, now);
    let is_same =
        before.is_some_and(|last| refusal_codes(&last.findings) == [absence.code.as_str()]);
    if is_same {
        Decision::RefuseAsBefore(absence)
    } else {
        Decision::Run(None)
    }
}

/// Whether a plan is refused for the reasons that a run of the same period was refused for, which
/// somebody was told of then.
#[must_use]
pub fn is_refused_as_before(config: &Config, reports: &[Report], plan: &Plan, now: Time) -> bool {
    let last = last_of_period(config, reports, plan.only.unwrap_or(Part::Local), now);
    plan.severity() == Some(Severity::Refusal)
        && last.is_some_and(|last| refusal_codes(&last.findings) == refusal_codes(&plan.findings))
}

/// The codes of what refuses a run.
fn refusal_codes(findings: &[Finding]) -> Vec<&str> {
    let refusals = findings.iter();
    let refusals = refusals.filter(|finding| finding.severity == Severity::Refusal);
    refusals.map(|finding| finding.code.as_str()).collect()
}

/// How a run ended that a timer began, as far as it counts.
#[derive(Debug, Clone, Copy)]
pub enum TimerRunEnd<'a> {
    /// It was deferred.
    Deferred,
    /// It was refused; the last report says why.
    Refused(Option<&'a Report>),
    /// Another one was at work.
    Busy,
    /// In any other way.
    Other,
}

/// What is remembered of tries after a run that was counted before it began: `before` is what was
/// known then, `begun` what was written. What was deferred, found another run at work or an absent drive was
/// no try.
#[must_use]
pub fn tries_after(
    before: Option<Tries>,
    begun: Option<Tries>,
    end: TimerRunEnd<'_>,
    now: Time,
) -> Option<Tries> {
    let is_try = match end {
        TimerRunEnd::Deferred | TimerRunEnd::Busy => false,
        // Looking for a drive costs nothing.
        TimerRunEnd::Refused(last) => !last.is_some_and(was_absent),
        TimerRunEnd::Other => true,
    };
    if !is_try {
        return before;
    }
    begun.map(|tries| Tries {
        last_at: now,
        ..tries
    })
}

/// Each report, and whether its time is credible.
fn believed(reports: &[Report], now: Time) -> impl Iterator<Item = (&Report, bool)> {
    let times = reports.iter().map(|report| report.started_at);
    reports.iter().zip(clock::credible_times(times, now))
}

/// The reports that say something of a part.
fn of_part<'a>(reports: &[&'a Report], part: Part) -> impl Iterator<Item = &'a Report> {
    let of_it = move |report: &&Report| report.only.is_none_or(|only| only == part);
    reports.iter().copied().filter(of_it)
}

/// Whether a run did what is asked of a part. A suspect snapshot counts: another would only be
/// suspect as well, and a person has been told.
fn serves(report: &Report, part: Part) -> bool {
    if report.only.is_some_and(|only| only != part) {
        return false;
    }
    let done = matches!(report.result, RunResult::Success | RunResult::Incomplete);
    match part {
        Part::Local | Part::Coordinator => report.snapshot.is_some(),
        Part::Cloud => {
            let mut steps = report.steps.iter();
            let fails = steps.any(|step| copies_away(&step.step) && !step.outcome.status.serves());
            (done || report.snapshot.is_some()) && !fails
        }
    }
}

/// How often timers tried in this period.
fn tries(past: &Past<'_>, since: Time) -> Option<Tries> {
    past.tries
        .filter(|tries| tries.since == Some(since) && tries.count > 0)
}

/// That it is too early to try again after so many attempts.
fn wait(past: &Past<'_>, failed: &[&Report], since: Time, now: Time) -> Option<Asked> {
    let tries = tries(past, since);
    let reported = u32::try_from(failed.len()).unwrap_or(u32::MAX);
    let count = tries.map_or(0, |tries| tries.count).max(reported);
    let ended = failed.first().map(|report| report.ended_at);
    let tried = tries.map(|tries| tries.last_at);
    let times = ended.into_iter().chain(tried);
    let last = times.filter(|time| !clock::is_ahead(*time, now)).max()?;
    let until = until(past, count, last, now)?;
    let how = failed.first().map_or_else(
        || "the last run did not come to its end".to_owned(),
        |report| format!("the last run was {}", report.result.word()),
    );
    let until = until.format("%H:%M");
    Some(Asked::Not(format!("{how}; it is tried again at {until}")))
}

/// Until when is waited; none if now is the time. Only the timer that asks again waits: a person, the
/// disk or AC power that came back do not.
fn until(past: &Past<'_>, count: u32, last: Time, now: Time) -> Option<Time> {
    let delay = schedule::retry_delay(count as usize);
    (past.again && clock::is_within(last, now, delay)).then(|| last + delay)
}

fn delay(config: &Config) -> TimeDelta {
    let delay = config.schedule.random_delay.as_duration();
    TimeDelta::from_std(delay).unwrap_or_default()
}
