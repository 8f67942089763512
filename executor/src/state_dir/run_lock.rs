//! The locks of a run.
//!
//! A run has two: its process holds `lock` from begin to end, and `work.lock` except while another
//! process does a part of the run. So a part goes on undisturbed when the run's own process dies,
//! and nobody takes the run over before that part has ended.

use std::{cell::RefCell, time::Duration};

use super::{
    files::{LOCK, WORK_LOCK},
    open::StateDir,
};
use crate::{
    error::{ErrorKind, Result},
    event::Stop,
    lock::Lock,
};

/// The locks of a run.
#[derive(Debug)]
pub struct RunLock {
    _owner: Lock,
    work: RefCell<Option<Lock>>,
}

/// How often a lock that is held for a moment is asked for again.
const LOOK: Duration = Duration::from_millis(100);

impl RunLock {
    /// Lets another process do a part of the run while `wait` lasts, and takes over again when
    /// that process is gone.
    ///
    /// # Errors
    /// Those of `wait`, an interruption, or a lock that cannot be taken again.
    pub(crate) fn lend<T>(
        &self,
        state: &StateDir,
        stop: &Stop,
        wait: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.work.replace(None);
        let waited = wait();
        let work = loop {
            match state.work_lock() {
                Err(error) if error.kind == ErrorKind::Busy => {
                    stop.check()?;
                    std::thread::sleep(LOOK);
                }
                taken => break taken?,
            }
        };
        self.work.replace(Some(work));
        waited
    }
}

impl StateDir {
    /// Takes the locks, so that no other run works from this state directory.
    ///
    /// # Errors
    /// As [`Lock::take`]; also while a part of a run whose own process has died is still at work.
    pub fn lock(&self) -> Result<RunLock> {
        let owner = Lock::take(&self.dir, LOCK, &self.named(LOCK))?;
        let work = self.work_lock()?;
        Ok(RunLock {
            _owner: owner,
            work: RefCell::new(Some(work)),
        })
    }

    /// Takes the lock of whoever writes to a run's journal: the run's own process, except while it
    /// waits for a part.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn work_lock(&self) -> Result<Lock> {
        Lock::take(&self.dir, WORK_LOCK, &self.named(WORK_LOCK))
    }

    /// Whether a process owns a run here, at work itself or waiting for a part.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        Lock::is_held(&self.dir, LOCK)
    }

    /// Whether a run works from this state directory now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.is_owned() || Lock::is_held(&self.dir, WORK_LOCK)
    }
}
