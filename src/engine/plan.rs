//! Planning a run without running it.

use executor::error::Result;
use planner::Options;
use schema::{Inventory, Plan, plan::Part};

use super::{
    Engine, Observer,
    inventory::{InventoryRequest, UnusableBases},
};

/// A plan that is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlanRequest {
    /// Allow more deletions at once than the retention brings about by itself.
    pub approve_deletions: bool,
    /// The only part whose steps are wanted.
    pub only: Option<Part>,
}

/// A plan that is not run, and what it was made from.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// The plan.
    pub plan: Plan,
    /// The inventory.
    pub inventory: Inventory,
}

impl Engine {
    /// Plans what a new run would do. Writes nothing.
    ///
    /// # Errors
    /// Fails if the destination, the sources or the state directory cannot be looked at, or on an
    /// interruption.
    pub fn plan(&self, request: PlanRequest, observer: &dyn Observer) -> Result<PlannedRun> {
        let (inventory, _) = self.unlogged(observer).take_inventory(InventoryRequest {
            only: request.only,
            unusable: &UnusableBases::new(),
            to_run: false,
        })?;
        let options = Options {
            approve_deletions: request.approve_deletions,
            scheduled: false,
            only: request.only,
            after_pre_script: false,
        };
        let plan = planner::plan(&self.config, &inventory, &options);
        let plan = planner::refuse_unlawful(plan, &inventory);
        Ok(PlannedRun { plan, inventory })
    }
}
