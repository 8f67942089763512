//! What becomes of a run that was begun and not ended: it is continued, as a whole or without the
//! destinations that cannot be, or planned anew.

use executor::{
    error::{Error, Result},
    run::{self, RunEnd, delegation::Delegation},
    state_dir::{StateDir, Unfinished},
};
use planner::{
    Options,
    unfinished::{
        Replan, UnfinishedRun, had_failed_before, replan_other, why_replan, why_replan_approved,
        why_replan_away, why_replan_here,
    },
};
use schema::{
    Finding, Plan, Report, Severity,
    config::DestinationName,
    journal::{Outcome, Status},
    plan::Step,
};

use super::{
    ApplyRequest, BackupKind, RunOutcome,
    run::{PlannedEnd, again_for, of_destination, unusable_bases},
};
use crate::engine::{
    Notice, Wanted, inventory::UnusableBases, operation::Operation, views::name_of,
};

/// What became of an unfinished run.
pub(super) enum Continued {
    /// It came to an end, or waits.
    Ended(RunOutcome),
    /// A new one takes its place.
    GivenUp,
    /// It ended, and a new one does what it could not do for some of its destinations.
    WithoutSome {
        /// What it did.
        report: Box<Report>,
        /// For whom the new one is.
        again: Wanted,
    },
}

/// What is done of an unfinished run, and what of it not.
#[derive(Default)]
struct Parting {
    /// Steps that are not done any more, each with how it ends.
    given_up: Vec<(String, Outcome)>,
    /// The destinations that are planned anew.
    again: Vec<Option<DestinationName>>,
    /// Those that are left alone: they are away, or cannot be looked at.
    left_alone: Vec<Option<DestinationName>>,
    /// Why destinations are waited for.
    away: Vec<Finding>,
    /// Whether for any destination something was done, or is done now.
    does_something: bool,
}

