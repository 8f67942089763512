//! Running a check in the room.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};
use schema::drill::{CheckResult, CheckStatus, DrillPlan, MOST_OUTPUT, PlannedCheck};

use super::room::millis_since;
use crate::{
    error::{Error, Result},
    process::{Limits, ProcessExit, capture_output},
};

/// Where checks find programs.
pub(super) const PATH: &str = "/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:\
     /sbin:/bin";

/// Runs one, and ends all that it left behind.
///
/// # Errors
/// The system does not tell how it ended.
pub(super) fn run_check(check: &PlannedCheck, plan: &DrillPlan) -> Result<CheckResult> {
    let begun = Instant::now();
    if let Some(because) = &check.refused {
        return Ok(CheckResult {
            check: check.check.clone(),
            status: CheckStatus::NotRun,
            millis: 0,
            message: format!("was not run: {because}"),
            output: String::new(),
        });
    }
    let program = check.program.as_ref();
    let program = program.ok_or_else(|| Error::failed("the order of the drill has no program"))?;
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("TMPDIR", "/tmp")
        .env("LANG", "C.UTF-8")
        .env("BACKUP_DRILL_ROOT", "/")
        .env("BACKUP_SNAPSHOT", plan.snapshot.id.to_string())
        .env(
            "BACKUP_SNAPSHOT_TIME",
            plan.snapshot.started_at.to_rfc3339(),
        );
    let limits = Limits::within(Duration::from_secs(plan.check_seconds)).without_grace();
    let ended = capture_output(&mut command, Vec::new(), limits);
    end_all_others();
    let ended = ended?;
    let status = match &ended.exit {
        ProcessExit::TimedOut => CheckStatus::TimedOut,
        ProcessExit::NotStarted { .. } => CheckStatus::NotRun,
        exit if exit.is_success() => CheckStatus::Passed,
        _ => CheckStatus::Failed,
    };
    Ok(CheckResult {
        check: check.check.clone(),
        status,
        millis: millis_since(begun),
        message: match status {
            CheckStatus::TimedOut => format!(
                "did not end within {} and was ended (monitoring.drill.timeout)",
                schema::amount::span(Duration::from_secs(plan.check_seconds))
            ),
            CheckStatus::Passed => "passed".to_owned(),
            _ => ended.exit.to_string(),
        },
        output: end_of(&[ended.stdout, ended.stderr].concat()),
    })
}

/// Ends whatever a check started and left. Only for the first process of the room, of which all others there
/// are descendants.
pub(super) fn end_all_others() {
    if getpid().as_raw() != 1 {
        return;
    }
    let all = Pid::from_raw(-1);
    loop {
        let _ = kill(all, Signal::SIGKILL);
        match waitpid(all, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::EINTR) => {}
            Err(_) => return,
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
            Ok(_) => {}
        }
    }
}

/// The end of a text, from the beginning of a line where that is not far.
pub(super) fn end_of(text: &str) -> String {
    let text = text.trim_end();
    let mut from = text.len().saturating_sub(MOST_OUTPUT);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}
