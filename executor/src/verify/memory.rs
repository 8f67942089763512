//! What this machine remembers of a destination's damage, and what of it still holds.
//!
//! An inode that was repaired or whose snapshots are gone leaves the list by itself: its names
//! lead elsewhere. Numbers of inodes are given again, so a number alone is never trusted.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    FailureCode, SnapshotId,
    inventory::DestinationState,
    record::SnapshotRecord,
    verify::{DamageKind, DamagedFile, Depth, Verdict, Verification},
};

use super::{names::leads_to, snapshots::FoundSnapshot};
use crate::{
    error::Result,
    state_dir::{KeptDigest, ManifestFault, Remembered, StateDir, note_changed, room_to_take_over},
    store::Store,
};

/// Says which destination this is where its record does not: the only one that is known, if the
/// snapshot of the last run stands here and all are of this host. Writes nothing.
///
/// # Errors
/// Fails if what is remembered cannot be read.
pub fn recognize_destination(memory: &StateDir, state: &mut DestinationState) -> Result<()> {
    if state.record.is_some() || state.snapshots.is_empty() {
        return Ok(());
    }
    let known = memory.known_destinations()?;
    let [id] = known.as_slice() else {
        return Ok(());
    };
    let reports = memory.reports()?;
    let last = reports.iter().find_map(|report| {
        let sealed = report.snapshot.as_ref()?;
        Some((sealed.id, &report.run_id))
    });
    let stands = last.is_some_and(|(id, run_id)| {
        let mut all = state.snapshots.iter();
        all.any(|one| one.record.id == id && one.record.run_id == *run_id)
    });
    let host = &state.snapshots[0].record.host;
    let of_one_host = state.snapshots.iter().all(|one| one.record.host == *host);
    if stands && of_one_host {
        state.recognized_id = Some(id.clone());
    }
    Ok(())
}

/// Puts what is remembered of a destination into its state, for the planner. Writes nothing.
///
/// # Errors
/// Fails if it cannot be read.
pub fn recall_damage(memory: &StateDir, store: &Store, state: &mut DestinationState) -> Result<()> {
    let id = state.record.as_ref().map(|record| &record.id);
    let Some(id) = id.or(state.recognized_id.as_ref()) else {
        return Ok(());
    };
    let remembered = memory.remembered(id);
    state.damaged = still_there(store, remembered.damaged);
    let mut in_files: BTreeMap<SnapshotId, u64> = BTreeMap::new();
    for name in state.damaged.iter().flat_map(|file| &file.names) {
        *in_files.entry(name.snapshot).or_default() += 1;
    }
    for snapshot in &mut state.snapshots {
        let id = snapshot.record.id;
        let elsewhere = remembered.elsewhere.get(&id).copied();
        let in_files = in_files.get(&id).copied();
        snapshot.damaged = in_files.unwrap_or_default() + elsewhere.unwrap_or_default();
        if let Some(known) = remembered.manifests.get(&id)
            && snapshot.manifest_fault.is_none()
            && known.holds(store, id)
        {
            snapshot.manifest_fault = Some(known.because.clone());
            snapshot.manifest_fault_code = known.code;
        }
        if snapshot.manifest_fault.is_none()
            && let Some(because) = store.changed(&snapshot.record)
        {
            snapshot.manifest_fault = Some(because);
            snapshot.manifest_fault_code = Some(FailureCode::ManifestChanged);
            let kept = store.kept.get(&snapshot.record.id);
            snapshot.changed_since = kept.and_then(|kept| kept.differs_since);
        }
        let verified = remembered.verified.get(&snapshot.record.id).copied();
        let marks = &mut snapshot.marks;
        marks.verified_at = marks.verified_at.max(verified);
    }
    Ok(())
}

/// The damaged files that are there yet, each with the names that lead to it.
fn still_there(store: &Store, damaged: Vec<DamagedFile>) -> Vec<DamagedFile> {
    let mut damaged: Vec<DamagedFile> = damaged
        .into_iter()
        .filter_map(|mut file| {
            file.names.retain(|name| leads_to(store, name, file.inode));
            (!file.names.is_empty()).then_some(file)
        })
        .collect();
    damaged.sort_by_key(|file| file.inode);
    damaged
}

