//! Locks: one run at a time on a state directory and on a destination.
//!
//! `flock(2)` goes away with the process, so a lock can never be stale; the file stays.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    sync::{Arc, Mutex, PoisonError, Weak, mpsc::channel},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::{
    bounded::read_bounded,
    error::{Error, Result},
    sys::{Dir, Kind},
    threads,
};

/// Longest that a lock says of who holds it, in bytes.
const LONGEST_HOLDER: u64 = 64;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] Arc<File>);

/// The locks that this process holds, first to last.
static HELD: Mutex<Vec<Weak<File>>> = Mutex::new(Vec::new());
/// How long the file systems that they are on may take to let go of them.
const AT_MOST: Duration = Duration::from_secs(1);

/// Lets go of all locks, for a process that ends and may not be able to: a call that a file system
/// never answers keeps it, and all that it has open, for as long.
pub fn release_all_locks() {
    let (done, is_done) = channel::<()>();
    // One of them may be on the very file system that does not answer.
    let started = threads::start_thread("unlock", move || {
        let all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of the state directory were taken first.
        for file in all.iter().filter_map(Weak::upgrade) {
            let _ = flock(&file, FlockOperation::NonBlockingUnlock);
        }
        drop(done);
    });
    if started.is_ok() {
        let _ = is_done.recv_timeout(AT_MOST);
    }
}

impl Lock {
    /// Takes the lock of a folder.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] if another run holds it; fails also if the file cannot be opened or locked.
    pub fn take(dir: &Dir, name: &str, path: &str) -> Result<Self> {
        let opened = match open_lock_file(dir, name.as_ref()) {
            Err(Errno::ISDIR | Errno::LOOP | Errno::NXIO) => {
                make_way(dir, name.as_ref()).and_then(|()| open_lock_file(dir, name.as_ref()))
            }
            result => result,
        };
        let mut file = opened.map_err(|error| Error::io("open", path.as_bytes(), error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                // A number; whatever else stands there is nobody's.
                let holder = read_bounded(&file, LONGEST_HOLDER).unwrap_or_default();
                let holder = String::from_utf8(holder).unwrap_or_default();
                return Err(Error::busy(format!(
                    "another run holds {path}{}",
                    match holder.trim() {
                        "" => String::new(),
                        pid => format!(" (process {pid})"),
                    }
                ))
                .hint("wait for it to end; `backup status` shows it"));
            }
            // A file system without locks (some network ones), or one whose locks want a file that
            // may be written (NFS) where it is only read: the state directory's lock remains.
            Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::NOLCK | Errno::BADF) => {
                return Ok(Self(Arc::new(file)));
            }
            Err(error) => return Err(Error::io("lock", path.as_bytes(), error)),
        }
        // The process number is for people only.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        let file = Arc::new(file);
        let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|file| file.strong_count() > 0);
        all.push(Arc::downgrade(&file));
        Ok(Self(file))
    }

    /// Whether another process holds the lock of a folder now. Takes nothing.
    #[must_use]
    pub fn is_held(dir: &Dir, name: &str) -> bool {
        dir.file(name.as_ref()).is_ok_and(|file| {
            flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
        })
    }
}

fn open_lock_file(dir: &Dir, name: &OsStr) -> std::result::Result<File, Errno> {
    match dir.file_or_new(name, 0o600) {
        // Restoring from a read-only disk: its lock can be held all the same.
        Err(Errno::ROFS) => dir.file(name),
        result => result,
    }
}

/// Sets aside what stands in a lock's place and cannot be locked: a folder, a symlink.
fn make_way(dir: &Dir, name: &OsStr) -> std::result::Result<(), Errno> {
    let alone = dir.again()?;
    // Whoever finds it at the same time must not take away the lock that then is there. Where folders
    // cannot be locked, two such finds have to meet within an instant to do so.
    let _ = flock(&alone, FlockOperation::LockExclusive);
    match dir.look(name)? {
        Some(stat) if stat.kind != Kind::File => dir.set_aside(name),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn what_is_let_go_of_can_be_taken_although_it_is_still_open() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        let held = Lock::take(&dir, "lock", "here/lock").unwrap();
        // As it is in a process that cannot end.
        let all = HELD.lock().unwrap();
        let open: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        drop(all);
        assert!(Lock::is_held(&dir, "lock"));
        release_all_locks();
        assert!(!Lock::is_held(&dir, "lock"));
        drop((held, open));
    }

    #[test]
    fn a_second_holder_is_told_who_holds_it_and_a_dropped_lock_is_free() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        let lock = Lock::take(&dir, "lock", "here/lock").unwrap();
        let busy = Lock::take(&dir, "lock", "here/lock").unwrap_err();
        assert_eq!(busy.kind, ErrorKind::Busy);
        assert!(busy.message.contains(&std::process::id().to_string()));
        assert!(Lock::is_held(&dir, "lock"));
        drop(lock);
        assert!(!Lock::is_held(&dir, "lock"));
        Lock::take(&dir, "lock", "here/lock").unwrap();
    }

    #[test]
    fn what_stands_in_its_place_is_set_aside_and_no_file_ever_is() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        std::fs::create_dir_all(at("lock/mine")).unwrap();
        let lock = Lock::take(&dir, "lock", "here/lock").unwrap();
        make_way(&dir, "lock".as_ref()).unwrap();
        assert!(Lock::is_held(&dir, "lock"));
        drop(lock);
        std::fs::remove_file(at("lock")).unwrap();
        std::os::unix::fs::symlink("elsewhere", at("lock")).unwrap();
        Lock::take(&dir, "lock", "here/lock").unwrap();
        assert!(at("lock.saved-1/mine").is_dir() && at("lock.saved-2").is_symlink());
        assert!(!at("elsewhere").exists());
    }
}
