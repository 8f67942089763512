//! Walking a tree by directory descriptors, in the manifest's order, one entry at a time.
//!
//! What restores and leftovers are walked by; sources are surveyed. No recursion, and few open
//! descriptors: depth costs memory only.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    sync::Arc,
};

use schema::{StoredPath, StoredPathBuf};

use crate::{
    ahead::{FoldersAhead, ListedFolder},
    names::StoredNames,
    survey::Bounds,
    sys::{Dir, Folder, Kind, Listed, Stat, bytes},
};
use rustix::io::Errno;

/// What the walk met.
#[derive(Debug)]
pub enum Visit {
    /// A folder, before its content; [`Walk::folder`] is the folder itself.
    Enter(Stat),
    /// The same folder, after its content.
    Leave(Stat),
    /// Anything else.
    Leaf(Stat),
    /// The same, of a kind that its folder tells: it was not looked at.
    Listed(Kind),
    /// An entry that a pattern leaves out.
    Excluded,
    /// A mount point that is not crossed; the folder itself belongs to the source.
    MountPoint(Stat),
    /// The destination, met inside a source.
    Destination,
    /// An entry that cannot be looked at. For a folder that is there but cannot be opened, what
    /// the kernel says of it.
    Unreadable(Option<Stat>, Errno),
    /// An entry that was listed and then was not there.
    Vanished,
}

/// Folders on the way down that stay open; those above are opened again on the way up.
const OPEN: usize = 64;

struct Frame {
    folder: Folder,
    dir: Option<Arc<Dir>>,
    stat: Stat,
    /// The entries still to visit by their own names, last first, and what the folder says that they are.
    names: Vec<(OsString, Option<Kind>)>,
    /// Length of the walk's path when this folder was entered.
    path_length: usize,
    /// Where it stands below the walk's root, by the names that it has there; only where threads go ahead.
    stored: StoredPathBuf,
}

/// A walk through one source.
pub struct Walk<'a> {
    bounds: Bounds<'a>,
    root: Folder,
    root_dir: Arc<Dir>,
    root_name: OsString,
    started: bool,
    root_mount: u64,
    stack: Vec<Frame>,
    path: StoredPathBuf,
    /// Name of the current entry in its folder, which its path may not have.
    name: OsString,
    names: Arc<StoredNames>,
    ahead: Option<FoldersAhead>,
    /// What a folder says of an entry's kind is enough.
    by_kind: bool,
    /// The current entry's folder is the last frame but one after `Enter`.
    entered: bool,
    /// Why the rest of the last folder is lost.
    lost: Option<Errno>,
}

impl<'a> Walk<'a> {
    /// A walk of the entry `name` of `dir`; `root` is what the kernel says of that entry.
    #[must_use]
    pub fn new(dir: Dir, name: OsString, root: &Stat, bounds: Bounds<'a>) -> Self {
        let root_dir = Arc::new(dir);
        Self {
            bounds,
            root: Folder::top_of(Arc::clone(&root_dir)),
            root_dir,
            root_name: name,
            started: false,
            root_mount: root.mount,
            stack: Vec::new(),
            path: StoredPathBuf::new(),
            name: OsString::new(),
            names: Arc::default(),
            ahead: None,
            by_kind: false,
            entered: false,
            lost: None,
        }
    }

    /// The same walk of a tree in which some entries stand under other names; paths, and with them
    /// the order, are the true ones. `names` are relative to the walk's root.
    #[must_use]
    pub fn with_names(mut self, names: &Arc<StoredNames>) -> Self {
        self.names = Arc::clone(names);
        self
    }

    /// The same walk with threads that go before it, for a tree that nobody changes.
    #[must_use]
    pub(crate) fn with_ahead(mut self, ahead: Option<FoldersAhead>) -> Self {
        self.ahead = ahead;
        self
    }

    /// The same walk, which looks at no entry whose kind its folder tells: where something else says what
    /// it is to be.
    #[must_use]
    pub(crate) fn by_kind(mut self) -> Self {
        self.by_kind = true;
        self
    }

