//! Tells a file system that cannot hold something from a disk that failed while it was tried out.

use std::cell::Cell;

use rustix::io::Errno;

/// What is tried out, and whether the answers can be relied on.
#[derive(Debug, Default)]
pub(super) struct Tries {
    pub(super) unsure: Cell<bool>,
}

impl Tries {
    /// Whether something was done. Where it was not because the disk or the machine failed, nothing
    /// is known.
    pub(super) fn done<T>(&self, result: Result<T, Errno>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                if is_passing_fault(error) {
                    self.unsure.set(true);
                }
                None
            }
        }
    }
}

/// The errors that say nothing of what a file system can hold.
pub(super) fn is_passing_fault(error: Errno) -> bool {
    matches!(
        error,
        Errno::IO
            | Errno::NOSPC
            | Errno::DQUOT
            | Errno::ROFS
            | Errno::STALE
            | Errno::NXIO
            | Errno::NODEV
            | Errno::NOTCONN
            | Errno::SHUTDOWN
            | Errno::INTR
            | Errno::AGAIN
            | Errno::BUSY
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::TIMEDOUT
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::CONNRESET
    )
}
