//! Looks on while a run is at work, from its journal and what it notes of its progress. Writes nothing.

use std::time::{Duration, Instant};

use executor::{
    Error,
    error::Result,
    event::{Event, Observer},
    run::systemd,
    state_dir::StateDir,
};
use planner::units;
use schema::{Report, RunResult, StoredPath, escape, journal::JournalEvent};

use super::Engine;

/// Between two looks, unless one takes long.
const LOOK: Duration = Duration::from_millis(250);
/// Between two looks at units: what they say changes every other second.
const UNITS_LOOK: Duration = Duration::from_secs(1);
/// How many times longer than a look takes it is waited for the next.
const PAUSES: u32 = 10;

/// What a run came to that was watched.
#[derive(Debug, Clone)]
pub struct WatchedRun {
    /// Its name; none of one that ended before it had one.
    pub run_id: Option<String>,
    /// Its report; none where it has not ended by itself.
    pub report: Option<Box<Report>>,
}

/// A run that is looked on at.
struct Watched<'a> {
    state: &'a StateDir,
    observer: &'a dyn Observer,
    /// The newest run before anything was looked at that had ended.
    before: Option<String>,
    run_id: Option<String>,
    /// How much of its journal was told.
    told: usize,
}

impl Engine {
    /// Tells `observer` what happens in the run that is at work now, from what it has done until the end.
    /// `None` where none is.
    ///
    /// # Errors
    /// An interruption, of which the run knows nothing; or a state directory that cannot be read.
    pub fn watch_run(&self, observer: &dyn Observer) -> Result<Option<WatchedRun>> {
        let Some(state) = &self.state()? else {
            return Ok(None);
        };
        let newest = state.newest_run()?;
        let ended = newest.filter(|run| state.report_of(run).is_some());
        let mut watched = Watched {
            state,
            observer,
            before: ended,
            run_id: None,
            told: 0,
        };
        // Asked after that, so that a run that ends meanwhile is not taken for one before it.
        if !state.is_busy() {
            return Ok(None);
        }
        loop {
            let began = Instant::now();
            // What it does last is on disk before it lets go of its locks.
            let is_last = !state.is_busy();
            watched.look()?;
            if is_last {
                break;
            }
            self.pause(LOOK.max(began.elapsed() * PAUSES))?;
        }
        let run_id = watched.run_id;
        let report = run_id.as_deref().and_then(|run| state.report_of(run));
        Ok(Some(WatchedRun {
            report: report.map(Box::new),
            run_id,
        }))
    }
}

/// A unit that is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitAtWork {
    /// Its name.
    pub name: String,
    /// What it says that it is at.
    pub says: String,
}

/// How a run ended whose units were watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitsEnd {
    /// Its result, as far as the exit code of its unit says so.
    pub result: Option<RunResult>,
}

impl Engine {
    /// Tells what the units of the machine's runs say until none is at work any more; `None` where none is.
    ///
    /// # Errors
    /// An interruption, of which the run knows nothing.
    pub fn watch_units(&self, told: &dyn Fn(&UnitAtWork)) -> Result<Option<UnitsEnd>> {
        let named = self.config.chains().into_iter();
        let named = named.map(|name| units::service_of(&name));
        let all: Vec<String> = [units::COORDINATOR, units::LOCAL, units::CLOUD]
            .map(str::to_owned)
            .into_iter()
            .chain(named)
            .collect();
        let mut last: Option<UnitAtWork> = None;
        loop {
            // The one that does a part stands behind the one that waits for it.
            let at_work = systemd::units_at_work(&all).pop();
            let Some((name, says)) = at_work else {
                break;
            };
            let now = UnitAtWork { name, says };
            if last.as_ref() != Some(&now) {
                told(&now);
            }
            last = Some(now);
            self.pause(UNITS_LOOK)?;
        }
        Ok(last.map(|_| {
            let code = systemd::exit_code_of(units::COORDINATOR);
            UnitsEnd {
                result: code.and_then(RunResult::of_exit_code),
            }
        }))
    }

    /// Waits, unless it is asked to stop.
    fn pause(&self, pause: Duration) -> Result<()> {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            let goes_on = |error: Error| error.with_hint("the run goes on");
            self.stop.check().map_err(goes_on)?;
            std::thread::sleep(LOOK / 5);
        }
        Ok(())
    }
}

impl Watched<'_> {
    /// Tells what is new.
    fn look(&mut self) -> Result<()> {
        let at_work = match self.state.newest_run()? {
            // It may be one that is continued, before which another one ended that is none of a backup.
            newest if newest == self.before => self.state.unfinished()?.map(|run| run.plan.run_id),
            newest => newest,
        };
        if at_work.is_some() && at_work != self.run_id {
            self.run_id = at_work;
            self.told = 0;
        }
        let mut step = None;
        if let Some(run_id) = self.run_id.clone() {
            // One that cannot be read now is read at the next look.
            let replay = self.state.replay(&run_id).unwrap_or_default();
            self.tell(&run_id, &replay.events);
            step = replay.running().map(str::to_owned);
        }
        let noted = self
            .state
            .noted_progress(self.run_id.as_deref(), step.as_deref());
        if let Some(noted) = noted {
            let path = noted.path.as_ref().and_then(escape::unescape);
            if let Some(path) = path {
                self.observer.at_hand(StoredPath::new(&path));
            }
            self.observer.event(Event::Progress(noted.progress()));
        }
        Ok(())
    }

    fn tell(&mut self, run_id: &str, events: &[JournalEvent]) {
        let ended: Vec<&str> = events.iter().filter_map(ended_step).collect();
        let is_first = self.told == 0;
        let mut continued = events
            .iter()
            .take(self.told)
            .any(|event| matches!(event, JournalEvent::RunStarted { .. }));
        for event in events.iter().skip(self.told) {
            match event {
                JournalEvent::RunStarted { .. } => {
                    self.observer.event(Event::RunStarted { run_id, continued });
                    continued = true;
                }
                // Of what ended before anybody looked nobody knows here how long it took.
                JournalEvent::StepStarted { step, .. } => {
                    if !is_first || !ended.contains(&step.as_str()) {
                        self.observer.event(Event::StepStarted { step });
                    }
                }
                JournalEvent::StepFinished { step, outcome, .. } => {
                    self.observer.event(Event::StepFinished { step, outcome });
                }
                JournalEvent::RunEnded { .. }
                | JournalEvent::HandedOver { .. }
                | JournalEvent::Interrupted { .. }
                | JournalEvent::Settled { .. }
                | JournalEvent::RunAbandoned { .. } => {}
            }
        }
        self.told = self.told.max(events.len());
    }
}

fn ended_step(event: &JournalEvent) -> Option<&str> {
    match event {
        JournalEvent::StepFinished { step, .. } => Some(step),
        _ => None,
    }
}
