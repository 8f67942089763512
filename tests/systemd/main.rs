//! The units are what systemd accepts, and do under a real systemd what they promise.
//!
//! `units` asks `systemd-analyze` only. The rest boots a small Debian in a container of
//! systemd-nspawn, with the built program and the units that it prints; this needs root. What
//! cannot run here says SKIPPED, and fails where the environment has `CI`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod destinations;
mod drill;
mod first_day;
mod kills;
mod machine;
mod records;
mod runs;
mod schedule;
mod setup;
mod state;
mod units;

pub(crate) use test_support::is_installed;

/// Says that a test cannot run here.
#[track_caller]
pub(crate) fn skipped(test: &str, because: &str) {
    test_support::skip(&format!("{test} because {because}"));
}
