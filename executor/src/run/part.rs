//! A share of a run that this process does for another one, or of a run that was interrupted.

use schema::{
    Plan, Report,
    journal::StepReport,
    plan::{Share, Step},
};

use super::{
    report::{conclude, report_so_far},
    sessions::Sessions,
    step::run_step,
};
use crate::{
    error::{Error, Result},
    event::{Context, Event},
    journal::Replay,
    lock::Lock,
    state_dir::{StateDir, Unfinished},
};

/// A share that the run's process waits for.
#[derive(Debug)]
pub struct HandedShare {
    /// The run.
    pub run: Unfinished,
    _lock: Lock,
}

/// Takes the share over that the run's process handed over; `None` if no process owns a run.
///
/// # Errors
/// [`crate::ErrorKind::Busy`] if a run is at work and waits for something else.
pub fn take_over(state: &StateDir, share: &Share) -> Result<Option<HandedShare>> {
    let lock = state.work_lock()?;
    if !state.is_owned() {
        return Ok(None);
    }
    // Nobody else writes now: whoever owns the run waits for this lock.
    let run = state.unfinished()?;
    let is_ours = |run: &Unfinished| {
        let replay = state.replay(&run.plan.run_id);
        replay.is_ok_and(|replay| replay.handed_to().as_ref() == Some(share))
    };
    match run.filter(is_ours) {
        Some(run) => Ok(Some(HandedShare { run, _lock: lock })),
        None => Err(
            Error::busy("another run is at work, and did not hand this part over")
                .hint("wait for it to end; `backup status` shows it"),
        ),
    }
}

/// Does the steps of a share in the run of another process, or of one that was interrupted, and
/// writes on in its journal, or in the part's own. The report is of the steps that have ended so far.
///
/// # Errors
/// As [`crate::run::begin_run`]; a refusal where it has nothing left to do, or not yet.
pub fn run_part(
    state: &StateDir,
    plan: &Plan,
    share: &Share,
    context: Context<'_>,
) -> Result<Report> {
    let (mut journal, mut replay) = state.part_journal(&plan.run_id)?;
    let group = plan.group(share, |step| replay.outcome(&step.id).is_some());
    may_begin(plan, group, share, &replay)?;
    // Those of others are none of its business, and its unit may not write there.
    let mut sessions = Sessions::new(state, plan).only(share.of.as_ref());
    sessions.reopen(plan, &mut journal, &mut replay, context)?;
    context.observer.event(Event::RunStarted {
        run_id: &plan.run_id,
        continued: replay.running().is_some(),
    });
    let mut report = report_so_far(plan, &replay, context.clock.now());
    for step in group {
        let done = run_step(
            &mut sessions,
            plan,
            step,
            &mut journal,
            &replay,
            &report,
            context,
        )?;
        if done.outcome.sealed.is_some() && step.of.is_none() {
            report.snapshot.clone_from(&done.outcome.sealed);
        }
        report.steps.push(done);
    }
    report.ended_at = context.clock.now();
    let of_part = |done: &StepReport| group.iter().any(|step| step.id == done.step);
    report.steps.retain(of_part);
    let mut report = conclude(plan, report);
    let own = share.of.as_ref().and_then(|of| report.destinations.get(of));
    if let Some(own) = own {
        report.result = own.result;
    }
    Ok(report)
}

/// Whether the group of steps of a share may be done now.
fn may_begin(plan: &Plan, group: &[Step], share: &Share, replay: &Replay) -> Result<()> {
    let word = share.word();
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
