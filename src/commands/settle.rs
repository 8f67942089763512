//! `settle`: what a run owes that was ended from outside, for `ExecStopPost` of its unit.

use anyhow::Result;
use chrono::Local;
use executor::{ErrorKind, parts::Systemd, settle, state_dir::StateDir};
use schema::RunResult;

use crate::{commands::apply::Worker, exit, out::Out, settings::Settings};

/// Runs the post-script and the notification of an interrupted run, unless that was done.
pub(crate) fn run(settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let Some(state) = StateDir::open(&settings.state_dir)? else {
        return Ok(exit::DONE);
    };
    let Some(unfinished) = state.unfinished()? else {
        return Ok(exit::DONE);
    };
    let replay = state.replay(&unfinished.plan.run_id)?;
    if replay.is_settled() {
        return Ok(exit::DONE);
    }
    if !state.is_owned() && replay.handed_to().is_some() {
        // The script after the backup must not meet a part that is still at work.
        Systemd.stop_parts();
    }
    let lock = match state.lock() {
        Err(error) if error.kind == ErrorKind::Busy => {
            out.say("another process is at work on this run: nothing is settled");
            return Ok(exit::DONE);
        }
        lock => lock?,
    };
    let (because, result) = how_it_ended();
    let worker = Worker::new(settings, out, &config, Local::now().fixed_offset());
    let report = worker.with(|context| Ok(settle::settle(&state, &because, result, context)?))?;
    drop(lock);
    if let Some(report) = report {
        out.say(&format!(
            "run {} was interrupted ({because}); the next `backup apply` continues it",
            report.run_id
        ));
    }
    Ok(exit::DONE)
}

/// How the unit's main process ended, as systemd says (systemd.exec(5), `$SERVICE_RESULT`).
fn how_it_ended() -> (String, RunResult) {
    let get = |name: &str| std::env::var(name).unwrap_or_default();
    let (service, status) = (get("SERVICE_RESULT"), get("EXIT_STATUS"));
    match (service.as_str(), status.as_str()) {
        ("" | "success", "130" | "143" | "INT" | "TERM" | "HUP" | "") => {
            ("it was asked to stop".to_owned(), RunResult::Interrupted)
        }
        ("signal" | "core-dump", signal) => (
            format!("it was ended by signal {signal}"),
            RunResult::Failed,
        ),
        ("oom-kill", _) => ("memory was short".to_owned(), RunResult::Failed),
        ("exit-code" | "success", code) => {
            (format!("it ended with exit code {code}"), RunResult::Failed)
        }
        (other, _) => (format!("systemd says {other}"), RunResult::Failed),
    }
}
