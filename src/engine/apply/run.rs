//! Continuing an unfinished run, or planning a new one and running it.

use executor::{
    error::Result,
    event::Event,
    run::{self, RunEnd, Systemd, delegation::Delegation, finish_interrupted::finish_interrupted},
    state_dir::{RunLock, StateDir, Unfinished},
};
use planner::{
    Options, due,
    unfinished::{
        Replan, UnfinishedRun, had_failed_before, replan_other, time_of_try, unusable_basis,
        why_replan, why_replan_approved, why_replan_away, why_replan_here,
    },
};
use schema::{Finding, Inventory, Plan, Report, RunResult, Severity};

use super::{ApplyRequest, BackupKind, NotBegun, RunOutcome};
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
            return self.give_up(state, unfinished, &why).map(|()| None);
        }
        let absence = self.absence()?;
        if absence.is_some()
            && let Some(why) = self.why_replan_away(plan)?
        {
            return self.give_up(state, unfinished, &why).map(|()| None);
        }
        if let Some(absence) = absence.filter(|one| one.severity == Severity::Deferral) {
            return self.defer_run(state, absence).map(Some);
        }
        self.take_over_before(state)?;
        let end = run::resume_delegated_run(state, plan, delegation, self.context)?;
        let (plan, report) = match end {
            RunEnd::Ended(report) => (plan.clone(), *report),
            RunEnd::ToPlanAgain => {
                let options = Options {
                    approve_deletions: request.approve_deletions,
                    scheduled: matches!(request.kind, BackupKind::IfDue(_)),
                    ..Options::default()
                };
                match self.plan_rest(state, delegation, plan, &options, unusable)? {
                    PlannedEnd::Ran(ran) => *ran,
                    PlannedEnd::NotBegun(outcome) => return Ok(Some(outcome)),
                }
            }
        };
        if let Some((basis, why)) = unusable_basis(&plan, &report) {
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
        let end = match delegation {
            Some(delegation) => {
                run::begin_delegated_run(state, config, &inventory, &plan, delegation, context)?
            }
            None => run::begin_run(state, config, &inventory, survey, &plan, context)?,
        };
        match end {
            RunEnd::Ended(report) => Ok(PlannedEnd::Ran(Box::new((plan, *report)))),
            RunEnd::ToPlanAgain => self.plan_rest(state, delegation, &plan, options, unusable),
        }
    }

    /// Plans what follows the script before the backup and runs it. Where it cannot be planned, what the
    /// run owes in any case is done at once; it is continued by the next one.
    fn plan_rest(
        &self,
        state: &StateDir,
        delegation: Option<Delegation<'_>>,
        begun: &Plan,
        options: &Options,
        unusable: &UnusableBases,
    ) -> Result<PlannedEnd> {
        let (plan, inventory, is_told) = match self.make_rest(state, begun, options, unusable) {
            Err(error) if error.kind.step_status().is_some() => {
                let (because, result) = (&error.message, RunResult::Failed);
                let report = finish_interrupted(state, because, result, self.context)?;
                let report = report.ok_or(error)?;
                return Ok(PlannedEnd::NotBegun(RunOutcome::Ended(Box::new(report))));
            }
            made => made?,
        };
        self.notice(&Notice::Planned {
            plan: &plan,
            inventory: &inventory,
        });
        if !is_told {
            self.notice_findings(&plan.findings);
        }
        let context = self.context;
        let report = run::resume_planned_run(state, &inventory, &plan, delegation, context)?;
        Ok(if is_told {
            PlannedEnd::NotBegun(RunOutcome::NotBegun {
                cause: NotBegun::RefusedAsBefore,
                report: Box::new(report),
            })
        } else {
            PlannedEnd::Ran(Box::new((plan, report)))
        })
    }

    /// The plan of a run whose script before the backup has run, with what it was made from, and whether
    /// people were told of the same refusal in this period.
    fn make_rest(
        &self,
        state: &StateDir,
        begun: &Plan,
        options: &Options,
        unusable: &UnusableBases,
    ) -> Result<(Plan, Inventory, bool)> {
        let config = &self.engine.config;
        let this = Self {
            now: self.context.clock.now(),
            ..*self
        };
        let (inventory, _) = this.take_inventory(InventoryRequest {
            only: None,
            unusable,
            to_run: true,
        })?;
        if let Some(destination) = &inventory.destination {
            this.release_view(destination);
        }
        let options = &Options {
            after_pre_script: true,
            ..*options
        };
        let plan = planner::plan(config, &inventory, options);
        let plan = planner::refuse_unlawful(plan, &inventory);
        let is_told = options.scheduled
            && due::is_refused_as_before(config, &state.reports()?, &plan, this.now);
        self.remember_manifests(state, &inventory)?;
        let plan = planner::continue_plan(plan, begun, is_told);
        Ok((plan, inventory, is_told))
    }

    /// Why a run is planned anew whose destination is away; none if it waits for it.
    fn why_replan_away(&self, plan: &Plan) -> Result<Option<Replan>> {
        let destination = self.look_at_destination()?;
        let config = &self.engine.config;
        Ok(why_replan_away(plan, config, &destination))
    }

    /// Gives an unfinished run up, so that a new one takes its place.
    fn give_up(&self, state: &StateDir, unfinished: &Unfinished, why: &Replan) -> Result<()> {
        let run_id = &unfinished.plan.run_id;
        let because = &why.because;
        self.notice(&Notice::NotContinued { run_id, because });
        let count = if why.counts_on { unfinished.all() } else { 0 };
        run::abandon_run(state, &unfinished.plan, because, count, self.context)
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
