//! Copying files and folders out of a snapshot, of the destination or of the cloud.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, FixedOffset};
use executor::{
    Error, ErrorKind,
    error::Result,
    restore::{self, Choice, RecordedSnapshot, Request},
    store::Store,
    sys::{Dir, Kind},
};
use planner::{
    nearest::Asked,
    restore::{
        folders_to_sources, is_pattern, likely_meaning, locate_in_snapshot, original_path,
        why_none_begins, would_replace,
    },
    stored_snapshot::{StoredSnapshot, find_as_of, warn_of_newer},
};
use schema::{
    RunResult, SnapshotId, StoredPathBuf, Tier,
    config::DestinationName,
    inventory::DestinationState,
    plan::{Action, Owner, RestoreStep},
};

use super::{
    Engine, Notice, Observer, RunOutcome,
    cloud::{CloudDownload, DownloadRequest},
    destination::naming_error,
    logs::LogKind,
    operation::Operation,
};

/// A restore that is asked for.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// Which snapshot.
    pub snapshot: RestoreSnapshot,
    /// What of it; at least one path.
    pub paths: Vec<TypedPath>,
    /// What becomes its content: of one path that path's, of several or of a pattern the folder that
    /// they come into. None for where it was.
    pub target: Option<PathBuf>,
    /// Where the files are taken from.
    pub from: RestoreFrom,
    /// Folder for downloads until the restore has ended; none for the state directory.
    pub staging: Option<PathBuf>,
    /// Replace files that are there and differ, keeping the old ones aside; always, without a target.
    pub overwrite: bool,
    /// Who owns all of it then; none for whoever owned it.
    pub owner: Option<Owner>,
    /// Set owners by number, not by name.
    pub numeric_ids: bool,
    /// Read back what was written.
    pub read_back: bool,
    /// Also devices, and set-id bits and capabilities of files, that no sealed manifest vouches for.
    pub special: bool,
    /// Refuse now where there is no room for it; not for a restore that is only shown.
    pub needs_room: bool,
}

impl RestoreRequest {
    /// A restore of one path, as it was on the machine, from the snapshot of this name to this target.
    /// Nothing is replaced, owners are set by name, and what was written is read back.
    #[must_use]
    pub fn new(
        snapshot: impl Into<String>,
        path: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
    ) -> Self {
        Self {
            snapshot: RestoreSnapshot::Named(snapshot.into()),
            paths: vec![TypedPath::from(path.into())],
            target: Some(target.into()),
            from: RestoreFrom::Destination,
            staging: None,
            overwrite: false,
            owner: None,
            numeric_ids: false,
            read_back: true,
            special: false,
            needs_room: true,
        }
    }
}

/// Which snapshot is meant.
#[derive(Debug, Clone)]
pub enum RestoreSnapshot {
    /// The one of this name.
    Named(String),
    /// The newest good one that was started at this time or before.
    AsOf(DateTime<FixedOffset>),
}

/// Where files are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The destination.
    Destination,
    /// The copy in the cloud; no drive is needed.
    Cloud,
}

/// A path that a person typed: what it may mean, from the root and the likeliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedPath {
    meanings: Vec<PathBuf>,
}

impl TypedPath {
    /// A path that may mean any of these; the root where there are none.
    #[must_use]
    pub fn with_meanings(meanings: Vec<PathBuf>) -> Self {
        Self { meanings }
    }
}

impl From<PathBuf> for TypedPath {
    fn from(path: PathBuf) -> Self {
        Self {
            meanings: vec![path],
        }
    }
}

/// A restore that is planned and not run.
#[derive(Debug)]
pub struct PreparedRestore {
    /// What is done, and what would be replaced.
    pub steps: Vec<RestoreStep>,
    destination: DestinationState,
    /// The destination that was taken, where none was named.
    nearest: Option<Engine>,
    download: Option<CloudDownload>,
}

impl PreparedRestore {
    /// Whether something is there that is not as the snapshot has it.
    #[must_use]
    pub fn would_replace(&self) -> bool {
        self.steps.iter().any(would_replace)
    }
}

/// A snapshot that is open to be restored from.
struct OpenSnapshot<'a> {
    store: &'a Store,
    from: &'a RecordedSnapshot<'a>,
    named: &'a StoredSnapshot,
    home_folder: &'a str,
    tree: Dir,
}

impl OpenSnapshot<'_> {
    fn has_path(&self, path: &Path) -> bool {
        restore::has_path(self.from, self.home_folder, &self.tree, path)
    }

    /// Its tree, opened anew.
    fn open_tree(&self) -> Result<Dir> {
        open_tree(self.store, self.named)
    }

    /// Whether it is one path, which the target becomes, and neither several nor a pattern.
    fn is_single_path(&self, paths: &[PathBuf]) -> Result<bool> {
        let [path] = paths else {
            return Ok(false);
        };
        if !is_pattern(path) {
            return Ok(true);
        }
        // What is there as it is written is no pattern.
        let text = executor::sys::bytes(path.as_os_str());
        Ok(self
            .open_tree()?
            .descend(&StoredPathBuf::of_typed(text))
            .is_ok_and(|(dir, name)| dir.look(name).is_ok_and(|there| there.is_some())))
    }
}

