//! `settle`: what a run owes that was ended from outside, for `ExecStopPost` of its unit.

use anyhow::Result;
use backup::engine::{FinishOutcome, ServiceEnd};

use crate::{
    cli::Settle, commands::outcome, exit, out::Out, render::hint, screen::Screen,
    settings::Settings,
};

/// Runs the post-script and the notification of an interrupted run, unless that was done.
pub(crate) fn settle_run(arguments: &Settle, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    if arguments.dry_run {
        let owed = engine.foretell_finish(&service_end())?;
        let line = line_of(&owed).unwrap_or_else(|| "no run owes anything".to_owned());
        outcome::show_dry_run(&[line], out);
        return Ok(exit::DONE);
    }
    let screen = Screen::new(settings, out);
    let settled = engine.finish_interrupted(&service_end(), &screen);
    screen.clear();
    if let Some(line) = line_of(&settled?) {
        out.print_line_unless_quiet(&hint::pasted(&line));
    }
    Ok(exit::DONE)
}

/// What became of the interrupted run, or would; none where nothing is owed.
fn line_of(finished: &FinishOutcome) -> Option<String> {
    match finished {
        FinishOutcome::NothingOwed => None,
        FinishOutcome::Busy => {
            Some("another process is at work on this run: nothing is settled".to_owned())
        }
        FinishOutcome::Finished { run_id, because } => Some(format!(
            "run {run_id} was interrupted ({because}); the next `backup apply` continues it"
        )),
    }
}

/// How the unit's main process ended, as systemd tells its `ExecStopPost`.
fn service_end() -> ServiceEnd {
    let get = |name: &str| std::env::var(name).unwrap_or_default();
    ServiceEnd {
        service_result: get("SERVICE_RESULT"),
        exit_status: get("EXIT_STATUS"),
    }
}
