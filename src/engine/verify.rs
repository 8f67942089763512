//! Comparing snapshots with their manifests, and healing what is damaged.

use executor::{
    Error,
    error::Result,
    state_dir::StateDir,
    store::Store,
    verify::{
        self, heal, memory,
        snapshots::{self, FoundSnapshot, FoundSnapshots},
    },
};
use planner::{
    naming::{self, Candidate},
    stored_snapshot::NamingRefusal,
};
use schema::{
    Report, RunResult, SnapshotId,
    plan::{Action, RepairRecords, RepairStep},
    verify::{DamageKind, Depth, Verification},
};

use super::{
    Engine, Notice, Observer, RunOutcome, destination::naming_error, logs::LogKind,
    operation::Operation,
};

/// A comparison that is asked for.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// The snapshot; none for all of them.
    pub snapshot: Option<String>,
    /// How much is read.
    pub depth: Depth,
    /// Make damaged files, manifests and records anew.
    pub repair: bool,
    /// Only say what a repair would do, and write nothing at all.
    pub dry_run: bool,
    /// Compare the manifests with the digests that the state directory keeps of those that were
    /// sealed.
    pub against_state: bool,
    /// Ask the remote for digests that the state directory does not keep.
    pub ask_cloud: bool,
}

/// What became of it.
#[derive(Debug, Clone)]
pub enum VerifyOutcome {
    /// What was found, and how it was repaired if it was.
    Verified(Box<Verification>),
    /// A repair was wanted, and was not begun.
    RepairNotBegun(RunOutcome),
}

/// Damages that no repair was planned for.
#[must_use]
pub fn damage_left(found: &Verification) -> u64 {
    let planned = found.damage.iter().filter(|one| one.not_repaired.is_none());
    found.damage_count - planned.count() as u64
}

/// The snapshots of a destination, and those of them that are compared.
struct Chosen {
    all: Vec<FoundSnapshot>,
    places: Vec<usize>,
    /// Where there may be more, and why nobody knows.
    not_looked_at: Vec<String>,
}

impl Chosen {
    fn of(found: FoundSnapshots, places: Vec<usize>) -> Self {
        let not_looked_at = found.not_looked_at.into_iter();
        Self {
            all: found.all,
            places,
            not_looked_at: not_looked_at.map(|error| error.message).collect(),
        }
    }
}

impl Engine {
    /// Compares snapshots with their manifests, and repairs them if that is asked for. What was found
    /// is told before a repair begins ([`Notice::Verified`]), and what came of that
    /// ([`Notice::Repaired`]).
    ///
    /// # Errors
    /// Refused if the destination is not there or the name means no snapshot; fails if the destination
    /// cannot be read, on an interruption, or if another run is at work where something is repaired.
    pub fn verify(
        &self,
        request: &VerifyRequest,
        observer: &dyn Observer,
    ) -> Result<VerifyOutcome> {
        let operation = self.unlogged(observer);
        let mut store = self.open_store_present()?;
        if store.closed {
            self.require_records(&operation.look_at_destination()?)?;
        }
        let mut chosen = operation.choose_snapshots(request, &store)?;
        let from_cloud = match request.against_state {
            true => operation.know_sealed(&mut store, &chosen.all, request.ask_cloud)?,
            false => Vec::new(),
        };
        let mut found = operation.compare_snapshots(request, &store, &chosen)?;
        let sources = &self.config.local.sources;
        let records = match request.repair {
            true => heal::plan_record_repair(&chosen.all, sources, &found),
            false => Vec::new(),
        };
        if request.dry_run {
            operation.foretell_repair(&store, &chosen, &records, &mut found)?;
            operation.notice(&Notice::Verified(&found));
            return Ok(VerifyOutcome::Verified(Box::new(found)));
        }
        if !records.is_empty() {
            operation.notice(&Notice::Verified(&found));
            let step = RepairStep {
                records,
                ..RepairStep::default()
            };
            let report = match self.repair(step, observer)? {
                RunOutcome::Ended(report) => report,
                not_begun => return Ok(VerifyOutcome::RepairNotBegun(not_begun)),
            };
            operation.notice(&Notice::Repaired {
                report: &report,
                remaining: 0,
            });
            // What they say is compared with what is there, and the rest can be repaired then.
            store = self.open_store_present()?;
            chosen = operation.same_snapshots(&chosen, &store);
            found = operation.compare_snapshots(request, &store, &chosen)?;
            found.rebuilt = Some(*report);
        }
        let step = if request.repair && !found.damage.is_empty() {
            let context = operation.context;
            heal::plan_repair(&store, &chosen.all, sources, &mut found, context)?
        } else {
            RepairStep::default()
        };
        if let Some(compared) = &mut found.against_state {
            compared.from_cloud = from_cloud;
        }
        operation.notice(&Notice::Verified(&found));
        if !step.files.is_empty() || !step.folders.is_empty() {
            let report = match self.repair(step, observer)? {
                RunOutcome::Ended(report) => report,
                not_begun => return Ok(VerifyOutcome::RepairNotBegun(not_begun)),
            };
            operation.remember_or_notice(|state| memory::forget_repaired(state, &store));
            operation.notice(&Notice::Repaired {
                report: &report,
                remaining: damage_left(&found),
            });
            found.repair = Some(*report);
        }
        Ok(VerifyOutcome::Verified(Box::new(found)))
    }

