//! Planning a run without running it.

use executor::error::Result;
use planner::Options;
use schema::{Inventory, Plan};

use super::{
    Engine, Observer, Wanted,
    inventory::{InventoryRequest, UnusableBases},
};

/// A plan that is asked for.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// Allow more deletions at once than the retention brings about by itself.
    pub approve_deletions: bool,
    /// The destinations whose steps are wanted.
    pub wanted: Wanted,
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
    pub fn plan(&self, request: &PlanRequest, observer: &dyn Observer) -> Result<PlannedRun> {
        let wanted = &request.wanted;
        let (inventory, _) = self.unlogged(observer).take_inventory(InventoryRequest {
            wanted,
            unusable: &UnusableBases::new(),
            to_run: false,
        })?;
        let options = Options {
            approve_deletions: request.approve_deletions,
            ..Options::default()
        };
        let plan = self.plan_wanted(&inventory, &options, wanted);
        Ok(PlannedRun { plan, inventory })
    }

    /// The plan of what is wanted; what of it breaks a law is refused.
    pub(super) fn plan_wanted(
        &self,
        inventory: &Inventory,
        options: &Options,
        wanted: &Wanted,
    ) -> Plan {
        let plan = planner::plan_all(&self.config, inventory, options, wanted);
        planner::refuse_unlawful(plan, inventory)
    }
}
