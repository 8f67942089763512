//! What this machine remembers of a destination's damage, and what of it still holds.
//!
//! An inode that was repaired or whose snapshots are gone leaves the list by itself: its names
//! lead elsewhere. Numbers of inodes are given again, so a number alone is never trusted.

use std::collections::BTreeMap;

use schema::{
    SnapshotId,
    inventory::DestinationState,
    verify::{DamageKind, DamagedFile, Depth, Verdict, Verification},
};

use super::{names::leads_to, snapshots::FoundSnapshot};
use crate::{
    error::Result,
    state_dir::{ManifestFault, Remembered, StateDir},
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
    let others =
        here().filter(|damage| damage.inode.is_none() && damage.kind != DamageKind::Record);
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
        if let Some(because) = &snapshot.manifest_fault {
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
