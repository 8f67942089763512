//! The manifests of a destination's snapshots: opened, and held against what was sealed.

use std::{ffi::OsStr, fs::File};

use schema::{Digest, SnapshotId, plan::Basis, record::SnapshotRecord};

use super::{Store, record_path};
use crate::{
    error::{Error, Result},
    event::Stop,
    manifest::{self, Chunks, Reader},
    state_dir::KeptDigest,
    sys::{Dir, Kind, Stat},
};

impl Store {
    /// Opens a snapshot's manifest.
    ///
    /// # Errors
    /// Fails if it is not there or is not a manifest.
    pub fn manifest(&self, id: SnapshotId) -> Result<Reader> {
        let file = self.manifest_file(id)?;
        Reader::new(file).map_err(|error| self.io("read", &manifest_path(id), error))
    }

    /// Opens the manifest of a snapshot's basis, read together with those of others that files are
    /// linked to. Of these, what cannot be opened is done without.
    ///
    /// # Errors
    /// As [`Self::manifest`], for the basis.
    pub fn manifests(&self, basis: SnapshotId, also: &[Basis]) -> Result<Reader> {
        let others = also.iter().filter_map(|other| self.manifest(other.id).ok());
        // Entries are told apart by their place in the list, so either all are read or none.
        let others: Vec<Reader> = others.collect();
        let basis = self.manifest(basis)?;
        Ok(if others.len() == also.len() {
            basis.with(others)
        } else {
            basis
        })
    }

    /// Opens a snapshot's manifest to be read as text.
    ///
    /// # Errors
    /// Fails if it is not there or is not a manifest.
    pub fn manifest_text(&self, id: SnapshotId) -> Result<Chunks> {
        let file = self.manifest_file(id)?;
        Chunks::new(file).map_err(|error| self.io("read", &manifest_path(id), error))
    }

    /// Whether a snapshot's manifest is there and a file with something in it; its content is not
    /// looked at.
    ///
    /// # Errors
    /// What is wrong, in a sentence that names the file.
    pub fn manifest_present(&self, id: SnapshotId) -> std::result::Result<(), String> {
        let records = self.records(id).map_err(|error| error.message)?;
        let records = records.ok_or_else(|| self.without_records(id).message)?;
        self.manifest_present_in(&records, id)
    }

    /// The same, where the folder of its records is open.
    pub(super) fn manifest_present_in(
        &self,
        records: &Dir,
        id: SnapshotId,
    ) -> std::result::Result<(), String> {
        let io = |doing, error| self.io(doing, &manifest_path(id), error).message;
        let file = records.file(OsStr::new(manifest::FILE_NAME));
        let file = file.map_err(|error| io("open", error))?;
        let path = self.named(&manifest_path(id));
        match Stat::of_fd(&file) {
            Ok(stat) if stat.kind != Kind::File => Err(format!("{path} is not a file")),
            Ok(stat) if stat.size == 0 => Err(format!("{path} is empty")),
            Ok(_) => Ok(()),
            Err(error) => Err(io("look at", error)),
        }
    }

    /// What the kernel says of a snapshot's manifest; `None` where it cannot be looked at.
    #[must_use]
    pub fn manifest_stat(&self, id: SnapshotId) -> Option<Stat> {
        let records = self.records(id).ok()??;
        records.look(OsStr::new(manifest::FILE_NAME)).ok()?
    }

    /// Whether this machine made a snapshot, or found it when it first looked at this destination, as
    /// far as it remembers anything of it. What appears later was put there by somebody else.
    #[must_use]
    pub fn is_known(&self, id: SnapshotId) -> bool {
        let Some(first) = self.kept.values().map(|kept| kept.since).min() else {
            return true;
        };
        let kept = self.kept.get(&id);
        kept.is_some_and(|kept| !kept.taken_over || kept.since == first)
    }

    /// What this machine keeps of a snapshot whose manifest is said to have this digest: under the id
    /// that the destination has, or else under another one, as of a copy of this disk. Whoever gives
    /// a disk the id of another one makes this machine forget nothing that way.
    #[must_use]
    pub fn kept_of(&self, id: SnapshotId, named: Digest) -> Option<&KeptDigest> {
        self.kept.get(&id).or_else(|| {
            let others = self.kept_elsewhere.get(&id)?;
            let same = others.iter().find(|kept| kept.digest == named);
            same.or_else(|| others.first())
        })
    }

    /// Whether a snapshot's record names another manifest than the one that this machine sealed, in
    /// words: somebody changed both.
    #[must_use]
    pub fn changed(&self, record: &SnapshotRecord) -> Option<String> {
        let kept = self.kept_of(record.id, record.manifest_digest)?;
        if kept.digest == record.manifest_digest {
            return None;
        }
        Some(format!(
            "its record names the manifest {}, and {} was sealed",
            record.manifest_digest.short(),
            kept.digest.short()
        ))
    }

    /// Whether a snapshot's manifest can be read from end to end and is the one that was sealed.
    ///
    /// # Errors
    /// What is wrong, in a sentence that names the file; or an interruption.
    pub fn manifest_fault(&self, record: &SnapshotRecord, stop: &Stop) -> Result<Option<String>> {
        let id = record.id;
        let path = self.named(&manifest_path(id));
        if let Err(fault) = self.manifest_present(id) {
            return Ok(Some(fault));
        }
        if let Some(changed) = self.changed(record) {
            return Ok(Some(changed));
        }
        let read = || -> Result<Digest> {
            let mut file = self.manifest_file(id)?;
            manifest::digest_of_file(&mut file, stop)
                .map_err(|error| self.io("read", &manifest_path(id), error))
        };
        let found = read();
        stop.check()?;
        match found {
            Ok(digest) if digest == record.manifest_digest => Ok(None),
            Ok(_) => Ok(Some(format!("{path} is not the manifest that was sealed"))),
            Err(error) => Ok(Some(error.message)),
        }
    }

    fn manifest_file(&self, id: SnapshotId) -> Result<File> {
        let dir = self.records(id)?;
        dir.ok_or_else(|| self.without_records(id))?
            .file(OsStr::new(manifest::FILE_NAME))
            .map_err(|error| self.io("open", &manifest_path(id), error))
    }

    fn without_records(&self, id: SnapshotId) -> Error {
        let path = self.named(&manifest_path(id));
        Error::failed(format!("snapshot {id} has no records: {path} is missing"))
    }
}

fn manifest_path(id: SnapshotId) -> String {
    record_path(id, manifest::FILE_NAME)
}
