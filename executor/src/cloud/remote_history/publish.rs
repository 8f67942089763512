//! Manifest and record of an upload whose objects are all there: the manifest first, and the record last of
//! all, so that a record that is listed is never without its manifest.

use std::{collections::BTreeMap, ffi::OsStr};

use schema::{
    Digest, SnapshotId,
    journal::{Problem, ProblemKind},
    record::{FORMAT_VERSION as RECORD_VERSION, SnapshotMarks, SnapshotRecord},
    remote_history::{FORMAT_VERSION, MANIFESTS, RemoteRecord, SameSnapshot},
};

use super::{HistoryRemote, KnownHistory, claim::made_by, layout};
use crate::{
    cloud::carried::CARRIED,
    error::{Error, ErrorKind, Result},
    manifest::{FILE_NAME, Reader, Writer, digest_of_file},
    remove::remove_tree,
    store::write_record,
    sys::Kind,
};

/// Problems that are listed one by one.
const LISTED: usize = 1000;

/// What is written of a snapshot.
pub(super) struct Publication<'a> {
    /// Its record on the disk, under the name that it gets on the remote.
    pub(super) record: SnapshotRecord,
    pub(super) sealed_digest: Option<Digest>,
    /// Digest of the manifest as it travels.
    pub(super) carried: Digest,
    /// Snapshots since the last upload that were the same as that.
    pub(super) same: Vec<SameSnapshot>,
    /// Contents that are not there, and why.
    pub(super) left_out: &'a BTreeMap<Digest, String>,
    pub(super) marks: &'a SnapshotMarks,
}

impl HistoryRemote<'_> {
    /// The manifest that travels, from its start.
    pub(super) fn carried(&self) -> Result<Reader> {
        let file = self.cache.file(CARRIED)?;
        Reader::new(file).map_err(|error| self.io("read", CARRIED, error))
    }

    /// Writes manifest, record and marks, and keeps them here.
    pub(super) fn publish(
        &self,
        known: &KnownHistory,
        what: Publication<'_>,
    ) -> Result<RemoteRecord> {
        const NEW: &str = "record.new";
        let mut snapshot = SnapshotRecord {
            format_version: RECORD_VERSION,
            manifest: FILE_NAME.to_owned(),
            manifest_digest: what.carried,
            ..what.record
        };
        snapshot.forget_shares();
        let not_uploaded = match what.left_out.is_empty() {
            true => Vec::new(),
            false => self.leave_out(&mut snapshot, what.left_out)?,
        };
        let stat = self.cache.dir().stat(OsStr::new(CARRIED));
        let record = RemoteRecord {
            format_version: FORMAT_VERSION,
            manifest_bytes: stat
                .map_err(|error| self.io("look at", CARRIED, error))?
                .size,
            sealed_digest: what.sealed_digest,
            uploaded_at: self.rclone.context.clock.now(),
            made_by: made_by(),
            same: what.same,
            not_uploaded,
            snapshot,
        };
        let id = record.snapshot.id;
        self.put_manifest(&record)?;
        write_record(self.cache.dir(), NEW, &self.cache.named(NEW), &record)?;
        let name = layout::record_file(id);
        self.write_to_records(NEW, &name)?;
        self.keep_published(&record, &name, NEW)?;
        let mut now = known.clone();
        now.records.insert(id, record.clone());
        self.mark(&now, id, what.marks)?;
        Ok(record)
    }

    fn put_manifest(&self, record: &RemoteRecord) -> Result<()> {
        const ASKED: &str = "asked";
        let name = layout::manifest_file(record.snapshot.id);
        let (from, to) = (
            self.cache.named(CARRIED),
            format!("{}/{name}", self.at(MANIFESTS)),
        );
        let Err(error) = self.must_write(&["copyto", &from, &to, "--no-check-dest"], &to) else {
            return Ok(());
        };
        if error.kind != ErrorKind::Failed {
            return Err(error);
        }
        // One that may not overwrite refuses what an interrupted upload has put there already.
        let dir = self.cache.empty_area(ASKED, self.rclone.context)?;
        let names = [name];
        let asked = self.bring(MANIFESTS, &names, ASKED);
        let file = dir.file(OsStr::new(&names[0]));
        let digest = file.map(|mut file| digest_of_file(&mut file, self.rclone.context.stop));
        remove_tree(
            self.cache.dir(),
            OsStr::new(ASKED),
            &self.cache.named(ASKED),
            self.rclone.context,
        )?;
        match (asked, digest) {
            (Ok(()), Ok(Ok(digest))) if digest == record.snapshot.manifest_digest => Ok(()),
            _ => Err(error),
        }
    }

    fn keep_published(&self, record: &RemoteRecord, name: &str, body: &str) -> Result<()> {
        self.keep_body(name, body)?;
        if !self.take_manifest(record, self.cache.dir(), CARRIED)? {
            return Err(Error::failed(format!(
                "{} changed while it was uploaded",
                self.cache.named(CARRIED)
            )));
        }
        self.make_snapshot(record, &SnapshotMarks::default())
    }

    /// Takes entries out of the manifest whose content is not there: whatever a manifest with a record
    /// lists can be had.
    fn leave_out(
        &self,
        snapshot: &mut SnapshotRecord,
        left_out: &BTreeMap<Digest, String>,
    ) -> Result<Vec<Problem>> {
        const NEW: &str = "carried.new";
        let io = |error: std::io::Error| self.io("write", NEW, error);
        let mut writer = Writer::new(self.cache.new_file(NEW)?).map_err(io)?;
        let mut problems = Vec::new();
        for entry in self.carried()? {
            self.rclone.context.stop.check()?;
            let entry = entry.map_err(|error| self.io("read", CARRIED, error))?;
            let because = entry
                .digest
                .as_ref()
                .and_then(|digest| left_out.get(digest));
            let Some(because) = because.filter(|_| entry.kind == Kind::File) else {
                writer.write(&entry).map_err(io)?;
                continue;
            };
            let totals = &mut snapshot.totals;
            totals.entries = totals.entries.saturating_sub(1);
            totals.files = totals.files.saturating_sub(1);
            totals.bytes = totals.bytes.saturating_sub(entry.size);
            totals.errors += 1;
            if problems.len() < LISTED {
                problems.push(Problem {
                    path: entry.path.shown(),
                    kind: ProblemKind::NotStored,
                    message: format!("not uploaded: {because}"),
                });
            }
        }
        snapshot.manifest_digest = writer.finish().map_err(io)?;
        self.cache.replace(OsStr::new(NEW), OsStr::new(CARRIED))?;
        snapshot.complete = false;
        Ok(problems)
    }
}

/// Whether a name is taken there, by what was let go as well.
pub(super) fn is_taken(known: &KnownHistory, id: SnapshotId) -> bool {
    known.listing.records.contains_key(&id) || known.listing.expired.contains(&id)
}