fn open_tree(store: &Store, named: &StoredSnapshot) -> Result<Dir> {
    store.folder(&[named.home.folder(), &named.folder])
}

impl Engine {
    /// Compares what is to be restored with what is there, and plans what is done. From the cloud it
    /// is downloaded first.
    ///
    /// # Errors
    /// Refused if the destination is not there, a name means no snapshot, a path is not in it, a target
    /// cannot become it, or several restores would replace something unasked; fails if anything of that
    /// cannot be looked at, or on an interruption.
    pub fn prepare_restore(
        &self,
        request: &RestoreRequest,
        observer: &dyn Observer,
    ) -> Result<PreparedRestore> {
        if request.from == RestoreFrom::Destination {
            let name;
            let asked = match &request.snapshot {
                RestoreSnapshot::Named(snapshot) => {
                    name = [snapshot.as_str()];
                    Asked::Named(&name)
                }
                RestoreSnapshot::AsOf(time) => Asked::AsOf(*time),
            };
            let nearest = self.nearest(asked, observer);
            if let Some(nearest) = nearest.map_err(|error| self.with_mirrors(error))? {
                let prepared = nearest.prepare_restore(request, observer)?;
                return Ok(PreparedRestore {
                    nearest: Some(nearest),
                    ..prepared
                });
            }
            if self.remote.is_none() {
                return self.unlogged(observer).prepare_restore(request);
            }
        }
        // What the remote has is not known yet: the sources tell what a relative path means.
        let typed = request.paths.iter();
        let paths: Vec<PathBuf> = typed
            .map(|path| likely_meaning(&path.meanings, &self.config))
            .collect();
        let (snapshot, as_of) = match &request.snapshot {
            RestoreSnapshot::Named(name) => (name.as_str(), None),
            RestoreSnapshot::AsOf(time) => ("", Some(*time)),
        };
        let download = self.unlogged(observer).download(&DownloadRequest {
            snapshot,
            as_of,
            paths: &paths,
            staging: request.staging.as_deref(),
        })?;
        observer.notice(&Notice::Downloaded {
            files: download.brought.files,
            id: download.id,
            remote: &download.remote,
            damaged: &download.brought.damaged,
        });
        let of_download = RestoreRequest {
            snapshot: RestoreSnapshot::Named(download.id.to_string()),
            paths: paths.into_iter().map(TypedPath::from).collect(),
            from: RestoreFrom::Destination,
            ..request.clone()
        };
        let prepared = download
            .engine
            .unlogged(observer)
            .prepare_restore(&of_download)?;
        Ok(PreparedRestore {
            download: Some(download),
            ..prepared
        })
    }

    /// Why no destination serves, with the mirror that may: it is taken by its name alone.
    fn with_mirrors(&self, mut error: Error) -> Error {
        let is_mirror = |name: &DestinationName| self.of(name).is_some_and(|it| it.is_of_mirror());
        let mirror = self.named().into_iter().find(is_mirror);
        let Some(mirror) = mirror.filter(|_| error.kind != ErrorKind::Interrupted) else {
            return error;
        };
        let named = format!("`backup restore --destination {mirror} ...` takes it from the mirror");
        let hint = error
            .hint
            .iter()
            .fold(named, |named, hint| format!("{hint}; {named}"));
        error.hint = Some(hint);
        error
    }

    /// Runs a restore that was prepared. What was downloaded for it is thrown away if all went well.
    ///
    /// # Errors
    /// Fails on an interruption, or if another run is at work.
    pub fn restore(
        &self,
        prepared: PreparedRestore,
        observer: &dyn Observer,
    ) -> Result<RunOutcome> {
        let PreparedRestore {
            steps,
            destination,
            nearest,
            download,
        } = prepared;
        let engine = nearest.as_ref().unwrap_or(self);
        let engine = download
            .as_ref()
            .map_or(engine, |download| &download.engine);
        let outcome = engine.logged(LogKind::Runs, observer, |operation| {
            let inventory = operation.inventory_of(Some(destination))?;
            let actions = steps.into_iter().map(Action::Restore).collect();
            let plan = planner::plan_maintenance_steps(&engine.config, &inventory, actions);
            operation.run_maintenance(&plan, &inventory)
        })?;
        let is_done = matches!(
            &outcome,
            RunOutcome::Ended(report) if report.result == RunResult::Success
        );
        if let Some(download) = download.filter(|_| is_done) {
            download.discard()?;
        }
        Ok(outcome)
    }

    /// The tier whose folder holds a snapshot; none where that cannot be found out.
    #[must_use]
    pub fn home_of(&self, id: SnapshotId) -> Option<Tier> {
        let store = self.open_store().ok().flatten()?;
        store.home_of(id).ok().flatten()
    }

