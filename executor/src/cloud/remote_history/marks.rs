//! What is said of a snapshot on the remote: each time in a file of its own, so that whoever may not
//! overwrite can still pin.

use schema::{SnapshotId, record::SnapshotMarks};

use super::{HistoryRemote, KnownHistory, layout};
use crate::{
    error::{Error, Result},
    store::write_record,
};

impl HistoryRemote<'_> {
    /// What was last said of a snapshot; unknown where that cannot be read.
    #[must_use]
    pub fn marks(&self, known: &KnownHistory, id: SnapshotId) -> SnapshotMarks {
        self.marks_in(&known.listing, id)
    }

    /// Says this of a snapshot that is there, unless it was said last.
    ///
    /// # Errors
    /// Refused if there is no such snapshot; fails if the remote cannot be written.
    pub fn mark(&self, known: &KnownHistory, id: SnapshotId, marks: &SnapshotMarks) -> Result<()> {
        const NEW: &str = "marks.json";
        let Some(record) = known.records.get(&id) else {
            return Err(Error::refused(format!(
                "snapshot {id} is not on {}",
                self.remote
            )));
        };
        if self.marks_in(&known.listing, id) == *marks {
            return Ok(());
        }
        let last = known
            .listing
            .marks
            .get(&id)
            .map_or(0, |(number, _)| *number);
        let name = layout::marks_file(id, last + 1);
        write_record(self.cache.dir(), NEW, &self.cache.named(NEW), marks)?;
        self.write_to_records(NEW, &name)?;
        self.keep_body(&name, NEW)?;
        self.make_snapshot(record, marks)
    }
}
