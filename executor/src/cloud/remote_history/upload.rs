//! One upload: look, put the objects that are missing, look again, publish.
//!
//! Invariant: a snapshot whose record is listed is there as a whole. An upload relies on objects of listed
//! records and on what it noted that it put itself, and asks once more, after the last object and before the
//! record, whether those records are still there.

use std::{collections::HashSet, ffi::OsStr};

use chrono::TimeDelta;
use schema::{
    Digest, SnapshotId, amount,
    journal::{Outcome, Status},
    record::{SnapshotMarks, SnapshotRecord},
    remote_history::{HistoryMemory, HistoryUpload, RemoteRecord, SameSnapshot},
};

use super::{
    HistoryRemote, KnownHistory,
    index::{contents, passes},
    layout::object_of,
    publish::{Publication, is_taken},
    put::Putting,
};
use crate::{
    cloud::{carried, roots::Roots},
    error::{Error, Result},
    manifest::Reader,
    sys::Dir,
};

/// How often it is begun anew because others let go of what it relied on.
const ROUNDS: u32 = 3;
/// How long what was put counts where others may take objects away: a day less than their intent to keep off.
const PUT_HOLDS: TimeDelta = TimeDelta::days(6);
/// Times of uploads that are remembered.
const RUNS: usize = 10;

/// What is uploaded.
pub struct HistorySource<'a> {
    /// The folder that holds the files, by its absolute path.
    pub folder: &'a str,
    /// The same folder, open.
    pub tree: &'a Dir,
    /// The record.
    pub record: &'a SnapshotRecord,
    /// The manifest.
    pub manifest: Reader,
    /// Where the files are, if they can change meanwhile.
    pub live: Option<&'a Roots>,
    /// What was said of it since it was sealed.
    pub marks: &'a SnapshotMarks,
}

/// Where the files of an upload are.
#[derive(Clone, Copy)]
pub(super) struct SourceTree<'a> {
    pub(super) folder: &'a str,
    pub(super) tree: &'a Dir,
    pub(super) live: Option<&'a Roots>,
}

/// What an upload may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Files of its own may be removed that are needed no more. Objects, manifests and records never are.
    pub may_delete: bool,
}

/// How an upload ended.
#[derive(Debug, Clone)]
pub struct UploadedHistory {
    /// For the report.
    pub outcome: Outcome,
    /// The snapshot on the remote that has what was to be uploaded.
    pub id: SnapshotId,
    /// Whether that was written by this upload.
    pub is_new: bool,
    /// Objects that were put.
    pub objects: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
}

/// What there is of a snapshot before it is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    New,
    /// It itself.
    There(SnapshotId),
    /// One that is the same.
    Same(SnapshotId),
}

