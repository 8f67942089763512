//! Making a snapshot's manifest and record anew, where they are damaged and the tree is there.
//!
//! Invariant: nothing in a tree is written. New files are on disk before they are renamed over the
//! damaged ones, the record last, and the damaged ones are kept beside; what a kill left is ended
//! by the next repair.

mod held;
mod model;
mod rest;

use std::{collections::BTreeMap, ffi::OsStr};

use rustix::io::Errno;
use schema::{
    Digest, Tier,
    journal::{Problem, ProblemKind},
    plan::RepairRecords,
    record::{Engine, FORMAT_VERSION, SNAPSHOT_FORMAT_VERSION, SnapshotRecord, SnapshotTotals},
};

use crate::{
    error::{Error, Result},
    event::Context,
    manifest::{self, Segments, segments},
    remove::remove_tree,
    store::{SNAPSHOT_FILE, SNAPSHOTS, Store, read_json, record_path, write_record},
    sys::{Dir, Kind},
    verify::snapshots::{self, FoundSnapshot},
};
use held::Held;

/// New files until they take the damaged ones' place.
const NEW_MANIFEST: &str = "manifest.new";
const NEW_RECORD: &str = "snapshot.json.new";
/// Where the damaged ones are kept.
const OLD_MANIFEST: &str = "manifest.damaged";
const OLD_WHOLE_MANIFEST: &str = "manifest.mtree.zst.damaged";
const OLD_RECORD: &str = "snapshot.json.damaged";

/// What was made anew.
#[derive(Debug, Default)]
pub(crate) struct Rebuilt {
    /// Entries that could not be read.
    pub(crate) problems: Vec<Problem>,
}

/// Makes what is damaged of one snapshot's records anew. What is whole stays as it is.
///
/// # Errors
/// An interruption, a snapshot that is gone, or a destination that cannot be written.
pub(crate) fn rebuild_records(
    store: &Store,
    run_id: &str,
    step: &RepairRecords,
    context: Context<'_>,
) -> Result<Rebuilt> {
    let id = step.id;
    let home = store
        .home_of(id)?
        .ok_or_else(|| Error::failed(format!("snapshot {id} is not there any more")))?;
    let area = store.area(SNAPSHOTS)?;
    let dir = area
        .folder_or_new(OsStr::new(&id.to_string()), 0o700)
        .map_err(|error| store.io("make", &record_path(id, ""), error))?;
    let mut records = Records {
        store,
        step,
        home,
        dir,
        context,
    };
    if let Some(begun) = records.begun()? {
        records.put(&begun)?;
        return Ok(Rebuilt::default());
    }
    let (rebuilt, begun) = records.make(run_id)?;
    if let Some(begun) = begun {
        records.put(&begun)?;
    }
    area.sync()
        .map_err(|error| store.io("sync", SNAPSHOTS, error))?;
    Ok(rebuilt)
}

/// A new record is on disk.
struct Begun {
    /// And a new manifest.
    manifest: bool,
}

struct Records<'a> {
    store: &'a Store,
    step: &'a RepairRecords,
    home: Tier,
    dir: Dir,
    context: Context<'a>,
}

