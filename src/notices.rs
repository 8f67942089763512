//! Telling people what no step of a run tells: errors before there is a plan, refused plans, runs
//! that were deferred for too long, and what a health check found.
//!
//! Owns when that is told. Whom, how and in which words is the executor's.

use chrono::{DateTime, FixedOffset};
use executor::{
    Error,
    deferrals::{Deferrals, ToldError, lately},
    event::{Context, Event},
    notify::{self, News, Occasion, Patience},
    state_dir::StateDir,
    steps,
};
use planner::standing::{self, Known};
use schema::{
    Config, Finding, Report, RunResult, SnapshotId,
    clock::is_ahead,
    health::{Health, HealthVerdict},
    journal::{Outcome, REPORT_FORMAT_VERSION, Status, StepReport},
    plan::{Channel, LastGood, NOTIFY, NotifyStep},
};

use crate::{
    commands::due,
    settings::{Settings, host_name},
    take,
};

/// A report of a run that never began.
pub(crate) fn unbegun(
    config: &Config,
    now: DateTime<FixedOffset>,
    result: RunResult,
    findings: Vec<Finding>,
) -> Report {
    Report {
        format_version: REPORT_FORMAT_VERSION,
        run_id: SnapshotId::from_local(now.naive_local()).to_string(),
        host: config.hostname.clone().unwrap_or_else(host_name),
        started_at: now,
        ended_at: now,
        result,
        only: None,
        snapshot: None,
        findings,
        steps: Vec::new(),
    }
}

/// Tells of an error that ended a backup before it could tell of itself.
///
/// Nobody is told that another run is at work, or that a person ended it.
pub(crate) fn of_error(
    settings: &Settings,
    config: &Config,
    error: &anyhow::Error,
    scheduled: bool,
    context: Context<'_>,
) {
    let outcome = match error.downcast_ref::<Error>() {
        Some(error) => match error.kind.step_status() {
            None => return,
            Some(status) => error.clone().into_outcome(status),
        },
        // What was explained to whoever called, and told where it was to be.
        None if error.is::<crate::exit::Explained>() || error.is::<crate::exit::Invalid>() => {
            return;
        }
        None => Outcome {
            status: Status::Failed,
            message: format!("{error:#}"),
            ..Outcome::default()
        },
    };
    let now = context.clock.now();
    let state = StateDir::open(&settings.state_dir).unwrap_or_default();
    if scheduled && !is_news(state.as_ref(), &outcome.message, now) {
        return;
    }
    let result = match outcome.status {
        Status::Refused => RunResult::Refused,
        _ => RunResult::Failed,
    };
    let mut report = unbegun(config, now, result, Vec::new());
    report.steps = vec![StepReport {
        step: "prepare".to_owned(),
        started_at: Some(now),
        ended_at: now,
        outcome,
    }];
    of_report(settings, config, &report, context);
}

/// Whether nobody was told of this error within a day; remembers it. What cannot be remembered is
/// told by the timer itself and not by the one that tries again.
fn is_news(state: Option<&StateDir>, message: &str, now: DateTime<FixedOffset>) -> bool {
    let Some(state) = state else {
        return !due::retries();
    };
    let told = state.told_error();
    if told.is_some_and(|told| told.is_of(message) && lately(told.at, now)) {
        return false;
    }
    let told = ToldError {
        message: message.to_owned(),
        at: now,
    };
    state.remember_told_error(&told).is_ok() || !due::retries()
}

/// Tells of a report that has no step for it.
pub(crate) fn of_report(
    settings: &Settings,
    config: &Config,
    report: &Report,
    context: Context<'_>,
) {
    let wanted = &config.notifications;
    let step = NotifyStep {
        on_success: wanted.on_success,
        on_failure: wanted.on_failure,
        channels: wanted.channels(),
        last_good: None,
    };
    let channels = notify::wanted(&step, report.result);
    let state = StateDir::open(&settings.state_dir).unwrap_or_default();
    let last_good = last_good(settings, config, state.as_ref(), context);
    tell(&channels, report, last_good, Occasion::Result, context);
}

