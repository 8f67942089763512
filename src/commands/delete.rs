//! `prune` and `delete`: snapshots go because a person says so.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local};
use executor::Error;
use schema::{
    Finding, Inventory, SnapshotId,
    inventory::DestinationState,
    plan::{Action, DeleteStep},
};

use crate::{
    cli::{Delete, Prune},
    commands::{apply::Worker, list::present, restore},
    exit,
    out::Out,
    render,
    settings::Settings,
    snapshots, take,
};

/// Whether to show only, and whether to ask.
struct How {
    dry_run: bool,
    yes: bool,
}

/// Deletes what the retention lets go, and brings the tiers to what it wants.
pub(crate) fn prune(arguments: &Prune, settings: &Settings, out: &Out) -> Result<u8> {
    let how = How {
        dry_run: arguments.dry_run,
        yes: arguments.yes,
    };
    let config = settings.config(out)?;
    let destination = present(settings, &config)?;
    run(
        &how,
        (&config, destination),
        arguments
            .at
            .now
            .unwrap_or_else(|| Local::now().fixed_offset()),
        settings,
        out,
        |inventory| planner::prune(&config, inventory),
    )
}

/// Deletes the snapshots that a person names.
pub(crate) fn delete(arguments: &Delete, settings: &Settings, out: &Out) -> Result<u8> {
    let how = How {
        dry_run: arguments.dry_run,
        yes: arguments.yes,
    };
    let config = settings.config(out)?;
    let destination = present(settings, &config)?;
    let now = arguments
        .at
        .now
        .unwrap_or_else(|| Local::now().fixed_offset());
    let mut ids = Vec::new();
    for name in &arguments.snapshots {
        ids.push(id(name, &destination, now)?);
    }
    ids.sort();
    ids.dedup();
    run(
        &how,
        (&config, destination),
        now,
        settings,
        out,
        |inventory| planner::delete(&config, inventory, &ids),
    )
}

/// The snapshot that a name means, if this program made it.
fn id(
    name: &str,
    destination: &DestinationState,
    now: DateTime<FixedOffset>,
) -> Result<SnapshotId> {
    let named = snapshots::find(name, destination, now)?;
    let mut unmanaged = destination.unmanaged.iter();
    let damaged = unmanaged.any(|one| {
        one.tier == named.home && one.name == named.folder && one.record_fault.is_some()
    });
    named
        .id
        .filter(|_| named.managed || damaged)
        .ok_or_else(|| {
            Error::refused(format!(
                "{}/{} was not made by this program and is never deleted by it",
                named.home, named.folder
            ))
            .hint("remove the folder yourself if it is not needed, or `backup adopt` it")
            .into()
        })
}

fn run(
    how: &How,
    (config, destination): (&schema::Config, DestinationState),
    now: DateTime<FixedOffset>,
    settings: &Settings,
    out: &Out,
    decide: impl FnOnce(&Inventory) -> std::result::Result<DeleteStep, Box<Finding>>,
) -> Result<u8> {
    let inventory = take::inventory_of(settings, now, Some(destination))?;
    let step = decide(&inventory).map_err(|finding| {
        let error = Error::refused(finding.message);
        match finding.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    let purpose = step.purpose.word();
    let rotation = &step.rotation;
    let nothing = rotation.deletions.is_empty()
        && rotation.moves.is_empty()
        && rotation.links.is_empty()
        && rotation.unlinks.is_empty();
    let plan = planner::small(config, &inventory, Some(Action::Delete(step)));
    if how.dry_run {
        if settings.json {
            out.data_json(&plan);
        } else {
            out.data(&render::plan::plan_page(&plan, &inventory, &settings.style));
        }
        return Ok(exit::of_severity(
            plan.severity()
                .filter(|worst| *worst >= schema::Severity::Deferral),
        ));
    }
    if nothing {
        out.say("nothing to delete: everything is as the retention wants it");
    } else if !settings.json {
        out.say(&render::plan::plan_page(&plan, &inventory, &settings.style));
    }
    agreed(how, nothing, settings, out)?;
    let worker = Worker::new(settings, out, config, now);
    let report = worker.with(|context| worker.small(&plan, &inventory, context))?;
    restore::show(&report, purpose, settings, out);
    Ok(exit::of_result(report.result))
}

/// Asks where a person is to agree.
fn agreed(how: &How, nothing: bool, settings: &Settings, out: &Out) -> Result<()> {
    if how.yes || nothing {
        return Ok(());
    }
    let refused = |message: &str| {
        Error::refused(message.to_owned()).hint("look at it with --dry-run, then run it with --yes")
    };
    if settings.json || !std::io::stdin().is_terminal() {
        return Err(refused("snapshots are only deleted if a person agrees").into());
    }
    out.note("Delete these for good? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(refused("nothing was changed").into())
}
