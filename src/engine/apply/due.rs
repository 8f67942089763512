//! Asking whether a timer's call asks for a run, and counting those that it begins.
//!
//! Asking must be cheap, because it happens every quarter of an hour: the sources are not walked, and
//! the destination, which may sleep, is looked at only where the state directory does not answer.

use chrono::{DateTime, FixedOffset, TimeDelta};
use executor::{ErrorKind, error::Result, scan, state_dir::StateDir};
use planner::{
    due::{self, Asked, Decision, Past, TimerRunEnd, WaitingRun},
    notices::TimerCall,
    schedule,
};
use schema::{Finding, RunResult, config::DestinationName, inventory::Power, tries::Tries};

use super::{ApplyOutcome, NotBegun, RunOutcome};
use crate::engine::{
    Wanted,
    operation::Operation,
    views::{base_names, name_of},
};

type Time = DateTime<FixedOffset>;

impl Operation<'_> {
    /// Asks whether anything is due now, and for which destinations where there are several.
    pub(super) fn ask_due(&self, timer: TimerCall, wanted: &mut Wanted) -> Result<Decision> {
        let named = self.engine.named();
        let state = self.engine.state()?;
        let unfinished = state.as_ref().map(StateDir::unfinished).transpose()?;
        if named.is_empty() || unfinished.flatten().is_some() {
            return self.ask_own_due(timer);
        }
        let mut asked = Vec::new();
        let base = self.engine.has_base().then_some(None);
        for of in base.into_iter().chain(named.into_iter().map(Some)) {
            let engine = self.engine.view_of(of.as_ref())?;
            let decision = self.in_view(&engine).ask_own_due(timer)?;
            asked.push((of, decision));
        }
        let (decision, due) = due::decide_for_all(asked);
        for (of, decision) in due {
            match (of, decision) {
                (Some(name), _) => wanted.names.push(name),
                (None, Decision::Run(Some(part))) => {
                    wanted.names.extend(Wanted::of_part(part).names)
                }
                (None, _) => wanted.names.extend(base_names(&self.engine.config)),
            }
        }
        Ok(decision)
    }

    /// Asks whether anything is due now for the only destination, or for the one whose view this is.
    fn ask_own_due(&self, timer: TimerCall) -> Result<Decision> {
        let config = &self.engine.config;
        let now = self.now;
        let state = self.engine.state()?;
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
            again: timer.is_retry,
            booted: boot_time(now),
        };
        let is_on_battery = config.schedule.only_on_ac && scan::scan_power() == Power::Battery;
        if let Some(unfinished) = unfinished {
            let waiting = WaitingRun {
                run_id: &unfinished.plan.run_id,
                interruptions: unfinished.all(),
                is_busy: state.is_some_and(StateDir::is_busy),
                is_on_battery,
            };
            return match due::decide_continuation(config, &past, &waiting, now) {
                Some(decision) => Ok(decision),
                // Of several, those that are there are served.
                None if !self.engine.config.destinations.is_empty() => Ok(Decision::Run(None)),
                None => Ok(due::decide_by_absence(config, self.absence()?)),
            };
        }
        let newer = match due::decide(config, &past, now) {
            Asked::Not(because) => return Ok(Decision::Nothing(because)),
            Asked::Run(_) if is_on_battery => {
                return Ok(Decision::Defer(planner::findings::battery_deferral(
                    "this run",
                )));
            }
            Asked::Run(part) => return Ok(Decision::Run(part)),
            Asked::Unless(newer) => newer,
        };
        let destination = self.look_at_destination()?;
        self.release_view(&destination);
        Ok(due::decide_at_destination(
            config,
            &newer,
            &destination,
            &reports,
            is_on_battery,
            now,
        ))
    }

    /// That the destination of an unfinished run is away, and what that means; its view is taken away
    /// then.
    pub(super) fn absence(&self) -> Result<Option<Finding>> {
        let config = &self.engine.config;
        if !config.local.enable {
            return Ok(None);
        }
        let destination = self.look_at_destination()?;
        self.release_view(&destination);
        Ok(planner::destination_absence(config, &destination))
    }

    /// Counts a run that a timer begins, before it leaves any trace: so that one that dies each time
    /// is tried again at growing distances too.
    pub(super) fn count_timer_run(
        &self,
        wanted: &Wanted,
        run: impl FnOnce() -> Result<ApplyOutcome>,
    ) -> Result<ApplyOutcome> {
        let state = self.engine.state_or_new()?;
        let mut counted = Vec::new();
        let named = self.engine.named();
        let named = named.into_iter().filter(|name| wanted.has(name)).map(Some);
        let base = (wanted.has_base() || self.engine.named().is_empty()).then_some(None);
        for of in base.into_iter().chain(named) {
            let engine = self.engine.view_of(of.as_ref())?;
            let own = state.of_destination(of.as_ref());
            let before = own.tries();
            let since = schedule::due_since(&engine.config, self.now);
            own.remember_tries(Some(Tries::one_more(before, since, self.now)))?;
            counted.push((of, own, before));
        }
        let ended = run();
        for (of, own, before) in counted {
            self.count_end(of.as_ref(), &own, before, &ended)?;
        }
        ended
    }

    /// Counts how a run ended that a timer began, for one destination.
    fn count_end(
        &self,
        of: Option<&DestinationName>,
        state: &StateDir,
        before: Option<Tries>,
        ended: &Result<ApplyOutcome>,
    ) -> Result<()> {
        let own_report = match ended {
            Ok(ApplyOutcome::Run(RunOutcome::Ended(report))) => report.chain(&name_of(of)),
            _ => None,
        };
        let last = match &own_report {
            Some(report) if report.result == RunResult::Refused => state.last_report()?,
            _ => None,
        };
        let end = match (ended, &own_report) {
            // It was not among those of the run.
            (Ok(ApplyOutcome::Run(RunOutcome::Ended(_))), None) => TimerRunEnd::Deferred,
            (Ok(ApplyOutcome::Run(RunOutcome::Ended(_))), Some(report)) => match report.result {
                RunResult::Deferred if due::ran_script(report) => TimerRunEnd::Other,
                RunResult::Deferred => TimerRunEnd::Deferred,
                RunResult::Refused => TimerRunEnd::Refused(last.as_ref()),
                _ => TimerRunEnd::Other,
            },
            (Ok(ApplyOutcome::Run(RunOutcome::NotBegun { cause, .. })), _) => match cause {
                NotBegun::Deferred => TimerRunEnd::Deferred,
                NotBegun::Refused
                | NotBegun::RefusedAsBefore
                | NotBegun::StalePlan
                | NotBegun::UnlawfulPlan => TimerRunEnd::Other,
            },
            (Ok(ApplyOutcome::NothingDue { .. }), _) => TimerRunEnd::Other,
            (Err(error), _) if error.kind == ErrorKind::Busy => TimerRunEnd::Busy,
            (Err(_), _) => TimerRunEnd::Other,
        };
        let now = self.context.clock.now();
        state.remember_tries(due::tries_after(before, state.tries(), end, now))
    }
}

/// When the machine was started.
fn boot_time(now: Time) -> Option<Time> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split(' ').next()?.parse().ok()?;
    let up = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    now.checked_sub_signed(TimeDelta::from_std(up).ok()?)
}
