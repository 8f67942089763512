//! Folders of a tree at a distance, opened and listed before whoever walks the tree comes to them.
//!
//! A walk waits for each folder's answer before it asks for the next folder. Where answers come from far
//! away that is nearly all of its time, so threads go before it, nearest first and not too far: each
//! folder is asked for once, by one of them or by the walk itself. What cannot be listed ahead is left to
//! the walk, which then says why.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use rustix::io::Errno;
use schema::{StoredPath, StoredPathBuf};

use crate::{
    sys::{
        Dir, Folder, Listed, Stat,
        attributes::{self, Attributes},
        bytes,
    },
    threads::start_thread,
    width::Width,
};

/// Folders that are listed or waited for at once, where nearer ones are not known yet. Each is open.
const SOON: usize = 128;
/// The same where nearer ones became known since.
const MOST: usize = 256;
/// Entries of a folder whose kind is asked for ahead, and folders in it; more would only fill memory.
const LOOKS: usize = 10_000;

/// Entries in folders that were listed ahead and not come to, from which on no more are.
const HELD: usize = 200_000;
/// Folders that may be asked for; the walk lists the others itself.
const WAITING: usize = 50_000;

/// What is asked of a folder besides its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Nothing but what its entries are, where the folder itself does not say so.
    Kinds,
    /// What attributes it has itself.
    Attributes,
}

/// A folder that was listed.
#[derive(Debug)]
pub(crate) struct ListedFolder {
    pub(crate) folder: Folder,
    pub(crate) dir: Arc<Dir>,
    /// What the kernel said of it once it was open.
    pub(crate) stat: Stat,
    /// Its entries in no order.
    pub(crate) entries: Vec<Listed>,
    /// Its attributes, where they were asked for.
    pub(crate) attributes: Option<Result<Attributes, Errno>>,
}

/// The threads that go ahead of one walk. They end with it.
#[derive(Debug)]
pub(crate) struct FoldersAhead {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    asks: Asks,
    state: Mutex<State>,
    /// There may be more to list, or nothing ever again.
    more: Condvar,
    /// Something was listed.
    listed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Where the walk is: what comes before is of no use any more.
    at: StoredPathBuf,
    /// Folders that nobody asked for yet, in the order of the walk.
    waiting: BTreeMap<StoredPathBuf, Folder>,
    under_way: BTreeSet<StoredPathBuf>,
    /// What was listed; nothing where that is left to the walk.
    listed: BTreeMap<StoredPathBuf, Option<ListedFolder>>,
    ended: bool,
}

impl FoldersAhead {
    /// Threads for a tree at a distance; none for one of this machine, which answers at once.
    pub(crate) fn start(width: Width, asks: Asks) -> Option<Self> {
        if !width.is_far() {
            return None;
        }
        let shared = Arc::new(Shared {
            asks,
            state: Mutex::default(),
            more: Condvar::new(),
            listed: Condvar::new(),
        });
        let threads = (0..width.threads()).map_while(|_| {
            let shared = Arc::clone(&shared);
            start_thread("ahead", move || shared.work()).ok()
        });
        let threads: Vec<_> = threads.collect();
        (!threads.is_empty()).then_some(Self { shared, threads })
    }

    /// The walk comes to a folder: what was found of it, once that is known, or what is found of it now.
    /// `path` is where it stands in the tree, by the names that it has there.
    ///
    /// Nothing where that failed: the walk tries it in its own way, and says why.
    pub(crate) fn come_to(
        &self,
        path: &StoredPath,
        folder: impl FnOnce() -> Folder,
    ) -> Option<ListedFolder> {
        let shared = &self.shared;
        let mut state = shared.lock();
        state.move_to(path);
        while state.under_way.contains(path) {
            state = shared
                .listed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(path);
        let found = state.listed.remove(path);
        // Others may go farther now.
        shared.more.notify_one();
        if let Some(found) = found {
            return found;
        }
        drop(state);
        let (listed, folders) = list(folder(), shared.asks, &|| false).ok()?;
        let mut state = shared.lock();
        state.wait_for(path, &listed.folder, &folders);
        shared.more.notify_one();
        Some(listed)
    }
}

impl Drop for FoldersAhead {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.more.notify_all();
        for thread in self.threads.drain(..) {
            // What one of them could not do the walk did.
            let _ = thread.join();
        }
    }
}

