//! What all deciders look at: config and inventory, with what follows from both at once.
//!
//! Owns the questions that several files ask (which snapshot is the basis, what becomes of an
//! unfinished one, which sources lost their files), so that all get the same answer. No judgement.

use std::{cmp::Reverse, collections::BTreeSet};

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use schema::{
    Config, FailureCode, Inventory, SnapshotId, Tier, clock,
    config::AbsolutePath,
    inventory::{DestinationState, Leftover, Presence, SnapshotState, SourceState},
    journal::ProblemKind,
    plan::{Basis, LastGood, Part},
    record::Capabilities,
};

use crate::{
    Options,
    feeds::RemoteFacts,
    retention::{self, Candidate},
};

/// Snapshots that are linked to besides the basis at most.
const MOST_ALSO: usize = 3;
/// Paths that the basis lacks for which others are sought.
const MOST_LACKING: usize = 100;

/// Config and inventory, with what follows from both.
pub(crate) struct Facts<'a> {
    pub(crate) config: &'a Config,
    /// Sorted, so that nothing depends on the order in which a folder was read.
    pub(crate) inventory: &'a Inventory,
    pub(crate) options: &'a Options,
    /// What else must be known where this is the view of a named remote.
    pub(crate) remote: Option<&'a RemoteFacts>,
    /// The host's folder.
    pub(crate) host: &'a str,
    pub(crate) now: DateTime<Utc>,
    /// The same by the machine's clock: when the new snapshot is started.
    pub(crate) started_at: DateTime<FixedOffset>,
    /// The name of the new snapshot.
    pub(crate) id: SnapshotId,
    /// The day that it counts for.
    pub(crate) day: NaiveDate,
    /// The destination, where `local.enable` is on and the inventory has it.
    pub(crate) destination: Option<&'a DestinationState>,
    /// The newest snapshot with a manifest that can be read, whatever its state: what unchanged
    /// files are linked to where the destination can link.
    pub(crate) newest: Option<&'a SnapshotState>,
    /// Older ones that have what that one lacks.
    pub(crate) also_link: Vec<&'a SnapshotState>,
    /// The snapshot that the new one is judged by.
    pub(crate) reference: Option<&'a SnapshotState>,
    /// The last good backup: what can be restored from if this run fails.
    pub(crate) last_good: Option<LastGood>,
    pub(crate) partials: Partials<'a>,
    /// Sources that had files in the reference and are empty or missing now.
    pub(crate) emptied: Vec<&'a AbsolutePath>,
}

/// What becomes of the unfinished snapshots.
pub(crate) struct Partials<'a> {
    /// The one whose tree is taken over.
    pub(crate) continued: Option<&'a Leftover>,
    /// The others, with the reason.
    pub(crate) discarded: Vec<(&'a Leftover, &'static str)>,
}

impl<'a> Facts<'a> {
    /// Draws the conclusions that everything else rests on. `inventory` must be sorted.
    pub(crate) fn new(config: &'a Config, inventory: &'a Inventory, options: &'a Options) -> Self {
        let now = inventory.taken_at.to_utc();
        let local = inventory.taken_at.naive_local();
        let destination = inventory
            .destination
            .as_ref()
            .filter(|_| config.local.enable);
        let taken = |id: SnapshotId| destination.is_some_and(|found| is_taken(found, id));
        let newest = destination.and_then(|destination| newest(destination, now));
        let reference = destination.and_then(|destination| reference(destination, now));
        let sources: Vec<&SourceState> = sources(config, inventory, reference).collect();
        Self {
            config,
            inventory,
            options,
            remote: None,
            host: config.hostname.as_deref().unwrap_or(&inventory.host),
            now,
            started_at: inventory.taken_at,
            id: SnapshotId::from_local(local).first_free(taken),
            day: local.date(),
            destination,
            newest,
            also_link: destination.map_or_else(Vec::new, |found| also_link(found, now)),
            reference,
            last_good: destination.and_then(|destination| last_good(destination, now)),
            partials: Partials::of(destination, now),
            // Before the pre-script nothing can be said of them: it may mount or make them.
            emptied: match makes_sources(config, options) {
                true => Vec::new(),
                false => emptied(reference, &sources),
            },
        }
    }

    /// The same for the view of a named remote.
    pub(crate) fn for_remote(self, remote: Option<&'a RemoteFacts>) -> Self {
        Self { remote, ..self }
    }

