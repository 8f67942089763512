//! Events tell what the executor does while it works; a request to stop ends it soon.

use std::{
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use schema::{StoredPath, finding::Finding, journal::Outcome};

pub use schema::output::progress::Phase;

use crate::{
    clock::Clock,
    error::{Error, Result},
    sys::distance::{is_distant, round_trip},
    width::Width,
};

/// Questions that are under way at once to somebody far away: sshfs answers ten at once.
const QUESTIONS: usize = 16;

/// Something that happened during a run.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// The run began, or goes on after an interruption.
    RunStarted {
        /// Its name.
        run_id: &'a str,
        /// Whether an earlier process began it.
        continued: bool,
    },
    /// A step began.
    StepStarted {
        /// Its name.
        step: &'a str,
    },
    /// Work went on.
    Progress(Progress),
    /// Something was noticed.
    Noticed(&'a Finding),
    /// A line that a script printed.
    ScriptLine {
        /// The step.
        step: &'a str,
        /// The line.
        line: &'a str,
    },
    /// A step ended.
    StepFinished {
        /// Its name.
        step: &'a str,
        /// How.
        outcome: &'a Outcome,
    },
}

/// How far a long piece of work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// What the work is.
    pub phase: Phase,
    /// Entries dealt with.
    pub entries: u64,
    /// Of how many, as far as is known; 0 if nothing is.
    pub entries_total: u64,
    /// Bytes dealt with.
    pub bytes: u64,
    /// Of how many, as far as is known; 0 if nothing is.
    pub bytes_total: u64,
}

/// Gets the events of a run.
pub trait Observer: Sync {
    /// Something happened. Must return soon: the work waits for it.
    fn event(&self, event: Event<'_>);

    /// The file that is at hand, told again and again while it is copied. Must return at once.
    fn at_hand(&self, path: &StoredPath) {
        let _ = path;
    }
}

/// An observer that looks away.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// A request to stop soon: the number of the signal that asked, 0 while none did.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl From<Arc<AtomicUsize>> for Stop {
    /// A request that is made by storing a number there.
    fn from(cell: Arc<AtomicUsize>) -> Self {
        Self(cell)
    }
}

impl Stop {
    /// What a signal handler may store its number in.
    #[must_use]
    pub fn signal_cell(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// Asks to stop, because of this signal.
    pub fn ask(&self, signal: usize) {
        self.0.store(signal, Ordering::Relaxed);
    }

    /// The signal that asked, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.signal().is_some()
    }

    /// Ends the work here if it was asked to stop.
    ///
    /// # Errors
    /// [`Error::interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.is_asked() {
            return Err(Error::interrupted());
        }
        Ok(())
    }
}

/// What every piece of work gets: whom to tell, and when to stop.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Gets the events.
    pub observer: &'a dyn Observer,
    /// Asks to stop.
    pub stop: &'a Stop,
    /// Tells the time.
    pub clock: Clock,
    /// Threads to work with; with one, everything happens on the caller's.
    pub threads: usize,
    /// Nobody said how many: where answers come from far away more may wait for them.
    pub widens: bool,
}

impl<'a> Context<'a> {
    /// Tells nobody, by the machine's clock, with one thread.
    #[must_use]
    pub fn silent(stop: &'a Stop) -> Self {
        Self {
            observer: &Silent,
            stop,
            clock: Clock::default(),
            threads: 1,
            widens: false,
        }
    }

    /// How many questions that do not wait for each other are asked at once of the file system of an open file
    /// or folder: of a disk of this machine one, for its answers come at once.
    pub(crate) fn questions_at_once(&self, on: impl AsFd) -> usize {
        match self.widens && is_distant(on) {
            true => QUESTIONS,
            false => 1,
        }
    }

    /// How many threads work on the file system of an open file or folder.
    pub(crate) fn width_on(&self, on: impl AsFd) -> Width {
        if !self.widens {
            return Width::fixed(self.threads);
        }
        match round_trip(on) {
            Some(round_trip) => Width::for_distance(self.threads, round_trip),
            None => Width::fixed(self.threads),
        }
    }
}

/// Threads to work with on a disk where nobody says how many: one for each processor, at most eight,
/// since more would only wait for it.
#[must_use]
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(8))
}
