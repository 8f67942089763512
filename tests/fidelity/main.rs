//! A snapshot is its source to the last bit, and nothing but its source: hostile names and all
//! kinds of metadata, an attacker who swaps what is being read, renames, standard tools alone.
//!
//! Everything happens to the built program, once per engine ([`lab::engines`]). What needs root,
//! rsync or mounts says SKIPPED without them, and fails where the environment has `CI`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod access_times;
mod attacker;
mod clones;
mod compare;
mod deep;
mod differential;
mod hostile;
mod lab;
mod manifest_size;
mod metadata;
mod names;
mod race;
mod renames;
mod sharing;
mod standard_tools;
mod stretches;
