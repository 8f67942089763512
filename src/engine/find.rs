//! All versions of a path over all snapshots.

use chrono::Local;
use executor::{
    error::Result,
    event::Silent,
    history::{self, Search},
};
use planner::nearest::Asked;
use schema::{
    SnapshotId,
    output::find::{FoundPath, FoundPaths},
};

use super::{Engine, Observer, remote::Ask};

/// What was searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindOutcome {
    /// The snapshots that were searched and those that were not. It has no paths: whoever asked got
    /// them one by one.
    pub searched: FoundPaths,
    /// Whether all manifests could be read to their end.
    pub is_complete: bool,
}

impl Engine {
    /// Finds all versions of what matches; `pattern` is how that is shown. `each` gets the paths in
    /// order, as they are found.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails on an interruption.
    pub fn find(
        &self,
        pattern: &str,
        search: &Search,
        observer: &dyn Observer,
        each: &mut dyn FnMut(FoundPath),
    ) -> Result<FindOutcome> {
        if let Some(nearest) = self.nearest(Asked::Any, observer)? {
            let known = nearest.known(Ask::IfUnknown, observer)?;
            return nearest.find_in(&known, pattern, search, observer, each);
        }
        let known = self.known(Ask::Always, observer)?;
        self.find_in(&known, pattern, search, observer, each)
    }

    /// The same in what is known of the destination.
    fn find_in(
        &self,
        known: &Self,
        pattern: &str,
        search: &Search,
        observer: &dyn Observer,
        each: &mut dyn FnMut(FoundPath),
    ) -> Result<FindOutcome> {
        let operation = known.unlogged(&Silent);
        let (destination, store) = operation.records_and_store()?;
        let snapshots = destination.snapshots.iter();
        let ids: Vec<SnapshotId> = snapshots.map(|one| one.record.id).collect();
        let context = operation.context;
        let unread = history::find_versions(&store, &ids, search, context, &mut |found| {
            each(history::found_path(found, &ids, &Local));
            Ok(())
        })?;
        let mut searched = history::begin_search(pattern, &ids, &destination);
        history::add_unread(&mut searched, &unread);
        if self.is_of_remote() && !unread.is_empty() {
            // For the next search; where the remote cannot be asked, that is no news.
            let _ = self.mend_known(observer);
        }
        Ok(FindOutcome {
            searched,
            is_complete: unread.is_empty(),
        })
    }
}
