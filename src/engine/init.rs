//! Adding the mounted drive to the ones this machine backs up to.

use executor::{cloud::owner, error::Result, event::Silent};

use schema::{Inventory, Plan, inventory::DestinationState};

use super::{
    Engine, ForetoldRun, Notice, Observer, RunOutcome, logs::LogKind, operation::Operation,
};

/// A drive that is to be this machine's.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// The host name that this machine had, to go on with what it left; empty for what another machine
    /// of this host name left.
    pub take_over: Option<String>,
}

impl Engine {
    /// Sets the mounted drive up if it is new, and remembers it; gives what became of that, or nothing
    /// where local snapshots are not enabled and only the copies in the cloud are taken over.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails on an interruption, or if another run is at work.
    pub fn init(
        &self,
        request: &InitRequest,
        observer: &dyn Observer,
    ) -> Result<Option<RunOutcome>> {
        if let Some(remote) = self.copies_to_take_over(request) {
            owner::take_over_remote(&self.state_or_new()?, &remote)?;
            observer.notice(&Notice::CopiesTakenOver { remote: &remote });
            if !self.config.local.enable {
                return Ok(None);
            }
        }
        let destination = self.unlogged(&Silent).destination_present()?;
        self.logged(LogKind::Runs, observer, |operation| {
            let (plan, inventory) = operation.plan_init(destination, request)?;
            operation.run_maintenance(&plan, &inventory).map(Some)
        })
    }

    /// What [`Self::init`] would do, where it does anything to a drive. Writes nothing.
    ///
    /// # Errors
    /// As [`Self::init`], but for what a run alone meets.
    pub fn foretell_init(
        &self,
        request: &InitRequest,
        observer: &dyn Observer,
    ) -> Result<Option<ForetoldRun>> {
        if let Some(remote) = self.copies_to_take_over(request) {
            observer.notice(&Notice::CopiesTakenOver { remote: &remote });
            if !self.config.local.enable {
                return Ok(None);
            }
        }
        let operation = self.unlogged(&Silent);
        let destination = operation.destination_present()?;
        let (plan, inventory) = operation.plan_init(destination, request)?;
        operation.foretell_maintenance(plan, &inventory).map(Some)
    }

    /// The remote whose copies are taken over, if any are.
    fn copies_to_take_over(&self, request: &InitRequest) -> Option<String> {
        let is_wanted = request.take_over.is_some() && self.config.cloud.enable;
        is_wanted.then(|| self.cloud_remote())
    }
}

impl Operation<'_> {
    fn plan_init(
        &self,
        destination: DestinationState,
        request: &InitRequest,
    ) -> Result<(Plan, Inventory)> {
        let inventory = self.inventory_of(Some(destination))?;
        let old = request.take_over.as_deref();
        let plan = planner::plan_init(&self.engine.config, &inventory, old);
        Ok((plan, inventory))
    }
}
