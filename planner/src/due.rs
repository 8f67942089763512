//! Whether a timer's call asks for a run: the schedule, compared with what was done.
//!
//! Timers only trigger. What counts is what runs reported, in the order in which they were begun; a
//! report of a clock that was ahead counts for nothing, and a part that ran alone counts for itself.

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::{
    Config, Finding, Plan, Report, RunResult, Severity, SnapshotId, amount::times, clock,
    inventory::DestinationState, plan::Part, tries::Tries,
};

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

/// Whether a run was refused for nothing but an absent drive.
#[must_use]
pub fn was_absent(report: &Report) -> bool {
    let mut refusals = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refusal)
        .peekable();
    refusals.peek().is_some() && refusals.all(|one| one.code == code::DESTINATION_NOT_MOUNTED)
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

/// Decides whether an unfinished run is gone on with now whose destination is away as `absence` says.
#[must_use]
pub fn decide_by_absence(absence: Option<Finding>) -> Decision {
    match absence {
        Some(absence) if absence.severity == Severity::Deferral => Decision::Defer(absence),
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
    // Without the drive only a run that copies to the cloud has anything to do.
    let absence = destination_absence(config, destination).filter(|_| !config.cloud.enable);
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
            let fails =
                steps.any(|step| step.step.starts_with("cloud-") && !step.outcome.status.serves());
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

#[cfg(test)]
mod tests {
    use schema::journal::{Outcome, REPORT_FORMAT_VERSION, Sealed, Status, StepReport};

    use super::*;
    use crate::test_support::destination;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn config(cloud: bool) -> Config {
        serde_json::from_value(serde_json::json!({
            "local": {"enable": true},
            "cloud": {"enable": cloud},
            "schedule": {"enable": true, "randomDelay": "0s"},
        }))
        .unwrap()
    }

    /// A whole run that was begun then: what of it ended well.
    fn run(started_at: &str, snapshot: bool, copied: Option<bool>) -> Report {
        let started_at = at(started_at);
        let ended_at = started_at + TimeDelta::minutes(1);
        let ok = snapshot && copied != Some(false);
        Report {
            format_version: REPORT_FORMAT_VERSION,
            run_id: "r".to_owned(),
            host: "ash".to_owned(),
            started_at,
            ended_at,
            result: if ok {
                RunResult::Success
            } else {
                RunResult::Failed
            },
            only: None,
            snapshot: snapshot.then(|| Sealed {
                id: SnapshotId::from_local(started_at.naive_local()),
                complete: true,
                suspect: Vec::new(),
                totals: schema::record::SnapshotTotals::default(),
            }),
            findings: Vec::new(),
            steps: copied
                .map(|well| StepReport {
                    step: "cloud-sync".to_owned(),
                    started_at: Some(started_at),
                    ended_at,
                    outcome: Outcome {
                        status: if well {
                            Status::Succeeded
                        } else {
                            Status::Failed
                        },
                        ..Outcome::default()
                    },
                })
                .into_iter()
                .collect(),
        }
    }

    fn only(part: Part, report: Report) -> Report {
        Report {
            only: Some(part),
            ..report
        }
    }

    fn asked(cloud: bool, newest_first: &[Report], now: &str) -> Asked {
        let past = Past {
            reports: newest_first,
            tries: None,
            again: true,
            booted: None,
        };
        decide(&config(cloud), &past, at(now))
    }

    fn is_due(asked: &Asked) -> bool {
        matches!(asked, Asked::Unless(_))
    }

    fn is_not(asked: &Asked, why: &str) -> bool {
        matches!(asked, Asked::Not(because) if because.contains(why))
    }

    #[test]
    fn a_clock_that_was_ahead_serves_no_night_then_or_later() {
        let ahead = || run("2025-03-09T02:00:00Z", true, None);
        let now = "2025-03-06T02:30:00Z";
        assert!(is_due(&asked(false, &[ahead()], now)));
        // By the night that it claims to be of, another run came after it.
        let night = run("2025-03-08T02:30:00Z", true, None);
        let on_that_day = asked(false, &[night, ahead()], "2025-03-09T02:30:00Z");
        assert!(is_due(&on_that_day));
        let Asked::Unless(newer) = on_that_day else {
            panic!()
        };
        assert_eq!(newer.disbelieved.len(), 1);
        let tonight = run("2025-03-09T02:30:00Z", true, None);
        let served = asked(false, &[tonight, ahead()], "2025-03-09T03:00:00Z");
        assert!(is_not(&served, "as new as"));
    }

    #[test]
    fn a_failure_of_the_future_delays_nothing() {
        let ahead = run("2026-03-09T02:00:00Z", false, None);
        assert!(is_due(&asked(false, &[ahead], "2025-03-06T02:01:00Z")));
    }

    #[test]
    fn a_part_that_ran_alone_counts_for_itself() {
        let now = "2025-03-06T03:30:00Z";
        let copied = || only(Part::Cloud, run("2025-03-06T02:01:00Z", false, Some(true)));
        let copied = || Report {
            result: RunResult::Success,
            ..copied()
        };
        let saved = || only(Part::Local, run("2025-03-06T02:02:00Z", true, None));
        assert!(is_due(&asked(true, &[copied()], now)));
        assert_eq!(asked(true, &[saved()], now), Asked::Run(Some(Part::Cloud)));
        // What was copied before the backup does not have it.
        let before = asked(true, &[saved(), copied()], now);
        assert_eq!(before, Asked::Run(Some(Part::Cloud)));
        assert!(is_not(&asked(true, &[copied(), saved()], now), "as new as"));
        assert!(is_not(&asked(false, &[saved()], now), "as new as"));
    }

    #[test]
    fn the_copy_alone_is_tried_again_where_it_alone_failed() {
        let failed = || run("2025-03-06T02:00:00Z", true, Some(false));
        let soon = asked(true, &[failed()], "2025-03-06T02:10:00Z");
        assert!(is_not(&soon, "tried again at 02:16"), "{soon:?}");
        let later = asked(true, &[failed()], "2025-03-06T02:20:00Z");
        assert_eq!(later, Asked::Run(Some(Part::Cloud)));
        let whole = run("2025-03-06T02:00:00Z", true, Some(true));
        assert!(is_not(
            &asked(true, &[whole], "2025-03-06T02:20:00Z"),
            "as new as"
        ));
    }

    #[test]
    fn what_dies_without_a_report_or_is_refused_is_tried_at_growing_distances() {
        let tries = |count, last_at: &str| Tries {
            since: Some(at("2025-03-06T02:00:00Z")),
            count,
            last_at: at(last_at),
        };
        let ask = |again, tries, now: &str| {
            let past = Past {
                reports: &[],
                tries: Some(tries),
                again,
                booted: None,
            };
            decide(&config(false), &past, at(now))
        };
        let three = tries(3, "2025-03-06T04:00:00Z");
        let early = ask(true, three, "2025-03-06T04:59:00Z");
        assert!(is_not(
            &early,
            "did not come to its end; it is tried again at 05:00"
        ));
        assert!(is_due(&ask(true, three, "2025-03-06T05:00:00Z")));
        assert!(is_due(&ask(false, three, "2025-03-06T04:01:00Z")));
        assert!(
            is_due(&ask(true, three, "2025-03-07T02:00:00Z")),
            "another night"
        );
        let ahead = tries(3, "2026-03-06T04:00:00Z");
        assert!(is_due(&ask(true, ahead, "2025-03-06T04:59:00Z")));
        let past = Past {
            reports: &[],
            tries: Some(three),
            again: true,
            booted: None,
        };
        let until = |now: &str| decide_unfinished(&config(false), &past, at(now));
        assert_eq!(
            until("2025-03-06T04:59:00Z"),
            Some(at("2025-03-06T05:00:00Z"))
        );
        assert_eq!(until("2025-03-06T05:00:00Z"), None);
        assert_eq!(until("2025-03-07T02:01:00Z"), None);
    }
    fn finding(severity: Severity, code: &str) -> Finding {
        Finding::new(severity, code, "m")
    }

    #[test]
    fn an_unfinished_run_is_gone_on_with_unless_power_or_many_deaths_say_later() {
        let waiting = WaitingRun {
            run_id: "r",
            interruptions: 3,
            is_busy: false,
            is_on_battery: false,
        };
        let tries = Tries {
            since: Some(at("2025-03-06T02:00:00Z")),
            count: 3,
            last_at: at("2025-03-06T04:00:00Z"),
        };
        let past = Past {
            reports: &[],
            tries: Some(tries),
            again: true,
            booted: None,
        };
        let decide = |waiting: &WaitingRun<'_>, now: &str| {
            decide_continuation(&config(false), &past, waiting, at(now))
        };
        let early = "2025-03-06T04:10:00Z";
        let expected = "run r was interrupted 3 times; it is continued at 05:00";
        assert_eq!(
            decide(&waiting, early),
            Some(Decision::Nothing(expected.to_owned()))
        );
        assert_eq!(decide(&waiting, "2025-03-06T05:00:00Z"), None);
        let busy = WaitingRun {
            is_busy: true,
            is_on_battery: true,
            ..waiting
        };
        assert_eq!(decide(&busy, early), Some(Decision::Run(None)));
        let on_battery = WaitingRun {
            is_on_battery: true,
            ..waiting
        };
        let deferred = decide(&on_battery, early);
        assert!(matches!(deferred, Some(Decision::Defer(one)) if one.code == code::ON_BATTERY));
    }

    #[test]
    fn an_unfinished_run_waits_for_a_drive_that_may_be_away() {
        let away = finding(Severity::Deferral, code::DESTINATION_NOT_MOUNTED);
        assert_eq!(decide_by_absence(Some(away.clone())), Decision::Defer(away));
        let missing = finding(Severity::Refusal, code::DESTINATION_NOT_MOUNTED);
        assert_eq!(decide_by_absence(Some(missing)), Decision::Run(None));
        assert_eq!(decide_by_absence(None), Decision::Run(None));
    }

    #[test]
    fn a_missing_drive_refuses_one_run_of_a_night_and_the_rest_as_before() {
        let away = destination(false, &serde_json::json!([]));
        let newer = Newer {
            since: at("2025-03-06T02:00:00Z"),
            disbelieved: Vec::new(),
        };
        let now = at("2025-03-06T03:00:00Z");
        let decide = |reports: &[Report], is_on_battery| {
            decide_at_destination(&config(false), &newer, &away, reports, is_on_battery, now)
        };
        assert_eq!(decide(&[], false), Decision::Run(None));
        let on_battery = decide(&[], true);
        assert!(matches!(on_battery, Decision::Defer(one) if one.code == code::ON_BATTERY));
        let mut refused = run("2025-03-06T02:15:00Z", false, None);
        refused.findings = vec![finding(Severity::Refusal, code::DESTINATION_NOT_MOUNTED)];
        let again = decide(std::slice::from_ref(&refused), false);
        assert!(matches!(again, Decision::RefuseAsBefore(_)), "{again:?}");
        refused.findings.push(finding(Severity::Refusal, "other"));
        assert_eq!(decide(&[refused], false), Decision::Run(None));
    }

    #[test]
    fn what_was_deferred_or_met_an_absent_drive_was_no_try() {
        let now = at("2025-03-06T04:00:00Z");
        let tries = |count| Tries {
            since: None,
            count,
            last_at: at("2025-03-06T02:00:00Z"),
        };
        let (before, begun) = (Some(tries(1)), Some(tries(2)));
        let after = |end: TimerRunEnd<'_>| tries_after(before, begun, end, now);
        assert_eq!(after(TimerRunEnd::Deferred), before);
        assert_eq!(after(TimerRunEnd::Busy), before);
        let mut refused = run("2025-03-06T02:15:00Z", false, None);
        refused.findings = vec![finding(Severity::Refusal, code::DESTINATION_NOT_MOUNTED)];
        assert_eq!(after(TimerRunEnd::Refused(Some(&refused))), before);
        let ended = Some(Tries {
            last_at: now,
            ..tries(2)
        });
        let mut other = refused.clone();
        other.findings = vec![finding(Severity::Refusal, "other")];
        assert_eq!(after(TimerRunEnd::Refused(Some(&other))), ended);
        assert_eq!(after(TimerRunEnd::Refused(None)), ended);
        assert_eq!(after(TimerRunEnd::Other), ended);
    }
}
