//! `restore`: copies a file or folder out of a snapshot.

use anyhow::Result;
use chrono::Local;
use executor::{
    Error,
    event::Context,
    restore::{self, Request},
};
use schema::{
    escape,
    plan::{Action, RestoreStep},
};

use crate::{
    cli::{At, Origin, Restore},
    commands::{
        apply::Worker,
        from_cloud::{self, Asked},
        list::{self, present},
        mark,
    },
    exit,
    out::Out,
    render::amount,
    settings::Settings,
    snapshots::{self, Named},
    take,
};

/// Copies a file or folder out of a snapshot, or lists the snapshots.
pub(crate) fn run(arguments: &Restore, settings: &Settings, out: &Out) -> Result<u8> {
    let (Some(snapshot), Some(_), Some(_)) =
        (&arguments.snapshot, &arguments.path, &arguments.target)
    else {
        if arguments.from == Some(Origin::Cloud) {
            return from_cloud::list(&settings.config(out)?, settings, out);
        }
        return list::run(&At { now: None }, settings, out);
    };
    let config = settings.config(out)?;
    if arguments.from == Some(Origin::Cloud)
        && let Some(path) = &arguments.path
    {
        let asked = Asked {
            snapshot,
            path,
            staging: arguments.staging.as_deref(),
        };
        let brought = from_cloud::bring(&asked, &config, settings, out)?;
        let code = restore(arguments, snapshot, brought.clone(), settings, out)?;
        if code == exit::DONE && !arguments.dry_run {
            from_cloud::clear(&brought, settings)?;
        }
        return Ok(code);
    }
    restore(arguments, snapshot, config, settings, out)
}

/// Restores from the destination of a configuration.
fn restore(
    arguments: &Restore,
    snapshot: &str,
    config: schema::Config,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    let now = Local::now().fixed_offset();
    let destination = present(settings, &config)?;
    let named = snapshots::find(snapshot, &destination, now)?;
    let worker = Worker::new(settings, out, &config, now);
    let report = worker.with(|context| {
        let step = look(arguments, &config, &named, now, context)?;
        if arguments.dry_run {
            show(&step, settings, out);
            return Ok(None);
        }
        // As JSON there is one document, the report, and it names the first of them.
        if step.conflict_count > 0 && !step.overwrite && !settings.json {
            show(&step, settings, out);
        }
        let inventory = take::inventory_of(settings, now, Some(destination))?;
        let plan = planner::small(&config, &inventory, Some(Action::Restore(step)));
        worker.small(&plan, &inventory, context).map(Some)
    })?;
    let Some(report) = report else {
        return Ok(exit::DONE);
    };
    mark::show(&report, settings, out);
    if !settings.json {
        for problem in report.steps.iter().flat_map(|done| &done.outcome.problems) {
            out.note(&format!("  {}: {}", problem.path, problem.message));
        }
    }
    Ok(exit::of_result(report.result))
}

/// Compares what is to be restored with what is there.
fn look(
    arguments: &Restore,
    config: &schema::Config,
    named: &Named,
    now: chrono::DateTime<chrono::FixedOffset>,
    context: Context<'_>,
) -> Result<RestoreStep> {
    let (Some(path), Some(target)) = (&arguments.path, &arguments.target) else {
        return Err(Error::failed("a path and a target are needed").into());
    };
    let store = take::store(config)?
        .ok_or_else(|| Error::refused("nothing was ever backed up to this destination"))?;
    let target = std::path::absolute(target)?;
    let request = Request {
        store: &store,
        snapshot: named.id,
        home_folder: &format!("{}/{}", named.home, named.folder),
        tree: store.folder(&[named.home.folder(), &named.folder])?,
        path,
        target: &target,
        overwrite: arguments.overwrite,
        aside_suffix: format!(".before-{}", now.format("%Y-%m-%d_%H-%M-%S")),
    };
    Ok(restore::plan(&request, &context)?)
}

/// Shows what a restore would do.
fn show(step: &RestoreStep, settings: &Settings, out: &Out) {
    if settings.json {
        out.data_json(step);
        return;
    }
    let path = escape::unescape(&step.path).unwrap_or_default();
    let mut text = format!(
        "restore /{} from {}\n     to {}\n",
        escape::display(&path),
        step.folder,
        escape::display(&escape::unescape(&step.target).unwrap_or_default()),
    );
    text.push_str(&format!(
        "  create {} ({}), {} already there",
        amount::plural(step.creates, "entry", "entries"),
        amount::bytes(step.bytes),
        amount::count(step.already_there),
    ));
    if step.conflict_count > 0 {
        let what = if step.overwrite {
            format!(
                "keep {} aside as NAME{}",
                amount::count(step.conflict_count),
                step.aside_suffix
            )
        } else {
            format!(
                "{} in the way",
                amount::plural(
                    step.conflict_count,
                    "entry that differs is",
                    "entries that differ are"
                )
            )
        };
        text.push_str(&format!("\n  {what}:"));
        for conflict in step.conflicts.iter().take(10) {
            text.push_str(&format!("\n    {conflict}"));
        }
    }
    out.data(&text);
}