    /// Path of the current entry relative to the source, its own names in it; empty for the source
    /// itself.
    #[must_use]
    pub fn path(&self) -> &StoredPath {
        &self.path
    }

    /// Name under which the current entry stands in its folder.
    #[must_use]
    pub fn name(&self) -> &OsString {
        &self.name
    }

    /// The current entry's own name.
    #[must_use]
    pub fn own_name(&self) -> OsString {
        if self.path.is_empty() || self.names.is_empty() {
            return self.name.clone();
        }
        OsStr::from_bytes(self.path.file_name()).to_owned()
    }

    /// The folder that holds the current entry.
    #[must_use]
    pub fn parent(&self) -> &Arc<Dir> {
        let depth = self.stack.len() - usize::from(self.entered);
        self.dir(depth.checked_sub(1))
    }

    /// After [`Visit::Enter`]: the folder that was entered.
    #[must_use]
    pub fn folder(&self) -> &Arc<Dir> {
        self.dir(self.stack.len().checked_sub(1))
    }

    fn dir(&self, at: Option<usize>) -> &Arc<Dir> {
        // The last frames are open: see `open_last`.
        at.and_then(|at| self.stack[at].dir.as_ref())
            .unwrap_or(&self.root_dir)
    }

    /// Opens the last folder again where it was closed meanwhile. If it cannot be, the rest of its
    /// content is lost, which is told next.
    fn open_last(&mut self) {
        let Some(frame) = self.stack.last_mut() else {
            return;
        };
        if frame.dir.is_none() {
            match frame.folder.open() {
                Ok(dir) => frame.dir = Some(dir),
                Err(error) => {
                    frame.names.clear();
                    frame.dir = Some(Arc::clone(&self.root_dir));
                    self.lost = Some(error);
                }
            }
        }
    }

    /// After [`Visit::Enter`]: passes the folder's content over; `Leave` still comes.
    pub fn skip_content(&mut self) {
        if let Some(frame) = self.stack.last_mut() {
            frame.names.clear();
        }
    }

    /// The kind that is known of an entry, and how it looks where that has to be asked.
    fn look(&self, listed: Option<Kind>) -> Result<(Kind, Option<Stat>), Errno> {
        let bounds = &self.bounds;
        let is_enough = |kind: &Kind| {
            let is_bounded = bounds.one_file_system || !bounds.never.is_empty();
            self.by_kind && !(*kind == Kind::Folder && is_bounded)
        };
        if let Some(kind) = listed.filter(is_enough) {
            return Ok((kind, None));
        }
        let stat = self.parent().stat(&self.name)?;
        Ok((stat.kind, Some(stat)))
    }

    fn visit(&mut self, is_root: bool, listed: Option<Kind>) -> Visit {
        let (kind, looks) = match self.look(listed) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Visit::Vanished,
            Err(error) => return Visit::Unreadable(None, error),
        };
        let is_folder = kind == Kind::Folder;
        if !is_root
            && self
                .bounds
                .excludes
                .matches(&self.path, is_folder)
                .is_some()
        {
            return Visit::Excluded;
        }
        if !is_folder {
            return looks.map_or(Visit::Listed(kind), Visit::Leaf);
        }
        if let Some(stat) = looks {
            if self.bounds.never.contains(&(stat.dev, stat.ino)) {
                return Visit::Destination;
            }
            if !is_root && self.bounds.one_file_system && stat.mount != self.root_mount {
                return Visit::MountPoint(stat);
            }
        }
        let stored = match (&self.ahead, self.stack.last()) {
            (Some(_), Some(frame)) => frame.stored.join(bytes(&self.name)),
            _ => StoredPathBuf::new(),
        };
        match self.open_and_list(&stored) {
            Ok(listed) => {
                let own = |one: Listed| (self.names.own_name(&self.path, one.name), one.kind);
                let mut names: Vec<_> = listed.entries.into_iter().map(own).collect();
                names.sort_unstable_by(|(a, _), (b, _)| bytes(b).cmp(bytes(a)));
                // What was opened may not be what was looked at.
                let opened = listed.stat;
                if let Some(at) = self.stack.len().checked_sub(OPEN) {
                    self.stack[at].dir = None;
                }
                self.stack.push(Frame {
                    folder: listed.folder,
                    dir: Some(listed.dir),
                    stat: opened,
                    names,
                    path_length: self.path.len(),
                    stored,
                });
                self.entered = true;
                Visit::Enter(opened)
            }
            Err(Errno::NOENT) => Visit::Vanished,
            Err(error) => Visit::Unreadable(looks, error),
        }
    }

    /// Opens and lists the folder at hand, or gives what those who go ahead found of it.
    fn open_and_list(&self, stored: &StoredPath) -> Result<ListedFolder, Errno> {
        let above = self.stack.last().map_or(&self.root, |frame| &frame.folder);
        let ahead = self.ahead.as_ref();
        let listed = ahead.and_then(|ahead| ahead.come_to(stored, || above.child(&self.name)));
        if let Some(listed) = listed {
            return Ok(listed);
        }
        let folder = above.child(&self.name);
        let (dir, stat) = folder.open_and_look()?;
        let listed = dir.list_once()?;
        Ok(ListedFolder {
            folder,
            dir,
            stat,
            entries: listed,
            attributes: None,
        })
    }
}

