//! The manifests of a destination's snapshots: opened, and held against what was sealed.

use std::{ffi::OsStr, fs::File, sync::Arc};

use rustix::io::Errno;
use schema::{Digest, FailureCode, SnapshotId, plan::Basis, record::SnapshotRecord};

use super::{Store, record_path};
use crate::{
    error::{Error, Result},
    event::{Context, Stop},
    manifest::{self, Chunks, Reader, SegmentWriter, Segments, segments},
    remove::remove_tree,
    state_dir::KeptDigest,
    sys::{Dir, Kind, Stat},
};

/// Of a manifest that was found damaged, so much may be lost where it still serves as a basis: one
/// segment of so many. What they had is copied anew.
const MOST_LOST: usize = 4;

/// A snapshot's manifest as it is stored.
#[derive(Debug)]
pub(crate) enum StoredManifest {
    /// One file, as older releases wrote it.
    Whole(File),
    Segments(Box<Segments>),
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDamage {
    /// It, in a sentence that names the first file.
    pub because: String,
    /// Nearly all of it is as it was sealed, so a snapshot can be made from it.
    pub serves: bool,
}

impl ManifestDamage {
    /// That nothing can be said of a manifest, because of its snapshot's record.
    #[must_use]
    pub fn of_record(because: String) -> Self {
        Self::all(because)
    }

    /// Of which nothing serves.
    fn all(because: String) -> Self {
        Self {
            because,
            serves: false,
        }
    }

    /// The code of what is wrong, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<FailureCode> {
        self.serves.then_some(FailureCode::ManifestPartlyDamaged)
    }
}

/// What becomes of damaged segments where a manifest is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// What they list is not given.
    PassedOver,
    /// They are an error.
    Told,
}

impl Store {
    /// Opens a snapshot's manifest.
    ///
    /// # Errors
    /// Fails if it is not there or is not a manifest.
    pub fn manifest(&self, id: SnapshotId) -> Result<Reader> {
        let opened = match self.stored_manifest(id)? {
            StoredManifest::Whole(file) => Reader::new(file),
            StoredManifest::Segments(segments) => Reader::of_segments(Arc::new(*segments)),
        };
        opened.map_err(|error| self.manifest_io("read", id, error))
    }

    /// The same, of which damaged segments are passed over: what they list is not given.
    ///
    /// # Errors
    /// As [`Self::manifest`].
    pub fn rest_of_manifest(&self, id: SnapshotId) -> Result<Reader> {
        let opened = match self.stored_manifest(id)? {
            StoredManifest::Whole(file) => Reader::new(file),
            StoredManifest::Segments(segments) => Reader::of_whole_segments(Arc::new(*segments)),
        };
        opened.map_err(|error| self.manifest_io("read", id, error))
    }

    /// Opens the manifest of a snapshot's basis, read together with those of others that files are
    /// linked to. Of these, what cannot be opened is done without, and so are damaged segments.
    ///
    /// # Errors
    /// As [`Self::manifest`], for the basis.
    pub fn manifests(&self, basis: SnapshotId, also: &[Basis]) -> Result<Reader> {
        Ok(self
            .manifests_with_segments(basis, also, Damaged::PassedOver)?
            .0)
    }

    /// As [`Self::manifests`], with the segments of the basis where its manifest is in segments, of which
    /// damaged ones can be an error.
    ///
    /// # Errors
    /// As [`Self::manifest`], for the basis.
    pub(crate) fn manifests_with_segments(
        &self,
        basis: SnapshotId,
        also: &[Basis],
        damaged: Damaged,
    ) -> Result<(Reader, Option<Arc<Segments>>)> {
        let others = also.iter().filter_map(|other| self.manifest(other.id).ok());
        // Entries are told apart by their place in the list, so either all are read or none.
        let others: Vec<Reader> = others.collect();
        let (opened, segments) = match self.stored_manifest(basis)? {
            StoredManifest::Whole(file) => (Reader::new(file), None),
            StoredManifest::Segments(segments) => {
                let segments = Arc::new(segments.kept());
                let of_segments = match damaged {
                    Damaged::PassedOver => Reader::of_whole_segments,
                    Damaged::Told => Reader::of_segments,
                };
                (of_segments(Arc::clone(&segments)), Some(segments))
            }
        };
        let reader = opened.map_err(|error| self.manifest_io("read", basis, error))?;
        let reader = match others.len() == also.len() {
            true => reader.with(others),
            false => reader,
        };
        Ok((reader, segments))
    }

