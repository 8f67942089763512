//! Restoring an entry of a snapshot: the target becomes that entry, and never holds it.
//!
//! [`plan`] only compares; [`run`] does what the plan says and decides nothing more. Both see the
//! same stream of entries ([`source`]). Never writes to a snapshot, never follows a symlink
//! below the target, never takes anything away: what is in the way is kept aside.

mod belongs;
mod choice;
mod compare;
mod copying;
mod frames;
mod leaves;
mod lookup;
mod make;
mod metadata;
mod names;
mod paths;
mod place;
mod read_back;
mod room;
mod run;
mod scan;
mod source;
mod tally;

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;
use schema::{
    SnapshotId, StoredPath, StoredPathBuf,
    escape::{display, escape, unescape},
    journal::Outcome,
    plan::RestoreStep,
};

use crate::{
    error::{Error, ErrorKind, Result},
    event::Context,
    manifest::{self, Reader},
    names::StoredNames,
    store::Store,
    sys::{Dir, Kind, Stat, bytes, resolve},
};
pub use choice::Choice;
pub use paths::{Selection, select};
pub use room::check_room;

use lookup::Found;
use place::Place;
use source::{Item, Source};

/// What a person wants restored.
pub struct Request<'a> {
    /// The destination.
    pub store: &'a Store,
    /// The snapshot.
    pub snapshot: Option<SnapshotId>,
    /// The folder that holds it, relative to the host's folder, such as `daily/<id>`.
    pub home_folder: &'a str,
    /// The snapshot's tree.
    pub tree: Dir,
    /// The path as it was on the source, with or without the leading slash; `/` for everything.
    pub path: &'a Path,
    /// What becomes the path's content; a relative one is of the current folder.
    pub target: &'a Path,
    /// Replace what differs, keeping the old aside.
    pub overwrite: bool,
    /// Suffix of what is kept aside.
    pub aside_suffix: String,
    /// What of it, whose it becomes and how sure to be.
    pub choice: Choice,
    /// Paths relative to the target where a symlink leads to what was backed up through it.
    pub through: Vec<Vec<u8>>,
}

/// Says what a restore would do. Reads only.
///
/// # Errors
/// Refused if the path is not in the snapshot or the target cannot become it; failed if either
/// cannot be looked at.
pub fn plan(request: &Request<'_>, context: &Context<'_>) -> Result<RestoreStep> {
    if request.aside_suffix.is_empty() || request.aside_suffix.contains(['/', '\0']) {
        return Err(Error::failed(format!(
            "`{}` cannot be the end of a name",
            request.aside_suffix.escape_default()
        )));
    }
    let target = absolute(request.target)?;
    let job = Job::new(
        request.store,
        request.snapshot,
        request.home_folder,
        &request.tree,
        lookup::clean(request.path)?,
        bytes(target.as_os_str()),
        request.overwrite,
        request.choice.clone(),
        request.through.clone(),
    )?;
    let totals = scan::scan(&job, true, context)?;
    Ok(RestoreStep {
        snapshot: request.snapshot,
        folder: request.home_folder.to_owned(),
        path: escape(&job.found.path),
        only: job.choice.only.iter().map(|name| escape(name)).collect(),
        target: escape(bytes(target.as_os_str())),
        owner: request.choice.owner,
        numeric_ids: request.choice.numeric_ids,
        read_back: request.choice.read_back,
        overwrite: request.overwrite,
        aside_suffix: request.aside_suffix.clone(),
        creates: totals.creates,
        already_there: totals.already_there,
        bytes: totals.bytes,
        conflicts: totals.conflicts,
        conflict_count: totals.conflict_count,
        put_right: totals.put_right,
        put_right_count: totals.put_right_count,
        through: request.through.iter().map(|path| escape(path)).collect(),
    })
}

/// Whether a snapshot has something at a path.
#[must_use]
pub fn has(
    store: &Store,
    snapshot: Option<SnapshotId>,
    home_folder: &str,
    tree: &Dir,
    path: &Path,
) -> bool {
    let manifest = || manifest_of(store, snapshot);
    let find = || {
        let names = names_of(store, snapshot)?;
        lookup::find(tree, lookup::clean(path)?, home_folder, &names, manifest)
    };
    find().is_ok()
}

/// Restores what a step says. Can be interrupted, and run again to go on.
///
/// # Errors
/// Refused, with nothing changed, if something differs and may not be replaced or if there is no
/// room; failed if the target's file system fails; interrupted if it was asked to stop.
pub fn run(store: &Store, step: &RestoreStep, context: &Context<'_>) -> Result<Outcome> {
    let text = |name: &str, text: &str| {
        unescape(text).ok_or_else(|| Error::failed(format!("the step's {name} is no path: {text}")))
    };
    let (path, target) = (text("path", &step.path)?, text("target", &step.target)?);
    if !target.starts_with(b"/") {
        return Err(Error::failed(format!(
            "the step's target {} is not absolute",
            step.target
        )));
    }
    let path = lookup::clean(Path::new(OsStr::from_bytes(&path)))?;
    let tree = tree(store, &step.folder)?;
    let job = Job::new(
        store,
        step.snapshot,
        &step.folder,
        &tree,
        path,
        &target,
        step.overwrite,
        Choice {
            only: step
                .only
                .iter()
                .map(|name| text("only", name))
                .collect::<Result<_>>()?,
            owner: step.owner,
            numeric_ids: step.numeric_ids,
            read_back: step.read_back,
        },
        step.through
            .iter()
            .map(|path| text("through", path))
            .collect::<Result<_>>()?,
    )?;
    run::run(&job, step, context)
}

