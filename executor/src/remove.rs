//! Removing a tree, by directory descriptors, without recursion, on several threads.
//!
//! Invariant: only single names are removed, each from a folder that was opened without following
//! a symlink, so nothing outside the tree can be reached. A folder goes when the last folder in it
//! is gone.

use std::{
    ffi::OsStr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use rustix::io::Errno;

use crate::{
    error::{Error, ErrorKind, Result},
    event::{Context, Event, Phase, Progress},
    sys::{Dir, Folder, Kind, bytes},
    threads::start_scoped_thread,
};

/// Removes an entry of a folder with all that is in it; nothing to do if it is not there.
///
/// Can be repeated after an interruption: what is gone is gone. What cannot be removed keeps nothing
/// else from going, but for the folders above it.
///
/// # Errors
/// The system's first reason, naming the path below `named`; or an interruption.
pub fn remove_tree(parent: &Dir, name: &OsStr, named: &str, context: Context<'_>) -> Result<()> {
    let io = |doing: &str, error: Errno| Error::io(doing, named.as_bytes(), error);
    match parent.remove_file(name) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Linux says EISDIR for a folder, POSIX and some file systems EPERM.
        Err(Errno::ISDIR) => {}
        Err(Errno::PERM) if is_folder(parent, name) => {}
        Err(error) => return Err(io("remove", error)),
    }
    if remove_whole_subvolume(parent, name) {
        return Ok(());
    }
    let above = parent.again().map_err(|error| io("open", error))?;
    let root = Task {
        folder: Folder::top(above).child(name),
        above: None,
        left: AtomicUsize::new(1),
    };
    let removal = Removal {
        named,
        context,
        shared: Mutex::new(Shared {
            tasks: vec![Arc::new(root)],
            idle: 0,
            ended: false,
            error: None,
        }),
        wake: Condvar::new(),
        removed: AtomicU64::new(0),
    };
    // Folders are emptied side by side; none is in another that is being emptied.
    let threads = context.width_on(parent).threads();
    std::thread::scope(|scope| {
        for _ in 1..threads {
            if start_scoped_thread(scope, "remove", || removal.work()).is_err() {
                break;
            }
        }
        removal.work();
    });
    let shared = removal.shared.into_inner();
    match shared.unwrap_or_else(PoisonError::into_inner).error {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Removes a subvolume at once; says whether that was one and could be. Who may not do so empties it like
/// any folder, which it then is.
fn remove_whole_subvolume(parent: &Dir, name: &OsStr) -> bool {
    let is_one = match parent.subvolume(name) {
        Ok(Some(subvolume)) => {
            // The entries of a read-only one cannot be removed one by one either.
            let _ = subvolume.set_read_only(false);
            true
        }
        _ => false,
    };
    is_one && parent.remove_subvolume(name).is_ok()
}

/// A folder to remove.
struct Task {
    folder: Folder,
    above: Option<Arc<Task>>,
    /// Folders in it that are not gone, and one while it is being emptied.
    left: AtomicUsize,
}

impl Drop for Task {
    /// A chain of a hundred thousand folders must not be dropped by as many nested calls.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(task) = above {
            above = Arc::into_inner(task).and_then(|mut task| task.above.take());
        }
    }
}

struct Shared {
    /// Folders to empty, last first.
    tasks: Vec<Arc<Task>>,
    /// Threads that wait for one.
    idle: usize,
    ended: bool,
    error: Option<Error>,
}

struct Removal<'a> {
    named: &'a str,
    context: Context<'a>,
    shared: Mutex<Shared>,
    wake: Condvar,
    removed: AtomicU64,
}

