//! Whether what a plan from a file deletes is what the present rules let go.
//!
//! Owns the comparison. What the linter protects whatever the rules say is its own; here it is asked
//! whether the rules let a snapshot go at all, so that whoever writes a plan has nothing deleted that the
//! configuration keeps.

use std::collections::BTreeSet;

use schema::{
    Inventory, Plan, SnapshotId,
    inventory::DestinationState,
    plan::{Action, DeletePurpose, Deletion, RotateStep, Step},
    remote_history::RemoteContent,
};

use super::{Present, supposed_inventory};
use crate::{
    Options,
    facts::Facts,
    pipeline::sorted,
    steps::{expiry, remote_expiry, room},
};

/// The first snapshot that a plan would delete although the present configuration keeps it, as a
/// sentence without an end; none where there is none. `destination` is as it is now: what a run that
/// was interrupted has deleted, and the snapshot that it makes, are not held against it.
#[must_use]
pub fn find_undue_deletion(
    plan: &Plan,
    present: &Present<'_>,
    destination: &DestinationState,
) -> Option<String> {
    let inventory = &found_inventory(plan, present, destination);
    let options = Options {
        // Whether a person has to be asked is no question of what may go.
        approve_deletions: true,
        ..Options::default()
    };
    let facts = Facts {
        // Where a source had lost its files nothing is deleted, which the linter sees to.
        emptied: Vec::new(),
        ..Facts::new(present.config, inventory, &options)
    };
    let found = facts.destination?;
    let room = deletions_for_room(plan);
    // What made room is gone when the rotation is decided.
    let left = without(found, &room);
    let undue = |step: &Step| {
        let (deletions, due) = match &step.action {
            Action::Rotate(rotate) => (
                deletions_of_rotation(rotate),
                expiry::all_expired(&facts, &left, plan.snapshot().is_some()),
            ),
            Action::Delete(delete) => (
                delete.rotation.deletions.iter().collect(),
                match delete.purpose {
                    DeletePurpose::MakeRoom => room::all_that_may_go(&facts, found),
                    DeletePurpose::Prune => expiry::all_expired(&facts, found, false),
                    // Nothing but the word of a person gives these.
                    DeletePurpose::Delete => BTreeSet::new(),
                },
            ),
            _ => return None,
        };
        let is_there = |one: &Deletion| found.snapshots.iter().any(|it| it.record.id == one.id);
        let mut undue = deletions.into_iter();
        let undue = undue.find(|one| is_there(one) && !due.contains(&one.id))?;
        let (id, home) = (undue.id, undue.home);
        let why = match &step.action {
            Action::Delete(delete) if delete.purpose == DeletePurpose::Delete => {
                format!("which only the person who named it lets go: `backup delete {id}` does so")
            }
            _ => "which the configuration keeps".to_owned(),
        };
        Some(format!(
            "step `{}` would delete {home}/{id}, {why}",
            step.id
        ))
    };
    plan.steps.iter().find_map(undue)
}

/// The first snapshot on a remote that a plan would let go, or take away, although the present configuration
/// does not, as a sentence without an end. `chain` and `present` are those of the remote, `inventory` is its
/// own: what this machine knows of it now.
#[must_use]
pub fn find_undue_expiry(
    chain: &Plan,
    present: &Present<'_>,
    inventory: &Inventory,
) -> Option<String> {
    let content = inventory.cloud.as_ref()?.history.as_ref();
    let nothing = RemoteContent::default();
    let content = content.unwrap_or(&nothing);
    let options = Options::default();
    let facts = Facts::new(present.config, inventory, &options);
    chain.steps.iter().find_map(|step| {
        let Action::Expire(expire) = &step.action else {
            return None;
        };
        let due = remote_expiry::all_expired(&facts, content);
        let is_due = |id: SnapshotId| due.iter().any(|one| one.id == id);
        let mut undue = expire.expire.iter().filter(|one| !is_due(one.id));
        if let Some(undue) = undue.next() {
            return Some(format!(
                "step `{}` would let {} go, which the configuration keeps",
                step.id, undue.id
            ));
        }
        let swept = remote_expiry::all_swept(&facts, content);
        let is_swept = |id: SnapshotId| swept.iter().any(|one| one.id == id);
        let mut early = expire.sweep.iter().filter(|one| !is_swept(one.id));
        early.next().map(|early| {
            format!(
                "step `{}` would take {} away, which is not let go for long enough",
                step.id, early.id
            )
        })
    })
}

/// What the plan is held against: the destination as it is, without the snapshot that the plan makes, at
/// the time at which it was made.
fn found_inventory(
    plan: &Plan,
    present: &Present<'_>,
    destination: &DestinationState,
) -> Inventory {
    let own: Vec<SnapshotId> = plan.snapshot().map(|step| step.id).into_iter().collect();
    let inventory = Inventory {
        destination: Some(without(destination, &own)),
        ..supposed_inventory(plan, present)
    };
    sorted(&inventory).into_owned()
}

fn without(destination: &DestinationState, gone: &[SnapshotId]) -> DestinationState {
    let mut left = destination.clone();
    left.snapshots.retain(|one| !gone.contains(&one.record.id));
    left.links.retain(|link| !gone.contains(&link.id));
    left
}

/// All that either outcome of the snapshot lets go.
fn deletions_of_rotation(step: &RotateStep) -> Vec<&Deletion> {
    let other = step.on_incomplete.iter().flat_map(|one| &one.deletions);
    step.on_complete.deletions.iter().chain(other).collect()
}

fn deletions_for_room(plan: &Plan) -> Vec<SnapshotId> {
    let for_room = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Delete(delete) if delete.purpose == DeletePurpose::MakeRoom => {
            Some(&delete.rotation.deletions)
        }
        _ => None,
    });
    let ids: BTreeSet<SnapshotId> = for_room.flatten().map(|one| one.id).collect();
    ids.into_iter().collect()
}
