//! Folders of one tree, of any number and depth, with few open descriptors.
//!
//! A [`Folder`] knows its name in the folder above it and which inode it is. It is opened when it
//! is needed and stays open while it is among the last that were, so that neither a deep nor a wide
//! tree runs out of descriptors, and nothing recurses.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::io::Errno;

use super::{Dir, Kind, Stat, attributes};

/// Folders of a tree that stay open at most, besides those that someone holds.
const OPEN: usize = 400;

/// Nobody but the owner may do anything.
const CLOSED: u32 = 0o700;

/// Folders to open one after the other from which on it is a long way.
const LONG_WAY: usize = 128;

/// A folder of a tree.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Node>);

/// What may stand in the place of a folder that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// Nothing.
    Nothing,
    /// What an interrupted run left: a folder is taken over without its attributes, all else removed.
    Leftover,
    /// The same folder of the basis, in a clone of it: it is as it should be.
    Clone,
}

#[derive(Debug)]
struct Node {
    above: Option<Folder>,
    name: OsString,
    /// Device and inode number, once it was opened or where it is known before.
    inode: OnceLock<(u64, u64)>,
    /// It was made through this very node.
    made: OnceLock<()>,
    open: Mutex<Option<Arc<Dir>>>,
    /// One thread at a time makes it.
    making: Mutex<()>,
    /// What is made may be there already.
    takeover: Takeover,
    /// Its mode or its attributes were changed to work in it.
    changed: AtomicBool,
    /// Nothing may be mounted on it.
    is_here: bool,
    /// The permission bits that it is made with.
    mode: u32,
    /// What the kernel said of it when it was opened first.
    looks: OnceLock<Stat>,
    open_folders: Arc<Mutex<VecDeque<Weak<Node>>>>,
}

impl Folder {
    /// The top of a tree, which stays open.
    #[must_use]
    pub fn top(dir: Dir) -> Self {
        Self::top_of(Arc::new(dir))
    }

    /// The top of a tree that someone else holds open, too.
    #[must_use]
    pub fn top_of(dir: Arc<Dir>) -> Self {
        Self(Arc::new(Node {
            above: None,
            name: OsString::new(),
            inode: OnceLock::new(),
            made: OnceLock::new(),
            open: Mutex::new(Some(dir)),
            making: Mutex::default(),
            takeover: Takeover::Nothing,
            changed: AtomicBool::new(false),
            is_here: false,
            mode: CLOSED,
            looks: OnceLock::new(),
            open_folders: Arc::default(),
        }))
    }

    /// The top of a tree that is being made; `takeover` says what it may hold already.
    #[must_use]
    pub fn top_to_make(dir: Dir, takeover: Takeover) -> Self {
        let mut top = Self::top(dir);
        if let Some(node) = Arc::get_mut(&mut top.0) {
            node.takeover = takeover;
        }
        top
    }

    /// A folder in this one, not opened yet.
    #[must_use]
    pub fn child(&self, name: &OsStr) -> Self {
        self.child_of(name, false, self.0.takeover)
    }

    /// A folder in this one that is to be made, where something else may stand in its place than in
    /// that of this one.
    #[must_use]
    pub fn child_to_make(&self, name: &OsStr, takeover: Takeover) -> Self {
        self.child_of(name, false, takeover)
    }

    /// A folder in this one on which nothing may be mounted when it is opened: that is `EXDEV`.
    #[must_use]
    pub fn child_here(&self, name: &OsStr) -> Self {
        self.child_of(name, true, self.0.takeover)
    }

    fn child_of(&self, name: &OsStr, is_here: bool, takeover: Takeover) -> Self {
        Self(Arc::new(Node {
            above: Some(self.clone()),
            name: name.to_owned(),
            inode: OnceLock::new(),
            made: OnceLock::new(),
            open: Mutex::new(None),
            making: Mutex::default(),
            takeover,
            changed: AtomicBool::new(false),
            is_here,
            mode: CLOSED,
            looks: OnceLock::new(),
            open_folders: Arc::clone(&self.0.open_folders),
        }))
    }

    /// The same folder, which must be the inode it was: opening another one is `ESTALE`.
    #[must_use]
    pub fn known_as(self, inode: (u64, u64)) -> Self {
        let _ = self.0.inode.set(inode);
        self
    }

    /// The same folder, which gets these permission bits when it is made; its owner may do all in it
    /// meanwhile. For trees that nobody else gets to.
    #[must_use]
    pub fn made_with(mut self, mode: u32) -> Self {
        if let Some(node) = Arc::get_mut(&mut self.0) {
            node.mode = mode & 0o777 | CLOSED;
        }
        self
    }

    /// What the kernel said of it when it was opened first, just after it was made if it was.
    #[must_use]
    pub fn looks(&self) -> Option<&Stat> {
        self.0.looks.get()
    }

