//! What stands beside the snapshots: the folder of all records, and that of each snapshot in it, opened
//! once for all that is read there.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{
    SnapshotId,
    record::{SnapshotMarks, SnapshotRecord},
};

use super::{
    BACKUP, LONGEST_JSON, MARKS_FILE, RecordRoom, SNAPSHOT_FILE, SNAPSHOTS, Store,
    json::{parse_json, read_json},
    record_path,
};
use crate::{
    error::{Error, Result},
    state_dir::RecordIndex,
    sys::{Dir, Kind, Stat, WholeFile},
};

/// The folder of the records of all snapshots.
#[derive(Debug)]
pub struct AllRecords<'a> {
    store: &'a Store,
    dir: std::result::Result<Dir, Errno>,
}

impl<'a> AllRecords<'a> {
    /// What the kernel says of a snapshot's record, of which the index has all, if nothing of it was changed:
    /// neither the record, nor what stood beside it, its manifest included.
    pub(super) fn unchanged(&self, id: SnapshotId, index: &RecordIndex) -> Option<Stat> {
        let dir = self.dir.as_ref().ok()?;
        let name = id.to_string();
        let look = |path: &str| Stat::of(dir, path).ok();
        if !index.beside(id)?.is_unchanged(&name, &look) {
            return None;
        }
        let stat = look(&format!("{name}/{SNAPSHOT_FILE}"))?;
        (stat.kind == Kind::File && index.has(id, &stat)).then_some(stat)
    }

    /// Opens the folder of a snapshot's records; `None` if it has none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn of(&self, id: SnapshotId) -> Result<Option<Records<'a>>> {
        let store = self.store;
        let name = id.to_string();
        let opened = match &self.dir {
            Ok(all) => all.folder(OsStr::new(&name)),
            // Something else has the name of the folder of all records.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(None),
            Err(error) => Err(*error),
        };
        match opened {
            Ok(dir) => Ok(Some(Records { store, id, dir })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(store.io("open", &format!("{BACKUP}/{SNAPSHOTS}/{name}"), error)),
        }
    }
}

/// The record of a snapshot, before it is read.
#[derive(Debug)]
pub(crate) enum FoundRecord {
    /// The index has it, whose file this is.
    Recalled(Stat),
    /// It is to be read, where it is there.
    Opened(Result<Option<WholeFile>>),
}

/// The folder of one snapshot's records.
#[derive(Debug)]
pub struct Records<'a> {
    store: &'a Store,
    id: SnapshotId,
    /// The folder itself.
    pub dir: Dir,
}