    /// The configured sources as they were found, in the config's order, without those that are not there
    /// and need not be.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &'a SourceState> {
        sources(self.config, self.inventory, self.reference)
    }

    /// The configured sources that are left out because they are not there and need not be.
    pub(crate) fn spared_sources(&self) -> impl Iterator<Item = &'a SourceState> {
        let (config, reference) = (self.config, self.reference);
        configured_sources(config, self.inventory)
            .filter(move |source| is_spared(config, source, reference))
    }

    /// Whether the cloud gets the live sources: there are no local snapshots, or the disk that holds
    /// them is away.
    pub(crate) fn is_live(&self) -> bool {
        if let Some(remote) = self.remote {
            return self.config.cloud.enable && remote.is_live();
        }
        let local = self.config.local.enable;
        let away = self
            .destination
            .is_some_and(|found| is_away(self.config, found));
        self.config.cloud.enable && self.options.only != Some(Part::Local) && (!local || away)
    }

    /// Whether a script may still make or mount what is missing now.
    pub(crate) fn makes_sources(&self) -> bool {
        makes_sources(self.config, self.options)
    }

    /// Whether the destination is away, and a script that may mount it comes first. It can do nothing
    /// about one that is mounted and does not answer.
    pub(crate) fn waits_for_script(&self) -> bool {
        let may_come = |found: &DestinationState| {
            may_be_mounted_by_script(self.config, found) && !self.options.after_pre_script
        };
        self.options.only.is_none() && self.destination.is_some_and(may_come)
    }

    /// What the destination can hold: probed, else judged by its type, else unknown.
    pub(crate) fn capabilities(&self) -> Option<&'a Capabilities> {
        self.destination.and_then(DestinationState::capabilities)
    }

    /// Whether rsync moves the bytes: not over a network, where each file costs it some ten questions, one
    /// after the other, while the built-in engine has many under way.
    pub(crate) fn rsync_copies(&self) -> bool {
        let is_far = self
            .destination
            .is_some_and(DestinationState::is_over_a_network);
        self.config.local.use_rsync && !is_far
    }

    /// Whether symlinks can stand in the tiers; until it was tried, nothing speaks against it.
    pub(crate) fn symlinks(&self) -> bool {
        self.capabilities().is_none_or(|can| can.symlinks)
    }

    /// The snapshot that unchanged files are linked to.
    pub(crate) fn basis(&self) -> Option<&'a SnapshotState> {
        self.newest
            .filter(|_| self.capabilities().is_none_or(|can| can.hard_links))
    }
}

impl Facts<'_> {
    /// The tier that a new snapshot is published to: `daily`, else the shortest-lived one that is a
    /// folder.
    pub(crate) fn home(&self) -> Tier {
        let free = |tier: &Tier| {
            let stands = |found: &DestinationState| in_the_way(found, tier.folder());
            !self.destination.is_some_and(stands)
        };
        let mut tiers = [Tier::Daily].into_iter().chain(Tier::ALL);
        tiers.find(free).unwrap_or(Tier::Daily)
    }
}

/// Snapshots that were removed from the tiers by hand, as far as that is surely what happened: a
/// folder of a tier that is gone or in another place takes many at once with it.
pub(crate) fn removed_by_hand(destination: &DestinationState) -> Vec<SnapshotId> {
    let lost = &destination.lost;
    let few = lost.len() <= destination.snapshots.len();
    let clear = few && destination.in_the_way.is_empty();
    lost.iter().filter(|_| clear).copied().collect()
}

/// Whether something else stands at this path below the host's folder.
pub(crate) fn in_the_way(destination: &DestinationState, path: &str) -> bool {
    destination.in_the_way.iter().any(|one| one.path == path)
}

impl<'a> Partials<'a> {
    /// The newest is continued. One that was begun before a snapshot that is there is not: what it
    /// copied is in that snapshot already, and would be stored twice. Only names can be compared
    /// here, which in the hour when clocks go back may answer either way; both answers are safe. A
    /// snapshot of the future says nothing of what was begun before it.
    fn of(destination: Option<&'a DestinationState>, now: DateTime<Utc>) -> Self {
        let mut found: Vec<&Leftover> = destination
            .iter()
            .flat_map(|destination| &destination.partial)
            .collect();
        found.sort_by_key(|left| left.id);
        let sealed = destination
            .iter()
            .flat_map(|destination| &destination.snapshots)
            .filter(|snapshot| !clock::is_ahead(snapshot.record.started_at, now))
            .map(|snapshot| snapshot.record.id)
            .max();
        let continued = found.pop_if(|newest| sealed.is_none_or(|sealed| newest.id > sealed));
        let discarded = found
            .into_iter()
            .map(|left| {
                let reason = if sealed.is_some_and(|sealed| left.id < sealed) {
                    "a snapshot was sealed after it was begun"
                } else {
                    "a newer unfinished snapshot is continued"
                };
                (left, reason)
            })
            .collect();
        Self {
            continued,
            discarded,
        }
    }
}

