//! Comparing snapshots with their manifests. Writes nothing to sources or destination.
//!
//! [`merge`] goes down manifest and tree side by side, [`read`] looks at entries and reads content
//! on several threads, [`names`] finds what shares a damaged inode, [`memory`] keeps it for the
//! planner, [`heal`] says what can be repaired. Works without the lock: what a run removes
//! meanwhile is told as removed.

pub(crate) mod compare;
pub mod forged;
pub mod heal;
pub mod memory;
mod merge;
mod names;
mod one_file;
mod pass;
mod read;
pub(crate) mod repair_source;
mod seen;
pub mod snapshots;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use schema::{
    SnapshotId, escape,
    record::Capabilities,
    verify::{
        Damage, DamageKind, Depth, FORMAT_VERSION, StoredName, Verdict, Verification,
        VerifiedSnapshot,
    },
};

use crate::{
    error::{Error, Result},
    event::{Context, Stop},
    store::{BACKUP, DESTINATION_FILE, Store},
    sys::distance::is_read_as_asked,
};
use names::WantedNames;

pub use one_file::compare_file;
use pass::{Pass, Raw, verify_interrupted};
use snapshots::FoundSnapshot;

fn into_inner<T: Default>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Compares the chosen snapshots with their manifests; `chosen` are places in `all`.
///
/// # Errors
/// An interruption, or a destination that cannot be read at all. Damage is in the result.
pub fn verify_snapshots(
    store: &Store,
    all: &[FoundSnapshot],
    chosen: &[usize],
    depth: Depth,
    context: Context<'_>,
) -> Result<Verification> {
    let started_at = context.clock.now();
    let destination = store.destination();
    let capabilities = match &destination {
        Ok(Some(record)) => record.capabilities.clone(),
        _ => Capabilities::all(),
    };
    let expected = expected_amount(all, chosen, depth);
    let device = store.root.stat_self();
    let device = device.map_err(|error| store.io("look at", "", error))?.dev;
    let pass = Pass::new(
        depth,
        (device, chosen.len() > 1),
        &capabilities,
        expected,
        (context.width_on(&store.root), is_read_as_asked(&store.root)),
        context,
    );
    let entries = read::with_readers(&pass, |readers| {
        chosen
            .iter()
            .map(|at| merge::compare_snapshot(&pass, store, all, *at, readers))
            .collect::<Result<Vec<u64>>>()
    })
    .map_err(verify_interrupted)?;
    pass.report();
    let (files_read, bytes_read) = (
        pass.files.load(Ordering::Relaxed),
        pass.bytes.load(Ordering::Relaxed),
    );
    let total = pass.entries.load(Ordering::Relaxed);
    let mut findings =
        judge_findings(store, all, pass, context.stop).map_err(verify_interrupted)?;
    if let Err(error) = &destination {
        findings.damage.insert(0, of_destination(error));
    }
    let snapshots = give_verdicts(all, chosen, &entries, &findings);
    Ok(Verification {
        format_version: FORMAT_VERSION,
        host: store.path.rsplit('/').next().unwrap_or_default().to_owned(),
        folder: store.path.clone(),
        destination_id: destination.ok().flatten().map(|record| record.id),
        depth,
        started_at,
        ended_at: context.clock.now(),
        snapshots,
        not_looked_at: Vec::new(),
        entries: total,
        files_read,
        bytes_read,
        damage_count: findings.damage.len() as u64 + findings.more,
        damage: findings.damage,
        against_state: None,
        repair: None,
        rebuilt: None,
    })
}

/// What a pass found, once it is known what of it is damage; snapshots by their places in the list
/// of all.
struct Findings {
    damage: Vec<Damage>,
    /// Damage that is not listed.
    more: u64,
    /// Snapshots that were removed meanwhile.
    removed: BTreeSet<usize>,
    /// Snapshots with damage that is not listed.
    unlisted: BTreeSet<usize>,
}

