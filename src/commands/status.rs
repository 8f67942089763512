//! `status`: how old and how healthy the backup is.

use anyhow::Result;
use chrono::{Local, TimeDelta};
use executor::{
    clock::Clock,
    cloud::memory,
    event::{Context, Silent},
    state_dir::StateDir,
};
use planner::schedule;

use crate::{
    cli::At,
    exit,
    out::Out,
    render::status::{StatusView, Unfinished, render},
    settings::{Settings, host_name},
    take,
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
    let (last, unfinished, busy) = match &state {
        Some(state) => (state.last_report()?, state.unfinished()?, state.is_busy()),
        None => (None, None, false),
    };
    let host = config.hostname.clone().unwrap_or_else(host_name);
    let mut view = StatusView::new(
        &host,
        &config,
        destination.as_ref(),
        last,
        unfinished.map(|run| Unfinished {
            interruptions: run.all(),
            run_id: run.plan.run_id,
            step: run.step,
        }),
        busy,
        now,
    );
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
    let mut findings = Vec::new();
    if destination.is_some() {
        let inventory = take::inventory_of(settings, now, destination)?;
        findings = planner::small(&config, &inventory, None).findings;
        findings.extend(planner::damage(&inventory));
    }
    if let Some(state) = state.as_ref().filter(|_| config.cloud.enable) {
        let remote = planner::cloud_remote(&config.cloud, &host);
        let memory = memory::recall(state, &remote).unwrap_or_default();
        let copies = state.reports(|_| true);
        let ended = copies.unwrap_or_default();
        let ended = ended.iter().map(schema::health::EndedRun::of);
        let last = ended.into_iter().find(|run| run.cloud.is_some());
        findings.extend(planner::cloud_standing(&memory, last.as_slice()));
    }
    view = view.noticed(findings);
    let health = state.as_ref().and_then(StateDir::health);
    view = view.checked(&config, health.as_ref());
    if settings.json {
        out.data_json(&view);
    } else {
        out.data(&render(&view, &settings.style));
    }
    Ok(exit::DONE)
}
