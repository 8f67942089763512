//! Notes in the state directory how far a run is, for whoever looks on ([`Engine::watch_run`]).
//!
//! It is never in anyone's way: what cannot be noted is not.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use executor::{
    event::{Event, Observer},
    state_dir::{NotedProgress, StateDir},
};
use schema::StoredPath;

use super::Engine;

/// Between two notes, and before the first one: a short run has none.
const EVERY: Duration = Duration::from_millis(500);

/// Notes how far a run is, and tells another observer all that happens.
pub(super) struct ProgressNotes<'a> {
    next: &'a dyn Observer,
    engine: &'a Engine,
    inner: Mutex<Inner>,
}

struct Inner {
    now: NotedProgress,
    noted_at: Instant,
    /// Where it was noted.
    state: Option<StateDir>,
    at_hand: Instant,
}

impl<'a> ProgressNotes<'a> {
    pub(super) fn new(engine: &'a Engine, next: &'a dyn Observer) -> Self {
        let began = Instant::now();
        Self {
            next,
            engine,
            inner: Mutex::new(Inner {
                now: NotedProgress::default(),
                noted_at: began,
                state: None,
                at_hand: began,
            }),
        }
    }

    fn note(&self, event: &Event<'_>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = &mut inner.now;
        match event {
            Event::RunStarted { run_id, .. } => {
                *now = NotedProgress::default();
                now.run_id = Some((*run_id).to_owned());
            }
            Event::StepStarted { step } => {
                now.step = Some((*step).to_owned());
                now.path = None;
            }
            Event::StepFinished { .. } => now.step = None,
            Event::Progress(progress) => {
                now.advance(progress);
                inner.write(self.engine);
            }
            Event::Noticed(_) | Event::ScriptLine { .. } => {}
        }
    }
}

impl Inner {
    fn write(&mut self, engine: &Engine) {
        if self.noted_at.elapsed() < EVERY {
            return;
        }
        self.noted_at = Instant::now();
        if self.state.is_none() {
            self.state = engine.state().ok().flatten();
        }
        if let Some(state) = &self.state {
            state.note_progress(&self.now);
        }
    }
}

impl Observer for ProgressNotes<'_> {
    fn event(&self, event: Event<'_>) {
        self.note(&event);
        self.next.event(event);
    }

    fn at_hand(&self, path: &StoredPath) {
        if let Ok(mut inner) = self.inner.try_lock()
            && inner.at_hand.elapsed() >= EVERY / 2
        {
            inner.at_hand = Instant::now();
            inner.now.path = Some(path.escaped());
        }
        self.next.at_hand(path);
    }
}

impl Drop for ProgressNotes<'_> {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = &inner.state {
            state.forget_progress();
        }
    }
}
