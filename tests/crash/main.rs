//! Runs survive anything: kills at any instant, failing system calls, full, wrong and vanishing
//! disks, sources that change under the reader.
//!
//! Everything happens to the built program, on real folders and loop-mounted images. `KILLS` says
//! how many kills are tried and how densely the sweeps go (200 or more: every point); `SEED`
//! repeats a random choice. What needs root, loop devices, strace or rsync says SKIPPED without
//! them, and fails where the environment has `CI`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod changing;
mod check;
mod clones;
mod faults;
mod journal;
mod keeps;
mod kills;
mod lab;
mod mounts;
mod published;
mod repeat;
mod restoring;
mod room;
mod space;
mod sweep;
mod tree;
