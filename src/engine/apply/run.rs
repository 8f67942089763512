//! Continuing an unfinished run, or planning a new one and running it.

use executor::{
    error::Result,
    event::Event,
    run::{self, RunEnd, Systemd, delegation::Delegation, finish_interrupted::finish_interrupted},
    state_dir::{RunLock, StateDir},
};
use planner::{
    Options, due,
    unfinished::{UnusableBasis, time_of_try, unusable_basis},
};
use schema::{
    Config, Finding, Inventory, Plan, Report, RunResult, Severity, SnapshotId,
    config::DestinationName, plan::Step,
};

use super::{ApplyRequest, NotBegun, RunOutcome, continuation::Continued, due::Held};
use crate::engine::{
    Notice, Wanted,
    inventory::{InventoryRequest, UnusableBases},
    operation::Operation,
    views::{base_names, name_of},
};

/// What became of a new plan.
pub(super) enum PlannedEnd {
    /// It was run.
    Ran(Box<(Plan, Report)>),
    /// It was not.
    NotBegun(RunOutcome),
}

/// The bases that could not be used in a run, each with its destination; a new run does without them.
type NoBases = Vec<(Option<DestinationName>, SnapshotId, UnusableBasis)>;

impl Operation<'_> {
    /// Continues an unfinished run if there is one that can be, else plans and runs.
    pub(super) fn continue_or_plan(
        &self,
        request: &ApplyRequest,
        options: &Options,
        wanted: &Wanted,
    ) -> Result<RunOutcome> {
        self.with_lock(|state, lock| {
            let outcome = self.run_or_continue((state, lock), request, options, wanted)?;
            let RunOutcome::Ended(report) = &outcome else {
                return Ok(outcome);
            };
            self.note_deferrals(state, report)?;
            self.forget_deferrals(state, report)?;
            self.write_metrics();
            Ok(outcome)
        })
    }

    fn run_or_continue(
        &self,
        (state, lock): (&StateDir, &RunLock),
        request: &ApplyRequest,
        options: &Options,
        wanted: &Wanted,
    ) -> Result<RunOutcome> {
        let mut unusable = UnusableBases::new();
        let delegation = request.by_units.then_some(Delegation {
            units: &Systemd,
            lock,
        });
        let mut wanted = wanted.clone();
        // What was done before, for other destinations than those of the run that follows.
        let mut before: Option<Report> = None;
        if let Some(unfinished) = state.unfinished()? {
            let asked = (request, &wanted);
            match self.continue_run(state, delegation, &unfinished, asked, &mut unusable)? {
                Continued::Ended(outcome) => return Ok(outcome),
                Continued::GivenUp => {}
                Continued::WithoutSome { report, again } => {
                    before = Some(*report);
                    wanted = again;
                }
            }
        }
        let mut is_first = true;
        loop {
            let end =
                self.plan_and_run(state, delegation, options, &wanted, &unusable, is_first)?;
            is_first = false;
            let (plan, report) = match end {
                PlannedEnd::Ran(ran) => *ran,
                PlannedEnd::NotBegun(outcome) => return Ok(after(outcome, before)),
            };
            let new = unusable_bases(&plan, &report).into_iter();
            let new: NoBases = new
                .filter(|(of, basis, _)| !unusable.contains_key(&(of.clone(), *basis)))
                .collect();
            if new.is_empty() {
                let report = with_before(report, before);
                return Ok(RunOutcome::Ended(Box::new(report)));
            }
            self.learn_unusable(&report.run_id, &new, &mut unusable);
            if !plan.chains.is_empty() {
                let again = new.iter().map(|(of, ..)| of.clone());
                wanted = again_for(again, &plan, &self.engine.config);
                before = Some(with_before(report, before));
            }
        }
    }

    /// Tells of bases that cannot be used, and remembers them for this call.
    pub(super) fn learn_unusable(&self, run_id: &str, new: &NoBases, known: &mut UnusableBases) {
        for (of, basis, why) in new {
            let basis = *basis;
            self.notice(&Notice::UnreadableBasis { run_id, basis });
            known.insert((of.clone(), basis), why.clone());
        }
    }

    /// Plans and runs what is wanted. Nothing is linked to the `unusable` snapshots.
    fn plan_and_run(
        &self,
        state: &StateDir,
        delegation: Option<Delegation<'_>>,
        options: &Options,
        wanted: &Wanted,
        unusable: &UnusableBases,
        is_first: bool,
    ) -> Result<PlannedEnd> {
        let config = &self.engine.config;
        let this = Self {
            now: time_of_try(self.now, unusable.len()),
            ..*self
        };
        let (inventory, surveys) = this.take_inventory(InventoryRequest {
            wanted,
            unusable,
            to_run: true,
        })?;
        this.release_views(&inventory);
        let plan = self.engine.plan_wanted(&inventory, options, wanted);
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
        self.notice_plan(&plan);
        let context = self.context;
        let end = match delegation {
            Some(delegation) => {
                run::begin_delegated_run(state, config, &inventory, &plan, delegation, context)?
            }
            None => run::begin_run(state, config, &inventory, surveys, &plan, context)?,
        };
        match end {
            RunEnd::Ended(report) => Ok(PlannedEnd::Ran(Box::new((plan, *report)))),
            RunEnd::ToPlanAgain => {
                self.plan_rest(state, delegation, &plan, (options, wanted), unusable)
            }
        }
    }

    /// Plans what follows the script before the backup and runs it. Where it cannot be planned, what the
    /// run owes in any case is done at once; it is continued by the next one.
    pub(super) fn plan_rest(
        &self,
        state: &StateDir,
        delegation: Option<Delegation<'_>>,
        begun: &Plan,
        asked: (&Options, &Wanted),
        unusable: &UnusableBases,
    ) -> Result<PlannedEnd> {
        let (plan, inventory, is_told) = match self.make_rest(state, begun, asked, unusable) {
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
            self.notice_plan(&plan);
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
        (options, wanted): (&Options, &Wanted),
        unusable: &UnusableBases,
    ) -> Result<(Plan, Inventory, bool)> {
        let this = Self {
            now: self.context.clock.now(),
            ..*self
        };
        let (inventory, _) = this.take_inventory(InventoryRequest {
            wanted,
            unusable,
            to_run: true,
        })?;
        this.release_views(&inventory);
        let options = &Options {
            after_pre_script: true,
            ..*options
        };
        let plan = self.engine.plan_wanted(&inventory, options, wanted);
        let is_told = options.scheduled && this.is_refused_as_before(state, &plan)?;
        self.remember_manifests(state, &inventory)?;
        let plan = planner::continue_plan(plan, begun, is_told);
        Ok((plan, inventory, is_told))
    }

    /// The outcome of a plan that is not run: it is deferred, or refused for what people were told of.
    fn why_not_begun(
        &self,
        state: &StateDir,
        plan: &Plan,
        options: &Options,
    ) -> Result<Option<RunOutcome>> {
        let gravest = gravest_of_all(plan);
        if gravest == Some(Severity::Deferral) && plan.steps.is_empty() {
            let report = self.report_held_up(plan, RunResult::Deferred, Severity::Deferral);
            self.notice_first_deferral(state, &report);
            self.note_deferrals(state, &report)?;
            let cause = NotBegun::Deferred;
            return Ok(Some(RunOutcome::NotBegun {
                cause,
                report: Box::new(report),
            }));
        }
        if !options.scheduled || gravest != Some(Severity::Refusal) {
            return Ok(None);
        }
        if !self.is_refused_as_before(state, plan)? {
            return Ok(None);
        }
        let report = self.report_held_up(plan, RunResult::Refused, Severity::Refusal);
        self.note_deferrals(state, &report)?;
        Ok(Some(RunOutcome::NotBegun {
            cause: NotBegun::RefusedAsBefore,
            report: Box::new(report),
        }))
    }

    /// The report of a plan that is not run because all that it is for is held up, for each destination what
    /// holds it up.
    fn report_held_up(&self, plan: &Plan, result: RunResult, severity: Severity) -> Report {
        let is_of_several = !plan.chains.is_empty();
        let why = |findings: &[Finding]| -> Vec<Finding> {
            let findings = findings.iter().filter(|one| match is_of_several {
                true => one.severity >= Severity::Deferral,
                false => one.severity == severity,
            });
            findings.cloned().collect()
        };
        let mut report = self.report_of_plan(plan, result, why(&plan.findings));
        if is_of_several {
            let taking_part = plan.taking_part().into_iter().map(|of| {
                let chain = of.as_ref().and_then(|name| plan.chains.get(name));
                let findings = chain.map(|chain| why(&chain.findings));
                (of, findings.unwrap_or_default())
            });
            report.conclude(&taking_part.collect::<Vec<_>>());
            report.result = result;
        }
        report
    }

    /// Whether all that a plan is for is refused for what people were told of in this period.
    fn is_refused_as_before(&self, state: &StateDir, plan: &Plan) -> Result<bool> {
        let config = &self.engine.config;
        if plan.chains.is_empty() {
            return Ok(due::is_refused_as_before(
                config,
                &state.reports()?,
                plan,
                self.now,
            ));
        }
        for of in plan.taking_part() {
            let Some(chain) = plan.chain(&name_of(of.as_ref())) else {
                continue;
            };
            let view = self.engine.view_of(of.as_ref())?;
            let reports = state.of_destination(of.as_ref()).reports()?;
            if !due::is_refused_as_before(&view.config, &reports, &chain, self.now) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Holds a run up before it is planned or continued; people are told of many deferrals.
    pub(super) fn hold_up(&self, held: Vec<Held>) -> Result<RunOutcome> {
        let is = |severity: Severity| held.iter().any(|(_, finding)| finding.severity == severity);
        let (cause, result) = match is(Severity::Refusal) {
            true => (NotBegun::RefusedAsBefore, RunResult::Refused),
            false => (NotBegun::Deferred, RunResult::Deferred),
        };
        let is_deferred = is(Severity::Deferral);
        let (base, named): (Vec<Held>, Vec<Held>) =
            held.into_iter().partition(|(of, _)| of.is_none());
        let has_base = !base.is_empty();
        let base = base.into_iter().map(|(_, finding)| finding).collect();
        let mut report = self.engine.report_unbegun(self.now, result, base);
        if !named.is_empty() {
            let base = has_base.then(|| (None, Vec::new()));
            let named = named.into_iter().map(|(of, finding)| (of, vec![finding]));
            report.conclude(&base.into_iter().chain(named).collect::<Vec<_>>());
            report.result = result;
        }
        if is_deferred {
            let state = &self.engine.state_or_new()?;
            self.notice_first_deferral(state, &report);
            self.note_deferrals(state, &report)?;
        }
        Ok(RunOutcome::NotBegun {
            cause,
            report: Box::new(report),
        })
    }

    /// Has the logs say why destinations are deferred, each unless the run before was deferred for it as well:
    /// then who asks is told, and nobody else.
    fn notice_first_deferral(&self, state: &StateDir, report: &Report) {
        for (name, finding) in report.all_findings() {
            if state.of_destination(name).deferrals().is_none() {
                let named = name.map(|name| of_destination(name, finding));
                self.notice_findings(&[named.unwrap_or_else(|| finding.clone())]);
            }
        }
    }

    /// Has the logs tell what a plan noticed, of the run and of each destination.
    fn notice_plan(&self, plan: &Plan) {
        self.notice_findings(&plan.findings);
        for (name, chain) in &plan.chains {
            for finding in &chain.findings {
                self.notice_findings(&[of_destination(name, finding)]);
            }
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
            only_of: plan.only_of.clone(),
            ..self.engine.report_unbegun(self.now, result, findings)
        }
    }
}

/// The gravest severity that all of a plan's destinations are held up by; what does something, or holds
/// up only some of them, has none.
fn gravest_of_all(plan: &Plan) -> Option<Severity> {
    if plan.chains.is_empty() {
        return plan.severity();
    }
    let of_each = plan.taking_part().into_iter().map(|of| {
        let name = name_of(of.as_ref());
        plan.gravest_of(&name).max(
            plan.severity()
                .filter(|_| of.is_some() && !has_steps(plan, &name)),
        )
    });
    let of_each: Vec<Option<Severity>> = of_each.collect();
    let least = of_each.iter().min().copied().flatten();
    match least {
        Some(Severity::Deferral | Severity::Refusal) => of_each.into_iter().max().flatten(),
        _ => None,
    }
}

fn has_steps(plan: &Plan, name: &DestinationName) -> bool {
    plan.steps.iter().any(|step| step.of.as_ref() == Some(name))
}

/// A finding about a named destination, as it is told among those of others.
pub(in crate::engine) fn of_destination(name: &DestinationName, finding: &Finding) -> Finding {
    Finding {
        message: format!("{name}: {}", finding.message),
        ..finding.clone()
    }
}

/// The bases that could not be used in a run.
pub(super) fn unusable_bases(plan: &Plan, report: &Report) -> NoBases {
    if plan.chains.is_empty() {
        let found = unusable_basis(plan, report).into_iter();
        return found.map(|(basis, why)| (None, basis, why)).collect();
    }
    let found = plan.taking_part().into_iter().filter_map(|of| {
        let name = name_of(of.as_ref());
        let (chain, own) = (plan.chain(&name)?, report.chain(&name)?);
        let (basis, why) = unusable_basis(&chain, &own)?;
        Some((of, basis, why))
    });
    found.collect()
}

/// These destinations of a run once more: with the scripts and the notification around them, unless they were
/// asked for without.
pub(super) fn again_for(
    of: impl Iterator<Item = Option<DestinationName>>,
    plan: &Plan,
    config: &Config,
) -> Wanted {
    let names = of.flat_map(|of| match of {
        Some(name) => vec![name],
        None => base_names(config),
    });
    Wanted {
        alone: is_alone(plan),
        ..Wanted::only(names.collect())
    }
}

/// Whether the destinations of a plan were asked for by name, and nothing besides.
pub(super) fn is_alone(plan: &Plan) -> bool {
    !plan.only_of.is_empty() && !plan.steps.iter().any(Step::is_of_frame)
}

/// The report of the last of several runs of one call, with what those before it did for the others.
fn with_before(report: Report, before: Option<Report>) -> Report {
    match before {
        Some(before) => report.after(&before),
        None => report,
    }
}

/// The outcome of a run that was not begun, after another one of the same call that was.
fn after(outcome: RunOutcome, before: Option<Report>) -> RunOutcome {
    match (outcome, before) {
        (RunOutcome::NotBegun { report, .. }, Some(before)) => {
            // What was done is told in the folder of that one.
            RunOutcome::Ended(Box::new(Report {
                run_id: before.run_id.clone(),
                started_at: before.started_at,
                ..report.after(&before)
            }))
        }
        (outcome, _) => outcome,
    }
}
