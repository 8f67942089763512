//! Copies on real servers: WebDAV, SFTP and S3 on loopback, each plain and with `crypt`.
//!
//! The built program works with a real rclone against `rclone serve`; servers and clients are killed
//! in the middle of a transfer. Every server is bound to 127.0.0.1 and ends with its test. Needs
//! rclone; for S3 one that can serve it (1.65 or newer, found by `BACKUP_TEST_RCLONE` or on the
//! PATH).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

mod damage;
mod hashes;
mod history_kills;
mod history_others;
mod history_rows;
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the tests of the command line"
)]
#[path = "../cli/lab.rs"]
mod lab;
mod live;
mod odd;
mod rate;
mod remote_lab;
mod rows;
mod slow;
mod total_loss;
