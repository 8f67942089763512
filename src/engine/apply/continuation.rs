//! What becomes of a run that was begun and not ended: it is continued, as a whole or without the
//! destinations that cannot be, or planned anew.

use executor::{
    error::{Error, Result},
    run::{self, RunEnd, delegation::Delegation},
    state_dir::{StateDir, Unfinished},
};
use planner::{
    Options,
    findings::battery_deferral,
    unfinished::{
        Replan, UnfinishedRun, had_failed_before, replan_other, wanted_besides, why_replan,
        why_replan_approved, why_replan_away, why_replan_here,
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
    due::Held,
    run::{PlannedEnd, again_for, unusable_bases},
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
    /// It ended, and a new one does what it could not do for some of its destinations, and what it was not for.
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
    away: Vec<Held>,
    /// Whether for any destination something was done, or is done now.
    does_something: bool,
}

impl Operation<'_> {
    /// Continues an unfinished run, and says for which of the destinations that are wanted a new one is to follow.
    /// A basis that turned out to be unusable is added to the others.
    pub(super) fn continue_run(
        &self,
        state: &StateDir,
        delegation: Option<Delegation<'_>>,
        unfinished: &Unfinished,
        (request, wanted): (&ApplyRequest, &Wanted),
        unusable: &mut UnusableBases,
    ) -> Result<Continued> {
        let plan = &unfinished.plan;
        if let BackupKind::Only(only) = &request.kind
            && !request.fresh
            && plan.only_of != only.names
        {
            return Err(refuse_beside(plan));
        }
        let rest = wanted_besides(plan, &self.engine.config, wanted);
        let parting = match plan.chains.is_empty() && rest.is_empty() {
            true => match self.why_replan_now(unfinished, request)? {
                Some(why) => Err(why),
                None => match self.absence()? {
                    None => Ok(Parting::default()),
                    Some(absence) => match self.why_replan_away(plan)? {
                        Some(why) => Err(why),
                        None if absence.severity == Severity::Deferral => {
                            return self.hold_up(vec![(None, absence)]).map(Continued::Ended);
                        }
                        None => Ok(Parting::default()),
                    },
                },
            },
            false => match self.why_replan_whole(unfinished, request.fresh) {
                Some(why) => Err(why),
                None => self.part_with(state, plan, (request, wanted))?,
            },
        };
        let parting = match parting {
            Ok(parting) => parting,
            Err(why) => {
                self.give_up(state, unfinished, &why)?;
                return Ok(Continued::GivenUp);
            }
        };
        if !parting.away.is_empty() && !parting.does_something && rest.is_empty() {
            return self.hold_up(parting.away).map(Continued::Ended);
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
                    PlannedEnd::NotBegun(RunOutcome::NotBegun { report, .. })
                        if !rest.is_empty() =>
                    {
                        let again = Wanted {
                            alone: wanted.alone,
                            ..Wanted::only(rest)
                        };
                        return Ok(Continued::WithoutSome { report, again });
                    }
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
        if again.is_empty() && rest.is_empty() {
            return Ok(Continued::Ended(RunOutcome::Ended(Box::new(report))));
        }
        if plan.chains.is_empty() && rest.is_empty() {
            return Ok(Continued::GivenUp);
        }
        let mut again = again_for(again.into_iter(), &plan, &self.engine.config);
        if !rest.is_empty() {
            again.names.extend(rest);
            again.alone = wanted.alone;
        }
        Ok(Continued::WithoutSome {
            report: Box::new(report),
            again,
        })
    }

    /// What of an unfinished run for several destinations is done and what not; or why all of it is planned
    /// anew.
    fn part_with(
        &self,
        state: &StateDir,
        plan: &Plan,
        (request, wanted): (&ApplyRequest, &Wanted),
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
            let is_wanted = match &of {
                Some(name) => wanted.has(name),
                None => wanted.has_base(),
            };
            let rest = match is_wanted {
                true => view.look_at_rest(&chain, request),
                false => Ok(RestOfChain::NotNow),
            };
            let end = match rest {
                Err(error) => match error.kind.step_status() {
                    None => return Err(error),
                    Some(status) => view.engine.error_in_own_words(error).into_outcome(status),
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
                // The next run takes what it has copied over.
                Ok(RestOfChain::NotNow) => Outcome {
                    status: Status::Deferred,
                    message: "it was interrupted again and again, and is tried again later"
                        .to_owned(),
                    ..Outcome::default()
                },
                Ok(RestOfChain::Away(mut absence)) => {
                    self.tell_held_in_words_of(of.as_ref(), &mut absence);
                    let status = match absence.severity {
                        Severity::Deferral => Status::Deferred,
                        _ => Status::Refused,
                    };
                    let is_deferred = status == Status::Deferred;
                    let held = is_deferred.then(|| (of.clone(), absence.clone()));
                    parting.away.extend(held);
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
        if matches!(request.kind, BackupKind::IfDue(_)) && self.waits_for_power() {
            let what = format!("the rest of run {}", chain.run_id);
            return Ok(RestOfChain::Away(battery_deferral(&what)));
        }
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
    /// The destination is away, or waits for something else.
    Away(Finding),
    /// A later call goes on with it.
    NotNow,
}

/// That nothing else is done by itself while this run is not finished.
pub(super) fn refuse_beside(plan: &Plan) -> Error {
    Error::refused(format!("run {} is not finished", plan.run_id))
        .hint("`backup apply` continues it; with --fresh, this starts a new one in its place")
}
