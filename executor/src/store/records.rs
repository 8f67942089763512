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
    sys::{Dir, Kind, Stat},
};

/// The folder of the records of all snapshots.
#[derive(Debug)]
pub struct AllRecords<'a> {
    store: &'a Store,
    dir: std::result::Result<Dir, Errno>,
}

impl<'a> AllRecords<'a> {
    /// A snapshot's record and what was said of it since, of which the index has all, and the kernel says that
    /// nothing of it was changed: neither the record, nor what stood beside it, its manifest included. None
    /// where that is not so, or the records that are in memory already leave no `room` for it.
    #[must_use]
    pub fn recall(
        &self,
        id: SnapshotId,
        room: &mut RecordRoom,
        index: &mut RecordIndex,
    ) -> Option<(SnapshotRecord, SnapshotMarks)> {
        let dir = self.dir.as_ref().ok()?;
        let beside = index.beside(id)?;
        let name = id.to_string();
        let look = |path: &str| Stat::of(dir, path).ok();
        if !beside.is_unchanged(&name, &look) {
            return None;
        }
        let marks = beside.marks();
        let stat = look(&format!("{name}/{SNAPSHOT_FILE}"))?;
        let record = index
            .recall(id, &stat)
            .filter(|_| stat.kind == Kind::File)?;
        let record = room.admit(record, stat.size, &name).ok()?;
        Some((record, marks))
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
        let path = self.path(SNAPSHOT_FILE);
        let (record, size) = match self.recall(index) {
            Some(found) => found,
            None => {
                let io = |error: std::io::Error| Error::io("read", path.as_bytes(), error);
                let Some(file) = self.dir.open_whole(SNAPSHOT_FILE).map_err(io)? else {
                    return Ok(None);
                };
                let stat = file.stat;
                if stat.size <= LONGEST_JSON {
                    room.begin_reading(stat.size, &path)?;
                }
                let (record, json) = parse_json(file.read(LONGEST_JSON).map_err(io)?, &path)?;
                index.note(self.id, &stat, &json);
                (record, stat.size)
            }
        };
        room.admit(record, size, &path).map(Some)
    }

    fn recall(&self, index: &mut RecordIndex) -> Option<(SnapshotRecord, u64)> {
        if !index.knows(self.id) {
            return None;
        }
        let stat = self.dir.look(OsStr::new(SNAPSHOT_FILE)).ok()??;
        if stat.kind != Kind::File {
            return None;
        }
        Some((index.recall(self.id, &stat)?, stat.size))
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
        let path = self.path(MARKS_FILE);
        let io = |error: std::io::Error| Error::io("read", path.as_bytes(), error);
        let Some(file) = self.dir.open_whole(MARKS_FILE).map_err(io)? else {
            return Ok((SnapshotMarks::default(), None));
        };
        let stat = file.stat;
        let (marks, _) = parse_json(file.read(LONGEST_JSON).map_err(io)?, &path)?;
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
    fn path(&self, file: &str) -> String {
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
