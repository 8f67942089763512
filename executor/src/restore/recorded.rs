//! What stands beside a snapshot that is restored from: read once, however often it is asked for.
//!
//! The destination may be far away, and a restore asks in many places. What was once read and held against
//! what was sealed is also what all of a restore goes by: nobody can give it another manifest in its middle.

use std::{
    ffi::OsStr,
    sync::{Arc, OnceLock},
};

use schema::{SnapshotId, record::SnapshotRecord};

use crate::{
    error::Result,
    event::Stop,
    manifest::{self, Reader, Segments, segments},
    names::StoredNames,
    store::{Store, StoredManifest},
};

/// A snapshot of a destination with what stands beside it.
#[derive(Debug)]
pub struct RecordedSnapshot<'a> {
    pub(super) store: &'a Store,
    /// None of one that others made.
    pub(super) id: Option<SnapshotId>,
    record: OnceLock<Option<SnapshotRecord>>,
    /// Its manifest, once it was opened; one that is a single file is opened each time.
    segments: OnceLock<Arc<Segments>>,
}

impl<'a> RecordedSnapshot<'a> {
    /// A snapshot of which nothing was read yet.
    #[must_use]
    pub fn new(store: &'a Store, id: Option<SnapshotId>) -> Self {
        Self {
            store,
            id,
            record: OnceLock::new(),
            segments: OnceLock::new(),
        }
    }

    /// Its record; none where there is none that can be read.
    pub(super) fn record(&self) -> Option<&SnapshotRecord> {
        let read = || self.store.record(self.id?).ok().flatten();
        self.record.get_or_init(read).as_ref()
    }

    /// Its manifest; none for a snapshot without records or whose manifest is lost.
    ///
    /// # Errors
    /// Fails if it cannot be found out whether there is one.
    pub(super) fn manifest(&self) -> Result<Option<Reader>> {
        if let Some(segments) = self.segments.get() {
            return Ok(Reader::of_segments(Arc::clone(segments)).ok());
        }
        let (Some(id), store) = (self.id, self.store) else {
            return Ok(None);
        };
        let Some(records) = store.records(id)? else {
            return Ok(None);
        };
        let look = |name: &str| {
            let there = records.look(OsStr::new(name));
            there.map_err(|error| store.io("look at", name, error))
        };
        if look(segments::FOLDER)?.is_none() && look(manifest::FILE_NAME)?.is_none() {
            return Ok(None);
        }
        // A damaged one must not keep people from their files: the tree has metadata, too.
        Ok(match store.stored_manifest(id) {
            Ok(StoredManifest::Whole(file)) => Reader::new(file).ok(),
            Ok(StoredManifest::Segments(opened)) => {
                Reader::of_segments(Arc::clone(self.keep(*opened))).ok()
            }
            Err(_) => None,
        })
    }

    fn keep(&self, opened: Segments) -> &Arc<Segments> {
        let kept = || Arc::new(opened.remembered());
        self.segments.get_or_init(kept)
    }

    /// Whether its manifest is not the one that was sealed, in words.
    ///
    /// # Errors
    /// An interruption.
    pub(super) fn manifest_fault(
        &self,
        record: &SnapshotRecord,
        stop: &Stop,
    ) -> Result<Option<String>> {
        let store = self.store;
        if self.segments.get().is_none()
            && let Ok(StoredManifest::Segments(opened)) = store.stored_manifest(record.id)
        {
            self.keep(*opened);
        }
        match self.segments.get() {
            Some(segments) => store.segments_fault(record, segments, stop),
            None => store.manifest_fault(record, stop),
        }
    }

    /// Why there are records and their manifest cannot be read, if so.
    pub(super) fn why_unreadable(&self) -> Option<String> {
        let (id, store) = (self.id?, self.store);
        let error = match self.segments.get() {
            Some(segments) => {
                let error = Reader::of_segments(Arc::clone(segments)).err()?;
                store.manifest_io("read", id, error)
            }
            None => {
                store.records(id).ok()??;
                store.manifest(id).err()?
            }
        };
        Some(error.message)
    }

    /// The names that stand for others in it.
    ///
    /// # Errors
    /// As [`Self::manifest`].
    pub(super) fn names(&self) -> Result<StoredNames> {
        // Nearly every snapshot has none, and its record says so.
        if self.id.is_none()
            || self
                .record()
                .is_some_and(|record| record.totals.renamed == 0)
        {
            return Ok(StoredNames::default());
        }
        let names = self.manifest()?;
        let names = names.map(|manifest| StoredNames::read(manifest).unwrap_or_default());
        Ok(names.unwrap_or_default())
    }
}
