//! `init`: adds the mounted drive to the ones this machine backs up to.

use anyhow::Result;
use backup::engine::{InitRequest, RunOutcome};
use schema::{Report, RunResult};

use crate::{cli::Init, commands::outcome, out::Out, screen::Screen, settings::Settings};

/// What is said of a drive that was added.
const REMEMBERED: &str =
    "this machine backs up to it from now on, besides any drive it knew before";

/// Sets the mounted drive up if it is new, and remembers it.
pub(crate) fn init_destination(arguments: &Init, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let request = InitRequest {
        take_over: arguments.take_over.clone(),
    };
    let mut screen = Screen::new(settings, out).told_at_end();
    if !engine.config().local.enable {
        // Of the copies in the cloud all is told by the notice.
        screen = screen.without_notes();
    }
    if arguments.dry_run {
        let foretold = engine.foretell_init(&request, &screen);
        screen.clear();
        let foretold = foretold?;
        // What would be taken over in the cloud was said.
        let more: &[&str] = match foretold.plan.steps.is_empty() {
            true => &[],
            false => &[REMEMBERED],
        };
        return Ok(outcome::show_foretold(&foretold, more, settings, out));
    }
    let done = engine.init(&request, &screen);
    screen.clear();
    let run = &done?;
    let code = outcome::show_last_step(run, settings, out);
    let is_added =
        |report: &Report| report.result == RunResult::Success && !report.steps.is_empty();
    if matches!(run, RunOutcome::Ended(report) if is_added(report)) && !settings.json {
        out.print_unless_quiet(REMEMBERED);
    }
    Ok(code)
}
