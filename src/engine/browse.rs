//! Looking around in the snapshots of one destination: folders as they were, versions, content.
//!
//! Nothing is written. What users may not read of the records is looked at in the trees.

use executor::{
    Error,
    error::Result,
    event::{Silent, Stop},
    history::{
        self, FolderContent, FolderEntry, FoundVersions, Search, SegmentStarts, TreePlace, Unread,
        Version,
    },
    store::Store,
};
use planner::nearest::Asked;
use schema::{SnapshotId, StoredPath, Tier, config::DestinationName, output::diff::SnapshotDiff};

use super::{DiffAfter, DiffRequest, Engine, Listing, Observer, operation::Operation, remote::Ask};

/// The snapshots of one destination, to look around in.
#[derive(Debug)]
pub struct Browser {
    /// The engine whose destination can be read.
    known: Engine,
    /// The engine of the destination.
    view: Engine,
    starts: SegmentStarts,
}

/// One of its snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrowsedSnapshot {
    /// One with a manifest; the tier whose folder holds it, where it has a tree.
    Recorded(SnapshotId, Tier),
    /// A folder in a tier without a record that this user may read, by its escaped name.
    Folder(Tier, String),
}

impl Engine {
    /// Opens the destination, or where none was named the nearest one that has any snapshot.
    ///
    /// # Errors
    /// Refused if the destination is not there; of a remote of which nothing is known, why it cannot be asked.
    pub fn browse(&self, observer: &dyn Observer) -> Result<Browser> {
        let nearest = self.nearest(Asked::Any, observer)?;
        Browser::of(nearest.unwrap_or_else(|| self.clone()), observer)
    }

    /// All destinations that can be browsed, also where this is the view of one, and where they are.
    #[must_use]
    pub fn browsable(&self) -> Vec<(DestinationName, String)> {
        let all = self.all();
        let views = all.views_with_snapshots();
        views
            .filter_map(|(_, view)| view.place_of_several())
            .collect()
    }
}

impl Browser {
    fn of(view: Engine, observer: &dyn Observer) -> Result<Self> {
        Ok(Self {
            known: view.known(Ask::IfUnknown, observer)?,
            view,
            starts: SegmentStarts::default(),
        })
    }

    /// Opens the same destination again, also where another one is the nearest by now.
    ///
    /// # Errors
    /// As [`Engine::browse`].
    pub fn again(&self, observer: &dyn Observer) -> Result<Self> {
        Self::of(self.view.clone(), observer)
    }

    /// The destination, by its name where there are several.
    #[must_use]
    pub fn destination(&self) -> Option<DestinationName> {
        let several = self.view.place_of_several();
        several.map(|(name, _)| name)
    }

    /// The host whose snapshots they are.
    #[must_use]
    pub fn host(&self) -> String {
        self.known.host_folder()
    }

    /// The snapshots.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails if it cannot be read.
    pub fn list(&self) -> Result<Listing> {
        self.known.list_here()
    }

    /// What is in a folder of a snapshot.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails if neither manifest nor tree can be read, or where it is
    /// asked to stop.
    pub fn folder(
        &self,
        snapshot: &BrowsedSnapshot,
        path: &StoredPath,
        stop: &Stop,
    ) -> Result<FolderContent> {
        let store = self.known.open_store_present()?;
        match snapshot {
            BrowsedSnapshot::Recorded(id, _) => {
                history::list_folder(&store, *id, path, &self.starts, stop)
            }
            BrowsedSnapshot::Folder(..) => place_of(snapshot).list(&store, path, stop),
        }
    }

    /// What a path was in these snapshots, the oldest first: runs of those with the same content, and what
    /// could not be read.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails where it is asked to stop.
    pub fn versions(
        &self,
        snapshots: &[SnapshotId],
        path: &StoredPath,
        stop: &Stop,
    ) -> Result<(Vec<Version>, Vec<Unread>)> {
        let search = Search::fixed(path.to_absolute())
            .map_err(|_| Error::refused(format!("{} has no versions", path.shown())))?;
        let mut found = Vec::new();
        let unread = self.find(snapshots, &search, stop, &mut |one| {
            if *one.path == *path {
                found = one.versions;
            }
            Ok(())
        })?;
        Ok((found, unread))
    }

