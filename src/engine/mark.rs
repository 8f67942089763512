//! Marking a snapshot: what a person knows of it and the program cannot.

use executor::{error::Result, event::Silent};
use planner::stored_snapshot::snapshot_to_accept;
use schema::plan::{Action, MarkStep};

use super::{Engine, Observer, RunOutcome, destination::naming_error, logs::LogKind};

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
        self.logged(LogKind::Runs, observer, |operation| {
            let inventory = operation.inventory_of(Some(destination))?;
            let actions = steps.into_iter().map(Action::Mark).collect();
            let plan = planner::plan_maintenance_steps(&self.config, &inventory, actions);
            operation.run_maintenance(&plan, &inventory)
        })
    }
}
