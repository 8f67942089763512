//! Goes through the steps of a plan: of a new run, of one that is continued, or by delegation.
//!
//! Invariant (law 6): a step's `started` record is on disk before its first effect and `finished`
//! after its last; a step that is only started runs again.

use schema::{
    Config, Inventory, Plan, Report,
    journal::JournalEvent,
    plan::{Action, Part, Step},
};

use super::{
    delegation::{Delegation, hand_over},
    report::{empty_report, run_result, unmet_need},
    session::Session,
    step::run_step,
};
use crate::{
    error::Result,
    event::{Context, Event},
    journal::{Journal, Replay},
    state_dir::StateDir,
    survey::Survey,
};

/// Runs a new plan to its end.
///
/// `survey` is what the inventory's sources were found to hold; the snapshot is built from it, so
/// that they are not walked again, unless a script runs first that may change them.
///
/// # Errors
/// An interruption, a lock held by another run, or a state directory that cannot be written. The
/// run can be continued then. All else is in the report.
pub fn begin_run(
    state: &StateDir,
    config: &Config,
    inventory: &Inventory,
    survey: Option<Survey>,
    plan: &Plan,
    context: Context<'_>,
) -> Result<Report> {
    let journal = state.begin(config, inventory, plan)?;
    let mut session = Session::new(state, plan);
    let scripted = |step: &Step| matches!(step.action, Action::PreScript(_));
    session.survey = survey.filter(|_| !plan.steps.iter().any(scripted));
    run_steps(session, plan, journal, Replay::default(), None, context)
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
) -> Result<Report> {
    let journal = state.begin(config, inventory, plan)?;
    let session = Session::new(state, plan);
    let replay = Replay::default();
    run_steps(session, plan, journal, replay, Some(delegation), context)
}

/// Continues a run that was begun and not ended; with `delegation` a unit of its own does each part.
///
/// # Errors
/// As [`begin_delegated_run`].
pub fn resume_delegated_run(
    state: &StateDir,
    plan: &Plan,
    delegation: Option<Delegation<'_>>,
    context: Context<'_>,
) -> Result<Report> {
    // An absent destination must not end the run that waits for it.
    let (journal, replay) = state.journal(&plan.run_id)?;
    if replay
        .outcome("destination-check")
        .is_some_and(|outcome| outcome.status.serves())
    {
        Session::new(state, plan).store()?;
    }
    let session = Session::new(state, plan);
    run_steps(session, plan, journal, replay, delegation, context)
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
    mut session: Session<'_>,
    plan: &Plan,
    mut journal: Journal,
    mut replay: Replay,
    delegation: Option<Delegation<'_>>,
    context: Context<'_>,
) -> Result<Report> {
    let before = replay.clone();
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
        if let Some(delegation) = delegation
            && step.action.part() != Part::Coordinator
            && !gives_back(step)
            && replay.outcome(&step.id).is_none()
            && unmet_need(step, &report).is_none()
        {
            (journal, replay) = hand_over(session.state, plan, step, journal, delegation, context)?;
        }
        let mut done = run_step(
            &mut session,
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
        if done.outcome.sealed.is_some() {
            report.snapshot.clone_from(&done.outcome.sealed);
        }
        report.steps.push(done);
    }
    session.refresh_view();
    report.ended_at = context.clock.now();
    report.result = replay.result().unwrap_or_else(|| run_result(&report));
    if replay.result().is_none() {
        journal.append(&JournalEvent::RunEnded {
            at: report.ended_at,
            result: report.result,
        })?;
    }
    session.state.end(&report)?;
    session.state.forget_old_runs(context)?;
    Ok(report)
}

/// Whether a cloud step deletes local snapshots afterwards, which the unit of the cloud steps may
/// not: the run's own process does it all.
fn gives_back(step: &Step) -> bool {
    matches!(&step.action, Action::CloudSync(sync) if !sync.give_back.is_empty())
}
