//! Records what a person says of a snapshot, beside its record.

use schema::{SnapshotId, journal::Outcome, plan::MarkStep, record::SnapshotMarks};

use crate::{
    error::{Error, Result},
    store::{MARKS_FILE, Store, record_path, write_record},
    sys::Dir,
};

/// Marks as they are to be written, and what is said of that.
struct Decided {
    records: Dir,
    path: String,
    marks: SnapshotMarks,
    message: String,
}

/// Writes the mark.
///
/// # Errors
/// Fails if there is no such snapshot, or its marks cannot be written.
pub fn run_mark_step(store: &Store, step: &MarkStep) -> Result<Outcome> {
    let decided = decide_mark(store, step)?;
    write_record(&decided.records, MARKS_FILE, &decided.path, &decided.marks)?;
    Ok(Outcome::success(decided.message))
}

/// What [`run_mark_step`] says where nothing fails. Writes nothing.
///
/// # Errors
/// Fails if there is no such snapshot.
pub(crate) fn foretell_mark_step(store: &Store, step: &MarkStep) -> Result<String> {
    decide_mark(store, step).map(|decided| decided.message)
}

fn decide_mark(store: &Store, step: &MarkStep) -> Result<Decided> {
    let id: SnapshotId = match step {
        MarkStep::Pin { id } | MarkStep::Unpin { id } | MarkStep::Accept { id } => *id,
    };
    let records = store.records(id)?.ok_or_else(|| {
        Error::refused(format!("there is no snapshot {id} in {}", store.path))
            .hint("`backup list` shows all snapshots")
    })?;
    // What cannot be read is written anew: whoever says this has seen the snapshot.
    let (mut marks, is_damaged) = match store.marks(id) {
        Ok(marks) => (marks, false),
        Err(_) => (SnapshotMarks::unknown(), true),
    };
    let said = said_of(step, (!is_damaged).then_some(&marks));
    match step {
        MarkStep::Pin { .. } => marks.pinned = true,
        MarkStep::Unpin { .. } => marks.pinned = false,
        MarkStep::Accept { .. } => marks.accepted = true,
    }
    let anew = match is_damaged {
        true => "; its marks could not be read and were written anew",
        false => "",
    };
    Ok(Decided {
        records,
        path: store.named(&record_path(id, MARKS_FILE)),
        marks,
        message: format!("snapshot {id} {said}{anew}"),
    })
}

/// What a mark changes, where it is known how it was before.
fn said_of(step: &MarkStep, before: Option<&SnapshotMarks>) -> &'static str {
    let was = |of: fn(&SnapshotMarks) -> bool| before.map(of);
    match step {
        MarkStep::Pin { .. } => match was(|marks| marks.pinned) {
            Some(true) => "was pinned before and still is: it is kept whatever the retention says",
            _ => "is kept whatever the retention says",
        },
        MarkStep::Unpin { .. } => match was(|marks| marks.pinned) {
            Some(false) => "was not pinned: it is left to the retention as before",
            _ => "is left to the retention again",
        },
        MarkStep::Accept { .. } => match was(|marks| marks.accepted) {
            Some(true) => "was accepted as it is before: nothing changed",
            _ => "is accepted as it is: later ones are judged by it, and it holds nothing back",
        },
    }
}
