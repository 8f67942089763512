//! `status`: how old and how healthy the backup is.

use anyhow::Result;
use chrono::Local;
use executor::{
    clock::Clock,
    cloud::memory,
    event::{Context, Silent},
    state_dir::StateDir,
};
use planner::{
    standing::{self, Known},
    status::StatusFacts,
};
use schema::output::status::UnfinishedRun;

use crate::{
    cli::At,
    exit,
    out::Out,
    render::status::status_page,
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
    let unfinished = unfinished.map(|run| UnfinishedRun {
        interruptions: run.all(),
        run_id: run.plan.run_id,
        step: run.step,
    });
    let mut findings = Vec::new();
    if inventory.destination.is_some() {
        findings = planner::small(&config, &inventory, None).findings;
        findings.extend(planner::damage(&config, &inventory));
        // What the last run that looked at the sources noticed, and what holds until it is changed.
        let reports = state.as_ref().map(|state| state.standing()).transpose()?;
        findings.extend(reports.unwrap_or_default());
    }
    let remote = planner::cloud_remote(&config.cloud, &host);
    let copies = state.as_ref().filter(|_| config.cloud.enable);
    let cloud = copies.map(|state| memory::recall(state, &remote).unwrap_or_default());
    if let Some(memory) = &cloud {
        findings.extend(planner::cloud_standing(memory, &runs));
    }
    let health = state.as_ref().and_then(StateDir::health);
    let facts = StatusFacts {
        host: &host,
        now,
        known,
        unfinished,
        running: busy,
        timer_is_active: config.schedule.enable && timer::is_active(),
        cloud: cloud.as_ref(),
        health: health.as_ref(),
        findings,
    };
    let status = planner::status::status(&config, facts);
    if settings.json {
        out.data_json(&status);
    } else {
        out.data(&status_page(&status, &settings.style));
    }
    Ok(exit::DONE)
}
