//! What the state directory tells of the past: how backups ended, how much room they found, and
//! what the last health check came to.
//!
//! A run's folder that cannot be read is passed over: the others tell enough.

use super::{
    files::{PLAN, REPORT, RUNS},
    open::StateDir,
    runs::is_maintenance,
};
use crate::{error::Result, store::read_json};
use schema::{
    Finding, Plan, Report,
    config::DestinationName,
    drill::Drill,
    health::{self, EndedRun, Health, SpaceSample},
    plan::Step,
};

pub(super) const HEALTH: &str = "health.json";
pub(super) const DRILL: &str = "drill.json";

impl StateDir {
    /// Backups that ended, oldest first; restores and the like are none.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be listed.
    pub fn ended_runs(&self) -> Result<Vec<EndedRun>> {
        let names = self.run_names()?;
        Ok(names
            .iter()
            .filter_map(|name| self.ended_run(name))
            .collect())
    }

    /// What is known of a backup that ended.
    pub(super) fn ended_run(&self, name: &str) -> Option<EndedRun> {
        let run = self.run(name).ok()?;
        if !self.is_backup(&run, name) {
            return None;
        }
        let at = self.named(&format!("{RUNS}/{name}/{REPORT}"));
        let report = read_json::<Report>(&run, REPORT, &at).ok()??;
        Some(EndedRun::of(&self.seen_in(report)?))
    }

    /// What the last run that looked at the sources noticed of them, and what holds until a person
    /// changes something.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be read.
    pub fn standing(&self) -> Result<Vec<Finding>> {
        let mut found = None;
        for name in self.run_names()?.into_iter().rev() {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = self.named(&format!("{RUNS}/{name}/{REPORT}"));
            let report: Option<Report> = read_json(&run, REPORT, &at).unwrap_or_default();
            if let Some(report) = report.and_then(|report| self.seen_in(report)) {
                found = health::standing(&report);
            }
            if found.is_some() {
                break;
            }
        }
        Ok(found.unwrap_or_default())
    }

    /// What the last run that looked at the sources, for a snapshot or for a copy in the cloud, noticed
    /// under this code.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be read.
    pub fn noticed(&self, code: &str) -> Result<Option<Finding>> {
        for name in self.run_names()?.into_iter().rev() {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            let at = self.named(&format!("{RUNS}/{name}/{PLAN}"));
            let plan: Option<Plan> = read_json(&run, PLAN, &at).unwrap_or_default();
            let looks = |plan: &Plan| {
                let live = |step: &Step| step.action.live().is_some();
                plan.snapshot().is_some() || plan.steps.iter().any(live)
            };
            let name = self.of.clone();
            let name = name.unwrap_or_else(|| DestinationName::new(DestinationName::LOCAL));
            let plan = plan.and_then(|plan| plan.chain(&name));
            let plan = plan.filter(|plan| !is_maintenance(plan) && looks(plan));
            if let Some(plan) = plan {
                let mut findings = plan.findings.into_iter();
                return Ok(findings.find(|finding| finding.code == code));
            }
        }
        Ok(None)
    }

    /// The room that runs found on a destination before they began, oldest first.
    ///
    /// # Errors
    /// Fails if the folders of runs cannot be listed.
    pub fn free_space(&self, destination: &str) -> Result<Vec<SpaceSample>> {
        let mut samples = Vec::new();
        for name in self.run_names()? {
            let Ok(run) = self.run(&name) else {
                continue;
            };
            samples.extend(self.room_found(&run, &name, destination));
        }
        samples.sort_by_key(|sample| sample.at);
        Ok(samples)
    }

    /// What the last health check came to. Nothing where that is damaged.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.recall(HEALTH)
    }

    /// What the last drill came to. Nothing where that is damaged.
    #[must_use]
    pub fn drill(&self) -> Option<Drill> {
        self.recall(DRILL)
    }

    /// Keeps what a drill came to, instead of what the last one did.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn remember_drill(&self, drill: &Drill) -> Result<()> {
        self.keep(DRILL, drill)
    }

    /// Keeps what a health check came to, instead of what the last one did.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn remember_health(&self, health: &Health) -> Result<()> {
        self.keep(HEALTH, health)
    }
}
