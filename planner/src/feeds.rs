//! Where a named remote gets its snapshots from: the disks that have the same sources, `local` first, or the
//! live sources where none of them gives a new one.
//!
//! A remote waits for those disks and needs none of them: one that is away, full, another one or failing holds
//! no remote up. Only what is suspect on a disk is not read from the sources instead.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::{DateTime, FixedOffset};
use schema::{
    Config, Finding, Inventory, Plan, Severity, SnapshotId,
    cloud::{CloudChange, CloudMemory, CloudState},
    config::{DestinationKind, DestinationName, Layout, Local, RemoteOptions},
    inventory::SourceState,
    plan::{DestinationCheckStep, UploadFeed},
};

use crate::{
    Options, Wanted,
    facts::{self, Facts},
    findings::{
        code,
        destination::{check_destination, destination_absence},
        note, refusal,
    },
    steps::cloud_sync::{self, read_only},
};

/// What the plan for a named remote must know of the other destinations.
#[derive(Debug, Clone)]
pub(crate) struct RemoteFacts {
    pub(crate) options: RemoteOptions,
    /// The disks that are there and have, or get, a snapshot; in the order in which they are asked.
    pub(crate) from: Vec<UploadFeed>,
    /// Disks with the same sources that are not there, or in whose place another one is.
    away: Vec<DestinationName>,
    /// Disks with the same sources that are there and have nothing to give, each with the reason.
    unfit: Vec<(DestinationName, String)>,
    /// The script before the backup may bring one that is away.
    waits_for_script: bool,
    /// The sources were looked at, and go up where no disk gives a new snapshot.
    knows_sources: bool,
    /// A disk has a suspect snapshot that a person is to look at before anything like it goes up.
    is_doubtful: bool,
    /// What they say of a copy that is a mirror.
    mirror: MirrorFacts,
}

/// What disks say of a copy that is a mirror.
#[derive(Debug, Clone, Default)]
struct MirrorFacts {
    /// What there is to do at most, by the disk whose snapshot is copied.
    expected: BTreeMap<DestinationName, CloudChange>,
    /// The newest snapshot that a person accepted.
    accepted: Option<SnapshotId>,
    /// Whether one is suspect, and nobody has accepted it.
    has_suspect: bool,
}

/// The plan of a disk in the same run; `None` for one that is not in it.
pub(crate) type PlanOf<'a> = &'a dyn Fn(&DestinationName) -> Option<&'a Plan>;

/// The disks that a remote may get snapshots from: those with the same sources, in the order of a run.
#[must_use]
pub fn feeds_of(config: &Config, remote: &DestinationName) -> Vec<DestinationName> {
    let Some(own) = config.view(remote) else {
        return Vec::new();
    };
    let disks = config.names().into_iter().filter(|name| {
        let kind = config.destinations.get(name).map(|of| of.kind);
        name.as_str() == DestinationName::LOCAL || kind == Some(DestinationKind::Disk)
    });
    disks
        .filter(|name| {
            let view = config.view(name);
            view.is_some_and(|view| have_same_sources(&view.local, &own.local))
        })
        .collect()
}

/// Whether a mirror gets the live sources, by what was found of the disks: none that has the same sources is
/// there (another one may be in its place), or makes or has what it does not have already. `copies` is what is
/// remembered of it, and `wanted` says which of the disks get a snapshot in this run.
#[must_use]
pub fn mirrors_live(
    config: &Config,
    inventory: &Inventory,
    remote: &DestinationName,
    (copies, wanted): (&CloudMemory, &Wanted),
) -> bool {
    let now = inventory.taken_at;
    feeds_of(config, remote).iter().all(|feed| {
        let own = inventory.view(feed);
        let Some(view) = config.view(feed) else {
            return true;
        };
        let is_behind = || {
            let found = own.destination.as_ref();
            let last = found.and_then(|found| crate::choose_reference(found, now));
            !wanted.has(feed) && last.is_some_and(|last| has_newer(copies, last.record.id, now))
        };
        is_away(&view, &own) || is_behind()
    })
}

/// Whether the sources must be looked at for a remote with history: no disk has a snapshot that is not `known`
/// to be there.
#[must_use]
pub fn needs_sources(
    config: &Config,
    inventory: &Inventory,
    remote: &DestinationName,
    known: Option<&CloudState>,
) -> bool {
    let (options, wanted) = (Options::default(), Wanted::default());
    let Some(facts) = RemoteFacts::find(config, inventory, remote, &options, (&wanted, &|_| None))
    else {
        return false;
    };
    if facts.is_doubtful {
        return false;
    }
    let there = known.and_then(|known| known.history.as_ref());
    let is_there = |id: SnapshotId| there.is_some_and(|there| there.has(id));
    let mut last = facts.from.iter().filter_map(|feed| feed.last);
    last.all(is_there)
}

