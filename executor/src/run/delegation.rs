//! A run whose parts are done by processes of their own.
//!
//! The run's process writes that it hands a part over, lets go of the journal, and waits. The other
//! process does the part's steps with the same records before and after each effect (law 6), in the
//! same journal or, where it faces the network, in one of its own that is taken over afterwards. So
//! whichever of them is killed at whatever instant, the journal says what was done. What counts is the journal, not how a unit says that it ended.

use std::time::Duration;

use schema::{
    FailureCode, Plan, RunResult,
    journal::{JournalEvent, Outcome, Status},
    plan::{Share, Step},
};

use super::sessions::outcome_in_chain;
use crate::{
    error::{Error, ErrorKind, Result},
    event::Context,
    journal::{Journal, Replay},
    state_dir::{RunLock, StateDir},
    watch::Pause,
};

/// How a unit that was started ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitExit {
    /// It ran; this is its exit code.
    Ran(i32),
    /// A condition kept it from starting; the sentence says which unit.
    Skipped(String),
    /// It could not be started; the sentence says why.
    NotStarted(String),
    /// It was ended from outside, or ended badly; the sentence says how.
    Broken(String),
}

/// Starts units and waits for their end.
pub trait Units {
    /// Starts the unit of a share and waits for its end.
    ///
    /// # Errors
    /// An interruption: the unit was asked to stop then.
    fn run(&self, share: &Share, context: Context<'_>) -> Result<UnitExit>;

    /// Name of the unit of a share.
    fn name(&self, share: &Share) -> String;
}

/// What a run needs to hand its parts over.
#[derive(Clone, Copy)]
pub struct Delegation<'a> {
    /// The units.
    pub units: &'a dyn Units,
    /// The run's locks.
    pub lock: &'a RunLock,
}

/// What to do about a part that says itself why it ended.
const CONTINUES: &str = "the next `backup apply` continues the run";

/// Hands a share over from `step` on and waits until it is done. In a run for several destinations a unit that
/// breaks, falls silent or is kept out is the end of its own steps, and of nobody else's.
pub(super) fn hand_over(
    state: &StateDir,
    plan: &Plan,
    step: &Step,
    mut journal: Journal,
    delegation: Delegation<'_>,
    context: Context<'_>,
) -> Result<(Journal, Replay)> {
    let share = &step.share();
    context.stop.check()?;
    // All that an earlier process of this part wrote was taken over when this journal was opened.
    state.forget_part_journal(&plan.run_id)?;
    journal.append(&JournalEvent::HandedOver {
        part: share.part,
        of: share.of.clone(),
        at: context.clock.now(),
    })?;
    // The other process writes now, and watches what it works on.
    drop(journal);
    let pause = Pause::new();
    let ended = delegation
        .lock
        .lend(state, context.stop, || delegation.units.run(share, context))?;
    drop(pause);
    let (mut journal, replay) = state.journal(&plan.run_id)?;
    let left = find_left_step(plan, step, &replay);
    let Some(left) = left else {
        return Ok((journal, replay));
    };
    let unit = &delegation.units.name(share);
    let outcome = match outcome_of_left_step(ended, unit, left, &replay, context) {
        Ok(outcome) => outcome,
        Err(error) if plan.chains.is_empty() => return Err(error),
        Err(error) => {
            // Its own signal may be on its way; without one, somebody ended that unit alone.
            asked_to_stop_soon(context)?;
            outcome_apart(plan, &error).ok_or(error)?
        }
    };
    journal.append(&JournalEvent::StepFinished {
        step: left.id.clone(),
        at: context.clock.now(),
        outcome,
    })?;
    drop(journal);
    state.journal(&plan.run_id)
}

/// The first step of a share that was handed over from `step` on and is not done.
fn find_left_step<'p>(plan: &'p Plan, step: &Step, replay: &Replay) -> Option<&'p Step> {
    let share = step.share();
    let group = plan.group(&share, |step| replay.outcome(&step.id).is_some());
    // Steps of it that stand behind another's are handed over in their turn.
    group.first().filter(|left| {
        let place = |of: &Step| plan.steps.iter().position(|step| step.id == of.id);
        let between = plan.steps.iter().skip(place(step).unwrap_or(0));
        between
            .take_while(|step| step.share() == share)
            .any(|step| step.id == left.id)
    })
}

/// How a step ended that its part's unit did not do; an error where the run cannot go on.
fn outcome_of_left_step(
    ended: UnitExit,
    unit: &str,
    left: &Step,
    replay: &Replay,
    context: Context<'_>,
) -> Result<Outcome> {
    match ended {
        UnitExit::Skipped(message) => Ok(Outcome::unsuccessful(
            Status::Deferred,
            message,
            format!("it is tried again; `systemctl status {unit}` names the condition"),
        )),
        UnitExit::NotStarted(message) => Ok(Outcome::unsuccessful(
            Status::Failed,
            message,
            format!("see `systemctl status {unit}`; `backup now` runs without units"),
        )),
        UnitExit::Ran(code) => Err(match replay.interrupted() {
            Some(because) => Error::failed(because).hint(CONTINUES),
            None => unfinished_part_error(unit, left, code),
        }),
        UnitExit::Broken(how) => {
            asked_to_stop_soon(context)?;
            Err(
                Error::failed(format!("{unit} {how} during {}", left.id)).hint(format!(
                    "the next run continues it; see `journalctl --unit={unit}`"
                )),
            )
        }
    }
}

/// How a step ends whose unit would have ended the run of the only destination: of several, the others go on.
fn outcome_apart(plan: &Plan, error: &Error) -> Option<Outcome> {
    let asked_to_stop = error.kind == ErrorKind::Interrupted;
    let deferred = asked_to_stop.then(|| error.clone().into_outcome(Status::Deferred));
    deferred.or_else(|| outcome_in_chain(plan, error))
}

/// Ends the run as interrupted if it is asked to stop: whoever stops it stops its parts in the same
/// moment, and its own signal may be on its way.
fn asked_to_stop_soon(context: Context<'_>) -> Result<()> {
    for _ in 0..15 {
        context.stop.check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The error of a part that ended by itself and left a step: interrupted, or kept out by a lock.
fn unfinished_part_error(unit: &str, left: &Step, code: i32) -> Error {
    let (kind, failure) = match RunResult::of_exit_code(code) {
        Some(RunResult::Deferred) => (ErrorKind::Busy, Some(FailureCode::Busy)),
        Some(RunResult::Interrupted) => (ErrorKind::Interrupted, Some(FailureCode::Interrupted)),
        Some(RunResult::Refused) => (ErrorKind::Refused, None),
        _ => (ErrorKind::Failed, None),
    };
    let message = format!(
        "{unit} ended with exit code {code} before {} was done",
        left.id
    );
    Error::of_kind(kind, message).coded(failure).hint(format!(
        "the next run continues it; see `journalctl --unit={unit}`"
    ))
}
