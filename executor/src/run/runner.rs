//! Goes through the steps of a plan: of a new run, of one that is continued, or by delegation.
//!
//! Invariant (law 6): a step's `started` record is on disk before its first effect and `finished`
//! after its last; a step that is only started runs again.

use schema::{
    Config, Inventory, Plan, Report,
    journal::{JournalEvent, Outcome},
    plan::{Action, PLAN_AGAIN, Part, Step},
};

use super::{
    delegation::{Delegation, hand_over},
    report::{conclude, empty_report, unmet_need},
    sessions::{Sessions, Surveys, end_step},
    step::run_step,
};
use crate::{
    error::{Error, Result},
    event::{Context, Event},
    journal::{Journal, Replay},
    state_dir::StateDir,
};

/// Where a run has come to.
#[derive(Debug)]
pub enum RunEnd {
    /// To its end.
    Ended(Box<Report>),
    /// To where the rest of it is to be planned ([`Action::PlanAgain`]).
    ToPlanAgain,
}

impl RunEnd {
    /// The report of a run whose plan is a whole one.
    ///
    /// # Errors
    /// Fails where its rest is to be planned.
    pub fn into_report(self) -> Result<Report> {
        match self {
            Self::Ended(report) => Ok(*report),
            Self::ToPlanAgain => Err(Error::failed(
                "the plan is the beginning of a run, whose rest is planned later",
            )),
        }
    }
}

/// Runs a new plan to its end.
///
/// `surveys` are what the inventory's sources were found to hold; the snapshots are built from them, so
/// that they are not walked again, unless a script runs first that may change them.
///
/// # Errors
/// An interruption, a lock held by another run, or a state directory that cannot be written. The
/// run can be continued then. All else is in the report.
pub fn begin_run(
    state: &StateDir,
    config: &Config,
    inventory: &Inventory,
    surveys: Surveys,
    plan: &Plan,
    context: Context<'_>,
) -> Result<RunEnd> {
    let journal = state.begin(config, inventory, plan)?;
    let mut sessions = Sessions::new(state, plan);
    let scripted = |step: &Step| matches!(step.action, Action::PreScript(_));
    if !plan.steps.iter().any(scripted) {
        sessions.take_surveys(surveys);
    }
    let found = (journal, Replay::default());
    run_steps(sessions, plan, found, Replay::default(), None, context)
}

/// As [`begin_run`], but a unit of its own does each part, by [`Delegation`].
///
/// # Errors
/// As [`begin_run`], and that a part was ended from outside.
pub fn begin_delegated_run(
    state: &StateDir,
    config: &Config,
    inventory: &Inventory,
    plan: &Plan,
    delegation: Delegation<'_>,
    context: Context<'_>,
) -> Result<RunEnd> {
    let journal = state.begin(config, inventory, plan)?;
    let sessions = Sessions::new(state, plan);
    let (found, before) = ((journal, Replay::default()), Replay::default());
    run_steps(sessions, plan, found, before, Some(delegation), context)
}

/// Continues a run that was begun and not ended; with `delegation` a unit of its own does each part.
/// `given_up` are steps that are not done any more, each with how it ends: those of a destination that is
/// away or planned anew, without which the others go on.
///
/// # Errors
/// As [`begin_delegated_run`].
pub fn resume_delegated_run(
    state: &StateDir,
    plan: &Plan,
    delegation: Option<Delegation<'_>>,
    given_up: Vec<(String, Outcome)>,
    context: Context<'_>,
) -> Result<RunEnd> {
    let before = state.replay(&plan.run_id)?;
    if !given_up.is_empty() {
        let (mut journal, mut replay) = state.journal(&plan.run_id)?;
        for (step, outcome) in given_up {
            end_step(&step, outcome, (&mut journal, &mut replay), context)?;
        }
    }
    resume_run(state, plan, delegation, before, context)
}

/// Continues a run; what `before` says of its steps was done by an earlier process.
fn resume_run(
    state: &StateDir,
    plan: &Plan,
    delegation: Option<Delegation<'_>>,
    before: Replay,
    context: Context<'_>,
) -> Result<RunEnd> {
    // An absent destination must not end the run that waits for it.
    let (mut journal, mut replay) = state.journal(&plan.run_id)?;
    let mut sessions = Sessions::new(state, plan);
    sessions.reopen(plan, &mut journal, &mut replay, context)?;
    run_steps(
        sessions,
        plan,
        (journal, replay),
        before,
        delegation,
        context,
    )
}

