//! Which snapshot goes to a named remote: of the disks that are there, the first that has a good one.

use schema::{
    SnapshotId,
    journal::{Outcome, Sealed, Status},
    plan::UploadFeed,
    record::{SnapshotMarks, SnapshotRecord},
};

use crate::{
    error::{Error, Result},
    event::Stop,
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

impl OpenFeed<'_> {
    /// Whether this run made a snapshot there, good or not.
    pub(super) fn made_new(&self) -> bool {
        let new = self.feed.snapshot;
        new.is_some_and(|new| self.store.record(new).is_ok_and(|record| record.is_some()))
    }
}

/// A snapshot that stands on a destination.
pub(super) struct StoredSnapshot<'a> {
    pub(super) store: &'a Store,
    pub(super) record: SnapshotRecord,
    pub(super) marks: SnapshotMarks,
}

/// A snapshot that is uploaded.
pub(super) struct Found<'a> {
    pub(super) stored: StoredSnapshot<'a>,
    /// It was made in this run.
    is_new: bool,
}

impl StoredSnapshot<'_> {
    /// Its folder, by its name and open. Refuses a manifest that is not the one that was sealed: a copy would
    /// be as damaged.
    pub(super) fn open(&self, stop: &Stop) -> Result<(String, Dir)> {
        let id = self.record.id;
        let home = self
            .store
            .home_of(id)?
            .ok_or_else(|| Error::failed(format!("snapshot {id} is gone")))?;
        let tree = self.store.snapshot(home, id)?;
        if let Some(fault) = self.store.manifest_fault(&self.record, stop)? {
            return Err(Error::failed(format!(
                "the manifest of snapshot {id} is missing or damaged: {fault}"
            ))
            .hint("look at it with `backup health`; the next snapshot can be uploaded"));
        }
        Ok((self.store.named(&format!("{home}/{id}")), tree))
    }
}

impl Found<'_> {
    /// Tells what is on the remote now, by its name there.
    pub(super) fn tell(&self, outcome: &mut Outcome, feeds: &[OpenFeed<'_>], id: SnapshotId) {
        if self.is_new {
            outcome.sealed = Some(sealed(id, &self.stored.record, outcome));
        } else {
            add_earlier(outcome, feeds, self.stored.record.id);
        }
    }
}

/// The snapshot that is uploaded, if a destination has a good one.
pub(super) fn choose<'a>(feeds: &[OpenFeed<'a>]) -> Result<Option<Found<'a>>> {
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
                let stored = StoredSnapshot {
                    store,
                    record,
                    marks,
                };
                return Ok(Some(Found { stored, is_new }));
            }
        }
    }
    Ok(None)
}

/// What is on the remote now, as a report tells of it.
pub(super) fn sealed(id: SnapshotId, record: &SnapshotRecord, outcome: &Outcome) -> Sealed {
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
    let (status, why, hint) = match planned.iter().find(|one| one.made_new()) {
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

/// That no destination has anything to upload.
pub(super) fn nothing_to_upload(feeds: &[OpenFeed<'_>], remote: &str) -> Outcome {
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
    let message = format!("nothing is copied to {remote}: {message}");
    Outcome::unsuccessful(Status::Incomplete, message, hint.to_owned())
}
