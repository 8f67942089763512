//! The bounds of every snapshot: the room on its destination, the problems that are listed, and the
//! errors after which nothing more can be done there.

use rustix::io::Errno;
use schema::{FailureCode, amount};

use crate::{
    error::{Error, MAKE_ROOM},
    store::Store,
    sys::Dir,
};

/// The set-id bits of a mode, which a change of owner takes away (chown(2)).
pub(super) const SET_ID: u32 = 0o6000;

/// Problems listed in a record; more are only counted.
pub(super) const MAX_PROBLEMS: usize = 1000;

/// Bytes that an unprivileged writer may still use on a folder's file system.
///
/// # Errors
/// Fails if the file system does not tell.
pub(super) fn free_bytes(dir: &Dir) -> Result<u64, Errno> {
    let stat = rustix::fs::fstatvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The errors after which nothing more can be written to a destination.
pub(super) fn ends_everything(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOSPC
            | Errno::DQUOT
            | Errno::IO
            | Errno::ROFS
            | Errno::STALE
            | Errno::NXIO
            | Errno::NODEV
            | Errno::NOTCONN
            | Errno::SHUTDOWN
    )
}

/// The same for an attribute. A value that is too large for the file system is `ENOSPC` on ext4,
/// however much space is left: it is kept in the manifest.
pub(super) fn ends_attributes(error: Errno) -> bool {
    ends_everything(error) && !matches!(error, Errno::NOSPC | Errno::DQUOT)
}

/// The refusal to fill the destination beyond its limit.
pub(super) fn too_little_space(store: &Store, free: u64, limit: u64) -> Error {
    Error::failed(format!(
        "insufficient space: {} has {} left, local.minSpaceGB keeps {} free",
        store.path,
        amount::bytes(free),
        amount::bytes(limit)
    ))
    .coded(FailureCode::NoSpace)
    .hint(format!("{MAKE_ROOM}; or lower local.minSpaceGB"))
}

/// What an error of the destination says of an entry, beyond the system's reason.
pub(super) fn explain_refusal(doing: &str, error: Errno) -> Option<&'static str> {
    let makes = ["create", "make"]
        .iter()
        .any(|verb| doing.starts_with(verb));
    match error {
        Errno::EXIST if makes => {
            Some("the destination takes its name and another one in this folder for one")
        }
        Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG if makes => {
            Some("the destination cannot hold this name")
        }
        Errno::FBIG => Some("the destination cannot hold so large a file"),
        _ => None,
    }
}
