//! One call of a verb: at which time it happens, and who is told of it.

use chrono::{DateTime, FixedOffset};
use executor::{
    clock::Clock,
    error::{Result, system_reason},
    event::{Context, default_threads},
    state_dir::{RunLock, StateDir},
};

use super::{
    Engine, Notice, Observer,
    logs::{LogKind, Logs},
    progress_notes::ProgressNotes,
};

/// One call of a verb.
#[derive(Clone, Copy)]
pub(super) struct Operation<'a> {
    /// Whose verb it is.
    pub(super) engine: &'a Engine,
    /// The time of the call.
    pub(super) now: DateTime<FixedOffset>,
    /// Is told what concerns the verb as a whole.
    pub(super) observer: &'a dyn Observer,
    /// What each piece of work gets.
    pub(super) context: Context<'a>,
}

impl Operation<'_> {
    /// Tells the caller something.
    pub(super) fn notice(&self, notice: &Notice<'_>) {
        self.observer.notice(notice);
    }

    /// Opens the state directory and takes its lock, then works.
    pub(super) fn with_lock<T>(
        &self,
        work: impl FnOnce(&StateDir, &RunLock) -> Result<T>,
    ) -> Result<T> {
        let state = self.engine.state_or_new()?;
        let lock = state.lock()?;
        work(&state, &lock)
    }
}

impl Engine {
    /// An operation that is in no log: it only reads.
    pub(super) fn unlogged<'a>(&'a self, observer: &'a dyn Observer) -> Operation<'a> {
        let now = self.now();
        Operation {
            engine: self,
            now,
            observer,
            context: Context {
                observer,
                stop: &self.stop,
                clock: Clock::at(now),
                threads: self.threads.unwrap_or_else(default_threads),
                widens: self.threads.is_none(),
            },
        }
    }

    /// Does an operation that is logged.
    pub(super) fn logged<T>(
        &self,
        kind: LogKind,
        observer: &dyn Observer,
        work: impl FnOnce(&Operation<'_>) -> Result<T>,
    ) -> Result<T> {
        let notes = ProgressNotes::new(self, observer);
        let unlogged = self.unlogged(observer);
        let unlogged = match kind {
            LogKind::Backups | LogKind::Runs => Operation {
                context: Context {
                    observer: &notes,
                    ..unlogged.context
                },
                ..unlogged
            },
            LogKind::HealthCheck | LogKind::Drill => unlogged,
        };
        let Some(folder) = self.log_dir() else {
            return work(&unlogged);
        };
        let not_logged = |error: std::io::Error| {
            let because = &system_reason(&error);
            observer.notice(&Notice::NotLogged { folder, because });
        };
        let (logs, error) = Logs::open(
            folder,
            kind,
            &self.config,
            unlogged.context.clock,
            unlogged.context.observer,
        );
        error.into_iter().for_each(not_logged);
        let in_journal = logs.is_in_journal();
        observer.notice(&Notice::LogOpened { in_journal });
        let result = work(&Operation {
            context: Context {
                observer: &logs,
                ..unlogged.context
            },
            ..unlogged
        });
        if let Err(error) = &result {
            logs.write_error(error);
        }
        observer.notice(&Notice::LogClosed);
        logs.fault().into_iter().for_each(not_logged);
        result
    }
}