impl Removal<'_> {
    /// A thread's work: empties folders until the tree is gone or something failed.
    fn work(&self) {
        while let Some(task) = self.next() {
            if let Err(error) = self.empty(&task) {
                if error.kind == ErrorKind::Interrupted {
                    let mut shared = self.lock();
                    shared.error = Some(error);
                    self.end(shared);
                    return;
                }
                self.note(error);
            }
            self.finish(task);
        }
    }

    fn next(&self) -> Option<Arc<Task>> {
        let mut shared = self.lock();
        loop {
            if shared.ended {
                return None;
            }
            if let Some(task) = shared.tasks.pop() {
                return Some(task);
            }
            shared.idle += 1;
            shared = self
                .wake
                .wait(shared)
                .unwrap_or_else(PoisonError::into_inner);
            shared.idle -= 1;
        }
    }

    /// Remembers why something stays; the first reason is told.
    fn note(&self, error: Error) {
        self.lock().error.get_or_insert(error);
    }

    /// Removes all but the folders in a folder.
    fn empty(&self, task: &Arc<Task>) -> Result<()> {
        let io = |doing: &str, name: &OsStr, error: Errno| {
            Error::io(doing, &self.path(&task.folder, name), error)
        };
        let nothing = OsStr::new("");
        let dir = open_to_empty(&task.folder).map_err(|error| io("open", nothing, error))?;
        let mut listed = dir
            .list_once()
            .map_err(|error| io("list", nothing, error))?;
        listed.sort_unstable_by_key(|one| one.inode);
        let mut folders = Vec::new();
        for one in listed {
            self.context.stop.check()?;
            let name = one.name.as_os_str();
            let is_folder = one.is_folder()
                || match dir.remove_file(name) {
                    Ok(()) | Err(Errno::NOENT) => false,
                    Err(Errno::ISDIR) => true,
                    Err(Errno::PERM) if is_folder(&dir, name) => true,
                    Err(error) => {
                        self.note(io("remove", name, error));
                        false
                    }
                };
            if is_folder {
                folders.push(Arc::new(Task {
                    folder: task.folder.child(name),
                    above: Some(Arc::clone(task)),
                    left: AtomicUsize::new(1),
                }));
            }
            self.tell();
        }
        if !folders.is_empty() {
            task.left.fetch_add(folders.len(), Ordering::SeqCst);
            let mut shared = self.lock();
            shared.tasks.append(&mut folders);
            if shared.idle > 0 {
                self.wake.notify_all();
            }
        }
        Ok(())
    }

    /// Removes a folder that is empty, and those above that are empty then.
    fn finish(&self, task: Arc<Task>) {
        let mut task = task;
        while task.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let folder = &task.folder;
            let gone = folder.above().ok_or(Errno::BADF).and_then(|above| {
                let above = above.open()?;
                above.remove_folder(folder.name())
            });
            if let Err(error) = gone {
                self.note(Error::io(
                    "remove",
                    &self.path(folder, OsStr::new("")),
                    error,
                ));
            }
            let Some(above) = task.above.clone() else {
                self.end(self.lock());
                break;
            };
            task = above;
        }
    }

    fn end(&self, mut shared: MutexGuard<'_, Shared>) {
        shared.ended = true;
        self.wake.notify_all();
    }

    fn tell(&self) {
        let entries = self.removed.fetch_add(1, Ordering::Relaxed) + 1;
        if entries.is_multiple_of(1000) {
            self.context.observer.event(Event::Progress(Progress {
                phase: Phase::Remove,
                entries,
                ..Progress::default()
            }));
        }
    }

    /// Path of an entry for messages.
    fn path(&self, folder: &Folder, name: &OsStr) -> Vec<u8> {
        let mut names = vec![name];
        let mut at = folder;
        // The top is the folder that holds the tree, and the tree's own name stands in `named`.
        while let Some(above) = at.above() {
            if above.above().is_some() {
                names.push(at.name());
            }
            at = above;
        }
        let mut path = self.named.as_bytes().to_vec();
        for name in names.iter().rev().filter(|name| !name.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(bytes(name));
        }
        path
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a name that may not be removed as a file is a folder's.
fn is_folder(dir: &Dir, name: &OsStr) -> bool {
    dir.stat(name).is_ok_and(|stat| stat.kind == Kind::Folder)
}

/// Opens a folder to empty it. Its owner may have no right to: then the right is given, which
/// touches no other snapshot, because folders are never shared.
fn open_to_empty(folder: &Folder) -> std::result::Result<Arc<Dir>, Errno> {
    let dir = match folder.open() {
        Err(Errno::ACCESS) => {
            let above = folder.above().ok_or(Errno::ACCESS)?.open()?;
            above.set_mode_of(folder.name(), 0o700)?;
            folder.open()?
        }
        result => result?,
    };
    // Root needs no right.
    if !rustix::process::geteuid().is_root() && dir.stat_self()?.mode & 0o300 != 0o300 {
        crate::sys::open::set_mode(&dir, 0o700)?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::event::Stop;

    fn context(stop: &Stop, threads: usize) -> Context<'_> {
        Context {
            threads,
            ..Context::silent(stop)
        }
    }

    #[test]
    fn a_tree_goes_and_what_its_links_point_to_stays() {
        for threads in [1, 4] {
            let temporary = tempfile::tempdir().unwrap();
            let root = temporary.path();
            let mut deep = root.join("tree");
            for _ in 0..600 {
                deep.push("d");
            }
            std::fs::create_dir_all(&deep).unwrap();
            std::fs::write(root.join("outside"), "kept").unwrap();
            std::os::unix::fs::symlink(root, root.join("tree/link")).unwrap();
            std::os::unix::fs::symlink("../outside", root.join("tree/file-link")).unwrap();
            std::fs::create_dir(root.join("tree/closed")).unwrap();
            std::fs::write(root.join("tree/closed/file"), "x").unwrap();
            std::fs::set_permissions(root.join("tree/closed"), Permissions::from_mode(0o500))
                .unwrap();

            let dir = crate::sys::resolve::resolve(root)
                .unwrap()
                .folder()
                .unwrap();
            let stop = Stop::default();
            remove_tree(&dir, "tree".as_ref(), "tree", context(&stop, threads)).unwrap();
            remove_tree(&dir, "tree".as_ref(), "tree", context(&stop, threads)).unwrap();
            assert!(!root.join("tree").exists());
            assert_eq!(
                std::fs::read_to_string(root.join("outside")).unwrap(),
                "kept"
            );
        }
    }

    #[test]
    fn a_request_to_stop_ends_the_removal_and_the_next_one_finishes_it() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temporary.path().join("tree/a")).unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        let stop = Stop::default();
        stop.ask(15);
        let ended = remove_tree(&dir, "tree".as_ref(), "tree", Context::silent(&stop));
        assert_eq!(ended.unwrap_err().kind, ErrorKind::Interrupted);
        let stop = Stop::default();
        remove_tree(&dir, "tree".as_ref(), "tree", Context::silent(&stop)).unwrap();
        assert!(!temporary.path().join("tree").exists());
    }
}
