//! The steps of one part or named destination, of the run that hands them over or by itself.

use executor::{Error, error::Result, run::part, state_dir::StateDir};
use planner::unfinished::Replan;
use schema::{
    Finding,
    config::{DestinationKind, DestinationName},
    plan::{Part, Share},
};

use super::{ApplyRequest, RunOutcome, continuation::refuse_beside};
use crate::engine::{Wanted, operation::Operation};

impl Operation<'_> {
    /// Does a part of a run that waits for it; none if there is no such run.
    ///
    /// A run that was interrupted gets its part done too, where that is what comes next in it: so
    /// its rest still fits.
    pub(super) fn run_waiting_part(
        &self,
        part: Part,
        request: &ApplyRequest,
    ) -> Result<Option<RunOutcome>> {
        let deferral = self.deferral_of_part(request);
        let Some(state) = self.engine.state()? else {
            return deferral
                .map(|because| self.hold_up(vec![(None, because)]))
                .transpose();
        };
        let share = Share::of_part(part);
        if let Some(outcome) = self.run_handed(&state, &share)? {
            return Ok(Some(outcome));
        }
        if part == Part::Cloud
            && let Some(because) = state.read_only()
        {
            return Err(Error::refused(format!(
                "no run waits for its cloud steps, and {because}"
            ))
            .hint(
                "backup-cloud.service only does its steps of a run of backup.service: start that one, \
                 or use `backup apply --only cloud`",
            ));
        }
        if let Some(because) = deferral {
            return self.hold_up(vec![(None, because)]).map(Some);
        }
        let _lock = state.lock()?;
        let Some(unfinished) = state.unfinished()? else {
            return Ok(None);
        };
        let plan = &unfinished.plan;
        let others = plan.steps.iter().any(|step| step.share() != share);
        if request.fresh || !others {
            return Ok(None);
        }
        if !plan.steps.iter().any(|step| step.share() == share) {
            return Err(refuse_beside(plan));
        }
        if let Some(Replan { because, .. }) = self.why_replan(&unfinished, false)? {
            return Err(Error::refused(format!(
                "run {} is not finished and cannot be continued: {because}",
                plan.run_id
            ))
            .hint("`backup apply` starts a new one; with --fresh, so does this"));
        }
        if part == Part::Local {
            self.take_over_before(&state)?;
        }
        let report = part::run_part(&state, plan, &share, self.context)?;
        Ok(Some(RunOutcome::Ended(Box::new(report))))
    }

    /// Does what the run of another process hands over of a named destination; none if no such run waits, and
    /// where several are asked for.
    pub(super) fn run_waiting_destination(
        &self,
        wanted: &Wanted,
        request: &ApplyRequest,
    ) -> Result<Option<RunOutcome>> {
        let [name] = wanted.names.as_slice() else {
            return Ok(None);
        };
        let kind = self.engine.config.destinations.get(name).map(|of| of.kind);
        let share = Share {
            part: match kind {
                Some(DestinationKind::Remote) => Part::Cloud,
                Some(DestinationKind::Disk) | None => Part::Local,
            },
            of: Some(name.clone()),
        };
        if let Some(state) = self.engine.state()?
            && let Some(outcome) = self.run_handed(&state, &share)?
        {
            return Ok(Some(outcome));
        }
        if share.part == Part::Cloud
            && let Some(state) = self.engine.state()?
            && let Some(because) = state.read_only()
        {
            return Err(Error::refused(format!(
                "no run waits for the steps of {name}, and {because}"
            ))
            .hint(format!(
                "backup-{name}.service only does its steps of a run of backup.service: start that one, or use \
                 `backup apply --only {name}`"
            )));
        }
        let deferral = self.deferral_of_destination(name, request);
        deferral
            .map(|because| self.hold_up(vec![(Some(name.clone()), because)]))
            .transpose()
    }

    /// Does what the run of another process hands over, if it does.
    fn run_handed(&self, state: &StateDir, share: &Share) -> Result<Option<RunOutcome>> {
        // The run's process has just looked at configuration and destination.
        let Some(handed) = part::take_over(state, share)? else {
            return Ok(None);
        };
        let plan = &handed.run.plan;
        if let Some(difference) = self.engine.find_difference(plan) {
            return Err(Error::refused(format!(
                "run {} is not what the configuration gives: {difference}",
                plan.run_id
            ))
            .hint("`backup apply --fresh` plans a new one"));
        }
        let report = part::run_part(state, plan, share, self.context)?;
        Ok(Some(RunOutcome::Ended(Box::new(report))))
    }

    /// Why the steps of a named destination that a unit does by itself wait.
    fn deferral_of_destination(
        &self,
        name: &DestinationName,
        request: &ApplyRequest,
    ) -> Option<Finding> {
        let view = self.engine.of(name)?;
        let mut deferral = self.in_view(&view).deferral_of_part(request)?;
        self.tell_held_in_words_of(Some(name), &mut deferral);
        Some(deferral)
    }

    /// Why a part that a unit does by itself waits; who types the command means now.
    fn deferral_of_part(&self, request: &ApplyRequest) -> Option<Finding> {
        (request.as_unit && self.waits_for_power())
            .then(|| planner::findings::battery_deferral("this part of a run"))
    }

    /// Whether a run is interrupted, and what it owes then is not done yet.
    pub(super) fn owes_end(&self) -> bool {
        let owes = || {
            let Some(state) = self.engine.state()? else {
                return Ok(false);
            };
            match self.engine.unfinished_of_config(&state)? {
                Some(run) => Ok(!state.replay(&run.plan.run_id)?.is_settled()),
                None => Ok(false),
            }
        };
        Result::unwrap_or_default(owes())
    }
}