/// What was found of the sources for one of the disks that a remote gets its snapshots from.
#[must_use]
pub fn sources_of_feeds(
    config: &Config,
    inventory: &Inventory,
    remote: &DestinationName,
) -> Option<Vec<SourceState>> {
    let mut feeds = feeds_of(config, remote).into_iter();
    feeds.find_map(|feed| {
        let sources = inventory.view(&feed).sources;
        (!sources.is_empty()).then_some(sources)
    })
}

/// Whether a mirror has what is newer than this snapshot, so that it would be set back by it. One that a
/// clock made which was ahead is no reason.
fn has_newer(copies: &CloudMemory, last: SnapshotId, now: DateTime<FixedOffset>) -> bool {
    // Of one run each disk has a snapshot of this name, which the mirror may have under the next ones.
    let after = last.first_free(|id| copies.uploaded.contains(&id));
    let newest = copies.last.as_ref().map(|newest| newest.id);
    let now = SnapshotId::from_local(now.naive_local());
    newest.is_some_and(|newest| newest >= after && newest <= now)
}

/// Whether a disk is not there, or another one is in its place.
fn is_away(view: &Config, inventory: &Inventory) -> bool {
    let inventory = &crate::pipeline::sorted(inventory);
    let options = Options::default();
    let facts = Facts::new(view, inventory, &options);
    let Some(found) = facts.destination else {
        return true;
    };
    let mut findings = Vec::new();
    check_destination(&facts, found, &mut findings);
    destination_absence(view, found).is_some() || findings.iter().any(is_of_another)
}

/// Whether a finding says that another disk is in the place of one.
fn is_of_another(finding: &Finding) -> bool {
    [code::DESTINATION_UNKNOWN, code::WRONG_FILE_SYSTEM].contains(&finding.code.as_str())
}

/// Whether what is backed up is the same.
fn have_same_sources(one: &Local, other: &Local) -> bool {
    let sorted = |all: &[schema::config::AbsolutePath]| {
        let mut all = all.to_vec();
        all.sort();
        all
    };
    sorted(&one.sources) == sorted(&other.sources)
        && sorted(&one.optional_sources) == sorted(&other.optional_sources)
        && one.exclude_patterns == other.exclude_patterns
        && one.exclude_caches == other.exclude_caches
        && one.exclude_if_present == other.exclude_if_present
        && one.one_file_system == other.one_file_system
        && one.max_holes_gb == other.max_holes_gb
}

