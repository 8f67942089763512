//! `simulate`: the retention policy over time.

use anyhow::Result;
use chrono::{Local, NaiveDateTime, TimeDelta};
use planner::{
    calendar::schedule_expression,
    retention::{Policy, simulate::simulate},
};

use crate::{
    cli::Simulate,
    exit::{self, invalid},
    out::Out,
    render,
    settings::Settings,
};

/// Most runs that are simulated.
const MAX_RUNS: usize = 20_000;

/// Shows which snapshots exist after each simulated run.
pub(crate) fn run(arguments: &Simulate, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
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
            invalid(format!("--schedule {frequency}: {fault}"), hint)
        })?;
    let end = start + TimeDelta::days(arguments.days.into());
    let mut runs: Vec<NaiveDateTime> = Vec::new();
    let mut at = start - TimeDelta::microseconds(1);
    while let Some(next) = calendar.next_after(at).filter(|next| *next < end) {
        if runs.len() == MAX_RUNS {
            return Err(invalid(
                format!("--schedule {frequency}: more than {MAX_RUNS} runs"),
                "simulate fewer days",
            ));
        }
        runs.push(next);
        at = next;
    }
    if runs.is_empty() {
        return Err(invalid(
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
        out.data_json(&simulation);
    } else {
        out.data(&render::simulate::simulation_page(
            &simulation.0,
            &policy,
            &settings.style,
        ));
    }
    Ok(exit::DONE)
}