/// Says what of all that a pass found is damage.
fn judge_findings(
    store: &Store,
    all: &[FoundSnapshot],
    pass: Pass<'_>,
    stop: &Stop,
) -> Result<Findings> {
    let device = pass.device;
    let counted = pass.damage_count.load(Ordering::Relaxed);
    let mut raws = into_inner(pass.found);
    let unlisted = into_inner(pass.unlisted);
    let mut more = counted - raws.len() as u64;
    raws.extend(confirmed_doubts(into_inner(pass.doubts), &raws));
    let removed = removed_snapshots(store, all, &mut raws, &unlisted);
    if unlisted.is_subset(&removed) {
        more = 0;
    }
    raws.retain(|raw| !told_before(raw, &all[raw.snapshot]));
    Ok(Findings {
        damage: merge_by_inode((store, device), all, raws, stop)?,
        more,
        removed,
        unlisted,
    })
}

/// What is said of each of the chosen snapshots; `entries` has how many were compared of each.
fn give_verdicts(
    all: &[FoundSnapshot],
    chosen: &[usize],
    entries: &[u64],
    findings: &Findings,
) -> Vec<VerifiedSnapshot> {
    let damage = findings.damage.iter();
    let damaged: BTreeSet<SnapshotId> = damage
        .flat_map(|one| one.names.iter().map(|name| name.snapshot))
        .collect();
    let verdict_of = |at: &usize| {
        if findings.removed.contains(at) {
            Verdict::Removed
        } else if damaged.contains(&all[*at].id) || findings.unlisted.contains(at) {
            Verdict::Damaged
        } else {
            Verdict::Whole
        }
    };
    let snapshots = chosen.iter().zip(entries).map(|(at, entries)| {
        let FoundSnapshot { id, home, .. } = &all[*at];
        VerifiedSnapshot {
            id: *id,
            home: *home,
            entries: *entries,
            verdict: verdict_of(at),
        }
    });
    snapshots.collect()
}

/// Entries to compare and bytes to read, as far as the records tell: what a snapshot was linked to
/// is read once.
fn expected_amount(all: &[FoundSnapshot], chosen: &[usize], depth: Depth) -> (u64, u64) {
    let records = || chosen.iter().filter_map(|at| all[*at].record.as_ref().ok());
    let entries = records().map(|record| record.totals.entries).sum();
    let first = records().next().map_or(0, |record| record.totals.bytes);
    let later = records().skip(1).map(|record| record.totals.bytes_copied);
    let bytes = first + later.sum::<u64>();
    let bytes = match depth {
        Depth::Quick => 0,
        Depth::Subset { of, .. } => bytes / u64::from(of.max(1)),
        Depth::Full => bytes,
    };
    (entries, bytes)
}

/// Files that are surely not what their manifest says: their inode is whole, as another name of it
/// expects.
fn confirmed_doubts(doubts: Vec<Raw>, found: &[Raw]) -> Vec<Raw> {
    let inodes = found.iter().filter_map(|raw| Some(raw.inode?.identity));
    let bad: BTreeSet<u64> = inodes.collect();
    let is_whole = |raw: &Raw| {
        raw.inode
            .is_some_and(|inode| !bad.contains(&inode.identity))
    };
    doubts
        .into_iter()
        .filter(is_whole)
        // The damage is this name's, not the inode's.
        .map(|raw| Raw { inode: None, ..raw })
        .collect()
}

/// The snapshots with damage that are not there any more, whose damage is none.
fn removed_snapshots(
    store: &Store,
    all: &[FoundSnapshot],
    raws: &mut Vec<Raw>,
    unlisted: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let listed = raws.iter().map(|raw| raw.snapshot);
    let with_damage: BTreeSet<usize> = listed.chain(unlisted.iter().copied()).collect();
    let removed: BTreeSet<usize> = with_damage
        .into_iter()
        .filter(|at| matches!(store.home_of(all[*at].id), Ok(None)))
        .collect();
    raws.retain(|raw| !removed.contains(&raw.snapshot));
    removed
}

