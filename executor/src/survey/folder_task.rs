//! Folders that are to be read, and what was read of them.
//!
//! Owns who reads one: whoever takes its task on first.

use std::{
    ffi::OsString,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;
use schema::StoredPathBuf;

use super::{
    roots::Base,
    tags::{Measured, Tagged},
};
use crate::sys::{Folder, Listed, Stat};

/// An entry of a folder.
pub(super) struct SeenEntry {
    pub(super) name: OsString,
    pub(super) what: SeenKind,
}

/// What an entry is.
pub(super) enum SeenKind {
    Leaf(Stat),
    Folder(Stat, Arc<FolderTask>),
    MountPoint(Stat),
    Destination,
    Excluded(Option<usize>),
    Unreadable(Errno),
    Vanished,
}

/// A part of a folder.
pub(super) struct FolderPart {
    /// The folder itself as it was opened; with its first part.
    pub(super) folder: Option<Stat>,
    /// What a tag in it leaves out; with its first part.
    pub(super) left_out: Option<(Tagged, Measured)>,
    pub(super) seen: Vec<SeenEntry>,
    /// The parts that follow.
    pub(super) more: Vec<Arc<FolderTask>>,
}

/// A folder, or a part of one, that is to be read.
pub(super) struct FolderTask {
    pub(super) folder: Folder,
    /// Its path relative to the source.
    pub(super) path: StoredPathBuf,
    /// What its entries are judged by.
    pub(super) base: Base,
    /// Nothing belongs to a source here but what leads to one further below.
    pub(super) only_leading: bool,
    state: Mutex<State>,
    pub(super) done: Condvar,
}

/// How far it is.
pub(super) enum State {
    /// With the names to look at, where they were listed before.
    Waiting(Option<Vec<Listed>>),
    Running,
    /// As [`Self::Running`], and the walk waits for it.
    Awaited,
    Done(Result<FolderPart, Errno>),
    Taken,
}

impl FolderTask {
    /// The folder of a source, or one in it.
    pub(super) fn new(folder: Folder, path: StoredPathBuf, base: Base) -> Arc<Self> {
        Self::of(folder, path, base, false, None)
    }

    pub(super) fn of(
        folder: Folder,
        path: StoredPathBuf,
        base: Base,
        only_leading: bool,
        names: Option<Vec<Listed>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            folder,
            path,
            base,
            only_leading,
            state: Mutex::new(State::Waiting(names)),
            done: Condvar::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the task on, unless someone else has.
    pub(super) fn claim(&self) -> Option<Option<Vec<Listed>>> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Running) {
            State::Waiting(names) => Some(names),
            other => {
                *state = other;
                None
            }
        }
    }
}
