//! Asking whether a timer's call asks for a run.
//!
//! Asking must be cheap, because it happens every quarter of an hour: the sources are not walked, and
//! the destination, which may sleep, is looked at only where the state directory does not answer.

use anyhow::Result;
use chrono::{DateTime, FixedOffset, TimeDelta};
use executor::{event::Context, scan, state_dir::StateDir};
use planner::{
    due::{self, Asked, Past},
    schedule,
};
use schema::{Config, Finding, Plan, Report, Severity, inventory::Power, plan::Part, tries::Tries};

use crate::{render::amount, settings::Settings, take};

type Time = DateTime<FixedOffset>;

/// What is due.
pub(crate) enum Due {
    /// Nothing, and why.
    Not(String),
    /// A run, or the steps of one part of it.
    Run(Option<Part>),
    /// A run, but not now, and why.
    Later(Finding),
    /// A run that is refused for the reason that one of this period was refused for.
    Refused(Finding),
}

/// Asks whether anything is due now.
pub(crate) fn ask(
    settings: &Settings,
    config: &Config,
    now: Time,
    context: Context<'_>,
) -> Result<Due> {
    let state = StateDir::open(&settings.state_dir)?;
    let state = state.as_ref();
    let unfinished = state.map(StateDir::unfinished).transpose()?.flatten();
    let reports = match (&unfinished, state) {
        (None, Some(state)) => state.reports()?,
        _ => Vec::new(),
    };
    let past = Past {
        reports: &reports,
        // Of a file that cannot be read nothing is known.
        tries: state.and_then(StateDir::tries),
        again: retries(),
        booted: booted(now),
    };
    if let Some(unfinished) = unfinished {
        // Whether another is at work, its lock will say.
        if state.is_some_and(StateDir::is_busy) {
            return Ok(Due::Run(None));
        }
        // A new run is deferred by its plan; this one has its plan already.
        let id = &unfinished.plan.run_id;
        if let Some(deferral) = on_battery(config, &format!("the rest of run {id}")) {
            return Ok(Due::Later(deferral));
        }
        if let Some(until) = due::decide_unfinished(config, &past, now) {
            return Ok(Due::Not(format!(
                "run {id} was interrupted {}; it is continued at {}",
                amount::times(unfinished.all()),
                until.format("%H:%M")
            )));
        }
        return Ok(match absence(settings, config, context)? {
            Some(absence) if absence.severity == Severity::Deferral => Due::Later(absence),
            _ => Due::Run(None),
        });
    }
    let newer = match due::decide(config, &past, now) {
        Asked::Not(because) => return Ok(Due::Not(because)),
        Asked::Run(part) => {
            let deferral = on_battery(config, "this run");
            return Ok(deferral.map_or(Due::Run(part), Due::Later));
        }
        Asked::Unless(newer) => newer,
    };
    let destination = take::destination(settings, config, context)?;
    if due::on_disk(config, &destination, &newer, now) {
        return Ok(Due::Not(
            "the newest snapshot is as new as the schedule asks for".to_owned(),
        ));
    }
    if let Some(deferral) = on_battery(config, "this run") {
        return Ok(Due::Later(deferral));
    }
    // Without the drive only a run that copies to the cloud has anything to do.
    let absence = planner::absence(config, &destination).filter(|_| !config.cloud.enable);
    let Some(absence) = absence else {
        return Ok(Due::Run(None));
    };
    if absence.severity == Severity::Deferral {
        return Ok(Due::Later(absence));
    }
    let before = due::last_of_period(config, &reports, Part::Local, now);
    let same = before.is_some_and(|last| refusals(&last.findings) == [absence.code.as_str()]);
    Ok(if same {
        Due::Refused(absence)
    } else {
        Due::Run(None)
    })
}

/// That the destination of an unfinished run is away, and what that means.
pub(crate) fn absence(
    settings: &Settings,
    config: &Config,
    context: Context<'_>,
) -> Result<Option<Finding>> {
    if !config.local.enable {
        return Ok(None);
    }
    let destination = take::destination(settings, config, context)?;
    Ok(planner::absence(config, &destination))
}

/// That `what` waits for AC power, where it does.
fn on_battery(config: &Config, what: &str) -> Option<Finding> {
    let battery = config.schedule.only_on_ac && scan::power() == Power::Battery;
    battery.then(|| planner::findings::battery(what))
}

/// Counts one more run that a timer begins, before it does; gives what is to be remembered if it turns
/// out to be none.
pub(crate) fn begun(
    state: &StateDir,
    config: &Config,
    now: Time,
) -> executor::Result<Option<Tries>> {
    let known = state.tries();
    let next = Tries::one_more(known, schedule::due_since(config, now), now);
    state.remember_tries(Some(next))?;
    Ok(known)
}

/// Whether the last run was refused for nothing but an absent drive: looking for that costs nothing.
pub(crate) fn was_absent(state: &StateDir) -> executor::Result<bool> {
    let last = state.last_report()?;
    Ok(last.is_some_and(|last| due::was_absent(&last)))
}

/// Whether a run is refused for the reasons that a run of the same period was refused for, which
/// somebody was told of then.
pub(crate) fn was_told(state: &StateDir, config: &Config, plan: &Plan, now: Time) -> Result<bool> {
    if plan.severity() != Some(Severity::Refusal) {
        return Ok(false);
    }
    let reports: Vec<Report> = state.reports()?;
    let last = due::last_of_period(config, &reports, plan.only.unwrap_or(Part::Local), now);
    Ok(last.is_some_and(|last| refusals(&last.findings) == refusals(&plan.findings)))
}

/// The codes of what refuses a run.
fn refusals(findings: &[Finding]) -> Vec<&str> {
    let refusals = findings.iter();
    let refusals = refusals.filter(|finding| finding.severity == Severity::Refusal);
    refusals.map(|finding| finding.code.as_str()).collect()
}

/// Whether the timer that asks again is what started this process (systemd.exec(5),
/// `$TRIGGER_UNIT`; systemd 252 and newer say so).
pub(crate) fn retries() -> bool {
    std::env::var_os("TRIGGER_UNIT").is_some_and(|unit| unit == planner::units::RETRY_TIMER)
}

/// When the machine was started.
fn booted(now: Time) -> Option<Time> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    let up = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    now.checked_sub_signed(TimeDelta::from_std(up).ok()?)
}
