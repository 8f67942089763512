//! Users who do what they can, while root backs up and restores among them: names that become
//! symlinks, FIFOs and other files, folders that are renamed, files that grow, shrink and are leased,
//! files that are nothing but holes.
//!
//! The attackers are threads that have given up root for good. Each attack goes on for a bounded time
//! and prints what it did. It has failed if nothing outside changed, nothing of root's was read, every
//! run ended with a published snapshot that is what its manifest says, and the files of the others
//! are in it.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they did"
)]

mod holes;
mod lab;
mod leases;
mod mounts;
mod racers;
mod sources;
mod target;
