//! Running a plan that does one thing besides a backup: a restore, a mark, a deletion.

use executor::{
    error::Result,
    run::{
        self, Surveys,
        foretell::{Foretold, foretell_steps},
    },
};
use planner::lint;
use schema::{
    Inventory, Plan, RunResult, Severity,
    plan::{Action, MarkStep},
};

use super::{NotBegun, RunOutcome, operation::Operation};

/// What a maintenance verb would do, without a run.
#[derive(Debug, Clone)]
pub struct ForetoldRun {
    /// Its plan.
    pub plan: Plan,
    /// What its steps would say.
    pub steps: Vec<Foretold>,
    /// What would be refused, instead of it.
    pub refused: Option<RunOutcome>,
}

impl Operation<'_> {
    /// Runs a maintenance plan, unless it says itself that it is refused.
    pub(super) fn run_maintenance(&self, plan: &Plan, inventory: &Inventory) -> Result<RunOutcome> {
        if let Some(refused) = self.refuse_maintenance(plan, inventory) {
            return Ok(refused);
        }
        self.with_lock(|state, _| {
            if plan.steps.iter().any(|step| keeps_digests(&step.action)) {
                self.take_over_before(state)?;
            }
            let config = &self.engine.config;
            let end = run::begin_run(state, config, inventory, Surveys::new(), plan, self.context)?;
            let report = end.into_report()?;
            Ok(RunOutcome::Ended(Box::new(report)))
        })
    }

    /// What [`Self::run_maintenance`] would do. Writes nothing, and waits for no other run.
    ///
    /// # Errors
    /// As the steps, where they refuse before they write.
    pub(super) fn foretell_maintenance(
        &self,
        plan: Plan,
        inventory: &Inventory,
    ) -> Result<ForetoldRun> {
        let refused = self.refuse_maintenance(&plan, inventory);
        let steps = match &refused {
            Some(_) => Vec::new(),
            None => foretell_steps(self.engine.open_store()?.as_ref(), &plan)?,
        };
        Ok(ForetoldRun {
            plan,
            steps,
            refused,
        })
    }

    /// Why a maintenance plan is not run; none where it is.
    fn refuse_maintenance(&self, plan: &Plan, inventory: &Inventory) -> Option<RunOutcome> {
        let mut findings = plan.findings.iter();
        let refusal = findings.find(|finding| finding.severity >= Severity::Deferral);
        if let Some(refusal) = refusal {
            let result = match refusal.severity {
                Severity::Deferral => RunResult::Deferred,
                _ => RunResult::Refused,
            };
            return Some(RunOutcome::NotBegun {
                cause: NotBegun::Refused,
                report: Box::new(self.report_of_plan(plan, result, vec![refusal.clone()])),
            });
        }
        // Who asked for it sees it: nobody else is told.
        self.refuse_broken(plan, lint::check(plan, inventory))
    }
}

/// Whether the digests of the manifests that a step makes, or vouches for, are kept.
fn keeps_digests(action: &Action) -> bool {
    matches!(
        action,
        Action::Adopt(_) | Action::Repair(_) | Action::Mark(MarkStep::Accept { .. })
    )
}
