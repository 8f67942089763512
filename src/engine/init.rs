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
    /// Sets the mounted drive up if it is new, and remembers it; gives what became of that. Where local
    /// snapshots are not enabled only the copies in the cloud are taken over, and the run has no step.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails on an interruption, or if another run is at work.
    pub fn init(&self, request: &InitRequest, observer: &dyn Observer) -> Result<RunOutcome> {
        let remote = self.copies_to_take_over(request);
        if let Some(remote) = &remote {
            owner::take_over_remote(&self.state_or_new()?, remote)?;
            observer.notice(&Notice::CopiesTakenOver { remote });
        }
        let destination = self.drive_to_add(remote.as_deref())?;
        self.logged(LogKind::Runs, observer, |operation| {
            let (plan, inventory) = operation.plan_init(destination, request, remote.as_deref())?;
            operation.run_maintenance(&plan, &inventory)
        })
    }

    /// What [`Self::init`] would do. Writes nothing.
    ///
    /// # Errors
    /// As [`Self::init`], but for what a run alone meets.
    pub fn foretell_init(
        &self,
        request: &InitRequest,
        observer: &dyn Observer,
    ) -> Result<ForetoldRun> {
        let remote = self.copies_to_take_over(request);
        if let Some(remote) = &remote {
            observer.notice(&Notice::CopiesTakenOver { remote });
        }
        let destination = self.drive_to_add(remote.as_deref())?;
        let operation = self.unlogged(&Silent);
        let (plan, inventory) = operation.plan_init(destination, request, remote.as_deref())?;
        operation.foretell_maintenance(plan, &inventory)
    }

    /// The drive that is to be added; none where there are no local snapshots, and copies in the cloud are
    /// taken over.
    fn drive_to_add(&self, remote: Option<&str>) -> Result<Option<DestinationState>> {
        if remote.is_some() && !self.config.local.enable {
            return Ok(None);
        }
        self.unlogged(&Silent).destination_present().map(Some)
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
        destination: Option<DestinationState>,
        request: &InitRequest,
        remote: Option<&str>,
    ) -> Result<(Plan, Inventory)> {
        let inventory = self.inventory_of(destination)?;
        let old = request.take_over.as_deref();
        let plan = planner::plan_init(&self.engine.config, &inventory, old, remote);
        Ok((plan, inventory))
    }
}
