//! Whether a timer's call asks for a run: the schedule, compared with what was done.
//!
//! Timers only trigger. Asking must be cheap, because it happens every quarter of an hour: the
//! destination, which may sleep, is looked at only where the state directory does not answer.

use anyhow::Result;
use chrono::{DateTime, FixedOffset, TimeDelta};
use executor::{event::Context, scan, state_dir::StateDir};
use planner::schedule;
use schema::{
    Config, Plan, Report, RunResult, Severity, finding::Finding, inventory::Power, plan::Part,
};

use crate::{settings::Settings, take};

type Time = DateTime<FixedOffset>;

/// What is due.
pub(crate) enum Due {
    /// Nothing, and why.
    Not(String),
    /// A run, or the steps of one part of it.
    Run(Option<Part>),
    /// An unfinished run, but not now, and why.
    Later(String),
}

/// Asks whether anything is due now.
pub(crate) fn ask(
    settings: &Settings,
    config: &Config,
    now: Time,
    context: Context<'_>,
) -> Result<Due> {
    let state = StateDir::open(&settings.state_dir)?;
    let unfinished = state.as_ref().map(StateDir::unfinished).transpose()?;
    if let Some(unfinished) = unfinished.flatten() {
        // A new run is deferred by its plan; this one has its plan already.
        let battery = config.schedule.only_on_ac && scan::power() == Power::Battery;
        return Ok(if battery {
            Due::Later(format!(
                "on battery: schedule.onlyOnAC defers the rest of run {} until the machine is on \
                 ac power",
                unfinished.plan.run_id
            ))
        } else {
            Due::Run(None)
        });
    }
    let Some(since) = schedule::due_since(config, now) else {
        return Ok(Due::Not("the schedule asks for nothing".to_owned()));
    };
    let of_period = |report: &Report| report.started_at >= since;
    let reports = state.as_ref().map(|state| state.reports(of_period));
    let reports = reports.transpose()?.unwrap_or_default();
    let first = reports.is_empty();
    let again = retries();
    let served = reports.iter().find(|report| is_served(report));
    if let Some(served) = served {
        let cloud = reports
            .iter()
            .take_while(|report| fails_in_cloud(report))
            .count();
        if cloud == 0
            || served
                .snapshot
                .as_ref()
                .is_some_and(|one| !one.suspect.is_empty())
        {
            return Ok(Due::Not(
                "the last backup is as new as the schedule asks for".to_owned(),
            ));
        }
        return Ok(wait(again, &reports[0], cloud, now).unwrap_or(Due::Run(Some(Part::Cloud))));
    }
    if first && again && now < since + span(config) {
        return Ok(Due::Not(
            "the timer's random delay is not over (schedule.randomDelay)".to_owned(),
        ));
    }
    if first && !config.schedule.persistent && booted(now).is_some_and(|booted| since < booted) {
        return Ok(Due::Not(
            "it was missed while the machine was off (schedule.persistent)".to_owned(),
        ));
    }
    let failed = reports
        .iter()
        .take_while(|report| report.result != RunResult::Refused)
        .count();
    if let Some(not) = reports
        .first()
        .and_then(|last| wait(again, last, failed, now))
    {
        return Ok(not);
    }
    // Another state directory may have made a snapshot, or this one is new.
    let destination = take::destination(settings, config, context)?;
    let newest = planner::reference(&destination, now);
    let on_disk = newest.map(|one| one.record.started_at);
    Ok(if on_disk.is_some_and(|last| last >= since) {
        Due::Not("the newest snapshot is as new as the schedule asks for".to_owned())
    } else {
        Due::Run(None)
    })
}

/// Whether a run is refused for the reasons that a run of the same period was refused for, which
/// somebody was told of then.
pub(crate) fn was_told(state: &StateDir, config: &Config, plan: &Plan, now: Time) -> Result<bool> {
    if plan.severity() != Some(Severity::Refusal) {
        return Ok(false);
    }
    let Some(since) = schedule::due_since(config, now) else {
        return Ok(false);
    };
    let reports = state.reports(|report| report.started_at >= since)?;
    let refusals = |findings: &[Finding]| -> Vec<String> {
        let refusals = findings.iter();
        let refusals = refusals.filter(|finding| finding.severity == Severity::Refusal);
        refusals.map(|finding| finding.code.clone()).collect()
    };
    Ok(reports
        .first()
        .is_some_and(|last| refusals(&last.findings) == refusals(&plan.findings)))
}

/// Whether a run made its snapshot. A suspect one counts: another would only be suspect as well,
/// and a person has been told.
fn is_served(report: &Report) -> bool {
    report.snapshot.is_some() || matches!(report.result, RunResult::Success | RunResult::Incomplete)
}

/// Whether the cloud steps of a run did not come to their end.
fn fails_in_cloud(report: &Report) -> bool {
    report
        .steps
        .iter()
        .any(|step| step.step.starts_with("cloud-") && !step.outcome.status.serves())
}

/// That it is too early to try again after so many failures. Only the timer that asks again waits:
/// a person, the disk or AC power that came back do not.
fn wait(again: bool, last: &Report, failures: usize, now: Time) -> Option<Due> {
    let until = last.ended_at + schedule::retry_delay(failures);
    (again && failures > 0 && now < until).then(|| {
        Due::Not(format!(
            "the last run was {}; it is tried again at {}",
            last.result.word(),
            until.format("%H:%M")
        ))
    })
}

/// Whether the timer that asks again is what started this process (systemd.exec(5),
/// `$TRIGGER_UNIT`; systemd 252 and newer say so).
pub(crate) fn retries() -> bool {
    std::env::var_os("TRIGGER_UNIT").is_some_and(|unit| unit == planner::units::RETRY_TIMER)
}

fn span(config: &Config) -> TimeDelta {
    let delay = config.schedule.random_delay.as_duration();
    TimeDelta::from_std(delay).unwrap_or_default()
}

/// When the machine was started.
fn booted(now: Time) -> Option<Time> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    let up = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    now.checked_sub_signed(TimeDelta::from_std(up).ok()?)
}
