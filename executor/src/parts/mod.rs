//! A run whose parts are done by processes of their own.
//!
//! The run's process writes that it hands a part over, lets go of the journal, and waits. The other
//! process does the part's steps with the same journal and the same records before and after each
//! effect (law 6), so whichever of them is killed at whatever instant, the journal says what was
//! done. What counts is the journal, not how a unit says that it ended.

mod systemd;

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use schema::{
    FailureCode, Plan, Report, RunResult,
    journal::{JournalEvent, Outcome, REPORT_FORMAT_VERSION, Status, StepReport},
    plan::{Part, Step},
};

pub use systemd::Systemd;

use crate::{
    error::{Error, ErrorKind, Result},
    event::{Context, Event},
    journal::{Journal, Replay},
    lock::{Lock, RunLock},
    run::{self, Session},
    state_dir::{StateDir, Unfinished},
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
    /// Starts the unit of a part and waits for its end.
    ///
    /// # Errors
    /// An interruption: the unit was asked to stop then.
    fn run(&self, part: Part, context: Context<'_>) -> Result<UnitExit>;

    /// Name of the unit of a part.
    fn name(&self, part: Part) -> &'static str;
}

/// What a run needs to hand its parts over.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// The units.
    pub units: &'a dyn Units,
    /// The run's locks.
    pub lock: &'a RunLock,
}

/// What to do about a part that says itself why it ended.
const CONTINUES: &str = "the next `backup apply` continues the run";

