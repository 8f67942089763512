//! `apply`: runs a saved plan, continues an unfinished run, or plans and runs.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local, TimeDelta};
use executor::{
    Error, ErrorKind,
    clock::Clock,
    event::{Context, Event},
    lock::RunLock,
    parts::{Hands, Systemd},
    run,
    state_dir::{StateDir, Unfinished},
};
use planner::{Options, lint};
use schema::{
    Config, Finding, Inventory, Plan, Report, RunResult, Severity, SnapshotId,
    clock::is_ahead,
    journal::Status,
    plan::{Action, SavedPlan},
    tries::Tries,
};

use crate::{
    cli::Apply,
    commands::{
        basis,
        due::{self, Due},
        plan::{self, bar},
    },
    exit::{self, Explained, invalid},
    logs::Logs,
    metrics, notices,
    out::Out,
    progress::{Bar, Mode},
    render,
    service::Service,
    settings::Settings,
    take,
};

/// Age at which an unfinished run is planned anew: its snapshot's name and day would lie.
const OLD: TimeDelta = TimeDelta::hours(24);
/// Interruptions in one and the same step after which a run is planned anew, once.
const ENOUGH: u64 = 4;
const REFUSED_AS_BEFORE: &str = "refused as before";

/// Runs a saved plan, continues an unfinished run, or plans and runs.
pub(crate) fn run(arguments: &Apply, settings: &Settings, out: &Out) -> Result<u8> {
    if arguments.dry_run {
        let approved = arguments.deletions.approve_deletions;
        return plan::instead_of_run(arguments.only, approved, arguments.at.now, settings, out);
    }
    let config = settings.config(out)?;
    let now = arguments
        .at
        .now
        .unwrap_or_else(|| Local::now().fixed_offset());
    let mut worker = Worker::new(settings, out, &config, now);
    worker.by_units = arguments.by_units;
    let work = |context: Context<'_>| {
        if let Some(path) = &arguments.plan {
            return worker.saved(path, context);
        }
        let mut options = Options {
            approve_deletions: arguments.deletions.approve_deletions,
            scheduled: arguments.if_due,
            only: arguments.only.map(Into::into),
        };
        if let Some(part) = options.only
            && let Some(code) = worker.part(part, arguments.fresh, context)?
        {
            return Ok(code);
        }
        if arguments.if_due {
            match due::ask(settings, &config, now, context)? {
                Due::Not(because) => {
                    out.say(&format!("nothing is due: {because}"));
                    return Ok(exit::DONE);
                }
                Due::Later(because) => {
                    let state = StateDir::open_or_new(&settings.state_dir)?;
                    worker.defer(&state, because, context)?;
                    return Ok(exit::DEFERRED);
                }
                Due::Refused(because) => {
                    worker.refuse_as_before(&config, because);
                    return Ok(exit::REFUSED);
                }
                Due::Run(only) => options.only = only,
            }
            return worker.counted(context, || {
                worker.continue_or_plan(arguments.fresh, &options, context, |_, _| {})
            });
        }
        worker.continue_or_plan(arguments.fresh, &options, context, |_, _| {})
    };
    // A part is told of by the run that it belongs to.
    match arguments.only {
        Some(_) => worker.with(work),
        None => worker.backing_up(arguments.if_due, work),
    }
}

/// Why an unfinished run is not continued.
pub(crate) struct WhyNot {
    /// In a few words.
    pub(super) because: String,
    /// Whether the new run counts on from the interruptions of this one.
    counts: bool,
}

impl WhyNot {
    /// Something else than the run itself asks for a new one.
    fn asked(because: &str) -> Option<Self> {
        Some(Self {
            because: because.to_owned(),
            counts: false,
        })
    }

    /// As it came about, and the new one may meet the same.
    fn counting(because: &str) -> Option<Self> {
        Some(Self {
            because: because.to_owned(),
            counts: true,
        })
    }
}

/// What a run of this process needs.
pub(crate) struct Worker<'a> {
    pub(super) settings: &'a Settings,
    out: &'a Out,
    config: &'a Config,
    now: DateTime<FixedOffset>,
    bar: Bar,
    /// Whether units of their own do the parts of the run.
    by_units: bool,
    /// Whether it is a health check.
    health: bool,
}

