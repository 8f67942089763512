//! What an upload writes to the remote besides files: that it begins, that it ended well; and what
//! goes with it: marks of uploads that are in doubt no more, and history that is old enough.

use std::{ffi::OsStr, io::Write as _};

use schema::{
    SnapshotId,
    cloud::{FORMAT_VERSION, HISTORY, HistoryFolder, MANIFESTS, UploadRecord},
    journal::Problem,
};

use super::{
    super::{
        difference::Difference,
        published::{self, uploaded_name},
    },
    Upload,
};
use crate::{
    error::{Error, Result},
    manifest,
    store::{SNAPSHOT_FILE, write_json},
};

impl Upload<'_> {
    /// Says on the remote what is going to be uploaded, before anything changes there.
    pub(super) fn begin(&mut self) -> Result<()> {
        let id = self.id();
        self.memory.attempt = self.attempt;
        self.desk.remember(&self.memory)?;
        let shelf = self.shelves.get(&id).cloned().unwrap_or_default();
        if shelf.uploaded.is_none() {
            self.desk.clear_shelf(id, self.rclone.context)?;
        }
        let (dir, path) = self.desk.shelf(id)?;
        let put = |name: &str, bytes: &[u8]| {
            dir.write_whole(name, bytes)
                .map_err(|error| Error::io("write", format!("{path}/{name}").as_bytes(), error))
        };
        put(manifest::FILE_NAME, &self.source.manifest)?;
        write_json(&dir, SNAPSHOT_FILE, &path, &self.source.record)?;
        let attempt = format!("attempt-{}.json", self.attempt);
        let begun = serde_json::json!({
            "format_version": FORMAT_VERSION,
            "attempt": self.attempt,
            "begun_at": self.rclone.context.clock.now(),
        });
        put(&attempt, begun.to_string().as_bytes())?;
        // What is whole on the remote is not written again: a kill would leave it short.
        let mut list = String::new();
        for name in [manifest::FILE_NAME, SNAPSHOT_FILE, &attempt] {
            let size = dir
                .stat(OsStr::new(name))
                .map_err(|error| Error::io("look at", path.as_bytes(), error))?
                .size;
            if shelf.files.get(name) != Some(&size) {
                list.push_str(name);
                list.push('\n');
            }
        }
        self.bring(&path, &id.to_string(), &list)
    }

    /// Copies files of the desk's shelf to the remote's.
    fn bring(&self, from: &str, id: &str, list: &str) -> Result<()> {
        const SHELF: &str = "shelf.list";
        self.desk
            .new_file(SHELF)?
            .write_all(list.as_bytes())
            .map_err(|error| Error::io("write", self.desk.named(SHELF).as_bytes(), error))?;
        let to = format!("{}/{id}", self.at(MANIFESTS));
        let list = self.desk.named(SHELF);
        let arguments = [
            "copy",
            from,
            &to,
            "--files-from-raw",
            &list,
            "--no-traverse",
            "--ignore-times",
        ];
        if self.rclone.must(&arguments, &|| Ok(None))? {
            return Ok(());
        }
        Err(Error::failed(format!(
            "cloud copy failed: {} could not write to {to}",
            self.step.program
        )))
    }

    /// Says on the remote that the snapshot is there, and takes away what is in doubt no more.
    pub(super) fn publish(
        &mut self,
        found: &Difference,
        faults: u64,
        problems: &[Problem],
    ) -> Result<()> {
        let id = self.id();
        let (dir, path) = self.desk.shelf(id)?;
        let record = UploadRecord {
            format_version: FORMAT_VERSION,
            id,
            attempt: self.attempt,
            uploaded_at: self.rclone.context.clock.now(),
            files: found.files.saturating_sub(faults),
            bytes: found.bytes,
            manifest_digest: self.source.record.manifest_digest,
            made_by: format!("backup {}", env!("CARGO_PKG_VERSION")),
            not_uploaded: problems.to_vec(),
        };
        let name = uploaded_name(self.attempt);
        write_json(&dir, &name, &path, &record)?;
        self.bring(&path, &id.to_string(), &format!("{name}\n"))?;
        let since = record.uploaded_at;
        self.memory.last = Some(record);
        self.memory.history.retain(|one| one.id != id);
        self.memory.history.push(HistoryFolder { id, since });
        let others = self.shelves.iter();
        let ended: Vec<SnapshotId> = others
            .filter(|(other, shelf)| **other != id && shelf.uploaded.is_none())
            .map(|(other, _)| *other)
            .collect();
        for other in ended {
            self.purge(MANIFESTS, other)?;
            self.shelves.remove(&other);
        }
        let shelf = self.shelves.entry(id).or_default();
        shelf.uploaded = Some(self.attempt);
        self.desk.settle(id, self.rclone.context)
    }

    /// Removes a snapshot's folder in one of the remote's.
    fn purge(&self, area: &str, id: SnapshotId) -> Result<()> {
        let folder = format!("{}/{id}", self.at(area));
        self.rclone
            .must(&["purge", &folder], &|| Ok(None))
            .map(|_| ())
    }

    /// Removes history that is old enough, and manifests that cannot be restored without it; gives
    /// how many folders went.
    pub(super) fn expire(&mut self) -> Result<u64> {
        let expire = &self.step.expire;
        let Some(last) = expire.iter().max().copied() else {
            return Ok(0);
        };
        let mut there = Vec::new();
        let history = self.at(HISTORY);
        published::list(
            &self.rclone,
            &self.desk,
            &history,
            &["--dirs-only"],
            &mut |name, _| {
                there.extend(name.parse::<SnapshotId>().ok());
            },
        )?;
        let mut gone = 0;
        for id in there.iter().filter(|id| expire.contains(*id)) {
            self.purge(HISTORY, *id)?;
            gone += 1;
        }
        let id = self.id();
        let without: Vec<SnapshotId> = self.shelves.keys().copied().collect();
        for other in without
            .into_iter()
            .filter(|other| *other < last && *other != id)
        {
            self.purge(MANIFESTS, other)?;
            self.shelves.remove(&other);
        }
        Ok(gone)
    }

    pub(super) fn remember(&mut self) -> Result<()> {
        let now = self.rclone.context.clock.now();
        let uploaded = self
            .shelves
            .iter()
            .filter(|(_, shelf)| shelf.uploaded.is_some());
        self.memory.uploaded = uploaded.map(|(id, _)| *id).collect();
        let expired = &self.step.expire;
        self.memory.history.retain(|one| !expired.contains(&one.id));
        for id in &self.memory.uploaded {
            if !expired.contains(id) && !self.memory.history.iter().any(|one| one.id == *id) {
                self.memory.history.push(HistoryFolder {
                    id: *id,
                    since: now,
                });
            }
        }
        self.memory.history.sort_by_key(|one| one.id);
        self.desk.remember(&self.memory)
    }
}
