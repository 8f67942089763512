//! Decides which deletions follow from retention, what each loses, and when all of them wait for a
//! person.
//!
//! The newest good snapshot is never among them, whatever retention says.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use schema::{
    ExpireReason, Finding, SnapshotId, Tier, inventory::DestinationState, plan::Deletion,
    record::Engine,
};

use crate::{
    facts::{self, Facts},
    findings::{
        code,
        finding::{counted, first_few, warning},
        notices,
    },
    retention::{self, Candidate, Decision, Policy},
    sharing::{self, Holding},
};

/// The new snapshot as retention will see it.
pub(super) fn new_candidate(facts: &Facts<'_>, complete: bool) -> Candidate {
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

/// What goes, oldest first, each with what goes for good once those before it are gone.
pub(super) fn expired_deletions(
    destination: &DestinationState,
    decision: &Decision,
    newest_good: Option<SnapshotId>,
    held: &[Holding<'_>],
) -> Vec<Deletion> {
    debug_assert!(newest_good.is_none_or(|id| !decision.expire.contains_key(&id)));
    let expired = decision
        .expired_by_time()
        // Whatever retention says, the newest good one stays.
        .filter(|(id, _)| Some(*id) != newest_good)
        .map(|(id, expired)| (id, expired.reason));
    deletions_of(destination, held, expired)
}

/// All that the policy lets go once a snapshot is made, whether that lacks something or not; what it lets
/// go now, where none is made.
pub(crate) fn all_expired(
    facts: &Facts<'_>,
    destination: &DestinationState,
    makes_one: bool,
) -> BTreeSet<SnapshotId> {
    let policy = Policy::of(&facts.config.local);
    let found = || destination.snapshots.iter().map(facts::candidate);
    let expired = |new: Option<Candidate>| {
        let all: Vec<Candidate> = found().chain(new).collect();
        retention::decide_retention(&policy, facts.now, &all).expire
    };
    let news = match makes_one {
        true => vec![
            Some(new_candidate(facts, true)),
            Some(new_candidate(facts, false)),
        ],
        false => vec![None],
    };
    let all = news.into_iter().map(expired);
    all.flat_map(BTreeMap::into_keys).collect()
}

/// The deletions of these snapshots, in this order; only what is there can go.
pub(crate) fn deletions_of(
    destination: &DestinationState,
    held: &[Holding<'_>],
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
pub(crate) fn snapshot_holdings<'a>(
    facts: &Facts<'_>,
    destination: &'a DestinationState,
    makes_one: bool,
) -> Vec<Holding<'a>> {
    let basis = facts.basis().map(|basis| &basis.record);
    let mut stored_by = BTreeMap::new();
    let mut files_stored_by = BTreeMap::new();
    let mut is_known = true;
    for one in facts
        .basis()
        .into_iter()
        .chain(facts.also_link.iter().copied())
    {
        is_known &= one.record.tells_shares();
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
        stored_by: Cow::Owned(stored_by),
        files_stored_by: Cow::Owned(files_stored_by),
        is_known,
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
    pub(super) ids: Vec<SnapshotId>,
    /// Snapshots that were sealed since the last rotation, the new one among them.
    sealed: u64,
    /// Whether they were withheld before: waiting is no approval.
    before: bool,
}

/// The deletions, if they are more than the snapshots sealed since the last rotation account for,
/// or were withheld for that before.
pub(super) fn unapproved_deletions(
    facts: &Facts<'_>,
    destination: &DestinationState,
    expired: &[Deletion],
    makes_one: bool,
    gone: usize,
) -> Option<Unapproved> {
    let rotation = destination.rotation.as_ref();
    let sealed_since = destination
        .snapshots
        .iter()
        // Many are adopted at once, and nobody has seen yet what becomes of them.
        .filter(|snapshot| snapshot.record.engine != Engine::Adopted)
        .filter(|snapshot| rotation.is_none_or(|last| !last.has_seen(&snapshot.record)))
        .count();
    let sealed = sealed_since + usize::from(makes_one);
    let each = Policy::of(&facts.config.local).rules_in_force();
    let was_withheld = |id: &SnapshotId| rotation.is_some_and(|last| last.unapproved.contains(id));
    let before = expired.iter().any(|one| was_withheld(&one.id));
    // Those that were withheld do not become fewer by waiting: the nights since do not count, and
    // neither does what those nights alone would have let go.
    let wanted = if before {
        let sudden = sudden(facts, destination, expired);
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
) -> Vec<SnapshotId> {
    let rotation = destination.rotation.as_ref();
    let then: Vec<Candidate> = destination
        .snapshots
        .iter()
        .filter(|snapshot| rotation.is_some_and(|last| last.has_seen(&snapshot.record)))
        .map(facts::candidate)
        .collect();
    let decision = retention::decide_retention(&Policy::of(&facts.config.local), facts.now, &then);
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
    if let Some(suspect) = notices::suspect_finding(destination) {
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
            .hint(
                "check that it is mounted; if it is meant to be so, accept the snapshot afterwards",
            ),
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
