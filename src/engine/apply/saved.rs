//! Running a saved plan, if the state that it was made from is still there.

use executor::{Error, error::Result, run};
use planner::lint;
use schema::{Plan, RunResult, plan::SavedPlan};

use super::{NotBegun, RunOutcome};
use crate::engine::{
    Wanted,
    inventory::{InventoryRequest, UnusableBases},
    operation::Operation,
};

impl Operation<'_> {
    pub(super) fn run_saved(&self, saved: &SavedPlan) -> Result<RunOutcome> {
        let config = &self.engine.config;
        // What nobody has seen yet is not what was agreed to.
        if saved.plan.is_made_in_two() {
            return Err(Error::refused(
                "the saved plan is the beginning of a run only: the rest is planned once its \
                 pre-script has run",
            )
            .hint("run `backup apply`, or save a plan while the destination is there"));
        }
        self.with_lock(|state, _| {
            let (inventory, surveys) = self.take_inventory(InventoryRequest {
                wanted: &wanted_of(&saved.plan),
                unusable: &UnusableBases::new(),
                to_run: true,
            })?;
            let stale = planner::staleness(saved, config, &inventory);
            if !stale.is_empty() {
                let report = self.report_of_plan(&saved.plan, RunResult::Refused, stale);
                self.notify_of_report(&report);
                let cause = NotBegun::StalePlan;
                return Ok(RunOutcome::NotBegun {
                    cause,
                    report: Box::new(report),
                });
            }
            let broken = lint::check_saved(&saved.plan, &inventory);
            if let Some(outcome) = self.refuse_broken(&saved.plan, broken) {
                self.notify_of_report(outcome.report());
                return Ok(outcome);
            }
            if let Some(unfinished) = state.unfinished()? {
                let because = "a saved plan took its place";
                run::abandon_run(state, &unfinished.plan, because, 0, self.context)?;
            }
            self.take_over_before(state)?;
            let plan = &saved.plan;
            let end = run::begin_run(state, config, &inventory, surveys, plan, self.context)?;
            let report = end.into_report()?;
            self.write_metrics();
            Ok(RunOutcome::Ended(Box::new(report)))
        })
    }
}

/// The destinations that a plan is for.
fn wanted_of(plan: &Plan) -> Wanted {
    match plan.only {
        Some(part) => Wanted::of_part(part),
        None => Wanted::only(plan.only_of.clone()),
    }
}
