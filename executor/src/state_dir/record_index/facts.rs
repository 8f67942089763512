//! What the kernel says of a file, by which it is known again.

use std::fmt;

use crate::sys::{Stat, stat::Nanos};

/// What the kernel says of a file, by which it is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state_dir) struct FileFacts {
    ino: u64,
    size: u64,
    mtime: Nanos,
    ctime: Nanos,
}

impl FileFacts {
    pub(in crate::state_dir) fn of(stat: &Stat) -> Self {
        Self {
            ino: stat.ino,
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
        }
    }

    /// Whether a file was last changed before a time, so that another change has another time.
    pub(in crate::state_dir) fn is_at_rest(stat: &Stat, latest: Nanos) -> bool {
        stat.mtime.max(stat.ctime) < latest
    }

    /// Reads what [`fmt::Display`] wrote, whose first word was taken already.
    pub(super) fn parse<'t>(ino: &str, words: &mut impl Iterator<Item = &'t str>) -> Option<Self> {
        Some(Self {
            ino: ino.parse().ok()?,
            size: words.next()?.parse().ok()?,
            mtime: words.next()?.parse().ok()?,
            ctime: words.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for FileFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ino,
            size,
            mtime,
            ctime,
        } = self;
        write!(f, "{ino} {size} {mtime} {ctime}")
    }
}
