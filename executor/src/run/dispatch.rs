//! Dispatches each step to the module that does steps of its kind.

use schema::{
    Finding, Plan, Report, Severity, SnapshotId,
    config::OnPreBackupFailure,
    journal::Outcome,
    plan::{Action, MarkStep, Rotation, Step},
};

use super::{
    feeding::Feeding,
    report::conclude,
    session::Session,
    sessions::{InChain, Sessions, ToRemote},
};
use crate::{
    error::{Error, Result},
    event::{Context, Event},
    scan::Looks,
    snapshot,
    steps::{self, script::script_environment},
};

/// Does what a step is to do, whatever its kind.
///
/// # Errors
/// Those of the step.
pub(super) fn do_step(
    sessions: &mut Sessions,
    plan: &Plan,
    step: &Step,
    report: &Report,
    context: Context<'_>,
) -> Result<Outcome> {
    if let Some(to) = ToRemote::of(&step.action) {
        return sessions.upload(plan, step, to, context);
    }
    let feeding = match &step.action {
        Action::Snapshot(snapshot) => {
            Feeding::open(&sessions.state, plan, (step, snapshot), context)?
        }
        _ => Feeding::default(),
    };
    let (session, looks) = sessions.of_step(step)?;
    let in_chain = InChain {
        observer: context.observer,
        step: &step.id,
    };
    let context = match &step.of {
        Some(_) => Context {
            observer: &in_chain,
            ..context
        },
        None => context,
    };
    let outcome = do_action((session, looks, feeding), plan, step, report, context);
    let (made, deleted) = changed_snapshots(&step.action);
    if made.is_empty() && deleted.is_empty() {
        return outcome;
    }
    // Also what a step did that failed later on.
    match session.keep_digests(&made, &deleted, context) {
        Ok(changed) if matches!(step.action, Action::Mark(_)) && !changed.is_empty() => outcome
            .map(|outcome| Outcome {
                message: with_other_manifest(&outcome.message),
                ..outcome
            }),
        Ok(_) => outcome,
        // It is found again by the next run, and taken over then.
        Err(error) => {
            let message = format!("the digests of manifests cannot be kept: {}", error.message);
            let finding = Finding::new(Severity::Warning, DIGESTS_NOT_KEPT, message);
            context.observer.event(Event::Noticed(&finding));
            outcome
        }
    }
}

/// What is said of a snapshot that a person vouches for and whose manifest was another one.
pub(super) fn with_other_manifest(message: &str) -> String {
    format!("{message}, and so is its manifest, which is not the one that was sealed")
}

/// The code of a finding: what a run sealed is not remembered.
const DIGESTS_NOT_KEPT: &str = "digests-not-kept";

/// The snapshots whose records a step makes or a person vouches for, and those that it deletes.
fn changed_snapshots(action: &Action) -> (Vec<SnapshotId>, Vec<SnapshotId>) {
    let deleted = |rotation: &Rotation| rotation.deletions.iter().map(|one| one.id).collect();
    match action {
        Action::Snapshot(snapshot) => (vec![snapshot.id], Vec::new()),
        Action::Adopt(step) => (step.trees.iter().map(|one| one.id).collect(), Vec::new()),
        Action::Repair(step) => (step.records.iter().map(|one| one.id).collect(), Vec::new()),
        Action::Mark(MarkStep::Accept { id }) => (vec![*id], Vec::new()),
        Action::Rotate(step) => {
            let mut all: Vec<SnapshotId> = deleted(&step.on_complete);
            all.extend(step.on_incomplete.iter().flat_map(|one| {
                let all: Vec<SnapshotId> = deleted(one);
                all
            }));
            (Vec::new(), all)
        }
        Action::Delete(step) => (Vec::new(), deleted(&step.rotation)),
        _ => (Vec::new(), Vec::new()),
    }
}

fn do_action(
    (session, looks, feeding): (&mut Session, &mut Looks, Feeding),
    plan: &Plan,
    step: &Step,
    report: &Report,
    context: Context<'_>,
) -> Result<Outcome> {
    let sealed = report.sealed_of(step.of.as_ref()).cloned();
    match &step.action {
        Action::Announce(announce) => Ok(steps::notify::run_announce_step(announce, context)),
        Action::PreScript(script) => {
            steps::pre_script::run_pre_script_step(&session.state, plan, &step.id, script, context)
        }
        Action::PlanAgain => Err(Error::failed(
            "the rest of this run is planned by whoever runs all of it",
        )
        .hint("`backup apply` goes on with it")),
        Action::DestinationCheck(check) => {
            session.prepare(check, context)?;
            let state = session.state.clone();
            steps::destination_check::remember_and_inspect(&state, session.store()?, check)
        }
        Action::SpaceCheck(check) => {
            steps::space_check::run_space_check_step(session.store()?, check, context)
                .map_err(Error::on_destination)
        }
        Action::Snapshot(snapshot) => {
            let survey = session.survey.take();
            let (store, run_id) = (session.store()?, &plan.run_id);
            let (found, feed) = ((survey, looks), feeding.feed.as_ref());
            let mut outcome =
                snapshot::run_snapshot_step(store, run_id, snapshot, found, feed, context)
                    .map_err(Error::on_destination)?;
            feeding.tell(&mut outcome);
            Ok(outcome)
        }
        Action::Rotate(rotate) => {
            let store = session.store()?;
            steps::rotate::run_rotate_step(store, &plan.run_id, rotate, sealed.as_ref(), context)
                .map_err(Error::on_destination)
        }
        Action::Delete(step) => {
            let store = session.store()?;
            steps::rotate::run_delete_step(store, &plan.run_id, step, context)
                .map_err(Error::on_destination)
        }
        Action::PostScript(script) => {
            let result = conclude(plan, report.clone()).result;
            let environment = script_environment(plan, Some(result), sealed.as_ref());
            let script = schema::plan::ScriptStep {
                on_failure: OnPreBackupFailure::Abort,
                ..script.clone()
            };
            steps::script::run_script_step(&step.id, &script, &environment, context)
        }
        Action::Notify(notify) => {
            let mut so_far = conclude(plan, report.clone());
            so_far.ended_at = context.clock.now();
            // Where the destination is absent, only what this machine remembers is known.
            let now = context.clock.now();
            let remembered = || session.state.last_good(now).unwrap_or_default();
            let last_good = notify.last_good.or_else(remembered);
            Ok(steps::notify::run_notify_step(
                notify, &so_far, last_good, context,
            ))
        }
        Action::Mark(mark) => steps::mark::run_mark_step(session.store()?, mark),
        Action::RemoteMark(mark) => {
            steps::remote_mark::run_remote_mark_step(&session.state, &step.id, mark, context)
        }
        Action::Expire(expire) => {
            steps::remote_expiry::run_expire_step(&session.state, plan, &step.id, expire, context)
        }
        Action::Repair(repair) => session.repair(&plan.run_id, repair, context),
        Action::Adopt(step) => {
            crate::adopt::run_adopt_step(session.store()?, &plan.run_id, step, context)
        }
        Action::Restore(restore) => {
            crate::restore::run_restore_step(session.store()?, restore, &context)
        }
        Action::Upload(_) => Err(Error::failed("an upload is done where all disks are known")),
        Action::CloudSync(sync) => {
            let state = &session.state.clone();
            if let Some(live) = &sync.live {
                return steps::cloud_sync::run_live_cloud_sync_step(
                    state,
                    plan,
                    &step.id,
                    (sync, live),
                    context,
                );
            }
            steps::cloud_sync::run_cloud_sync_step(session.store()?, state, &step.id, sync, context)
        }
    }
}
