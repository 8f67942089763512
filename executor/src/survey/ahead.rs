//! Reading folders ahead of the one who walks through them, on several threads.
//!
//! Owns which folder is read next: the one that the walk comes to next. It never waits for a thread
//! to begin what the walk needs now: whoever needs it reads it. What is read ahead is limited in
//! number, so that memory does not grow with the tree.

use std::{
    ffi::OsString,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::io::Errno;

use super::Bounds;
use crate::sys::{Folder, Kind, Listed, Stat, bytes};

/// Entries that are read ahead at most.
const AHEAD: usize = 20_000;
/// Entries of a folder that are looked at as one task.
const PART: usize = 1000;

/// An entry of a folder.
pub(super) struct Seen {
    pub(super) name: OsString,
    pub(super) what: What,
}

/// What an entry is.
pub(super) enum What {
    Leaf(Stat),
    Folder(Stat, Arc<Task>),
    MountPoint(Stat),
    Destination,
    Excluded,
    Unreadable(Errno),
    Vanished,
}

/// A part of a folder.
pub(super) struct Part {
    /// The folder itself as it was opened; with its first part.
    pub(super) folder: Option<Stat>,
    pub(super) seen: Vec<Seen>,
    /// The parts that follow.
    pub(super) more: Vec<Arc<Task>>,
}

/// A folder, or a part of one, that is to be read.
pub(super) struct Task {
    folder: Folder,
    /// Its path relative to the source.
    path: Vec<u8>,
    state: Mutex<State>,
    done: Condvar,
}

enum State {
    /// With the names to look at, where they were listed before.
    Waiting(Option<Vec<Listed>>),
    Running,
    Done(Result<Part, Errno>),
    Taken,
}

impl Task {
    pub(super) fn new(folder: Folder, path: Vec<u8>) -> Arc<Self> {
        Self::of(folder, path, None)
    }

    fn of(folder: Folder, path: Vec<u8>, names: Option<Vec<Listed>>) -> Arc<Self> {
        Arc::new(Self {
            folder,
            path,
            state: Mutex::new(State::Waiting(names)),
            done: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the task on, unless someone else has.
    fn claim(&self) -> Option<Option<Vec<Listed>>> {
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

/// What a part weighs against [`AHEAD`]: a folder without entries takes memory, too, and unread
/// parts hang below each other when they are dropped.
fn weight(part: &Part) -> usize {
    part.seen.len() + 8
}

/// What the threads share.
pub(super) struct Reader<'a> {
    bounds: Bounds<'a>,
    root_mount: u64,
    /// What may be read next, last first.
    tasks: Mutex<Vec<Arc<Task>>>,
    wake: Condvar,
    /// Threads that wait for something to read.
    idle: AtomicUsize,
    ahead: AtomicUsize,
    ended: AtomicBool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bounds: Bounds<'a>, root_mount: u64) -> Self {
        Self {
            bounds,
            root_mount,
            tasks: Mutex::default(),
            wake: Condvar::new(),
            idle: AtomicUsize::new(0),
            ahead: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// A thread's work: reads ahead until [`Self::end`].
    pub(super) fn read_ahead(&self) {
        loop {
            let mut tasks = self.lock();
            let task = loop {
                if self.ended.load(Ordering::Relaxed) {
                    return;
                }
                if self.ahead.load(Ordering::Relaxed) < AHEAD
                    && let Some(task) = tasks.pop()
                {
                    break task;
                }
                self.idle.fetch_add(1, Ordering::SeqCst);
                tasks = self
                    .wake
                    .wait(tasks)
                    .unwrap_or_else(PoisonError::into_inner);
                self.idle.fetch_sub(1, Ordering::SeqCst);
            };
            drop(tasks);
            if let Some(names) = task.claim() {
                self.run(&task, names);
            }
        }
    }

    /// Ends the threads.
    pub(super) fn end(&self) {
        let _tasks = self.lock();
        self.ended.store(true, Ordering::Relaxed);
        self.wake.notify_all();
    }

    /// What a task found; reads it now unless a thread does or did.
    pub(super) fn take(&self, task: &Arc<Task>) -> Result<Part, Errno> {
        if let Some(names) = task.claim() {
            self.run(task, names);
        }
        let mut state = task.state();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Done(found) => {
                    drop(state);
                    if let Ok(part) = &found {
                        self.ahead.fetch_sub(weight(part), Ordering::Relaxed);
                        self.wake();
                    }
                    return found;
                }
                other => *state = other,
            }
            state = task
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, task: &Arc<Task>, names: Option<Vec<Listed>>) {
        let found = self.read(task, names);
        if let Ok(part) = &found {
            self.ahead.fetch_add(weight(part), Ordering::Relaxed);
            let folders = part.seen.iter().filter_map(|seen| match &seen.what {
                What::Folder(_, task) => Some(task),
                _ => None,
            });
            // The walk comes to the first of these next.
            let mut tasks = self.lock();
            tasks.extend(part.more.iter().rev().map(Arc::clone));
            let from = tasks.len();
            tasks.extend(folders.map(Arc::clone));
            tasks[from..].reverse();
            drop(tasks);
            self.wake();
        }
        *task.state() = State::Done(found);
        task.done.notify_all();
    }

    fn read(&self, task: &Task, names: Option<Vec<Listed>>) -> Result<Part, Errno> {
        let dir = task.folder.open()?;
        let mut part = Part {
            folder: None,
            seen: Vec::new(),
            more: Vec::new(),
        };
        let mut names = match names {
            Some(names) => names,
            None => {
                part.folder = Some(dir.stat_self()?);
                let mut names = dir.list_once()?;
                names.sort_unstable_by(|a, b| bytes(&a.name).cmp(bytes(&b.name)));
                names
            }
        };
        while names.len() > PART {
            let rest = names.split_off(names.len() - names.len().min(PART));
            let more = Task::of(task.folder.clone(), task.path.clone(), Some(rest));
            part.more.insert(0, more);
        }
        // Inodes stand on the disk in the order of their numbers.
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_unstable_by_key(|at| names[*at].inode);
        let mut stats: Vec<_> = names.iter().map(|_| Err(Errno::NOENT)).collect();
        for at in order {
            stats[at] = dir.stat(&names[at].name);
        }
        part.seen.reserve_exact(names.len());
        let mut path = task.path.clone();
        let length = path.len();
        for (Listed { name, .. }, stat) in names.into_iter().zip(stats) {
            path.truncate(length);
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(bytes(&name));
            let what = match stat {
                Ok(stat) => self.judge(task, &name, &path, stat),
                Err(Errno::NOENT) => What::Vanished,
                Err(error) => What::Unreadable(error),
            };
            part.seen.push(Seen { name, what });
        }
        Ok(part)
    }

    fn judge(&self, task: &Task, name: &OsString, path: &[u8], stat: Stat) -> What {
        let is_folder = stat.kind == Kind::Folder;
        if self.bounds.excludes.matches(path, is_folder).is_some() {
            return What::Excluded;
        }
        if !is_folder {
            return What::Leaf(stat);
        }
        if self.bounds.never == Some((stat.dev, stat.ino)) {
            return What::Destination;
        }
        if self.bounds.one_file_system && stat.mount != self.root_mount {
            return What::MountPoint(stat);
        }
        What::Folder(stat, Task::new(task.folder.child(name), path.to_vec()))
    }

    /// Tells a thread that waits that there may be something to read. One that is about to wait may
    /// miss it, and hears of the next.
    fn wake(&self) {
        if self.idle.load(Ordering::SeqCst) > 0 {
            self.wake.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Task>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
