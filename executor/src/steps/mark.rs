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
    let id: SnapshotId = step.id();
    let records = store.records(id)?.ok_or_else(|| {
        Error::refused(format!("there is no snapshot {id} in {}", store.path))
            .hint("`backup list` shows all snapshots")
    })?;
    // What cannot be read is written anew: whoever says this has seen the snapshot.
    let before = store.marks(id).ok();
    let (marks, message) = say(step, before.clone());
    let anew = match before {
        None => "; its marks could not be read and were written anew",
        Some(_) => "",
    };
    Ok(Decided {
        records,
        path: store.named(&record_path(id, MARKS_FILE)),
        marks,
        message: format!("{message}{anew}"),
    })
}

/// The marks of a snapshot once this is said of it, and a sentence; without those of before they are written
/// anew.
pub(super) fn say(step: &MarkStep, before: Option<SnapshotMarks>) -> (SnapshotMarks, String) {
    let said = said_of(step, before.as_ref());
    let mut marks = before.unwrap_or_else(SnapshotMarks::unknown);
    match step {
        MarkStep::Pin { .. } => marks.pinned = true,
        MarkStep::Unpin { .. } => marks.pinned = false,
        MarkStep::Accept { .. } => marks.accepted = true,
    }
    (marks, format!("snapshot {} {said}", step.id()))
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
