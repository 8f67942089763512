//! `now`: plan and apply, for a person.

use anyhow::Result;
use backup::engine::{ApplyOutcome, ApplyRequest};

use crate::{
    cli::Now,
    commands::{outcome, plan},
    exit,
    out::Out,
    screen::Screen,
    settings::Settings,
};

/// Shows the plan, then runs it.
pub(crate) fn back_up_now(arguments: &Now, settings: &Settings, out: &Out) -> Result<u8> {
    if arguments.dry_run {
        let approved = arguments.deletions.approve_deletions;
        return plan::show_plan_instead(Vec::new(), approved, arguments.at.now, settings, out);
    }
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    let request = ApplyRequest {
        approve_deletions: arguments.deletions.approve_deletions,
        ..ApplyRequest::default()
    };
    let screen = Screen::new(settings, out).showing_plan();
    let applied = engine.apply(&request, &screen);
    screen.clear();
    Ok(match applied? {
        ApplyOutcome::NothingDue { .. } => exit::DONE,
        ApplyOutcome::Run(run) => {
            let told = screen.told();
            outcome::show_backup(&run, told.as_ref(), &engine, settings, out)
        }
    })
}
