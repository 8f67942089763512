//! Decides what goes before a snapshot for which there is no room.
//!
//! Owns the order in which snapshots go and the promise that what must stay stays. How much is
//! lacking is `space`'s to say; what it frees is `sharing`'s.

use std::collections::BTreeSet;

use schema::{
    ExpireReason, Finding, KeepReason, SnapshotId,
    config::MakeRoom,
    inventory::DestinationState,
    plan::{Action, DeletePurpose, DeleteStep, Deletion, Rotation},
};

use super::{Draft, expiry};
use crate::{
    facts::{self, Facts},
    retention::{self, Candidate, Decision, Policy},
    sharing::{self, Holding},
    space::{self, Lack},
};

/// Snapshots that stay whatever `local.makeRoom` says.
const LAST: usize = 2;

/// What goes before the snapshot.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// What goes, oldest first; empty if nothing is lacking, or if it would not be enough.
    pub(crate) deletions: Vec<Deletion>,
    /// What is lacking once that is gone.
    pub(crate) lack: Lack,
    /// Why nothing may be deleted, though something would be.
    pub(crate) withheld_because: Option<Finding>,
    /// What could be deleted by hand until there is room, no more than it takes, oldest first.
    pub(crate) offers: Vec<Deletion>,
    /// Whether these are enough.
    pub(crate) enough: bool,
}

/// The deletions that make room, where there are local snapshots and room is lacking.
pub(crate) fn decide_make_room(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let deletions = of(facts, facts.destination?).deletions;
    (!deletions.is_empty()).then(|| {
        Draft::needing(
            &["destination-check"],
            Action::Delete(DeleteStep {
                purpose: DeletePurpose::MakeRoom,
                rotation: Rotation {
                    deletions,
                    ..Rotation::default()
                },
            }),
        )
    })
}

/// What goes before the snapshot, and what is lacking if that is not enough.
pub(crate) fn of(facts: &Facts<'_>, destination: &DestinationState) -> Room {
    for_lack(facts, destination, space::lack(facts, destination))
}

/// What goes if this much is lacking, and what is lacking if that is not enough.
pub(crate) fn for_lack(facts: &Facts<'_>, destination: &DestinationState, lack: Lack) -> Room {
    if lack.is_none() {
        return Room::default();
    }
    let choice = Choice::new(facts, destination);
    let (mut chosen, missing) = first_enough(destination, choice.may_go(facts, destination), lack);
    let mut withheld_because = choice
        .withheld_because(facts, destination, &chosen)
        .filter(|_| !chosen.is_empty());
    if missing.is_none() && withheld_because.is_some() {
        // Rather a few of which not all are the oldest than nothing until a person comes.
        let fewer = choice.only_needed(destination, chosen.clone(), lack);
        if choice
            .withheld_because(facts, destination, &fewer)
            .is_none()
        {
            (chosen, withheld_because) = (fewer, None);
        }
    }
    if missing.is_none() && withheld_because.is_none() {
        return Room {
            deletions: chosen,
            ..Room::default()
        };
    }
    let (offers, rest) = first_enough(destination, choice.by_hand(destination), lack);
    Room {
        deletions: Vec::new(),
        lack,
        withheld_because,
        offers: match rest.is_none() {
            true => choice.only_needed(destination, offers, lack),
            false => offers,
        },
        enough: rest.is_none(),
    }
}

/// All that `local.makeRoom` lets go, however much is lacking.
pub(crate) fn all_that_may_go(
    facts: &Facts<'_>,
    destination: &DestinationState,
) -> BTreeSet<SnapshotId> {
    let all = Choice::new(facts, destination).may_go(facts, destination);
    all.into_iter().map(|one| one.id).collect()
}

/// Bytes that all together free at least that `local.makeRoom` lets go for a snapshot.
pub(crate) fn at_most(facts: &Facts<'_>, destination: &DestinationState) -> u64 {
    if facts.config.local.make_room == MakeRoom::Never {
        return 0;
    }
    let choice = Choice::new(facts, destination);
    let all = choice.may_go(facts, destination);
    let mut candidates = destination.snapshots.iter().map(facts::candidate);
    if candidates.any(|one| one.suspect) {
        return 0;
    }
    all.iter().fold(0, |sum, one| sum.saturating_add(one.frees))
}

/// What may go for a snapshot.
struct Choice<'a> {
    /// What every snapshot holds, the new one among them.
    held: Vec<Holding<'a>>,
    /// What the policy lets go once the new snapshot is there.
    expired: Vec<(SnapshotId, ExpireReason)>,
    /// The same without the newest good one, with what goes for good.
    policy: Vec<Deletion>,
    /// The oldest that only a keep number holds.
    extra: Vec<(SnapshotId, ExpireReason)>,
    /// What the new one needs, and what is the newest good one until then.
    needed: Vec<SnapshotId>,
}

