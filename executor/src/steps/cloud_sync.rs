//! Copies the newest good snapshot to the cloud.
//!
//! Owns which snapshot that is and whether it is good; what is done with it is in [`crate::cloud`].

use std::ffi::OsStr;

use schema::{
    journal::{Outcome, Status},
    plan::CloudSyncStep,
};

use crate::{
    cloud::upload::{self, Source},
    error::{Error, Result},
    event::Context,
    manifest,
    state_dir::StateDir,
    store::Store,
};

/// Copies the snapshot that the step names, if it is good.
///
/// # Errors
/// An interruption, a destination that cannot be read, or a remote that cannot be reached.
pub fn run(
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
        return Ok(Outcome::not(
            Status::Incomplete,
            format!(
                "nothing is copied to {}: this run made no good snapshot",
                step.remote
            ),
            "see why the snapshot is suspect; after `backup accept` the next run copies again",
        ));
    };
    let home = store
        .home_of(id)?
        .ok_or_else(|| Error::failed(format!("snapshot {id} is gone")))?;
    let records = store
        .records(id)?
        .ok_or_else(|| Error::failed(format!("snapshot {id} has no records")))?;
    let manifest = records
        .read_whole(manifest::FILE_NAME)
        .map_err(|error| store.io("read", manifest::FILE_NAME, error))?
        .ok_or_else(|| {
            Error::failed(format!("the manifest of snapshot {id} is missing")).hint(format!(
                "look for {} beside the other records",
                OsStr::new(manifest::FILE_NAME).display()
            ))
        })?;
    let source = Source {
        folder: &store.named(&format!("{home}/{id}")),
        record: &record,
        manifest: &manifest,
        accepted: marks.accepted,
    };
    upload::run(state, name, step, &source, context)
}
