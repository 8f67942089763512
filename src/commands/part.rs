//! `apply --only`: the steps of one part, of the run that hands them over or by itself.

use anyhow::Result;
use executor::{Error, event::Context, parts, state_dir::StateDir};
use schema::plan::Part;

use super::apply::Worker;

impl Worker<'_> {
    /// Does a part of a run that waits for it; gives the exit code, or none if there is no such
    /// run.
    ///
    /// A run that was interrupted gets its part done too, where that is what comes next in it: so
    /// its rest still fits.
    pub(super) fn part(&self, part: Part, fresh: bool, context: Context<'_>) -> Result<Option<u8>> {
        let Some(state) = StateDir::open(&self.settings.state_dir)? else {
            return Ok(None);
        };
        // The run's process has just looked at configuration and destination.
        if let Some(handed) = parts::take_over(&state, part)? {
            let report = parts::run(&state, &handed.run.plan, part, context)?;
            return Ok(Some(self.show(&state, &report)));
        }
        let _lock = state.lock()?;
        let Some(unfinished) = state.unfinished()? else {
            return Ok(None);
        };
        let plan = &unfinished.plan;
        let others = plan.steps.iter().any(|step| step.action.part() != part);
        if fresh || !others {
            return Ok(None);
        }
        if let Some(why) = self.why_not(&unfinished, false, context)? {
            let because = why.because;
            return Err(Error::refused(format!(
                "run {} is not finished and cannot be continued: {because}",
                plan.run_id
            ))
            .hint("`backup apply` starts a new one; with --fresh, so does this")
            .into());
        }
        let report = parts::run(&state, plan, part, context)?;
        Ok(Some(self.show(&state, &report)))
    }

    /// Whether a run is interrupted, and what it owes then is not done yet.
    pub(super) fn owes(&self) -> bool {
        let owes = || {
            let Some(state) = StateDir::open(&self.settings.state_dir)? else {
                return Ok(false);
            };
            match state.unfinished()? {
                Some(run) => Ok(!state.replay(&run.plan.run_id)?.is_settled()),
                None => Ok(false),
            }
        };
        executor::Result::unwrap_or_default(owes())
    }
}
