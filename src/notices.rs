//! Telling people what no step of a run tells: errors before there is a plan, refused plans, and
//! runs that were deferred for too long.
//!
//! Owns when that is told. Whom, how and in which words is the executor's.

use chrono::{DateTime, FixedOffset};
use executor::{
    Error, ErrorKind,
    deferrals::{Deferrals, ToldError, lately},
    event::{Context, Event},
    notify::{self, News, Occasion, Patience},
    state_dir::StateDir,
    steps,
};
use schema::{
    Config, Finding, Report, RunResult, SnapshotId,
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
        Some(error) => Outcome {
            status: match error.kind {
                ErrorKind::Busy | ErrorKind::Interrupted => return,
                ErrorKind::Refused => Status::Refused,
                ErrorKind::Failed => Status::Failed,
            },
            message: error.message.clone(),
            hint: error.hint.clone(),
            ..Outcome::default()
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
    let told = state.told_error().unwrap_or_default();
    if told.is_some_and(|told| told.message == message && lately(told.at, now)) {
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
    let known = state.deferrals()?;
    let mut deferrals = known.unwrap_or_else(|| Deferrals::new(now));
    let last_good = last_good(settings, config, Some(state), context);
    // Without any backup the first deferred run is what its age is counted from.
    let since = last_good.map_or(deferrals.since, |good| good.started_at);
    let late = planner::schedule::late_since(config, Some(since), now).is_some();
    let wanted = &config.notifications;
    if late && wanted.on_failure && !deferrals.told_lately(now) {
        let told = tell(
            &wanted.channels(),
            report,
            last_good,
            Occasion::Late,
            context,
        );
        if told {
            deferrals.told_at = Some(now);
        }
    }
    if known != Some(deferrals) {
        state.remember_deferrals(Some(deferrals))?;
    }
    Ok(())
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

/// The newest good snapshot, as the destination shows or this machine remembers it.
fn last_good(
    settings: &Settings,
    config: &Config,
    state: Option<&StateDir>,
    context: Context<'_>,
) -> Option<LastGood> {
    let remembered = state.and_then(|state| state.last_good().ok()?);
    let found = config
        .local
        .enable
        .then(|| take::destination(settings, config, context).ok())
        .flatten()
        .and_then(|destination| planner::last_good(&destination, context.clock.now()));
    found
        .into_iter()
        .chain(remembered)
        .max_by_key(|good| good.started_at)
}
