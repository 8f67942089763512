//! What a run owes when its process was ended from outside: its post-script and its notification,
//! once for each interruption. The run itself stays as it is, to be continued.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use schema::{
    Plan, Report, RunResult,
    config::OnPreBackupFailure,
    journal::{JournalEvent, Outcome, Status, StepReport},
    notified::{NotifiedError, was_lately},
    plan::{Action, ScriptStep, Step},
};

use super::report::{conclude, report_so_far};
use crate::{
    error::{ErrorKind, Result},
    event::{Context, Event},
    journal::Replay,
    state_dir::StateDir,
    steps::{self, script::script_environment},
};

/// Longest time for the script: whoever ended the run waits for it.
const LIMIT: Duration = Duration::from_secs(300);

/// Does what the interrupted run owes, unless that was done or a run is at work; gives what was
/// told. `because` says how the run was ended, and `result` what that is called: failed, or
/// interrupted where someone asked for it. The caller holds the locks.
///
/// # Errors
/// An interruption, or a state directory that cannot be written.
pub fn finish_interrupted(
    state: &StateDir,
    because: &str,
    result: RunResult,
    context: Context<'_>,
) -> Result<Option<Report>> {
    let Some(unfinished) = state.unfinished()? else {
        return Ok(None);
    };
    let plan = &unfinished.plan;
    let (mut journal, replay) = state.journal(&plan.run_id)?;
    if replay.is_settled() {
        return Ok(None);
    }
    let at = context.clock.now();
    // The part that it was in may have said better why it ended.
    let because = replay.interrupted().unwrap_or(because);
    journal.append(&JournalEvent::Interrupted {
        at,
        because: because.to_owned(),
    })?;
    let mut report = report_so_far(plan, &replay, at);
    report
        .steps
        .extend(interrupted_step(&replay, because, &report));
    let mut report = conclude(plan, report);
    report.result = result;
    let interrupted = Interrupted {
        state,
        plan,
        replay: &replay,
        because,
        at,
        context,
    };
    let owed = |step: &&Step| replay.outcome(&step.id).is_none();
    for step in plan.steps.iter().filter(owed) {
        let Some(outcome) = interrupted.do_owed_step(step, &report)? else {
            continue;
        };
        context.observer.event(Event::StepFinished {
            step: &step.id,
            outcome: &outcome,
        });
        report.steps.push(StepReport {
            step: step.id.clone(),
            started_at: Some(at),
            ended_at: context.clock.now(),
            outcome,
        });
    }
    report.ended_at = context.clock.now();
    journal.append(&JournalEvent::Settled {
        at: report.ended_at,
    })?;
    Ok(Some(report))
}

/// A run that was ended from outside.
struct Interrupted<'a> {
    state: &'a StateDir,
    plan: &'a Plan,
    replay: &'a Replay,
    because: &'a str,
    /// When that was found out.
    at: DateTime<FixedOffset>,
    context: Context<'a>,
}

impl Interrupted<'_> {
    /// Does a step if it is owed all the same, and gives how it ended.
    ///
    /// # Errors
    /// An interruption.
    fn do_owed_step(&self, step: &Step, report: &Report) -> Result<Option<Outcome>> {
        let Self {
            state, at, context, ..
        } = *self;
        let outcome = match &step.action {
            Action::PostScript(script) => run_post_script(self.plan, step, script, report, context),
            // Whoever asked for it knows.
            Action::Notify(_) if report.result == RunResult::Interrupted => return Ok(None),
            // One that dies each time is told once a day, and not each time.
            Action::Notify(_) if !is_news(state, self.replay, self.because, at) => return Ok(None),
            Action::Notify(notify) => {
                let remembered = || {
                    let all = self.plan.taking_part().into_iter();
                    let good = all.filter_map(|of| {
                        let seen = state.of_destination(of.as_ref());
                        seen.last_good(at).unwrap_or_default()
                    });
                    good.max_by_key(|good| good.started_at)
                };
                let last_good = notify.last_good.or_else(remembered);
                Ok(steps::notify::run_notify_step(
                    notify, report, last_good, context,
                ))
            }
            _ => return Ok(None),
        };
        match outcome {
            Ok(outcome) => Ok(Some(outcome)),
            Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
            Err(error) => Ok(Some(error.into_outcome(Status::Failed))),
        }
    }
}

/// Writes down why a part of a run ends without doing what is left of it; what the run owes then is
/// done by whoever waits for the part.
///
/// # Errors
/// A state directory that cannot be written.
pub fn record_interruption(state: &StateDir, because: &str, context: Context<'_>) -> Result<()> {
    let Some(unfinished) = state.unfinished()? else {
        return Ok(());
    };
    let (mut journal, _) = state.part_journal(&unfinished.plan.run_id)?;
    journal.append(&JournalEvent::Interrupted {
        at: context.clock.now(),
        because: because.to_owned(),
    })
}

/// Whether nobody was told within a day that a run was ended so; remembers it.
fn is_news(state: &StateDir, replay: &Replay, because: &str, now: DateTime<FixedOffset>) -> bool {
    let step = replay.running().unwrap_or("run");
    let message = format!("{step}: {because}");
    let told = state.told_error();
    if told.is_some_and(|told| told.is_of(&message) && was_lately(told.at, now)) {
        return false;
    }
    // What cannot be remembered is told all the same.
    let _ = state.remember_told_error(&NotifiedError { message, at: now });
    true
}

fn run_post_script(
    plan: &Plan,
    step: &Step,
    script: &ScriptStep,
    report: &Report,
    context: Context<'_>,
) -> Result<Outcome> {
    let environment = script_environment(plan, Some(report.result), report.snapshot.as_ref());
    let script = ScriptStep {
        on_failure: OnPreBackupFailure::Abort,
        ..script.clone()
    };
    steps::script::run_script_within(&step.id, &script, LIMIT, &environment, context)
}

/// The step that the run was in, as one that did not succeed.
fn interrupted_step(replay: &Replay, because: &str, report: &Report) -> Option<StepReport> {
    let step = replay.running()?;
    Some(StepReport {
        step: step.to_owned(),
        started_at: replay.started(step),
        ended_at: report.ended_at,
        outcome: Outcome::unsuccessful(
            Status::Failed,
            format!("the run was interrupted in {step}: {because}"),
            "nothing is lost: the next `backup apply` continues it",
        ),
    })
}
