//! Writing the metrics after a run or a health check. Whatever goes wrong here is a warning.

mod text;

use executor::{error::Result, event::Context, metrics::replace_metrics_file};
use planner::standing;

use super::{Engine, Notice, destination::RecordReading, operation::Operation};

use text::{MetricsFacts, metrics_text};

impl Operation<'_> {
    /// Writes `monitoring.prometheusFile`, where one is configured.
    pub(super) fn write_metrics(&self) {
        let Some(path) = &self.engine.config.monitoring.prometheus_file else {
            return;
        };
        let written = self
            .engine
            .collect_metrics()
            .and_then(|text| replace_metrics_file(path.as_path(), &text));
        if let Err(error) = &written {
            self.notice(&Notice::NoMetrics { error });
        }
    }
}

impl Engine {
    fn collect_metrics(&self) -> Result<String> {
        let config = &self.config;
        let state = self.state()?;
        // A run that was interrupted has asked us to end, too; this is short. And times in records
        // are of the clock that a run had, which may be ahead of ours.
        let stop = executor::event::Stop::default();
        let engine = self.clone().with_stop(stop).with_supposed_time(None);
        let operation = engine.unlogged(&executor::event::Silent);
        let context = Context {
            threads: 1,
            widens: false,
            ..operation.context
        };
        let enabled = config.local.enable;
        let destination =
            enabled.then(|| engine.look_at_destination(RecordReading::Changed, context));
        let destination = destination.transpose()?;
        let (mut runs, mut last, mut health, mut drill) = (Vec::new(), None, None, None);
        if let Some(state) = &state {
            runs = state.ended_runs()?;
            last = state.last_report()?;
            health = state.health();
            drill = state.drill();
        }
        let inventory = operation.inventory_of(destination)?;
        let found = inventory.destination.as_ref();
        let sources = standing::Known {
            destination: found,
            is_ours: standing::is_ours(config, &inventory),
            has_others: inventory.known_destinations.len() > 1,
            runs: &runs,
        };
        Ok(metrics_text(&MetricsFacts {
            host: &self.host_folder(),
            now: operation.now,
            destination: found,
            ready: found.is_some_and(|found| standing::is_ready(config, found)),
            good: standing::last_good(config, &sources, operation.now),
            runs: &runs,
            last: last.as_ref(),
            health: health.as_ref(),
            drill: drill.as_ref(),
        }))
    }
}
