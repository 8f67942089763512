//! `verify`: compares snapshots with their manifests, and heals what is damaged.

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local};
use executor::{
    Error,
    clock::Clock,
    event::Context,
    state_dir::StateDir,
    store::Store,
    verify::{self, heal, memory, snapshots, snapshots::Found},
};
use schema::{
    Config, Report, RunResult,
    plan::{Action, RepairStep},
    verify::{Depth, Verification},
};

use crate::{
    cli::Verify,
    commands::{apply::Worker, from_cloud, plan::bar},
    exit,
    out::Out,
    render,
    settings::Settings,
    snapshots::find_found,
    take,
};

/// Compares snapshots with their manifests; the exit code says whether they are whole.
pub(crate) fn run(arguments: &Verify, settings: &Settings, out: &Out) -> Result<u8> {
    if arguments.cloud {
        return from_cloud::verify(arguments, settings, out);
    }
    let config = settings.config(out)?;
    let now = Local::now().fixed_offset();
    let store = take::store_present(&config)?;
    let mut all = snapshots::all(&store, *now.offset())?;
    let mut chosen = chosen(arguments, &store, &all, now)?;
    let bar = bar(settings);
    let context = Context {
        observer: &bar,
        stop: &settings.stop,
        clock: Clock::default(),
        threads: settings.threads,
    };
    let mut found = verify::run(&store, &all, &chosen, depth(arguments), context)?;
    remember(settings, out, |state| {
        memory::learn(state, &store, &all, &found)
    });
    let records = match arguments.repair {
        true => heal::records(&all, &config.local.sources, &found),
        false => Vec::new(),
    };
    if !records.is_empty() {
        bar.clear();
        if !settings.json {
            tell(&found, arguments, settings, out);
        }
        let step = RepairStep {
            records,
            ..RepairStep::default()
        };
        let report = repair(step, settings, out, &config, now)?;
        if !settings.json {
            tell_repair(&report, 0, settings, out);
        }
        // What they say is compared with what is there, and the rest can be repaired then.
        let ids: Vec<_> = chosen.iter().map(|at| all[*at].id).collect();
        all = snapshots::all(&store, *now.offset())?;
        chosen = (0..all.len())
            .filter(|at| ids.contains(&all[*at].id))
            .collect();
        found = verify::run(&store, &all, &chosen, depth(arguments), context)?;
        remember(settings, out, |state| {
            memory::learn(state, &store, &all, &found)
        });
        found.rebuilt = Some(report);
    }
    let step = if arguments.repair && !found.damage.is_empty() {
        heal::plan(&store, &all, &config.local.sources, &mut found, context)?
    } else {
        RepairStep::default()
    };
    bar.clear();
    if !settings.json {
        tell(&found, arguments, settings, out);
    }
    if !step.files.is_empty() || !step.folders.is_empty() {
        let report = repair(step, settings, out, &config, now)?;
        remember(settings, out, |state| {
            memory::forget_repaired(state, &store)
        });
        if !settings.json {
            tell_repair(&report, remains(&found), settings, out);
        }
        found.repair = Some(report);
    }
    if settings.json {
        out.data_json(&found);
    }
    Ok(code(&found))
}

fn depth(arguments: &Verify) -> Depth {
    match (arguments.quick, arguments.subset) {
        (true, _) => Depth::Quick,
        (false, Some((part, of))) => Depth::Subset { part, of },
        (false, None) => Depth::Full,
    }
}

/// The places of the chosen snapshots.
fn chosen(
    arguments: &Verify,
    store: &Store,
    all: &[Found],
    now: DateTime<FixedOffset>,
) -> Result<Vec<usize>> {
    let name = match &arguments.snapshot {
        Some(name) => name,
        None if arguments.all || arguments.subset.is_some() => {
            if all.is_empty() {
                return Err(Error::refused("there is no snapshot yet")
                    .hint("`backup apply` makes the first one")
                    .into());
            }
            return Ok((0..all.len()).collect());
        }
        None => "latest",
    };
    snapshots::refuse_unmanaged(store, all, name)?;
    Ok(vec![find_found(name, all, now)?])
}

/// Writes to what this machine remembers; where that cannot be, the result is told all the same.
fn remember(settings: &Settings, out: &Out, write: impl FnOnce(&StateDir) -> executor::Result<()>) {
    if let Err(error) = StateDir::open_or_new(&settings.state_dir).and_then(|state| write(&state)) {
        out.say(&format!("note: this is not remembered: {}", error.message));
    }
}

/// Runs the repair as a small plan.
fn repair(
    step: RepairStep,
    settings: &Settings,
    out: &Out,
    config: &Config,
    now: DateTime<FixedOffset>,
) -> Result<Report> {
    let worker = Worker::new(settings, out, config, now);
    worker.with(|context| {
        let destination = take::destination(settings, config, context)?;
        let inventory = take::inventory_of(settings, now, Some(destination))?;
        let plan = planner::small(config, &inventory, Some(Action::Repair(step)));
        worker.small(&plan, &inventory, context)
    })
}

fn tell(found: &Verification, arguments: &Verify, settings: &Settings, out: &Out) {
    if !settings.quiet {
        let text = render::verify::verification_page(found, arguments.repair, &settings.style);
        out.data(&text);
    } else if found.damage_count > 0 {
        let style = &settings.error_style;
        out.note(&render::verify::verification_page(
            found,
            arguments.repair,
            style,
        ));
    }
}

fn tell_repair(report: &Report, remains: u64, settings: &Settings, out: &Out) {
    let style = &settings.style;
    let text = render::verify::repair_lines(report, remains, style);
    if !settings.quiet {
        out.data(&format!("\n{text}"));
    } else if report.result != RunResult::Success {
        out.note(&text);
    }
}

/// Damages that no repair was planned for.
fn remains(found: &Verification) -> u64 {
    let planned = found.damage.iter().filter(|one| one.not_repaired.is_none());
    found.damage_count - planned.count() as u64
}

fn code(found: &Verification) -> u8 {
    let rebuilt = found.rebuilt.as_ref().map(|report| report.result);
    if let Some(result) = rebuilt.filter(|result| *result != RunResult::Success) {
        return exit::of_result(result);
    }
    match &found.repair {
        Some(report) if report.result != RunResult::Success => exit::of_result(report.result),
        Some(_) if remains(found) == 0 => exit::DONE,
        None if found.damage_count == 0 => exit::DONE,
        _ => exit::INCOMPLETE,
    }
}
