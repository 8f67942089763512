//! How old and how healthy the backup is, as far as that is known without asking the sources.

use std::collections::BTreeMap;

use executor::{Error, error::Result, event::Silent, state_dir::StateDir};
use planner::{
    standing::{self, Known},
    status::{Day, StatusFacts},
};
use schema::{
    Finding, Severity,
    config::DestinationName,
    output::status::{BackupStatus, LastDrill, UnfinishedRun},
};

use super::{Engine, timer};

impl Engine {
    /// Finds out how things stand, for each destination and as a whole. An absent destination is part of the
    /// answer, not an error.
    ///
    /// # Errors
    /// Fails if the destination or the state directory is there and cannot be read. Of several destinations,
    /// one that cannot be read is part of the answer.
    pub fn status(&self) -> Result<BackupStatus> {
        self.look_at_status().map(|(status, _)| status)
    }

    /// The same, with what keeps the first one of several destinations from being looked at.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn look_at_status(&self) -> Result<(BackupStatus, Option<Error>)> {
        let (mut status, fault) = self.status_of_all()?;
        status.copies = self.count_copies();
        Ok((status, fault))
    }

    fn status_of_all(&self) -> Result<(BackupStatus, Option<Error>)> {
        let named = self.named();
        if named.is_empty() {
            return Ok((self.own_status()?, None));
        }
        let mut first = None;
        let mut others = BTreeMap::new();
        let base = self.base();
        let (status, error) = base.status_of_one()?;
        first = first.or(error);
        for name in named {
            let (status, error) = self.view_of(Some(&name))?.status_of_one()?;
            first = first.or(error);
            others.insert(name, status);
        }
        let base_name = self.config.base_name();
        let status = planner::status::join_status(status, base_name, others);
        Ok((status, first))
    }

    /// How one of several destinations stands, in its words, and what keeps it from being looked at.
    fn status_of_one(&self) -> Result<(BackupStatus, Option<Error>)> {
        let (mut status, error) = match self.own_status() {
            Err(error) if error.kind.step_status().is_none() => return Err(error),
            Err(error) => {
                let error = self.error_in_own_words(error);
                (self.status_unseen(&error)?, Some(error))
            }
            Ok(status) => (status, None),
        };
        self.tell_in_own_words(&mut status.findings);
        status.summary = self.in_own_words(&status.summary);
        status.remedy = status.remedy.map(|remedy| self.in_own_words(&remedy));
        Ok((status, error))
    }

    /// How a destination stands that cannot be looked at: by what the runs tell.
    fn status_unseen(&self, error: &Error) -> Result<BackupStatus> {
        let code = planner::findings::code::DESTINATION_UNSEEN;
        let fault = Finding::new(Severity::Warning, code, error.message.clone());
        let fault = error
            .hint
            .iter()
            .fold(fault, |fault, hint| fault.hint(hint));
        let state = self.state()?;
        let runs = state.as_ref().map(StateDir::ended_runs).transpose()?;
        let health = state.as_ref().and_then(StateDir::health);
        let schedule = &self.config.schedule;
        Ok(planner::status::build_unseen_status(
            &self.config,
            StatusFacts {
                host: &self.host_folder(),
                now: self.now(),
                known: Known {
                    destination: None,
                    is_ours: true,
                    has_others: false,
                    runs: runs.as_deref().unwrap_or_default(),
                },
                unfinished: None,
                running: false,
                timer_is_active: schedule.enable && timer::is_timer_active(),
                cloud: None,
                health: health.as_ref(),
                findings: vec![fault],
            },
        ))
    }

    /// How the only destination stands, or the one whose view this is.
    fn own_status(&self) -> Result<BackupStatus> {
        let operation = self.unlogged(&Silent);
        let (config, now) = (&self.config, operation.now);
        let enabled = config.local.enable;
        let destination = enabled.then(|| operation.look_at_destination());
        let destination = destination.transpose()?;
        destination
            .iter()
            .try_for_each(|found| self.require_records(found))?;
        let state = self.state()?;
        let (runs, is_busy) = match &state {
            Some(state) => (state.ended_runs()?, state.is_busy()),
            None => (Vec::new(), false),
        };
        let inventory = operation.inventory_of(destination)?;
        let cloud = state.as_ref().filter(|_| config.cloud.enable);
        let cloud = cloud.map(|state| {
            let remembered = self.recall_copies(state);
            remembered.unwrap_or_default()
        });
        let mut findings = Vec::new();
        if inventory.destination.is_some() {
            findings = planner::plan_maintenance(config, &inventory, None).findings;
            findings.extend(planner::damage_findings(config, &inventory));
            // What the last run that looked at the sources noticed, and what holds until it is
            // changed.
            let standing = state.as_ref().map(StateDir::standing).transpose()?;
            findings.extend(standing.unwrap_or_default());
        }
        findings.extend(planner::untrusted_files(&inventory));
        if let Some(memory) = &cloud {
            findings.extend(planner::held_back_upload(memory, &runs));
        }
        let unfinished = state.as_ref().map(StateDir::unfinished).transpose()?;
        let unfinished = unfinished.flatten().map(|run| UnfinishedRun {
            interruptions: run.all(),
            run_id: run.plan.run_id,
            step: run.step,
        });
        let drill = state.as_ref().and_then(StateDir::drill);
        let health = state.as_ref().and_then(StateDir::health);
        let health =
            health.map(|health| planner::health::without_disproved_drill(health, drill.as_ref()));
        findings.extend(
            drill
                .as_ref()
                .filter(|_| config.local.enable || self.is_of_remote())
                .and_then(planner::health::warn_of_failed_drill),
        );
        if let Some(state) = &state {
            let read = state.read_back(config, &self.cloud_remote());
            let first = runs.first().map(|run| run.ended_at);
            findings.extend(planner::health::warn_of_unread_copies(
                config, &read, first, now,
            ));
        }
        let facts = StatusFacts {
            host: &self.host_folder(),
            now,
            known: Known {
                destination: inventory.destination.as_ref(),
                is_ours: standing::is_ours(config, &inventory),
                has_others: inventory.known_destinations.len() > 1,
                runs: &runs,
            },
            unfinished,
            running: is_busy,
            timer_is_active: config.schedule.enable && timer::is_timer_active(),
            cloud: cloud.as_ref(),
            health: health.as_ref(),
            findings,
        };
        let status = planner::status::build_status(config, facts);
        let listed = self.is_of_remote().then(|| self.known_list()).flatten();
        let status = match &listed {
            Some(listed) => planner::status::with_listed(status, listed),
            None => status,
        };
        Ok(BackupStatus {
            drill: drill.as_ref().map(LastDrill::of),
            ..status
        })
    }

    /// How the runs of the last days ended, at most so many, for each of several destinations or for the
    /// only one, which has no name here.
    ///
    /// # Errors
    /// Fails if the state directory cannot be read.
    pub fn mark_days(&self, most: u64) -> Result<BTreeMap<Option<DestinationName>, Vec<Day>>> {
        let Some(state) = self.state()? else {
            return Ok(BTreeMap::new());
        };
        let today = self.now().date_naive();
        let days = |of: Option<&DestinationName>| -> Result<Vec<Day>> {
            let runs = state.of_destination(of).ended_runs()?;
            Ok(planner::status::mark_days(&runs, today, most))
        };
        let named = self.named();
        if named.is_empty() {
            return Ok(BTreeMap::from([(None, days(self.of.as_ref())?)]));
        }
        let mut marked = BTreeMap::new();
        if let Some(name) = self.config.base_name() {
            marked.insert(Some(name), days(None)?);
        }
        for name in named {
            let own = days(Some(&name))?;
            marked.insert(Some(name), own);
        }
        Ok(marked)
    }

    /// The run that the next backup continues, unless a process is at work on it.
    ///
    /// # Errors
    /// Fails if the state directory cannot be read.
    pub fn unfinished_run(&self) -> Result<Option<String>> {
        let Some(state) = self.state()? else {
            return Ok(None);
        };
        let unfinished = state.unfinished()?;
        let unfinished = unfinished.filter(|_| !state.is_busy());
        Ok(unfinished.map(|run| run.plan.run_id))
    }
}
