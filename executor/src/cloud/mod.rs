//! Copies of snapshots on a remote, through rclone.
//!
//! Nothing on the remote is ever overwritten or removed in place: what an upload replaces or takes
//! away is moved to a history folder of its own attempt first. What the remote has is known from the
//! manifests that travel with the data, never from times or hashes that a remote may not have;
//! hashes serve `verify`, where the remote has them.
//! Regular files are uploaded, each under all its names; everything else is in the manifest.

pub mod carried;
pub mod difference;
pub mod fetch;
pub mod hashes;
pub mod history;
pub mod live;
pub mod memory;
pub mod names;
pub mod owner;
pub mod published;
pub mod rclone;
pub mod remote_history;
pub mod roots;
pub mod sealed;
pub mod staging;
pub mod upload;
pub mod verify;
