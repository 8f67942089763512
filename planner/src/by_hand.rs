//! Deletions that a person asks for: the policy alone, or snapshots by name.
//!
//! Owns what a person may delete: never the newest good snapshot, a pinned one or the only one.

use schema::{
    Config, ExpireReason, Finding, Inventory, SnapshotId, Tier,
    inventory::{DestinationState, SnapshotState},
    plan::{DeletePurpose, DeleteStep, Deletion, Lost, Rotation, Unlink},
};

use crate::{
    Options,
    facts::{self, Facts},
    findings::{code, refusal},
    pipeline::sorted,
    retention::{self, Candidate},
    steps::{expiry, rotate},
};

/// What the policy lets go now, and the tiers as it wants them; that a person asks is approval.
///
/// # Errors
/// A refusal while a snapshot is suspect and nobody has accepted it.
pub fn plan_prune(config: &Config, inventory: &Inventory) -> Result<DeleteStep, Box<Finding>> {
    let options = Options {
        approve_deletions: true,
        ..Options::default()
    };
    let inventory = &sorted(inventory);
    let facts = Facts::new(config, inventory, &options);
    let mut rotation = facts
        .destination
        .map(|destination| rotate::rotation(&facts, destination, None, 0))
        .unwrap_or_default();
    if let Some(because) = rotation.withheld_because.take() {
        return Err(Box::new(Finding {
            severity: schema::Severity::Refusal,
            ..because
        }));
    }
    Ok(DeleteStep {
        purpose: DeletePurpose::Prune,
        rotation,
    })
}

/// These snapshots, and the links to them.
///
/// # Errors
/// A refusal that names the one that must stay.
pub fn plan_deletion(
    config: &Config,
    inventory: &Inventory,
    ids: &[SnapshotId],
) -> Result<DeleteStep, Box<Finding>> {
    let options = Options::default();
    let inventory = &sorted(inventory);
    let facts = Facts::new(config, inventory, &options);
    let Some(destination) = facts.destination else {
        return Ok(DeleteStep {
            purpose: DeletePurpose::Delete,
            rotation: Rotation::default(),
        });
    };
    let found: Vec<Candidate> = destination.snapshots.iter().map(facts::candidate).collect();
    let newest = || retention::newest_good(&found, facts.now).map(|newest| newest.id);
    let good = facts.last_good.map(|good| good.id).or_else(newest);
    check_what_stays(good, &destination.snapshots, &found, ids)?;
    let deletions = delete_named(&facts, destination, &found, ids);
    let left = rotate::without(destination, &deletions);
    let latest = newest_left(&facts, &left);
    Ok(DeleteStep {
        purpose: DeletePurpose::Delete,
        rotation: Rotation {
            unlinks: unlink_named(destination, ids),
            latest,
            deletions,
            ..Rotation::default()
        },
    })
}

/// Refuses to delete the newest good snapshot, a pinned one or the only one.
pub(crate) fn check_what_stays(
    good: Option<SnapshotId>,
    snapshots: &[SnapshotState],
    found: &[Candidate],
    ids: &[SnapshotId],
) -> Result<(), Box<Finding>> {
    for id in ids {
        let stays = |why: &str, hint: &str| {
            Err(Box::new(
                refusal(code::SNAPSHOT_STAYS, format!("snapshot {id} stays: {why}")).hint(hint),
            ))
        };
        if Some(*id) == good {
            return stays(
                "it is the newest good one",
                "make a new one first with `backup now`",
            );
        }
        let mut pinned = snapshots.iter();
        if pinned.any(|one| one.record.id == *id && one.marks.pinned) {
            let unpins = format!("`backup unpin {id}` leaves it to you again");
            return stays("it is pinned", &unpins);
        }
        if found.iter().all(|one| ids.contains(&one.id)) && found.iter().any(|one| one.id == *id) {
            return stays(
                "no other would be left",
                "make a new one first with `backup now`",
            );
        }
    }
    Ok(())
}

/// The deletions of these snapshots, those with a damaged record last.
fn delete_named(
    facts: &Facts<'_>,
    destination: &DestinationState,
    found: &[Candidate],
    ids: &[SnapshotId],
) -> Vec<Deletion> {
    let held = expiry::snapshot_holdings(facts, destination, false);
    let named = found
        .iter()
        .filter(|one| ids.contains(&one.id))
        .map(|one| (one.id, ExpireReason::ByHand));
    let mut deletions = expiry::deletions_of(destination, &held, named);
    let managed: Vec<SnapshotId> = deletions.iter().map(|one| one.id).collect();
    let others = ids.iter().filter(|id| !managed.contains(id));
    deletions.extend(others.filter_map(|id| damaged_snapshot(destination, *id)));
    deletions
}

/// The removal of all links to these snapshots.
fn unlink_named(destination: &DestinationState, ids: &[SnapshotId]) -> Vec<Unlink> {
    let links = destination.links.iter();
    let unlinks = links
        .filter(|link| ids.contains(&link.id))
        .map(|link| Unlink {
            tier: link.tier,
            id: link.id,
            reason: "the snapshot is deleted".to_owned(),
        });
    unlinks.collect()
}

/// Where `latest` points afterwards: the folder of the newest good snapshot that is left.
fn newest_left(facts: &Facts<'_>, left: &DestinationState) -> Option<String> {
    let rest: Vec<Candidate> = left.snapshots.iter().map(facts::candidate).collect();
    let newest = retention::newest_good(&rest, facts.now).map(|newest| newest.id);
    let home = |id: SnapshotId| -> Option<Tier> {
        let mut all = left.snapshots.iter();
        all.find(|one| one.record.id == id).map(|one| one.home)
    };
    newest
        .filter(|_| facts.symlinks())
        .and_then(|id| Some(format!("{}/{id}", home(id)?)))
}

/// A snapshot of ours whose record is damaged: what it shares is not known.
fn damaged_snapshot(destination: &DestinationState, id: SnapshotId) -> Option<Deletion> {
    let name = id.to_string();
    let mut unmanaged = destination.unmanaged.iter();
    let found = unmanaged.find(|one| one.name == name && one.record_fault.is_some())?;
    Some(Deletion {
        id,
        home: found.tier,
        reason: ExpireReason::ByHand,
        frees: 0,
        lost: Some(Lost::UNKNOWN),
    })
}
