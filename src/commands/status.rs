//! `status`: how old and how healthy the backup is.

use anyhow::Result;
use chrono::{Local, TimeDelta};
use executor::{
    clock::Clock,
    cloud::memory,
    event::{Context, Silent},
    state_dir::StateDir,
};
use planner::{
    schedule,
    standing::{self, Known},
};

use crate::{
    cli::At,
    exit,
    out::Out,
    render::status::{StatusView, Unfinished, render},
    settings::{Settings, host_name},
    take, timer,
};

/// Shows the state of the backup. An absent destination is part of the answer, not an error.
pub(crate) fn run(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let now = arguments.now.unwrap_or_else(|| Local::now().fixed_offset());
    let context = Context {
        observer: &Silent,
        stop: &settings.stop,
        clock: Clock::at(now),
        threads: settings.threads,
    };
    let destination = config
        .local
        .enable
        .then(|| take::destination(settings, &config, context))
        .transpose()?;
    let state = StateDir::open(&settings.state_dir)?;
    let (runs, unfinished, busy) = match &state {
        Some(state) => (state.ended_runs()?, state.unfinished()?, state.is_busy()),
        None => (Vec::new(), None, false),
    };
    let host = config.hostname.clone().unwrap_or_else(host_name);
    let inventory = take::inventory_of(settings, now, destination)?;
    let known = Known {
        destination: inventory.destination.as_ref(),
        is_ours: standing::is_ours(&config, &inventory),
        has_others: inventory.known_destinations.len() > 1,
        runs: &runs,
    };
    let unfinished = unfinished.map(|run| Unfinished {
        interruptions: run.all(),
        run_id: run.plan.run_id,
        step: run.step,
    });
    let mut view = StatusView::new(&host, &config, &known, unfinished, busy, now);
    if let Some(state) = state.as_ref().filter(|_| config.cloud.enable) {
        let remote = planner::cloud_remote(&config.cloud, &host);
        view = view.in_the_cloud(&memory::recall(state, &remote).unwrap_or_default());
    }
    let last_good = view
        .last_good
        .as_ref()
        .map(|good| now - TimeDelta::seconds(good.age_seconds));
    let late = schedule::late_since(&config, last_good, now);
    view = view.schedule(schedule::next_run(&config, now), late);
    if config.schedule.enable {
        view = view.started_by(timer::is_active());
    }
    let mut findings = Vec::new();
    if inventory.destination.is_some() {
        findings = planner::small(&config, &inventory, None).findings;
        findings.extend(planner::damage(&config, &inventory));
        // What the last run that looked at the sources noticed, and what holds until it is changed.
        let reports = state.as_ref().map(|state| state.standing()).transpose()?;
        findings.extend(reports.unwrap_or_default());
    }
    if let Some(state) = state.as_ref().filter(|_| config.cloud.enable) {
        let remote = planner::cloud_remote(&config.cloud, &host);
        let memory = memory::recall(state, &remote).unwrap_or_default();
        findings.extend(planner::cloud_standing(&memory, &runs));
    }
    view = view.noticed(findings);
    let health = state.as_ref().and_then(StateDir::health);
    view = view.checked(&config, health.as_ref(), &known);
    if settings.json {
        out.data_json(&view);
    } else {
        out.data(&render(&view, &settings.style));
    }
    Ok(exit::DONE)
}
