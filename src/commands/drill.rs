//! `drill`: tries a restore, and shows what came of it.

use anyhow::Result;
use backup::engine::DrillRequest;
use schema::drill::DrillVerdict;

use crate::{cli, exit, out::Out, render, screen::Screen, settings::Settings};

/// Tries a restore, or shows what that would be.
pub(crate) fn hold_drill(arguments: &cli::Drill, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let request = DrillRequest {
        snapshot: arguments.snapshot.clone(),
    };
    let screen = Screen::new(settings, out).without_notes();
    if arguments.dry_run {
        let plan = engine.plan_drill(&request, &screen)?;
        if settings.json {
            out.print_json(&plan);
        } else {
            out.print_data(&render::drill::plan_page(&plan, &settings.style));
        }
        return Ok(exit::DONE);
    }
    let done = engine.drill(&request, &screen);
    screen.clear();
    let drill = done?;
    let has_passed = drill.verdict == DrillVerdict::Passed;
    if settings.json {
        out.print_json(&drill);
    } else if !settings.quiet {
        out.print_data(&render::drill::drill_page(&drill, &settings.style));
    } else if !has_passed {
        out.print_message(&render::drill::drill_page(&drill, &settings.error_style));
    }
    Ok(match has_passed {
        true => exit::DONE,
        false => exit::FAILED,
    })
}
