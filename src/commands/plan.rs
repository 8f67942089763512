//! `plan`: shows what a run would do, without doing it.

use std::{collections::BTreeMap, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local};
use executor::{clock::Clock, event::Context, state_dir::StateDir};
use planner::Options;
use schema::plan::SavedPlan;

use crate::{
    cli::{At, Deletions, Graph, Only, Plan},
    exit,
    out::Out,
    progress::{Bar, Mode},
    render,
    settings::Settings,
    take,
};

/// Shows the plan of a run that is not to be: `--dry-run` of the verbs that run.
pub(crate) fn instead_of_run(
    only: Option<Only>,
    approve_deletions: bool,
    now: Option<DateTime<FixedOffset>>,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    if let Some(state) = StateDir::open(&settings.state_dir)?
        && let Some(run) = state.unfinished()?.filter(|_| !state.is_busy())
    {
        out.say(&format!(
            "run {} is unfinished: `backup apply` continues it before anything new is planned; \
             what follows is the plan of a new run (--fresh)",
            run.plan.run_id
        ));
    }
    let arguments = Plan {
        dry_run: true,
        out: None,
        only,
        graph: None,
        detailed_exitcode: false,
        deletions: Deletions { approve_deletions },
        at: At { now },
    };
    run(&arguments, settings, out)
}

/// Makes a plan, shows it and saves it if asked to.
pub(crate) fn run(arguments: &Plan, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let now = arguments
        .at
        .now
        .unwrap_or_else(|| Local::now().fixed_offset());
    let bar = bar(settings);
    let context = Context {
        observer: &bar,
        stop: &settings.stop,
        clock: Clock::at(now),
        threads: settings.threads,
    };
    let options = Options {
        approve_deletions: arguments.deletions.approve_deletions,
        scheduled: false,
        only: arguments.only.map(Into::into),
    };
    let (inventory, _) = {
        let none = BTreeMap::new();
        take::inventory_for(
            settings,
            &config,
            now,
            options.only,
            &none,
            (context, false),
        )?
    };
    bar.clear();
    let plan = planner::plan(&config, &inventory, &options);
    match arguments.graph {
        Some(Graph::Dot) => out.data(&planner::graph::dot(&plan)),
        Some(Graph::Mermaid) => out.data(&planner::graph::mermaid(&plan)),
        None if settings.json => out.data_json(&plan),
        None if settings.quiet => {}
        None => out.data(&render::plan::plan_page(&plan, &inventory, &settings.style)),
    }
    let code = exit::of_severity(plan.severity());
    if let Some(path) = &arguments.out {
        if code != exit::DONE {
            out.note("error: a plan that is refused is not saved");
            return Ok(code);
        }
        let saved = SavedPlan { config, plan };
        save(path, &saved)?;
        out.say(&format!(
            "saved; run exactly this plan with: backup apply {}",
            path.display()
        ));
        return Ok(detailed(arguments, &saved.plan, code));
    }
    Ok(detailed(arguments, &plan, code))
}

fn detailed(arguments: &Plan, plan: &schema::Plan, code: u8) -> u8 {
    if arguments.detailed_exitcode && code == exit::DONE && plan.does_something() {
        exit::CHANGES
    } else {
        code
    }
}

/// How progress is shown by a verb that is about something else.
pub(crate) fn bar(settings: &Settings) -> Bar {
    use std::io::IsTerminal as _;
    let mode = if settings.quiet {
        Mode::Quiet
    } else if settings.json {
        Mode::Json
    } else if std::io::stderr().is_terminal() {
        Mode::Terminal
    } else {
        Mode::Lines
    };
    Bar::new(mode, settings.verbose, settings.error_style)
}

/// Saves a plan for its owner only: it names what is backed up.
fn save(path: &Path, saved: &SavedPlan) -> Result<()> {
    let named = path.as_os_str().as_encoded_bytes();
    let io = |error: std::io::Error| executor::Error::io("save the plan as", named, error);
    let mut json = serde_json::to_vec_pretty(saved)?;
    json.push(b'\n');
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    file.write_all(&json)
        .and_then(|()| file.sync_all())
        .map_err(io)?;
    Ok(())
}