/// Remembers what was found, and forgets what does not hold any more.
///
/// # Errors
/// Fails if the state directory or the destination cannot be read or written.
pub fn learn_damage(
    memory: &StateDir,
    store: &Store,
    all: &[FoundSnapshot],
    found: &Verification,
) -> Result<()> {
    let Some(id) = &found.destination_id else {
        return Ok(());
    };
    let records = all.iter().filter_map(|one| one.record.as_ref().ok());
    note_changed(memory, store, records, found.ended_at)?;
    let mut remembered = memory.remembered(id);
    let new = found.damage.iter().filter_map(|damage| {
        Some(DamagedFile {
            inode: damage.inode?,
            names: damage.names.clone(),
            expected: damage.expected,
            found_at: found.ended_at,
        })
    });
    let mut damaged: Vec<DamagedFile> = new.collect();
    for old in remembered.damaged {
        let again = damaged.iter_mut().find(|file| file.inode == old.inode);
        match again {
            Some(file) => file.found_at = old.found_at.min(file.found_at),
            None if was_read(found, &old) => {}
            None => damaged.push(old),
        }
    }
    remembered.damaged = still_there(store, damaged);
    remembered
        .verified
        .retain(|id, _| all.iter().any(|one| one.id == *id));
    for one in &found.snapshots {
        match one.verdict {
            Verdict::Whole if found.depth == Depth::Full => {
                remembered.verified.insert(one.id, found.ended_at);
            }
            Verdict::Whole => {}
            Verdict::Damaged | Verdict::Removed => {
                remembered.verified.remove(&one.id);
            }
        }
    }
    for name in found.damage.iter().flat_map(|damage| &damage.names) {
        remembered.verified.remove(&name.snapshot);
    }
    if found.depth != Depth::Quick {
        remembered.read_at = remembered.read_at.max(Some(found.ended_at));
    }
    let there = |id: &SnapshotId| all.iter().any(|one| one.id == *id);
    remembered.elsewhere.retain(|id, _| there(id));
    remembered.manifests.retain(|id, _| there(id));
    for one in found
        .snapshots
        .iter()
        .filter(|one| one.verdict != Verdict::Removed)
    {
        learn_elsewhere(&mut remembered, store, one.id, found);
    }
    let manifests = found.damage.iter();
    for damage in manifests.filter(|damage| damage.kind == DamageKind::Manifest) {
        // Those too that were not looked at and share what is damaged.
        for name in damage.names.iter().filter(|name| there(&name.snapshot)) {
            let id = name.snapshot;
            let fault = ManifestFault::of(store, id, damage.message.clone(), None);
            remembered.manifests.entry(id).or_insert(fault);
        }
    }
    memory.remember(id, remembered)
}

/// Remembers the damage of one snapshot that is not a stored file's: each pass finds all of it.
fn learn_elsewhere(
    remembered: &mut Remembered,
    store: &Store,
    id: SnapshotId,
    found: &Verification,
) {
    let here = || {
        let all = found.damage.iter();
        all.filter(|damage| damage.names.iter().any(|name| name.snapshot == id))
    };
    if let Some(damage) = here().find(|damage| damage.kind == DamageKind::Manifest) {
        // What was known of the entries before is all that is known.
        let fault = ManifestFault::of(store, id, damage.message.clone(), None);
        remembered.manifests.insert(id, fault);
        return;
    }
    remembered.manifests.remove(&id);
    let of_records = [DamageKind::Record, DamageKind::Changed];
    let others =
        here().filter(|damage| damage.inode.is_none() && !of_records.contains(&damage.kind));
    match others.count() as u64 {
        0 => remembered.elsewhere.remove(&id),
        count => remembered.elsewhere.insert(id, count),
    };
}

/// Remembers which manifests a run found that it cannot use, and forgets those that it can.
///
/// # Errors
/// Fails if the state directory or the destination cannot be read or written.
pub fn learn_manifests(memory: &StateDir, store: &Store, state: &DestinationState) -> Result<()> {
    let Some(record) = &state.record else {
        return Ok(());
    };
    let mut remembered = memory.remembered(&record.id);
    let before = remembered.manifests.clone();
    remembered.manifests.clear();
    for snapshot in &state.snapshots {
        // What somebody changed is told by the kept digests, each time.
        let changed = snapshot.manifest_fault_code == Some(FailureCode::ManifestChanged);
        if let Some(because) = snapshot.manifest_fault.as_ref().filter(|_| !changed) {
            let id = snapshot.record.id;
            let fault = ManifestFault::of(store, id, because.clone(), snapshot.manifest_fault_code);
            remembered.manifests.insert(id, fault);
        }
    }
    if remembered.manifests == before {
        return Ok(());
    }
    memory.remember(&record.id, remembered)
}