/// Hands a part over from `step` on and waits until it is done.
pub(crate) fn hand_over(
    state: &StateDir,
    plan: &Plan,
    step: &Step,
    mut journal: Journal,
    hands: Hands<'_>,
    context: Context<'_>,
) -> Result<(Journal, Replay)> {
    let part = step.action.part();
    context.stop.check()?;
    journal.append(&JournalEvent::HandedOver {
        part,
        at: context.clock.now(),
    })?;
    // The other process writes now, and watches what it works on.
    drop(journal);
    let pause = Pause::new();
    let ended = hands
        .lock
        .lend(state, context.stop, || hands.units.run(part, context))?;
    drop(pause);
    let (mut journal, replay) = state.journal(&plan.run_id)?;
    let group = plan.group(part, |step| replay.outcome(&step.id).is_some());
    // Steps of the part that stand behind another part's are handed over in their turn.
    let left = group.first().filter(|left| {
        let place = |of: &Step| plan.steps.iter().position(|step| step.id == of.id);
        let between = plan.steps.iter().skip(place(step).unwrap_or(0));
        between
            .take_while(|step| step.action.part() == part)
            .any(|step| step.id == left.id)
    });
    let Some(left) = left else {
        return Ok((journal, replay));
    };
    let unit = hands.units.name(part);
    let outcome = match ended {
        UnitExit::Skipped(message) => Outcome::not(
            Status::Deferred,
            message,
            format!("it is tried again; `systemctl status {unit}` names the condition"),
        ),
        UnitExit::NotStarted(message) => Outcome::not(
            Status::Failed,
            message,
            format!("see `systemctl status {unit}`; `backup now` runs without units"),
        ),
        UnitExit::Ran(code) => {
            return Err(match replay.interrupted() {
                Some(because) => Error::failed(because).hint(CONTINUES),
                None => unfinished(unit, left, code),
            });
        }
        UnitExit::Broken(how) => {
            asked_to_stop_soon(context)?;
            return Err(
                Error::failed(format!("{unit} {how} during {}", left.id)).hint(format!(
                    "the next run continues it; see `journalctl --unit={unit}`"
                )),
            );
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
fn unfinished(unit: &str, left: &Step, code: i32) -> Error {
    let (kind, failure) = match code {
        75 => (ErrorKind::Busy, Some(FailureCode::Busy)),
        130 | 143 => (ErrorKind::Interrupted, Some(FailureCode::Interrupted)),
        4 => (ErrorKind::Refused, None),
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

/// A part that the run's process waits for.
#[derive(Debug)]
pub struct Handed {
    /// The run.
    pub run: Unfinished,
    _lock: Lock,
}

/// Takes the part over that the run's process handed over; `None` if no process owns a run.
///
/// # Errors
/// [`ErrorKind::Busy`] if a run is at work and waits for something else.
pub fn take_over(state: &StateDir, part: Part) -> Result<Option<Handed>> {
    let lock = state.work_lock()?;
    if !state.is_owned() {
        return Ok(None);
    }
    // Nobody else writes now: whoever owns the run waits for this lock.
    let run = state.unfinished()?;
    let is_ours = |run: &Unfinished| {
        let replay = state.replay(&run.plan.run_id);
        replay.is_ok_and(|replay| replay.handed_to() == Some(part))
    };
    match run.filter(is_ours) {
        Some(run) => Ok(Some(Handed { run, _lock: lock })),
        None => Err(
            Error::busy("another run is at work, and did not hand this part over")
                .hint("wait for it to end; `backup status` shows it"),
        ),
    }
}

/// Does the steps of a part in the run of another process, or of one that was interrupted, and
/// writes on in its journal. The report is of the steps that have ended so far.
///
/// # Errors
/// As [`crate::run::begin`]; a refusal where the part has nothing left to do, or not yet.
pub fn run(state: &StateDir, plan: &Plan, part: Part, context: Context<'_>) -> Result<Report> {
    let (mut journal, replay) = state.journal(&plan.run_id)?;
    let group = plan.group(part, |step| replay.outcome(&step.id).is_some());
    may_begin(plan, group, part, &replay)?;
    let mut session = Session::new(state, plan);
    if replay
        .outcome("destination-check")
        .is_some_and(|outcome| outcome.status.serves())
    {
        session.store()?;
    }
    context.observer.event(Event::RunStarted {
        run_id: &plan.run_id,
        continued: replay.running().is_some(),
    });
    let mut report = report_so_far(plan, &replay, context.clock.now());
    for step in group {
        let done = run::one(
            &mut session,
            plan,
            step,
            &mut journal,
            &replay,
            &report,
            context,
        )?;
        if done.outcome.sealed.is_some() {
            report.snapshot.clone_from(&done.outcome.sealed);
        }
        report.steps.push(done);
    }
    report.ended_at = context.clock.now();
    let of_part = |done: &StepReport| group.iter().any(|step| step.id == done.step);
    report.steps.retain(of_part);
    report.result = run::result(&report);
    Ok(report)
}

/// Whether the group of steps of a part may be done now.
pub(crate) fn may_begin(plan: &Plan, group: &[Step], part: Part, replay: &Replay) -> Result<()> {
    let word = part.word();
    let Some(first) = group.first() else {
        return Err(Error::refused(format!(
            "run {} is not finished, and its {word} steps are done",
            plan.run_id
        ))
        .hint("`backup apply` does the rest"));
    };
    let before = plan.steps.iter().take_while(|step| step.id != first.id);
    match before
        .into_iter()
        .find(|step| replay.outcome(&step.id).is_none())
    {
        None => Ok(()),
        Some(step) => Err(Error::refused(format!(
            "run {} is not finished, and its {word} steps wait for {}",
            plan.run_id, step.id
        ))
        .hint("`backup apply` continues it")),
    }
}

/// What the journal of a run that has not ended says of its steps.
pub(crate) fn report_so_far(plan: &Plan, replay: &Replay, now: DateTime<FixedOffset>) -> Report {
    let steps: Vec<StepReport> = plan
        .steps
        .iter()
        .filter_map(|step| {
            Some(StepReport {
                step: step.id.clone(),
                started_at: replay.started(&step.id),
                ended_at: now,
                outcome: replay.outcome(&step.id)?.clone(),
            })
        })
        .collect();
    let started = replay.events.iter().find_map(|event| match event {
        JournalEvent::RunStarted { at, .. } => Some(*at),
        _ => None,
    });
    Report {
        format_version: REPORT_FORMAT_VERSION,
        run_id: plan.run_id.clone(),
        host: plan.host.clone(),
        started_at: started.unwrap_or(now),
        ended_at: now,
        result: RunResult::Interrupted,
        only: plan.only,
        snapshot: steps.iter().find_map(|step| step.outcome.sealed.clone()),
        findings: plan.findings.clone(),
        steps,
    }
}
