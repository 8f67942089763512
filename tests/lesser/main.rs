//! Destinations that hold less than a source: shares of a NAS, root-squashed exports, exFAT drives.
//!
//! The built program works on a file system of our own that lacks one thing at a time
//! ([`fuse`]), on bundles as they are found in the wild, and on real exFAT and NTFS. Needs root
//! and `/dev/fuse`; says SKIPPED without them, and fails where the environment has `CI`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod bundles;
mod failures;
mod fuse;
mod inodes;
mod names;
mod nas;
mod read_once;
mod real;
mod requests;
mod silence;
mod sources;
mod switches;

#[allow(dead_code, reason = "shared with the crash tests")]
#[path = "../crash/lab.rs"]
mod lab;
#[allow(dead_code, reason = "shared with the crash tests")]
#[path = "../crash/tree.rs"]
mod tree;
