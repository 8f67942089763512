//! Adding the mounted drive to the ones this machine backs up to.

use executor::{cloud::owner, error::Result, event::Silent};

use super::{Engine, Notice, Observer, RunOutcome, logs::LogKind};

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
        let old = request.take_over.as_deref();
        if old.is_some() && self.config.cloud.enable {
            let remote = self.cloud_remote();
            owner::take_over_remote(&self.state_or_new()?, &remote)?;
            observer.notice(&Notice::CopiesTakenOver { remote: &remote });
            if !self.config.local.enable {
                return Ok(None);
            }
        }
        let destination = self.unlogged(&Silent).destination_present()?;
        self.logged(LogKind::Runs, observer, |operation| {
            let inventory = operation.inventory_of(Some(destination))?;
            let plan = planner::plan_init(&self.config, &inventory, old);
            operation.run_maintenance(&plan, &inventory).map(Some)
        })
    }
}
