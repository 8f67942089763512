//! The decisions of the backup system.
//!
//! Pure functions from values to values: no file, process, environment or clock.

pub mod retention;
