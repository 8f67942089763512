//! The nouns of the backup system.
//!
//! Everything here is a value that is written to disk or printed: no decision (see `planner`) and
//! no effect (see `executor`).

pub mod id;
pub mod reason;

pub use id::{SnapshotId, Tier};
pub use reason::{ExpireReason, KeepReason};