/// A published snapshot as retention sees it.
pub(crate) fn candidate(snapshot: &SnapshotState) -> Candidate {
    let SnapshotState { record, marks, .. } = snapshot;
    Candidate {
        id: record.id,
        started_at: record.started_at.to_utc(),
        hour: retention::hour_of(record.started_at),
        day: record.day,
        complete: record.complete,
        suspect: !record.suspect.is_empty() && !marks.accepted,
        pinned: marks.pinned,
        verified: marks.verified_at.is_some(),
    }
}

/// The event that made a snapshot suspect: the first snapshot that was suspect for it.
pub(crate) fn suspect_since(snapshot: &SnapshotState) -> SnapshotId {
    let record = &snapshot.record;
    record.suspect_since.unwrap_or(record.id)
}

/// The newest snapshot whose manifest can be read: incomplete, suspect and future-dated ones too, so
/// that nothing is stored twice because of what a snapshot is called.
///
/// The newest is the one that was made last, and not the one of the latest date: a clock that was
/// ahead once would otherwise give all later snapshots the same basis.
pub(crate) fn newest(destination: &DestinationState, now: DateTime<Utc>) -> Option<&SnapshotState> {
    let readable = destination.snapshots.iter();
    let readable = readable.filter(|snapshot| snapshot.serves_as_basis());
    readable.max_by_key(|snapshot| made(snapshot, now))
}

/// Snapshots that are linked to besides the newest, because it is known to lack what they have: a
/// source that was not there, a path that could not be read, or whatever made it suspect. Newest
/// first.
pub(crate) fn also_link(destination: &DestinationState, now: DateTime<Utc>) -> Vec<&SnapshotState> {
    let hard_links = destination.capabilities().is_none_or(|can| can.hard_links);
    let Some(newest) = newest(destination, now).filter(|_| hard_links) else {
        return Vec::new();
    };
    let readable = destination.snapshots.iter();
    let mut older: Vec<&SnapshotState> = readable
        .filter(|one| one.manifest_fault.is_none() && one.record.id != newest.record.id)
        .collect();
    older.sort_by_key(|one| Reverse(made(one, now)));
    let mut found = BTreeSet::new();
    if candidate(newest).suspect
        && let Some(reference) = reference(destination, now)
    {
        found.insert(reference.record.id);
    }
    let unreadable = |one: &SnapshotState| -> BTreeSet<String> {
        let problems = one.record.problems.iter();
        let problems = problems.filter(|problem| problem.kind == ProblemKind::Unreadable);
        problems.map(|problem| problem.path.clone()).collect()
    };
    let lacks = |one: &SnapshotState| -> BTreeSet<String> {
        let sources = one.record.sources.iter();
        let gone = sources
            .filter(|source| !source.present || (source.entries <= 1 && candidate(one).suspect));
        gone.map(|source| source.path.to_string())
            .chain(unreadable(one))
            .collect()
    };
    let has = |one: &SnapshotState, path: &str| {
        let mut sources = one.record.sources.iter();
        let source = sources.find(|source| source.path.as_str() == path);
        source.is_none_or(|source| source.present && source.entries > 0)
    };
    let wanted = lacks(newest);
    let others: Vec<(&SnapshotState, BTreeSet<String>)> = match wanted.is_empty() {
        true => Vec::new(),
        false => older.iter().map(|one| (*one, lacks(one))).collect(),
    };
    for path in wanted.iter().take(MOST_LACKING) {
        let whole = others
            .iter()
            .find(|(one, lacks)| !lacks.contains(path) && has(one, path));
        found.extend(whole.map(|(one, _)| one.record.id));
    }
    let also = older.into_iter();
    also.filter(|one| found.contains(&one.record.id))
        .take(MOST_ALSO)
        .collect()
}

/// The newest snapshot that is no unresolved suspect and not dated in the future, complete or with
/// listed errors: what a new one is judged by.
pub(crate) fn reference(
    destination: &DestinationState,
    now: DateTime<Utc>,
) -> Option<&SnapshotState> {
    let counting = destination.snapshots.iter();
    let counting = counting.filter(|snapshot| candidate(snapshot).counts(now));
    counting.max_by_key(|snapshot| made(snapshot, now))
}

/// The order in which snapshots were made. Older records do not have it: their dates say it, but for
/// those that cannot be true.
fn made(snapshot: &SnapshotState, now: DateTime<Utc>) -> (u64, bool, DateTime<Utc>, SnapshotId) {
    let record = &snapshot.record;
    let possible = !candidate(snapshot).in_future(now);
    (
        record.sequence,
        possible,
        record.started_at.to_utc(),
        record.id,
    )
}

/// Whether the destination is not there: its folder cannot be opened, or nothing is mounted on it
/// though `local.requireMount` asks for that.
pub(crate) fn is_away(config: &Config, destination: &DestinationState) -> bool {
    !destination.present || (config.local.require_mount && !destination.mounted)
}

