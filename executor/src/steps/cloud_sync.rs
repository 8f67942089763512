//! Copies the newest good snapshot to the cloud, or the live sources where there are none.
//!
//! Owns which snapshot that is and whether it is good; what is done with it is in [`crate::cloud`].

use schema::{
    Plan, amount,
    journal::{Outcome, Status},
    plan::{CloudSyncStep, Deletion, LiveSources},
    record::SnapshotRecord,
};

use super::{
    feed::{OpenFeed, StoredSnapshot, choose, nothing_to_upload, sealed},
    rotate,
    space_check::add_stuck,
};
use crate::{
    cloud::{
        live,
        memory::RemoteCache,
        upload::{self, UploadSource, Uploaded},
    },
    error::{Error, ErrorKind, Result},
    event::Context,
    scan::inodes_left_out,
    state_dir::StateDir,
    store::Store,
    sys::Dir,
};

/// Copies the snapshot that the step names, if it is good.
///
/// # Errors
/// An interruption, a destination that cannot be read, or a remote that cannot be reached.
pub fn run_cloud_sync_step(
    store: &Store,
    state: &StateDir,
    name: &str,
    step: &CloudSyncStep,
    context: Context<'_>,
) -> Result<Outcome> {
    let id = step.snapshot;
    let marks = store.marks(id)?;
    let record = store.record(id)?;
    let Some(record) = record.filter(|record| record.suspect.is_empty() || marks.accepted) else {
        return Ok(Outcome::unsuccessful(
            Status::Incomplete,
            format!(
                "nothing is copied to {}: this run made no good snapshot",
                step.remote
            ),
            format!(
                "see why the snapshot is suspect; after `backup accept {id}` the next run copies again"
            ),
        ));
    };
    let stored = StoredSnapshot {
        store,
        record,
        marks,
    };
    let uploaded = match copy_stored(&stored, state, name, step, context) {
        Ok(uploaded) => uploaded,
        // The snapshot is made: the run is not refused, it lacks its copy.
        Err(error) if error.kind == ErrorKind::Refused => {
            return Ok(error.into_outcome(Status::Incomplete));
        }
        Err(error) => return Err(error),
    };
    let mut outcome = uploaded.outcome;
    // Law 7, whatever the plan says: the newest stays, and nothing goes that is not there too.
    let may_go = |deletion: &&Deletion| deletion.id < id && uploaded.checked.contains(&deletion.id);
    let may_go: Vec<&Deletion> = step.give_back.iter().filter(may_go).collect();
    let mut stuck = Vec::new();
    if !may_go.is_empty() {
        let snapshots = amount::plural(may_go.len() as u64, "local snapshot", "local snapshots");
        let said = if is_read_only(store)? {
            format!(
                "; checked, and {snapshots} left for the next whole run to give back: nothing can be written to {} here",
                store.path
            )
        } else {
            for deletion in may_go {
                stuck.extend(rotate::give_back(store, deletion, context)?);
                outcome.deleted.push(deletion.clone());
            }
            format!("; checked, and {snapshots} given back")
        };
        outcome.message.push_str(&said);
        add_stuck(&mut outcome, &stuck);
    }
    Ok(outcome)
}

/// Copies to a named mirror from the first of the destinations that has a good snapshot, as an upload to a
/// remote with history does. `feeds` are those of the step that are there, in its order.
///
/// # Errors
/// An interruption, a snapshot that cannot be read, or a remote that cannot be reached.
pub fn run_mirror_step(
    feeds: &[OpenFeed<'_>],
    state: &StateDir,
    name: &str,
    step: &CloudSyncStep,
    context: Context<'_>,
) -> Result<Outcome> {
    let Some(found) = choose(feeds)? else {
        return Ok(nothing_to_upload(feeds, &step.remote));
    };
    let uploaded = copy_stored(&found.stored, state, name, step, context)?;
    let mut outcome = uploaded.outcome;
    found.tell(&mut outcome, feeds, uploaded.id);
    Ok(outcome)
}

/// Copies a snapshot that is good.
fn copy_stored(
    stored: &StoredSnapshot<'_>,
    state: &StateDir,
    name: &str,
    step: &CloudSyncStep,
    context: Context<'_>,
) -> Result<Uploaded> {
    let (folder, tree) = stored.open(context.stop)?;
    let source = UploadSource {
        folder: &folder,
        record: &stored.record,
        tree: &tree,
        manifest: stored.store.manifest(stored.record.id)?,
        accepted: stored.marks.accepted,
        live: None,
    };
    upload::upload_snapshot(state, name, step, source, context)
}

/// Whether this process sees the destination read-only, as the unit of the cloud steps does that is
/// started by itself.
fn is_read_only(store: &Store) -> Result<bool> {
    let stat = rustix::fs::fstatvfs(&store.root);
    let stat = stat.map_err(|error| store.io("look at", "its file system", error))?;
    Ok(stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Copies the live sources, where there are no local snapshots.
///
/// # Errors
/// An interruption, sources that cannot be looked at, or a remote that cannot be reached.
pub fn run_live_cloud_sync_step(
    state: &StateDir,
    plan: &Plan,
    name: &str,
    (step, sources): (&CloudSyncStep, &LiveSources),
    context: Context<'_>,
) -> Result<Outcome> {
    let cache = RemoteCache::open_or_new(state, &step.remote)?;
    let left_out = inodes_left_out(state, &plan.run_id, &plan.host);
    let basis = live::LiveBasis::of(&cache, step);
    let found = live::survey_live_sources(&cache, plan, basis, sources, &left_out, context)?;
    let root = Dir::root().map_err(|error| Error::io("open", b"/", error))?;
    let source = UploadSource {
        folder: "/",
        record: &found.record,
        tree: &root,
        manifest: found.manifest,
        accepted: false,
        live: Some(&found.roots),
    };
    let uploaded = upload::upload_snapshot(state, name, step, source, context)?;
    let mut outcome = uploaded.outcome;
    // A copy of a name of its own is a backup of its own.
    if state.of.is_some() {
        outcome.sealed = Some(sealed(uploaded.id, &found.record, &outcome));
    }
    add_unread(&mut outcome, &found.record);
    Ok(outcome)
}

/// Tells of what could not be read of live sources.
pub(super) fn add_unread(outcome: &mut Outcome, record: &SnapshotRecord) {
    if record.complete {
        return;
    }
    let count = amount::plural(record.totals.errors, "path", "paths");
    outcome
        .message
        .push_str(&format!("; {count} of the sources could not be read"));
    outcome.status = outcome.status.max(Status::Incomplete);
    outcome.hint = outcome.hint.take().or_else(|| {
        Some("see the listed paths; exclude what cannot be read with local.excludePatterns".into())
    });
    outcome.problems.extend(record.problems.iter().cloned());
}