/// Remembers that a run was deferred, and tells people once a day while the last good backup is
/// older than it may be.
pub(crate) fn of_deferral(
    settings: &Settings,
    config: &Config,
    state: &StateDir,
    report: &Report,
    context: Context<'_>,
) -> executor::Result<()> {
    let now = context.clock.now();
    let known = state.deferrals();
    // Those of a clock that was ahead say nothing of how long it has been.
    let credible = known.filter(|known| !is_ahead(known.since, now));
    let mut deferrals = credible.unwrap_or_else(|| Deferrals::new(now));
    // Without any backup the first deferred run is what its age is counted from.
    let is_late = |good: Option<LastGood>| {
        let since = good.map_or(deferrals.since, |good| good.started_at);
        planner::schedule::late_since(config, Some(since), now).is_some()
    };
    let wanted = &config.notifications;
    let asked = wanted.enable && wanted.on_failure && !deferrals.told_lately(now);
    // The destination, which may sleep, is looked at only where there is something to tell.
    if asked && is_late(state.last_good(now).unwrap_or_default()) {
        let last_good = last_good(settings, config, Some(state), context);
        if is_late(last_good)
            && tell(
                &wanted.channels(),
                report,
                last_good,
                Occasion::Late,
                context,
            )
        {
            deferrals.told_at = Some(now);
        }
    }
    if known != Some(deferrals) {
        state.remember_deferrals(Some(deferrals))?;
    }
    Ok(())
}

/// Tells of a health check that found something; whether anyone was told. A dead man's switch waits
/// for backups and is left alone.
pub(crate) fn of_health(config: &Config, health: &Health, context: Context<'_>) -> bool {
    let wanted = &config.notifications;
    if !wanted.on_failure {
        return false;
    }
    let mut channels = wanted.channels();
    channels.retain(|channel| !matches!(channel, Channel::Healthcheck { .. }));
    let result = match health.verdict {
        HealthVerdict::Error => RunResult::Failed,
        HealthVerdict::Warning | HealthVerdict::Ok => RunResult::Incomplete,
    };
    let report = unbegun(config, health.checked_at, result, health.findings.clone());
    let last_good = health.last_good.map(|good| LastGood {
        id: good.id,
        started_at: good.started_at,
    });
    tell(&channels, &report, last_good, Occasion::Health, context)
}

/// Tells these channels; whether any of them was told.
fn tell(
    channels: &[Channel],
    report: &Report,
    last_good: Option<LastGood>,
    occasion: Occasion,
    context: Context<'_>,
) -> bool {
    if channels.is_empty() {
        return false;
    }
    context.observer.event(Event::StepStarted { step: NOTIFY });
    let news = News {
        report,
        last_good,
        now: context.clock.now(),
        occasion,
    };
    let told = notify::tell(channels, &news, Patience::default(), context.stop);
    let any = told.iter().any(|one| one.ok);
    let outcome = steps::notify::outcome(told);
    context.observer.event(Event::StepFinished {
        step: NOTIFY,
        outcome: &outcome,
    });
    any
}

/// The last good backup, as the destination shows or this machine remembers it.
fn last_good(
    settings: &Settings,
    config: &Config,
    state: Option<&StateDir>,
    context: Context<'_>,
) -> Option<LastGood> {
    let now = context.clock.now();
    let runs = state.and_then(|state| state.ended_runs().ok());
    let runs = runs.unwrap_or_default();
    let enabled = config.local.enable;
    let found = enabled.then(|| take::destination(settings, config, context).ok());
    let inventory = take::inventory_of(settings, now, found.flatten()).ok()?;
    let known = Known {
        destination: inventory.destination.as_ref(),
        is_ours: standing::is_ours(config, &inventory),
        has_others: inventory.known_destinations.len() > 1,
        runs: &runs,
    };
    let good = standing::last_good(config, &known, now)?;
    Some(LastGood {
        id: good.id,
        started_at: good.started_at,
    })
}
