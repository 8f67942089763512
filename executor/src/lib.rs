//! The effects of the backup system.
//!
//! It scans, locks, journals, copies, publishes, deletes and restores what a plan says. It decides
//! nothing that the plan could have decided and prints nothing: it returns values and emits events.

pub mod copy;
pub mod error;
pub mod event;
pub mod manifest;
pub mod restore;
pub mod store;
pub mod sys;
pub mod walk;

pub use error::{Error, ErrorKind, Result};
