//! Uploads to a remote of layout `history`, which is a folder here or a server on loopback, and what is
//! brought back from there. Needs rclone.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod damage;
mod expire;
mod fetched;
mod interrupted;
mod lab;
mod lost;
mod others;
mod served;
mod steps;
mod uploads;
mod without;
