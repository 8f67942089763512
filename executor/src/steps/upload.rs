//! Puts the newest good snapshot on a remote with history, or the live sources where there is none.
//!
//! Which snapshot that is stands in [`super::feed`]; what is done with it is in
//! [`crate::cloud::remote_history`].

use schema::{
    Plan, SnapshotId,
    journal::{Outcome, Sealed, Status},
    plan::{LiveSources, UploadStep},
    record::SnapshotMarks,
};

use super::{
    cloud_sync::add_unread,
    feed::{OpenFeed, choose, nothing_to_upload, sealed},
    remote::with_remote,
};
use crate::{
    cloud::{
        live::{self, LiveBasis},
        memory::RemoteCache,
        remote_history::{
            HistoryOptions, HistoryRemote, HistorySource, UploadedHistory, known_content,
            recall_history,
        },
    },
    error::{Error, Result},
    event::Context,
    scan::inodes_left_out,
    snapshot::describe_suspicion,
    state_dir::StateDir,
    sys::Dir,
};

/// Uploads from the first of the destinations that has a good snapshot: of this run if one has, else an
/// earlier one. Where this run was to make one and none was made, or the remote is known to have the earlier
/// one, the live sources are uploaded instead. `feeds` are those of the step that are there, in its order.
///
/// # Errors
/// An interruption, a snapshot that cannot be read, or a remote that cannot be reached.
pub fn run_upload_step(
    feeds: &[OpenFeed<'_>],
    state: &StateDir,
    plan: &Plan,
    name: &str,
    step: &UploadStep,
    context: Context<'_>,
) -> Result<Outcome> {
    let found = choose(feeds)?;
    let live = step.live.as_ref().filter(|_| {
        let was_planned = feeds.iter().any(|one| one.feed.snapshot.is_some());
        let found = found.as_ref().filter(|_| !was_planned);
        let is_there = found.is_none_or(|found| is_uploaded(state, step, found.stored.record.id));
        !feeds.iter().any(OpenFeed::made_new) && is_there
    });
    if let Some(sources) = live {
        let mut outcome = upload_live(state, plan, name, (step, sources), context)?;
        if let Some(one) = feeds.first() {
            outcome.message.push_str(&format!(
                "; it is of the sources themselves, since {} has no new snapshot",
                one.feed.of
            ));
        }
        return Ok(outcome);
    }
    let Some(found) = found else {
        return Ok(nothing_to_upload(feeds, &step.call.remote));
    };
    let stored = &found.stored;
    let (folder, tree) = stored.open(context.stop)?;
    let source = HistorySource {
        folder: &folder,
        tree: &tree,
        record: &stored.record,
        manifest: stored.store.manifest(stored.record.id)?,
        live: None,
        marks: &stored.marks,
    };
    let call = (&step.call, stored.record.totals.entries);
    let uploaded = with_remote(state, name, call, context, |remote| {
        let uploaded = remote.upload(source, options(step))?;
        settle(&remote, plan, step)?;
        Ok(uploaded)
    })?;
    let mut outcome = uploaded.outcome;
    found.tell(&mut outcome, feeds, uploaded.id);
    Ok(outcome)
}

/// Whether the remote is known to have a snapshot, or one that is the same, with nothing there that a disk is
/// to mend.
fn is_uploaded(state: &StateDir, step: &UploadStep, id: SnapshotId) -> bool {
    let Ok(Some(cache)) = RemoteCache::open(state, &step.call.remote) else {
        return false;
    };
    let Ok(memory) = recall_history(state, &step.call.remote) else {
        return false;
    };
    known_content(&cache, &memory).has(id) && cache.damaged().is_empty()
}

fn upload_live(
    state: &StateDir,
    plan: &Plan,
    name: &str,
    (step, sources): (&UploadStep, &LiveSources),
    context: Context<'_>,
) -> Result<Outcome> {
    let call = (&step.call, 0);
    let uploaded = with_remote(state, name, call, context, |remote| {
        let basis = LiveBasis {
            snapshot: step.snapshot,
            last: remote.last_manifest(),
        };
        let left_out = inodes_left_out(state, &plan.run_id, &plan.host);
        let cache = remote.cache;
        let found = live::survey_live_sources(cache, plan, basis, sources, &left_out, context)?;
        let root = Dir::root().map_err(|error| Error::io("open", b"/", error))?;
        let source = HistorySource {
            folder: "/",
            tree: &root,
            record: &found.record,
            manifest: found.manifest,
            live: Some(&found.roots),
            marks: &SnapshotMarks::default(),
        };
        let uploaded = remote.upload(source, options(step))?;
        settle(&remote, plan, step)?;
        Ok(uploaded)
    })?;
    let UploadedHistory {
        mut outcome,
        record,
        id,
        ..
    } = uploaded;
    outcome.sealed = Some(Sealed {
        suspect: record.suspect.clone(),
        ..sealed(id, &record, &outcome)
    });
    if !record.suspect.is_empty() {
        let (suspicion, hint) = describe_suspicion(&record);
        outcome.status = outcome.status.max(Status::Incomplete);
        outcome.message.push_str(&format!("; {suspicion}"));
        outcome.hint = Some(hint);
    }
    add_unread(&mut outcome, &record);
    Ok(outcome)
}

fn settle(remote: &HistoryRemote<'_>, plan: &Plan, step: &UploadStep) -> Result<()> {
    if step.settles {
        remote.settle(plan.created_at)
    } else {
        Ok(())
    }
}

fn options(step: &UploadStep) -> HistoryOptions {
    HistoryOptions {
        may_delete: step.may_delete,
    }
}
