//! `init`: adds the mounted drive to the ones this machine backs up to.

use anyhow::Result;
use backup::engine::{InitRequest, RunOutcome};
use schema::RunResult;

use crate::{cli::Init, commands::outcome, exit, out::Out, screen::Screen, settings::Settings};

/// What is said of a drive that was added.
const REMEMBERED: &str =
    "this machine backs up to it from now on, besides any drive it knew before";

/// Sets the mounted drive up if it is new, and remembers it.
pub(crate) fn init_destination(arguments: &Init, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let request = InitRequest {
        take_over: arguments.take_over.clone(),
    };
    let screen = Screen::new(settings, out).without_records();
    if arguments.dry_run {
        let foretold = engine.foretell_init(&request, &screen);
        screen.clear();
        return Ok(match foretold? {
            Some(foretold) => outcome::show_foretold(&foretold, &[REMEMBERED], settings, out),
            None => {
                // What would be taken over in the cloud was said.
                if !settings.json {
                    outcome::show_dry_run(&[], out);
                }
                exit::DONE
            }
        });
    }
    let done = engine.init(&request, &screen);
    screen.clear();
    let Some(run) = &done? else {
        return Ok(exit::DONE);
    };
    let code = outcome::show_last_step(run, settings, out);
    if matches!(run, RunOutcome::Ended(report) if report.result == RunResult::Success) {
        out.print_unless_quiet(REMEMBERED);
    }
    Ok(code)
}