    /// What a path is in the trees of these snapshots, of which nobody knows more.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails if a tree cannot be looked at.
    pub fn look(
        &self,
        snapshots: &[BrowsedSnapshot],
        path: &StoredPath,
        stop: &Stop,
    ) -> Result<Vec<Option<FolderEntry>>> {
        let store = self.known.open_store_present()?;
        let looks = snapshots.iter().map(|one| {
            stop.check()?;
            place_of(one).look(&store, path)
        });
        looks.collect()
    }

    /// Finds what is meant in these snapshots, the oldest first; `each` gets the paths as they are found.
    ///
    /// # Errors
    /// Refused if the destination is not there; what `each` says; fails where it is asked to stop.
    pub fn find(
        &self,
        snapshots: &[SnapshotId],
        search: &Search,
        stop: &Stop,
        each: &mut dyn FnMut(FoundVersions) -> Result<()>,
    ) -> Result<Vec<Unread>> {
        let store = self.known.open_store_present()?;
        let Operation { context, .. } = self.known.unlogged(&Silent);
        let context = executor::event::Context { stop, ..context };
        history::find_versions(&store, snapshots, search, context, each)
    }

    /// What changed at and below a path.
    ///
    /// # Errors
    /// As [`Engine::diff`].
    pub fn diff(
        &self,
        before: SnapshotId,
        after: SnapshotId,
        path: &StoredPath,
        stop: &Stop,
    ) -> Result<SnapshotDiff> {
        let request = DiffRequest {
            before: before.to_string(),
            after: DiffAfter::Snapshot(after.to_string()),
            path: Some(schema_path(path)),
        };
        let known = self.known.clone().with_stop(stop.clone());
        known.diff(&request, &Silent)
    }

    /// The content of a file; none where it is longer than `most` bytes.
    ///
    /// # Errors
    /// Refused where the content is not here; fails if it cannot be read.
    pub fn content(
        &self,
        snapshot: &BrowsedSnapshot,
        path: &StoredPath,
        most: u64,
    ) -> Result<Option<Vec<u8>>> {
        let store = self.store_with_trees()?;
        place_of(snapshot).content(&store, path, most)
    }

    /// Reads a file and compares it with what was recorded of it: how many bytes it has, or what is wrong with
    /// it.
    ///
    /// # Errors
    /// Refused where the content is not here, or nothing was recorded; fails if the manifest cannot be read, or
    /// where it is asked to stop.
    pub fn verify_file(
        &self,
        snapshot: &BrowsedSnapshot,
        path: &StoredPath,
        stop: &Stop,
    ) -> Result<std::result::Result<u64, String>> {
        let store = self.store_with_trees()?;
        place_of(snapshot).verify(&store, path, stop)
    }

    fn store_with_trees(&self) -> Result<Store> {
        if self.view.is_of_remote() {
            // Its manifests are here, its content is not.
            let remote = self.view.cloud_remote();
            return Err(Error::refused(format!("the content is at {remote}"))
                .hint("restore it, which brings it here and compares it with what was recorded"));
        }
        self.known.open_store_present()
    }
}

fn place_of(snapshot: &BrowsedSnapshot) -> TreePlace {
    match snapshot {
        BrowsedSnapshot::Recorded(id, home) => TreePlace {
            home: *home,
            folder: id.to_string(),
            id: Some(*id),
        },
        BrowsedSnapshot::Folder(tier, name) => TreePlace {
            home: *tier,
            folder: name.clone(),
            id: None,
        },
    }
}

fn schema_path(path: &StoredPath) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(path.to_absolute()).into()
}
