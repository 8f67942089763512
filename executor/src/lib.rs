//! The effects of the backup system.
//!
//! It scans, locks, journals, copies, publishes, deletes and restores what a plan says. It decides
//! nothing that the plan could have decided and prints nothing: it returns values and emits events.

pub mod adopt;
mod ahead;
pub mod bounded;
pub mod clock;
pub mod cloud;
pub mod copy;
pub mod destination;
pub mod drill;
pub mod error;
pub mod event;
mod flush;
pub mod health;
pub mod history;
pub mod journal;
mod leases;
pub mod lock;
pub mod logs;
pub mod manifest;
pub mod metrics;
pub mod names;
pub mod notify;
pub mod process;
mod rebuild;
pub mod remove;
pub mod restore;
pub mod run;
pub mod scan;
pub mod secret_file;
pub mod service_manager;
mod side_by_side;
pub mod snapshot;
pub mod state_dir;
pub mod steps;
pub mod store;
pub mod survey;
pub mod sys;
pub mod threads;
pub mod trust;
pub mod verify;
pub mod view;
pub mod walk;
mod width;
mod worker_pool;

pub use sys::watch;

pub use error::{Error, ErrorKind, Result};
