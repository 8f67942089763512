//! `now`: plan and apply, for a person.

use anyhow::Result;
use chrono::Local;
use planner::Options;

use crate::{
    cli::Now,
    commands::{apply::Worker, plan},
    out::Out,
    render,
    settings::Settings,
};

/// Shows the plan, then runs it.
pub(crate) fn run(arguments: &Now, settings: &Settings, out: &Out) -> Result<u8> {
    if arguments.dry_run {
        let approved = arguments.deletions.approve_deletions;
        return plan::instead_of_run(None, approved, arguments.at.now, settings, out);
    }
    let config = settings.config(out)?;
    let now = arguments
        .at
        .now
        .unwrap_or_else(|| Local::now().fixed_offset());
    let worker = Worker::new(settings, out, &config, now).shows_plan();
    let options = Options {
        approve_deletions: arguments.deletions.approve_deletions,
        scheduled: false,
        only: None,
    };
    worker.backing_up(false, |context| {
        worker.continue_or_plan(false, &options, context, |plan, inventory| {
            if !settings.json && !settings.quiet {
                out.data(&render::plan::plan_page(plan, inventory, &settings.style));
                out.data("\n");
            }
        })
    })
}
