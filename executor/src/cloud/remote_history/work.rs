//! An upload that is under way: put the objects that are missing, look again, publish.
//!
//! Invariant: a snapshot whose record is listed is there as a whole. An upload relies on objects of listed
//! records and on what it noted that it put itself, and asks once more, after the last object and before the
//! record, whether those records are still there.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ffi::OsStr,
};

use chrono::TimeDelta;
use schema::{
    Digest, SnapshotId, amount,
    journal::Outcome,
    record::{SnapshotMarks, SnapshotRecord},
    remote_history::{HistoryMemory, HistoryUpload},
};

use super::{
    HistoryOptions, HistoryRemote, KnownHistory, RemoteListing, UploadedHistory,
    expire::{add_note_stays, note_expired},
    index::{contents, passes},
    layout::object_of,
    publish::Publication,
    put::Putting,
    upload::{SourceTree, Standing, add_incomplete},
};
use crate::error::{Error, Result};

/// How often it is begun anew because others let go of what it relied on.
const ROUNDS: u32 = 3;
/// How long what was put counts where others may take objects away: a day less than their intent to keep off.
const PUT_HOLDS: TimeDelta = TimeDelta::days(6);

/// An upload that is under way.
pub(super) struct Work<'a> {
    pub(super) remote: HistoryRemote<'a>,
    pub(super) tree: SourceTree<'a>,
    pub(super) files: u64,
    pub(super) record: SnapshotRecord,
    pub(super) sealed_digest: Option<Digest>,
    pub(super) carried: Digest,
    pub(super) marks: &'a SnapshotMarks,
    pub(super) standing: Standing,
    pub(super) options: HistoryOptions,
    pub(super) memory: HistoryMemory,
    pub(super) damaged: HashSet<Digest>,
    pub(super) known: KnownHistory,
}

impl Work<'_> {
    /// Puts what is missing, and publishes what is new.
    pub(super) fn carry_out(mut self) -> Result<UploadedHistory> {
        let mut putting = Putting {
            remote: self.remote,
            source: self.tree,
            list: self.remote.go_on_putting()?,
            put: 0,
            bytes: 0,
            left_out: BTreeMap::new(),
            refused: 0,
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
                self.memory.last = Some(HistoryUpload::of(&record));
                let problems = record.not_uploaded.clone();
                self.known.damaged.retain(|damaged| *damaged != id);
                self.known.records.insert(id, record);
                self.known.listing.records.insert(id, 0);
                (id, problems)
            }
        };
        let is_new = self.standing == Standing::New;
        let mut outcome = self.outcome(id, put, bytes, damaged.len() as u64);
        if is_new {
            self.memory.putting = None;
            self.remote.forget_put()?;
            add_note_stays(&mut outcome, self.end_own_notes())?;
        }
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
            record: self.record,
            objects: put,
            bytes,
        })
    }

    /// Puts what is missing and looks again; whether all that this relied on is still there.
    fn round(&mut self, putting: &mut Putting<'_>) -> Result<bool> {
        let may_vanish = !self.known.listing.expired.is_empty();
        if self.were_taken_away(&self.known.listing) || (may_vanish && !self.counts_put()) {
            self.remote.forget_put()?;
            putting.list = self.remote.go_on_putting()?;
        }
        putting.left_out.clear();
        putting.refused = 0;
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
        if let Err(error) = self.remote.give_way(&now.listing) {
            // What that machine takes away may be what was just put.
            self.remote.forget_put()?;
            return Err(error);
        }
        self.remote.refuse_taken(&now, self.record.id)?;
        let relied_on = self
            .known
            .records
            .keys()
            .all(|id| now.records.contains_key(id));
        // One more may have what this relied on; one less is gone, and with it what only it had.
        let holds = relied_on && now.listing.expired == self.known.listing.expired;
        self.known = now;
        Ok(holds)
    }

    /// Whether anything was taken away there since this machine last looked before it put something.
    fn were_taken_away(&self, listing: &RemoteListing) -> bool {
        let mut expired = self.memory.expired.iter();
        expired.any(|one| !listing.expired.contains(&one.id))
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
        let now = self.remote.rclone.context.clock.now();
        self.memory.putting = Some(now);
        note_expired(&mut self.memory, &self.known.listing, &BTreeSet::new(), now);
        self.remote.remember(&self.memory)?;
        if may_vanish {
            self.remote.write_intent(&self.known.listing)?;
        }
        Ok(())
    }

    /// What was put is in a manifest with a record now: others may take away what they like.
    fn end_own_notes(&self) -> Result<()> {
        // The last look had this upload's own among them.
        let numbers: Vec<u64> = self.remote.own_intents(&self.known.listing).collect();
        self.remote.end_intents(&numbers, self.options.may_delete)
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
