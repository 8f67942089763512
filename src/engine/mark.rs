//! Marking a snapshot: what a person knows of it and the program cannot.

use executor::{error::Result, event::Silent};
use planner::stored_snapshot::snapshot_to_accept;
use schema::{
    Inventory, Plan,
    inventory::DestinationState,
    plan::{Action, MarkStep},
};

use super::{
    Engine, ForetoldRun, Observer, RunOutcome, destination::naming_error, logs::LogKind,
    operation::Operation, remote::Ask,
};

/// What a person says of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is kept whatever the retention says.
    Pin,
    /// It is left to the retention again.
    Unpin,
    /// It is as it should be although it is suspect, and so are all that are like it.
    Accept,
}

impl Engine {
    /// Marks the snapshot that `name` means.
    ///
    /// # Errors
    /// Refused if the destination is not there, or the name means no snapshot of this program; fails
    /// on an interruption, or if another run is at work.
    pub fn mark(&self, name: &str, mark: Mark, observer: &dyn Observer) -> Result<RunOutcome> {
        if self.is_of_remote() {
            let known = self.known(Ask::Always, observer)?;
            let (_, steps) = known.decide_marks(name, mark)?;
            return self.logged(LogKind::Runs, observer, |operation| {
                let inventory = operation.inventory_of(None)?;
                let plan = planner::plan_remote_marks(&self.config, &inventory, &steps);
                operation.run_maintenance(&plan, &inventory)
            });
        }
        let (destination, steps) = self.decide_marks(name, mark)?;
        self.logged(LogKind::Runs, observer, |operation| {
            let (plan, inventory) = operation.plan_marks(destination, steps)?;
            operation.run_maintenance(&plan, &inventory)
        })
    }

    /// What [`Self::mark`] would do. Writes nothing.
    ///
    /// # Errors
    /// As [`Self::mark`], but for what a run alone meets.
    pub fn foretell_mark(
        &self,
        name: &str,
        mark: Mark,
        observer: &dyn Observer,
    ) -> Result<ForetoldRun> {
        if self.is_of_remote() {
            let known = self.known(Ask::Always, observer)?;
            let (_, steps) = known.decide_marks(name, mark)?;
            let operation = known.unlogged(observer);
            let inventory = operation.inventory_of(None)?;
            let plan = planner::plan_remote_marks(&self.config, &inventory, &steps);
            return operation.foretell_maintenance(plan, &inventory);
        }
        let (destination, steps) = self.decide_marks(name, mark)?;
        let operation = self.unlogged(&Silent);
        let (plan, inventory) = operation.plan_marks(destination, steps)?;
        operation.foretell_maintenance(plan, &inventory)
    }

    /// What is said of which snapshots.
    fn decide_marks(&self, name: &str, mark: Mark) -> Result<(DestinationState, Vec<MarkStep>)> {
        let unlogged = self.unlogged(&Silent);
        let destination = unlogged.destination_with_records()?;
        let named = unlogged.named_snapshot(name, &destination)?;
        let id = named.to_mark(&destination).map_err(naming_error)?;
        let steps = match mark {
            Mark::Pin => vec![MarkStep::Pin { id }],
            Mark::Unpin => vec![MarkStep::Unpin { id }],
            Mark::Accept => {
                let id = snapshot_to_accept(name, id, &destination);
                let all = planner::accepted_with(&destination, id).into_iter();
                all.map(|id| MarkStep::Accept { id }).collect()
            }
        };
        Ok((destination, steps))
    }
}

impl Operation<'_> {
    fn plan_marks(
        &self,
        destination: DestinationState,
        steps: Vec<MarkStep>,
    ) -> Result<(Plan, Inventory)> {
        let inventory = self.inventory_of(Some(destination))?;
        let actions = steps.into_iter().map(Action::Mark).collect();
        let plan = planner::plan_maintenance_steps(&self.engine.config, &inventory, actions);
        Ok((plan, inventory))
    }
}
