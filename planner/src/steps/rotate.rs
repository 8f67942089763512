//! Decides what retention changes after a good snapshot: the tiers, `latest`, and what is deleted.
//!
//! Owns the deletions: their order, what each frees, and when all of them wait for a person. The
//! newest good snapshot is never among them, whatever retention says.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    ExpireReason, Finding, SnapshotId, Tier,
    inventory::DestinationState,
    plan::{Action, Deletion, Keep, RotateStep, Rotation},
    record::Engine,
};

use super::{
    Draft,
    facts::{self, Facts},
    layout::{self, Found},
    room,
};
use crate::{
    findings::{code, counted, first_few, notices, warning},
    retention::{self, Candidate, Decision, Policy},
    sharing::{self, Holding},
};

/// The rotation, where there are local snapshots.
pub(crate) fn decide(facts: &Facts<'_>, findings: &mut Vec<Finding>) -> Option<Draft> {
    let destination = facts.destination?;
    // What made room is gone by then.
    let room = room::of(facts, destination);
    let left = without(destination, &room.deletions);
    let gone = room.deletions.len();
    let on_complete = rotation(facts, &left, Some(new(facts, true)), gone);
    let on_incomplete = rotation(facts, &left, Some(new(facts, false)), gone);
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
pub(crate) fn without(destination: &DestinationState, gone: &[Deletion]) -> DestinationState {
    let mut left = destination.clone();
    let is_gone = |id: SnapshotId| gone.iter().any(|one| one.id == id);
    left.snapshots.retain(|one| !is_gone(one.record.id));
    left.links.retain(|link| !is_gone(link.id));
    left
}

/// The new snapshot as retention will see it.
pub(super) fn new(facts: &Facts<'_>, complete: bool) -> Candidate {
    Candidate {
        id: facts.id,
        started_at: facts.now,
        hour: retention::hour_of(facts.started_at),
        day: facts.day,
        complete,
        suspect: !facts.emptied.is_empty(),
        pinned: false,
        verified: false,
    }
}

/// Whether two rotations do different things; the reasons to keep a snapshot do nothing.
fn differs(one: &Rotation, other: &Rotation) -> bool {
    let effects = |of: &Rotation| {
        let mut bare = of.clone();
        bare.keep.iter_mut().for_each(|kept| kept.reasons.clear());
        bare
    };
    effects(one) != effects(other)
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
    let decision = retention::decide(&Policy::of(&facts.config.local), facts.now, &found);
    let newest_good = retention::newest_good(&found, facts.now).map(|newest| newest.id);
    let held = holdings(facts, destination, makes_one);
    let expired = deletions(destination, &decision, newest_good, &held);
    let unapproved = unapproved(facts, destination, &expired, makes_one, gone);
    let withheld_because = withheld_because(facts, destination, &expired, &unapproved, makes_one);
    let (deletions, withheld) = match withheld_because {
        None => (expired, Vec::new()),
        Some(_) => (Vec::new(), expired),
    };

    let homes = destination.snapshots.iter();
    let homes = homes.map(|snapshot| (snapshot.record.id, snapshot.home));
    let found = Found {
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
    let decision = retention::decide(&Policy::of(&facts.config.local), facts.now, &candidates);
    let homes = destination.snapshots.iter();
    let found = Found {
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

/// What goes, oldest first, each with what goes for good once those before it are gone.
pub(super) fn deletions(
    destination: &DestinationState,
    decision: &Decision,
    newest_good: Option<SnapshotId>,
    held: &[Holding],
) -> Vec<Deletion> {
    debug_assert!(newest_good.is_none_or(|id| !decision.expire.contains_key(&id)));
    let expired = decision
        .expired_by_time()
        // Whatever retention says, the newest good one stays.
        .filter(|(id, _)| Some(*id) != newest_good)
        .map(|(id, expired)| (id, expired.reason));
    those(destination, held, expired)
}

/// The deletions of these snapshots, in this order; only what is there can go.
pub(crate) fn those(
    destination: &DestinationState,
    held: &[Holding],
    ids: impl Iterator<Item = (SnapshotId, ExpireReason)>,
) -> Vec<Deletion> {
    let there: BTreeMap<SnapshotId, Tier> = destination
        .snapshots
        .iter()
        .map(|snapshot| (snapshot.record.id, snapshot.home))
        .collect();
    let found: Vec<(SnapshotId, Tier, ExpireReason)> = ids
        .filter_map(|(id, reason)| Some((id, *there.get(&id)?, reason)))
        .collect();
    let ids: Vec<SnapshotId> = found.iter().map(|(id, ..)| *id).collect();
    let lost = sharing::losses(held, &ids);
    found
        .into_iter()
        .zip(lost)
        .map(|((id, home, reason), lost)| Deletion {
            id,
            home,
            reason,
            frees: lost.bytes,
            lost: Some(lost),
        })
        .collect()
}

/// What each snapshot holds, oldest first and the new one, if one is made, last.
///
/// Which of its basis' files the new one will still link is not known until it is made, so it is
/// taken to link all of them: what a deletion frees is rather said too low.
pub(crate) fn holdings(
    facts: &Facts<'_>,
    destination: &DestinationState,
    makes_one: bool,
) -> Vec<Holding> {
    let basis = facts.basis().map(|basis| &basis.record);
    let mut stored_by = BTreeMap::new();
    let mut files_stored_by = BTreeMap::new();
    for one in facts
        .basis()
        .into_iter()
        .chain(facts.also_link.iter().copied())
    {
        for (origin, bytes) in &one.record.stored_by {
            let held: &mut u64 = stored_by.entry(*origin).or_default();
            *held = held.saturating_add(*bytes);
        }
        for (origin, files) in &one.record.files_stored_by {
            let held: &mut u64 = files_stored_by.entry(*origin).or_default();
            *held = held.saturating_add(*files);
        }
    }
    let new = makes_one.then(|| Holding {
        id: facts.id,
        basis: basis.map(|basis| basis.id),
        becomes_basis: true,
        line_from: (!facts.also_link.is_empty()).then_some(facts.id),
        stored_by,
        files_stored_by,
    });
    destination
        .snapshots
        .iter()
        .map(|snapshot| Holding::of(&snapshot.record))
        .chain(new)
        .collect()
}

/// Deletions that want a person's approval.
pub(super) struct Unapproved {
    ids: Vec<SnapshotId>,
    /// Snapshots that were sealed since the last rotation, the new one among them.
    sealed: u64,
    /// Whether they were withheld before: waiting is no approval.
    before: bool,
}

/// The deletions, if they are more than the snapshots sealed since the last rotation account for,
/// or were withheld for that before.
pub(super) fn unapproved(
    facts: &Facts<'_>,
    destination: &DestinationState,
    expired: &[Deletion],
    makes_one: bool,
    gone: usize,
) -> Option<Unapproved> {
    let rotation = destination.rotation.as_ref();
    let rotated_at = rotation.map(|last| last.rotated_at);
    let sealed_since = destination
        .snapshots
        .iter()
        // Many are adopted at once, and nobody has seen yet what becomes of them.
        .filter(|snapshot| snapshot.record.engine != Engine::Adopted)
        .filter(|snapshot| rotated_at.is_none_or(|at| snapshot.record.sealed_at > at))
        .count();
    let sealed = sealed_since + usize::from(makes_one);
    let each = Policy::of(&facts.config.local).rules_in_force();
    let was_withheld = |id: &SnapshotId| rotation.is_some_and(|last| last.unapproved.contains(id));
    let before = expired.iter().any(|one| was_withheld(&one.id));
    // Those that were withheld do not become fewer by waiting: the nights since do not count, and
    // neither does what those nights alone would have let go.
    let wanted = if before {
        let sudden = sudden(facts, destination, expired, rotated_at);
        sudden.iter().any(was_withheld) || sudden.len() + gone > each
    } else {
        expired.len() + gone > each * sealed
    };
    (wanted && !expired.is_empty() && !facts.options.approve_deletions).then(|| Unapproved {
        ids: expired.iter().map(|one| one.id).collect(),
        sealed: sealed as u64,
        before,
    })
}

/// Those that the policy lets go without any snapshot since the last rotation: what another policy
/// than the one of then lets go, and not what becomes too old night by night.
fn sudden(
    facts: &Facts<'_>,
    destination: &DestinationState,
    expired: &[Deletion],
    rotated_at: Option<DateTime<FixedOffset>>,
) -> Vec<SnapshotId> {
    let then: Vec<Candidate> = destination
        .snapshots
        .iter()
        .filter(|snapshot| rotated_at.is_some_and(|at| snapshot.record.sealed_at <= at))
        .map(facts::candidate)
        .collect();
    let decision = retention::decide(&Policy::of(&facts.config.local), facts.now, &then);
    // Where nothing stood then it is not known what the tiers were like.
    let all = expired.iter().map(|one| one.id);
    all.filter(|id| then.is_empty() || decision.expire.contains_key(id))
        .collect()
}

/// Why nothing may be deleted for now.
pub(super) fn withheld_because(
    facts: &Facts<'_>,
    destination: &DestinationState,
    expired: &[Deletion],
    unapproved: &Option<Unapproved>,
    makes_one: bool,
) -> Option<Finding> {
    if expired.is_empty() {
        return None;
    }
    let count = expired.len() as u64;
    if let Some(suspect) = notices::suspect(destination) {
        return Some(suspect);
    }
    if makes_one && !facts.emptied.is_empty() {
        let paths = facts.emptied.iter().map(ToString::to_string);
        return Some(
            warning(
                code::DELETIONS_WITHHELD,
                format!(
                    "{} withheld, because {} (local.sources) had files in the last good snapshot \
                     and has none now",
                    match count {
                        1 => "1 deletion is".to_owned(),
                        _ => format!("{count} deletions are"),
                    },
                    first_few(paths, facts.emptied.len() as u64)
                ),
            )
            .hint("check that it is mounted; if it is meant to be so, `backup accept` says so"),
        );
    }
    let asked = unapproved.as_ref()?;
    let each = Policy::of(&facts.config.local).rules_in_force();
    let why = if asked.before {
        "as before".to_owned()
    } else {
        format!(
            "more than {each} for each of {} since the last rotation",
            counted(asked.sealed, "snapshot")
        )
    };
    Some(
        warning(
            code::DELETIONS_NEED_APPROVAL,
            format!(
                "{} at once {} approval, {why}: {}",
                counted(count, "deletion"),
                if count == 1 { "needs" } else { "need" },
                first_few(expired.iter().map(|one| one.id.to_string()), count)
            ),
        )
        .hint(
            "if the keep numbers (local.keepLast to keepYearly) are as you want them, run \
             `backup prune`, or `backup apply --approve-deletions`; else raise them",
        ),
    )
}
