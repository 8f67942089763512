//! What a run owes that was ended from outside, or that something fell silent under.

use executor::{
    Error, ErrorKind,
    error::Result,
    run::{Systemd, finish_interrupted},
    state_dir::StateDir,
};
use planner::{notices::TimerCall, unfinished::judge_service_end};
use schema::{RunResult, config::DestinationName};

use super::{Engine, Observer, logs::LogKind};

/// How the main process of a unit ended, as systemd says (systemd.exec(5)); empty where it does not.
#[derive(Debug, Clone, Default)]
pub struct ServiceEnd {
    /// `$SERVICE_RESULT`.
    pub service_result: String,
    /// `$EXIT_STATUS`.
    pub exit_status: String,
}

/// What became of an interrupted run.
#[derive(Debug, Clone)]
pub enum FinishOutcome {
    /// There is none, or all that it owes was done.
    NothingOwed,
    /// Another process is at work on it.
    Busy,
    /// What it owes was done: its script after the backup, and its notification.
    Finished {
        /// The run.
        run_id: String,
        /// How the run was ended.
        because: String,
    },
}

/// An interrupted run that owes something.
struct Owing {
    state: StateDir,
    run_id: String,
    /// The named destinations that it is for.
    named: Vec<DestinationName>,
    /// Whether a part of it was handed to a unit of its own.
    is_handed_over: bool,
}

/// A backup that ends because something does not answer any more.
#[derive(Debug, Clone, Copy)]
pub struct StalledRun {
    /// Whether its journal was begun.
    pub has_begun: bool,
    /// Whether it is a part of a run, whose own process waits for it.
    pub is_part: bool,
    /// The call of a timer that began it.
    pub timer: Option<TimerCall>,
}

impl Engine {
    /// Does what an interrupted run owes, unless that was done: its script after the backup, and its
    /// notification. The run stays as it is, to be continued.
    ///
    /// # Errors
    /// Fails on an interruption, or if the state directory cannot be read or written.
    pub fn finish_interrupted(
        &self,
        end: &ServiceEnd,
        observer: &dyn Observer,
    ) -> Result<FinishOutcome> {
        let Some(owing) = self.find_owing()? else {
            return Ok(FinishOutcome::NothingOwed);
        };
        let Owing {
            state,
            run_id,
            named,
            is_handed_over,
        } = owing;
        if !state.is_owned() && is_handed_over {
            // The script after the backup must not meet a part that is still at work.
            Systemd.stop_parts(&named);
        }
        let lock = match state.lock() {
            Err(error) if error.kind == ErrorKind::Busy => return Ok(FinishOutcome::Busy),
            lock => lock?,
        };
        let (because, result) = judge_service_end(&end.service_result, &end.exit_status);
        let report = self.logged(LogKind::Backups, observer, |operation| {
            finish_interrupted::finish_interrupted(&state, &because, result, operation.context)
        })?;
        drop(lock);
        Ok(match report {
            Some(_) => FinishOutcome::Finished { run_id, because },
            None => FinishOutcome::NothingOwed,
        })
    }

    /// What [`Self::finish_interrupted`] would do. Writes nothing.
    ///
    /// # Errors
    /// Fails if the state directory cannot be read.
    pub fn foretell_finish(&self, end: &ServiceEnd) -> Result<FinishOutcome> {
        let Some(Owing { state, run_id, .. }) = self.find_owing()? else {
            return Ok(FinishOutcome::NothingOwed);
        };
        if state.is_owned() {
            return Ok(FinishOutcome::Busy);
        }
        let (because, _) = judge_service_end(&end.service_result, &end.exit_status);
        Ok(FinishOutcome::Finished { run_id, because })
    }

    /// The interrupted run that owes something, if there is one.
    fn find_owing(&self) -> Result<Option<Owing>> {
        let Some(state) = self.state()? else {
            return Ok(None);
        };
        // Another one's scripts are nothing that this configuration owes.
        let Some(unfinished) = self.unfinished_of_config(&state)? else {
            return Ok(None);
        };
        let named = unfinished.plan.chains.into_keys().collect();
        let run_id = unfinished.plan.run_id;
        let replay = state.replay(&run_id)?;
        Ok((!replay.is_settled()).then(|| Owing {
            is_handed_over: replay.handed_to().is_some(),
            state,
            run_id,
            named,
        }))
    }

    /// Does what a backup owes that ends because of this error, while whoever works on it is in a call
    /// that is never answered; tells of one that could not be begun.
    ///
    /// # Errors
    /// Fails if the state directory cannot be read or written.
    pub fn finish_stalled(
        &self,
        stalled: StalledRun,
        error: &Error,
        observer: &dyn Observer,
    ) -> Result<()> {
        let state = self.state()?;
        let is_ours = match &state {
            Some(state) => self.unfinished_of_config(state)?.is_some(),
            None => false,
        };
        self.logged(LogKind::Backups, observer, |operation| {
            match state.filter(|_| stalled.has_begun && is_ours) {
                // Whoever waits for it, or continues it, does the rest.
                Some(state) if stalled.is_part => {
                    finish_interrupted::record_interruption(
                        &state,
                        &error.message,
                        operation.context,
                    )?;
                }
                Some(state) => {
                    let result = RunResult::Failed;
                    finish_interrupted::finish_interrupted(
                        &state,
                        &error.message,
                        result,
                        operation.context,
                    )?;
                }
                None if stalled.is_part => {}
                None => operation.notify_of_error(error, stalled.timer),
            }
            if !stalled.is_part {
                operation.write_metrics();
            }
            Ok(())
        })
    }
}