impl<'a> Choice<'a> {
    fn new(facts: &Facts<'_>, destination: &'a DestinationState) -> Self {
        let mut found: Vec<Candidate> =
            destination.snapshots.iter().map(facts::candidate).collect();
        // What is the newest good one until the new one is sealed, and what that is made from.
        let now_newest = retention::newest_good(&found, facts.now);
        let needed = [
            now_newest.map(|newest| newest.id),
            retention::newest_complete(&found, facts.now).map(|newest| newest.id),
            facts.last_good.map(|good| good.id),
            facts.basis().map(|basis| basis.record.id),
            facts.reference.map(|reference| reference.record.id),
        ];
        let also = facts.also_link.iter().map(|also| Some(also.record.id));
        let needed = needed.into_iter().chain(also).flatten().collect();
        found.push(expiry::new_candidate(facts, true));
        let decision =
            retention::decide_retention(&Policy::of(&facts.config.local), facts.now, &found);
        let newest = retention::newest_good(&found, facts.now).map(|newest| newest.id);
        let held = expiry::snapshot_holdings(facts, destination, true);
        let expired = decision.expired_by_time();
        Self {
            expired: expired.map(|(id, one)| (id, one.reason)).collect(),
            policy: expiry::expired_deletions(destination, &decision, newest, &held),
            extra: oldest(facts, destination, &decision),
            needed,
            held,
        }
    }

    /// All that `local.makeRoom` lets go, in the order in which it goes.
    fn may_go(&self, facts: &Facts<'_>, destination: &DestinationState) -> Vec<Deletion> {
        let all = match facts.config.local.make_room {
            MakeRoom::Never => Vec::new(),
            MakeRoom::Expired => self.policy.clone(),
            MakeRoom::Oldest => {
                let all = self.expired.iter().chain(&self.extra).copied();
                expiry::deletions_of(destination, &self.held, all)
            }
        };
        self.spared(all)
    }

    /// All that a person could delete, in the same order.
    fn by_hand(&self, destination: &DestinationState) -> Vec<Deletion> {
        let all = self.expired.iter().chain(&self.extra);
        let all = all.map(|(id, _)| (*id, ExpireReason::ByHand));
        self.spared(expiry::deletions_of(destination, &self.held, all))
    }

    /// Of what would be enough, what it takes: who wants room for one film shall not lose years that
    /// share nothing with it. What the policy lets go is no loss, and serves before the rest.
    fn only_needed(
        &self,
        destination: &DestinationState,
        enough: Vec<Deletion>,
        lack: Lack,
    ) -> Vec<Deletion> {
        // How many inodes some free is known in one order alone.
        if lack.inodes > 0 {
            return enough;
        }
        let all: Vec<SnapshotId> = enough.iter().map(|one| one.id).collect();
        let expired: BTreeSet<SnapshotId> = self.expired.iter().map(|(id, _)| *id).collect();
        let (last, first): (Vec<_>, Vec<_>) = all.iter().partition(|id| expired.contains(id));
        let order = [first, last].concat();
        let needed = sharing::only_needed(&self.held, &all, &order, lack.bytes);
        let needed: BTreeSet<SnapshotId> = needed.into_iter().collect();
        let needed = enough
            .iter()
            .filter(|one| needed.contains(&one.id))
            .map(|one| (one.id, one.reason));
        expiry::deletions_of(destination, &self.held, needed)
    }

    fn spared(&self, all: Vec<Deletion>) -> Vec<Deletion> {
        all.into_iter()
            .filter(|one| !self.needed.contains(&one.id))
            .collect()
    }

    /// Why nothing may be deleted for now: the guards look at all that goes in this run.
    fn withheld_because(
        &self,
        facts: &Facts<'_>,
        destination: &DestinationState,
        chosen: &[Deletion],
    ) -> Option<Finding> {
        let more = chosen
            .iter()
            .filter(|one| one.reason == ExpireReason::Oldest);
        let going: Vec<Deletion> = self.policy.iter().chain(more).cloned().collect();
        let unapproved = expiry::unapproved_deletions(facts, destination, &going, true, 0);
        expiry::withheld_because(facts, destination, &going, &unapproved, true)
    }
}

/// The first of these that make up for what is lacking, and what is lacking all the same.
fn first_enough(
    destination: &DestinationState,
    all: Vec<Deletion>,
    mut lack: Lack,
) -> (Vec<Deletion>, Lack) {
    let mut chosen = Vec::new();
    for one in all {
        if lack.is_none() {
            break;
        }
        // Folders are never shared.
        let mut records = destination.snapshots.iter().map(|found| &found.record);
        let folders = records.find(|record| record.id == one.id);
        let folders = folders.map_or(0, |record| record.totals.folders);
        let files = one.lost.and_then(|lost| lost.files).unwrap_or(0);
        lack.bytes = lack.bytes.saturating_sub(one.frees);
        lack.inodes = lack.inodes.saturating_sub(folders.saturating_add(files));
        chosen.push(one);
    }
    (chosen, lack)
}

/// What only a keep number holds, oldest first, but for the last ones.
fn oldest(
    facts: &Facts<'_>,
    destination: &DestinationState,
    decision: &Decision,
) -> Vec<(SnapshotId, ExpireReason)> {
    let by_rule = |reason: &KeepReason| {
        matches!(
            reason,
            KeepReason::Last { .. }
                | KeepReason::Hourly { .. }
                | KeepReason::Daily { .. }
                | KeepReason::Weekly { .. }
                | KeepReason::Monthly { .. }
                | KeepReason::Yearly { .. }
        )
    };
    let last: Vec<SnapshotId> = destination
        .snapshots
        .iter()
        .rev()
        .take(LAST)
        .map(|one| one.record.id)
        .collect();
    decision
        .kept_by_time()
        .filter(|(id, kept)| {
            *id != facts.id && !last.contains(id) && kept.reasons.iter().all(by_rule)
        })
        .map(|(id, _)| (id, ExpireReason::Oldest))
        .collect()
}