    /// Begins a snapshot's manifest in the folder of its records; what an interrupted run left there is
    /// removed. `basis` is the manifest that it is likely to share segments with; `one_by_one` as in
    /// [`SegmentWriter::new`].
    ///
    /// # Errors
    /// Fails if the folder cannot be written, or on an interruption.
    pub(crate) fn begin_manifest(
        &self,
        records: &Dir,
        id: SnapshotId,
        basis: Option<Arc<Segments>>,
        one_by_one: bool,
        context: Context<'_>,
    ) -> Result<SegmentWriter> {
        for name in [manifest::FILE_NAME, segments::FOLDER] {
            let named = self.named(&record_path(id, name));
            remove_tree(records, OsStr::new(name), &named, context)?;
        }
        SegmentWriter::new(
            records,
            segments::FOLDER,
            basis,
            context.threads,
            one_by_one,
        )
        .map_err(|error| self.io("write", &record_path(id, segments::FOLDER), error))
    }

    /// Opens a snapshot's manifest to be read as text.
    ///
    /// # Errors
    /// Fails if it is not there or is not a manifest.
    pub fn manifest_text(&self, id: SnapshotId) -> Result<Chunks> {
        let opened = match self.stored_manifest(id)? {
            StoredManifest::Whole(file) => Chunks::new(file),
            StoredManifest::Segments(segments) => Chunks::of_segments(Arc::new(*segments)),
        };
        opened.map_err(|error| self.manifest_io("read", id, error))
    }

    /// Whether a snapshot's manifest is there and a file with something in it; its content is not
    /// looked at.
    ///
    /// # Errors
    /// What is wrong, in a sentence that names the file.
    pub fn manifest_present(&self, id: SnapshotId) -> std::result::Result<(), String> {
        let records = self
            .records_of_manifest(id)
            .map_err(|error| error.message)?;
        self.manifest_found_in(&records, id).map(|_| ())
    }

    /// The same, where the folder of its records is open; with its file's path in that and what the kernel
    /// says of it.
    pub(super) fn manifest_found_in(
        &self,
        records: &Dir,
        id: SnapshotId,
    ) -> std::result::Result<(&'static str, Stat), String> {
        let (file, name) = self
            .manifest_file(records, id)
            .map_err(|error| error.message)?;
        let path = self.named(&record_path(id, name));
        match Stat::of_fd(&file) {
            Ok(stat) if stat.kind != Kind::File => Err(format!("{path} is not a file")),
            Ok(stat) if stat.size == 0 => Err(format!("{path} is empty")),
            Ok(stat) => Ok((name, stat)),
            Err(error) => Err(self.io("look at", &record_path(id, name), error).message),
        }
    }

    /// What the kernel says of a snapshot's manifest, or of the list of its segments; `None` where it
    /// cannot be looked at.
    #[must_use]
    pub fn manifest_stat(&self, id: SnapshotId) -> Option<Stat> {
        let records = self.records(id).ok()??;
        if let Some(stat) = records.look(OsStr::new(manifest::FILE_NAME)).ok()? {
            return Some(stat);
        }
        let folder = records.folder(OsStr::new(segments::FOLDER)).ok()?;
        folder.look(OsStr::new(segments::LIST)).ok()?
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
        let damage = self.manifest_damage(record, stop)?;
        Ok(damage.map(|damage| damage.because))
    }

    /// As [`Self::manifest_fault`], with how far the rest serves.
    ///
    /// # Errors
    /// As [`Self::manifest_fault`].
    pub fn manifest_damage(
        &self,
        record: &SnapshotRecord,
        stop: &Stop,
    ) -> Result<Option<ManifestDamage>> {
        let id = record.id;
        let opened = match self.stored_manifest(id) {
            // What has a list of segments in it is there.
            Ok(StoredManifest::Segments(segments)) => {
                return self.damage_of_segments(record, &segments, stop);
            }
            Ok(StoredManifest::Whole(file)) => Ok(file),
            Err(error) => Err(error),
        };
        if let Err(fault) = self.manifest_present(id) {
            return Ok(Some(ManifestDamage::all(fault)));
        }
        if let Some(changed) = self.changed(record) {
            return Ok(Some(ManifestDamage::all(changed)));
        }
        let found = opened.and_then(|mut file| {
            let digest = manifest::digest_of_file(&mut file, stop);
            digest.map_err(|error| self.manifest_io("read", id, error))
        });
        stop.check()?;
        Ok(match found {
            Ok(found) if found == record.manifest_digest => None,
            Ok(_) => Some(self.not_sealed(id)),
            Err(error) => Some(ManifestDamage::all(error.message)),
        })
    }

