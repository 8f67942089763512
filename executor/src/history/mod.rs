//! What the manifests tell together: the versions of a path, and what changed between two snapshots.
//!
//! Reads manifests, and of the sources no content, and writes nothing. Memory goes with what is found, not with
//! what is searched.

mod diff;
mod documents;
mod find;
mod folders;
mod lines;
mod now;
mod search;
mod shared;

pub use diff::{Change, Diff, Difference, Side, diff_snapshots};
pub use documents::{NOW, add_unread, begin_search, found_path, live_diff, snapshot_diff};
pub use find::{FoundVersions, Unread, Version, find_versions};
pub use folders::tally_folders;
pub use now::{Now, diff_now};
pub use search::Search;

#[cfg(test)]
mod same_tests;