impl HistoryRemote<'_> {
    /// Uploads a snapshot.
    ///
    /// # Errors
    /// An interruption; refused where the copies are another machine's; or a failure, after which the next
    /// upload goes on.
    pub fn upload(
        &self,
        source: HistorySource<'_>,
        options: HistoryOptions,
    ) -> Result<UploadedHistory> {
        let known = self.refresh()?;
        self.claim(&known.listing)?;
        self.give_way(&known.listing)?;
        let memory = self.memory();
        let mut record = source.record.clone();
        if source.live.is_some() {
            // What an attempt before found is not what is there now: it keeps its own name.
            record.id = record.id.first_free(|id| is_taken(&known, id));
        }
        let sealed_digest = source.live.is_none().then_some(record.manifest_digest);
        let damaged: HashSet<Digest> = self
            .cache
            .damaged()
            .iter()
            .filter_map(|name| object_of(name))
            .collect();
        let standing = standing_of(&known, &record, sealed_digest);
        if standing != Standing::New && damaged.is_empty() {
            return self.nothing_to_do(standing, &record, &known, memory);
        }
        let manifest = source.manifest;
        let carried = carried::write_carried_manifest(
            self.cache,
            source.tree,
            manifest,
            self.rclone.context,
        )?;
        let newest = known.newest().map(|newest| &newest.snapshot);
        let standing = match newest {
            Some(newest) if standing == Standing::New && newest.manifest_digest == carried => {
                Standing::Same(newest.id)
            }
            _ => standing,
        };
        if standing == Standing::New {
            self.refuse_taken(&known, record.id)?;
        } else if damaged.is_empty() {
            return self.nothing_to_do(standing, &record, &known, memory);
        }
        let work = Work {
            remote: *self,
            tree: SourceTree {
                folder: source.folder,
                tree: source.tree,
                live: source.live,
            },
            files: record.totals.files,
            record,
            sealed_digest,
            carried,
            marks: source.marks,
            standing,
            options,
            memory,
            damaged,
            known,
        };
        work.carry_out()
    }

    /// Refuses to write over another snapshot of this name; over one that is damaged there it is written.
    fn refuse_taken(&self, known: &KnownHistory, id: SnapshotId) -> Result<()> {
        if known.damaged.contains(&id) || !is_taken(known, id) {
            return Ok(());
        }
        Err(Error::refused(format!(
            "another snapshot of the name {id} is or was on {}, and nothing is written over it",
            self.remote
        ))
        .hint("the next snapshot is uploaded under its own name"))
    }

    /// All is there already: nothing is written, and nothing more is asked.
    fn nothing_to_do(
        &self,
        standing: Standing,
        record: &SnapshotRecord,
        known: &KnownHistory,
        mut memory: HistoryMemory,
    ) -> Result<UploadedHistory> {
        let (id, message) = match standing {
            Standing::Same(like) => {
                let same = SameSnapshot {
                    id: record.id,
                    started_at: record.started_at,
                    day: record.day,
                    like,
                };
                if !memory.same.contains(&same) {
                    memory.same.push(same);
                }
                (
                    like,
                    format!(
                        "{} has nothing that {like} at {} does not have",
                        record.id, self.remote
                    ),
                )
            }
            Standing::There(id) => (id, format!("{id} is at {} already", self.remote)),
            Standing::New => (record.id, String::new()),
        };
        let mut outcome = Outcome::success(message);
        self.end(known, &mut memory, &mut outcome)?;
        Ok(UploadedHistory {
            outcome,
            id,
            is_new: false,
            objects: 0,
            bytes: 0,
        })
    }

    /// Remembers what is there, and tells of what is not there any more.
    fn end(
        &self,
        known: &KnownHistory,
        memory: &mut HistoryMemory,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let is_gone = |id: &&SnapshotId| !is_taken(known, **id);
        let vanished: Vec<SnapshotId> = memory.known.iter().filter(is_gone).copied().collect();
        if let Some(newest) = vanished.iter().max() {
            let count = amount::plural(
                vanished.len() as u64,
                "earlier snapshot",
                "earlier snapshots",
            );
            add_incomplete(
                outcome,
                &format!("{count} (the newest was {newest}) can not be found there any more"),
                "see whether somebody emptied the remote, and whether remote, remotePath and the password \
                 of a crypt remote are those of before; it is told once",
            );
        }
        if let Some(newest) = known.damaged.iter().max() {
            let count = amount::plural(known.damaged.len() as u64, "snapshot", "snapshots");
            add_incomplete(
                outcome,
                &format!("record or manifest of {count} there is damaged (the newest is {newest})"),
                "such a snapshot cannot be restored from there; look at it with `backup verify`",
            );
        }
        memory.known = known
            .records
            .keys()
            .chain(&known.damaged)
            .copied()
            .collect();
        memory.known.sort_unstable();
        memory.runs.push(self.rclone.context.clock.now());
        let many = memory.runs.len().saturating_sub(RUNS);
        memory.runs.drain(..many);
        self.remember(memory)
    }
}

/// Whether a snapshot, or one that is the same, is there.
fn standing_of(known: &KnownHistory, record: &SnapshotRecord, sealed: Option<Digest>) -> Standing {
    let is_same = |there: &&RemoteRecord| sealed.is_some() && there.sealed_digest == sealed;
    if known.records.get(&record.id).filter(is_same).is_some() {
        return Standing::There(record.id);
    }
    match known.newest().filter(is_same) {
        // One that lacks what could not be put is not the same.
        Some(newest) if newest.not_uploaded.is_empty() => Standing::Same(newest.snapshot.id),
        _ => Standing::New,
    }
}

