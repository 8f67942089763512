//! `simulate`: the retention policy over time.

use anyhow::Result;
use chrono::Local;
use planner::{
    calendar::schedule_expression,
    retention::{Policy, simulate::simulate},
    schedule::elapses_within,
};

use crate::{
    cli::Simulate,
    exit::{self, invalid_input},
    out::Out,
    render,
    settings::Settings,
};

/// Most runs that are simulated.
const MAX_RUNS: usize = 20_000;

/// Shows which snapshots exist after each simulated run.
pub(crate) fn simulate_retention(
    arguments: &Simulate,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    if engine.is_of_mirror() {
        return Err(invalid_input(
            "a mirror keeps no snapshots by rules",
            "name a disk, or a remote with history",
        ));
    }
    let config = engine.config();
    let start = arguments
        .at
        .now
        .unwrap_or_else(|| Local::now().fixed_offset())
        .naive_local();
    let frequency = arguments
        .schedule
        .as_deref()
        .unwrap_or(config.schedule.frequency.as_str());
    let calendar =
        schedule_expression(frequency, config.schedule.time_of_day.time()).map_err(|fault| {
            let hint = "see systemd.time(7), or use daily or weekly";
            invalid_input(format!("--schedule {frequency}: {fault}"), hint)
        })?;
    let runs = elapses_within(&calendar, start, arguments.days, MAX_RUNS);
    let runs = runs.map_err(|_| {
        invalid_input(
            format!("--schedule {frequency}: more than {MAX_RUNS} runs"),
            "simulate fewer days",
        )
    })?;
    if runs.is_empty() {
        return Err(invalid_input(
            format!(
                "--schedule {frequency}: never elapses in {} days",
                arguments.days
            ),
            "see systemd.time(7), or use daily or weekly",
        ));
    }
    let policy = Policy::of(&config.local);
    let simulation = simulate(&policy, runs.into_iter());
    if settings.json {
        out.print_json(&simulation);
    } else {
        out.print_data(&render::simulate::simulation_page(
            &simulation.0,
            &policy,
            &settings.style,
        ));
    }
    Ok(exit::DONE)
}
