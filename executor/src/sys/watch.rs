//! Whether the file systems that this process works on go on answering.
//!
//! The first look at each is a process of its own (`sys::answer`). A server or a FUSE program that
//! falls silent after it leaves whoever is in a call there, in a sleep that nothing ends. So one
//! thread goes on having others look, and when one of these does not come back it ends the program:
//! what hangs cannot be ended, but everything else can be done first.
//!
//! Owns what is watched, when it counts as silent, and that no other thread writes to a journal
//! while the program ends.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::{fd::AsFd, unix::ffi::OsStrExt as _},
    path::Path,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use super::{
    answer::{self, Probe},
    mounts,
};
use crate::{process::proc, threads};

/// Between two looks at one file system.
const EVERY: Duration = Duration::from_secs(5);
/// How often it is asked whether a look is back.
const ASK: Duration = Duration::from_millis(200);
/// Bytes that this process and its children must read and write meanwhile to count as getting on:
/// more than what they tell each other.
const GETS_ON: u64 = 256 << 10;
/// Bytes that a slow medium takes in a second: a look waits behind what is being stored.
const SLOW: u64 = 1 << 20;
/// The longest wait behind what is being stored.
const LONGEST: Duration = Duration::from_secs(600);
/// How long the thread that writes to a journal is waited for.
const TURN: Duration = Duration::from_secs(5);
/// What may wait in memory when a whole file system is synced.
pub(crate) const WHOLE: u64 = 512 << 20;

type End = dyn Fn(&Path) + Send + Sync;

/// What ends the program.
static END: OnceLock<Box<End>> = OnceLock::new();
/// Where something is mounted that is watched.
static WATCHED: Mutex<Vec<OsString>> = Mutex::new(Vec::new());
/// Whether the thread runs.
static RUNS: AtomicBool = AtomicBool::new(false);
/// How many wait for something else than a file system.
static PAUSED: AtomicUsize = AtomicUsize::new(0);
/// Bytes that are being stored now by calls that wait for them, by mount point.
static STORING: Mutex<BTreeMap<OsString, u64>> = Mutex::new(BTreeMap::new());
/// Whose turn it is to write to a journal.
static TURNS: Mutex<()> = Mutex::new(());
/// The thread that ends the program.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// Says what ends the program when a file system has fallen silent: it is given the mount point, runs
/// on a thread of its own, and must not come back. Without it nothing is watched.
pub fn set_program_end(end: impl Fn(&Path) + Send + Sync + 'static) {
    let _ = END.set(Box::new(end));
}

/// Watches what is mounted there from now on.
pub(crate) fn watch_mount(mount_point: &[u8]) {
    if END.get().is_none() {
        return;
    }
    let path = OsStr::from_bytes(mount_point);
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if !watched.iter().any(|known| known == path) {
        watched.push(path.to_owned());
    }
    drop(watched);
    // Where no thread can be had now, the next one who meets something tries again.
    if !RUNS.swap(true, Ordering::Relaxed) && threads::start_thread("watch", watch_mounts).is_err()
    {
        RUNS.store(false, Ordering::Relaxed);
    }
}

/// Nothing is watched while this lives: what is waited for has a limit of its own.
pub(crate) struct Pause;

