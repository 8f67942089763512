//! What the steps of one run share: the state directory, the open destination with its lock, and the
//! survey of the sources.

use schema::{
    Plan,
    plan::{Action, DestinationCheckStep},
};

use crate::{
    destination,
    error::{Error, Result},
    event::Context,
    lock::Lock,
    state_dir::StateDir,
    steps,
    store::{BACKUP, LOCK_FILE, Store},
    survey::Survey,
};

/// What the steps of one run share.
pub(super) struct Session<'a> {
    /// The state directory.
    pub(super) state: &'a StateDir,
    destination: Option<DestinationCheckStep>,
    open: Option<(Store, Option<Lock>)>,
    /// What the sources were found to hold, for the first step that asks.
    pub(super) survey: Option<Survey>,
}

impl<'a> Session<'a> {
    pub(super) fn new(state: &'a StateDir, plan: &Plan) -> Self {
        let destination = plan.steps.iter().find_map(|step| match &step.action {
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
        self.open = Some(lock_destination(store)?);
        Ok(())
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
            self.open = Some(lock_destination(destination::open_checked(step)?)?);
        }
        match &self.open {
            Some((store, _)) => Ok(store),
            None => Err(Error::failed("the destination is not open")),
        }
    }
}

fn lock_destination(store: Store) -> Result<(Store, Option<Lock>)> {
    // Who may not see the records may not lock either, and can only restore.
    if store.closed {
        return Ok((store, None));
    }
    let path = store.named(&format!("{BACKUP}/{LOCK_FILE}"));
    let lock = Lock::take(&store.backup, LOCK_FILE, &path)?;
    steps::moving::finish_moves(&store)?;
    Ok((store, Some(lock)))
}
