//! Tells people of the result. Whatever happens here never changes the result.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use schema::{
    Report, RunResult,
    journal::{Outcome, Status},
    plan::NotifyStep,
};

use crate::error::{Result, reason};

/// Longest time that a command may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Gives the report to the command of a step, if the result is one to tell of.
///
/// # Errors
/// None: a command that fails is an outcome.
pub fn run(step: &NotifyStep, report: &Report) -> Result<Outcome> {
    let wanted = match report.result {
        RunResult::Success => step.on_success,
        RunResult::Incomplete | RunResult::Failed | RunResult::Refused => step.on_failure,
        RunResult::Deferred | RunResult::Interrupted => false,
    };
    if !wanted {
        return Ok(Outcome::success(format!(
            "nobody asked to be told of {}",
            report.result.word()
        )));
    }
    let program = step.command.as_str();
    match tell(program, report) {
        Ok(()) => Ok(Outcome::success(format!("told {program}"))),
        Err(because) => Ok(Outcome::not(
            Status::Incomplete,
            format!("notifications.command {program} {because}"),
            format!("run {program} by hand with a report on standard input"),
        )),
    }
}

fn tell(program: &str, report: &Report) -> std::result::Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot be run: {}", reason(&error));
    let mut json = serde_json::to_vec_pretty(report).map_err(|error| error.to_string())?;
    json.push(b'\n');
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env("BACKUP_RESULT", report.result.word())
        .env("BACKUP_RUN_ID", &report.run_id)
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read must not keep us: the pipe is filled by a thread that ends
        // with the command.
        std::thread::spawn(move || input.write_all(&json));
    }
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("failed: {status}")),
            Ok(None) if started.elapsed() < LIMIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(None) => {
                if let Ok(group) = i32::try_from(child.id()) {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                let _ = child.wait();
                return Err(format!("did not end within {} s", LIMIT.as_secs()));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}
