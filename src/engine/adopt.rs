//! Adopting what another tool backed up: its folders become snapshots.

use std::{os::unix::ffi::OsStrExt as _, path::PathBuf};

use executor::{Error, adopt, error::Result, event::Silent};
use schema::{Inventory, Plan, inventory::DestinationState, plan::AdoptStep};

use super::{Engine, ForetoldRun, Observer, RunOutcome, logs::LogKind, operation::Operation};

/// What is to be adopted.
#[derive(Debug, Clone, Default)]
pub struct AdoptRequest {
    /// The folder that holds it, on the drive of the backup; none for the tiers themselves.
    pub folder: Option<PathBuf>,
    /// Where the content was on the machine, as a path in a snapshot, escaped; none where it begins
    /// at the root, as the configured sources show.
    pub at: Option<String>,
    /// The folder in each of rsnapshot's that is meant.
    pub point: Option<String>,
}

/// An adoption that is planned and not run.
#[derive(Debug, Clone)]
pub struct PreparedAdoption {
    /// What becomes what.
    pub step: AdoptStep,
    /// What was found there.
    pub found: adopt::Looked,
    destination: DestinationState,
}

impl Engine {
    /// Looks at what another tool made, and plans what becomes of it.
    ///
    /// # Errors
    /// Refused if the destination is not there, or if nothing of the configured
    /// sources is in what was found; fails if the folder cannot be read.
    pub fn prepare_adopt(&self, request: &AdoptRequest) -> Result<PreparedAdoption> {
        let operation = self.unlogged(&Silent);
        let destination = operation.destination_present()?;
        let store = self.open_store()?;
        let mount_point = &self.config.local.mount_point;
        // One that was never set up is set up by the adoption itself.
        let host = match &store {
            Some(store) => adopt::HostFolder::of(store),
            None => adopt::HostFolder::below(mount_point.as_path(), &self.host_folder()),
        };
        let host =
            host.map_err(|error| Error::io("open", mount_point.as_str().as_bytes(), error))?;
        let folder = request.folder.as_deref().map(|folder| {
            let named = folder.as_os_str().as_bytes();
            std::path::absolute(folder).map_err(|error| Error::io("look at", named, error))
        });
        let folder = folder.transpose()?;
        let point = request.point.as_deref();
        let mut found = adopt::find_adoptable(&host, &destination, folder.as_deref(), point)?;
        let begun = match &store {
            Some(store) => adopt::begun_adoptions(store)?,
            None => Vec::new(),
        };
        let at = match &request.at {
            Some(at) => at.clone(),
            None => {
                self.keep_those_that_begin_at_root(&mut found)?;
                String::new()
            }
        };
        let step = planner::plan_adoption(
            &self.config,
            &destination,
            found.root.clone(),
            &found.candidates,
            &begun,
            &at,
        );
        Ok(PreparedAdoption {
            step,
            found,
            destination,
        })
    }

    /// Leaves only what holds configured sources as they were below the root.
    fn keep_those_that_begin_at_root(&self, found: &mut adopt::Looked) -> Result<()> {
        let candidates = std::mem::take(&mut found.candidates);
        let (candidates, lost): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|one| planner::begins_at_root(&self.config, one));
        // With none that is as expected, they are all of another root.
        if let Some(lost) = lost.first().filter(|_| candidates.is_empty()) {
            return Err(Error::refused(format!(
                "no configured source (local.sources) is in {}, which holds {}",
                lost.from,
                lost.names[..lost.names.len().min(5)].join(", ")
            ))
            .hint(
                "say with --at where its content was on the machine, such as --at /home; --at / if \
                 it began there",
            ));
        }
        let unlike = lost.into_iter().map(|one| {
            let because = "no configured source (local.sources) is in it; adopt it alone, and say \
                           with --at where its content was on the machine";
            (one.from, because.to_owned())
        });
        found.passed_over.extend(unlike);
        found.candidates = candidates;
        Ok(())
    }

    /// Runs an adoption that was prepared.
    ///
    /// # Errors
    /// Fails on an interruption, or if another run is at work.
    pub fn adopt(&self, prepared: PreparedAdoption, observer: &dyn Observer) -> Result<RunOutcome> {
        self.logged(LogKind::Runs, observer, |operation| {
            let (plan, inventory) = operation.plan_adopting(&prepared)?;
            operation.run_maintenance(&plan, &inventory)
        })
    }

    /// What [`Self::adopt`] would do. Writes nothing.
    ///
    /// # Errors
    /// Fails if the destination cannot be read.
    pub fn foretell_adopt(&self, prepared: &PreparedAdoption) -> Result<ForetoldRun> {
        let operation = self.unlogged(&Silent);
        let (plan, inventory) = operation.plan_adopting(prepared)?;
        operation.foretell_maintenance(plan, &inventory)
    }
}

impl Operation<'_> {
    fn plan_adopting(&self, prepared: &PreparedAdoption) -> Result<(Plan, Inventory)> {
        let inventory = self.inventory_of(Some(prepared.destination.clone()))?;
        let config = &self.engine.config;
        let plan = planner::plan_adopting(config, &inventory, prepared.step.clone());
        Ok((plan, inventory))
    }
}