impl Operation<'_> {
    /// Continues an unfinished run. A basis that turned out to be unusable is added to the others.
    pub(super) fn continue_run(
        &self,
        state: &StateDir,
        delegation: Option<Delegation<'_>>,
        unfinished: &Unfinished,
        request: &ApplyRequest,
        unusable: &mut UnusableBases,
    ) -> Result<Continued> {
        let plan = &unfinished.plan;
        if let BackupKind::Only(wanted) = &request.kind
            && !request.fresh
            && plan.only_of != wanted.names
        {
            return Err(
                Error::refused(format!("run {} is not finished", plan.run_id)).hint(
                    "`backup apply` continues it; with --fresh, this starts a new one in its place",
                ),
            );
        }
        let parting = match plan.chains.is_empty() {
            true => match self.why_replan_now(unfinished, request)? {
                Some(why) => Err(why),
                None => match self.absence()? {
                    None => Ok(Parting::default()),
                    Some(absence) => match self.why_replan_away(plan)? {
                        Some(why) => Err(why),
                        None if absence.severity == Severity::Deferral => {
                            return self.defer_run(state, absence).map(Continued::Ended);
                        }
                        None => Ok(Parting::default()),
                    },
                },
            },
            false => match self.why_replan_whole(unfinished, request.fresh) {
                Some(why) => Err(why),
                None => self.part_with(state, plan, request)?,
            },
        };
        let parting = match parting {
            Ok(parting) => parting,
            Err(why) => {
                self.give_up(state, unfinished, &why)?;
                return Ok(Continued::GivenUp);
            }
        };
        if let Some(absence) = parting.away.first().filter(|_| !parting.does_something) {
            return self.defer_run(state, absence.clone()).map(Continued::Ended);
        }
        self.take_over_before(state)?;
        let given_up = parting.given_up;
        let end = run::resume_delegated_run(state, plan, delegation, given_up, self.context)?;
        let (plan, report) = match end {
            RunEnd::Ended(report) => (plan.clone(), *report),
            RunEnd::ToPlanAgain => {
                let options = Options {
                    approve_deletions: request.approve_deletions,
                    scheduled: matches!(request.kind, BackupKind::IfDue(_)),
                    ..Options::default()
                };
                let wanted = Wanted {
                    names: plan.only_of.clone(),
                    alone: false,
                };
                let asked = (&options, &wanted);
                match self.plan_rest(state, delegation, plan, asked, unusable)? {
                    PlannedEnd::Ran(ran) => *ran,
                    PlannedEnd::NotBegun(outcome) => return Ok(Continued::Ended(outcome)),
                }
            }
        };
        let new = unusable_bases(&plan, &report);
        self.learn_unusable(&report.run_id, &new, unusable);
        let mut again = parting.again;
        again.extend(new.into_iter().map(|(of, ..)| of));
        for of in plan.taking_part() {
            let chain = report.chain(&name_of(of.as_ref()));
            let failed = chain.is_some_and(|chain| had_failed_before(&chain));
            if failed && !again.contains(&of) && !parting.left_alone.contains(&of) {
                self.notice(&Notice::HadFailed {
                    run_id: &plan.run_id,
                });
                again.push(of);
            }
        }
        Ok(match again.is_empty() {
            true => Continued::Ended(RunOutcome::Ended(Box::new(report))),
            false if plan.chains.is_empty() => Continued::GivenUp,
            false => Continued::WithoutSome {
                report: Box::new(report),
                again: again_for(again.into_iter(), &plan, &self.engine.config),
            },
        })
    }

    /// What of an unfinished run for several destinations is done and what not; or why all of it is planned
    /// anew.
    fn part_with(
        &self,
        state: &StateDir,
        plan: &Plan,
        request: &ApplyRequest,
    ) -> Result<std::result::Result<Parting, Replan>> {
        if let Some(difference) = self.engine.find_difference(plan) {
            return Ok(Err(replan_other(&difference)));
        }
        let replay = state.replay(&plan.run_id)?;
        let mut parting = Parting::default();
        for of in plan.taking_part() {
            let own = |step: &&Step| step.of == of && !step.is_of_frame();
            let (done, left): (Vec<&Step>, Vec<&Step>) = plan
                .steps
                .iter()
                .filter(own)
                .partition(|step| replay.outcome(&step.id).is_some());
            if left.is_empty() {
                parting.does_something |= !done.is_empty();
                continue;
            }
            let engine = self.engine.view_of(of.as_ref())?;
            let view = self.in_view(&engine);
            let Some(chain) = plan.chain(&name_of(of.as_ref())) else {
                let because = "it has steps for a destination that it is not for";
                return Ok(Err(replan_other(because)));
            };
            let end = match view.look_at_rest(&chain, request) {
                Err(error) => match error.kind.step_status() {
                    None => return Err(error),
                    Some(status) => error.into_outcome(status),
                },
                Ok(RestOfChain::GoesOn) => {
                    parting.does_something = true;
                    continue;
                }
                Ok(RestOfChain::PlannedAnew(why, true)) => return Ok(Err(why)),
                Ok(RestOfChain::PlannedAnew(why, false)) => {
                    parting.again.push(of.clone());
                    parting.does_something = true;
                    let because = &format!("{}: {}", name_of(of.as_ref()), why.because);
                    let run_id = &plan.run_id;
                    self.notice(&Notice::NotContinued { run_id, because });
                    // Nothing of it is done by this run, and the next one may not come to it.
                    Outcome {
                        status: Status::Deferred,
                        message: format!("planned anew: {}", why.because),
                        ..Outcome::default()
                    }
                }
                Ok(RestOfChain::Away(absence)) => {
                    let told = match &of {
                        Some(name) => of_destination(name, &absence),
                        None => absence.clone(),
                    };
                    let status = match absence.severity {
                        Severity::Deferral => Status::Deferred,
                        _ => Status::Refused,
                    };
                    parting
                        .away
                        .extend((status == Status::Deferred).then_some(told));
                    parting.does_something |= !done.is_empty() || status == Status::Refused;
                    Outcome {
                        status,
                        message: absence.message,
                        hint: absence.hint,
                        ..Outcome::default()
                    }
                }
            };
            if !parting.again.contains(&of) {
                parting.left_alone.push(of.clone());
            }
            let first = &left[0].id;
            let others = left.iter().skip(1).map(|step| {
                let outcome = Outcome {
                    status: Status::Skipped,
                    message: format!("needs {first}, which did not succeed"),
                    ..Outcome::default()
                };
                (step.id.clone(), outcome)
            });
            parting.given_up.push((first.clone(), end));
            parting.given_up.extend(others);
        }
        Ok(Ok(parting))
    }

    /// Whether the rest of the chain whose view this is can be gone on with.
    fn look_at_rest(&self, chain: &Plan, request: &ApplyRequest) -> Result<RestOfChain> {
        if self.engine.config.local.enable
            && let Some(absence) = self.absence()?
        {
            return Ok(match self.why_replan_away(chain)? {
                Some(why) => RestOfChain::PlannedAnew(why, true),
                None => RestOfChain::Away(absence),
            });
        }
        let why = match self.why_replan_at_destination(chain)? {
            None => self.why_replan_asked(chain, request)?,
            why => why,
        };
        Ok(match why {
            Some(why) => RestOfChain::PlannedAnew(why, false),
            None => RestOfChain::GoesOn,
        })
    }

    /// Why a run is planned anew whose destination is away; none if it waits for it.
    fn why_replan_away(&self, plan: &Plan) -> Result<Option<Replan>> {
        let destination = self.look_at_destination()?;
        let config = &self.engine.config;
        Ok(why_replan_away(plan, config, &destination))
    }

    /// Gives an unfinished run up, so that a new one takes its place.
    fn give_up(&self, state: &StateDir, unfinished: &Unfinished, why: &Replan) -> Result<()> {
        let run_id = &unfinished.plan.run_id;
        let because = &why.because;
        self.notice(&Notice::NotContinued { run_id, because });
        let count = if why.counts_on { unfinished.all() } else { 0 };
        run::abandon_run(state, &unfinished.plan, because, count, self.context)
    }

    /// Why an unfinished run is planned anew as a whole, as far as that can be said without its destinations.
    fn why_replan_whole(&self, unfinished: &Unfinished, is_fresh: bool) -> Option<Replan> {
        let run = UnfinishedRun {
            plan: &unfinished.plan,
            config: &unfinished.config,
            step: unfinished.step.as_deref(),
            interruptions: unfinished.interruptions,
            inherited: unfinished.inherited,
        };
        why_replan(&run, &self.engine.config, is_fresh, self.now)
    }

    /// Why an unfinished run is planned anew; none if it is continued.
    pub(super) fn why_replan(
        &self,
        unfinished: &Unfinished,
        is_fresh: bool,
    ) -> Result<Option<Replan>> {
        if let Some(why) = self.why_replan_whole(unfinished, is_fresh) {
            return Ok(Some(why));
        }
        let plan = &unfinished.plan;
        if let Some(difference) = self.engine.find_difference(plan) {
            return Ok(Some(replan_other(&difference)));
        }
        self.why_replan_at_destination(plan)
    }

    /// Why it is planned anew at the destination that is there now.
    fn why_replan_at_destination(&self, plan: &Plan) -> Result<Option<Replan>> {
        // Of a plan for several its own steps count.
        let chain = plan.chain(&name_of(self.engine.of.as_ref()));
        let plan = chain.as_ref().unwrap_or(plan);
        let destination = self.look_at_destination()?;
        let undue = || self.engine.find_undue_deletion(plan, &destination);
        Ok(why_replan_here(plan, &destination).or_else(|| Some(replan_other(&undue()?))))
    }

    /// The same for this request, and where its basis cannot be used any more.
    fn why_replan_now(
        &self,
        unfinished: &Unfinished,
        request: &ApplyRequest,
    ) -> Result<Option<Replan>> {
        match self.why_replan(unfinished, request.fresh)? {
            None => self.why_replan_asked(&unfinished.plan, request),
            why => Ok(why),
        }
    }

    fn why_replan_asked(&self, plan: &Plan, request: &ApplyRequest) -> Result<Option<Replan>> {
        let approved = request.approve_deletions.then(|| why_replan_approved(plan));
        match approved.flatten() {
            Some(why) => Ok(Some(why)),
            None => self.why_replan_without_basis(plan),
        }
    }
}

/// What becomes of the rest of one destination's steps.
enum RestOfChain {
    /// It is done.
    GoesOn,
    /// It is planned anew; all of the run, where that is said.
    PlannedAnew(Replan, bool),
    /// The destination is away.
    Away(Finding),
}
