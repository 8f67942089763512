//! What the manifests tell together: the versions of a path, what is in a folder, and what changed between two
//! snapshots.
//!
//! Reads manifests, and of the sources no content, and writes nothing. Memory goes with what is found, not with
//! what is searched.

mod diff;
mod documents;
mod find;
mod folders;
mod in_folder;
mod lines;
mod now;
mod search;
mod shared;
mod tree;

pub use diff::{Change, Diff, Difference, Side, diff_snapshots};
pub use documents::{
    NOW, add_unread, begin_search, entry_kind, found_path, live_diff, snapshot_diff,
};
pub use find::{FoundVersions, Unread, Version, find_versions};
pub use folders::tally_folders;
pub use in_folder::{FolderContent, FolderEntry, SegmentStarts, list_folder};
pub use now::{Now, diff_now};
pub use search::Search;
pub use tree::TreePlace;

use in_folder::find_entry;

#[cfg(test)]
mod same_tests;
