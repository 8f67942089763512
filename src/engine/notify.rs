//! Telling people what no step of a run tells: errors before there is a plan, refused plans, runs
//! that were deferred for too long, and what a health check found.
//!
//! How often that is told is [`planner::notices`]'; whom, how and in which words is the executor's.

use chrono::{DateTime, FixedOffset};
use executor::{
    Error,
    error::Result,
    event::Event,
    notify::{self, News, Occasion, Patience},
    state_dir::StateDir,
    steps,
};
use planner::{
    notices::{self, ErrorNotice, TimerCall},
    standing::{self, Known},
};
use schema::{
    Finding, Report, RunResult, SnapshotId,
    config::DestinationName,
    drill::Drill,
    health::{Health, HealthVerdict},
    journal::{NotifiedChannel, REPORT_FORMAT_VERSION, Status, StepReport},
    notified::NotifiedError,
    plan::{Channel, LastGood, NOTIFY, NotifyStep},
};

use super::{Engine, apply::of_destination, operation::Operation, views::name_of};

impl Engine {
    /// Sends a test message over every channel that is configured, though they may be switched off,
    /// and gives what became of each; nothing where none is configured.
    #[must_use]
    pub fn test_notifications(&self) -> Vec<NotifiedChannel> {
        let now = self.now();
        let report = self.report_unbegun(now, RunResult::Success, Vec::new());
        let news = News {
            report: &report,
            last_good: None,
            now,
            occasion: Occasion::Test,
        };
        notify::notify_channels(
            &self.tested_channels(),
            &news,
            Patience::default(),
            &self.stop,
        )
    }

    /// The channels that [`Self::test_notifications`] would send a message over, none of which is tried.
    #[must_use]
    pub fn foretell_notifications(&self) -> Vec<NotifiedChannel> {
        let channels = self.tested_channels().into_iter();
        let untried = channels.map(|channel| NotifiedChannel {
            option: channel.option().to_owned(),
            whom: channel.name(),
            ok: false,
            message: format!("{} is not tried (--dry-run)", channel.name()),
            hint: None,
            tries: 0,
        });
        untried.collect()
    }

    /// All channels that are configured, though they may be switched off.
    fn tested_channels(&self) -> Vec<Channel> {
        let mut wanted = self.config.notifications.clone();
        wanted.enable = true;
        wanted.channels()
    }

    /// A report of a run that never began.
    pub(super) fn report_unbegun(
        &self,
        now: DateTime<FixedOffset>,
        result: RunResult,
        findings: Vec<Finding>,
    ) -> Report {
        Report {
            format_version: REPORT_FORMAT_VERSION,
            run_id: SnapshotId::from_local(now.naive_local()).to_string(),
            host: self.host_folder(),
            started_at: now,
            ended_at: now,
            result,
            only: None,
            only_of: Vec::new(),
            snapshot: None,
            findings,
            steps: Vec::new(),
            destinations: std::collections::BTreeMap::new(),
        }
    }
}