impl Pause {
    pub(crate) fn new() -> Self {
        PAUSED.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        PAUSED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// While this lives a call waits until so many bytes are stored, behind which looks may wait too.
pub(crate) struct Storing(Option<(OsString, u64)>);

impl Storing {
    /// So many bytes on the file system of an open file.
    pub(crate) fn new(on: impl AsFd, bytes: u64) -> Self {
        let watched = || WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        if watched().is_empty() {
            return Self(None);
        }
        let mount_point = mounts::mount_point_of(on.as_fd());
        let mount_point = mount_point.filter(|path| watched().contains(path));
        let this = Self(mount_point.map(|path| (path, bytes)));
        if let Some((path, bytes)) = &this.0 {
            let mut all = STORING.lock().unwrap_or_else(PoisonError::into_inner);
            *all.entry(path.clone()).or_default() += bytes;
        }
        this
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        if let Some((path, bytes)) = &self.0 {
            let mut all = STORING.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(path.clone())
                .and_modify(|all| *all = all.saturating_sub(*bytes));
        }
    }
}

/// The right to write to a journal, for as long as it lives; while the program ends only the thread
/// that ends it gets it, and all others wait for the end.
pub(crate) fn journal_turn() -> MutexGuard<'static, ()> {
    loop {
        let turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        if !others_end_it() {
            return turn;
        }
        drop(turn);
        thread::park();
    }
}

/// Waits for the end of the program if another thread is ending it.
pub fn wait_for_end() {
    while others_end_it() {
        thread::park();
    }
}

/// From now on nobody of this process waits for what is mounted there.
pub fn never_wait_again(mount_point: &Path) {
    answer::never_wait_again(mount_point);
}

fn others_end_it() -> bool {
    ENDING
        .get()
        .is_some_and(|ending| *ending != thread::current().id())
}

/// One look that is not back yet.
struct PendingProbe {
    look: Probe,
    since: Instant,
    /// What was read and written when the wait began.
    moved: u64,
}

fn watch_mounts() {
    let mut waiting: BTreeMap<OsString, PendingProbe> = BTreeMap::new();
    let mut next = Instant::now() + EVERY;
    loop {
        thread::sleep(if waiting.is_empty() { EVERY } else { ASK });
        waiting.retain(|_, one| !one.look.is_back());
        if PAUSED.load(Ordering::Relaxed) > 0 {
            waiting.clear();
            continue;
        }
        if Instant::now() >= next {
            next = Instant::now() + EVERY;
            send_looks(&mut waiting);
        }
        let late = waiting
            .iter_mut()
            .find(|(path, one)| one.since.elapsed() >= patience_for(bytes_being_stored(path)));
        if let Some((path, one)) = late {
            let moved = bytes_moved();
            if moved.abs_diff(one.moved) < GETS_ON {
                end_program(Path::new(path));
                return;
            }
            (one.since, one.moved) = (Instant::now(), moved);
        }
    }
}

/// Looks at all that is still mounted and not looked at yet.
fn send_looks(waiting: &mut BTreeMap<OsString, PendingProbe>) {
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let watched = watched.clone();
    let mounted = mounts::that_may_fall_silent();
    for path in watched {
        if !mounted.contains(path.as_bytes()) || waiting.contains_key(&path) {
            continue;
        }
        if let Some(look) = Probe::at(Path::new(&path)) {
            let one = PendingProbe {
                look,
                since: Instant::now(),
                moved: bytes_moved(),
            };
            waiting.insert(path, one);
        }
    }
}

/// Bytes that are being stored there.
fn bytes_being_stored(mount_point: &OsStr) -> u64 {
    let all = STORING.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(mount_point).copied().unwrap_or_default()
}

/// How long a look may take while so much is being stored.
fn patience_for(storing: u64) -> Duration {
    answer::PATIENCE + Duration::from_secs(storing / SLOW).min(LONGEST)
}

/// Bytes that this process, without this thread, and its children have read and written.
fn bytes_moved() -> u64 {
    let own = fs::read_link("/proc/thread-self").unwrap_or_default();
    let own = own.file_name().unwrap_or_default().to_owned();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let mut sum: u64 = 0;
    for task in tasks.flatten() {
        if task.file_name() != own {
            sum = sum.wrapping_add(bytes_of(&task.path()));
        }
        sum = sum.wrapping_add(of_children(&task.path(), 0));
    }
    sum
}

/// Those of the processes that a thread has started, and of those that they did.
fn of_children(task: &Path, depth: u8) -> u64 {
    if depth > 3 {
        return 0;
    }
    let bytes = proc::child_processes(task).into_iter().map(|child| {
        let folder = format!("/proc/{child}");
        let main = format!("{folder}/task/{child}");
        bytes_of(Path::new(&folder)).wrapping_add(of_children(Path::new(&main), depth + 1))
    });
    bytes.fold(0, u64::wrapping_add)
}

/// Bytes that a process or a thread has read and written; none where the kernel does not tell.
fn bytes_of(folder: &Path) -> u64 {
    proc::io_bytes(folder).map_or(0, |(read, written)| read.wrapping_add(written))
}

/// Ends the program.
fn end_program(mount_point: &Path) {
    answer::never_wait_again(mount_point);
    if ENDING.set(thread::current().id()).is_err() {
        return;
    }
    // Whoever writes to the journal now, to its end; it may itself be what does not answer.
    let until = Instant::now() + TURN;
    while TURNS.try_lock().is_err() && Instant::now() < until {
        thread::sleep(ASK);
    }
    if let Some(end) = END.get() {
        end(mount_point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_stored_makes_patient_and_not_for_ever() {
        let seconds = |bytes| patience_for(bytes).as_secs() - answer::PATIENCE.as_secs();
        assert_eq!(seconds(0), 0);
        assert_eq!(seconds(100 << 20), 100);
        assert_eq!(seconds(WHOLE * 10), LONGEST.as_secs());
    }

    #[test]
    fn what_a_thread_and_its_children_read_and_write_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let thread = fs::read_link("/proc/thread-self").unwrap();
        let thread = Path::new("/proc").join(thread);
        let before = bytes_of(&thread);
        fs::write(folder.path().join("file"), vec![7; 1 << 20]).unwrap();
        assert!(bytes_of(&thread) - before >= 1 << 20);

        let mut child = std::process::Command::new("sh")
            .args(["-c", "head -c 1048576 /dev/zero | cat >/dev/null; sleep 60"])
            .spawn()
            .unwrap();
        let found = (0..3000).any(|_| {
            thread::sleep(Duration::from_millis(10));
            of_children(&thread, 0) >= GETS_ON
        });
        let _ = child.kill();
        let _ = child.wait();
        assert!(found);
    }
}
