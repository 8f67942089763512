//! Records what a person says of a snapshot, beside its record.

use schema::{SnapshotId, journal::Outcome, plan::MarkStep, record::SnapshotMarks};

use crate::{
    error::{Error, Result},
    store::{MARKS_FILE, Store, record_path, write_record},
};

/// Writes the mark.
///
/// # Errors
/// Fails if there is no such snapshot, or its marks cannot be written.
pub fn run_mark_step(store: &Store, step: &MarkStep) -> Result<Outcome> {
    let (id, said): (SnapshotId, &str) = match step {
        MarkStep::Pin { id } => (*id, "is kept whatever the retention says"),
        MarkStep::Unpin { id } => (*id, "is left to the retention again"),
        MarkStep::Accept { id } => (*id, "is accepted as it is"),
    };
    let records = store.records(id)?.ok_or_else(|| {
        Error::refused(format!("there is no snapshot {id} in {}", store.path))
            .hint("`backup list` shows all snapshots")
    })?;
    // What cannot be read is written anew: whoever says this has seen the snapshot.
    let (mut marks, anew) = match store.marks(id) {
        Ok(marks) => (marks, ""),
        Err(_) => (
            SnapshotMarks::unknown(),
            "; its marks could not be read and were written anew",
        ),
    };
    match step {
        MarkStep::Pin { .. } => marks.pinned = true,
        MarkStep::Unpin { .. } => marks.pinned = false,
        MarkStep::Accept { .. } => marks.accepted = true,
    }
    let path = store.named(&record_path(id, MARKS_FILE));
    write_record(&records, MARKS_FILE, &path, &marks)?;
    Ok(Outcome::success(format!("snapshot {id} {said}{anew}")))
}
