//! Writing the metrics after a run or a health check. Whatever goes wrong here is a warning.

mod exposition;
mod text;

use chrono::{DateTime, FixedOffset};
use executor::{error::Result, event::Context, metrics::replace_metrics_file};
use planner::standing;
use schema::{
    Inventory, Report,
    drill::Drill,
    health::{EndedRun, Health, ReadBack},
};

use self::text::{DestinationFacts, MetricsFacts, metrics_text};
use super::{Engine, Notice, destination::RecordReading, operation::Operation, views::name_of};

impl Operation<'_> {
    /// Writes `monitoring.prometheusFile`, where one is configured.
    pub(super) fn write_metrics(&self) {
        let Some(path) = &self.engine.config.monitoring.prometheus_file else {
            return;
        };
        // Whoever sees one of several does not know what the file says of the others.
        if self.engine.of.is_some() {
            return;
        }
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
        // A run that was interrupted has asked us to end, too; this is short. And times in records
        // are of the clock that a run had, which may be ahead of ours.
        let stop = executor::event::Stop::default();
        let engine = self.clone().with_stop(stop).with_supposed_time(None);
        let last = match self.state()? {
            Some(state) => state.last_whole_report()?,
            None => None,
        };
        let named = engine.named();
        let base = (engine.has_base() || named.is_empty()).then_some(None);
        let mut views = Vec::new();
        for of in base.into_iter().chain(named.iter().map(Some)) {
            let view = engine.view_of(of)?.learn_facts(!named.is_empty())?;
            views.push((name_of(of), view));
        }
        let now = engine.now();
        let label = |name| (!named.is_empty()).then_some(name);
        let views = views.iter().map(|(name, view)| {
            let facts = view.facts(now);
            (label(name.as_str()), facts)
        });
        Ok(metrics_text(&MetricsFacts {
            host: &self.host_folder(),
            now,
            last: last.as_ref(),
            views: views.collect(),
        }))
    }

    /// What is known of the only destination, or of the one whose view this is. Of several one that cannot be
    /// looked at is not there.
    fn learn_facts(self, is_of_several: bool) -> Result<Known> {
        let operation = self.unlogged(&executor::event::Silent);
        let context = Context {
            threads: 1,
            widens: false,
            ..operation.context
        };
        let enabled = self.config.local.enable;
        let look = || self.look_at_destination(RecordReading::Changed, context);
        let destination = match enabled.then(look).transpose() {
            Err(error) if is_of_several && error.kind.step_status().is_some() => None,
            found => found?,
        };
        let (mut runs, mut last, mut health, mut drill) = (Vec::new(), None, None, None);
        let mut read_back = ReadBack::default();
        if let Some(state) = &self.state()? {
            read_back = state.read_back(&self.config, &self.cloud_remote());
            runs = state.ended_runs()?;
            last = state.last_report()?;
            health = state.health();
            drill = state.drill();
        }
        let inventory = operation.inventory_of(destination)?;
        Ok(Known {
            engine: self,
            inventory,
            runs,
            last,
            health,
            drill,
            read_back,
        })
    }
}

/// What is known of one destination.
struct Known {
    engine: Engine,
    inventory: Inventory,
    runs: Vec<EndedRun>,
    last: Option<Report>,
    health: Option<Health>,
    drill: Option<Drill>,
    read_back: ReadBack,
}

impl Known {
    fn facts(&self, now: DateTime<FixedOffset>) -> DestinationFacts<'_> {
        let config = &self.engine.config;
        let found = self.inventory.destination.as_ref();
        let sources = standing::Known {
            destination: found,
            is_ours: standing::is_ours(config, &self.inventory),
            has_others: self.inventory.known_destinations.len() > 1,
            runs: &self.runs,
        };
        let local = &config.local;
        DestinationFacts {
            path: local.enable.then(|| local.mount_point.as_str()),
            destination: found,
            ready: found.is_some_and(|found| standing::is_ready(config, found)),
            good: standing::last_good(config, &sources, now),
            runs: &self.runs,
            last: self.last.as_ref(),
            health: self.health.as_ref(),
            drill: self.drill.as_ref(),
            read_back: self.read_back,
        }
    }
}
