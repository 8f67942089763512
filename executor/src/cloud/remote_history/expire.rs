//! Lets snapshots go, and takes away what only those had that were let go long enough ago.
//!
//! To let one go is to put a file beside its record; nothing else changes, and an upload relies on it no more.
//! What is taken away is found from the manifests themselves, never from what is remembered of them: all
//! objects of those that go, less all of every other snapshot that is there, let go or not. Where one of those
//! cannot be read, nothing is taken away. A record goes before its objects, its manifest and the mark that it
//! was let go after them, so that whatever interrupts this is gone on with.
//!
//! Another machine may upload at the same time. Each says what it is about to do before it lists the remote,
//! so that at least one of the two sees the other: this one gives way.

use std::{collections::BTreeSet, io::Write as _};

use chrono::{DateTime, FixedOffset};
use rustix::io::Errno;
use schema::{
    Digest, SnapshotId, amount,
    journal::Outcome,
    plan::{DeletePurpose, ExpireStep},
    remote_history::{
        ExpiredSnapshot, FORMAT_VERSION, HistoryMemory, MANIFESTS, OBJECTS, RECORDS, RemoteIntent,
        RemoteTombstone,
    },
};

use super::{
    HistoryRemote, KnownHistory, RemoteListing,
    cached::EXPIRED,
    claim::made_by,
    index::{contents, passes},
    layout::{self, object_file},
    upload::add_incomplete,
};
use crate::{
    cloud::{
        owner::{self, Claim},
        rclone::{FileFaults, RcloneExit},
    },
    error::{Error, ErrorKind, Result},
    manifest::Reader,
    store::write_json,
    sys::Dir,
};

/// Where tombstones are written before they travel, and where manifests come.
const AREA: &str = "expiry";
/// Names of files that are taken away with one call.
const LIST: &str = "expiry.list";
/// Clocks that must have seen that a snapshot is let go.
const SEEN: usize = 3;

/// What a sweep did.
#[derive(Default)]
struct Swept {
    ids: BTreeSet<SnapshotId>,
    objects: u64,
    bytes: u64,
    /// Nothing was done, because this one cannot be read.
    unread: Option<SnapshotId>,
}

