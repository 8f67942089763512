//! `prune` and `delete`: snapshots go because a person says so.

use anyhow::Result;
use backup::{Engine, engine::PreparedDeletion};
use schema::{
    Plan, Severity, amount,
    journal::Outcome,
    plan::{Action, Deletion},
};

use crate::{
    cli::{Delete, Prune},
    commands::{agree, outcome},
    exit,
    out::Out,
    render,
    screen::Screen,
    settings::Settings,
};

/// Whether to show only, and whether to ask.
struct How {
    dry_run: bool,
    yes: bool,
}

/// Deletes what the retention lets go, and brings the tiers to what it wants.
pub(crate) fn prune_snapshots(arguments: &Prune, settings: &Settings, out: &Out) -> Result<u8> {
    let how = How {
        dry_run: arguments.dry_run,
        yes: arguments.yes,
    };
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    let prepared = engine.prepare_prune()?;
    show_and_delete(&how, &engine, &prepared, settings, out)
}

/// Deletes the snapshots that a person names.
pub(crate) fn delete_snapshots(arguments: &Delete, settings: &Settings, out: &Out) -> Result<u8> {
    let how = How {
        dry_run: arguments.dry_run,
        yes: arguments.yes,
    };
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    let prepared = engine.prepare_delete(&arguments.snapshots)?;
    show_and_delete(&how, &engine, &prepared, settings, out)
}

/// What a person is asked: what is let go on a remote can be had back for some days.
fn question(plan: &Plan) -> &'static str {
    let of_remote = plan.steps.iter().find_map(|step| match &step.action {
        Action::Expire(step) => Some(step),
        _ => None,
    });
    match of_remote {
        Some(step) if step.sweep.is_empty() => "Let these go?",
        Some(step) if !step.expire.is_empty() => "Let these go, and delete the others for good?",
        _ => "Delete these for good?",
    }
}

/// Shows what goes, asks, and deletes it.
fn show_and_delete(
    how: &How,
    engine: &Engine,
    prepared: &PreparedDeletion,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    let plan = &prepared.plan;
    let is_whole = settings.verbose;
    let (place, style) = (engine.place_of_several(), &settings.style);
    let text = || {
        let inventory = &prepared.inventory;
        render::plan::deletion_plan(plan, inventory, place.as_ref(), is_whole, style)
    };
    if how.dry_run {
        if settings.json {
            out.print_json(plan);
        } else {
            out.print_data(&text());
        }
        let worst = plan.severity();
        let worst = worst.filter(|worst| *worst >= Severity::Deferral);
        return Ok(exit::code_of_severity(worst));
    }
    if prepared.is_nothing {
        out.print_unless_quiet("nothing to delete: everything is as the retention wants it");
    } else if !settings.json {
        out.print_unless_quiet(&text());
    }
    if !how.yes && !prepared.is_nothing {
        let alone = "snapshots are only deleted if a person agrees";
        agree::ask_person(question(plan), alone, settings, out)?;
    }
    let screen = Screen::new(settings, out).told_at_end();
    let deleted = engine.delete(prepared, &screen);
    screen.clear();
    let planned = plan.steps.iter().flat_map(|step| match &step.action {
        Action::Delete(step) => step.rotation.deletions.as_slice(),
        _ => &[],
    });
    let planned: Vec<&Deletion> = planned.collect();
    let said = |_: usize, outcome: &Outcome| match outcome.deleted.len() as u64 {
        // That was said before.
        0 if prepared.is_nothing => String::new(),
        count if count > 0 && outcome.deleted.iter().all(|one| planned.contains(&one)) => {
            let count = amount::plural(count, "snapshot", "snapshots");
            let on = place.as_ref();
            let on = on.map_or_else(String::new, |(name, _)| format!(" on {name}"));
            format!("{count} deleted{on}, as shown")
        }
        _ => outcome.message.clone(),
    };
    let purpose = prepared.purpose;
    Ok(outcome::show_steps(
        &deleted?, purpose, &said, settings, out,
    ))
}
