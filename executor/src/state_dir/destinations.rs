//! The destinations that this machine has used.

use schema::{Plan, plan::chain::chain_id};
use serde::{Deserialize, Serialize};

use super::{
    files::{DESTINATIONS, PLAN, REPORT, RUNS},
    open::StateDir,
};
use crate::{error::Result, store::read_json};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Destinations {
    pub(super) known: Vec<String>,
}

impl StateDir {
    /// Ids of the destinations that were used; where the list of them is damaged, those that the
    /// runs still tell of.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be listed.
    pub fn known_destinations(&self) -> Result<Vec<String>> {
        match self.known() {
            Ok(known) => Ok(known.unwrap_or_default().known),
            // No disk becomes a known one because the list of them is lost.
            Err(_) => self.used_destinations(),
        }
    }

    fn known(&self) -> Result<Option<Destinations>> {
        self.read_own(DESTINATIONS)
    }

    /// Remembers a destination.
    ///
    /// # Errors
    /// Fails if the state directory cannot be read or written.
    pub fn remember_destination(&self, id: &str) -> Result<()> {
        let mut known = self.known_destinations()?;
        if known.iter().any(|other| other == id) {
            return Ok(());
        }
        known.push(id.to_owned());
        known.sort();
        self.keep(DESTINATIONS, &Destinations { known })
    }

    /// Destinations that runs of this machine did their work on, by what is kept of the runs.
    pub(super) fn used_destinations(&self) -> Result<Vec<String>> {
        let mut used = Vec::new();
        for name in self.run_names()? {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = |file: &str| self.named(&format!("{RUNS}/{name}/{file}"));
            let plan: Option<Plan> = read_json(&run, PLAN, &at(PLAN)).unwrap_or_default();
            let report: Option<schema::Report> =
                read_json(&run, REPORT, &at(REPORT)).unwrap_or_default();
            let (Some(plan), Some(report)) = (plan, report) else {
                continue;
            };
            // What was done on one disk alone has no chains: whose it is, its summary says.
            let of = match plan.is_of_several() {
                true => self.of.as_ref(),
                false if self.run_summary(&run, &name).and_then(|one| one.of) == self.of => None,
                false => continue,
            };
            let id = chain_id("destination-check", of);
            let checked = report
                .steps
                .iter()
                .any(|step| step.step == id && step.outcome.status.serves());
            let mut own = plan.steps.iter().filter(|step| step.of.as_ref() == of);
            let check = own.find_map(|step| match &step.action {
                schema::plan::Action::DestinationCheck(check) => Some(check),
                _ => None,
            });
            if let Some(check) = check.filter(|check| checked && !check.read_only) {
                used.push(check.destination_id.clone());
            }
        }
        used.sort();
        used.dedup();
        Ok(used)
    }
}
