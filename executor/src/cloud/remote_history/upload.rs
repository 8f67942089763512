//! One upload: what is there already, and what is said at its end. What is put is in [`super::work`].

use std::collections::{BTreeSet, HashSet};

use schema::{
    Digest, SnapshotId, amount,
    journal::{Outcome, Status},
    record::{SnapshotMarks, SnapshotRecord},
    remote_history::{HistoryMemory, HistoryUpload, RemoteRecord, SameSnapshot},
};

use super::{
    HistoryRemote, KnownHistory,
    expire::{add_note_stays, note_expired},
    layout::object_of,
    publish::is_taken,
    work::Work,
};
use crate::{
    cloud::{carried, roots::Roots},
    error::{Error, Result},
    manifest::Reader,
    sys::Dir,
};

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
    /// What was uploaded, as it is recorded there: live sources are judged by what is there.
    pub record: SnapshotRecord,
    /// Objects that were put.
    pub objects: u64,
    /// Sum of their sizes, in bytes.
    pub bytes: u64,
}

/// What there is of a snapshot before it is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
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
            // It was made after all that is there.
            let newest = known.newest().map_or(0, |newest| newest.snapshot.sequence);
            record.sequence = newest.saturating_add(1);
            self.judge_live(&known, &mut record)?;
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
            return self.nothing_to_do(standing, &record, &known, (memory, options));
        }
        let manifest = source.manifest;
        let carried = carried::write_carried_manifest(
            self.cache,
            source.tree,
            manifest,
            self.rclone.context,
        )?;
        let standing = match known.newest() {
            Some(newest) if standing == Standing::New && self.is_like(&record, newest)? => {
                Standing::Same(newest.snapshot.id)
            }
            _ => standing,
        };
        if standing == Standing::New {
            self.refuse_taken(&known, record.id)?;
        } else if damaged.is_empty() {
            return self.nothing_to_do(standing, &record, &known, (memory, options));
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
    pub(super) fn refuse_taken(&self, known: &KnownHistory, id: SnapshotId) -> Result<()> {
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
        (mut memory, options): (HistoryMemory, HistoryOptions),
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
        // A machine that remembers nothing of it knows from now on.
        let there = known.records.get(&id).filter(|_| memory.last.is_none());
        memory.last = memory.last.or_else(|| there.map(HistoryUpload::of));
        let mut outcome = Outcome::success(message);
        // The note of an upload that ended after its record.
        let numbers: Vec<u64> = self.own_intents(&known.listing).collect();
        if !numbers.is_empty() && self.needs_no_note(known)? {
            self.forget_put()?;
            add_note_stays(&mut outcome, self.end_intents(&numbers, options.may_delete))?;
        }
        self.end(known, &mut memory, &mut outcome)?;
        Ok(UploadedHistory {
            outcome,
            id,
            is_new: false,
            record: record.clone(),
            objects: 0,
            bytes: 0,
        })
    }

    /// Whether all that an upload put that was interrupted is in manifests with a record by now.
    fn needs_no_note(&self, known: &KnownHistory) -> Result<bool> {
        let mut index = self.object_index(&known.records)?;
        for digest in self.read_put()? {
            let is_there = index.has(digest);
            if !is_there.map_err(|error| self.io("read", "objects.idx", error))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Remembers what is there, and tells of what is not there any more.
    pub(super) fn end(
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
        let now = self.rclone.context.clock.now();
        note_expired(memory, &known.listing, &BTreeSet::new(), now);
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

/// That not all is as it should be, and what to do about it.
pub(super) fn add_incomplete(outcome: &mut Outcome, what: &str, hint: &str) {
    outcome.status = outcome.status.max(Status::Incomplete);
    outcome.message.push_str("; ");
    outcome.message.push_str(what);
    outcome.hint = Some(match outcome.hint.take() {
        Some(before) => format!("{before}; {hint}"),
        None => hint.to_owned(),
    });
}