impl HistoryRemote<'_> {
    /// Does what a step says that was planned then, as far as it still holds: what is pinned meanwhile stays.
    ///
    /// # Errors
    /// An interruption; refused where the copies are another machine's; or a failure, after which the next
    /// run goes on.
    pub fn expire(&self, step: &ExpireStep, planned_at: DateTime<FixedOffset>) -> Result<Outcome> {
        let Some(machine) = owner::this_machine() else {
            return Err(Error::refused(format!(
                "nothing is let go at {}: this machine has no id, so others could not see that it is at work there",
                self.remote
            ))
            .hint("`systemd-machine-id-setup` gives it one (/etc/machine-id)"));
        };
        if step.expire.is_empty() && step.sweep.is_empty() {
            return Ok(Outcome::success(withheld(step)));
        }
        self.say_expiry(&machine)?;
        let done = self.expire_now(step, planned_at, &machine);
        // Whoever is killed before says so until the next run, or for a week.
        let ended = self.remove_note(&intent_file(&machine));
        let mut outcome = done?;
        add_note_stays(&mut outcome, ended)?;
        Ok(outcome)
    }

    fn expire_now(
        &self,
        step: &ExpireStep,
        planned_at: DateTime<FixedOffset>,
        machine: &str,
    ) -> Result<Outcome> {
        let known = self.refresh()?;
        match owner::claim_of(&known.listing.owners, Some(machine)) {
            Claim::Ours | Claim::Free => {}
            Claim::Other(other) => {
                let at = (self.remote, RECORDS);
                return Err(owner::refuse_other_owner(
                    self.rclone,
                    self.cache,
                    at,
                    &other,
                )?);
            }
        }
        if let Some((other, note)) = self.uploading(&known.listing, machine)? {
            let doing = format!("nothing is let go at {}", self.remote);
            return Err(self.gives_way(&doing, &other, "uploads", &note));
        }
        self.clear_ended(&known.listing)?;
        let is_named = step.asked == Some(DeletePurpose::Delete);
        if let Some(suspect) = self.newest_suspect(&known).filter(|_| !is_named) {
            return Ok(Outcome::success(format!(
                "{}: nothing is let go or deleted, because {suspect} there is suspect and nobody accepted it yet",
                self.remote
            )));
        }
        let (goes, stay) = self.still_due(step, &known);
        self.put_tombstones(step, &goes)?;
        let mut memory = self.memory();
        note_expired(
            &mut memory,
            &known.listing,
            &goes,
            self.rclone.context.clock.now(),
        );
        self.remember(&memory)?;
        let mut told = Vec::new();
        if !goes.is_empty() {
            told.push(format!(
                "{} let go, and kept for {}",
                amount::plural(goes.len() as u64, "snapshot is", "snapshots are"),
                amount::plural(step.keep_days.into(), "day", "days")
            ));
        }
        if !stay.is_empty() {
            told.push(format!(
                "{} pinned meanwhile or the newest there, and {}",
                amount::plural(stay.len() as u64, "snapshot is", "snapshots are"),
                if stay.len() == 1 { "stays" } else { "stay" }
            ));
        }
        let swept = self.sweep(step, &known, &memory)?;
        if let Some(damaged) = swept.unread {
            told.push(format!(
                "nothing is deleted, because {damaged} there is damaged and what it needs is not known"
            ));
        }
        if !swept.ids.is_empty() {
            told.push(format!(
                "what only {} had is deleted: {} ({})",
                amount::plural(swept.ids.len() as u64, "snapshot", "snapshots"),
                amount::plural(swept.objects, "content", "contents"),
                amount::bytes(swept.bytes)
            ));
        }
        if !step.withheld.is_empty() {
            told.push(withheld(step));
        }
        if told.is_empty() {
            told.push("what was to go is gone already".to_owned());
        }
        memory.expired.retain(|one| !swept.ids.contains(&one.id));
        memory
            .known
            .retain(|id| known.records.contains_key(id) && !goes.contains(id));
        // Who names some says nothing of what is due besides.
        if step.withheld.is_empty() && !is_named {
            memory.settled_at = Some(planned_at);
        }
        self.remember(&memory)?;
        self.forget_but(
            &|id| known.records.contains_key(&id) && !goes.contains(&id),
            &|id| goes.contains(&id),
        )?;
        Ok(Outcome::success(format!(
            "{}: {}",
            self.remote,
            told.join("; ")
        )))
    }

    /// Which of those that are to go may still go, and which may not.
    fn still_due(
        &self,
        step: &ExpireStep,
        known: &KnownHistory,
    ) -> (BTreeSet<SnapshotId>, BTreeSet<SnapshotId>) {
        let newest = known.newest().map(|record| record.snapshot.id);
        let there = step.expire.iter().map(|one| one.id);
        let there = there.filter(|id| known.records.contains_key(id));
        there.partition(|id| Some(*id) != newest && !self.marks(known, *id).pinned)
    }

    /// Says that snapshots are let go, before the remote is listed.
    fn say_expiry(&self, machine: &str) -> Result<()> {
        const INTENT: &str = "intent.json";
        let intent = RemoteIntent {
            format_version: FORMAT_VERSION,
            machine: machine.to_owned(),
            begun_at: self.rclone.context.clock.now(),
        };
        write_json(self.cache.dir(), INTENT, &self.cache.named(INTENT), &intent)?;
        self.write_to_records(INTENT, &intent_file(machine))
    }

    /// Another machine that uploads there, with its note.
    fn uploading(
        &self,
        listing: &RemoteListing,
        machine: &str,
    ) -> Result<Option<(String, String)>> {
        for (other, number) in listing.under_way() {
            let note = layout::upload_file(other, *number);
            if other != machine && self.intent_holds(&note)? {
                return Ok(Some((other.clone(), note)));
            }
        }
        Ok(None)
    }

    /// Takes the notes of uploads away that ended where nobody might.
    fn clear_ended(&self, listing: &RemoteListing) -> Result<()> {
        let ended = listing.ended.iter();
        for file in [layout::upload_file, layout::ended_file] {
            let names: Vec<String> = ended
                .clone()
                .map(|(of, number)| file(of, *number))
                .collect();
            self.take_away(RECORDS, &names)?;
        }
        Ok(())
    }

    fn put_tombstones(&self, step: &ExpireStep, goes: &BTreeSet<SnapshotId>) -> Result<()> {
        if goes.is_empty() {
            return Ok(());
        }
        let dir = self.cache.empty_area(AREA, self.rclone.context)?;
        let path = self.cache.named(AREA);
        for one in step.expire.iter().filter(|one| goes.contains(&one.id)) {
            let tombstone = RemoteTombstone {
                format_version: FORMAT_VERSION,
                id: one.id,
                reason: one.reason,
                expired_at: self.rclone.context.clock.now(),
                made_by: made_by(),
            };
            write_json(&dir, &layout::tombstone_file(one.id), &path, &tombstone)?;
        }
        let to = self.records();
        self.must_write(
            &["copy", &path, &to, "--no-traverse", "--no-check-dest"],
            &to,
        )
    }

    /// Takes away what only those had that were let go long enough ago.
    fn sweep(
        &self,
        step: &ExpireStep,
        known: &KnownHistory,
        memory: &HistoryMemory,
    ) -> Result<Swept> {
        let listing = &known.listing;
        // A plan that is gone on with may be old: somebody may have had it back, and let it go anew.
        let is_old = |id: SnapshotId| {
            let mut all = memory.expired.iter();
            all.any(|one| one.id == id && one.seen.len() == SEEN)
        };
        let ids = step.sweep.iter().map(|one| one.id);
        let ids: BTreeSet<SnapshotId> = ids
            .filter(|id| listing.expired.contains(id) && is_old(*id))
            .collect();
        if ids.is_empty() {
            return Ok(Swept::default());
        }
        // What decides what is deleted is read as it was written.
        let fetched = self
            .forget_damaged(&|_| true)?
            .then(|| self.refresh())
            .transpose()?;
        let known = fetched.as_ref().unwrap_or(known);
        let manifests = self.expired_manifests(listing)?;
        let unneeded = match known.damaged.first() {
            Some(id) => Err(*id),
            None => self.unneeded(&manifests, &ids, known)?,
        };
        let unneeded = match unneeded {
            Ok(unneeded) => unneeded,
            // The upload tells of one that is not let go; the others hold this up until they go themselves.
            Err(damaged) => {
                return Ok(Swept {
                    unread: Some(damaged),
                    ..Swept::default()
                });
            }
        };
        let each = |name: fn(SnapshotId) -> String| ids.iter().map(|id| name(*id)).collect();
        let records: Vec<String> = each(layout::record_file);
        self.take_away(RECORDS, &records)?;
        let objects = unneeded.iter().map(|(digest, _)| object_file(*digest));
        self.take_away(OBJECTS, &objects.collect::<Vec<_>>())?;
        let all: Vec<String> = each(layout::manifest_file);
        self.take_away(MANIFESTS, &all)?;
        let marks = ids.iter().flat_map(|id| {
            let last = listing.marks.get(id).map_or(0, |(number, _)| *number);
            (1..=last).map(|number| layout::marks_file(*id, number))
        });
        self.take_away(RECORDS, &marks.collect::<Vec<_>>())?;
        let tombstones: Vec<String> = each(layout::tombstone_file);
        self.take_away(RECORDS, &tombstones)?;
        Ok(Swept {
            objects: unneeded.len() as u64,
            bytes: unneeded.iter().map(|(_, size)| size).sum(),
            ids,
            unread: None,
        })
    }

    /// The manifests of all that is let go and there: each is brought once.
    fn expired_manifests(&self, listing: &RemoteListing) -> Result<Dir> {
        let io = |error| self.io("keep", EXPIRED, error);
        let dir = self.folder(&[EXPIRED])?;
        let mut missing: BTreeSet<String> = listing
            .expired
            .iter()
            .map(|id| layout::manifest_file(*id))
            .collect();
        for name in dir.names().map_err(io)? {
            if !name.to_str().is_some_and(|name| missing.remove(name)) {
                dir.remove_file(&name).map_err(io)?;
            }
        }
        let area = self.cache.empty_area(AREA, self.rclone.context)?;
        let missing: Vec<String> = missing.into_iter().collect();
        self.bring(MANIFESTS, &missing, AREA)?;
        for name in area.names().map_err(io)? {
            let file = area.file(&name).map_err(io)?;
            file.sync_all()
                .map_err(|error| self.io("write", EXPIRED, error))?;
            area.rename_to(&name, &dir, &name).map_err(io)?;
        }
        dir.sync().map_err(io)?;
        Ok(dir)
    }

    /// The contents of those that go which no other has, whether that is let go or not; or one that others may
    /// share them with and that cannot be read. Of those that go, a manifest that is gone or cannot be read
    /// names none: what it had stays.
    fn unneeded(
        &self,
        manifests: &Dir,
        ids: &BTreeSet<SnapshotId>,
        known: &KnownHistory,
    ) -> Result<std::result::Result<Vec<(Digest, u64)>, SnapshotId>> {
        let stop = self.rclone.context.stop;
        let listing = &known.listing;
        let expired = |id: SnapshotId| match manifests.file(layout::manifest_file(id).as_ref()) {
            Ok(file) => Reader::new(file).map(Some),
            // Without its record it is about to go: what took that away was interrupted.
            Err(Errno::NOENT) if !listing.records.contains_key(&id) => Ok(None),
            Err(error) => Err(error.into()),
        };
        let records = known.records.values();
        let largest = records.map(|record| record.snapshot.totals.files).max();
        let mut all = Vec::new();
        // Of those that go and of one more what they have is in memory at once; they differ by little.
        for part in passes(largest.unwrap_or(0).saturating_mul(2)) {
            let mut found: Vec<(Digest, u64)> = Vec::new();
            for id in ids {
                if let Ok(Some(reader)) = expired(*id) {
                    let of = contents(reader, &part, &mut || stop.check());
                    stop.check()?;
                    found.extend(of.unwrap_or_default());
                    found.sort_unstable();
                    found.dedup_by_key(|(digest, _)| *digest);
                }
            }
            let live = known
                .records
                .keys()
                .map(|id| (*id, self.manifest_of(*id).ok()));
            let others = listing.expired.difference(ids);
            let others = others.filter_map(|id| match expired(*id) {
                Ok(reader) => Some((*id, Some(reader?))),
                Err(_) => Some((*id, None)),
            });
            for (id, reader) in live.chain(others) {
                let Some(reader) = reader else {
                    return Ok(Err(id));
                };
                let needed = contents(reader, &part, &mut || stop.check());
                stop.check()?;
                let Ok(needed) = needed else {
                    return Ok(Err(id));
                };
                found.retain(|(digest, _)| {
                    let is_it = |(one, _): &(Digest, u64)| one.cmp(digest);
                    needed.binary_search_by(is_it).is_err()
                });
            }
            all.extend(found);
        }
        Ok(Ok(all))
    }

    /// Takes files of a folder of the remote away; what is not there is no fault.
    fn take_away(&self, folder: &str, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut list = names.join("\n");
        list.push('\n');
        self.cache
            .new_file(LIST)?
            .write_all(list.as_bytes())
            .map_err(|error| self.io("write", LIST, error))?;
        let (from, list) = (self.at(folder), self.cache.named(LIST));
        let arguments = ["delete", &from, "--files-from-raw", &list];
        let mut told = FileFaults::default();
        match self
            .rclone
            .call(&arguments, None, &mut told, &mut |_| Ok(()))?
        {
            RcloneExit::Well | RcloneExit::NotThere => Ok(()),
            RcloneExit::Badly {
                connection,
                message,
            } => Err(self.not_deleted(self.rclone.failed(connection, &message))),
        }
    }
}

