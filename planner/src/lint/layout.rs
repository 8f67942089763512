//! Whether what a plan makes, moves and links gets in the way of what is there.

use std::collections::BTreeMap;

use schema::{
    Plan, SnapshotId, Tier,
    plan::{Action, Basis, Rotation, SnapshotStep, SpaceCheckStep, Step},
};

use super::{Broken, PATH_OUTSIDE, TOUCHES_PROTECTED, standing::Standing};

pub(super) fn check(plan: &Plan, standing: &Standing<'_>, broken: &mut Broken) {
    for step in &plan.steps {
        match &step.action {
            Action::Snapshot(snapshot) => is_new(step, snapshot, standing, broken),
            Action::SpaceCheck(check) => leftovers(plan, step, check, standing, broken),
            Action::Rotate(rotate) => {
                let new = plan.snapshot();
                let other = rotate.on_incomplete.as_deref();
                for rotation in [&rotate.on_complete].into_iter().chain(other) {
                    tiers(step, rotation, new, standing, broken);
                }
            }
            Action::Delete(delete) => tiers(step, &delete.rotation, None, standing, broken),
            _ => {}
        }
    }
}

/// A snapshot gets a name that nothing has, and starts from what can be read.
fn is_new(step: &Step, snapshot: &SnapshotStep, standing: &Standing<'_>, broken: &mut Broken) {
    let (id, home) = (snapshot.id, snapshot.home);
    if standing.is_unmanaged(home, id) {
        let what = format!("would make {home}/{id}, where something else stands");
        broken.step(TOUCHES_PROTECTED, step, what);
    }
    let Some(found) = standing.destination.filter(|_| standing.is_new) else {
        return;
    };
    let mut names = found.snapshots.iter().map(|one| one.record.id);
    let mut links = found.links.iter().map(|link| link.id);
    if names.any(|one| one == id) || links.any(|one| one == id) {
        let what = format!("would make {home}/{id}, which is there already");
        broken.step(TOUCHES_PROTECTED, step, what);
    }
    for basis in snapshot.basis.iter().chain(&snapshot.also_link) {
        let Basis { id, home } = basis;
        let there = standing.snapshots.get(id);
        if !there.is_some_and(|one| one.home == *home && one.serves_as_basis()) {
            let what = format!("would link to {home}/{id}, which is no snapshot that can be read");
            broken.step(TOUCHES_PROTECTED, step, what);
        }
    }
    let mut partial = found.partial.iter().map(|left| left.id);
    if let Some(from) = snapshot.continue_from
        && !partial.any(|one| one == from)
    {
        let what = format!("would continue {from}, which is no unfinished snapshot");
        broken.step(TOUCHES_PROTECTED, step, what);
    }
}

/// What is reclaimed was left over, and is needed by nothing.
fn leftovers(
    plan: &Plan,
    step: &Step,
    check: &SpaceCheckStep,
    standing: &Standing<'_>,
    broken: &mut Broken,
) {
    let Some(found) = standing.destination else {
        return;
    };
    let continued = plan.snapshot().and_then(|snapshot| snapshot.continue_from);
    for discarded in &check.discard_partial {
        let id = discarded.id;
        if Some(id) == continued {
            let what = format!("would throw {id} away, which the new snapshot continues");
            broken.step(TOUCHES_PROTECTED, step, what);
        } else if standing.is_new && found.partial.iter().all(|left| left.id != id) {
            let what = format!("would throw {id} away, which is no unfinished snapshot");
            broken.step(TOUCHES_PROTECTED, step, what);
        }
    }
    for id in &check.empty_trash {
        if standing.is_new && found.trash.iter().all(|left| left.id != *id) {
            let what = format!("would end the removal of {id}, which nothing began");
            broken.step(TOUCHES_PROTECTED, step, what);
        }
    }
    for id in &check.clear_records {
        let name = id.to_string();
        let stands = standing.snapshots.contains_key(id)
            || found.unmanaged.iter().any(|one| one.name == name);
        if stands || (standing.is_new && !found.lost.contains(id)) {
            let what = format!("would remove the record of {id}, which is not lost");
            broken.step(TOUCHES_PROTECTED, step, what);
        }
    }
}

/// The tiers after a rotation: nothing moves or links onto what is not the program's, and each link
/// leads to a snapshot that stays.
fn tiers(
    step: &Step,
    rotation: &Rotation,
    new: Option<&SnapshotStep>,
    standing: &Standing<'_>,
    broken: &mut Broken,
) {
    let there = standing.snapshots.iter().map(|(id, one)| (*id, one.home));
    let new = new.map(|new| (new.id, new.home));
    let mut homes: BTreeMap<SnapshotId, Tier> = there.chain(new).collect();
    for change in &rotation.moves {
        let (id, from, to) = (change.id, change.from, change.to);
        let what = if standing.is_unmanaged(to, id) {
            format!("would move {from}/{id} to {to}, where something else stands")
        } else if standing.is_new && homes.get(&id) != Some(&from) {
            format!("would move {from}/{id}, which is no snapshot")
        } else {
            homes.insert(id, to);
            continue;
        };
        broken.step(TOUCHES_PROTECTED, step, what);
    }
    for gone in &rotation.deletions {
        homes.remove(&gone.id);
    }
    let leads = |id: SnapshotId, target: &str| match homes.get(&id) {
        Some(home) => target == format!("{home}/{id}"),
        // What was moved by the run that was interrupted.
        None => {
            !standing.is_new
                && Tier::ALL
                    .iter()
                    .any(|home| target == format!("{home}/{id}"))
        }
    };
    for link in &rotation.links {
        let (tier, id) = (link.tier, link.id);
        if standing.is_unmanaged(tier, id) {
            let what = format!("would link {tier}/{id}, where something else stands");
            broken.step(TOUCHES_PROTECTED, step, what);
        }
        let target = link.target.strip_prefix("../");
        if !target.is_some_and(|target| leads(id, target)) {
            let what = format!(
                "would link {tier}/{id} to `{}`, which it is not",
                link.target
            );
            broken.step(PATH_OUTSIDE, step, what);
        }
    }
    if let Some(latest) = &rotation.latest {
        let id = latest.rsplit('/').next().and_then(|id| id.parse().ok());
        if !id.is_some_and(|id| leads(id, latest)) {
            let what = format!("would point `latest` to `{latest}`, which is no snapshot");
            broken.step(PATH_OUTSIDE, step, what);
        }
    }
    unlinks(step, rotation, standing, broken);
}

/// Only links go, and only those that are there.
fn unlinks(step: &Step, rotation: &Rotation, standing: &Standing<'_>, broken: &mut Broken) {
    let Some(found) = standing.destination.filter(|_| standing.is_new) else {
        return;
    };
    for gone in &rotation.unlinks {
        let (tier, id) = (gone.tier, gone.id);
        let mut links = found.links.iter();
        if !links.any(|link| (link.tier, link.id) == (tier, id)) {
            let what = format!("would take {tier}/{id} away, which is no link");
            broken.step(TOUCHES_PROTECTED, step, what);
        }
    }
}