impl RemoteFacts {
    /// What a remote can get in this run; none where there is no remote of this name.
    pub(crate) fn find(
        config: &Config,
        inventory: &Inventory,
        name: &DestinationName,
        options: &Options,
        (wanted, plan_of): (&Wanted, PlanOf<'_>),
    ) -> Option<Self> {
        let knows_sources = !inventory.view(name).sources.is_empty();
        let mut facts = Self::supposed(config.remote_options(name)?, Vec::new(), knows_sources);
        let copies = inventory.view(name).cloud.unwrap_or_default();
        for feed in feeds_of(config, name) {
            if let Some(view) = config.view(&feed) {
                let (inventory, plan) = (&inventory.view(&feed), plan_of(&feed));
                let planned = (options, plan, wanted.has(&feed));
                facts.judge_feed(&view, inventory, feed, planned, &copies);
            }
        }
        Some(facts.in_order())
    }

    fn judge_feed(
        &mut self,
        view: &Config,
        inventory: &Inventory,
        name: DestinationName,
        (options, plan, is_wanted): (&Options, Option<&Plan>, bool),
        copies: &CloudState,
    ) {
        let inventory = &crate::pipeline::sorted(inventory);
        let options = Options {
            only: None,
            ..*options
        };
        let facts = Facts::new(view, inventory, &options);
        let absence = |found| destination_absence(view, found);
        let Some(found) = facts.destination.filter(|found| absence(found).is_none()) else {
            self.waits_for_script |= facts.waits_for_script();
            self.away.push(name);
            return;
        };
        let mut refusals = Vec::new();
        check_destination(&facts, found, &mut refusals);
        if refusals.iter().any(is_of_another) {
            self.away.push(name);
            return;
        }
        refusals.retain(|one| one.code != code::DESTINATION_READ_ONLY);
        let twice = plan.iter().flat_map(|plan| &plan.findings);
        refusals.extend(
            twice
                .filter(|one| one.code == code::DESTINATION_TWICE)
                .cloned(),
        );
        let refusal = refusals
            .into_iter()
            .find(|one| one.severity >= Severity::Deferral);
        if let Some(refusal) = refusal {
            self.unfit.push((name, refusal.message));
            return;
        }
        let newest = facts.newest.map(facts::candidate);
        self.is_doubtful |= newest.is_some_and(|newest| newest.suspect);
        let snapshot = plan.and_then(Plan::snapshot).map(|snapshot| snapshot.id);
        let good = facts.reference;
        let (memory, now) = (&copies.memory, facts.started_at);
        let is_old = |id: &SnapshotId| self.is_mirror() && has_newer(memory, *id, now);
        let last = good.map(|good| good.record.id);
        let is_behind = last.as_ref().is_some_and(is_old);
        let last = last.filter(|_| !is_behind);
        if self.is_mirror() {
            let expected = match (facts.sources().next(), good) {
                (None, Some(good)) => cloud_sync::expected_of(good, copies),
                _ => cloud_sync::expected(&facts, copies),
            };
            let mirror = &mut self.mirror;
            mirror.expected.insert(name.clone(), expected);
            mirror.accepted = mirror.accepted.max(cloud_sync::newest_accepted(&facts));
            mirror.has_suspect |= cloud_sync::has_suspect(&facts);
        }
        match read_only(&facts) {
            Some(destination) if snapshot.or(last).is_some() => self.from.push(UploadFeed {
                of: name,
                destination,
                snapshot,
                last,
            }),
            _ if is_behind && !is_wanted => self.away.push(name),
            _ if is_behind => self.unfit.push((
                name,
                "what is there is newer than its last good snapshot".to_owned(),
            )),
            _ => self
                .unfit
                .push((name, "it has no good snapshot yet".to_owned())),
        }
    }

    /// What gives this upload, as far as the plan says of it what hangs on disks: `found` are the disks that
    /// it names, each with how it is checked.
    pub(crate) fn supposed(
        options: RemoteOptions,
        from: Vec<UploadFeed>,
        knows_sources: bool,
    ) -> Self {
        Self {
            options,
            from,
            away: Vec::new(),
            unfit: Vec::new(),
            waits_for_script: false,
            knows_sources,
            is_doubtful: false,
            mirror: MirrorFacts::default(),
        }
        .in_order()
    }

    /// With the disks as they are asked: for a mirror, which must not go back, the one that has the newest
    /// snapshot first.
    fn in_order(mut self) -> Self {
        if self.is_mirror() {
            self.from.sort_by_key(|feed| Reverse(feed.last));
        }
        self
    }

    /// Whether copies there are a mirror.
    pub(crate) fn is_mirror(&self) -> bool {
        self.options.layout == Layout::Mirror
    }

    /// The snapshot that goes to a mirror if all goes well.
    pub(crate) fn likely_snapshot(&self) -> Option<SnapshotId> {
        let mut new = self.from.iter().filter_map(|feed| feed.snapshot);
        new.next().or(self.from.first()?.last)
    }

    /// What there is to do at most for a mirror, where a disk gives the snapshot.
    pub(crate) fn expected(&self) -> Option<CloudChange> {
        let mut new = self.from.iter().filter(|feed| feed.snapshot.is_some());
        let first = new.next().or(self.from.first())?;
        self.mirror.expected.get(&first.of).copied()
    }

    /// The newest snapshot of these disks that a person accepted.
    pub(crate) fn newest_accepted(&self) -> Option<SnapshotId> {
        self.mirror.accepted
    }

    /// Whether one of these disks has a snapshot that is suspect, and that nobody has accepted.
    pub(crate) fn has_suspect(&self) -> bool {
        self.mirror.has_suspect
    }

    /// Whether the remote gets the live sources, and nothing else.
    pub(crate) fn is_live(&self) -> bool {
        let serves_all = self.unfit.is_empty() || (!self.is_mirror() && self.knows_sources);
        self.from.is_empty() && serves_all && !self.waits_for_script
    }

    /// Whether it may get the live sources: alone, or where no disk gives a new snapshot.
    pub(crate) fn may_be_live(&self) -> bool {
        self.is_live() || (self.knows_sources && !self.is_doubtful)
    }

    /// What a person should know of where the snapshots come from, or that there is none.
    pub(crate) fn check(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) {
        let remote = crate::cloud_remote(&facts.config.cloud, facts.host);
        if self.is_live() {
            let away = self.away.iter().map(DestinationName::to_string);
            let unfit = self.unfit.iter();
            let unfit = unfit.map(|(name, because)| format!("{name} ({because})"));
            let disks: Vec<String> = away.chain(unfit).collect();
            if !disks.is_empty() {
                let message = format!(
                    "{} cannot give a snapshot, so {remote} gets the sources as they are now",
                    disks.join(", ")
                );
                findings.push(note(code::UPLOAD_FROM_SOURCES, message));
            }
        } else if self.from.is_empty() && !self.unfit.is_empty() {
            let unfit: Vec<String> = self
                .unfit
                .iter()
                .map(|(name, because)| format!("{name}: {because}"))
                .collect();
            let message = format!("nothing can be uploaded to {remote}: {}", unfit.join("; "));
            findings.push(
                refusal(code::NOTHING_TO_UPLOAD, message)
                    .hint("make a backup there first with `backup now`, which uploads as well"),
            );
        }
    }
}

/// The check of a disk that is read for an upload, by how it is checked for its own snapshots.
pub(crate) fn only_read(check: DestinationCheckStep) -> DestinationCheckStep {
    DestinationCheckStep {
        read_only: true,
        create: false,
        remember: false,
        user_view: None,
        ..check
    }
}