    /// As [`Self::manifest_fault`] of a manifest whose segments are open.
    ///
    /// # Errors
    /// As [`Self::manifest_fault`].
    pub(crate) fn segments_fault(
        &self,
        record: &SnapshotRecord,
        segments: &Segments,
        stop: &Stop,
    ) -> Result<Option<String>> {
        let damage = self.damage_of_segments(record, segments, stop)?;
        Ok(damage.map(|damage| damage.because))
    }

    fn damage_of_segments(
        &self,
        record: &SnapshotRecord,
        segments: &Segments,
        stop: &Stop,
    ) -> Result<Option<ManifestDamage>> {
        if let Some(changed) = self.changed(record) {
            return Ok(Some(ManifestDamage::all(changed)));
        }
        if segments.digest() != record.manifest_digest {
            return Ok(Some(self.not_sealed(record.id)));
        }
        self.segments_damage(record.id, segments, stop)
    }

    fn not_sealed(&self, id: SnapshotId) -> ManifestDamage {
        let path = self.named(&record_path(id, self.manifest_name(id)));
        ManifestDamage::all(format!("{path} is not the manifest that was sealed"))
    }

    /// What is wrong with segments whose list is the one that was sealed.
    fn segments_damage(
        &self,
        id: SnapshotId,
        segments: &Segments,
        stop: &Stop,
    ) -> Result<Option<ManifestDamage>> {
        let faults = segments.faults(&|| stop.check())?;
        let lost = faults.len();
        Ok(faults.first().map(|(_, first)| ManifestDamage {
            because: segments::describe_lost(
                &self.named(&record_path(id, segments::FOLDER)),
                lost,
                first,
            ),
            serves: lost * MOST_LOST <= segments.digests().len(),
        }))
    }

    /// The segments of a snapshot's manifest; none of one that is one file.
    ///
    /// # Errors
    /// As [`Self::manifest`].
    pub fn segments(&self, id: SnapshotId) -> Result<Option<Segments>> {
        Ok(match self.stored_manifest(id)? {
            StoredManifest::Whole(_) => None,
            StoredManifest::Segments(segments) => Some(*segments),
        })
    }

    /// A snapshot's manifest as it is stored. A file beside segments is what an older release made anew
    /// of them.
    ///
    /// # Errors
    /// Fails if there is neither, or it cannot be opened.
    pub(crate) fn stored_manifest(&self, id: SnapshotId) -> Result<StoredManifest> {
        let records = self.records_of_manifest(id)?;
        match records.file(OsStr::new(manifest::FILE_NAME)) {
            Ok(file) => return Ok(StoredManifest::Whole(file)),
            Err(Errno::NOENT) => {}
            Err(error) => {
                return Err(self.io("open", &record_path(id, manifest::FILE_NAME), error));
            }
        }
        let opened = Segments::open(&records);
        opened
            .map(|segments| StoredManifest::Segments(Box::new(segments)))
            .map_err(|error| self.manifest_io("open", id, error))
    }

    fn records_of_manifest(&self, id: SnapshotId) -> Result<Dir> {
        self.records(id)?.ok_or_else(|| {
            let path = self.named(&record_path(id, self.manifest_name(id)));
            Error::failed(format!("snapshot {id} has no records: {path} is missing"))
        })
    }

    /// The file of a manifest, or the list of its segments, with its name in the records.
    fn manifest_file(&self, records: &Dir, id: SnapshotId) -> Result<(File, &'static str)> {
        let list = records
            .folder(OsStr::new(segments::FOLDER))
            .and_then(|folder| folder.file(OsStr::new(segments::LIST)));
        let error = match list {
            Ok(file) => return Ok((file, segments::LIST_PATH)),
            Err(error) => error,
        };
        match records.file(OsStr::new(manifest::FILE_NAME)) {
            Ok(file) => Ok((file, manifest::FILE_NAME)),
            Err(Errno::NOENT) => Err(self.manifest_io("open", id, error)),
            Err(error) => Err(self.io("open", &record_path(id, manifest::FILE_NAME), error)),
        }
    }

    /// The manifest's name for messages: what the record says, for it may be what is missing.
    pub(crate) fn manifest_name(&self, id: SnapshotId) -> &'static str {
        match self.record(id) {
            Ok(Some(record)) if record.manifest == manifest::FILE_NAME => manifest::FILE_NAME,
            _ => segments::LIST_PATH,
        }
    }

    /// The system's reason for a failure at a snapshot's manifest.
    pub(crate) fn manifest_io(
        &self,
        doing: &str,
        id: SnapshotId,
        error: impl Into<std::io::Error>,
    ) -> Error {
        self.io(doing, &record_path(id, self.manifest_name(id)), error)
    }
}
