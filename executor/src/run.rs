//! The run loop: each step once, journalled before and after, resumable in between.
//!
//! Invariant (law 6): a step's `started` record is on disk before its first effect and `finished`
//! after its last; a step that is only started runs again.

use schema::{
    Config, Inventory, Plan, Report, RunResult,
    config::OnPreBackupFailure,
    finding::Severity,
    journal::{JournalEvent, Outcome, REPORT_FORMAT_VERSION, Sealed, Status, StepReport},
    plan::{Action, DestinationCheckStep, Part, Step, only_tells},
};

use crate::{
    destination,
    error::{Error, Result},
    event::{Context, Event},
    journal::{Journal, Replay},
    lock::Lock,
    parts::{self, Hands},
    snapshot,
    state_dir::StateDir,
    steps,
    store::{BACKUP, LOCK_FILE, Store},
    survey::Survey,
};

/// What the steps of one run share.
pub struct Session<'a> {
    /// The state directory.
    pub state: &'a StateDir,
    destination: Option<DestinationCheckStep>,
    open: Option<(Store, Option<Lock>)>,
    survey: Option<Survey>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(state: &'a StateDir, plan: &Plan) -> Self {
        let destination = plan.steps.iter().find_map(|step| match &step.action {
            Action::DestinationCheck(check) => Some(check.clone()),
            Action::CloudSync(sync) => sync.destination.clone(),
            _ => None,
        });
        Self {
            state,
            destination,
            open: None,
            survey: None,
        }
    }

    /// Checks and opens the destination, and takes its lock.
    ///
    /// # Errors
    /// A refusal, or that another run holds it.
    pub fn prepare(&mut self, step: &DestinationCheckStep, context: Context<'_>) -> Result<()> {
        let store = destination::prepare(step, context)?;
        self.open = Some(locked(store)?);
        Ok(())
    }

    /// The destination; opened again, and checked, in a run that was continued.
    ///
    /// # Errors
    /// A refusal, or that another run holds it.
    pub fn store(&mut self) -> Result<&Store> {
        if self.open.is_none() {
            let step = self.destination.as_ref().ok_or_else(|| {
                Error::failed("the plan has a step for a destination and no destination")
            })?;
            self.open = Some(locked(destination::open_checked(step)?)?);
        }
        match &self.open {
            Some((store, _)) => Ok(store),
            None => Err(Error::failed("the destination is not open")),
        }
    }
}

fn locked(store: Store) -> Result<(Store, Option<Lock>)> {
    // Who may not see the records may not lock either, and can only restore.
    if store.closed {
        return Ok((store, None));
    }
    let path = store.named(&format!("{BACKUP}/{LOCK_FILE}"));
    let lock = Lock::take(&store.backup, LOCK_FILE, &path)?;
    steps::moving::finish(&store)?;
    Ok((store, Some(lock)))
}

/// Runs a new plan to its end.
///
/// `survey` is what the inventory's sources were found to hold; the snapshot is built from it, so
/// that they are not walked again, unless a script runs first that may change them.
///
/// # Errors
/// An interruption, a lock held by another run, or a state directory that cannot be written. The
/// run can be continued then. All else is in the report.
pub fn begin(
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
    go(session, plan, journal, Replay::default(), None, context)
}

/// As [`begin`], but a unit of its own does each part, by [`parts::Hands`].
///
/// # Errors
/// As [`begin`], and that a part was ended from outside.
pub fn begin_by_units(
    state: &StateDir,
    config: &Config,
    inventory: &Inventory,
    plan: &Plan,
    hands: Hands<'_>,
    context: Context<'_>,
) -> Result<Report> {
    let journal = state.begin(config, inventory, plan)?;
    let session = Session::new(state, plan);
    let replay = Replay::default();
    go(session, plan, journal, replay, Some(hands), context)
}

/// Continues a run that was begun and not ended.
///
/// # Errors
/// As [`begin`].
pub fn resume(state: &StateDir, plan: &Plan, context: Context<'_>) -> Result<Report> {
    resume_by_units(state, plan, None, context)
}

/// As [`resume`], but with `hands` a unit of its own does each part.
///
/// # Errors
/// As [`begin_by_units`].
pub fn resume_by_units(
    state: &StateDir,
    plan: &Plan,
    hands: Option<Hands<'_>>,
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
    go(session, plan, journal, replay, hands, context)
}

