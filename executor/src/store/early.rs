//! The records of several snapshots, read side by side where somebody far away answers for them: each takes
//! half a dozen questions.
//!
//! Only what is small is read here, so that many at once take no more memory than one.

use rustix::io::Errno;
use schema::{
    SnapshotId,
    record::{SnapshotMarks, SnapshotRecord},
};

use super::{
    AllRecords, LONGEST_JSON, MARKS_FILE, RecordRoom, Records, SNAPSHOT_FILE, records::FoundRecord,
};
use crate::{
    error::{Error, Result},
    side_by_side::with_each,
    state_dir::RecordIndex,
    sys::{Stat, WholeFile},
};

/// Longest file that is read before its turn, in bytes.
const SMALL: u64 = 256 << 10;
/// Snapshots that are read before the first of them has its turn, for each question that is asked at once.
const AHEAD: usize = 4;

/// What was found of a snapshot's records.
#[derive(Debug)]
pub(crate) enum EarlyRecords<'a> {
    /// The index has all of it; this the kernel says of the record.
    Unchanged(Stat),
    /// There are some.
    Found(Box<FoundRecords<'a>>),
    /// There are none.
    Missing,
    /// They cannot be looked at.
    Failed(Error),
}

/// The records of a snapshot, of which nothing was made yet.
#[derive(Debug)]
pub(crate) struct FoundRecords<'a> {
    /// Their folder.
    pub(crate) records: Records<'a>,
    /// What the kernel said of that before all that is in it was looked at, so that what changes meanwhile
    /// has another one; none where the index keeps nothing.
    pub(crate) folder: Option<Stat>,
    pub(crate) record: FoundRecord,
    pub(crate) marks: Result<Option<WholeFile>>,
    /// As [`Records::manifest_found`] says it.
    pub(crate) manifest: std::result::Result<(&'static str, Stat), String>,
}

impl<'a> AllRecords<'a> {
    /// Reads the records of snapshots with so many questions at once, and gives each its turn, in their order.
    pub(crate) fn read_each<T: Sync>(
        &self,
        all: &[T],
        id_of: impl Fn(&T) -> Option<SnapshotId> + Sync,
        index: &mut RecordIndex,
        at_once: usize,
        mut take: impl FnMut(&T, EarlyRecords<'a>, &mut RecordIndex),
    ) {
        let together = if at_once > 1 { at_once * AHEAD } else { 1 };
        for some in all.chunks(together) {
            let known = &*index;
            let read = with_each(some, at_once, &|one| match id_of(one) {
                Some(id) => self.read_early(id, known),
                None => EarlyRecords::Missing,
            });
            for (one, early) in some.iter().zip(read) {
                take(one, early, index);
            }
        }
    }

    fn read_early(&self, id: SnapshotId, index: &RecordIndex) -> EarlyRecords<'a> {
        match self.unchanged(id, index) {
            Some(stat) => EarlyRecords::Unchanged(stat),
            None => self.find(id, index),
        }
    }

    /// A snapshot's records, as far as they are small.
    pub(crate) fn find(&self, id: SnapshotId, index: &RecordIndex) -> EarlyRecords<'a> {
        let records = match self.of(id) {
            Ok(Some(records)) => records,
            Ok(None) => return EarlyRecords::Missing,
            Err(error) => return EarlyRecords::Failed(error),
        };
        let folder = index.keeps().then(|| records.dir.stat_self());
        let record = match records.find_record(index) {
            FoundRecord::Opened(opened) => {
                FoundRecord::Opened(records.read_small(SNAPSHOT_FILE, opened))
            }
            recalled @ FoundRecord::Recalled(_) => recalled,
        };
        EarlyRecords::Found(Box::new(FoundRecords {
            folder: folder.and_then(std::result::Result::<Stat, Errno>::ok),
            record,
            marks: records.read_small(MARKS_FILE, records.open_file(MARKS_FILE)),
            manifest: records.manifest_found(),
            records,
        }))
    }

    /// A snapshot's record, of which the index has all, with what was said of it since; none where the records
    /// that are in memory already leave no `room` for it.
    pub(crate) fn recall(
        &self,
        id: SnapshotId,
        stat: &Stat,
        room: &mut RecordRoom,
        index: &mut RecordIndex,
    ) -> Option<(SnapshotRecord, SnapshotMarks)> {
        let marks = index.beside(id)?.marks();
        let record = index.recall(id, stat)?;
        let record = room.admit(record, stat.size, &id.to_string()).ok()?;
        Some((record, marks))
    }
}

impl Records<'_> {
    fn read_small(
        &self,
        name: &str,
        opened: Result<Option<WholeFile>>,
    ) -> Result<Option<WholeFile>> {
        let read = |file: WholeFile| {
            let read = file.read_if_small(SMALL, LONGEST_JSON);
            read.map_err(|error| Error::io("read", self.path(name).as_bytes(), error))
        };
        opened?.map(read).transpose()
    }
}
