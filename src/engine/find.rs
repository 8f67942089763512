//! All versions of a path over all snapshots.

use executor::{
    error::Result,
    event::Silent,
    history::{self, Search},
};
use schema::{SnapshotId, inventory::DestinationState};

use super::Engine;

/// A path that was found, and the snapshots that its versions count in.
pub struct FoundAt<'a> {
    /// The path with its versions.
    pub found: history::FoundVersions,
    /// The snapshots that are searched, in their order.
    pub searched: &'a [SnapshotId],
}

/// What was searched.
#[derive(Debug, Clone)]
pub struct FindOutcome {
    /// The destination.
    pub destination: DestinationState,
    /// The snapshots that were searched.
    pub searched: Vec<SnapshotId>,
    /// Those whose manifest could not be read to its end.
    pub unread: Vec<history::Unread>,
}

impl Engine {
    /// Finds all versions of what matches; `each` gets the paths in order, as they are found.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails on an interruption.
    pub fn find(&self, search: &Search, each: &mut dyn FnMut(FoundAt<'_>)) -> Result<FindOutcome> {
        let operation = self.unlogged(&Silent);
        let destination = operation.destination_present()?;
        let store = self.open_store_present()?;
        let snapshots = destination.snapshots.iter();
        let searched: Vec<SnapshotId> = snapshots.map(|one| one.record.id).collect();
        let context = operation.context;
        let unread = history::find_versions(&store, &searched, search, context, &mut |found| {
            each(FoundAt {
                found,
                searched: &searched,
            });
            Ok(())
        })?;
        Ok(FindOutcome {
            destination,
            searched,
            unread,
        })
    }
}
