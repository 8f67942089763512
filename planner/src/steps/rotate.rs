//! Decides what retention changes after a good snapshot: the tiers, `latest`, and what is deleted.
//!
//! Owns the deletions: their order, what each frees, and when all of them wait for a person. The
//! newest good snapshot is never among them, whatever retention says.

use std::{borrow::Cow, collections::BTreeMap};

use schema::{
    Finding, SnapshotId, Tier,
    inventory::DestinationState,
    plan::{Action, Deletion, Keep, RotateStep, Rotation},
};

use super::{
    Draft, expiry,
    layout::{self, TierState},
    room,
};
use crate::{
    facts::{self, Facts},
    findings::code,
    retention::{self, Candidate, Decision, Policy},
};

/// The rotation, where there are local snapshots.
pub(crate) fn decide_rotation(facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Option<Draft> {
    let destination = facts.destination?;
    // What made room is gone by then.
    let room = room::of(facts, destination);
    let left = without(destination, &room.deletions);
    let gone = room.deletions.len();
    let on_complete = rotation(facts, &left, Some(expiry::new_candidate(facts, true)), gone);
    let on_incomplete = rotation(
        facts,
        &left,
        Some(expiry::new_candidate(facts, false)),
        gone,
    );
    // Unaccepted suspect snapshots were reported already.
    findings.extend(
        on_complete
            .withheld_because
            .iter()
            .filter(|finding| finding.code != code::SUSPECT_SNAPSHOT)
            .cloned(),
    );
    Some(Draft::needing(
        &["snapshot"],
        Action::Rotate(RotateStep {
            on_incomplete: differs(&on_incomplete, &on_complete).then(|| Box::new(on_incomplete)),
            on_complete,
        }),
    ))
}

/// The destination once these are deleted.
pub(crate) fn without<'a>(
    destination: &'a DestinationState,
    gone: &[Deletion],
) -> Cow<'a, DestinationState> {
    if gone.is_empty() {
        return Cow::Borrowed(destination);
    }
    let mut left = destination.clone();
    let is_gone = |id: SnapshotId| gone.iter().any(|one| one.id == id);
    left.snapshots.retain(|one| !is_gone(one.record.id));
    left.links.retain(|link| !is_gone(link.id));
    Cow::Owned(left)
}

/// Whether two rotations do different things; the reasons to keep a snapshot do nothing.
fn differs(one: &Rotation, other: &Rotation) -> bool {
    let Rotation {
        keep,
        unlinks,
        moves,
        links,
        latest,
        deletions,
        withheld,
        withheld_because,
        unapproved,
    } = one;
    let same_homes = keep.len() == other.keep.len()
        && keep
            .iter()
            .zip(&other.keep)
            .all(|(a, b)| (a.id, a.home) == (b.id, b.home));
    !same_homes
        || *unlinks != other.unlinks
        || *moves != other.moves
        || *links != other.links
        || *latest != other.latest
        || *deletions != other.deletions
        || *withheld != other.withheld
        || *withheld_because != other.withheld_because
        || *unapproved != other.unapproved
}

/// What to do once the new snapshot is sealed, or, without one, now; `gone` were deleted just
/// before, and count with the deletions that need no approval.
pub(crate) fn rotation(
    facts: &Facts<'_>,
    destination: &DestinationState,
    new: Option<Candidate>,
    gone: usize,
) -> Rotation {
    let mut found: Vec<Candidate> = destination.snapshots.iter().map(facts::candidate).collect();
    let makes_one = new.is_some();
    found.extend(new);
    let decision = retention::decide_retention(&Policy::of(&facts.config.local), facts.now, &found);
    let newest_good = retention::newest_good(&found, facts.now).map(|newest| newest.id);
    let held = expiry::snapshot_holdings(facts, destination, makes_one);
    let expired = expiry::expired_deletions(destination, &decision, newest_good, &held);
    let unapproved = expiry::unapproved_deletions(facts, destination, &expired, makes_one, gone);
    let withheld_because =
        expiry::withheld_because(facts, destination, &expired, &unapproved, makes_one);
    let (deletions, withheld) = match withheld_because {
        None => (expired, Vec::new()),
        Some(_) => (Vec::new(), expired),
    };

    let homes = destination.snapshots.iter();
    let homes = homes.map(|snapshot| (snapshot.record.id, snapshot.home));
    let found = TierState {
        destination,
        homes: homes
            .chain(makes_one.then_some((facts.id, facts.home())))
            .collect(),
        withheld: withheld.iter().map(|one| one.id).collect(),
        symlinks: facts.symlinks(),
    };
    let difference = layout::difference(&found, &decision);
    Rotation {
        keep: keep(&decision, &difference.homes),
        unlinks: difference.unlinks,
        moves: difference.moves,
        links: difference.links,
        latest: newest_good
            .filter(|_| found.symlinks && !facts::in_the_way(destination, "latest"))
            .and_then(|id| Some(format!("{}/{id}", difference.homes.get(&id)?))),
        deletions,
        withheld,
        withheld_because,
        unapproved: unapproved.map_or_else(Vec::new, |asked| asked.ids),
    }
}

/// What a rotation would change in the tiers although there is no new snapshot: nothing, if the
/// last one went as it should. What waits for approval or acceptance is not among it.
pub(crate) fn not_as_wanted(facts: &Facts<'_>, destination: &DestinationState) -> Vec<String> {
    let candidates: Vec<Candidate> = destination.snapshots.iter().map(facts::candidate).collect();
    let decision =
        retention::decide_retention(&Policy::of(&facts.config.local), facts.now, &candidates);
    let homes = destination.snapshots.iter();
    let found = TierState {
        destination,
        homes: homes.map(|one| (one.record.id, one.home)).collect(),
        withheld: decision.expire.keys().copied().collect(),
        symlinks: facts.symlinks(),
    };
    let difference = layout::difference(&found, &decision);
    let moves = difference.moves.iter();
    let moves = moves.map(|one| format!("{} belongs into {}", one.id, one.to));
    let links = difference.links.iter();
    let links = links.map(|one| format!("{}/{} is missing", one.tier, one.id));
    let unlinks = difference.unlinks.iter();
    let unlinks = unlinks.map(|one| format!("{}/{}: {}", one.tier, one.id, one.reason));
    moves.chain(links).chain(unlinks).collect()
}

fn keep(decision: &Decision, homes: &BTreeMap<SnapshotId, Tier>) -> Vec<Keep> {
    decision
        .kept_by_time()
        .map(|(id, kept)| Keep {
            id,
            home: homes.get(&id).copied().unwrap_or(kept.home),
            reasons: kept.reasons.clone(),
        })
        .collect()
}
