//! Looking at the remote: what it has and what is to be done, before anything changes there; and
//! whether it has everything, before local space is given back.

use std::{
    collections::HashMap,
    io::{BufWriter, Write as _},
};

use schema::{
    SnapshotId,
    cloud::{CURRENT, MANIFESTS},
    config::SyncMode,
};

use super::{
    super::{
        difference::{self, Difference, Doubt, Lists, Remote},
        published::{self, Published},
    },
    ALL, ASIDE, UPLOAD, Upload,
};
use crate::{
    error::{Error, Result},
    manifest::Reader,
};

impl Upload<'_> {
    /// Compares the snapshot with the remote, and writes the lists.
    pub(super) fn compare(&self) -> Result<Difference> {
        let mut listing = HashMap::new();
        let current = self.at(CURRENT);
        let options = ["-R", "--files-only"];
        published::list(
            &self.rclone,
            &self.desk,
            &current,
            &options,
            &mut |path, size| {
                listing.insert(path, size);
            },
        )?;
        let base = match published::newest(&self.shelves) {
            Some((id, _)) => {
                let base = self.fetch(id)?;
                Some(base.ok_or_else(|| {
                    Error::failed(format!(
                        "cloud copy failed: the manifest of {id} at {} is damaged",
                        self.at(MANIFESTS)
                    ))
                    .hint(format!(
                        "take {}/{id} away with `rclone moveto`; the next run compares with the \
                         upload before it",
                        self.at(MANIFESTS)
                    ))
                })?)
            }
            None => None,
        };
        let mut begun: Vec<(u64, SnapshotId)> = self
            .shelves
            .iter()
            .filter(|(_, shelf)| shelf.uploaded.is_none_or(|ended| ended < shelf.attempt))
            .map(|(id, shelf)| (shelf.attempt, *id))
            .collect();
        begun.sort_unstable();
        let mut doubts = Vec::new();
        for (_, id) in begun {
            // What is not whole was cut off before its first file.
            if let Some(doubt) = self.fetch(id)? {
                doubts.push(Doubt {
                    reader: doubt.reader()?,
                    done: self.desk.done(id)?,
                });
            }
        }
        let record = &self.source.record;
        let sources: Vec<_> = record.sources.iter().map(|one| one.path.clone()).collect();
        let mut files = Vec::new();
        for name in [UPLOAD, ASIDE, ALL] {
            files.push(BufWriter::new(self.desk.new_file(name)?));
        }
        let [upload, aside, all] = &mut files[..] else {
            return Err(Error::failed("three lists are needed"));
        };
        let found = difference::compare(
            self.manifest()?,
            &sources,
            Remote {
                listing,
                base: base.as_ref().map(Published::reader).transpose()?,
                doubts,
            },
            self.removes(),
            Lists { upload, aside, all },
        )?;
        for file in &mut files {
            file.flush()
                .map_err(|error| Error::io("write", self.desk.named(UPLOAD).as_bytes(), error))?;
        }
        Ok(found)
    }

    /// Whether what is on the remote only goes. Not because a live source could not be read: the
    /// remote may have the only copy then.
    pub(super) fn removes(&self) -> bool {
        let whole = self.source.live.is_none() || self.source.record.complete;
        self.step.mode != SyncMode::Copy && whole
    }

    pub(super) fn fetch(&self, id: SnapshotId) -> Result<Option<Published>> {
        let shelf = &self.shelves[&id];
        published::fetch(&self.rclone, &self.desk, &self.step.remote, id, shelf)
    }

    /// The manifest that travels, from its start.
    pub(super) fn manifest(&self) -> Result<Reader> {
        const NEW: &str = "manifest.new";
        let write = |error| Error::io("write", self.desk.named(NEW).as_bytes(), error);
        let mut file = self.desk.new_file(NEW)?;
        file.write_all(&self.source.manifest).map_err(write)?;
        Reader::new(self.desk.file(NEW)?).map_err(write)
    }

    /// Has rclone compare all that is there with the snapshot, by sizes and by the hashes that both
    /// sides have. What this attempt uploaded is read back, since many remotes have no hashes
    /// (WebDAV, everything below `crypt`) and the local copy is about to go.
    pub(super) fn check(&self, found: &Difference) -> Result<()> {
        self.agrees(ALL, &[])?;
        if found.change.upload_files == 0 {
            return Ok(());
        }
        self.agrees(UPLOAD, &["--download"])
    }

    fn agrees(&self, list: &str, options: &[&str]) -> Result<()> {
        let (list, current) = (self.desk.named(list), self.at(CURRENT));
        let mut arguments = vec![
            "check",
            self.source.folder,
            &current,
            "--one-way",
            "--files-from-raw",
            &list,
        ];
        arguments.extend(options);
        if self.rclone.must(&arguments, &|| Ok(None))? {
            return Ok(());
        }
        Err(Error::failed(format!(
            "cloud copy failed: {} could not compare {current}",
            self.step.program
        )))
    }
}
