//! Deleting snapshots because a person says so: what the retention lets go, or those that are named.

use executor::{Error, error::Result, event::Silent};
use schema::{
    Finding, Inventory, Plan,
    plan::{Action, DeleteStep},
};

use super::{
    Engine, Observer, RunOutcome, destination::naming_error, logs::LogKind, operation::Operation,
};

/// A deletion that is planned and not run.
#[derive(Debug, Clone)]
pub struct PreparedDeletion {
    /// Its plan.
    pub plan: Plan,
    /// What the plan was made from.
    pub inventory: Inventory,
    /// The word that its steps begin with.
    pub purpose: &'static str,
    /// Whether nothing is deleted or moved.
    pub is_nothing: bool,
}

impl Engine {
    /// Plans to delete what the retention lets go, and to bring the tiers to what it wants.
    ///
    /// # Errors
    /// Refused if the destination is not there, or nothing may be deleted now.
    pub fn prepare_prune(&self) -> Result<PreparedDeletion> {
        let operation = self.unlogged(&Silent);
        let destination = operation.destination_with_records()?;
        let inventory = operation.inventory_of(Some(destination))?;
        let step = planner::plan_prune(&self.config, &inventory);
        operation.prepare_deletion(inventory, step)
    }

    /// Plans to delete the snapshots that are named.
    ///
    /// # Errors
    /// Refused if the destination is not there, a name means no snapshot of this program, or one of
    /// them is never deleted.
    pub fn prepare_delete(&self, names: &[String]) -> Result<PreparedDeletion> {
        let operation = self.unlogged(&Silent);
        let destination = operation.destination_with_records()?;
        let mut ids = Vec::new();
        for name in names {
            let named = operation.named_snapshot(name, &destination)?;
            ids.push(named.to_delete(&destination).map_err(naming_error)?);
        }
        ids.sort();
        ids.dedup();
        let inventory = operation.inventory_of(Some(destination))?;
        let step = planner::plan_deletion(&self.config, &inventory, &ids);
        operation.prepare_deletion(inventory, step)
    }

    /// Runs a deletion that was prepared.
    ///
    /// # Errors
    /// Fails on an interruption, or if another run is at work.
    pub fn delete(
        &self,
        prepared: &PreparedDeletion,
        observer: &dyn Observer,
    ) -> Result<RunOutcome> {
        self.logged(LogKind::Runs, observer, |operation| {
            operation.run_maintenance(&prepared.plan, &prepared.inventory)
        })
    }
}

impl Operation<'_> {
    fn prepare_deletion(
        &self,
        inventory: Inventory,
        step: std::result::Result<DeleteStep, Box<Finding>>,
    ) -> Result<PreparedDeletion> {
        let step = step.map_err(|finding| {
            let error = Error::refused(finding.message);
            match finding.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })?;
        let purpose = step.purpose.word();
        let rotation = &step.rotation;
        let is_nothing = rotation.deletions.is_empty()
            && rotation.moves.is_empty()
            && rotation.links.is_empty()
            && rotation.unlinks.is_empty();
        let action = Some(Action::Delete(step));
        Ok(PreparedDeletion {
            plan: planner::plan_maintenance(&self.engine.config, &inventory, action),
            inventory,
            purpose,
            is_nothing,
        })
    }
}