impl Records<'_> {
    fn io(&self, doing: &str, name: &str, error: impl Into<std::io::Error>) -> Error {
        self.store
            .io(doing, &record_path(self.step.id, name), error)
    }

    /// A repair that was interrupted once its new files were on disk.
    fn begun(&self) -> Result<Option<Begun>> {
        let path = self.store.named(&record_path(self.step.id, NEW_RECORD));
        let record: SnapshotRecord = match read_json(&self.dir, NEW_RECORD, &path) {
            Ok(Some(record)) => record,
            // What cannot be read is made once more.
            Ok(None) | Err(_) => return Ok(None),
        };
        if self.whole_segments(NEW_MANIFEST)? == Some(record.manifest_digest) {
            return Ok(Some(Begun { manifest: true }));
        }
        let is_there = self.digest()? == Some(record.manifest_digest);
        Ok(is_there.then_some(Begun { manifest: false }))
    }

    /// The digest of the manifest as it stands there; none where it cannot be read or is damaged.
    fn digest(&self) -> Result<Option<Digest>> {
        let Ok(mut file) = self.dir.file(OsStr::new(manifest::FILE_NAME)) else {
            return self.whole_segments(segments::FOLDER);
        };
        let digest = manifest::digest_of_file(&mut file, self.context.stop);
        self.context.stop.check()?;
        Ok(digest.ok())
    }

    /// The digest of a manifest in segments, if all of them are as its list has them.
    fn whole_segments(&self, folder: &str) -> Result<Option<Digest>> {
        let Ok(found) = Segments::open_named(&self.dir, folder) else {
            return Ok(None);
        };
        for at in 0..found.digests().len() {
            self.context.stop.check()?;
            if found.fault(at).is_some() {
                return Ok(None);
            }
        }
        Ok(Some(found.digest()))
    }

    /// Writes new files beside the damaged ones; none where nothing is damaged.
    fn make(&mut self, run_id: &str) -> Result<(Rebuilt, Option<Begun>)> {
        let (store, id) = (self.store, self.step.id);
        let shown = store.named(&record_path(id, NEW_MANIFEST));
        remove_tree(&self.dir, OsStr::new(NEW_MANIFEST), &shown, self.context)?;
        let sealed = store.record(id).ok().flatten();
        let sealed = sealed.filter(|record| record.id == id);
        let digest = match &sealed {
            Some(record) if store.manifest_fault(record, self.context.stop)?.is_none() => {
                Some(record.manifest_digest)
            }
            Some(_) => None,
            // Without a record what is kept says whether it is the one that was sealed.
            None => self.digest()?.filter(|found| {
                let kept = store.kept_of(id, *found);
                kept.is_none_or(|kept| kept.digest == *found)
            }),
        };
        let counted = match digest {
            Some(digest) => self.count(digest, &|| store.manifest(id))?,
            None => None,
        };
        let new_manifest = counted.is_none();
        if let (Some(record), Some(counted)) = (&sealed, &counted)
            && counted.entries_and_files() == (record.totals.entries, record.totals.files)
        {
            return Ok((Rebuilt::default(), None));
        }
        let neighbours = self.neighbours()?;
        let held = match counted {
            Some(counted) => counted,
            None => self.make_manifest(sealed.as_ref(), &neighbours)?,
        };
        let as_sealed = sealed
            .as_ref()
            .is_some_and(|record| record.manifest_digest == held.digest);
        let now = self.context.clock.now();
        let problems = held.problems.clone();
        let record_is_new = sealed.is_none();
        let mut record = match sealed {
            Some(record) => record,
            None => self.unknown(run_id, &neighbours, &held),
        };
        let before = record.totals;
        record.totals = SnapshotTotals {
            entries: held.totals.entries,
            files: held.totals.files,
            folders: held.totals.folders,
            bytes: held.totals.bytes,
            ..if record_is_new { held.totals } else { before }
        };
        record.totals.errors = before.errors.max(held.totals.errors);
        record.complete &= held.totals.errors == 0;
        record.problems.extend(held.problems);
        record.problems.truncate(1000);
        record.stored_by = held.stored_by;
        record.files_stored_by = held.files_stored_by;
        record.manifest_digest = held.digest;
        if new_manifest || self.is_in_segments() {
            segments::LIST_PATH.clone_into(&mut record.manifest);
            record.format_version = SNAPSHOT_FORMAT_VERSION;
        } else {
            manifest::FILE_NAME.clone_into(&mut record.manifest);
            record.format_version = FORMAT_VERSION;
        }
        if new_manifest && !as_sealed {
            record.manifest_rebuilt_at = Some(now);
        }
        if record_is_new || !new_manifest {
            record.record_rebuilt_at = Some(now);
        }
        let path = store.named(&record_path(id, NEW_RECORD));
        write_record(&self.dir, NEW_RECORD, &path, &record)?;
        let begun = Begun {
            manifest: new_manifest,
        };
        Ok((Rebuilt { problems }, Some(begun)))
    }

    /// Puts the new files in the damaged ones' place, the record last.
    fn put(&self, begun: &Begun) -> Result<()> {
        if begun.manifest {
            self.put_manifest()?;
        }
        // What stands there now is the damaged one, if the new one took its place.
        self.set_aside(NEW_MANIFEST, OLD_MANIFEST)?;
        self.replace(NEW_RECORD, SNAPSHOT_FILE, OLD_RECORD)
    }

    /// Puts the new manifest in the damaged one's place: at no moment there is none, where the file
    /// system can exchange two names.
    fn put_manifest(&self) -> Result<()> {
        let io = |error: Errno| self.io("replace", segments::FOLDER, error);
        let (new, folder) = (OsStr::new(NEW_MANIFEST), OsStr::new(segments::FOLDER));
        match self.dir.exchange(new, &self.dir, folder) {
            Ok(()) => {}
            Err(Errno::NOENT) => self.dir.rename_over(new, folder).map_err(io)?,
            Err(_) => self.replace(NEW_MANIFEST, segments::FOLDER, OLD_MANIFEST)?,
        }
        self.dir.sync().map_err(io)?;
        let whole = manifest::FILE_NAME;
        self.set_aside(whole, OLD_WHOLE_MANIFEST)?;
        match self.dir.remove_file(OsStr::new(whole)) {
            Ok(()) | Err(Errno::NOENT) => self.dir.sync().map_err(io),
            Err(error) => Err(self.io("replace", whole, error)),
        }
    }

    fn is_in_segments(&self) -> bool {
        let whole = self.dir.look(OsStr::new(manifest::FILE_NAME));
        matches!(whole, Ok(None))
    }

    fn replace(&self, new: &str, name: &str, old: &str) -> Result<()> {
        let io = |error: Errno| self.io("replace", name, error);
        self.set_aside(name, old)?;
        self.dir
            .rename_over(OsStr::new(new), OsStr::new(name))
            .and_then(|()| self.dir.sync())
            .map_err(io)
    }

    /// Keeps what is damaged under another name; a file has its own name until it is replaced.
    fn set_aside(&self, name: &str, old: &str) -> Result<()> {
        let io = |error: Errno| self.io("replace", name, error);
        let there = self.dir.look(OsStr::new(name)).map_err(io)?;
        if let Some(there) = there {
            let shown = self.store.named(&record_path(self.step.id, old));
            remove_tree(&self.dir, OsStr::new(old), &shown, self.context)?;
            let linked = there.kind == Kind::File
                && self
                    .dir
                    .link_from(&self.dir, OsStr::new(name), OsStr::new(old))
                    .is_ok();
            if !linked {
                self.dir
                    .rename_new(OsStr::new(name), &self.dir, OsStr::new(old))
                    .map_err(io)?;
            }
        }
        Ok(())
    }

    /// The snapshots whose manifests tell what was sealed, the nearest in time first. Of one in segments
    /// each is held against its list when it is read.
    fn neighbours(&self) -> Result<Vec<FoundSnapshot>> {
        let all = snapshots::all_snapshots(self.store, *self.step.started_at.offset()).all;
        let mut whole = Vec::new();
        for found in all.into_iter().filter(|found| found.id != self.step.id) {
            let Ok(record) = &found.record else {
                continue;
            };
            let serves = match self.store.segments(found.id) {
                Ok(Some(segments)) => {
                    segments.digest() == record.manifest_digest
                        && self.store.changed(record).is_none()
                }
                Ok(None) => {
                    let fault = self.store.manifest_fault(record, self.context.stop)?;
                    fault.is_none()
                }
                Err(_) => false,
            };
            if serves {
                whole.push(found);
            }
        }
        let offset = *self.step.started_at.offset();
        let at = self.step.started_at.to_utc();
        whole.sort_by_key(|found| ((found.started_at(offset) - at).abs(), found.id));
        Ok(whole)
    }

    /// A record for a snapshot of which none is left, with what can still be known.
    fn unknown(&self, run_id: &str, neighbours: &[FoundSnapshot], held: &Held) -> SnapshotRecord {
        let (store, id) = (self.store, self.step.id);
        let at = self.step.started_at;
        let others = || neighbours.iter().filter_map(|one| one.record.as_ref().ok());
        let next = others().find(|other| other.basis == Some(id));
        let before = others().find(|other| other.started_at < at);
        let sequence = match (next, before) {
            (Some(next), _) => next.sequence.saturating_sub(1),
            (None, Some(before)) => before.sequence.saturating_add(1),
            (None, None) => 0,
        };
        SnapshotRecord {
            format_version: SNAPSHOT_FORMAT_VERSION,
            id,
            host: store.path.rsplit('/').next().unwrap_or_default().to_owned(),
            run_id: run_id.to_owned(),
            started_at: at,
            sealed_at: at,
            day: at.date_naive(),
            sequence,
            read: None,
            complete: true,
            suspect: Vec::new(),
            suspect_since: None,
            basis: None,
            line_from: None,
            engine: Engine::Adopted,
            made_by: format!(
                "what made it is not known; recorded anew by backup {}",
                env!("CARGO_PKG_VERSION")
            ),
            sources: held.sources.clone(),
            exclude_patterns: others()
                .next()
                .map(|other| other.exclude_patterns.clone())
                .unwrap_or_default(),
            exclude_caches: others().next().is_some_and(|other| other.exclude_caches),
            exclude_if_present: others()
                .next()
                .map(|other| other.exclude_if_present.clone())
                .unwrap_or_default(),
            totals: held.totals,
            stored_by: BTreeMap::new(),
            files_stored_by: BTreeMap::new(),
            manifest: segments::LIST_PATH.to_owned(),
            manifest_digest: held.digest,
            problems: vec![Problem {
                path: record_path(id, SNAPSHOT_FILE),
                kind: ProblemKind::Metadata,
                message: "this record was made anew: problems of the run that made the snapshot \
                          are not known any more"
                    .to_owned(),
            }],
            manifest_rebuilt_at: None,
            record_rebuilt_at: None,
            gone: None,
            subvolume: store
                .snapshot(self.home, id)
                .is_ok_and(|tree| tree.is_subvolume()),
        }
    }
}
