//! Paths that did not go as they should, as journals, reports and records list them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A path that did not go as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The path, escaped where it is not printable.
    pub path: String,
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// The system's reason or a sentence.
    pub message: String,
}

/// What kind of problem a path has.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// It could not be read; it is not in the snapshot.
    Unreadable,
    /// It could not be stored; it is not in the snapshot.
    NotStored,
    /// It was there and then it was not. The snapshot counts as complete.
    Vanished,
    /// It kept changing while it was read; what is stored may be of two moments.
    Torn,
    /// Some of its metadata could not be read or stored.
    Metadata,
    /// It stands in a snapshot whose manifest does not list it; it is left.
    Unlisted,
    /// It, or a right that it gives, is nothing that a sealed manifest vouches for; it is left out.
    Unvouched,
}
