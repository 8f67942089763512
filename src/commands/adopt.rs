//! `adopt`: makes snapshots of what another tool backed up.

use std::{
    io::{BufRead as _, IsTerminal as _},
    os::unix::ffi::OsStrExt as _,
};

use anyhow::Result;
use chrono::Local;
use executor::{Error, adopt};
use schema::{
    StoredPathBuf, escape,
    output::adopt::AdoptPreview,
    plan::{Action, AdoptStep},
};

use crate::{
    cli::Adopt,
    commands::{apply::Worker, list::present, restore},
    exit,
    out::Out,
    render,
    settings::Settings,
    take,
};

/// Shows what becomes what, asks, and does it.
pub(crate) fn run(arguments: &Adopt, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let now = Local::now().fixed_offset();
    let destination = present(settings, &config)?;
    let store = take::store(&config)?.ok_or_else(|| {
        Error::refused("the destination was never set up, so that nothing can be adopted there")
            .hint("`backup init` sets it up")
    })?;
    let folder = arguments.folder.as_deref().map(std::path::absolute);
    let folder = folder.transpose()?;
    let mut looked = adopt::look(
        &store,
        &destination,
        folder.as_deref(),
        arguments.point.as_deref(),
    )?;
    let begun = adopt::begun(&store)?;
    let at = match &arguments.at {
        Some(at) => inside(at.as_os_str().as_bytes())?,
        None => {
            let (candidates, lost): (Vec<_>, Vec<_>) = looked
                .candidates
                .into_iter()
                .partition(|one| planner::begins_at_root(&config, one));
            // With none that is as expected, they are all of another root.
            if let Some(lost) = lost.first().filter(|_| candidates.is_empty()) {
                return Err(Error::refused(format!(
                    "no configured source (local.sources) is in {}, which holds {}",
                    lost.from,
                    lost.names[..lost.names.len().min(5)].join(", ")
                ))
                .hint(
                    "say with --at where its content was on the machine, such as --at /home; \
                     --at / if it began there",
                )
                .into());
            }
            let unlike = lost.into_iter().map(|one| {
                let because = "no configured source (local.sources) is in it; adopt it alone, and \
                               say with --at where its content was on the machine";
                (one.from, because.to_owned())
            });
            looked.passed_over.extend(unlike);
            looked.candidates = candidates;
            String::new()
        }
    };
    if !settings.json && !looked.passed_over.is_empty() {
        out.say(&render::adopt::passed_over_lines(&looked));
    }
    let step = planner::adopt(
        &config,
        &destination,
        looked.root,
        &looked.candidates,
        &begun,
        &at,
    );
    if step.trees.is_empty() {
        if settings.json && arguments.dry_run {
            out.data_json(&AdoptPreview::from(step));
        } else {
            out.note("nothing to adopt was found");
        }
        return Ok(exit::DONE);
    }
    if !agreed(arguments, &step, settings, out)? {
        return Ok(exit::DONE);
    }
    let worker = Worker::new(settings, out, &config, now);
    let report = worker.with(|context| {
        let inventory = take::inventory_of(settings, now, Some(destination))?;
        let plan = planner::small(&config, &inventory, Some(Action::Adopt(step)));
        worker.small(&plan, &inventory, context)
    })?;
    restore::show(&report, "adopt", settings, out);
    Ok(exit::of_result(report.result))
}

/// A path on the machine as a path in a snapshot, escaped.
fn inside(at: &[u8]) -> Result<String> {
    let inside = StoredPathBuf::of_typed(at);
    if !at.starts_with(b"/") || inside.names().any(|name| name == b"..") {
        return Err(exit::invalid(
            format!("--at {}: that is no absolute path", escape::display(at)),
            "name a folder as it was on the machine, such as /home",
        ));
    }
    Ok(inside.escaped())
}

/// Shows what becomes what, and asks where a person is to agree.
fn agreed(arguments: &Adopt, step: &AdoptStep, settings: &Settings, out: &Out) -> Result<bool> {
    if arguments.dry_run {
        if settings.json {
            out.data_json(&AdoptPreview::from(step.clone()));
        } else {
            out.data(&render::adopt::adoption_preview(step));
        }
        return Ok(false);
    }
    if !settings.json {
        out.say(&render::adopt::adoption_preview(step));
    }
    if arguments.yes {
        return Ok(true);
    }
    let refused = |message: &str| {
        Error::refused(message.to_owned()).hint("look at it with --dry-run, then run it with --yes")
    };
    if settings.json || !std::io::stdin().is_terminal() {
        return Err(refused("folders of another tool are only taken if a person agrees").into());
    }
    out.note("Stop the other tool first. Adopt these? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(true);
    }
    Err(refused("nothing was changed").into())
}