/// Tells that this machine's note is still there although all is done that it told of.
pub(super) fn add_note_stays(outcome: &mut Outcome, removed: Result<()>) -> Result<()> {
    let Err(error) = removed else {
        return Ok(());
    };
    if error.kind == ErrorKind::Interrupted {
        return Err(error);
    }
    add_incomplete(
        outcome,
        &format!(
            "a note of this machine stays there, and holds others off for a week: {}",
            error.message
        ),
        error
            .hint
            .as_deref()
            .unwrap_or("the next run takes it away"),
    );
    Ok(())
}

/// Remembers since when it is known of which snapshots that they are let go: by at most one clock a day.
pub(super) fn note_expired(
    memory: &mut HistoryMemory,
    listing: &RemoteListing,
    goes: &BTreeSet<SnapshotId>,
    now: DateTime<FixedOffset>,
) {
    let all: BTreeSet<SnapshotId> = listing.expired.union(goes).copied().collect();
    memory.expired.retain(|one| all.contains(&one.id));
    for id in all {
        if memory.expired.iter().all(|one| one.id != id) {
            let seen = Vec::new();
            memory.expired.push(ExpiredSnapshot { id, seen });
        }
    }
    for one in &mut memory.expired {
        let is_new = |at: &DateTime<FixedOffset>| at.date_naive() != now.date_naive();
        if one.seen.len() < SEEN && one.seen.iter().all(is_new) {
            one.seen.push(now);
        }
    }
    memory.expired.sort_by_key(|one| one.id);
}

fn withheld(step: &ExpireStep) -> String {
    let count = amount::plural(
        step.withheld.len() as u64,
        "deletion waits",
        "deletions wait",
    );
    format!("{count} for approval")
}

fn intent_file(machine: &str) -> String {
    format!("expiry-{machine}.json")
}
