//! Running a plan that does one thing besides a backup: a restore, a mark, a deletion.

use executor::{error::Result, run};
use planner::lint;
use schema::{
    Inventory, Plan, RunResult, Severity,
    plan::{Action, MarkStep},
};

use super::{NotBegun, RunOutcome, operation::Operation};

impl Operation<'_> {
    /// Runs a maintenance plan, unless it says itself that it is refused.
    pub(super) fn run_maintenance(&self, plan: &Plan, inventory: &Inventory) -> Result<RunOutcome> {
        let mut findings = plan.findings.iter();
        let refusal = findings.find(|finding| finding.severity >= Severity::Deferral);
        if let Some(refusal) = refusal {
            let result = match refusal.severity {
                Severity::Deferral => RunResult::Deferred,
                _ => RunResult::Refused,
            };
            return Ok(RunOutcome::NotBegun {
                cause: NotBegun::Refused,
                report: Box::new(self.report_of_plan(plan, result, vec![refusal.clone()])),
            });
        }
        // Who asked for it sees it: nobody else is told.
        if let Some(outcome) = self.refuse_broken(plan, lint::check(plan, inventory)) {
            return Ok(outcome);
        }
        self.with_lock(|state, _| {
            if plan.steps.iter().any(|step| keeps_digests(&step.action)) {
                self.take_over_before(state)?;
            }
            let config = &self.engine.config;
            let end = run::begin_run(state, config, inventory, None, plan, self.context)?;
            let report = end.into_report()?;
            Ok(RunOutcome::Ended(Box::new(report)))
        })
    }
}

/// Whether the digests of the manifests that a step makes, or vouches for, are kept.
fn keeps_digests(action: &Action) -> bool {
    matches!(
        action,
        Action::Adopt(_) | Action::Repair(_) | Action::Mark(MarkStep::Accept { .. })
    )
}
