//! What fails while the file system is mounted: everything from the Nth change on, or syncing.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex},
};

use fuser::Errno;

use super::reads::Reads;

/// What fails.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// What is read.
    pub(crate) reads: Reads,
    state: Mutex<State>,
    answers: Condvar,
}

#[derive(Debug, Default)]
struct State {
    changes: u64,
    after: Option<(u64, Errno)>,
    once: Option<(u64, Errno)>,
    syncing: Option<Errno>,
    /// So many more syncs of what stands in unfinished snapshots succeed before one fails.
    content: Option<(u64, Errno)>,
    /// After so many more calls none is answered any more.
    silent_after: Option<u64>,
    /// How many calls wait for an answer.
    unanswered: u64,
    /// Files that were written, by handle.
    written: HashMap<u64, PathBuf>,
    /// Files that were closed without a sync after the last write.
    unsynced: Vec<PathBuf>,
    /// How often an owner was to be set.
    owners: u64,
}

impl Faults {
    /// After this many more changes every other one fails.
    pub(crate) fn fail_after(&self, changes: u64, error: Errno) {
        let mut state = self.state.lock().unwrap();
        state.after = Some((state.changes + changes, error));
    }

    /// After this many more changes one fails.
    pub(crate) fn fail_once_after(&self, changes: u64, error: Errno) {
        let mut state = self.state.lock().unwrap();
        state.once = Some((state.changes + changes, error));
    }

    pub(super) fn asked_for_owner(&self) {
        self.state.lock().unwrap().owners += 1;
    }

    /// How often an owner was to be set since the last look.
    pub(crate) fn take_owners(&self) -> u64 {
        std::mem::take(&mut self.state.lock().unwrap().owners)
    }

    /// Every sync fails.
    pub(crate) fn fail_syncing(&self, error: Errno) {
        self.state.lock().unwrap().syncing = Some(error);
    }

    /// After the content of so many more files of unfinished snapshots was synced, that of one is lost, as
    /// its sync says: once, since a server says it once.
    pub(crate) fn lose_content_after(&self, files: u64, error: Errno) {
        self.state.lock().unwrap().content = Some((files, error));
    }

    /// After this many more calls of any kind none is answered any more: each has been taken, so that
    /// nothing, not even SIGKILL, ends the wait for it.
    pub(crate) fn fall_silent_after(&self, calls: u64) {
        self.state.lock().unwrap().silent_after = Some(calls);
    }

    /// Whether a call waits for an answer.
    pub(crate) fn is_silent(&self) -> bool {
        self.state.lock().unwrap().unanswered > 0
    }

    /// Answers again.
    pub(crate) fn answer(&self) {
        self.state.lock().unwrap().silent_after = None;
        self.answers.notify_all();
    }

    /// Counts a call, and does not come back while none is answered.
    pub(super) fn called(&self) {
        let mut state = self.state.lock().unwrap();
        match &mut state.silent_after {
            None => return,
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                return;
            }
        }
        state.unanswered += 1;
        while state.silent_after.is_some() {
            state = self.answers.wait(state).unwrap();
        }
        state.unanswered -= 1;
    }

    /// All is well again; says whether something was to fail once and has not.
    pub(crate) fn heal(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.after = None;
        state.syncing = None;
        let content = state.content.take();
        state.once.take().is_some() || content.is_some()
    }

    /// Files that were closed without a sync after the last write.
    pub(crate) fn unsynced(&self) -> Vec<PathBuf> {
        self.state.lock().unwrap().unsynced.clone()
    }

    pub(super) fn wrote(&self, handle: u64, path: PathBuf) {
        self.state.lock().unwrap().written.insert(handle, path);
    }

    /// Says why what was written to a file is lost.
    pub(super) fn sync_content(&self, handle: u64) -> Result<(), Errno> {
        let mut state = self.state.lock().unwrap();
        let unfinished = Path::new(".backup/partial");
        let path = state.written.get(&handle);
        let is_content = path.is_some_and(|path| {
            let mut folders = path.ancestors();
            folders.any(|folder| folder.ends_with(unfinished))
        });
        if !is_content {
            return Ok(());
        }
        match &mut state.content {
            None => Ok(()),
            Some((0, error)) => {
                let error = *error;
                state.content = None;
                Err(error)
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    pub(super) fn synced(&self, handle: u64) {
        self.state.lock().unwrap().written.remove(&handle);
    }

    pub(super) fn closed(&self, handle: u64) {
        let mut state = self.state.lock().unwrap();
        let written = state.written.remove(&handle);
        state.unsynced.extend(written);
    }

    /// Counts a change, or says why it fails.
    pub(super) fn change(&self) -> Result<(), Errno> {
        let mut state = self.state.lock().unwrap();
        let changes = state.changes;
        if let Some((_, error)) = state.once.take_if(|(after, _)| changes >= *after) {
            return Err(error);
        }
        match state.after {
            Some((after, error)) if state.changes >= after => Err(error),
            _ => {
                state.changes += 1;
                Ok(())
            }
        }
    }

    /// Says why a sync fails.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        self.state.lock().unwrap().syncing.map_or(Ok(()), Err)
    }
}
