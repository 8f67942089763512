//! From where the content of a snapshot comes besides the sources: what is read of a slow one for a destination is
//! not read again for the next, which takes it from there.
//!
//! No destination waits for another for that, or needs it: what it does not have comes from the sources.

use schema::{
    Inventory, Plan,
    config::{AbsolutePath, DestinationName},
    inventory::Presence,
    plan::{Action, ContentFrom, SnapshotStep},
};

/// Has each snapshot take what it can from those that are made before it; the plans are in the order of a run, each
/// with the name of its destination.
pub(crate) fn share_content(plans: &mut [(DestinationName, &mut Plan)], inventory: &Inventory) {
    let mut made: Vec<(ContentFrom, Vec<AbsolutePath>)> = Vec::new();
    for (of, plan) in plans {
        let sources = inventory.view(of).sources;
        let distant = sources.iter().filter(|one| one.is_distant);
        let distant: Vec<&AbsolutePath> = distant
            .filter(|one| one.presence == Presence::Present)
            .map(|one| &one.path)
            .collect();
        let Some(snapshot) = snapshot_of(plan) else {
            continue;
        };
        let has_some = |(_, paths): &&(ContentFrom, Vec<AbsolutePath>)| {
            let mut pairs = distant
                .iter()
                .flat_map(|one| paths.iter().map(move |it| (one, it)));
            pairs.any(|(one, it)| overlap(one, it))
        };
        let from = made.iter().filter(has_some).map(|(from, _)| from.clone());
        snapshot.content_from = from.collect();
        let paths = snapshot.sources.iter().map(|source| source.path.clone());
        let own = ContentFrom {
            of: of.clone(),
            snapshot: snapshot.id,
        };
        made.push((own, paths.collect()));
    }
}

/// Takes out what is not made any more.
pub(crate) fn drop_lost(plan: &mut Plan) {
    let made: Vec<ContentFrom> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Snapshot(snapshot) => Some(ContentFrom {
                of: step
                    .of
                    .clone()
                    .unwrap_or_else(|| DestinationName::new(DestinationName::LOCAL)),
                snapshot: snapshot.id,
            }),
            _ => None,
        })
        .collect();
    for step in &mut plan.steps {
        if let Action::Snapshot(snapshot) = &mut step.action {
            snapshot.content_from.retain(|from| made.contains(from));
        }
    }
}

fn snapshot_of(plan: &mut Plan) -> Option<&mut SnapshotStep> {
    plan.steps
        .iter_mut()
        .find_map(|step| match &mut step.action {
            Action::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        })
}

/// Whether one of two sources is the other, or in it.
fn overlap(one: &AbsolutePath, other: &AbsolutePath) -> bool {
    let (one, other) = (one.as_stored(), other.as_stored());
    one.is_within(other) || other.is_within(one)
}