fn absolute(target: &Path) -> Result<PathBuf> {
    std::path::absolute(target)
        // Without the slash at its end, which would follow a symlink.
        .map(|target| target.components().collect())
        .map_err(|error| Error::io("look at", bytes(target.as_os_str()), error))
}

/// Opens a snapshot's folder by its names, which stand escaped.
fn tree(store: &Store, folder: &str) -> Result<Dir> {
    let parts: Vec<&str> = folder.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(Error::failed(format!(
            "{folder} is not a snapshot's folder"
        )));
    }
    store.folder(&parts)
}

/// What is restored, and where to.
struct Job<'a> {
    store: &'a Store,
    snapshot: Option<SnapshotId>,
    /// Names that stand for others below what is restored.
    names: Arc<StoredNames>,
    found: Found,
    place: Place,
    overwrite: bool,
    choice: Choice,
    through: Vec<Vec<u8>>,
}

impl<'a> Job<'a> {
    #[expect(clippy::too_many_arguments, reason = "all that a restore is about")]
    fn new(
        store: &'a Store,
        snapshot: Option<SnapshotId>,
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
        let names = names_of(store, snapshot)?;
        let found = lookup::find(tree, path, folder, &names, || manifest_of(store, snapshot))?;
        let place = place::look(target, store, through.iter().any(Vec::is_empty))?;
        place::check_kinds(&place, &found)?;
        Ok(Self {
            store,
            snapshot,
            names: Arc::new(names.below(&found.path)),
            found,
            place,
            overwrite,
            choice,
            through,
        })
    }

    fn source(&self) -> Result<Source> {
        let manifest = manifest_of(self.store, self.snapshot)?;
        Source::new(
            &self.found,
            manifest,
            &self.names,
            &self.choice,
            &self.place.can,
        )
    }

    /// The folder that a symlink of the target leads to, where the snapshot was made through it.
    fn through(&self, path: &StoredPath, there: &Stat) -> std::result::Result<Option<Dir>, Errno> {
        if there.kind != Kind::Symlink || !self.through.iter().any(|through| **through == **path) {
            return Ok(None);
        }
        let whole = [self.place.path.as_slice(), b"/", path].concat();
        // As the source was resolved: only through symlinks that root or we made.
        let found = resolve::resolve(Path::new(OsStr::from_bytes(&whole)))?;
        if found.stat.kind != Kind::Folder {
            return Ok(None);
        }
        let folder = found.folder()?;
        let is_outside = place::outside(folder.again()?, self.store, &self.place.shown);
        Ok(is_outside.is_ok().then_some(folder))
    }

    /// A path below the target, for messages.
    fn in_target(&self, path: &StoredPath) -> String {
        if path.is_empty() {
            return self.place.shown.clone();
        }
        format!(
            "{}/{}",
            self.place.shown.trim_end_matches('/'),
            display(path)
        )
    }

    /// Refuses the destination, met below the target.
    fn check_folder(&self, folder: &Dir, path: &StoredPath) -> Result<()> {
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

/// A snapshot's manifest; none for a snapshot without records or whose manifest is lost.
fn manifest_of(store: &Store, id: Option<SnapshotId>) -> Result<Option<Reader>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let Some(records) = store.records(id)? else {
        return Ok(None);
    };
    let there = records
        .look(OsStr::new(manifest::FILE_NAME))
        .map_err(|error| store.io("look at", manifest::FILE_NAME, error))?;
    // A damaged one must not keep people from their files: the tree has metadata, too.
    Ok(there.and_then(|_| store.manifest(id).ok()))
}

/// The names that stand for others in a snapshot.
fn names_of(store: &Store, id: Option<SnapshotId>) -> Result<StoredNames> {
    let Some(id) = id else {
        return Ok(StoredNames::default());
    };
    // Nearly every snapshot has none, and its record says so.
    if matches!(store.record(id), Ok(Some(record)) if record.totals.renamed == 0) {
        return Ok(StoredNames::default());
    }
    let manifest = manifest_of(store, Some(id))?;
    let names = manifest.map(|manifest| StoredNames::read(manifest).unwrap_or_default());
    Ok(names.unwrap_or_default())
}

/// What the names of one file share: the manifest's number, or else the inode.
fn group(item: &Item) -> Option<(u64, u64)> {
    if item.wanted.kind == Kind::Folder {
        return None;
    }
    match (item.wanted.group, &item.stored) {
        // No device has this number.
        (Some(group), _) => Some((u64::MAX, group)),
        (None, Some(stat)) if !item.listed && stat.nlink > 1 => Some((stat.dev, stat.ino)),
        _ => None,
    }
}

/// The same interruption with what to do about it here.
fn interrupted(error: Error) -> Error {
    if error.kind != ErrorKind::Interrupted {
        return error;
    }
    error.with_hint("run the same restore again: it goes on where it stopped")
}
