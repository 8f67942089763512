//! The nouns of the backup system.
//!
//! Everything here is a value that is written to disk or printed: no decision (see `planner`) and
//! no effect (see `executor`).

pub mod config;
pub mod duration;
pub mod id;
pub mod pattern;

pub use config::Config;
pub use duration::{InvalidSpan, Span};
pub use id::{SnapshotId, Tier};
