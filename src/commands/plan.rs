//! `plan`: shows what a run would do, without doing it.

use anyhow::Result;
use backup::{
    Engine,
    engine::{PlanRequest, PlannedRun, Wanted},
};
use chrono::{DateTime, FixedOffset};
use executor::trust::NewFile;
use planner::copies::copies_lines;
use schema::{config::DestinationName, plan::SavedPlan};

use crate::{
    cli::{At, Deletions, Graph, Plan},
    commands::only,
    exit,
    out::Out,
    render,
    screen::Screen,
    settings::Settings,
    style::printable,
};

/// Shows the plan of a run that is not to be: `--dry-run` of the verbs that run.
pub(crate) fn show_plan_instead(
    only: Vec<DestinationName>,
    approve_deletions: bool,
    now: Option<DateTime<FixedOffset>>,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    let engine = settings.open_engine_at(now, out)?;
    if let Some(run_id) = engine.unfinished_run()? {
        out.print_unless_quiet(&render::hint::pasted(&format!(
            "run {run_id} is unfinished: `backup apply` continues it before anything new is planned; \
             what follows is the plan of a new run (--fresh)"
        )));
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
    plan_and_show(&arguments, &engine, settings, out)
}

/// Makes a plan, shows it and saves it if asked to.
pub(crate) fn show_plan(arguments: &Plan, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    plan_and_show(arguments, &engine, settings, out)
}

/// Plans, shows the plan and saves it if asked to.
fn plan_and_show(arguments: &Plan, engine: &Engine, settings: &Settings, out: &Out) -> Result<u8> {
    // Before the sources are walked for it.
    let place = arguments.out.as_deref();
    let place = place
        .map(|path| NewFile::at(path, "the plan"))
        .transpose()?;
    only::check_names(&arguments.only, engine.config())?;
    let request = PlanRequest {
        approve_deletions: arguments.deletions.approve_deletions,
        wanted: Wanted::only(arguments.only.clone()),
    };
    let screen = Screen::new(settings, out);
    let planned = engine.plan(&request, &screen);
    screen.clear();
    let PlannedRun { plan, inventory } = planned?;
    match arguments.graph {
        Some(Graph::Dot) => out.print_data(&planner::graph::dot(&plan)),
        Some(Graph::Mermaid) => out.print_data(&planner::graph::mermaid(&plan)),
        None if settings.json => out.print_json(&plan),
        None if settings.quiet => {}
        None => {
            let (whole, style) = (settings.verbose, &settings.style);
            out.print_data(&render::plan::backup_plan(&plan, &inventory, whole, style));
            for line in copies(engine) {
                out.print_data(&style.dim(printable(&line)));
            }
        }
    }
    let code = exit::code_of_plan(&plan);
    if let (Some(path), Some(place)) = (&arguments.out, place) {
        if code != exit::DONE && !plan.serves_any() {
            out.print_message("error: a plan that is refused is not saved");
            return Ok(code);
        }
        let saved = SavedPlan {
            config: engine.config().clone(),
            plan,
        };
        save_plan(place, &saved)?;
        let path = schema::shell::word(path.as_os_str().as_encoded_bytes());
        out.print_unless_quiet(&format!(
            "saved; run exactly this plan with: {}",
            render::hint::command(&format!("backup apply {path}"))
        ));
        return Ok(detailed_exit_code(arguments, &saved.plan, code));
    }
    Ok(detailed_exit_code(arguments, &plan, code))
}

/// How many copies there will be, where there is more than one place for them or somebody counts.
fn copies(engine: &Engine) -> Vec<String> {
    let config = engine.config();
    let several = !config.chains().is_empty() || !config.policy.is_none();
    if !several {
        return Vec::new();
    }
    copies_lines(&engine.count_copies(), engine.now())
}

fn detailed_exit_code(arguments: &Plan, plan: &schema::Plan, code: u8) -> u8 {
    if arguments.detailed_exitcode && code == exit::DONE && plan.does_something() {
        exit::CHANGES
    } else {
        code
    }
}

/// Saves a plan for its owner only: it names what is backed up, and decides what is run.
fn save_plan(place: NewFile, saved: &SavedPlan) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(saved)?;
    json.push(b'\n');
    place.write(&json)?;
    Ok(())
}
