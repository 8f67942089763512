//! What the steps for one destination share: the state directory, the open destination with its lock,
//! and the survey of the sources.

use schema::{
    Digest, Plan, SnapshotId,
    config::DestinationName,
    journal::Outcome,
    plan::{Action, DestinationCheckStep, RepairStep},
};

use crate::{
    destination,
    error::{Error, Result},
    event::Context,
    lock::Lock,
    state_dir::{KeptDigest, StateDir},
    steps,
    store::{BACKUP, LOCK_FILE, Store},
    survey::Survey,
    view,
};

/// What the steps for one destination share.
pub(super) struct Session {
    /// The state directory, as this destination sees it.
    pub(super) state: StateDir,
    destination: Option<DestinationCheckStep>,
    open: Option<(Store, Option<Lock>)>,
    /// What the sources were found to hold, for the first step that asks.
    pub(super) survey: Option<Survey>,
}

impl Session {
    pub(super) fn new(state: StateDir, plan: &Plan, of: Option<&DestinationName>) -> Self {
        let own = plan.steps.iter().filter(|step| step.of.as_ref() == of);
        let destination = own
            .map(|step| &step.action)
            .find_map(|action| match action {
                Action::DestinationCheck(check) => Some(check.clone()),
                Action::CloudSync(sync) => sync.destination.clone(),
                _ => None,
            });
        Self {
            state,
            destination,
            open: None,
            survey: None,
        }
    }

    /// A session that only reads a destination which has no steps of its own in the run.
    pub(super) fn reading(state: StateDir, destination: &DestinationCheckStep) -> Self {
        Self {
            state,
            destination: Some(destination.clone()),
            open: None,
            survey: None,
        }
    }

    /// Whether it has a destination that can be opened.
    pub(super) fn has_destination(&self) -> bool {
        self.destination.is_some()
    }

    /// The destination, if it is open.
    pub(super) fn opened(&self) -> Option<&Store> {
        self.open.as_ref().map(|(store, _)| store)
    }

    /// Checks and opens the destination, and takes its lock.
    ///
    /// # Errors
    /// A refusal, or that another run holds it.
    pub(super) fn prepare(
        &mut self,
        step: &DestinationCheckStep,
        context: Context<'_>,
    ) -> Result<()> {
        let store = destination::prepare_destination(step, context)?;
        self.open = Some(lock_destination(self.state.with_kept_digests(store))?);
        Ok(())
    }

    /// Lets go of the destination.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// The destination; opened again, and checked, in a run that was continued.
    ///
    /// # Errors
    /// A refusal, or that another run holds it.
    pub(super) fn store(&mut self) -> Result<&Store> {
        if self.open.is_none() {
            let step = self.destination.as_ref().ok_or_else(|| {
                Error::failed("the plan has a step for a destination and no destination")
            })?;
            let store = self
                .state
                .with_kept_digests(destination::open_checked(step)?);
            self.open = Some(lock_destination(store)?);
        }
        match &self.open {
            Some((store, _)) => Ok(store),
            None => Err(Error::failed("the destination is not open")),
        }
    }
}

impl Session {
    /// Keeps the digests of the manifests of these snapshots, which this run made or a person vouched
    /// for, and forgets those of snapshots that are gone. Gives those whose manifest was another one.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub(super) fn keep_digests(
        &mut self,
        made: &[SnapshotId],
        deleted: &[SnapshotId],
        context: Context<'_>,
    ) -> Result<Vec<SnapshotId>> {
        let state = self.state.clone();
        let now = context.clock.now();
        let Some((store, _)) = self.open.as_mut() else {
            return Ok(Vec::new());
        };
        let Ok(Some(destination)) = store.destination() else {
            return Ok(Vec::new());
        };
        let found: Vec<(SnapshotId, Digest)> = made
            .iter()
            .filter_map(|id| Some((*id, store.record(*id).ok()??.manifest_digest)))
            .collect();
        let gone = deleted
            .iter()
            .filter(|id| matches!(store.home_of(**id), Ok(None)));
        let gone: Vec<SnapshotId> = gone.copied().collect();
        let differs = |(id, digest): &&(SnapshotId, Digest)| is_other_manifest(store, *id, *digest);
        let changed = found.iter().filter(differs).map(|(id, _)| *id).collect();
        state.change_kept_digests(&destination.id, |kept| {
            for (id, digest) in &found {
                let is_kept = |kept: &KeptDigest| {
                    kept.digest == *digest && !kept.taken_over && kept.differs_since.is_none()
                };
                if !kept.get(id).is_some_and(is_kept) {
                    kept.insert(*id, KeptDigest::new(*digest, now));
                }
            }
            kept.retain(|id, _| !gone.contains(id));
        })?;
        state.read_kept_digests(store);
        Ok(changed)
    }

    /// Does a repair. The digest of each manifest that is made anew is kept at once: to read the trees of
    /// the next ones may take hours, and after a kill this one would look as if somebody had changed it.
    ///
    /// # Errors
    /// As [`steps::repair::run_repair_step`].
    pub(super) fn repair(
        &mut self,
        run_id: &str,
        step: &RepairStep,
        context: Context<'_>,
    ) -> Result<Outcome> {
        let state = self.state.clone();
        let store = self.store()?;
        let destination = store.destination().ok().flatten();
        let keep = |id: SnapshotId| {
            let (Some(destination), Ok(Some(record))) = (&destination, store.record(id)) else {
                return;
            };
            let digest = record.manifest_digest;
            // All of them are kept after the step, which tells what keeps them from that.
            let _ = state.change_kept_digests(&destination.id, |kept| {
                if kept.get(&id).is_none_or(|kept| kept.digest != digest) {
                    kept.insert(id, KeptDigest::new(digest, context.clock.now()));
                }
            });
        };
        steps::repair::run_repair_step(store, run_id, step, &keep, context)
    }

    /// Lets users see the newest snapshot as `latest`, where they have a view.
    pub(super) fn refresh_view(&self) {
        if let Some((store, _)) = &self.open {
            view::refresh_latest(store);
        }
    }
}

/// Whether the manifest of a snapshot, of this digest, is another one than was sealed.
pub(super) fn is_other_manifest(store: &Store, id: SnapshotId, digest: Digest) -> bool {
    let kept = store.kept_of(id, digest);
    kept.is_some_and(|kept| kept.digest != digest)
}

fn lock_destination(store: Store) -> Result<(Store, Option<Lock>)> {
    // Who may not see the records may not lock either, and can only restore.
    if store.closed {
        return Ok((store, None));
    }
    let path = store.named(&format!("{BACKUP}/{LOCK_FILE}"));
    let lock = Lock::take(&store.backup, LOCK_FILE, &path)?;
    steps::moving::finish_moves(&store)?;
    steps::moving::lock_snapshots(&store);
    steps::by_time::mend_by_time(&store);
    Ok((store, Some(lock)))
}
