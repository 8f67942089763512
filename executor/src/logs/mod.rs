//! Records of what happens, for the log files and for the journal of systemd.
//!
//! Owns what a record is and how it looks as a line. Which event becomes which record is the
//! caller's. A log that cannot be written is never a reason to fail.

pub mod files;
pub mod journald;
mod record;

pub use files::Files;
pub use journald::Journald;
pub use record::{Kind, Level, Record};
