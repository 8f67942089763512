//! Continuing an unfinished run, or planning a new one and running it.

use executor::{
    error::Result,
    event::Event,
    run::{self, Systemd, delegation::Delegation},
    state_dir::{RunLock, StateDir, Unfinished},
};
use planner::{
    Options, due,
    unfinished::{
        Replan, UnfinishedRun, had_failed_before, replan_other, time_of_try, unusable_basis,
        why_replan, why_replan_approved, why_replan_here,
    },
};
use schema::{Finding, Plan, Report, RunResult, Severity};

use super::{ApplyRequest, NotBegun, RunOutcome};
use crate::engine::{
    Notice,
    inventory::{InventoryRequest, UnusableBases},
    operation::Operation,
};

/// What became of a new plan.
enum PlannedEnd {
    /// It was run.
    Ran(Box<(Plan, Report)>),
    /// It was not.
    NotBegun(RunOutcome),
}

impl Operation<'_> {
    /// Continues an unfinished run if there is one that can be, else plans and runs.
    pub(super) fn continue_or_plan(
        &self,
        request: &ApplyRequest,
        options: &Options,
    ) -> Result<RunOutcome> {
        self.with_lock(|state, lock| {
            let outcome = self.run_or_continue((state, lock), request, options)?;
            let RunOutcome::Ended(report) = &outcome else {
                return Ok(outcome);
            };
            if report.result == RunResult::Deferred {
                self.notify_of_deferral(state, report)?;
            } else {
                state.remember_deferrals(None)?;
            }
            self.write_metrics();
            Ok(outcome)
        })
    }

    fn run_or_continue(
        &self,
        (state, lock): (&StateDir, &RunLock),
        request: &ApplyRequest,
        options: &Options,
    ) -> Result<RunOutcome> {
        let mut unusable = UnusableBases::new();
        let delegation = request.by_units.then_some(Delegation {
            units: &Systemd,
            lock,
        });
        if let Some(unfinished) = state.unfinished()? {
            let outcome =
                self.continue_run(state, delegation, &unfinished, request, &mut unusable)?;
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
        let mut is_first = true;
        loop {
            let end = self.plan_and_run(state, delegation, options, &unusable, is_first)?;
            is_first = false;
            let (plan, report) = match end {
                PlannedEnd::Ran(ran) => *ran,
                PlannedEnd::NotBegun(outcome) => return Ok(outcome),
            };
            match unusable_basis(&plan, &report) {
                Some((basis, why)) if !unusable.contains_key(&basis) => {
                    let run_id = &report.run_id;
                    self.notice(&Notice::UnreadableBasis { run_id, basis });
                    unusable.insert(basis, why);
                }
                _ => return Ok(RunOutcome::Ended(Box::new(report))),
            }
        }
    }

    /// Continues an unfinished run; none if a new one takes its place. A basis that turned out to be
    /// unusable is added to the others.
    fn continue_run(
        &self,
        state: &StateDir,
        delegation: Option<Delegation<'_>>,
        unfinished: &Unfinished,
        request: &ApplyRequest,
        unusable: &mut UnusableBases,
    ) -> Result<Option<RunOutcome>> {
        let plan = &unfinished.plan;
        if let Some(why) = self.why_replan_now(unfinished, request)? {
            let Replan { because, counts_on } = why;
            self.notice(&Notice::NotContinued {
                run_id: &plan.run_id,
                because: &because,
            });
            let count = if counts_on { unfinished.all() } else { 0 };
            run::abandon_run(state, plan, &because, count, self.context)?;
            return Ok(None);
        }
        let absence = self.absence()?;
        if let Some(absence) = absence.filter(|one| one.severity == Severity::Deferral) {
            return self.defer_run(state, absence).map(Some);
        }
        self.take_over_before(state)?;
        let report = run::resume_delegated_run(state, plan, delegation, self.context)?;
        if let Some((basis, why)) = unusable_basis(plan, &report) {
            let run_id = &report.run_id;
            self.notice(&Notice::UnreadableBasis { run_id, basis });
            unusable.insert(basis, why);
        } else if had_failed_before(&report) {
            self.notice(&Notice::HadFailed {
                run_id: &plan.run_id,
            });
        } else {
            return Ok(Some(RunOutcome::Ended(Box::new(report))));
        }
        Ok(None)
    }

    /// Plans and runs. Nothing is linked to the `unusable` snapshots.
    fn plan_and_run(
        &self,
        state: &StateDir,
        delegation: Option<Delegation<'_>>,
        options: &Options,
        unusable: &UnusableBases,
        is_first: bool,
    ) -> Result<PlannedEnd> {
        let config = &self.engine.config;
        let this = Self {
            now: time_of_try(self.now, unusable.len()),
            ..*self
        };
        let (inventory, survey) = this.take_inventory(InventoryRequest {
            only: options.only,
            unusable,
            to_run: true,
        })?;
        if let Some(destination) = &inventory.destination {
            this.release_view(destination);
        }
        let plan = planner::plan(config, &inventory, options);
        let plan = planner::refuse_unlawful(plan, &inventory);
        if is_first {
            self.notice(&Notice::Planned {
                plan: &plan,
                inventory: &inventory,
            });
        }
        self.remember_manifests(state, &inventory)?;
        if let Some(outcome) = self.why_not_begun(state, &plan, options)? {
            return Ok(PlannedEnd::NotBegun(outcome));
        }
        self.notice_findings(&plan.findings);
        let context = self.context;
        let report = match delegation {
            Some(delegation) => {
                run::begin_delegated_run(state, config, &inventory, &plan, delegation, context)?
            }
            None => run::begin_run(state, config, &inventory, survey, &plan, context)?,
        };
        Ok(PlannedEnd::Ran(Box::new((plan, report))))
    }

    /// The outcome of a plan that is not run: it is deferred, or refused for what people were told of.
    fn why_not_begun(
        &self,
        state: &StateDir,
        plan: &Plan,
        options: &Options,
    ) -> Result<Option<RunOutcome>> {
        let of_severity = |severity: Severity| -> Vec<Finding> {
            let findings = plan.findings.iter();
            let findings = findings.filter(|finding| finding.severity == severity);
            findings.cloned().collect()
        };
        if plan.severity() == Some(Severity::Deferral) && plan.steps.is_empty() {
            let findings = of_severity(Severity::Deferral);
            let report = self.report_of_plan(plan, RunResult::Deferred, findings);
            self.notice_first_deferral(state, &report.findings);
            self.notify_of_deferral(state, &report)?;
            let cause = NotBegun::Deferred;
            return Ok(Some(RunOutcome::NotBegun {
                cause,
                report: Box::new(report),
            }));
        }
        if !options.scheduled || plan.severity() != Some(Severity::Refusal) {
            return Ok(None);
        }
        let reports = state.reports()?;
        if !due::is_refused_as_before(&self.engine.config, &reports, plan, self.now) {
            return Ok(None);
        }
        let findings = of_severity(Severity::Refusal);
        Ok(Some(RunOutcome::NotBegun {
            cause: NotBegun::RefusedAsBefore,
            report: Box::new(self.report_of_plan(plan, RunResult::Refused, findings)),
        }))
    }

    /// Why an unfinished run is planned anew; none if it is continued.
    pub(super) fn why_replan(
        &self,
        unfinished: &Unfinished,
        is_fresh: bool,
    ) -> Result<Option<Replan>> {
        let run = UnfinishedRun {
            plan: &unfinished.plan,
            config: &unfinished.config,
            step: unfinished.step.as_deref(),
            interruptions: unfinished.interruptions,
            inherited: unfinished.inherited,
        };
        if let Some(why) = why_replan(&run, &self.engine.config, is_fresh, self.now) {
            return Ok(Some(why));
        }
        if let Some(difference) = self.engine.find_difference(run.plan) {
            return Ok(Some(replan_other(&difference)));
        }
        let destination = self.look_at_destination()?;
        let undue = || self.engine.find_undue_deletion(run.plan, &destination);
        Ok(why_replan_here(run.plan, &destination).or_else(|| Some(replan_other(&undue()?))))
    }

    /// The same for this request, and where its basis cannot be used any more.
    fn why_replan_now(
        &self,
        unfinished: &Unfinished,
        request: &ApplyRequest,
    ) -> Result<Option<Replan>> {
        if let Some(why) = self.why_replan(unfinished, request.fresh)? {
            return Ok(Some(why));
        }
        let plan = &unfinished.plan;
        let approved = request.approve_deletions.then(|| why_replan_approved(plan));
        match approved.flatten() {
            Some(why) => Ok(Some(why)),
            None => self.why_replan_without_basis(plan),
        }
    }

    /// Defers a run before it is planned or continued; people are told of many of them.
    pub(super) fn defer_run(&self, state: &StateDir, because: Finding) -> Result<RunOutcome> {
        let cause = NotBegun::Deferred;
        let outcome = self.not_begun(cause, RunResult::Deferred, vec![because]);
        self.notice_first_deferral(state, &outcome.report().findings);
        self.notify_of_deferral(state, outcome.report())?;
        Ok(outcome)
    }

    /// Has the logs say why a run is deferred, unless the one before it was deferred as well: then who
    /// asks is told, and nobody else.
    fn notice_first_deferral(&self, state: &StateDir, findings: &[Finding]) {
        if state.deferrals().is_none() {
            self.notice_findings(findings);
        }
    }

    fn notice_findings(&self, findings: &[Finding]) {
        for finding in findings {
            self.context.observer.event(Event::Noticed(finding));
        }
    }

    /// The outcome of a plan that breaks a law and was not begun; none for a lawful one.
    pub(in crate::engine) fn refuse_broken(
        &self,
        plan: &Plan,
        broken: Vec<Finding>,
    ) -> Option<RunOutcome> {
        let report = self.report_of_plan(plan, RunResult::Refused, broken);
        (!report.findings.is_empty()).then(|| RunOutcome::NotBegun {
            cause: NotBegun::UnlawfulPlan,
            report: Box::new(report),
        })
    }

    /// The report of a plan that is not run.
    pub(in crate::engine) fn report_of_plan(
        &self,
        plan: &Plan,
        result: RunResult,
        findings: Vec<Finding>,
    ) -> Report {
        Report {
            run_id: plan.run_id.clone(),
            host: plan.host.clone(),
            ..self.engine.report_unbegun(self.now, result, findings)
        }
    }
}
