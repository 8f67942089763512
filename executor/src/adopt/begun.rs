//! Moves a tree to where it belongs: into the folders above it, then to its place in a tier.
//!
//! A tree whose content began at `/` is renamed once. One that was of `/home` gets a `home` around
//! it first: that frame is made in `.backup/adopt`, with a note of what is to come into it, so that
//! a killed adoption is known and ended. No other step looks there.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use schema::{StoredPath, StoredPathBuf, escape::unescape, plan::AdoptTree};

use crate::{
    error::{Error, Result},
    manifest::Entry,
    steps::by_time::link_by_time,
    store::{ADOPT as AREA, BACKUP, Store, read_json, write_record},
    sys::{Dir, Kind, open, stat::Nanos},
};

/// The frame of a tree and its place.
pub(super) struct Frame<'a> {
    store: &'a Store,
    tree: &'a AdoptTree,
    name: String,
    /// Path of the tree in the snapshot.
    at: StoredPathBuf,
}

impl<'a> Frame<'a> {
    pub(super) fn new(store: &'a Store, tree: &'a AdoptTree) -> Result<Self> {
        let at = unescape(&tree.at).filter(|at| {
            let mut parts = at.split(|byte| *byte == b'/');
            at.is_empty() || parts.all(|part| !matches!(part, b"" | b"." | b".."))
        });
        Ok(Self {
            store,
            tree,
            name: tree.id.to_string(),
            at: at
                .ok_or_else(|| Error::failed(format!("{} is no path", tree.at)))?
                .into(),
        })
    }

    pub(super) fn at(&self) -> &StoredPath {
        &self.at
    }

    /// Path in the snapshot of the folder that holds the tree.
    fn above(&self) -> &StoredPath {
        self.at.parent().unwrap_or_default()
    }

    fn io(&self, error: Errno) -> Error {
        let path = format!("{BACKUP}/{AREA}/{}", self.name);
        self.store.io("make", &path, error)
    }

    fn note(&self) -> String {
        format!("{}.json", self.name)
    }

