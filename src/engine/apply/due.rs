//! Asking whether a timer's call asks for a run, and counting those that it begins.
//!
//! Asking must be cheap, because it happens every quarter of an hour: the sources are not walked, and
//! the destination, which may sleep, is looked at only where the state directory does not answer.

use chrono::{DateTime, FixedOffset, TimeDelta};
use executor::{
    ErrorKind,
    error::Result,
    scan,
    state_dir::{StateDir, Unfinished},
};
use planner::{
    due::{self, Asked, Decision, DecisionForAll, Past, TimerRunEnd, WaitingRun},
    notices::TimerCall,
    schedule, unfinished,
};
use schema::{Finding, RunResult, config::DestinationName, inventory::Power, tries::Tries};

use super::{ApplyOutcome, NotBegun, RunOutcome};
use crate::engine::{
    Wanted,
    operation::Operation,
    views::{base_names, name_of},
};

type Time = DateTime<FixedOffset>;

/// What a timer's call comes to.
pub(super) enum Due {
    /// Nothing is due, and why.
    Nothing(String),
    /// A run.
    Run(Wanted),
    /// All that is due is held up, each destination by this.
    HeldUp(Vec<Held>),
}

/// What holds a destination up; `None` is the base, of `local` and `cloud`.
pub(super) type Held = (Option<DestinationName>, Finding);

impl Operation<'_> {
    /// Asks whether anything is due now, and for which destinations where there are several. Those that an
    /// unfinished run is not for are asked as if there were none.
    pub(super) fn ask_due(&self, timer: TimerCall) -> Result<Due> {
        let config = &self.engine.config;
        let named = self.engine.named();
        let state = self.engine.state()?;
        let unfinished = state.as_ref().map(StateDir::unfinished).transpose()?;
        let unfinished = unfinished.flatten();
        if named.is_empty() {
            let decision = match self.ask_own_due(timer, unfinished.as_ref())? {
                Some(decision) => decision,
                None => due::decide_by_absence(config, self.absence()?),
            };
            return Ok(match decision {
                Decision::Nothing(because) => Due::Nothing(because),
                Decision::Run(None) => Due::Run(Wanted::default()),
                Decision::Run(Some(part)) => Due::Run(Wanted::of_part(part)),
                Decision::Defer(because) | Decision::RefuseAsBefore(because) => {
                    Due::HeldUp(vec![(None, because)])
                }
            });
        }
        let begun = unfinished.as_ref();
        let begun = begun.map(|run| unfinished::destinations_of(&run.plan, config));
        let begun = begun.unwrap_or_default();
        let base_begun: Vec<DestinationName> = {
            let base = begun.iter().filter(|name| name.is_predefined());
            base.cloned().collect()
        };
        let mut asked = Vec::new();
        let base = self.engine.has_base().then_some(None);
        for of in base.into_iter().chain(named.into_iter().map(Some)) {
            let is_begun = match &of {
                Some(name) => begun.contains(name),
                None => !base_begun.is_empty(),
            };
            let engine = self.engine.view_of(of.as_ref())?;
            let waiting = unfinished.as_ref().filter(|_| is_begun);
            let decision = self.in_view(&engine).ask_own_due(timer, waiting)?;
            // Of several, those that are there are served.
            asked.push((of, decision.unwrap_or(Decision::Run(None))));
        }
        Ok(match due::decide_for_all(asked) {
            DecisionForAll::Nothing(because) => Due::Nothing(because),
            DecisionForAll::HeldUp(mut held) => {
                for (of, finding) in &mut held {
                    self.tell_held_in_words_of(of.as_ref(), finding);
                }
                Due::HeldUp(held)
            }
            DecisionForAll::Run(due) => {
                let names = due
                    .into_iter()
                    .flat_map(|(of, decision)| match (of, decision) {
                        (Some(name), _) => vec![name],
                        (None, Decision::Run(Some(part))) => Wanted::of_part(part).names,
                        (None, _) if base_begun.is_empty() => base_names(config),
                        (None, _) => base_begun.clone(),
                    });
                Due::Run(Wanted {
                    names: names.collect(),
                    alone: false,
                })
            }
        })
    }

    /// Asks whether anything is due now for the only destination, or for the one whose view this is; of an
    /// `unfinished` run, whether it is gone on with, and none if that is decided by whether it is there.
    fn ask_own_due(
        &self,
        timer: TimerCall,
        unfinished: Option<&Unfinished>,
    ) -> Result<Option<Decision>> {
        let config = &self.engine.config;
        let now = self.now;
        let state = self.engine.state()?;
        let state = state.as_ref();
        let reports = match (unfinished, state) {
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
        let is_on_battery = self.waits_for_power();
        if let Some(unfinished) = unfinished {
            let waiting = WaitingRun {
                run_id: &unfinished.plan.run_id,
                interruptions: unfinished.all(),
                is_busy: state.is_some_and(StateDir::is_busy),
                is_on_battery,
            };
            return Ok(due::decide_continuation(config, &past, &waiting, now));
        }
        let newer = match due::decide(config, &past, now) {
            Asked::Not(because) => return Ok(Some(Decision::Nothing(because))),
            Asked::Run(_) if is_on_battery => {
                let because = planner::findings::battery_deferral("this run");
                return Ok(Some(Decision::Defer(because)));
            }
            Asked::Run(part) => return Ok(Some(Decision::Run(part))),
            Asked::Unless(newer) => newer,
        };
        let destination = self.look_at_destination()?;
        self.release_view(&destination);
        Ok(Some(due::decide_at_destination(
            config,
            &newer,
            &destination,
            &reports,
            is_on_battery,
            now,
        )))
    }

    /// Whether what a timer begins waits here for power from the mains (schedule.onlyOnAC).
    pub(super) fn waits_for_power(&self) -> bool {
        self.engine.config.schedule.only_on_ac && scan::scan_power() == Power::Battery
    }

    /// Says what was found of a destination by the keys in which a person configures it.
    pub(super) fn tell_held_in_words_of(
        &self,
        of: Option<&DestinationName>,
        finding: &mut Finding,
    ) {
        if let Some(name) = of {
            self.engine.config.tell_in_words_of(name, finding);
        }
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
        let mut absence = planner::destination_absence(config, &destination);
        self.engine.tell_in_own_words(&mut absence);
        Ok(absence)
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