/// Goes on with a run by the plan of its rest, which holds its beginning as well.
///
/// A kill before the plan is on disk leaves the beginning, one after that a plan that is made once
/// more: the step is ended last.
///
/// # Errors
/// As [`begin_delegated_run`].
pub fn resume_planned_run(
    state: &StateDir,
    inventory: &Inventory,
    plan: &Plan,
    delegation: Option<Delegation<'_>>,
    context: Context<'_>,
) -> Result<Report> {
    state.replace_plan(inventory, plan)?;
    let (mut journal, replay) = state.journal(&plan.run_id)?;
    if replay.outcome(PLAN_AGAIN).is_none() {
        let outcome = Outcome::success("the rest is planned");
        journal.append(&JournalEvent::StepFinished {
            step: PLAN_AGAIN.to_owned(),
            at: context.clock.now(),
            outcome: outcome.clone(),
        })?;
        context.observer.event(Event::StepFinished {
            step: PLAN_AGAIN,
            outcome: &outcome,
        });
    }
    drop(journal);
    let before = Replay::default();
    resume_run(state, plan, delegation, before, context)?.into_report()
}

/// Gives an unfinished run up, so that a new one can take its place. `interruptions` are those that
/// the new one is to count on from; zero where a person began it anew.
///
/// # Errors
/// Fails if the journal cannot be written.
pub fn abandon_run(
    state: &StateDir,
    plan: &Plan,
    because: &str,
    interruptions: u64,
    context: Context<'_>,
) -> Result<()> {
    let (mut journal, _) = state.journal(&plan.run_id)?;
    journal.append(&JournalEvent::RunAbandoned {
        at: context.clock.now(),
        because: because.to_owned(),
        interruptions,
    })
}

/// Goes through the steps of a plan, one after the other, to its report.
fn run_steps(
    mut sessions: Sessions,
    plan: &Plan,
    (mut journal, mut replay): (Journal, Replay),
    before: Replay,
    delegation: Option<Delegation<'_>>,
    context: Context<'_>,
) -> Result<RunEnd> {
    let continued = !replay.events.is_empty();
    let now = context.clock.now();
    journal.append(&JournalEvent::RunStarted {
        plan: plan.digest,
        at: now,
        pid: std::process::id(),
    })?;
    context.observer.event(Event::RunStarted {
        run_id: &plan.run_id,
        continued,
    });
    let mut report = empty_report(plan, &replay, now);
    for step in &plan.steps {
        if matches!(step.action, Action::PlanAgain)
            && replay.outcome(&step.id).is_none()
            && unmet_need(step, &report).is_none()
        {
            journal.append(&JournalEvent::StepStarted {
                step: step.id.clone(),
                at: context.clock.now(),
            })?;
            context
                .observer
                .event(Event::StepStarted { step: &step.id });
            return Ok(RunEnd::ToPlanAgain);
        }
        if let Some(delegation) = delegation
            && step.action.part() != Part::Coordinator
            && !gives_back(step)
            && replay.outcome(&step.id).is_none()
            && unmet_need(step, &report).is_none()
        {
            (journal, replay) =
                hand_over(&sessions.state, plan, step, journal, delegation, context)?;
        }
        let mut done = run_step(
            &mut sessions,
            plan,
            step,
            &mut journal,
            &replay,
            &report,
            context,
        )?;
        // Steps that another process did now began now; those of an earlier run did not.
        if before.outcome(&step.id).is_none() {
            done.started_at = done.started_at.or_else(|| replay.started(&step.id));
        }
        if done.outcome.sealed.is_some() && step.of.is_none() {
            report.snapshot.clone_from(&done.outcome.sealed);
        }
        report.steps.push(done);
    }
    sessions.refresh_views();
    let mut report = conclude(plan, report);
    report.ended_at = context.clock.now();
    report.result = replay.result().unwrap_or(report.result);
    if replay.result().is_none() {
        journal.append(&JournalEvent::RunEnded {
            at: report.ended_at,
            result: report.result,
        })?;
    }
    sessions.state.end(&report)?;
    sessions.state.forget_old_runs(context)?;
    Ok(RunEnd::Ended(Box::new(report)))
}

/// Whether a cloud step deletes local snapshots afterwards, which the unit of the cloud steps may
/// not: the run's own process does it all.
fn gives_back(step: &Step) -> bool {
    matches!(&step.action, Action::CloudSync(sync) if !sync.give_back.is_empty())
}