    /// Whether the tree is in its frame, and only its place is missing.
    pub(super) fn is_full(&self) -> Result<bool> {
        if self.at.is_empty() {
            return Ok(false);
        }
        let area = self.store.area(AREA)?;
        let path = StoredPath::new(&self.name).join(&*self.at);
        match area.descend(&path) {
            Ok((dir, name)) => Ok(dir.look(name).map_err(|error| self.io(error))?.is_some()),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Makes the folders above the tree.
    pub(super) fn make(&self) -> Result<()> {
        if self.at.is_empty() {
            return Ok(());
        }
        let io = |error| self.io(error);
        let area = self.store.area(AREA)?;
        let path = self
            .store
            .named(&format!("{BACKUP}/{AREA}/{}", self.note()));
        write_record(&area, &self.note(), &path, self.tree)?;
        let mut dir = area
            .folder_or_new(OsStr::new(&self.name), 0o755)
            .map_err(io)?;
        for part in self.above().names() {
            dir = dir
                .folder_or_new(OsStr::from_bytes(part), 0o755)
                .map_err(io)?;
        }
        Ok(())
    }

    /// The entries of the folders above the tree, the snapshot's own first.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mtime = self.time();
        self.folders(|path, dir| {
            entries.push(Entry {
                mtime,
                ..Entry::of(path, &dir.stat_self()?)
            });
            Ok(())
        })?;
        Ok(entries)
    }

    /// The time that the folders above the tree get: no source had them.
    fn time(&self) -> Nanos {
        Nanos::from(self.tree.started_at.timestamp()) * 1_000_000_000
    }

    /// Visits the folders above the tree with their paths in the snapshot, its own first.
    fn folders(
        &self,
        mut each: impl FnMut(&StoredPath, &Dir) -> std::result::Result<(), Errno>,
    ) -> Result<()> {
        if self.at.is_empty() {
            return Ok(());
        }
        let io = |error| self.io(error);
        let area = self.store.area(AREA)?;
        let mut dir = area.folder(OsStr::new(&self.name)).map_err(io)?;
        let mut path = StoredPathBuf::new();
        each(&path, &dir).map_err(io)?;
        for part in self.above().names() {
            dir = dir.folder(OsStr::from_bytes(part)).map_err(io)?;
            path.push(part);
            each(&path, &dir).map_err(io)?;
        }
        Ok(())
    }

    /// Renames the tree into its frame; without one, to its place.
    pub(super) fn take(&self, parent: &Dir, name: &OsStr, inode: u64) -> Result<()> {
        let from = &self.tree.from;
        let error = |error: Errno| {
            let failed = self.store.io("move to", &self.place(), error);
            match error {
                Errno::XDEV => failed.hint(format!(
                    "{from} is on another file system or a mount of its own, and nothing is copied"
                )),
                Errno::EXIST => failed.hint("something has that name: move it away first"),
                _ => failed,
            }
        };
        let moved = parent.stat(name).map_err(error)?;
        if moved.ino != inode || moved.kind != Kind::Folder {
            return Err(
                Error::refused(format!("{from} was exchanged while it was read"))
                    .hint("another tool was at work: stop it, then run this again"),
            );
        }
        let (dir, to) = if self.at.is_empty() {
            (self.tier()?, OsStr::new(&self.name).to_owned())
        } else {
            let path = StoredPath::new(&self.name).join(&*self.at);
            let (dir, to) = self.store.area(AREA)?.descend(&path).map_err(error)?;
            (dir, to.to_owned())
        };
        let same_place = |there: crate::sys::Stat| there.ino == inode && there.dev == moved.dev;
        // In a tier under its own name it is where it belongs.
        if !dir.look(&to).map_err(error)?.is_some_and(same_place) {
            parent.rename_new(name, &dir, &to).map_err(error)?;
        }
        for dir in [parent, &dir] {
            dir.sync().map_err(error)?;
        }
        Ok(())
    }

    /// Gives a tree in its frame its place.
    pub(super) fn publish(&self) -> Result<()> {
        self.give_place()?;
        link_by_time(self.store, self.tree.id, self.tree.home);
        Ok(())
    }

    fn give_place(&self) -> Result<()> {
        if self.at.is_empty() {
            return Ok(());
        }
        let error = |error: Errno| {
            self.store
                .io("move to", &self.place(), error)
                .hint("move away what has that name, then run this again: it ends what was begun")
        };
        // The tree's coming moved one of them.
        let time = self.time();
        self.folders(|_, dir| open::set_mtime(dir, time))?;
        let (area, tier) = (self.store.area(AREA)?, self.tier()?);
        let name = OsStr::new(&self.name);
        area.rename_new(name, &tier, name).map_err(error)?;
        for dir in [&tier, &area] {
            dir.sync().map_err(error)?;
        }
        match area.remove_file(OsStr::new(&self.note())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(fault) => Err(error(fault)),
        }
    }

    fn place(&self) -> String {
        format!("{}/{}", self.tree.home, self.name)
    }

    fn tier(&self) -> Result<Dir> {
        let name = self.tree.home.folder();
        let root = &self.store.root;
        let mode = root.stat_self().map_err(|error| self.io(error))?.mode;
        root.folder_or_new(OsStr::new(name), mode)
            .map_err(|error| self.store.io("make", name, error))
    }
}

/// Trees that an adoption has moved into their frames and not to their places.
///
/// # Errors
/// Fails if the destination cannot be read.
pub fn begun_adoptions(store: &Store) -> Result<Vec<AdoptTree>> {
    let area = match store.backup.folder(OsStr::new(AREA)) {
        Ok(area) => area,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(store.io("open", &format!("{BACKUP}/{AREA}"), error)),
    };
    let names = area
        .names()
        .map_err(|error| store.io("list", &format!("{BACKUP}/{AREA}"), error))?;
    let mut begun = Vec::new();
    for name in names.iter().filter_map(|name| name.to_str()) {
        if name.ends_with(".json") && !name.starts_with('.') {
            let path = store.named(&format!("{BACKUP}/{AREA}/{name}"));
            let tree: Option<AdoptTree> = read_json(&area, name, &path).unwrap_or_default();
            if let Some(tree) = tree
                && Frame::new(store, &tree)?.is_full()?
            {
                begun.push(tree);
            }
        }
    }
    Ok(begun)
}
