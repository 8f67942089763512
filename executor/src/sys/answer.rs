//! Whether a file system answers at all.
//!
//! A server that is gone or a FUSE program that was stopped lets whoever looks at its mount wait
//! for ever, in a sleep that not even a signal ends. So a process of its own looks first: if it is
//! not back in time nobody else looks, and what hangs is not us.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{process::wait_within, threads};

/// How long a file system may take to answer: disks wake up and servers come back in less.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The first argument that makes the program look at the path that follows, and end.
pub const ARGUMENT: &str = "--look-at";
/// How long it is known that a file system answered, and that it did not.
const ANSWERED: Duration = Duration::from_secs(5);
const SILENT: Duration = Duration::from_secs(120);

/// The program that looks when it is called with [`ARGUMENT`] and a path.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
/// What was found of each path, and when.
static KNOWN: OnceLock<Mutex<HashMap<PathBuf, (Instant, bool)>>> = OnceLock::new();
/// What fell silent while this process worked on it.
static FELL_SILENT: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Says which program looks; without one it is a thread of this process.
pub fn set_probe_program(program: PathBuf) {
    let _ = PROGRAM.set(program);
}

/// Looks at a path, for whatever it is worth: a folder is listed, a file is read.
pub fn touch_path(path: &Path) {
    let _ = rustix::fs::statvfs(path);
    if let Ok(mut entries) = std::fs::read_dir(path) {
        let _ = entries.next();
    } else {
        let _ = std::fs::read(path);
    }
}

/// Waits until someone has looked at a path, if only in vain.
///
/// # Errors
/// `ETIMEDOUT` where nobody comes back from there in time.
pub fn wait_for_answer(path: &[u8]) -> Result<(), Errno> {
    let path = Path::new(OsStr::from_bytes(path));
    if fell_silent(path) {
        return Err(Errno::TIMEDOUT);
    }
    let known = KNOWN.get_or_init(Mutex::default);
    // Whoever asks for the same meanwhile waits for this answer.
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let before = known
        .get(path)
        .filter(|(since, answers)| since.elapsed() < if *answers { ANSWERED } else { SILENT });
    let answers = match before {
        Some((_, answers)) => *answers,
        None => {
            let answers = answers_in_time(path, PATIENCE);
            known.insert(path.to_owned(), (Instant::now(), answers));
            answers
        }
    };
    if answers {
        Ok(())
    } else {
        Err(Errno::TIMEDOUT)
    }
}

/// From now on nobody of this process waits for this path.
pub(crate) fn never_wait_again(path: &Path) {
    let mut all = FELL_SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    all.get_or_insert_default().insert(path.to_owned());
}

fn fell_silent(path: &Path) -> bool {
    let all = FELL_SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    all.as_ref().is_some_and(|all| all.contains(path))
}

/// A look at a path by a thread of this process, from which it may never come back.
///
/// A process would not do once files are open there: it is given all of them when it is made and
/// closes them when it becomes another program, which a FUSE program is asked about.
#[derive(Debug)]
pub(crate) struct Probe(mpsc::Receiver<()>);

impl Probe {
    /// Begins it; none where no thread can be had.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let (done, answer) = mpsc::channel();
        let path = path.to_owned();
        let work = move || {
            touch_path(&path);
            let _ = done.send(());
        };
        threads::start_thread("look", work).ok()?;
        Some(Self(answer))
    }

    /// Whether it is back.
    pub(crate) fn is_back(&self) -> bool {
        self.0.try_recv() != Err(mpsc::TryRecvError::Empty)
    }

    fn is_back_within(&self, patience: Duration) -> bool {
        self.0.recv_timeout(patience) != Err(mpsc::RecvTimeoutError::Timeout)
    }
}

fn answers_in_time(path: &Path, patience: Duration) -> bool {
    let child = PROGRAM.get().and_then(|program| {
        let mut command = Command::new(program);
        command.arg(ARGUMENT).arg(path).current_dir("/");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().ok()
    });
    let Some(mut child) = child else {
        // Where no thread can be had either, the risk is taken.
        return Probe::at(path).is_none_or(|look| look.is_back_within(patience));
    };
    // However it ended: it came back.
    let is_back = wait_within(&mut child, patience);
    if !is_back {
        // It may be past hearing this, and is left to the kernel.
        let _ = child.kill();
    }
    is_back
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_at_answers_all_the_same_and_a_fifo_without_writer_does_not() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        assert!(answers_in_time(temporary.path(), PATIENCE));
        assert!(answers_in_time(&at("none"), PATIENCE));
        let top = crate::sys::resolve::resolve(temporary.path())
            .unwrap()
            .folder();
        let fifo = crate::sys::Kind::Fifo;
        top.unwrap()
            .make_special("fifo".as_ref(), fifo, (0, 0))
            .unwrap();
        assert!(!answers_in_time(&at("fifo"), Duration::from_millis(50)));
    }
}