/// Whether a script before the backup may still make what is missing.
fn makes_sources(config: &Config, options: &Options) -> bool {
    config.pre_backup_script.is_some() && !options.after_pre_script
}

/// Whether the destination is away, and the script before the backup may mount it.
pub(crate) fn may_be_mounted_by_script(config: &Config, destination: &DestinationState) -> bool {
    config.pre_backup_script.is_some()
        && is_away(config, destination)
        && destination.absent_code != Some(FailureCode::NoAnswer)
}

/// The last good backup on a destination.
pub(crate) fn last_good(destination: &DestinationState, now: DateTime<Utc>) -> Option<LastGood> {
    let newest = reference(destination, now)?;
    Some(LastGood {
        id: newest.record.id,
        started_at: newest.record.started_at,
        complete: newest.record.complete,
    })
}

/// The snapshot that a new one is linked to, if the destination can link.
pub(crate) fn basis(destination: &DestinationState, now: DateTime<Utc>) -> Option<Basis> {
    destination
        .capabilities()
        .is_none_or(|can| can.hard_links)
        .then(|| newest(destination, now))
        .flatten()
        .map(as_basis)
}

/// A snapshot as a plan names one that is linked to.
pub(crate) fn as_basis(snapshot: &SnapshotState) -> Basis {
    Basis {
        id: snapshot.record.id,
        home: snapshot.home,
    }
}

fn sources<'a>(
    config: &'a Config,
    inventory: &'a Inventory,
    reference: Option<&'a SnapshotState>,
) -> impl Iterator<Item = &'a SourceState> {
    configured_sources(config, inventory).filter(move |one| !is_spared(config, one, reference))
}

/// Whether a source is not there and need not be. One that had files has lost them.
fn is_spared(config: &Config, source: &SourceState, reference: Option<&SnapshotState>) -> bool {
    source.presence == Presence::Missing
        && config.local.optional_sources.contains(&source.path)
        && !reference.is_some_and(|before| had_files(before, &source.path))
}

fn configured_sources<'a>(
    config: &'a Config,
    inventory: &'a Inventory,
) -> impl Iterator<Item = &'a SourceState> {
    config
        .local
        .sources
        .iter()
        .filter(|_| config.local.enable || config.cloud.enable)
        .filter_map(|path| inventory.sources.iter().find(|state| state.path == *path))
}

/// Names in the tiers that are neither folders nor links.
fn in_tiers(destination: &DestinationState) -> impl Iterator<Item = String> {
    let paths = destination.in_the_way.iter();
    paths.filter_map(|one| Some(one.path.split_once('/')?.1.to_owned()))
}

/// Whether anything in the destination has this name, as [`taken_names`] says of all.
fn is_taken(destination: &DestinationState, id: SnapshotId) -> bool {
    let name = id.to_string();
    let mut leftovers = destination.partial.iter().chain(&destination.trash);
    let mut snapshots = destination.snapshots.iter();
    snapshots.any(|snapshot| snapshot.record.id == id)
        || destination.links.iter().any(|link| link.id == id)
        || leftovers.any(|left| left.id == id)
        || destination.unmanaged.iter().any(|one| one.name == name)
        || in_tiers(destination).any(|one| one == name)
}

/// Every name that stands anywhere in the destination.
pub(crate) fn taken_names(destination: &DestinationState) -> BTreeSet<String> {
    let leftovers = destination.partial.iter().chain(&destination.trash);
    destination
        .snapshots
        .iter()
        .map(|snapshot| snapshot.record.id)
        .chain(destination.links.iter().map(|link| link.id))
        .chain(leftovers.map(|left| left.id))
        .map(|id| id.to_string())
        .chain(destination.unmanaged.iter().map(|one| one.name.clone()))
        .chain(in_tiers(destination))
        .collect()
}

fn emptied<'a>(
    reference: Option<&SnapshotState>,
    sources: &[&'a SourceState],
) -> Vec<&'a AbsolutePath> {
    sources
        .iter()
        .filter(|source| source.presence != Presence::Present || is_empty(source))
        .filter(|source| reference.is_some_and(|before| had_files(before, &source.path)))
        .map(|source| &source.path)
        .collect()
}

/// Whether there is nothing in a source: neither what is backed up nor what tags leave out.
fn is_empty(source: &SourceState) -> bool {
    source.scan.entries <= 1 && source.left_out.is_none()
}

/// Whether a snapshot holds more of a source than the source's own folder.
pub(crate) fn had_files(snapshot: &SnapshotState, source: &AbsolutePath) -> bool {
    snapshot
        .record
        .sources
        .iter()
        .any(|one| one.path == *source && one.present && one.entries > 1)
}
