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
};

use super::{Present, supposed_inventory};
use crate::{
    Options,
    facts::Facts,
    pipeline::sorted,
    steps::{expiry, room},
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