    /// The first regular file of a snapshot with some content, as it was on the machine: one to try a
    /// restore with. None if it holds no file that was read whole.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails if the manifest cannot be opened.
    pub fn pick_file(&self, id: SnapshotId) -> Result<Option<PathBuf>> {
        let Some(store) = self.open_store()? else {
            return Ok(None);
        };
        // The first file of some size is more telling than an empty one.
        let mut chosen = None;
        for entry in store.manifest(id)? {
            let Ok(entry) = entry else { break };
            if entry.kind == Kind::File && !entry.torn {
                let is_telling = entry.size >= 1024;
                chosen = Some(entry.path.to_absolute());
                if is_telling {
                    break;
                }
            }
        }
        Ok(chosen.map(|path| PathBuf::from(OsString::from_vec(path))))
    }
}

impl Operation<'_> {
    fn prepare_restore(&self, request: &RestoreRequest) -> Result<PreparedRestore> {
        let engine = self.engine;
        let (destination, store) = self.destination_and_store()?;
        let named = self.snapshot_to_restore(request, &destination)?;
        let store = store
            .ok_or_else(|| Error::refused("nothing was ever backed up to this destination"))?;
        let snapshot = OpenSnapshot {
            store: &store,
            from: &RecordedSnapshot::new(&store, named.id),
            named: &named,
            home_folder: &named.home_folder(),
            tree: open_tree(&store, &named)?,
        };
        let typed = request.paths.iter();
        let paths: Vec<PathBuf> = typed
            .map(|path| {
                let is_there = |path: &Path| snapshot.has_path(path);
                locate_in_snapshot(&path.meanings, &engine.config, is_there)
            })
            .collect();
        let steps = self.restore_steps(request, &snapshot, &paths)?;
        if let Some(because) = why_none_begins(&steps) {
            return Err(Error::refused(because)
                .hint("--overwrite takes the snapshot's and keeps the old ones aside"));
        }
        if request.needs_room {
            restore::check_room(&store, &steps)?;
        }
        Ok(PreparedRestore {
            steps,
            destination,
            nearest: None,
            download: None,
        })
    }

    /// One step for one path, or one for each folder that several are in.
    fn restore_steps(
        &self,
        request: &RestoreRequest,
        snapshot: &OpenSnapshot<'_>,
        paths: &[PathBuf],
    ) -> Result<Vec<RestoreStep>> {
        let target_of = |path: &Path| {
            let target = request.target.clone();
            target.unwrap_or_else(|| original_path(path))
        };
        if snapshot.is_single_path(paths)? {
            let target = target_of(&paths[0]);
            let step = self.restore_step(request, snapshot, &paths[0], &target, Vec::new())?;
            return Ok(vec![step]);
        }
        let selections = restore::select_paths(
            snapshot.from,
            snapshot.home_folder,
            &snapshot.tree,
            paths,
            request.target.is_some(),
            &self.context,
        )?;
        let steps = selections.into_iter().map(|selection| {
            let folder = &selection.folder;
            let target = target_of(folder);
            self.restore_step(request, snapshot, folder, &target, selection.names)
        });
        steps.collect()
    }

    fn restore_step(
        &self,
        request: &RestoreRequest,
        snapshot: &OpenSnapshot<'_>,
        path: &Path,
        target: &Path,
        only: Vec<Vec<u8>>,
    ) -> Result<RestoreStep> {
        let named = executor::sys::bytes(target.as_os_str());
        let target =
            std::path::absolute(target).map_err(|error| Error::io("look at", named, error))?;
        let request = Request {
            from: snapshot.from,
            home_folder: snapshot.home_folder,
            tree: snapshot.open_tree()?,
            path,
            target: &target,
            overwrite: request.overwrite || request.target.is_none(),
            aside_suffix: format!(".before-{}", self.now.format("%Y-%m-%d_%H-%M-%S")),
            choice: Choice {
                only,
                owner: request.owner,
                numeric_ids: request.numeric_ids,
                read_back: request.read_back,
                special: request.special,
            },
            through: folders_to_sources(&self.engine.config, path, &target),
        };
        restore::plan_restore(&request, &self.context)
    }

    /// The snapshot that is meant; says which it is, and that newer ones cannot be used.
    fn snapshot_to_restore(
        &self,
        request: &RestoreRequest,
        destination: &DestinationState,
    ) -> Result<StoredSnapshot> {
        let found = match &request.snapshot {
            RestoreSnapshot::Named(name) => self.named_snapshot(name, destination),
            RestoreSnapshot::AsOf(time) => find_as_of(*time, destination).map_err(naming_error),
        };
        let (name, until) = match &request.snapshot {
            RestoreSnapshot::Named(name) => (name.as_str(), None),
            RestoreSnapshot::AsOf(time) => ("", Some(*time)),
        };
        let named = found.map_err(|error| {
            let only_uploaded = self.engine.refuse_only_uploaded(name, self.now);
            only_uploaded.unwrap_or(error)
        })?;
        let mut all = destination.snapshots.iter();
        let record = all.find(|one| named.is_managed && Some(one.record.id) == named.id);
        self.notice(&Notice::RestoringFrom {
            folder: &named.home_folder(),
            made: record.map(|one| (one.record.started_at, one.manifest_fault.is_some())),
        });
        if let Some(warning) = warn_of_newer(name, &named, destination, until) {
            self.notice(&Notice::NewerPassedOver(&warning));
        }
        Ok(named)
    }
}
