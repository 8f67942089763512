//! Puts the newest good snapshot on a remote with history, or the live sources where there is none.
//!
//! Which snapshot that is stands in [`super::feed`]; what is done with it is in
//! [`crate::cloud::remote_history`].

use schema::{
    Plan,
    journal::Outcome,
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
        remote_history::{HistoryOptions, HistoryRemote, HistorySource, UploadedHistory},
    },
    error::{Error, Result},
    event::Context,
    scan::inodes_left_out,
    state_dir::StateDir,
    sys::Dir,
};

/// Uploads from the first of the destinations that has a good snapshot: of this run if one has, else an
/// earlier one; or the live sources. `feeds` are those of the step that are there, in its order.
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
    let Some(found) = choose(feeds)? else {
        return match &step.live {
            Some(sources) => upload_live(state, plan, name, (step, sources), context),
            None => Ok(nothing_to_upload(feeds, &step.call.remote)),
        };
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

fn upload_live(
    state: &StateDir,
    plan: &Plan,
    name: &str,
    (step, sources): (&UploadStep, &LiveSources),
    context: Context<'_>,
) -> Result<Outcome> {
    let call = (&step.call, 0);
    let (found, uploaded) = with_remote(state, name, call, context, |remote| {
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
        let uploaded: UploadedHistory = remote.upload(source, options(step))?;
        settle(&remote, plan, step)?;
        Ok((found.record, uploaded))
    })?;
    let mut outcome = uploaded.outcome;
    outcome.sealed = Some(sealed(uploaded.id, &found, &outcome));
    add_unread(&mut outcome, &found);
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