    /// Runs the repair as a plan of its own.
    fn repair(&self, step: RepairStep, observer: &dyn Observer) -> Result<RunOutcome> {
        self.logged(LogKind::Runs, observer, |operation| {
            let destination = operation.look_at_destination()?;
            let inventory = operation.inventory_of(Some(destination))?;
            let plan =
                planner::plan_maintenance(&self.config, &inventory, Some(Action::Repair(step)));
            operation.run_maintenance(&plan, &inventory)
        })
    }
}

impl VerifyOutcome {
    /// The repair that did not end well; none if there was none, or it did.
    #[must_use]
    pub fn failed_repair(&self) -> Option<&Report> {
        match self {
            Self::RepairNotBegun(outcome) => Some(outcome.report()),
            Self::Verified(found) => {
                let reports = [&found.rebuilt, &found.repair];
                let mut reports = reports.into_iter().flatten();
                reports.find(|report| report.result != RunResult::Success)
            }
        }
    }

    /// Whether all that was compared is whole, now that it was repaired.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match self {
            Self::RepairNotBegun(_) => false,
            Self::Verified(found) => match found.repair {
                _ if !found.not_looked_at.is_empty() => false,
                _ if found
                    .against_state
                    .as_ref()
                    .is_some_and(|one| !one.agrees()) =>
                {
                    false
                }
                Some(_) => damage_left(found) == 0,
                None => found.damage_count == 0,
            },
        }
    }
}

impl Operation<'_> {
    /// Compares what was chosen, and remembers what was found.
    fn compare_snapshots(
        &self,
        request: &VerifyRequest,
        store: &Store,
        chosen: &Chosen,
    ) -> Result<Verification> {
        let Chosen { all, places, .. } = chosen;
        let mut found = verify::verify_snapshots(store, all, places, request.depth, self.context)?;
        found.not_looked_at.clone_from(&chosen.not_looked_at);
        found.against_state = request
            .against_state
            .then(|| snapshots::compare_with_kept(store, all));
        if !request.dry_run {
            self.remember_or_notice(|state| memory::learn_damage(state, store, all, &found));
        }
        Ok(found)
    }

    /// Says of each damage why it would not be repaired. What is damaged in a snapshot whose records are
    /// made anew shows only after that.
    fn foretell_repair(
        &self,
        store: &Store,
        chosen: &Chosen,
        records: &[RepairRecords],
        found: &mut Verification,
    ) -> Result<()> {
        if found.damage.is_empty() {
            return Ok(());
        }
        let sources = &self.engine.config.local.sources;
        heal::plan_repair(store, &chosen.all, sources, found, self.context)?;
        let is_made_anew = |id: SnapshotId| records.iter().any(|one| one.id == id);
        let of_records = [DamageKind::Record, DamageKind::Manifest];
        for damage in &mut found.damage {
            let mut names = damage.names.iter();
            if of_records.contains(&damage.kind) && names.all(|name| is_made_anew(name.snapshot)) {
                damage.not_repaired = None;
            }
        }
        Ok(())
    }

    /// The snapshots that are meant.
    fn choose_snapshots(&self, request: &VerifyRequest, store: &Store) -> Result<Chosen> {
        let mut found = snapshots::all_snapshots(store, *self.now.offset());
        if found.all.is_empty() && !found.not_looked_at.is_empty() {
            return Err(found.not_looked_at.remove(0));
        }
        let all = &found.all;
        let Some(name) = &request.snapshot else {
            if all.is_empty() {
                return Err(Error::refused("there is no snapshot yet")
                    .hint("`backup apply` makes the first one"));
            }
            let places = (0..all.len()).collect();
            return Ok(Chosen::of(found, places));
        };
        snapshots::refuse_unmanaged(store, all, name)?;
        let candidates: Vec<Candidate> = all
            .iter()
            .map(|one| Candidate {
                name: one.id.to_string(),
                tiers: vec![one.home],
                started_at: Some(one.started_at(*self.now.offset())),
                good: one.counts(),
            })
            .collect();
        let at = naming::named(name, &candidates, self.now.to_utc());
        let at = at.map_err(|message| naming_error(NamingRefusal::of_name(message)))?;
        Ok(Chosen::of(found, vec![at]))
    }

    /// The same snapshots, after their records were made anew.
    fn same_snapshots(&self, chosen: &Chosen, store: &Store) -> Chosen {
        let ids: Vec<_> = chosen.places.iter().map(|at| chosen.all[*at].id).collect();
        let found = snapshots::all_snapshots(store, *self.now.offset());
        let places = (0..found.all.len()).filter(|at| ids.contains(&found.all[*at].id));
        let places = places.collect();
        Chosen::of(found, places)
    }

    /// Writes to what this machine remembers; where that cannot be, the result is told all the same.
    pub(super) fn remember_or_notice(&self, write: impl FnOnce(&StateDir) -> Result<()>) {
        let written = self.engine.state_or_new().and_then(|state| write(&state));
        if let Err(error) = written {
            let because = &error.message;
            self.notice(&Notice::NotRemembered { because });
        }
    }
}
