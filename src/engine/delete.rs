//! Deleting snapshots because a person says so: what the retention lets go, or those that are named.

use std::collections::BTreeSet;

use executor::{Error, error::Result, event::Silent};
use schema::{
    Finding, Inventory, Plan, SnapshotId,
    config::{DestinationName, RemoteOptions},
    inventory::DestinationState,
    plan::{Action, DeleteStep, EXPIRE},
};

use super::{
    Engine, Observer, RunOutcome, destination::naming_error, logs::LogKind, operation::Operation,
    remote::Ask,
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
        if let Some(remote) = self.remote_with_history() {
            return self.prepare_on_remote(remote, None);
        }
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
        if let Some(remote) = self.remote_with_history() {
            return self.prepare_on_remote(remote, Some(names));
        }
        let operation = self.unlogged(&Silent);
        let destination = operation.destination_with_records()?;
        let ids = operation.ids_to_delete(names, &destination)?;
        let inventory = operation.inventory_of(Some(destination))?;
        let step = planner::plan_deletion(&self.config, &inventory, &ids);
        operation.prepare_deletion(inventory, step)
    }

    /// Plans to let go what the rules let go on a remote, or the snapshots that are named, after asking it
    /// what it has.
    fn prepare_on_remote(
        &self,
        remote: (&DestinationName, RemoteOptions),
        names: Option<&[String]>,
    ) -> Result<PreparedDeletion> {
        let known = self.known(Ask::Always, &Silent)?;
        let operation = self.unlogged(&Silent);
        let mut inventory = operation.known_inventory()?;
        let (let_go, taken) = match names {
            None => planner::going_on_remote(&self.config, &inventory),
            Some(names) => {
                let known = known.unlogged(&Silent);
                let destination = known.destination_with_records()?;
                (known.ids_to_delete(names, &destination)?, Vec::new())
            }
        };
        operation.add_lost(&mut inventory, &let_go, &taken)?;
        let plan = match names {
            None => planner::plan_remote_prune(&self.config, &inventory, remote),
            Some(_) => planner::plan_remote_deletion(&self.config, &inventory, remote, &let_go),
        };
        let plan = plan.map_err(|finding| refused(*finding))?;
        Ok(PreparedDeletion {
            is_nothing: plan.steps.is_empty(),
            plan,
            inventory,
            purpose: EXPIRE,
        })
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
    /// The snapshots that these names mean, oldest first.
    fn ids_to_delete(
        &self,
        names: &[String],
        destination: &DestinationState,
    ) -> Result<Vec<SnapshotId>> {
        let mut ids = BTreeSet::new();
        for name in names {
            let named = self.named_snapshot(name, destination)?;
            ids.insert(named.to_delete(destination).map_err(naming_error)?);
        }
        Ok(ids.into_iter().collect())
    }

    fn prepare_deletion(
        &self,
        inventory: Inventory,
        step: std::result::Result<DeleteStep, Box<Finding>>,
    ) -> Result<PreparedDeletion> {
        let step = step.map_err(|finding| refused(*finding))?;
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

fn refused(finding: Finding) -> Error {
    let error = Error::refused(finding.message);
    match finding.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
