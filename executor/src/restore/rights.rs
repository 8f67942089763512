//! Compares time, mode and owner of an entry with those of what stands for it in the target.

use super::place::Holds;
use crate::{
    manifest::Entry,
    sys::{Kind, Stat, stat::same_time},
};

/// Whether the time is the wanted one, as far as the file system can tell.
pub(super) fn is_time(wanted: &Entry, there: &Stat, holds: Holds) -> bool {
    (wanted.kind == Kind::Symlink && !holds.symlink_metadata)
        || same_time(there.mtime, wanted.mtime, holds.time_step_ns)
}

/// What differs in mode and owner, as far as the file system and our rights can tell.
pub(super) fn differing_rights(wanted: &Entry, there: &Stat, holds: Holds) -> Vec<&'static str> {
    let mut differs = Vec::new();
    if wanted.kind == Kind::Symlink && !holds.symlink_metadata {
        return differs;
    }
    let same_owner = (wanted.uid, wanted.gid) == (there.uid, there.gid);
    // A set-id bit is only given together with the owner it is of.
    let bits = if same_owner { 0o7777 } else { 0o1777 };
    // Linux knows no modes of symlinks.
    if holds.modes && wanted.kind != Kind::Symlink && (wanted.mode ^ there.mode) & bits != 0 {
        differs.push("mode");
    }
    if holds.owners && !same_owner {
        differs.push("owner");
    }
    differs
}
