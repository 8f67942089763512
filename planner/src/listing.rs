//! What stands on a destination, as `backup list --json` prints it.
//!
//! Owns what is said of each snapshot. It must not decide which are good: marks and records say it.

use std::cmp::Reverse;

use chrono::{DateTime, FixedOffset};
use schema::{
    Config, Tier,
    inventory::{DestinationState, SnapshotState},
    output::list::{FORMAT_VERSION, ListedSnapshot, SnapshotList},
};

use crate::{
    facts,
    overview::{Standing, overview},
    retention::{Policy, decide_retention},
};

/// Lists what stands on a destination, snapshots newest first.
#[must_use]
pub fn list_snapshots(
    config: &Config,
    destination: &DestinationState,
    now: DateTime<FixedOffset>,
) -> SnapshotList {
    let mut standings = overview(config, destination, now);
    let mut snapshots: Vec<ListedSnapshot> = destination
        .snapshots
        .iter()
        .filter_map(|snapshot| {
            let standing = standings.remove(&snapshot.record.id)?;
            Some(list_snapshot(snapshot, standing, destination, now))
        })
        .collect();
    snapshots.sort_by_key(|one| (Reverse(one.started_at), one.id));
    SnapshotList {
        destinations: std::collections::BTreeMap::new(),
        format_version: FORMAT_VERSION,
        mount_point: destination.mount_point.to_string(),
        snapshots,
        record_fault: destination.record_fault.clone(),
        unmanaged: destination.unmanaged.clone(),
        unfinished: destination.partial.clone(),
        being_removed: destination.trash.clone(),
    }
}

/// Lists what stands on a remote with history, of which `known` is what is known: there are no tiers there,
/// and each snapshot is shown in those by which the retention keeps it.
#[must_use]
pub fn list_remote_snapshots(
    config: &Config,
    known: &DestinationState,
    remote: &str,
    now: DateTime<FixedOffset>,
) -> SnapshotList {
    let found: Vec<_> = known.snapshots.iter().map(facts::candidate).collect();
    let decision = decide_retention(&Policy::of(&config.local), now.to_utc(), &found);
    let mut list = list_snapshots(config, known, now);
    list.mount_point = remote.to_owned();
    for one in &mut list.snapshots {
        if let Some(kept) = decision.keep.get(&one.id) {
            one.home = kept.home;
            one.tiers.clone_from(&kept.tiers);
        }
    }
    list
}

fn list_snapshot(
    snapshot: &SnapshotState,
    standing: Standing,
    destination: &DestinationState,
    now: DateTime<FixedOffset>,
) -> ListedSnapshot {
    let SnapshotState {
        home,
        record,
        marks,
        ..
    } = snapshot;
    let is_linked = |tier: Tier| {
        let mut links = destination.links.iter();
        links.any(|link| link.tier == tier && link.id == record.id)
    };
    ListedSnapshot {
        id: record.id,
        home: *home,
        tiers: Tier::ALL
            .into_iter()
            .filter(|tier| tier == home || is_linked(*tier))
            .collect(),
        started_at: record.started_at,
        age_seconds: (now - record.started_at).num_seconds(),
        files: record.totals.files,
        bytes: record.totals.bytes,
        new_bytes: record.totals.bytes_copied,
        frees: standing.frees,
        frees_is_exact: standing.exact,
        kept: standing.kept,
        expires: standing.expires,
        complete: record.complete,
        problems: record.totals.errors.max(record.problems.len() as u64),
        gone: record.gone.clone(),
        suspect: record.suspect.clone(),
        accepted: marks.accepted,
        pinned: marks.pinned,
        verified_at: marks.verified_at,
        damaged: snapshot.damaged,
        manifest_fault: snapshot.manifest_fault.clone(),
        manifest_rebuilt_at: record.manifest_rebuilt_at,
        record_rebuilt_at: record.record_rebuilt_at,
    }
}
