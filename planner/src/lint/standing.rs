//! What stands on the destination, as the linter judges it: which snapshots count, and which is newest.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    Inventory, Plan, SnapshotId, Tier,
    clock::is_ahead,
    cloud::CloudState,
    inventory::{DestinationState, SnapshotState, SourceState},
    plan::{Action, SnapshotStep},
};

/// What a plan is judged by.
pub(super) struct Standing<'a> {
    /// The destination, where the plan has one.
    pub(super) destination: Option<&'a DestinationState>,
    /// Published snapshots, but for the one that the plan itself makes.
    pub(super) snapshots: BTreeMap<SnapshotId, &'a SnapshotState>,
    /// What is known of the remote; none where nothing is.
    pub(super) cloud: Option<&'a CloudState>,
    /// The sources as they were found; none where that is not known any more.
    pub(super) sources: Option<&'a [SourceState]>,
    /// Whether the plan has not begun, so that all that it names must be as it says.
    pub(super) is_new: bool,
    now: DateTime<FixedOffset>,
}

/// A snapshot that is there, or that the plan is to make.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Good {
    /// Whether it lacks nothing.
    complete: bool,
    started_at: DateTime<FixedOffset>,
    id: SnapshotId,
}

impl<'a> Standing<'a> {
    pub(super) fn of_inventory(plan: &Plan, inventory: &'a Inventory) -> Self {
        let destination = inventory.destination.as_ref();
        Self {
            cloud: inventory.cloud.as_ref(),
            sources: Some(&inventory.sources),
            is_new: true,
            now: inventory.taken_at,
            ..Self::of(plan, destination)
        }
    }

    /// What a plan is judged by that was saved: the destination is as it was then, which is checked
    /// apart; the sources and the remote may have changed.
    pub(super) fn of_saved(plan: &Plan, inventory: &'a Inventory) -> Self {
        Self {
            cloud: None,
            sources: None,
            ..Self::of_inventory(plan, inventory)
        }
    }

    pub(super) fn of_continued(plan: &Plan, destination: &'a DestinationState) -> Self {
        Self::of(plan, Some(destination))
    }

    fn of(plan: &Plan, destination: Option<&'a DestinationState>) -> Self {
        let own = plan.snapshot().map(|snapshot| snapshot.id);
        let all = destination.into_iter().flat_map(|found| &found.snapshots);
        let others = all.filter(|one| Some(one.record.id) != own);
        Self {
            destination,
            snapshots: others.map(|one| (one.record.id, one)).collect(),
            cloud: None,
            sources: None,
            is_new: false,
            now: plan.created_at,
        }
    }

    /// Whether a snapshot is dated in the future.
    pub(super) fn is_in_the_future(&self, snapshot: &SnapshotState) -> bool {
        is_ahead(snapshot.record.started_at, self.now)
    }

    /// The snapshots that count: not suspect, and not dated in the future.
    fn counting(&self) -> impl Iterator<Item = &'a SnapshotState> {
        let all = self.snapshots.values().copied();
        all.filter(|one| !is_suspect(one) && !self.is_in_the_future(one))
    }

    /// The newest snapshot that counts, with the `new` one.
    pub(super) fn newest_good(&self, new: Option<Good>) -> Option<SnapshotId> {
        let all = self.counting().map(Good::of).chain(new);
        let newest = all.max_by_key(|one| (one.started_at, one.id));
        newest.map(|one| one.id)
    }

    /// The snapshot made last of those that count, where it is also the newest by time: clocks that were
    /// wrong leave others, which a person may delete.
    pub(super) fn newest_by_all(&self) -> Option<SnapshotId> {
        let made_last = self
            .counting()
            .max_by_key(|one| (one.record.sequence, one.record.started_at, one.record.id));
        let id = made_last?.record.id;
        (self.newest_good(None) == Some(id)).then_some(id)
    }

    /// The newest snapshot that counts and lacks nothing, with the `new` one.
    pub(super) fn newest_complete(&self, new: Option<Good>) -> Option<SnapshotId> {
        let all = self.counting().map(Good::of).chain(new);
        all.filter(|one| one.complete).max().map(|one| one.id)
    }

    /// The newest snapshot that was verified: one that lacks nothing, else one that does.
    pub(super) fn newest_verified(&self) -> Option<SnapshotId> {
        let verified = self
            .counting()
            .filter(|one| one.marks.verified_at.is_some());
        verified.map(Good::of).max().map(|one| one.id)
    }

    /// A suspect snapshot that nobody has accepted.
    pub(super) fn suspect(&self) -> Option<SnapshotId> {
        let mut all = self.snapshots.values();
        all.find(|one| is_suspect(one)).map(|one| one.record.id)
    }

    /// Whether a source that had files in the reference is gone or empty, so that the new snapshot is
    /// sure to be suspect. A script that runs before may bring it, and so it may before a part that runs
    /// alone.
    pub(super) fn is_doubtful(&self, plan: &Plan, snapshot: &SnapshotStep) -> bool {
        let scripted = |action: &Action| matches!(action, Action::PreScript(_));
        if plan.only.is_some() || plan.steps.iter().any(|step| scripted(&step.action)) {
            return false;
        }
        let had_files = &snapshot.suspect_when.had_files;
        let mut sources = snapshot.sources.iter();
        sources.any(|source| {
            let found = self.sources.unwrap_or_default().iter();
            let is_empty = found
                .filter(|found| found.path == source.path)
                .any(|found| found.scan.entries <= 1);
            had_files.contains(&source.path) && (!source.present || is_empty)
        })
    }

    /// Whether something that the program did not make, or cannot read, has this name.
    pub(super) fn is_unmanaged(&self, tier: Tier, id: SnapshotId) -> bool {
        let (name, path) = (id.to_string(), format!("{tier}/{id}"));
        self.destination.is_some_and(|found| {
            let mut unmanaged = found.unmanaged.iter();
            let mut in_the_way = found.in_the_way.iter();
            unmanaged.any(|one| one.tier == tier && one.name == name)
                || in_the_way.any(|one| one.path == tier.folder() || one.path == path)
        })
    }

    /// Whether a snapshot whose record is damaged has this name.
    pub(super) fn is_damaged(&self, tier: Tier, id: SnapshotId) -> bool {
        let name = id.to_string();
        let mut unmanaged = self.destination.into_iter().flat_map(|one| &one.unmanaged);
        unmanaged.any(|one| one.tier == tier && one.name == name && one.record_fault.is_some())
    }
}

impl Good {
    fn of(snapshot: &SnapshotState) -> Self {
        Self {
            complete: snapshot.record.complete,
            started_at: snapshot.record.started_at,
            id: snapshot.record.id,
        }
    }

    /// The snapshot that a plan is to make.
    pub(super) fn new(step: &SnapshotStep, complete: bool) -> Self {
        Self {
            complete,
            started_at: step.started_at,
            id: step.id,
        }
    }
}

/// Whether a snapshot is suspect and nobody has accepted it.
pub(super) fn is_suspect(snapshot: &SnapshotState) -> bool {
    !snapshot.record.suspect.is_empty() && !snapshot.marks.accepted
}
