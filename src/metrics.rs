//! Writing the metrics after a run or a health check. Whatever goes wrong here is a warning.

use chrono::Local;
use executor::{Error, event::Context, metrics::replace, state_dir::StateDir};
use planner::standing;
use schema::Config;

use crate::{
    out::Out,
    render::metrics::{Known, metrics},
    settings::Settings,
    take,
};

/// Writes `monitoring.prometheusFile`, where one is configured.
pub(crate) fn write(settings: &Settings, config: &Config, out: &Out) {
    let Some(path) = &config.monitoring.prometheus_file else {
        return;
    };
    if let Err(error) = text(settings, config).and_then(|text| replace(path.as_path(), &text)) {
        let hint = error
            .hint
            .map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
        out.say(&format!(
            "warning: no metrics are written: {}{hint}",
            error.message
        ));
    }
}

fn text(settings: &Settings, config: &Config) -> executor::Result<String> {
    let state = StateDir::open(&settings.state_dir)?;
    // A run that was interrupted has asked us to end, too; this is short.
    let stop = executor::event::Stop::default();
    let context = Context::silent(&stop);
    let enabled = config.local.enable;
    let destination = enabled.then(|| take::destination(settings, config, context));
    let destination = destination.transpose()?;
    let (mut runs, mut last, mut health) = (Vec::new(), None, None);
    if let Some(state) = &state {
        runs = state.ended_runs()?;
        last = state.last_report()?;
        health = state.health();
    }
    // Times in records are of the clock that a run had, which may be ahead of ours.
    let now = Local::now().fixed_offset();
    let inventory = take::inventory_of(settings, now, destination)
        .map_err(|error| Error::failed(format!("{error:#}")))?;
    let found = inventory.destination.as_ref();
    let sources = standing::Known {
        destination: found,
        is_ours: standing::is_ours(config, &inventory),
        has_others: inventory.known_destinations.len() > 1,
        runs: &runs,
    };
    Ok(metrics(&Known {
        host: &take::host_folder(config),
        now,
        destination: found,
        ready: found.is_some_and(|found| standing::is_ready(config, found)),
        good: standing::last_good(config, &sources, now),
        runs: &runs,
        last: last.as_ref(),
        health: health.as_ref(),
    }))
}
