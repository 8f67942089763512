//! A restore job says what is restored and where to; planning and restoring share it.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc};

use rustix::io::Errno;
use schema::{StoredPath, StoredPathBuf, escape::display};

use super::{
    choice::Choice,
    item::RestoreItem,
    lookup::{self, FoundEntry},
    place::{self, RestoreTarget},
    recorded::RecordedSnapshot,
    source::RestoreSource,
    vouching::{self, Vouching},
};
use crate::{
    ahead::{Asks, FoldersAhead},
    error::{Error, ErrorKind, Result},
    event::{Context, Stop},
    leases::LeasePatience,
    names::StoredNames,
    store::Store,
    sys::{Dir, Kind, Stat, resolve},
    width::Width,
};

/// What is restored, and where to.
pub(super) struct RestoreJob<'a> {
    pub(super) store: &'a Store,
    pub(super) from: &'a RecordedSnapshot<'a>,
    /// Names that stand for others below what is restored.
    pub(super) names: Arc<StoredNames>,
    pub(super) found: FoundEntry,
    pub(super) place: RestoreTarget,
    pub(super) overwrite: bool,
    pub(super) choice: Choice,
    pub(super) through: Vec<Vec<u8>>,
    /// How far the manifest is to be trusted.
    pub(super) vouching: Vouching,
    /// For stored files on which their owners hold leases.
    pub(super) leases: LeasePatience,
}

impl<'a> RestoreJob<'a> {
    #[expect(clippy::too_many_arguments, reason = "all that a restore is about")]
    pub(super) fn new(
        from: &'a RecordedSnapshot<'a>,
        folder: &str,
        tree: &Dir,
        path: StoredPathBuf,
        target: &[u8],
        overwrite: bool,
        mut choice: Choice,
        through: Vec<Vec<u8>>,
    ) -> Result<Self> {
        choice.only.sort();
        choice.only.dedup();
        let store = from.store;
        let names = from.names()?;
        let found = lookup::find(tree, path, folder, &names, || from.manifest())?;
        let place = place::inspect_target(target, store, through.iter().any(Vec::is_empty))?;
        place::check_kinds(&place, &found)?;
        Ok(Self {
            store,
            from,
            names: Arc::new(names.below(&found.path)),
            found,
            place,
            overwrite,
            choice,
            through,
            vouching: Vouching::Sealed,
            leases: LeasePatience::default(),
        })
    }

    /// The same with how far the snapshot's manifest is to be trusted.
    ///
    /// # Errors
    /// A refusal if what is to be restored itself is not in the manifest; an interruption.
    pub(super) fn judged(mut self, stop: &Stop) -> Result<Self> {
        self.vouching = Vouching::of(self.from, stop)?;
        vouching::check_listed(&self.found, self.from.manifest()?)?;
        Ok(self)
    }

    /// How many threads copy: as many as the side asks for that is farther away.
    pub(super) fn width(&self, context: &Context<'_>) -> Width {
        let from = context.width_on(&self.found.parent);
        let to = context.width_on(&self.place.parent);
        from.or_wider(to)
    }

    pub(super) fn source(&self, context: &Context<'_>) -> Result<RestoreSource> {
        let manifest = self.from.manifest()?;
        // Of some entries alone most folders are passed over.
        let is_tree = self
            .found
            .stat
            .is_some_and(|stat| stat.kind == Kind::Folder)
            && self.choice.only.is_empty();
        let width = is_tree.then(|| context.width_on(&self.found.parent));
        let ahead = width.and_then(|width| FoldersAhead::start(width, Asks::Kinds));
        RestoreSource::new(
            &self.found,
            manifest,
            &self.names,
            &self.choice,
            &self.place.can,
            self.vouching == Vouching::Sealed,
            ahead,
        )
    }

    /// The folder that a symlink of the target leads to, where the snapshot was made through it.
    pub(super) fn through(
        &self,
        path: &StoredPath,
        there: &Stat,
    ) -> std::result::Result<Option<Dir>, Errno> {
        if there.kind != Kind::Symlink || !self.through.iter().any(|through| **through == **path) {
            return Ok(None);
        }
        let whole = Path::new(OsStr::from_bytes(&self.place.path)).join(OsStr::from_bytes(path));
        // As the source was resolved: only through symlinks that root or we made.
        let found = resolve::resolve(&whole)?;
        if found.stat.kind != Kind::Folder {
            return Ok(None);
        }
        let folder = found.folder()?;
        let is_outside = place::check_outside(folder.again()?, self.store, &self.place.shown);
        Ok(is_outside.is_ok().then_some(folder))
    }

    /// A path below the target, for messages.
    pub(super) fn in_target(&self, path: &StoredPath) -> String {
        if path.is_empty() {
            return self.place.shown.clone();
        }
        format!(
            "{}/{}",
            self.place.shown.trim_end_matches('/'),
            display(path)
        )
    }

    /// The same, which becomes text only where there is something to say of it.
    pub(super) fn shown_path<'s>(&'s self, path: &'s StoredPath) -> ShownPath<'s> {
        ShownPath { job: self, path }
    }

    /// Refuses the destination, met below the target.
    pub(super) fn check_folder(&self, folder: &Dir, path: &StoredPath) -> Result<()> {
        let io = |error: Errno| Error::io("look at", self.in_target(path).as_bytes(), error);
        let root = self.store.root.stat_self().map_err(io)?;
        if folder.stat_self().map_err(io)?.same_inode(&root) {
            return Err(Error::refused(format!(
                "{} is the destination itself",
                self.in_target(path)
            ))
            .hint("restore a path that does not lead into the destination"));
        }
        Ok(())
    }
}

/// A path below the target.
#[derive(Clone, Copy)]
pub(super) struct ShownPath<'a> {
    job: &'a RestoreJob<'a>,
    path: &'a StoredPath,
}

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, into: &mut fmt::Formatter<'_>) -> fmt::Result {
        into.write_str(&self.job.in_target(self.path))
    }
}

/// What the names of one file share: the manifest's number, or else the inode.
pub(super) fn inode_group(item: &RestoreItem) -> Option<(u64, u64)> {
    if item.wanted.kind == Kind::Folder {
        return None;
    }
    match (item.wanted.group, &item.looks) {
        // No device has this number.
        (Some(group), _) => Some((u64::MAX, group)),
        (None, Some(stat)) if !item.listed && stat.nlink > 1 => Some((stat.dev, stat.ino)),
        _ => None,
    }
}

/// The same interruption with what to do about it here.
pub(super) fn restore_interrupted(error: Error) -> Error {
    if error.kind != ErrorKind::Interrupted {
        return error;
    }
    error.with_hint("run the same restore again: it goes on where it stopped")
}