    /// The folder above; none for the top.
    #[must_use]
    pub fn above(&self) -> Option<&Self> {
        self.0.above.as_ref()
    }

    /// Its name in the folder above; empty for the top.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.0.name
    }

    /// Opens the folder, or gives the descriptor that is open, with what the kernel said of it when it was
    /// opened first.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_and_look(&self) -> Result<(Arc<Dir>, Stat), Errno> {
        let dir = self.open()?;
        let stat = self.looks().copied().map_or_else(|| dir.stat_self(), Ok)?;
        Ok((dir, stat))
    }

    /// Opens the folder, or gives the descriptor that is open.
    ///
    /// # Errors
    /// Fails if the folder cannot be opened; `ESTALE` if another folder has its place now.
    pub fn open(&self) -> Result<Arc<Dir>, Errno> {
        if let Some(dir) = &*self.slot() {
            return Ok(Arc::clone(dir));
        }
        // The nearest folder above that is open, and the way from there.
        let mut way = vec![self];
        let mut above = self.above();
        let mut dir = loop {
            let folder = above.ok_or(Errno::BADF)?;
            if let Some(dir) = &*folder.slot() {
                break Arc::clone(dir);
            }
            way.push(folder);
            above = folder.above();
        };
        // Of a long way the last part is kept open: whoever comes from far below goes up it next.
        if way.len() > LONG_WAY {
            let far = way.split_off(LONG_WAY);
            dir = Arc::new(open_below(&dir, &far)?);
            for folder in way.drain(1..).rev() {
                dir = folder.keep(open_below(&dir, &[folder])?)?;
            }
        }
        self.keep(open_below(&dir, &way)?)
    }

    /// Opens the folder, making it and those above it where they are missing.
    ///
    /// In a tree that is continued a folder that is there is taken over, and what has the name and
    /// is no folder is removed.
    ///
    /// # Errors
    /// Fails if the folder cannot be made or opened; `EEXIST` if something else has the name that this run made.
    pub fn open_or_make(&self) -> Result<Arc<Dir>, Errno> {
        if let Some(dir) = &*self.slot() {
            return Ok(Arc::clone(dir));
        }
        let mut below = vec![self];
        let mut dir = loop {
            let Some(above) = below.last().and_then(|folder| folder.above()) else {
                return Err(Errno::BADF);
            };
            if let Some(dir) = &*above.slot() {
                break Arc::clone(dir);
            }
            below.push(above);
        };
        for folder in below.into_iter().rev() {
            dir = folder.make_in(&dir)?;
        }
        Ok(dir)
    }

    /// Takes away again what [`Self::open_or_make`] has made and could not open.
    pub fn unmake(&self, above: &Dir) {
        if self.is_new() {
            let _ = above.remove_folder(self.name());
        }
    }

    fn make_in(&self, above: &Dir) -> Result<Arc<Dir>, Errno> {
        let _making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = &*self.slot() {
            return Ok(Arc::clone(dir));
        }
        let name = self.name();
        while !self.is_new() {
            match above.make_folder(name, self.0.mode) {
                Ok(()) => {
                    let _ = self.0.made.set(());
                }
                Err(Errno::EXIST) => {
                    // In a folder that this run made it can only be another entry of the source.
                    let fresh = self.above().is_some_and(Self::is_new);
                    if fresh || self.0.takeover == Takeover::Nothing {
                        return Err(Errno::EXIST);
                    }
                    let Some(there) = above.look(name)? else {
                        continue;
                    };
                    if there.kind == Kind::Folder {
                        // An interrupted run may have closed it even to its owner, as the source may be.
                        if there.mode & CLOSED != CLOSED && !self.may_enter_anyway() {
                            above.set_mode_of(name, CLOSED)?;
                            self.0.changed.store(true, Ordering::Relaxed);
                        }
                        break;
                    }
                    above.remove_file(name)?;
                }
                Err(error) => return Err(error),
            }
        }
        let dir = above.folder(name)?;
        if !self.is_new() && attributes::clear_attributes(&dir) {
            self.0.changed.store(true, Ordering::Relaxed);
        }
        self.keep(dir)
    }

    /// Whether no mode keeps whoever runs this from a folder of a clone, which keeps its own.
    fn may_enter_anyway(&self) -> bool {
        self.0.takeover == Takeover::Clone && rustix::process::geteuid().is_root()
    }

    /// Whether [`Self::open_or_make`] changed its mode or its attributes to work in it.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.0.changed.load(Ordering::Relaxed)
    }

    /// Whether it was made new by [`Self::open_or_make`].
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.0.made.get().is_some()
    }

    fn keep(&self, dir: Dir) -> Result<Arc<Dir>, Errno> {
        let stat = dir.stat_self()?;
        let inode = (stat.dev, stat.ino);
        let _ = self.0.looks.set(stat);
        if *self.0.inode.get_or_init(|| inode) != inode {
            return Err(Errno::STALE);
        }
        let dir = Arc::new(dir);
        *self.slot() = Some(Arc::clone(&dir));
        let mut open_folders = self
            .0
            .open_folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open_folders.push_back(Arc::downgrade(&self.0));
        let oldest = if open_folders.len() > OPEN {
            open_folders.pop_front().and_then(|oldest| oldest.upgrade())
        } else {
            None
        };
        drop(open_folders);
        if let Some(oldest) = oldest.map(Self) {
            oldest.slot().take();
        }
        Ok(dir)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Dir>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the first of some folders, each of which is in the one after it.
fn open_below(dir: &Dir, way: &[&Folder]) -> Result<Dir, Errno> {
    let path = |way: &[&Folder]| {
        let names: Vec<&[u8]> = way.iter().rev().map(|one| one.name().as_bytes()).collect();
        names.join(&b'/')
    };
    // Below the last one that something may be mounted on.
    let here = way.iter().take_while(|folder| folder.0.is_here).count();
    match way.split_at(here) {
        ([], way) => dir.folder_below(&path(way)),
        (here, []) => dir.folder_here(&path(here)),
        (here, above) => dir.folder_below(&path(above))?.folder_here(&path(here)),
    }
}

impl Drop for Node {
    /// A chain of a hundred thousand folders must not be dropped by as many nested calls.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(Folder(node)) = above {
            above = Arc::into_inner(node).and_then(|mut node| node.above.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::resolve::resolve;

    fn top(folder: &std::path::Path) -> Folder {
        Folder::top(resolve(folder).unwrap().folder().unwrap())
    }

    #[test]
    fn a_chain_of_many_thousand_folders_needs_few_descriptors_and_no_stack() {
        let temporary = tempfile::tempdir().unwrap();
        let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let mut folder = top(temporary.path());
        let mut first = None;
        for _ in 0..5000 {
            folder = folder.child("d".as_ref());
            folder.open_or_make().unwrap();
            first.get_or_insert_with(|| folder.clone());
        }
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
        assert!(open < before + 2 * OPEN, "{open}");
        assert!(
            first
                .unwrap()
                .open()
                .unwrap()
                .look("d".as_ref())
                .unwrap()
                .is_some()
        );
        // Opened again from the one that is still open, thousands of levels above.
        let last = top(temporary.path());
        let again = (0..5000).fold(last, |folder, _| folder.child("d".as_ref()));
        assert_eq!(
            again.open().unwrap().stat_self().unwrap().ino,
            folder.open().unwrap().stat_self().unwrap().ino
        );
        drop(folder);
        let dir = resolve(temporary.path()).unwrap().folder().unwrap();
        let stop = crate::event::Stop::default();
        let context = crate::event::Context::silent(&stop);
        crate::remove::remove_tree(&dir, "d".as_ref(), "d", context).unwrap();
    }

    #[test]
    fn another_folder_or_a_symlink_in_the_place_of_one_is_not_opened() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        let a = top(path).child("a".as_ref());
        let stat = a.open().unwrap().stat_self().unwrap();
        let known = top(path).child("a".as_ref());
        let known = known.known_as((stat.dev, stat.ino));
        let b = top(path)
            .child_here("a".as_ref())
            .known_as((stat.dev, stat.ino))
            .child("b".as_ref());
        std::fs::rename(path.join("a"), path.join("old")).unwrap();
        std::fs::create_dir(path.join("a")).unwrap();
        assert_eq!(known.open().unwrap_err(), Errno::STALE);
        std::fs::remove_dir(path.join("a")).unwrap();
        std::os::unix::fs::symlink("old", path.join("a")).unwrap();
        assert!(known.open().is_err());
        assert!(b.open().is_err());
    }

    #[test]
    fn what_an_interrupted_run_left_in_the_way_of_a_folder_goes_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join("a"), "x").unwrap();
        let open = || resolve(temporary.path()).unwrap().folder().unwrap();
        let a = Folder::top_to_make(open(), Takeover::Nothing).child("a".as_ref());
        assert_eq!(a.open_or_make().unwrap_err(), Errno::EXIST);
        let a = Folder::top_to_make(open(), Takeover::Leftover).child("a".as_ref());
        a.child("b".as_ref()).open_or_make().unwrap();
        assert!(a.is_new());
        assert!(temporary.path().join("a/b").is_dir());
        // Taken over once, and not by another entry of the folder that was made.
        let again = Folder::top_to_make(open(), Takeover::Leftover).child("a".as_ref());
        again.open_or_make().unwrap();
        assert!(!again.is_new());
        let other = a.child("b".as_ref());
        assert_eq!(other.open_or_make().unwrap_err(), Errno::EXIST);
    }
}
