//! What changed between two snapshots, or between one and the sources as they are.

use std::{os::unix::ffi::OsStrExt as _, path::PathBuf};

use executor::{ErrorKind, error::Result, event::Silent, history};
use planner::{nearest::Asked, stored_snapshot::warn_of_newer};
use schema::{SnapshotId, StoredPath, inventory::DestinationState, output::diff::SnapshotDiff};

use super::{
    Engine, Notice, Observer, destination::naming_error, operation::Operation, remote::Ask,
};

/// A comparison that is asked for.
#[derive(Debug, Clone)]
pub struct DiffRequest {
    /// The earlier snapshot.
    pub before: String,
    /// The later one.
    pub after: DiffAfter,
    /// Only this path, as it was on the machine, and what is below it.
    pub path: Option<PathBuf>,
}

/// What a snapshot is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffAfter {
    /// The sources as they are.
    Now,
    /// This snapshot.
    Snapshot(String),
    /// The latest; the latest itself with the one before it, for with itself nothing differs.
    Unsaid,
}

impl Engine {
    /// Compares two snapshots, or one with the sources as they are.
    ///
    /// # Errors
    /// Refused if the destination is not there or a name means no snapshot with a manifest; fails if
    /// a manifest cannot be read, or on an interruption.
    pub fn diff(&self, request: &DiffRequest, observer: &dyn Observer) -> Result<SnapshotDiff> {
        let names: Vec<&str> = match &request.after {
            DiffAfter::Snapshot(after) => vec![&request.before, after],
            DiffAfter::Now | DiffAfter::Unsaid => vec![&request.before],
        };
        if let Some(nearest) = self.nearest(Asked::Named(&names), observer)? {
            let known = nearest.known(Ask::IfUnknown, observer)?;
            return nearest.diff_in(&known, request, observer);
        }
        let known = self.known(Ask::Always, observer)?;
        self.diff_in(&known, request, observer)
    }

    /// The same in what is known of the destination; what of that is damaged is brought once more.
    fn diff_in(
        &self,
        known: &Self,
        request: &DiffRequest,
        observer: &dyn Observer,
    ) -> Result<SnapshotDiff> {
        match known.diff_here(request, observer) {
            Err(error)
                if self.is_of_remote()
                    && error.kind == ErrorKind::Failed
                    && self.mend_known(observer).unwrap_or(false) =>
            {
                known.diff_here(request, observer)
            }
            compared => compared,
        }
    }

    fn diff_here(&self, request: &DiffRequest, observer: &dyn Observer) -> Result<SnapshotDiff> {
        let operation = Operation {
            observer,
            ..self.unlogged(&Silent)
        };
        let (destination, store) = operation.records_and_store()?;
        let mut before = operation.find_to_compare(&request.before, &destination)?;
        let path = request.path.as_deref();
        let path = path.map_or(StoredPath::root(), |path| {
            StoredPath::new(path.as_os_str().as_bytes())
        });
        let context = operation.context;
        if request.after == DiffAfter::Now {
            let choice = (&self.config.local).into();
            let left_out = self.inodes_left_out();
            let now = history::diff_now(&store, before, &choice, &left_out, path, context)?;
            return Ok(history::live_diff(before, path, &now));
        }
        let after = match &request.after {
            DiffAfter::Snapshot(after) => operation.find_to_compare(after, &destination)?,
            _ => operation.find_to_compare("latest", &destination)?,
        };
        if request.after == DiffAfter::Unsaid && after == before {
            // The first has none before it.
            if let Ok(earlier) = operation.find_to_compare("latest~1", &destination) {
                before = earlier;
            }
        }
        let diff = history::diff_snapshots(&store, (before, after), path, context)?;
        Ok(history::snapshot_diff(
            before,
            after.to_string(),
            path,
            &diff,
        ))
    }
}

impl Operation<'_> {
    fn find_to_compare(&self, name: &str, destination: &DestinationState) -> Result<SnapshotId> {
        let named = self.named_snapshot(name, destination)?;
        if let Some(warning) = warn_of_newer(name, &named, destination, None) {
            self.notice(&Notice::NewerPassedOver(&warning));
        }
        named.to_compare().map_err(naming_error)
    }
}
