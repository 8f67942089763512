//! The file-system primitives: everything goes by directory descriptor.
//!
//! Invariant: no function here resolves a path of more than one component, except
//! [`resolve::resolve`], which does so one component at a time.

pub mod answer;
pub mod attributes;
pub mod dir;
pub(crate) mod distance;
mod entries;
pub mod folder;
pub(crate) mod location;
pub mod machine;
pub mod mounts;
pub mod open;
pub mod owners;
pub mod resolve;
mod sharing;
pub mod stat;
pub mod subvolume;
pub mod times;
pub mod uuid;
pub mod watch;
mod whole;

pub use dir::{Dir, Listed};
pub use folder::{Folder, Takeover};
pub use owners::Owners;
pub use stat::{Kind, Stat};
pub use whole::WholeFile;

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

/// The bytes of a name.
#[must_use]
pub fn bytes(name: &OsStr) -> &[u8] {
    name.as_bytes()
}
