//! Puts the newest good snapshot on a remote with history, or the live sources where there is none.
//!
//! Owns which snapshot that is and whether it is good; what is done with it is in
//! [`crate::cloud::remote_history`].

use schema::{
    Plan, SnapshotId,
    journal::{Outcome, Sealed, Status},
    plan::{LiveSources, UploadFeed, UploadStep},
    record::{SnapshotMarks, SnapshotRecord},
};

use super::{
    cloud_sync::{add_unread, check_manifest},
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
    store::Store,
    sys::Dir,
};

/// A destination that is there, for a step that reads from it.
#[derive(Clone, Copy)]
pub struct OpenFeed<'a> {
    /// What the step says of it.
    pub feed: &'a UploadFeed,
    /// It itself.
    pub store: &'a Store,
}

/// A snapshot that is uploaded.
struct Found<'a> {
    store: &'a Store,
    record: SnapshotRecord,
    marks: SnapshotMarks,
    /// It was made in this run.
    is_new: bool,
}

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
    if let Some(found) = choose(feeds)? {
        let id = found.record.id;
        let home = found
            .store
            .home_of(id)?
            .ok_or_else(|| Error::failed(format!("snapshot {id} is gone")))?;
        let tree = found.store.snapshot(home, id)?;
        check_manifest(found.store, &found.record, context.stop)?;
        let source = HistorySource {
            folder: &found.store.named(&format!("{home}/{id}")),
            tree: &tree,
            record: &found.record,
            manifest: found.store.manifest(id)?,
            live: None,
            marks: &found.marks,
        };
        let call = (&step.call, found.record.totals.entries);
        let uploaded = with_remote(state, name, call, context, |remote| {
            let uploaded = remote.upload(source, options(step))?;
            settle(&remote, plan, step)?;
            Ok(uploaded)
        })?;
        let mut outcome = uploaded.outcome;
        if found.is_new {
            outcome.sealed = Some(sealed(uploaded.id, &found.record, &outcome));
        } else {
            add_earlier(&mut outcome, feeds, id);
        }
        return Ok(outcome);
    }
    if let Some(sources) = &step.live {
        return upload_live(state, plan, name, (step, sources), context);
    }
    let (message, hint) = if feeds.is_empty() {
        (
            "no destination that it could come from is there",
            "mount one of them and run it again",
        )
    } else {
        (
            "no destination that is there has a good snapshot",
            "see with `backup list` why they are suspect; after `backup accept` the next run uploads again",
        )
    };
    let message = format!("nothing is copied to {}: {message}", step.call.remote);
    Ok(Outcome::unsuccessful(
        Status::Incomplete,
        message,
        hint.to_owned(),
    ))
}

/// The snapshot that is uploaded, if a destination has a good one.
fn choose<'a>(feeds: &[OpenFeed<'a>]) -> Result<Option<Found<'a>>> {
    for is_new in [true, false] {
        for OpenFeed { feed, store } in feeds.iter().copied() {
            let id = if is_new { feed.snapshot } else { feed.last };
            let Some(id) = id else {
                continue;
            };
            // One that cannot be read holds the others up as little as one that is not there.
            let Ok(Some(record)) = store.record(id) else {
                continue;
            };
            let marks = store.marks(id).unwrap_or_else(|_| SnapshotMarks::unknown());
            let is_good = record.suspect.is_empty() || marks.accepted;
            if is_good && store.home_of(id)?.is_some() {
                return Ok(Some(Found {
                    store,
                    record,
                    marks,
                    is_new,
                }));
            }
        }
    }
    Ok(None)
}

/// What is on the remote now, as a report tells of it.
fn sealed(id: SnapshotId, record: &SnapshotRecord, outcome: &Outcome) -> Sealed {
    Sealed {
        id,
        complete: record.complete && outcome.problems.is_empty(),
        suspect: Vec::new(),
        totals: record.totals,
        costs_most: None,
        left_out: None,
        gone: None,
    }
}

/// Tells that the snapshot of this run is not what was uploaded, where one was to be made.
fn add_earlier(outcome: &mut Outcome, feeds: &[OpenFeed<'_>], id: SnapshotId) {
    let planned: Vec<&OpenFeed<'_>> = feeds
        .iter()
        .filter(|one| one.feed.snapshot.is_some())
        .collect();
    if planned.is_empty() {
        return;
    }
    let made = |one: &&&OpenFeed<'_>| {
        let new = one.feed.snapshot;
        new.is_some_and(|new| one.store.record(new).is_ok_and(|record| record.is_some()))
    };
    let (status, why, hint) = match planned.iter().find(made) {
        // Another run would make it no better: a person is told of it.
        Some(one) => (
            Status::Incomplete,
            format!("the new one of {} is suspect", one.feed.of),
            "see why it is suspect; after `backup accept` the next run uploads it",
        ),
        None => (
            Status::Deferred,
            "this run made no new one".to_owned(),
            "the next run that makes one uploads it",
        ),
    };
    outcome.status = outcome.status.max(status);
    outcome
        .message
        .push_str(&format!("; {id} is an earlier snapshot: {why}"));
    outcome.hint.get_or_insert_with(|| hint.to_owned());
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