impl State {
    fn move_to(&mut self, path: &StoredPath) {
        self.at = path.to_owned();
        self.waiting = self.waiting.split_off(path);
        self.listed = self.listed.split_off(path);
    }

    /// The folders of these names in a folder may be asked for.
    fn wait_for(&mut self, path: &StoredPath, folder: &Folder, names: &[OsString]) {
        for name in names.iter().take(LOOKS) {
            let below = path.join(bytes(name));
            if below > self.at {
                self.waiting.insert(below, folder.child(name));
            }
        }
        while self.waiting.len() > WAITING {
            self.waiting.pop_last();
        }
    }

    /// The next folder to ask for, unless that is too far ahead.
    fn next(&mut self) -> Option<(StoredPathBuf, Folder)> {
        let nearest = self.waiting.keys().next()?;
        let ahead = self.under_way.len() + self.listed.len();
        let is_before_others = self
            .listed
            .keys()
            .next_back()
            .is_some_and(|last| nearest < last);
        let listed = self.listed.values().flatten();
        let held: usize = listed.map(|one| one.entries.len()).sum();
        if held >= HELD || ahead >= MOST || (ahead >= SOON && !is_before_others) {
            return None;
        }
        let (path, folder) = self.waiting.pop_first()?;
        self.under_way.insert(path.clone());
        Some((path, folder))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's work: lists what comes next, until the walk ends.
    fn work(&self) {
        let mut state = self.lock();
        while !state.ended {
            let Some((path, folder)) = state.next() else {
                state = self
                    .more
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            // Whoever finds something wakes the next one.
            self.more.notify_one();
            let listed = list(folder, self.asks, &|| self.lock().ended).ok();
            state = self.lock();
            state.under_way.remove(&path);
            if let Some((listed, folders)) = &listed {
                state.wait_for(&path, &listed.folder, folders);
            }
            if path >= state.at {
                state.listed.insert(path, listed.map(|(listed, _)| listed));
            }
            self.listed.notify_all();
        }
    }
}

/// Opens and lists a folder; also says which of its entries are folders. Once `is_over` nothing more is asked.
fn list(
    folder: Folder,
    asks: Asks,
    is_over: &dyn Fn() -> bool,
) -> Result<(ListedFolder, Vec<OsString>), Errno> {
    let (dir, stat) = folder.open_and_look()?;
    let mut listed = match folder.above() {
        Some(_) => dir.list_once()?,
        // Others have the same description of it.
        None => dir.list()?,
    };
    let is_unknown = |one: &&mut Listed| one.kind.is_none();
    for one in listed.iter_mut().filter(is_unknown).take(LOOKS) {
        if is_over() {
            break;
        }
        one.kind = dir.stat(&one.name).ok().map(|stat| stat.kind);
    }
    let attributes = (asks == Asks::Attributes).then(|| attributes::of_fd(&*dir));
    let folders = listed.iter().filter(|one| one.is_folder());
    let folders = folders.map(|one| one.name.clone()).collect();
    let listed = ListedFolder {
        dir,
        stat,
        entries: listed,
        attributes,
        folder,
    };
    Ok((listed, folders))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use super::*;
    use crate::sys::Kind;

    fn ahead(asks: Asks) -> FoldersAhead {
        let far = Width::for_distance(2, Duration::from_millis(1));
        FoldersAhead::start(far, asks).unwrap()
    }

    fn top(path: &Path) -> Folder {
        let path = bytes(path.as_os_str()).strip_prefix(b"/").unwrap();
        Folder::top(Dir::root().unwrap().folder_below(path).unwrap())
    }

    /// Walks a tree in its order but for some folders; gives the folders that it met, and how many of them
    /// it was to list itself.
    fn walk(root: Folder, ahead: &FoldersAhead, skip: &str) -> (Vec<StoredPathBuf>, usize) {
        let (mut met, mut own) = (Vec::new(), 0);
        let mut left = vec![(StoredPathBuf::new(), root)];
        while let Some((path, folder)) = left.pop() {
            let dir = folder.open().unwrap();
            let mut names = dir.names().unwrap();
            let itself = || {
                own += 1;
                folder.clone()
            };
            let found = ahead.come_to(&path, itself).unwrap();
            assert_eq!(found.stat, dir.stat_self().unwrap());
            for one in &found.entries {
                assert_eq!(one.kind, Some(dir.stat(&one.name).unwrap().kind));
            }
            let listed = found.entries.into_iter().map(|one| one.name);
            let mut listed: Vec<_> = listed.collect();
            listed.sort_unstable();
            assert_eq!(listed, names);
            names.reverse();
            for name in names {
                let below = path.join(bytes(&name));
                let is_folder = dir.stat(&name).unwrap().kind == Kind::Folder;
                if is_folder && !below.shown().contains(skip) {
                    left.push((below, folder.child(&name)));
                }
            }
            met.push(path);
        }
        (met, own)
    }

    #[test]
    fn each_folder_is_found_as_the_walk_would_find_it_whatever_is_passed_over() {
        let temporary = tempfile::tempdir().unwrap();
        for at in 0..600 {
            let path = format!("{}/{}/{}", at % 7, at % 50, at);
            fs::create_dir_all(temporary.path().join(path)).unwrap();
        }
        fs::write(temporary.path().join("3/file"), "x").unwrap();
        let mut all = Vec::new();
        for skip in ["none of them", "/3", "1"] {
            let ahead = ahead(Asks::Kinds);
            let (met, own) = walk(top(temporary.path()), &ahead, skip);
            assert!(met.is_sorted());
            assert!(own >= 1);
            let is_met = |path: &&StoredPathBuf| !path.shown().contains(skip);
            if all.is_empty() {
                all.clone_from(&met);
            }
            assert_eq!(met, all.iter().filter(is_met).cloned().collect::<Vec<_>>());
            // What was passed over keeps no folder open, and keeps nobody from going ahead.
            let state = ahead.shared.lock();
            let at = met.last().unwrap();
            assert!(state.listed.keys().all(|path| path >= at), "{skip}");
            drop(state);
        }
    }

    #[test]
    fn threads_go_ahead_and_not_too_far() {
        let temporary = tempfile::tempdir().unwrap();
        for at in 0..500 {
            fs::create_dir(temporary.path().join(format!("{at:03}"))).unwrap();
        }
        let root = top(temporary.path());
        let ahead = ahead(Asks::Attributes);
        let whole = ahead.come_to(StoredPath::root(), || root.clone());
        assert_eq!(whole.unwrap().entries.len(), 500);
        let mut state = ahead.shared.lock();
        while state.listed.len() < SOON {
            state = ahead.shared.listed.wait(state).unwrap();
        }
        assert_eq!((state.listed.len(), state.under_way.len()), (SOON, 0));
        assert_eq!(state.waiting.len(), 500 - SOON);
        drop(state);
        // The nearest are those.
        let itself = || panic!("it was listed");
        let found = ahead.come_to(StoredPath::new(b"100"), itself).unwrap();
        let own = attributes::of_fd(&*found.dir);
        assert_eq!(found.attributes, Some(own));
    }

    #[test]
    fn what_cannot_be_listed_is_left_to_the_walk() {
        let temporary = tempfile::tempdir().unwrap();
        let root = top(temporary.path());
        let ahead = ahead(Asks::Kinds);
        let gone = root.child("gone".as_ref());
        assert!(ahead.come_to(StoredPath::new(b"gone"), || gone).is_none());
        let mut state = ahead.shared.lock();
        state.wait_for(StoredPath::root(), &root, &["lost".into(), "other".into()]);
        ahead.shared.more.notify_one();
        while state.listed.len() < 2 {
            state = ahead.shared.listed.wait(state).unwrap();
        }
        drop(state);
        let itself = || panic!("it was tried");
        assert!(ahead.come_to(StoredPath::new(b"lost"), itself).is_none());
    }

    #[test]
    fn on_a_disk_of_this_machine_nobody_goes_ahead() {
        assert!(FoldersAhead::start(Width::fixed(8), Asks::Kinds).is_none());
    }
}