/// Whether the record lists that this could not be read or that its metadata could not be stored.
fn told_before(raw: &Raw, found: &FoundSnapshot) -> bool {
    let Ok(record) = &found.record else {
        return false;
    };
    let kind = match raw.kind {
        DamageKind::Metadata => true,
        DamageKind::Unreadable => raw.inode.is_none(),
        _ => false,
    };
    kind && !record.problems.is_empty() && {
        let path = raw.path.shown();
        record.problems.iter().any(|problem| problem.path == path)
    }
}

/// One damage for each inode with all that share it, and one for each other name.
fn merge_by_inode(
    (store, device): (&Store, u64),
    all: &[FoundSnapshot],
    raws: Vec<Raw>,
    stop: &Stop,
) -> Result<Vec<Damage>> {
    let mut wanted: HashMap<u64, WantedNames> = HashMap::new();
    for raw in &raws {
        if let Some(inode) = raw.inode {
            let one = wanted.entry(inode.identity).or_default();
            one.links = inode.links;
            one.is_cloned = inode.is_cloned;
            one.paths.insert(raw.path.clone());
            one.names.insert(stored_name(all, raw));
        }
    }
    if !wanted.is_empty() {
        names::find_names((store, device), all, &mut wanted, stop)?;
    }
    let mut by_inode: BTreeMap<u64, Damage> = BTreeMap::new();
    let mut damage = Vec::new();
    for raw in raws {
        let one = Damage {
            kind: raw.kind,
            names: stored_names(all, &raw),
            message: raw.message,
            inode: raw.inode.map(|inode| inode.number),
            expected: raw.expected,
            found: raw.found,
            not_repaired: None,
        };
        let Some(inode) = raw.inode.map(|inode| inode.identity) else {
            // Each of the snapshots that share a segment says the same.
            let is_told = |told: &Damage| {
                told.names.len() > 1 && (&told.names, told.kind) == (&one.names, one.kind)
            };
            if !damage.iter().any(is_told) {
                damage.push(one);
            }
            continue;
        };
        match by_inode.get_mut(&inode) {
            // Of what several names say of one inode the gravest says most.
            Some(there) if there.kind <= one.kind => {}
            there => {
                let names = wanted.get_mut(&inode).map(|one| &mut one.names);
                let names = match there {
                    Some(there) => std::mem::take(&mut there.names),
                    None => names
                        .map(std::mem::take)
                        .unwrap_or_default()
                        .into_iter()
                        .collect(),
                };
                by_inode.insert(inode, Damage { names, ..one });
            }
        }
    }
    damage.extend(by_inode.into_values());
    damage.sort_by(|a, b| (&a.names, a.kind).cmp(&(&b.names, b.kind)));
    Ok(damage)
}

/// The name that something was found at, with those that share it.
fn stored_names(all: &[FoundSnapshot], raw: &Raw) -> Vec<StoredName> {
    let own = stored_name(all, raw);
    let others = raw.shared_by.iter().map(|snapshot| StoredName {
        snapshot: *snapshot,
        path: own.path.clone(),
    });
    let mut names: Vec<StoredName> = others.chain([own.clone()]).collect();
    names.sort();
    names
}

fn stored_name(all: &[FoundSnapshot], raw: &Raw) -> StoredName {
    StoredName {
        snapshot: all[raw.snapshot].id,
        path: escape::escape(&raw.path),
    }
}

fn of_destination(error: &Error) -> Damage {
    Damage {
        kind: DamageKind::Record,
        message: format!("{BACKUP}/{DESTINATION_FILE}: {}", error.message),
        names: Vec::new(),
        inode: None,
        expected: None,
        found: None,
        not_repaired: None,
    }
}
