//! Runs a script: no shell, no arguments, and what its end means for the run.

use std::{ffi::OsString, process::Command, time::Duration};

use schema::{
    FailureCode, Plan, RunResult,
    config::OnPreBackupFailure,
    journal::{Outcome, Sealed, Status},
    plan::ScriptStep,
    shell,
};

use crate::{
    error::Result,
    event::{Context, Event},
    process::{Limits, OutputLine, ProcessExit, run_to_end},
    trust,
    watch::Pause,
};

/// Runs the script of a step; its output becomes events.
///
/// # Errors
/// An interruption only: a failed script is an outcome.
pub fn run_script_step(
    name: &str,
    step: &ScriptStep,
    environment: &[(&str, OsString)],
    context: Context<'_>,
) -> Result<Outcome> {
    run_script_within(name, step, Duration::MAX, environment, context)
}

/// As [`run_script_step`], with no more time than this.
///
/// # Errors
/// As [`run_script_step`].
pub fn run_script_within(
    name: &str,
    step: &ScriptStep,
    most: Duration,
    environment: &[(&str, OsString)],
    context: Context<'_>,
) -> Result<Outcome> {
    let _pause = Pause::new();
    let limit = step.timeout.as_duration().min(most);
    let program = step.program.as_str();
    let hint = format!("run `{}` by hand to see why", shell::word(program));
    let fail = |message: String| {
        let status = match step.on_failure {
            OnPreBackupFailure::Abort => Status::Failed,
            OnPreBackupFailure::Warn => Status::Incomplete,
        };
        Outcome {
            code: Some(FailureCode::ProgramFailed),
            ..Outcome::unsuccessful(status, message, hint.clone())
        }
    };
    // Whoever planned the run has looked; this is what is run.
    let distrust = match trust::find_distrust(step.program.as_path()) {
        Ok(found) => found.map(|found| found.refuse("the script")),
        Err(error) => Some(error),
    };
    if let Some(error) = distrust {
        return Ok(Outcome {
            code: error.code,
            hint: error.hint,
            ..fail(format!(
                "{name} {program} is not started: {}",
                error.message
            ))
        });
    }
    let mut command = Command::new(program);
    for (key, value) in environment {
        command.env(key, value);
    }
    let mut show = |line: OutputLine| {
        context.observer.event(Event::ScriptLine {
            step: name,
            line: &line.text(),
        });
    };
    let limits = Limits::within(limit).stopped_by(context.stop);
    Ok(match run_to_end(&mut command, limits, &mut show)? {
        exit if exit.is_success() => Outcome::success(format!("{program} succeeded")),
        ProcessExit::TimedOut => fail(format!(
            "{name} {program} did not end within {}",
            step.timeout
        )),
        exit => fail(format!("{name} {program} {exit}")),
    })
}

/// What scripts find in their environment.
pub(crate) fn script_environment(
    plan: &Plan,
    result: Option<RunResult>,
    sealed: Option<&Sealed>,
) -> Vec<(&'static str, OsString)> {
    let mut environment = vec![("BACKUP_RUN_ID", plan.run_id.clone().into())];
    if let Some(result) = result {
        environment.push(("BACKUP_RESULT", result.word().into()));
        let id = sealed.map(|sealed| sealed.id.to_string());
        environment.push(("BACKUP_SNAPSHOT", id.unwrap_or_default().into()));
    }
    environment
}