impl Iterator for Walk<'_> {
    type Item = Visit;

    fn next(&mut self) -> Option<Visit> {
        self.entered = false;
        let is_root = !self.started;
        let mut listed = None;
        if is_root {
            self.started = true;
            self.name.clone_from(&self.root_name);
        } else {
            let frame = self.stack.last_mut()?;
            self.path.truncate(frame.path_length);
            if let Some(error) = self.lost.take() {
                return Some(Visit::Unreadable(None, error));
            }
            let Some((name, kind)) = frame.names.pop() else {
                let frame = self.stack.pop()?;
                self.open_last();
                self.name = if self.stack.is_empty() {
                    self.root_name.clone()
                } else {
                    self.names.stored_name(&self.path).to_owned()
                };
                return Some(Visit::Leave(frame.stat));
            };
            listed = kind;
            self.path.push(bytes(&name));
            self.name = if self.names.is_empty() {
                name
            } else {
                self.names.stored_name(&self.path).to_owned()
            };
        }
        Some(self.visit(is_root, listed))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use schema::pattern::Excludes;

    use super::*;
    use crate::{ahead::Asks, width::Width};

    /// All that a walk meets, but for what is in some folders, as text.
    fn visits(path: &Path, names: &Arc<StoredNames>, ahead: Option<FoldersAhead>) -> Vec<String> {
        let above = bytes(path.parent().unwrap().as_os_str());
        let above = above.strip_prefix(b"/").unwrap();
        let dir = Dir::root().unwrap().folder_below(above).unwrap();
        let name = path.file_name().unwrap();
        let stat = dir.stat(name).unwrap();
        let excludes = Excludes::default();
        let bounds = Bounds {
            excludes: &excludes,
            one_file_system: false,
            never: &[],
        };
        let walk = Walk::new(dir, name.to_owned(), &stat, bounds);
        let mut walk = walk.with_names(names).with_ahead(ahead);
        let mut met = Vec::new();
        while let Some(visit) = walk.next() {
            met.push(format!(
                "{} {:?} {visit:?}",
                walk.path().shown(),
                walk.name()
            ));
            if walk.path().file_name() == b"passed over" && matches!(visit, Visit::Enter(_)) {
                walk.skip_content();
            }
        }
        met
    }

    #[test]
    fn a_walk_with_threads_ahead_of_it_meets_the_same() {
        let temporary = tempfile::tempdir().unwrap();
        let tree = temporary.path().join("tree");
        for at in 0..300 {
            let over = ["kept", "passed over"][usize::from(at % 5 == 0)];
            let folder = tree.join(format!("{}/{over}/{at}", at % 13));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", tree.join("7/link")).unwrap();
        let names = Arc::default();
        let far = Width::for_distance(2, Duration::from_millis(1));
        let ahead = FoldersAhead::start(far, Asks::Kinds);
        assert!(ahead.is_some());
        let met = visits(&tree, &names, ahead);
        assert!(met.len() > 600);
        assert_eq!(met, visits(&tree, &names, None));
    }
}