impl Operation<'_> {
    /// Tells of an error that ended a backup before it could tell of itself; `timer` is the call of
    /// a timer that began it.
    ///
    /// Nobody is told that another run is at work, or that a person ended it.
    pub(super) fn notify_of_error(&self, error: &Error, timer: Option<TimerCall>) {
        let Some(status) = error.kind.step_status() else {
            return;
        };
        let now = self.context.clock.now();
        if !self.is_news(&error.message, timer, now) {
            return;
        }
        let result = match status {
            Status::Refused => RunResult::Refused,
            _ => RunResult::Failed,
        };
        let mut report = self.engine.report_unbegun(now, result, Vec::new());
        report.steps = vec![StepReport {
            step: "prepare".to_owned(),
            started_at: Some(now),
            ended_at: now,
            outcome: error.clone().into_outcome(status),
        }];
        self.notify_of_report(&report);
    }

    /// Whether people are told of this error; remembers it.
    fn is_news(&self, message: &str, timer: Option<TimerCall>, now: DateTime<FixedOffset>) -> bool {
        let state = self.engine.state().unwrap_or_default();
        let last = state.as_ref().and_then(StateDir::told_error);
        match notices::decide_error(message, last.as_ref(), timer, state.is_some(), now) {
            ErrorNotice::Notify => true,
            ErrorNotice::Suppress => false,
            ErrorNotice::RememberFirst { otherwise } => {
                let notified = NotifiedError {
                    message: message.to_owned(),
                    at: now,
                };
                let remember = |state: &StateDir| state.remember_told_error(&notified).is_ok();
                state.as_ref().is_some_and(remember) || otherwise
            }
        }
    }

    /// Tells of a report that has no step for it.
    pub(super) fn notify_of_report(&self, report: &Report) {
        let wanted = &self.engine.config.notifications;
        let step = NotifyStep {
            on_success: wanted.on_success,
            on_failure: wanted.on_failure,
            channels: wanted.channels(),
            last_good: None,
        };
        let channels = notify::wanted_channels(&step, report.result_of_served());
        let last_good = self.last_good_of_any();
        self.notify(&channels, report, last_good, Occasion::Result);
    }

    /// Remembers for which destinations a run was deferred, and tells people once a day of each whose last good
    /// backup is older than it may be.
    pub(super) fn note_deferrals(&self, state: &StateDir, report: &Report) -> Result<()> {
        let deferred = |own: &Report| own.result == RunResult::Deferred;
        for (of, _) in each_of(report).filter(|(_, own)| deferred(own)) {
            let engine = self.engine.view_of(of.as_ref())?;
            let seen = state.of_destination(of.as_ref());
            let report = &report.of_one(of.as_ref());
            self.in_view(&engine).note_deferral(&seen, report)?;
        }
        Ok(())
    }

    /// Forgets that runs were deferred for these destinations before one that ended otherwise.
    pub(super) fn forget_deferrals(&self, state: &StateDir, report: &Report) -> Result<()> {
        let served = |own: &Report| own.result != RunResult::Deferred;
        for (of, _) in each_of(report).filter(|(_, own)| served(own)) {
            state.of_destination(of.as_ref()).remember_deferrals(None)?;
        }
        Ok(())
    }

    /// The same for the destination whose view this is.
    fn note_deferral(&self, state: &StateDir, report: &Report) -> Result<()> {
        let config = &self.engine.config;
        let now = self.context.clock.now();
        let known = state.deferrals();
        let mut deferrals = notices::deferrals_with_one_more(known, now);
        let is_late = |good: Option<LastGood>| {
            let good = good.map(|good| good.started_at);
            notices::is_late_with_deferrals(config, &deferrals, good, now)
        };
        // The destination, which may sleep, is looked at only where there is something to tell.
        if notices::wants_deferral_notice(config, &deferrals, now)
            && is_late(state.last_good(now).unwrap_or_default())
        {
            let last_good = self.last_good(Some(state));
            let channels = config.notifications.channels();
            if is_late(last_good) && self.notify(&channels, report, last_good, Occasion::Late) {
                deferrals.notified_at = Some(now);
            }
        }
        if known != Some(deferrals) {
            state.remember_deferrals(Some(deferrals))?;
        }
        Ok(())
    }

    /// Tells of a health check that found something; whether anyone was told. A dead man's switch
    /// waits for backups and is left alone.
    pub(super) fn notify_of_health(&self, health: &Health) -> bool {
        let wanted = &self.engine.config.notifications;
        if !wanted.on_failure {
            return false;
        }
        let mut channels = wanted.channels();
        channels.retain(|channel| !matches!(channel, Channel::Healthcheck { .. }));
        let result = match health.verdict {
            HealthVerdict::Error => RunResult::Failed,
            HealthVerdict::Warning | HealthVerdict::Ok => RunResult::Incomplete,
        };
        let findings = health.findings.iter().map(|finding| match &self.engine.of {
            Some(name) => of_destination(name, finding),
            None => finding.clone(),
        });
        let findings = findings.collect();
        let report = self
            .engine
            .report_unbegun(health.checked_at, result, findings);
        let last_good = health.last_good;
        self.notify(&channels, &report, last_good, Occasion::Health)
    }

    /// Tells of a trial restore that failed, of which this finding says why. A dead man's switch waits for
    /// backups and is left alone.
    pub(super) fn notify_of_drill(&self, drill: &Drill, finding: Finding) {
        let wanted = &self.engine.config.notifications;
        if !wanted.on_failure {
            return;
        }
        let mut channels = wanted.channels();
        channels.retain(|channel| !matches!(channel, Channel::Healthcheck { .. }));
        let engine = self.engine;
        let report = engine.report_unbegun(drill.ended_at, RunResult::Failed, vec![finding]);
        let last_good = self.last_good_of_any();
        self.notify(&channels, &report, last_good, Occasion::Drill);
    }

    /// Tells these channels; whether any of them was told.
    fn notify(
        &self,
        channels: &[Channel],
        report: &Report,
        last_good: Option<LastGood>,
        occasion: Occasion,
    ) -> bool {
        if channels.is_empty() {
            return false;
        }
        let observer = self.context.observer;
        observer.event(Event::StepStarted { step: NOTIFY });
        let news = News {
            report,
            last_good,
            now: self.context.clock.now(),
            occasion,
        };
        let told = notify::notify_channels(channels, &news, Patience::default(), self.context.stop);
        let any = told.iter().any(|one| one.ok);
        let outcome = steps::notify::outcome_of_answers(told);
        observer.event(Event::StepFinished {
            step: NOTIFY,
            outcome: &outcome,
        });
        any
    }

    /// The newest of the last good backups of all destinations.
    fn last_good_of_any(&self) -> Option<LastGood> {
        let state = self.engine.state().unwrap_or_default();
        let named = self.engine.named();
        let base = (self.engine.has_base() || named.is_empty()).then_some(None);
        let all = base.into_iter().chain(named.iter().map(Some));
        let good = all.filter_map(|of| {
            let engine = self.engine.view_of(of).ok()?;
            let seen = state.as_ref().map(|state| state.of_destination(of));
            self.in_view(&engine).last_good(seen.as_ref())
        });
        good.max_by_key(|good| good.started_at)
    }

    /// The last good backup, as the destination shows or this machine remembers it.
    fn last_good(&self, state: Option<&StateDir>) -> Option<LastGood> {
        let config = &self.engine.config;
        let now = self.context.clock.now();
        let runs = state.and_then(|state| state.ended_runs().ok());
        let runs = runs.unwrap_or_default();
        let enabled = config.local.enable;
        let found = enabled.then(|| self.look_at_destination().ok());
        let inventory = self.inventory_of(found.flatten()).ok()?;
        let known = Known {
            destination: inventory.destination.as_ref(),
            is_ours: standing::is_ours(config, &inventory),
            has_others: inventory.known_destinations.len() > 1,
            runs: &runs,
        };
        standing::last_good(config, &known, now)
    }
}

/// A report as each of its destinations has it; `None` is the base, of `local` and `cloud`.
fn each_of(report: &Report) -> impl Iterator<Item = (Option<DestinationName>, Report)> {
    let named = report.destinations.keys();
    let named = named.filter(|name| !name.is_predefined()).cloned();
    let all = [None].into_iter().chain(named.map(Some));
    all.filter_map(|of| {
        let own = report.chain(&name_of(of.as_ref()))?;
        Some((of, own))
    })
}
