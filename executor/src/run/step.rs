//! One step with its records in the journal: before its first effect and after its last.

use schema::{
    Plan, Report,
    journal::{JournalEvent, Outcome, Status, StepReport},
    plan::Step,
};

use super::{
    dispatch::do_step,
    report::unmet_need,
    sessions::{Sessions, outcome_in_chain},
};
use crate::{
    error::Result,
    event::{Context, Event},
    journal::{Journal, Replay},
};

/// Runs one step, or says how it ended before.
pub(super) fn run_step(
    sessions: &mut Sessions,
    plan: &Plan,
    step: &Step,
    journal: &mut Journal,
    replay: &Replay,
    report: &Report,
    context: Context<'_>,
) -> Result<StepReport> {
    if let Some(outcome) = replay.outcome(&step.id) {
        return Ok(StepReport {
            step: step.id.clone(),
            started_at: None,
            ended_at: context.clock.now(),
            outcome: outcome.clone(),
        });
    }
    let unmet = unmet_need(step, report);
    let mut started_at = None;
    let outcome = if let Some(need) = unmet {
        Outcome {
            status: Status::Skipped,
            message: format!("needs {need}, which did not succeed"),
            ..Outcome::default()
        }
    } else {
        let at = context.clock.now();
        started_at = Some(at);
        journal.append(&JournalEvent::StepStarted {
            step: step.id.clone(),
            at,
        })?;
        context
            .observer
            .event(Event::StepStarted { step: &step.id });
        match do_step(sessions, plan, step, report, context) {
            Ok(outcome) => outcome,
            Err(error) => match outcome_in_chain(plan, &error) {
                None => return Err(error),
                Some(outcome) => outcome,
            },
        }
    };
    let outcome = sessions.in_own_words(step, outcome);
    let ended_at = context.clock.now();
    journal.append(&JournalEvent::StepFinished {
        step: step.id.clone(),
        at: ended_at,
        outcome: outcome.clone(),
    })?;
    context.observer.event(Event::StepFinished {
        step: &step.id,
        outcome: &outcome,
    });
    Ok(StepReport {
        step: step.id.clone(),
        started_at,
        ended_at,
        outcome,
    })
}