/// An upload that is under way.
struct Work<'a> {
    remote: HistoryRemote<'a>,
    tree: SourceTree<'a>,
    files: u64,
    record: SnapshotRecord,
    sealed_digest: Option<Digest>,
    carried: Digest,
    marks: &'a SnapshotMarks,
    standing: Standing,
    options: HistoryOptions,
    memory: HistoryMemory,
    damaged: HashSet<Digest>,
    known: KnownHistory,
}

impl Work<'_> {
    fn carry_out(mut self) -> Result<UploadedHistory> {
        let mut putting = Putting {
            remote: self.remote,
            source: self.tree,
            list: self.remote.go_on_putting()?,
            put: 0,
            bytes: 0,
            left_out: std::collections::BTreeMap::new(),
            damaged: std::mem::take(&mut self.damaged),
        };
        let mut rounds = 0;
        while !self.round(&mut putting)? {
            rounds += 1;
            if rounds == ROUNDS {
                return Err(Error::failed(format!(
                    "cloud copy failed: snapshots on {} are taken away while this one is uploaded",
                    self.remote.remote
                ))
                .hint("the next run goes on; let one machine at a time take snapshots away"));
            }
        }
        let Putting {
            put,
            bytes,
            left_out,
            damaged,
            ..
        } = putting;
        self.settle_damage(&damaged)?;
        let (id, problems) = match self.standing {
            Standing::There(id) | Standing::Same(id) => (id, Vec::new()),
            Standing::New => {
                let what = Publication {
                    record: self.record.clone(),
                    sealed_digest: self.sealed_digest,
                    carried: self.carried,
                    same: std::mem::take(&mut self.memory.same),
                    left_out: &left_out,
                    marks: self.marks,
                };
                let record = self.remote.publish(&self.known, what)?;
                let id = record.snapshot.id;
                self.memory.last = Some(HistoryUpload {
                    id,
                    at: record.uploaded_at,
                    manifest_digest: record.snapshot.manifest_digest,
                    sealed_digest: record.sealed_digest,
                    objects: put,
                    bytes,
                    files: record.snapshot.totals.files,
                });
                let problems = record.not_uploaded.clone();
                self.known.damaged.retain(|damaged| *damaged != id);
                self.known.records.insert(id, record);
                self.known.listing.records.insert(id, 0);
                (id, problems)
            }
        };
        let is_new = self.standing == Standing::New;
        if is_new {
            self.forget_progress()?;
        }
        let mut outcome = self.outcome(id, put, bytes, damaged.len() as u64);
        if !left_out.is_empty() {
            let count = amount::plural(left_out.len() as u64, "content is", "contents are");
            add_incomplete(
                &mut outcome,
                &format!("{count} not uploaded, and the files that have it are left out"),
                "see the listed paths; the next snapshot brings them, if the remote takes them then",
            );
        }
        outcome.problems = problems;
        self.remote
            .end(&self.known, &mut self.memory, &mut outcome)?;
        Ok(UploadedHistory {
            outcome,
            id,
            is_new,
            objects: put,
            bytes,
        })
    }

    /// Puts what is missing and looks again; whether all that this relied on is still there.
    fn round(&mut self, putting: &mut Putting<'_>) -> Result<bool> {
        let may_vanish = !self.known.listing.expired.is_empty();
        if may_vanish && !self.counts_put() {
            self.remote.forget_put()?;
            putting.list = self.remote.go_on_putting()?;
        }
        putting.left_out.clear();
        let mut index = self.remote.object_index(&self.known.records)?;
        let put = self.remote.read_put()?;
        let mut is_begun = false;
        for part in passes(self.files) {
            let stop = self.remote.rclone.context.stop;
            let mut missing = contents(self.remote.carried()?, &part, &mut || stop.check())?;
            let mut unread = None;
            missing.retain(|(digest, _)| {
                let is_there = index.has(*digest).unwrap_or_else(|error| {
                    unread = Some(error);
                    false
                });
                let is_there = (is_there && !putting.damaged.contains(digest))
                    || put.binary_search(digest).is_ok();
                !is_there
            });
            if let Some(error) = unread {
                return Err(self.remote.io("read", "objects.idx", error));
            }
            if missing.is_empty() {
                continue;
            }
            if !is_begun {
                self.begin(may_vanish)?;
                is_begun = true;
            }
            let missing: Vec<Digest> = missing.into_iter().map(|(digest, _)| digest).collect();
            putting.put_missing(&missing, self.remote.carried()?)?;
        }
        if self.standing != Standing::New {
            return Ok(true);
        }
        let now = self.remote.refresh()?;
        self.remote.give_way(&now.listing)?;
        self.remote.refuse_taken(&now, self.record.id)?;
        let relied_on = self
            .known
            .records
            .keys()
            .all(|id| now.records.contains_key(id));
        let expired = &self.known.listing.expired;
        let holds = relied_on && now.listing.expired.is_subset(expired);
        self.known = now;
        Ok(holds)
    }

    /// Whether what was put before still counts where others take objects away: they keep off while this
    /// machine's intent stands there.
    fn counts_put(&self) -> bool {
        let now = self.remote.rclone.context.clock.now();
        let is_recent = self
            .memory
            .putting
            .is_some_and(|since| (now - since).abs() < PUT_HOLDS);
        is_recent
            && self
                .remote
                .own_intents(&self.known.listing)
                .next()
                .is_some()
    }

    /// Says here, and there where others may take objects away, that objects are being put.
    fn begin(&mut self, may_vanish: bool) -> Result<()> {
        self.memory.putting = Some(self.remote.rclone.context.clock.now());
        self.remote.remember(&self.memory)?;
        if may_vanish {
            self.remote.write_intent(&self.known.listing)?;
        }
        Ok(())
    }

    /// What was put is in a manifest with a record now.
    fn forget_progress(&mut self) -> Result<()> {
        self.memory.putting = None;
        self.remote.forget_put()?;
        if !self.options.may_delete {
            return Ok(());
        }
        // The last look had this upload's own among them.
        let numbers: Vec<u64> = self.remote.own_intents(&self.known.listing).collect();
        self.remote.remove_intents(&numbers)
    }

    /// Remembers what is still damaged there.
    fn settle_damage(&self, still: &HashSet<Digest>) -> Result<()> {
        let cache = self.remote.cache;
        let mut names = cache.damaged();
        let before = names.len();
        names.retain(|name| object_of(name).is_some_and(|digest| still.contains(&digest)));
        if names.len() == before {
            return Ok(());
        }
        if names.is_empty() {
            let removed = cache.dir().remove_file(OsStr::new("damaged.list"));
            return removed.map_err(|error| self.remote.io("remove", "damaged.list", error));
        }
        cache.remember_damaged(&names)
    }

    fn outcome(&self, id: SnapshotId, put: u64, bytes: u64, damaged: u64) -> Outcome {
        let objects = amount::plural(put, "new content", "new contents");
        let message = format!(
            "{id} is at {}: {objects} ({}) uploaded, of {} in all",
            self.remote.remote,
            amount::bytes(bytes),
            amount::plural(self.files, "file", "files"),
        );
        let mut outcome = Outcome::success(message);
        if damaged > 0 {
            let count = amount::plural(damaged, "content", "contents");
            add_incomplete(
                &mut outcome,
                &format!(
                    "{count} of earlier snapshots there {} damaged and not on the disk any more",
                    if damaged == 1 { "is" } else { "are" }
                ),
                "snapshots that have them cannot be restored from there as a whole; `backup verify` names the files",
            );
        }
        outcome
    }
}

fn add_incomplete(outcome: &mut Outcome, what: &str, hint: &str) {
    outcome.status = outcome.status.max(Status::Incomplete);
    outcome.message.push_str("; ");
    outcome.message.push_str(what);
    outcome.hint = Some(match outcome.hint.take() {
        Some(before) => format!("{before}; {hint}"),
        None => hint.to_owned(),
    });
}