impl<'a> Worker<'a> {
    /// A worker for this configuration at this time.
    pub(crate) fn new(
        settings: &'a Settings,
        out: &'a Out,
        config: &'a Config,
        now: DateTime<FixedOffset>,
    ) -> Self {
        Self {
            settings,
            out,
            config,
            now,
            bar: bar(settings),
            by_units: false,
            health: false,
        }
    }

    /// The same worker for a health check, which has a log of its own.
    pub(crate) fn of_health(mut self) -> Self {
        self.health = true;
        self
    }

    /// The same worker for a plan that is shown, with its notes.
    pub(crate) fn shows_plan(mut self) -> Self {
        self.bar = self.bar.without_notes();
        self
    }

    /// The same worker, which shows progress in a terminal only.
    pub(crate) fn calm(mut self) -> Self {
        use std::io::IsTerminal as _;
        if !std::io::stderr().is_terminal() {
            self.bar = Bar::new(Mode::Quiet, false, self.settings.error_style);
        }
        self
    }

    /// Takes the progress away, before something else is shown.
    pub(crate) fn clear(&self) {
        self.bar.clear();
    }

    /// Does the work with progress, logs and signals.
    pub(crate) fn with<T>(&self, work: impl FnOnce(Context<'_>) -> Result<T>) -> Result<T> {
        let clock = Clock::at(self.now);
        let folder = self.settings.log_dir(self.config);
        let (mut logs, error) = Logs::new(&folder, clock, &self.bar);
        if self.health {
            logs.of_health();
        }
        if logs.in_journal() && !self.settings.json {
            logs.tell_nobody_else();
        }
        let unlogged = |error: std::io::Error| {
            self.out.say(&format!(
                "note: not everything is logged in {}: {}",
                folder.display(),
                executor::error::reason(&error)
            ));
        };
        error.into_iter().for_each(unlogged);
        let service = Service::new(&logs);
        let result = work(Context {
            observer: &service,
            stop: &self.settings.stop,
            clock,
            threads: self.settings.threads,
        });
        self.bar.clear();
        logs.fault().into_iter().for_each(unlogged);
        result
    }

    /// As [`Self::with`], for a backup: people are told of an error that it could not tell of, once
    /// a day where timers try again and again.
    pub(crate) fn backing_up<T>(
        &self,
        scheduled: bool,
        work: impl FnOnce(Context<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with(|context| {
            work(context).inspect_err(|error| {
                // `settle`, which the unit runs after this process, tells of a run that began.
                if !(self.by_units && self.owes()) {
                    notices::of_error(self.settings, self.config, error, scheduled, context);
                }
            })
        })
    }

    /// Opens the state directory and takes its lock, then works.
    pub(super) fn locked<T>(
        &self,
        work: impl FnOnce(&StateDir, &RunLock) -> Result<T>,
    ) -> Result<T> {
        let state = StateDir::open_or_new(&self.settings.state_dir)?;
        let lock = state.lock()?;
        work(&state, &lock)
    }

    /// Runs a saved plan, if the state that it was made from is still there.
    fn saved(&self, path: &Path, context: Context<'_>) -> Result<u8> {
        let saved = read(path)?;
        self.locked(|state, _| {
            let (inventory, survey) =
                take::inventory(self.settings, self.config, self.now, context)?;
            let stale = planner::stale(&saved, self.config, &inventory);
            if !stale.is_empty() {
                self.bar.clear();
                let report = self.unbegun(&saved.plan, RunResult::Refused, stale);
                self.refuse("the saved plan is stale", &report);
                notices::of_report(self.settings, self.config, &report, context);
                return Ok(exit::REFUSED);
            }
            self.refuse_unlawful(&saved.plan, &inventory, context)?;
            if let Some(unfinished) = state.unfinished()? {
                let because = "a saved plan took its place";
                run::abandon(state, &unfinished.plan, because, 0, context)?;
            }
            let report = run::begin(state, self.config, &inventory, survey, &saved.plan, context)?;
            Ok(self.ended(state, &report))
        })
    }

    /// Continues an unfinished run if there is one that can be, else plans and runs, and shows how
    /// it ended; `before` sees a new plan.
    pub(crate) fn continue_or_plan(
        &self,
        fresh: bool,
        options: &Options,
        context: Context<'_>,
        before: impl FnOnce(&Plan, &Inventory),
    ) -> Result<u8> {
        self.locked(|state, lock| {
            let report = self.report((state, lock), fresh, options, context, before)?;
            let Some(report) = report else {
                return Ok(exit::DEFERRED);
            };
            if report.result == RunResult::Deferred {
                notices::of_deferral(self.settings, self.config, state, &report, context)?;
            } else {
                state.remember_deferrals(None)?;
            }
            Ok(self.ended(state, &report))
        })
    }

    /// As [`Self::continue_or_plan`], but shows nothing.
    pub(crate) fn run(
        &self,
        context: Context<'_>,
        before: impl FnOnce(&Plan, &Inventory),
    ) -> Result<Option<Report>> {
        self.locked(|state, lock| {
            self.report((state, lock), false, &Options::default(), context, before)
        })
    }

    /// The report of a run that was continued or made; none if it was deferred.
    fn report(
        &self,
        (state, lock): (&StateDir, &RunLock),
        fresh: bool,
        options: &Options,
        context: Context<'_>,
        before: impl FnOnce(&Plan, &Inventory),
    ) -> Result<Option<Report>> {
        let mut unusable = BTreeMap::new();
        let mut before = Some(before);
        let hands = self.by_units.then_some(Hands {
            units: &Systemd,
            lock,
        });
        if let Some(unfinished) = state.unfinished()? {
            let why_not = match self.why_not(&unfinished, fresh, context)? {
                None if options.approve_deletions && wants_approval(&unfinished.plan) => {
                    WhyNot::asked("its plan withholds the deletions that are approved now")
                }
                None => {
                    let fault = basis::fault(self.config, &unfinished.plan, context)?;
                    fault.and_then(|because| WhyNot::asked(&because))
                }
                because => because,
            };
            match why_not {
                None => {
                    let absence = due::absence(self.settings, self.config, context)?;
                    let absence = absence.filter(|one| one.severity == Severity::Deferral);
                    if let Some(absence) = absence {
                        self.bar.clear();
                        self.defer(state, absence, context)?;
                        return Ok(None);
                    }
                    let report = run::resume_by_units(state, &unfinished.plan, hands, context)?;
                    if let Some((id, because)) = basis::unusable(&unfinished.plan, &report) {
                        self.out.say(&basis::note(&report, id));
                        unusable.insert(id, because);
                    } else if failed_before(&report) {
                        self.out.say(&format!(
                            "run {} had failed before it was interrupted; a new one takes its place",
                            unfinished.plan.run_id
                        ));
                    } else {
                        return Ok(Some(report));
                    }
                }
                Some(why) => {
                    let WhyNot { because, counts } = why;
                    self.out.say(&format!(
                        "run {} is not continued: {because}",
                        unfinished.plan.run_id
                    ));
                    let count = if counts { unfinished.all() } else { 0 };
                    run::abandon(state, &unfinished.plan, &because, count, context)?;
                }
            }
        }
        loop {
            let planned = self.plan_and_run(state, hands, options, &unusable, context, &mut before);
            let Some((plan, report)) = planned? else {
                return Ok(None);
            };
            match basis::unusable(&plan, &report) {
                Some((id, because)) if !unusable.contains_key(&id) => {
                    self.out.say(&basis::note(&report, id));
                    unusable.insert(id, because);
                }
                _ => return Ok(Some(report)),
            }
        }
    }

    /// Plans and runs; none if the run was deferred. Nothing is linked to the `unusable` snapshots.
    fn plan_and_run(
        &self,
        state: &StateDir,
        hands: Option<Hands<'_>>,
        options: &Options,
        unusable: &BTreeMap<SnapshotId, String>,
        context: Context<'_>,
        before: &mut Option<impl FnOnce(&Plan, &Inventory)>,
    ) -> Result<Option<(Plan, Report)>> {
        let (settings, config) = (self.settings, self.config);
        // Each try is a run of its own, with a name of its own.
        let tries = i64::try_from(unusable.len()).unwrap_or_default();
        let now = self.now + TimeDelta::seconds(tries);
        let (inventory, survey) = take::inventory_for(
            settings,
            config,
            now,
            options.only,
            unusable,
            (context, true),
        )?;
        let plan = planner::plan(config, &inventory, options);
        self.bar.clear();
        if let Some(before) = before.take() {
            before(&plan, &inventory);
        }
        basis::remember(state, config, &inventory)?;
        for finding in &plan.findings {
            context.observer.event(Event::Noticed(finding));
        }
        if plan.severity() == Some(Severity::Deferral) && plan.steps.is_empty() {
            let deferred: Vec<_> = plan
                .findings
                .iter()
                .filter(|finding| finding.severity == Severity::Deferral)
                .cloned()
                .collect();
            let report = self.unbegun(&plan, RunResult::Deferred, deferred);
            self.refuse("deferred", &report);
            notices::of_deferral(self.settings, self.config, state, &report, context)?;
            return Ok(None);
        }
        if options.scheduled && due::was_told(state, self.config, &plan, self.now)? {
            let findings = plan.findings.iter();
            let refusals = findings.filter(|finding| finding.severity == Severity::Refusal);
            let refusals: Vec<_> = refusals.cloned().collect();
            let report = self.unbegun(&plan, RunResult::Refused, refusals);
            self.refuse(REFUSED_AS_BEFORE, &report);
            return Err(Explained(exit::REFUSED).into());
        }
        self.refuse_unlawful(&plan, &inventory, context)?;
        let report = match hands {
            Some(hands) => run::begin_by_units(state, config, &inventory, &plan, hands, context)?,
            None => run::begin(state, config, &inventory, survey, &plan, context)?,
        };
        Ok(Some((plan, report)))
    }

    /// Why an unfinished run cannot be continued; none if it can.
    pub(super) fn why_not(
        &self,
        unfinished: &Unfinished,
        fresh: bool,
        context: Context<'_>,
    ) -> Result<Option<WhyNot>> {
        if fresh {
            return Ok(WhyNot::asked("--fresh asks for a new one"));
        }
        if unfinished.config != *self.config {
            return Ok(WhyNot::asked("the configuration has changed since"));
        }
        let planned_at = unfinished.plan.created_at;
        if self.now.signed_duration_since(planned_at) >= OLD || is_ahead(planned_at, self.now) {
            return Ok(WhyNot::counting("it was planned on another day"));
        }
        // Once: what dies in the new one as well is not mended by planning.
        if unfinished.interruptions >= ENOUGH && unfinished.inherited == 0 {
            let step = unfinished.step.as_deref().unwrap_or("one step");
            let times = render::amount::times(unfinished.interruptions);
            let because = format!("it was interrupted {times} in {step}, and is planned anew");
            return Ok(WhyNot::counting(&because));
        }
        let destination = take::destination(self.settings, self.config, context)?;
        if let Some(broken) = lint::check_continued(&unfinished.plan, &destination).first() {
            return Ok(WhyNot::asked(&broken.message));
        }
        let planned = &unfinished.plan.bound_to.destination_id;
        let found = destination.record.map(|record| record.id);
        if let (Some(planned), Some(found)) = (planned, found)
            && *planned != found
        {
            return Ok(WhyNot::asked(
                "it belongs to another destination than the one mounted now",
            ));
        }
        Ok(None)
    }

    /// Counts a run that a timer begins, before it leaves any trace: so that one that dies each time
    /// is tried again at growing distances too. What was deferred, or met an absent drive, is none.
    fn counted(&self, context: Context<'_>, run: impl FnOnce() -> Result<u8>) -> Result<u8> {
        let state = StateDir::open_or_new(&self.settings.state_dir)?;
        let before = due::begun(&state, self.config, self.now)?;
        let ended = run();
        let busy = |error: &anyhow::Error| {
            let error = error.downcast_ref::<Error>();
            error.is_some_and(|error| error.kind == ErrorKind::Busy)
        };
        let none = match &ended {
            Ok(exit::DEFERRED) => true,
            Ok(exit::REFUSED) => due::was_absent(&state)?,
            Ok(_) => false,
            Err(error) => busy(error),
        };
        let now = context.clock.now();
        let tries = if none {
            before
        } else {
            state.tries().map(|tries| Tries {
                last_at: now,
                ..tries
            })
        };
        state.remember_tries(tries)?;
        ended
    }

    /// Defers a run before it is planned or continued; people are told of many of them.
    fn defer(&self, state: &StateDir, because: Finding, context: Context<'_>) -> Result<()> {
        let findings = vec![because];
        let report = notices::unbegun(self.config, self.now, RunResult::Deferred, findings);
        self.refuse("deferred", &report);
        notices::of_deferral(self.settings, self.config, state, &report, context)?;
        Ok(())
    }

    /// Says that a run is refused again, which people were told of.
    fn refuse_as_before(&self, config: &Config, because: Finding) {
        let report = notices::unbegun(config, self.now, RunResult::Refused, vec![because]);
        self.refuse(REFUSED_AS_BEFORE, &report);
    }

    /// The report of a plan that is not run.
    fn unbegun(&self, plan: &Plan, result: RunResult, findings: Vec<Finding>) -> Report {
        Report {
            run_id: plan.run_id.clone(),
            host: plan.host.clone(),
            ..notices::unbegun(self.config, self.now, result, findings)
        }
    }

    /// Refuses a plan that breaks a law, before its first effect, and tells people of it.
    fn refuse_unlawful(
        &self,
        plan: &Plan,
        inventory: &Inventory,
        context: Context<'_>,
    ) -> Result<()> {
        let broken = lint::check(plan, inventory);
        if broken.is_empty() {
            return Ok(());
        }
        self.bar.clear();
        let report = self.unbegun(plan, RunResult::Refused, broken);
        self.refuse("the plan breaks a law", &report);
        notices::of_report(self.settings, self.config, &report, context);
        Err(Explained(exit::REFUSED).into())
    }

    /// Says why nothing was done.
    fn refuse(&self, what: &str, report: &Report) {
        if self.settings.json {
            self.out.data_json(report);
            return;
        }
        self.out.note(&format!("{what}: nothing was changed"));
        for finding in &report.findings {
            self.out.note(&render::report::finding_lines(
                finding,
                &self.settings.error_style,
            ));
        }
    }

    /// Writes the metrics and shows how a run ended; gives the exit code. A part of a run leaves
    /// the metrics to the run, which alone may write them.
    fn ended(&self, state: &StateDir, report: &Report) -> u8 {
        metrics::write(self.settings, self.config, self.out);
        self.show(state, report)
    }

    /// Shows how a run ended; gives the exit code.
    pub(super) fn show(&self, state: &StateDir, report: &Report) -> u8 {
        self.bar.clear();
        let folder = state.run_path(&report.run_id);
        if self.settings.json {
            self.out.data_json(report);
        } else if !self.settings.quiet {
            let text = render::report::report_page(report, &folder, &self.settings.style);
            self.out.data(&text);
        } else if exit::of_result(report.result) != exit::DONE {
            let text = render::report::report_page(report, &folder, &self.settings.error_style);
            self.out.note(&text);
        }
        exit::of_result(report.result)
    }

    /// Runs a small plan that was made elsewhere.
    pub(crate) fn small(
        &self,
        plan: &Plan,
        inventory: &Inventory,
        context: Context<'_>,
    ) -> Result<Report> {
        if let Some(refusal) = plan
            .findings
            .iter()
            .find(|finding| finding.severity >= Severity::Deferral)
        {
            let result = match refusal.severity {
                Severity::Deferral => RunResult::Deferred,
                _ => RunResult::Refused,
            };
            let report = self.unbegun(plan, result, vec![refusal.clone()]);
            self.refuse("refused", &report);
            return Err(Explained(exit::of_severity(Some(refusal.severity))).into());
        }
        self.refuse_unlawful(plan, inventory, context)?;
        self.locked(|state, _| {
            Ok(run::begin(
                state,
                self.config,
                inventory,
                None,
                plan,
                context,
            )?)
        })
    }
}

/// Whether a plan withholds deletions until a person approves them.
fn wants_approval(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::Rotate(step) => {
            let others = step.on_incomplete.iter().map(AsRef::as_ref);
            let mut all = std::iter::once(&step.on_complete).chain(others);
            all.any(|rotation| !rotation.unapproved.is_empty())
        }
        _ => false,
    })
}

/// Whether a run that was continued could only be ended: the step that failed, and without which
/// there is no snapshot, did so before the interruption.
fn failed_before(report: &Report) -> bool {
    report.snapshot.is_none()
        && report.steps.iter().any(|step| {
            step.started_at.is_none()
                && matches!(step.outcome.status, Status::Failed | Status::Refused)
        })
}

/// Reads a saved plan.
fn read(path: &Path) -> Result<SavedPlan> {
    let named = path.display();
    let hint = "make one with `backup plan --out FILE`";
    let bytes = std::fs::read(path).map_err(|error| {
        let reason = executor::error::reason(&error);
        invalid(format!("cannot read the plan {named}: {reason}"), hint)
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| invalid(format!("{named} is not a saved plan: {error}"), hint))
}
