//! The nouns of the backup system.
//!
//! Everything here is a value that is written to disk or printed: no decision (see `planner`) and
//! no effect (see `executor`). `clock` is what both must agree on about times.

pub mod amount;
mod as_text;
pub mod capabilities;
pub mod channel;
pub mod clock;
pub mod cloud;
pub mod columns;
pub mod config;
pub mod digest;
pub mod drill;
pub mod duration;
pub mod escape;
pub mod failure;
pub mod finding;
pub mod gone;
pub mod health;
pub mod id;
pub mod inventory;
pub mod journal;
pub mod left_out;
pub mod notified;
pub mod options_page;
pub mod output;
pub mod outside;
pub mod path;
pub mod pattern;
pub mod plan;
pub mod problem;
pub mod reason;
pub mod record;
pub mod remote_history;
pub mod rsync;
pub mod setup;
pub mod shell;
pub mod state;
pub mod time_text;
pub mod tries;
pub mod verify;
pub mod web_address;

pub use config::Config;
pub use digest::Digest;
pub use duration::{InvalidSpan, Span};
pub use failure::FailureCode;
pub use finding::{Finding, Severity};
pub use gone::Gone;
pub use id::{SnapshotId, Tier};
pub use inventory::Inventory;
pub use journal::{Report, RunResult};
pub use left_out::LeftOut;
pub use path::{StoredPath, StoredPathBuf};
pub use plan::Plan;
pub use reason::{ExpireReason, KeepReason, KeepRule};

/// For what is usually not so and then left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) fn is_no(value: &bool) -> bool {
    !*value
}

/// For what is usually so and then left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) fn is_yes(value: &bool) -> bool {
    *value
}

/// What is usually so.
pub(crate) fn yes() -> bool {
    true
}

/// For counts that are usually zero and then left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}
