//! `status`: how old and how healthy the backup is.

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local, TimeDelta};
use executor::{
    clock::Clock,
    event::{Context, Silent},
    state_dir::StateDir,
};
use planner::calendar::schedule_expression;
use schema::Config;

use crate::{
    cli::At,
    exit,
    out::Out,
    render::status::{StatusView, render},
    settings::{Settings, host_name},
    take,
};

type Time = DateTime<FixedOffset>;

/// Shows the state of the backup. An absent destination is part of the answer, not an error.
pub(crate) fn run(arguments: &At, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let now = arguments.now.unwrap_or_else(|| Local::now().fixed_offset());
    let context = Context {
        observer: &Silent,
        stop: &settings.stop,
        clock: Clock::at(now),
    };
    let destination = config
        .local
        .enable
        .then(|| take::destination(&config, context))
        .transpose()?;
    let state = StateDir::open(&settings.state_dir)?;
    let (last, unfinished, busy) = match &state {
        Some(state) => (state.last_report()?, state.unfinished()?, state.is_busy()),
        None => (None, None, false),
    };
    let step = unfinished.as_ref().and_then(|run| run.step.clone());
    let host = config.hostname.clone().unwrap_or_else(host_name);
    let mut view = StatusView::new(
        &host,
        &config,
        destination.as_ref(),
        last,
        unfinished.map(|run| run.plan.run_id),
        busy,
        now,
    );
    if let Some(step) = step {
        view = view.unfinished_in(&step);
    }
    let last_good = view
        .last_good
        .as_ref()
        .map(|good| now - TimeDelta::seconds(good.age_seconds));
    let (next, late) = due(&config, last_good, now);
    view = view.schedule(next, late);
    if destination.is_some() {
        let inventory = take::inventory_of(settings, now, destination)?;
        view = view.noticed(planner::small(&config, &inventory, None).findings);
    }
    if settings.json {
        out.data_json(&view);
    } else {
        out.data(&render(&view, &settings.style));
    }
    Ok(exit::DONE)
}

/// When the next run is due, and since when one is overdue: the last good backup is older than
/// `monitoring.maxAge`, or than twice the schedule's interval.
fn due(config: &Config, last_good: Option<Time>, now: Time) -> (Option<Time>, Option<Time>) {
    let schedule = &config.schedule;
    let time = schedule.time_of_day.time();
    let Some(calendar) = schedule
        .enable
        .then(|| schedule_expression(schedule.frequency.as_str(), time).ok())
        .flatten()
    else {
        return (None, None);
    };
    let wall = now.naive_local();
    let next = calendar
        .next_after(wall)
        .and_then(|next| next.and_local_timezone(*now.offset()).single());
    let limit = match &config.monitoring.max_age {
        Some(age) => TimeDelta::from_std(age.as_duration()).ok(),
        None => calendar
            .interval_hint(wall)
            .and_then(|seconds| i64::try_from(seconds).ok())
            .and_then(|seconds| TimeDelta::try_seconds(seconds.saturating_mul(2))),
    };
    let late = last_good
        .zip(limit)
        .and_then(|(good, limit)| good.checked_add_signed(limit))
        .filter(|late| *late < now);
    (next, late)
}
