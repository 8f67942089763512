//! `pin`, `unpin`, `accept`: what a person knows of a snapshot and the program cannot.

use anyhow::Result;
use backup::engine::Mark;

use crate::{cli::One, commands::outcome, out::Out, screen::Screen, settings::Settings};

/// Marks a snapshot.
pub(crate) fn mark_snapshot(one: &One, mark: Mark, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    if one.dry_run {
        let foretold = engine.foretell_mark(&one.snapshot, mark, &Screen::new(settings, out))?;
        return Ok(outcome::show_foretold(&foretold, &[], settings, out));
    }
    let screen = Screen::new(settings, out).told_at_end();
    let marked = engine.mark(&one.snapshot, mark, &screen);
    screen.clear();
    Ok(outcome::show_steps(
        &marked?,
        "mark",
        &outcome::said,
        settings,
        out,
    ))
}
