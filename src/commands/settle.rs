//! `settle`: what a run owes that was ended from outside, for `ExecStopPost` of its unit.

use anyhow::Result;
use backup::engine::{FinishOutcome, ServiceEnd};

use crate::{exit, out::Out, screen::Screen, settings::Settings};

/// Runs the post-script and the notification of an interrupted run, unless that was done.
pub(crate) fn settle_run(settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let screen = Screen::new(settings, out);
    let settled = engine.finish_interrupted(&service_end(), &screen);
    screen.clear();
    match settled? {
        FinishOutcome::NothingOwed => {}
        FinishOutcome::Busy => {
            out.print_unless_quiet("another process is at work on this run: nothing is settled");
        }
        FinishOutcome::Finished { report, because } => out.print_line_unless_quiet(&format!(
            "run {} was interrupted ({because}); the next `backup apply` continues it",
            report.run_id
        )),
    }
    Ok(exit::DONE)
}

/// How the unit's main process ended, as systemd tells its `ExecStopPost`.
fn service_end() -> ServiceEnd {
    let get = |name: &str| std::env::var(name).unwrap_or_default();
    ServiceEnd {
        service_result: get("SERVICE_RESULT"),
        exit_status: get("EXIT_STATUS"),
    }
}