/// Remembers these files as damaged, beside those that are known.
///
/// # Errors
/// Fails if the state directory cannot be written.
pub fn learn_forged(
    memory: &StateDir,
    store: &Store,
    state: &DestinationState,
    forged: &[DamagedFile],
) -> Result<()> {
    let Some(record) = state.record.as_ref().filter(|_| !forged.is_empty()) else {
        return Ok(());
    };
    let mut remembered = memory.remembered(&record.id);
    let mut damaged = remembered.damaged.clone();
    for file in forged {
        if !damaged.iter().any(|known| known.inode == file.inode) {
            damaged.push(file.clone());
        }
    }
    remembered.damaged = still_there(store, damaged);
    memory.remember(&record.id, remembered)
}

/// Keeps the digests of manifests that stand on a destination and of which nothing is kept: those of
/// snapshots that were made before digests were kept, or before the state directory was lost. Gives
/// these snapshots, oldest first.
///
/// # Errors
/// Fails if the state directory cannot be written.
pub fn take_over_digests(
    memory: &StateDir,
    store: &Store,
    state: &DestinationState,
    now: DateTime<FixedOffset>,
) -> Result<Vec<SnapshotId>> {
    let Some(record) = &state.record else {
        return Ok(Vec::new());
    };
    let all = || state.snapshots.iter().map(|one| &one.record);
    note_changed(memory, store, all(), now)?;
    let is_new =
        |one: &&SnapshotRecord| !store.kept.contains_key(&one.id) && store.changed(one).is_none();
    // On the disk that this one is a copy of.
    let is_sealed_elsewhere = |one: &SnapshotRecord| {
        let kept = store.kept_of(one.id, one.manifest_digest);
        kept.is_some_and(|kept| !kept.taken_over)
    };
    let mut new: Vec<_> = all().filter(is_new).collect();
    new.sort_unstable_by_key(|one| one.id);
    // Of more than can be kept, the newest.
    let surplus = new.len().saturating_sub(room_to_take_over(&store.kept));
    new.drain(..surplus);
    if new.is_empty() {
        return Ok(Vec::new());
    }
    memory.change_kept_digests(&record.id, |kept| {
        for one in &new {
            let found = KeptDigest {
                taken_over: !is_sealed_elsewhere(one),
                ..KeptDigest::new(one.manifest_digest, now)
            };
            kept.entry(one.id).or_insert(found);
        }
    })?;
    new.retain(|one| !is_sealed_elsewhere(one));
    Ok(new.into_iter().map(|one| one.id).collect())
}

/// Whether a file was read in this pass: what is not among its damage is whole then.
fn was_read(found: &Verification, file: &DamagedFile) -> bool {
    let compared = |name: &schema::verify::StoredName| {
        let listed = found.snapshots.iter();
        let here = |one: &&schema::verify::VerifiedSnapshot| {
            one.id == name.snapshot && one.verdict != Verdict::Removed
        };
        let unread = found.damage.iter().any(|damage| {
            matches!(damage.kind, DamageKind::Manifest | DamageKind::Unreadable)
                && damage.names.iter().any(|of| of.snapshot == name.snapshot)
        });
        listed.filter(here).count() > 0 && !unread
    };
    found.depth.reads(file.inode)
        && found.damage_count == found.damage.len() as u64
        && file.names.iter().any(compared)
}

/// Forgets the damaged files that are not there any more, as after a repair.
///
/// # Errors
/// Fails if the state directory or the destination cannot be read or written.
pub fn forget_repaired(memory: &StateDir, store: &Store) -> Result<()> {
    let Some(record) = store.destination()? else {
        return Ok(());
    };
    let mut remembered = memory.remembered(&record.id);
    remembered.damaged = still_there(store, remembered.damaged);
    memory.remember(&record.id, remembered)
}