/// Gives an unfinished run up, so that a new one can take its place. `interruptions` are those that
/// the new one is to count on from; zero where a person began it anew.
///
/// # Errors
/// The system's reason.
pub fn abandon(
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

fn go(
    mut session: Session<'_>,
    plan: &Plan,
    mut journal: Journal,
    mut replay: Replay,
    hands: Option<Hands<'_>>,
    context: Context<'_>,
) -> Result<Report> {
    let before = replay.clone();
    let continued = !replay.events.is_empty();
    let now = context.clock.now();
    let started_at = replay
        .events
        .iter()
        .find_map(|event| match event {
            JournalEvent::RunStarted { at, .. } => Some(*at),
            _ => None,
        })
        .unwrap_or(now);
    journal.append(&JournalEvent::RunStarted {
        plan: plan.digest,
        at: now,
        pid: std::process::id(),
    })?;
    context.observer.event(Event::RunStarted {
        run_id: &plan.run_id,
        continued,
    });
    let mut report = Report {
        format_version: REPORT_FORMAT_VERSION,
        run_id: plan.run_id.clone(),
        host: plan.host.clone(),
        started_at,
        ended_at: now,
        result: RunResult::Interrupted,
        only: plan.only,
        snapshot: None,
        findings: plan.findings.clone(),
        steps: Vec::new(),
    };
    for step in &plan.steps {
        if let Some(hands) = hands
            && step.action.part() != Part::Coordinator
            && !gives_back(step)
            && replay.outcome(&step.id).is_none()
            && unserved(step, &report).is_none()
        {
            (journal, replay) =
                parts::hand_over(session.state, plan, step, journal, hands, context)?;
        }
        let mut done = one(
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
    report.ended_at = context.clock.now();
    report.result = replay.result().unwrap_or_else(|| result(&report));
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

/// What a step needs and did not get.
fn unserved<'a>(step: &'a Step, report: &Report) -> Option<&'a String> {
    step.needs.iter().find(|need| {
        !report
            .steps
            .iter()
            .any(|done| done.step == **need && done.outcome.status.serves())
    })
}

/// Runs one step, or says how it ended before.
pub(crate) fn one(
    session: &mut Session<'_>,
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
    let unserved = unserved(step, report);
    let mut started_at = None;
    let outcome = if let Some(need) = unserved {
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
        match act(session, plan, step, report, context) {
            Ok(outcome) => outcome,
            Err(error) => match error.kind.step_status() {
                None => return Err(error),
                Some(status) => Outcome {
                    unusable_basis: error.is_of_basis().then(|| error.message.clone()),
                    ..error.into_outcome(status)
                },
            },
        }
    };
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

fn act(
    session: &mut Session<'_>,
    plan: &Plan,
    step: &Step,
    report: &Report,
    context: Context<'_>,
) -> Result<Outcome> {
    let sealed = report.snapshot.clone();
    match &step.action {
        Action::Announce(announce) => Ok(steps::notify::announce(announce, context)),
        Action::PreScript(script) => {
            let environment = environment(plan, None, sealed.as_ref());
            steps::script::run(&step.id, script, &environment, context)
        }
        Action::DestinationCheck(check) => steps::destination_check::run(session, check, context),
        Action::SpaceCheck(check) => {
            steps::space_check::run(session.store()?, check, context).map_err(Error::on_destination)
        }
        Action::Snapshot(snapshot) => {
            let survey = session.survey.take();
            snapshot::run(session.store()?, &plan.run_id, snapshot, survey, context)
                .map_err(Error::on_destination)
        }
        Action::Rotate(rotate) => {
            let store = session.store()?;
            steps::rotate::run(store, &plan.run_id, rotate, sealed.as_ref(), context)
                .map_err(Error::on_destination)
        }
        Action::Delete(step) => {
            let store = session.store()?;
            steps::rotate::run_delete(store, &plan.run_id, step, context)
                .map_err(Error::on_destination)
        }
        Action::PostScript(script) => {
            let environment = environment(plan, Some(result(report)), sealed.as_ref());
            let script = schema::plan::ScriptStep {
                on_failure: OnPreBackupFailure::Abort,
                ..script.clone()
            };
            steps::script::run(&step.id, &script, &environment, context)
        }
        Action::Notify(notify) => {
            let mut so_far = report.clone();
            so_far.ended_at = context.clock.now();
            so_far.result = result(report);
            // Where the destination is absent, only what this machine remembers is known.
            let now = context.clock.now();
            let remembered = || session.state.last_good(now).unwrap_or_default();
            let last_good = notify.last_good.or_else(remembered);
            Ok(steps::notify::run(notify, &so_far, last_good, context))
        }
        Action::Mark(mark) => steps::mark::run(session.store()?, mark),
        Action::Repair(repair) => {
            steps::repair::run(session.store()?, &plan.run_id, repair, context)
        }
        Action::Adopt(step) => crate::adopt::run(session.store()?, &plan.run_id, step, context),
        Action::Restore(restore) => crate::restore::run(session.store()?, restore, &context),
        Action::CloudSync(sync) => {
            let state = session.state;
            if let Some(live) = &sync.live {
                return steps::cloud_sync::run_live(state, plan, &step.id, (sync, live), context);
            }
            steps::cloud_sync::run(session.store()?, state, &step.id, sync, context)
        }
    }
}

/// What scripts find in their environment.
pub(crate) fn environment(
    plan: &Plan,
    result: Option<RunResult>,
    sealed: Option<&Sealed>,
) -> Vec<(&'static str, String)> {
    let mut environment = vec![("BACKUP_RUN_ID", plan.run_id.clone())];
    if let Some(result) = result {
        environment.push(("BACKUP_RESULT", result.word().to_owned()));
        let id = sealed.map(|sealed| sealed.id.to_string());
        environment.push(("BACKUP_SNAPSHOT", id.unwrap_or_default()));
    }
    environment
}

/// How a run ended, from how its steps did. A notification never changes it.
pub(crate) fn result(report: &Report) -> RunResult {
    let severity = report.findings.iter().map(|finding| finding.severity).max();
    if severity == Some(Severity::Refusal) {
        return RunResult::Refused;
    }
    let worst = report
        .steps
        .iter()
        .filter(|done| !only_tells(&done.step))
        .map(|done| done.outcome.status)
        .max();
    match worst {
        Some(Status::Failed) => RunResult::Failed,
        Some(Status::Refused) => RunResult::Refused,
        // What could be done without what is waited for is done.
        _ if severity == Some(Severity::Deferral) => RunResult::Deferred,
        Some(Status::Deferred) => RunResult::Deferred,
        Some(Status::Incomplete) => RunResult::Incomplete,
        Some(Status::Skipped | Status::Succeeded) | None => match severity {
            Some(Severity::Warning) => RunResult::Incomplete,
            _ => RunResult::Success,
        },
    }
}
