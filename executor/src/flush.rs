//! Putting on the disk what was written, while more is being written.
//!
//! Left to itself the kernel keeps gigabytes in memory and writes them when the work ends and
//! waits: the disk idles first and the processors later, and progress stands at its end for
//! minutes on a slow drive. One thread asks for what is there every [`STEP`] bytes. It makes
//! nothing durable that anybody counts on: who needs that syncs for himself, on a descriptor of
//! his own, and so hears of every fault.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::{
    error::{Error, Result},
    sys::Dir,
    threads::start_scoped_thread,
    watch::{Storing, WHOLE},
};

/// Bytes that are written before the disk is asked to take them: some tenths of a second of a
/// fast disk, some seconds of a slow one.
const STEP: u64 = 128 << 20;

/// What a new file costs besides its content.
const FILE: u64 = 4096;

/// Hears what was written.
#[derive(Default)]
pub(crate) struct Flusher {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes that were written since the disk was asked last.
    waiting: u64,
    ended: bool,
}

/// Lets the thread end, whatever became of the work.
struct End<'a>(&'a Flusher);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.changed.notify_all();
    }
}

impl Flusher {
    /// Does `work`, which tells of what it [`wrote`](Self::wrote) to the file system of `dir`.
    ///
    /// With one thread nothing is flushed, as everything then happens on the caller's.
    ///
    /// # Errors
    /// Those of `work`; else what the disk said of what it was to take, as `describe` tells it.
    pub(crate) fn beside<T>(
        &self,
        dir: &Dir,
        threads: usize,
        describe: impl FnOnce(std::io::Error) -> Error,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        // Without a descriptor of its own it would take the news of a fault from those who sync.
        let own = match dir.again() {
            Ok(own) if threads > 1 => own,
            _ => return work(),
        };
        let mut fault = None;
        let result = std::thread::scope(|scope| {
            let thread = start_scoped_thread(scope, "flush", || self.flush(&own));
            let end = End(self);
            let result = work();
            drop(end);
            // Without one the kernel writes when it likes, and whoever did the work syncs.
            fault = thread.ok().and_then(|thread| thread.join().ok().flatten());
            result
        })?;
        match fault {
            Some(error) => Err(describe(error)),
            None => Ok(result),
        }
    }

    /// So many files with so many bytes in all were written.
    pub(crate) fn wrote(&self, files: u64, bytes: u64) {
        let mut state = self.state();
        state.waiting += bytes + files * FILE;
        if state.waiting >= STEP {
            self.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: flushes until the work has ended; gives the first fault.
    fn flush(&self, dir: &Dir) -> Option<std::io::Error> {
        loop {
            let mut state = self.state();
            while !state.ended && state.waiting < STEP {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.ended {
                // Whoever did the work syncs next.
                return None;
            }
            state.waiting = 0;
            drop(state);
            let storing = Storing::new(dir, WHOLE);
            let synced = dir.sync_file_system();
            drop(storing);
            if let Err(error) = synced {
                return Some(error.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> Dir {
        let found = crate::sys::resolve::resolve(folder.path()).unwrap();
        found.folder().unwrap()
    }

    #[test]
    fn the_work_is_done_and_its_error_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let dir = open(&folder);
        let describe = |error| Error::failed(format!("{error}"));
        for threads in [1, 2] {
            let flusher = Flusher::default();
            let done = flusher.beside(&dir, threads, describe, || {
                (0..5).for_each(|_| flusher.wrote(3, STEP));
                Ok(5)
            });
            assert_eq!(done.unwrap(), 5);
            let flusher = Flusher::default();
            let ended = flusher.beside(&dir, threads, describe, || {
                flusher.wrote(1, STEP);
                Err::<(), _>(Error::failed("enough"))
            });
            assert_eq!(ended.unwrap_err().message, "enough");
        }
    }

    #[test]
    fn a_panic_in_the_work_ends_the_thread() {
        let folder = tempfile::tempdir().unwrap();
        let dir = open(&folder);
        let describe = |error| Error::failed(format!("{error}"));
        let flusher = Flusher::default();
        let work = || flusher.beside(&dir, 2, describe, || -> Result<()> { panic!("found") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    }
}