impl Records<'_> {
    /// The snapshot's record; `None` where there is none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn record(&self) -> Result<Option<SnapshotRecord>> {
        read_json(&self.dir, SNAPSHOT_FILE, &self.path(SNAPSHOT_FILE))
    }

    /// The same, where the records that are in memory already leave `room` for it; see there for what is
    /// left out of it where they do not. A record that the index has is not read again.
    ///
    /// # Errors
    /// As [`Self::record`], and if there is no room for it.
    pub fn record_within(
        &self,
        room: &mut RecordRoom,
        index: &mut RecordIndex,
    ) -> Result<Option<SnapshotRecord>> {
        self.take_record(self.find_record(index), room, index)
    }

    /// The file of its record, or that the index has it.
    pub(super) fn find_record(&self, index: &RecordIndex) -> FoundRecord {
        let there = index
            .knows(self.id)
            .then(|| self.dir.look(OsStr::new(SNAPSHOT_FILE)));
        match there {
            Some(Ok(Some(stat))) if stat.kind == Kind::File && index.has(self.id, &stat) => {
                FoundRecord::Recalled(stat)
            }
            _ => FoundRecord::Opened(self.open_file(SNAPSHOT_FILE)),
        }
    }

    /// The record that was found, as [`Self::record_within`] says it.
    pub(crate) fn take_record(
        &self,
        found: FoundRecord,
        room: &mut RecordRoom,
        index: &mut RecordIndex,
    ) -> Result<Option<SnapshotRecord>> {
        let path = self.path(SNAPSHOT_FILE);
        let opened = match found {
            FoundRecord::Recalled(stat) => match index.recall(self.id, &stat) {
                Some(record) => return room.admit(record, stat.size, &path).map(Some),
                None => self.open_file(SNAPSHOT_FILE),
            },
            FoundRecord::Opened(opened) => opened,
        };
        let Some(file) = opened? else {
            return Ok(None);
        };
        let stat = file.stat;
        if stat.size <= LONGEST_JSON {
            room.begin_reading(stat.size, &path)?;
        }
        let bytes = file.read(LONGEST_JSON);
        let bytes = bytes.map_err(|error| Error::io("read", path.as_bytes(), error))?;
        let (record, json) = parse_json(bytes, &path)?;
        index.note(self.id, &stat, &json);
        room.admit(record, stat.size, &path).map(Some)
    }

    /// Opens one of its files; `None` where there is none.
    pub(super) fn open_file(&self, file: &str) -> Result<Option<WholeFile>> {
        let opened = self.dir.open_whole(file);
        opened.map_err(|error| Error::io("read", self.path(file).as_bytes(), error))
    }

    /// What was said of the snapshot since it was sealed.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn marks(&self) -> Result<SnapshotMarks> {
        Ok(self.marks_found()?.0)
    }

    /// The same, with what the kernel says of the file, where there is one.
    ///
    /// # Errors
    /// As [`Self::marks`].
    pub fn marks_found(&self) -> Result<(SnapshotMarks, Option<Stat>)> {
        self.take_marks(self.open_file(MARKS_FILE))
    }

    /// The marks in their file, as [`Self::marks_found`] gives them.
    pub(crate) fn take_marks(
        &self,
        opened: Result<Option<WholeFile>>,
    ) -> Result<(SnapshotMarks, Option<Stat>)> {
        let Some(file) = opened? else {
            return Ok((SnapshotMarks::default(), None));
        };
        let (stat, path) = (file.stat, self.path(MARKS_FILE));
        let bytes = file.read(LONGEST_JSON);
        let bytes = bytes.map_err(|error| Error::io("read", path.as_bytes(), error))?;
        let (marks, _) = parse_json(bytes, &path)?;
        Ok((marks, Some(stat)))
    }

    /// The path of the snapshot's manifest and what the kernel says of it, which is there and a file with
    /// something in it; its content is not looked at.
    ///
    /// # Errors
    /// What is wrong, in a sentence that names the file.
    pub fn manifest_found(&self) -> std::result::Result<(&'static str, Stat), String> {
        self.store.manifest_found_in(&self.dir, self.id)
    }

    /// The path of one of the files, for messages.
    pub(super) fn path(&self, file: &str) -> String {
        self.store.named(&record_path(self.id, file))
    }
}

impl Store {
    /// Opens the folder of all records, to look at many of them.
    #[must_use]
    pub fn all_records(&self) -> AllRecords<'_> {
        let dir = match self.closed {
            true => Err(Errno::NOENT),
            false => self.backup.folder(OsStr::new(SNAPSHOTS)),
        };
        AllRecords { store: self, dir }
    }

    /// Opens the folder of a snapshot's records; `None` if it has none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn records(&self, id: SnapshotId) -> Result<Option<Dir>> {
        Ok(self.all_records().of(id)?.map(|records| records.dir))
    }

    /// A snapshot's record; `None` where it has none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn record(&self, id: SnapshotId) -> Result<Option<SnapshotRecord>> {
        match self.all_records().of(id)? {
            Some(records) => records.record(),
            None => Ok(None),
        }
    }

    /// What was said of a snapshot since it was sealed.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn marks(&self, id: SnapshotId) -> Result<SnapshotMarks> {
        match self.all_records().of(id)? {
            Some(records) => records.marks(),
            None => Ok(SnapshotMarks::default()),
        }
    }
}
