//! Where a named remote gets its snapshots from: the disks that have the same sources, `local` first, or the
//! live sources where none of them is there.
//!
//! A remote waits for those disks and needs none of them: one that is away, full or suspect holds no remote
//! up.

use schema::{
    Config, Finding, Inventory, Plan, Severity,
    config::{DestinationKind, DestinationName, Local, RemoteOptions},
    plan::{DestinationCheckStep, UploadFeed},
};

use crate::{
    Options,
    facts::Facts,
    findings::{
        code,
        destination::{check_destination, destination_absence},
        note, refusal,
    },
    steps::cloud_sync::read_only,
};

/// What the plan for a named remote must know of the other destinations.
#[derive(Debug, Clone)]
pub(crate) struct RemoteFacts {
    pub(crate) options: RemoteOptions,
    /// The disks that are there and have, or get, a snapshot; in the order in which they are asked.
    pub(crate) from: Vec<UploadFeed>,
    /// Disks with the same sources that are not there.
    away: Vec<DestinationName>,
    /// Disks with the same sources that are there and have nothing to give, each with the reason.
    unfit: Vec<(DestinationName, String)>,
    /// The script before the backup may bring one that is away.
    waits_for_script: bool,
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

/// Whether a remote gets the live sources, by what was found of the disks: none that has the same sources is
/// there.
#[must_use]
pub fn uploads_live(config: &Config, inventory: &Inventory, remote: &DestinationName) -> bool {
    feeds_of(config, remote).iter().all(|feed| {
        let found = inventory.view(feed).destination;
        let view = config.view(feed);
        found
            .zip(view)
            .is_none_or(|(found, view)| destination_absence(&view, &found).is_some())
    })
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
        plan_of: PlanOf<'_>,
    ) -> Option<Self> {
        let mut facts = Self {
            options: config.remote_options(name)?,
            from: Vec::new(),
            away: Vec::new(),
            unfit: Vec::new(),
            waits_for_script: false,
        };
        for feed in feeds_of(config, name) {
            if let Some(view) = config.view(&feed) {
                facts.judge_feed(&view, &inventory.view(&feed), feed, options, plan_of);
            }
        }
        Some(facts)
    }

    fn judge_feed(
        &mut self,
        view: &Config,
        inventory: &Inventory,
        name: DestinationName,
        options: &Options,
        plan_of: PlanOf<'_>,
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
        refusals.retain(|one| one.code != code::DESTINATION_READ_ONLY);
        let plan = plan_of(&name);
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
        let snapshot = plan.and_then(Plan::snapshot).map(|snapshot| snapshot.id);
        let last = facts.reference.map(|good| good.record.id);
        match read_only(&facts) {
            Some(destination) if snapshot.or(last).is_some() => self.from.push(UploadFeed {
                of: name,
                destination,
                snapshot,
                last,
            }),
            _ => self
                .unfit
                .push((name, "it has no good snapshot yet".to_owned())),
        }
    }

    /// What gives this upload, as far as the plan says of it what hangs on disks: `found` are the disks that
    /// it names, each with how it is checked.
    pub(crate) fn supposed(options: RemoteOptions, from: Vec<UploadFeed>) -> Self {
        Self {
            options,
            from,
            away: Vec::new(),
            unfit: Vec::new(),
            waits_for_script: false,
        }
    }

    /// Whether the remote gets the live sources.
    pub(crate) fn is_live(&self) -> bool {
        self.from.is_empty() && self.unfit.is_empty() && !self.waits_for_script
    }

    /// What a person should know of where the snapshots come from, or that there is none.
    pub(crate) fn check(&self, facts: &Facts<'_>, findings: &mut Vec<Finding>) {
        let remote = crate::cloud_remote(&facts.config.cloud, facts.host);
        let names = |all: &[DestinationName]| {
            let all: Vec<&str> = all.iter().map(DestinationName::as_str).collect();
            all.join(", ")
        };
        if self.is_live() {
            if !self.away.is_empty() {
                let message = format!(
                    "{} cannot give a snapshot, so {remote} gets the sources as they are now",
                    names(&self.away)
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
