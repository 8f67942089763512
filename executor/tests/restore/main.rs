//! Restoring out of a snapshot, on real temporary directories.
//!
//! Each test's name is the fact it shows. Those that need root say SKIPPED without it, and fail
//! where the environment has `CI`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod conflicts;
mod damage;
mod entries;
mod interrupted;
mod lab;
mod target;
