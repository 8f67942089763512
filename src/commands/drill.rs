//! `drill`: tries a restore, and shows what came of it.

use anyhow::Result;
use backup::{Engine, engine::DrillRequest};
use schema::{
    config::DestinationName,
    drill::{Drill, DrillPlan, DrillVerdict},
};

use crate::{cli, exit, out::Out, render, screen::Screen, settings::Settings};

/// Tries a restore, or shows what that would be.
pub(crate) fn hold_drill(arguments: &cli::Drill, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    if arguments.all {
        return hold_all(&engine, arguments.dry_run, settings, out);
    }
    let request = DrillRequest {
        snapshot: arguments.snapshot.clone(),
    };
    if arguments.dry_run {
        let plan = engine.plan_drill(&request, &Screen::new(settings, out).without_notes())?;
        show_plan(&plan, settings, out);
        return Ok(exit::DONE);
    }
    let drill = hold_one(&engine, &request, settings, out)?;
    show(&drill, settings, out);
    Ok(code_of(&drill))
}

fn hold_one(
    engine: &Engine,
    request: &DrillRequest,
    settings: &Settings,
    out: &Out,
) -> Result<Drill> {
    let screen = Screen::new(settings, out).without_notes();
    let done = engine.drill(request, &screen);
    screen.clear();
    Ok(done?)
}

/// One after the other, as JSON in a document for each; what cannot be tried of one holds up no other, and
/// ends with its own code.
fn hold_all(whole: &Engine, dry_run: bool, settings: &Settings, out: &Out) -> Result<u8> {
    let request = DrillRequest::default();
    let mut first: Option<anyhow::Error> = None;
    let mut code = exit::DONE;
    for (name, engine) in whole.drilled() {
        let told = match dry_run {
            true => engine
                .plan_drill(&request, &Screen::new(settings, out).without_notes())
                .map(|plan| {
                    head(&name, settings, out);
                    show_plan(&plan, settings, out);
                })
                .map_err(Into::into),
            false => hold_one(&engine, &request, settings, out).map(|drill| {
                head(&name, settings, out);
                show(&drill, settings, out);
                code = code.max(code_of(&drill));
            }),
        };
        if let Err(error) = told {
            if first.is_some() {
                out.print_message(&format!("{name}: {error}"));
            }
            first.get_or_insert(error.context(format!("{name}: no restore can be tried")));
        }
    }
    match first.filter(|_| code == exit::DONE) {
        Some(error) => Err(error),
        None => Ok(code),
    }
}

/// Of which of several destinations what follows is.
fn head(name: &DestinationName, settings: &Settings, out: &Out) {
    if !settings.json && !settings.quiet {
        let name = settings.style.bold(format!("{name}:"));
        out.print_data(&name.to_string());
    }
}

fn show_plan(plan: &DrillPlan, settings: &Settings, out: &Out) {
    if settings.json {
        out.print_json(plan);
    } else {
        out.print_data(&render::drill::plan_page(plan, &settings.style));
    }
}

fn show(drill: &Drill, settings: &Settings, out: &Out) {
    if settings.json {
        out.print_json(drill);
    } else if !settings.quiet {
        out.print_data(&render::drill::drill_page(drill, &settings.style));
    } else if drill.verdict != DrillVerdict::Passed {
        out.print_message(&render::drill::drill_page(drill, &settings.error_style));
    }
}

fn code_of(drill: &Drill) -> u8 {
    match drill.verdict {
        DrillVerdict::Passed => exit::DONE,
        DrillVerdict::Failed => exit::FAILED,
    }
}
