//! Where the content of a file comes from: the blocks of its source, those of the basis' file as far as they
//! are the same, else what is read of the source.
//!
//! Invariant (law 5): what shares blocks is an inode of this snapshot's own, and only that is written to; no
//! content is believed to be the source's that was not read and compared or digested.

use std::{fs::File, sync::PoisonError};

use rustix::io::Errno;
use schema::{Digest, StoredPath};

use super::{jobs::BuildItem, worker::Worker};
use crate::{
    copy::{Copied, CopyError, Shared},
    manifest::Entry,
    sys::{Dir, Kind, Stat},
};

/// Smaller files are copied even where blocks could be shared: that is as fast.
const WORTH_SHARING: u64 = 64 << 10;

/// Where the content comes from.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    /// The source.
    Source,
    /// The source, if it is what the file of the same name in this folder of the basis has, which
    /// this entry describes: then its blocks are shared.
    Basis(&'a Dir, &'a Entry),
}

/// What a new file was given.
pub(super) struct Filled {
    /// Its length.
    pub(super) bytes: u64,
    /// The digest of its content.
    pub(super) digest: Digest,
    /// It began with the blocks of the basis' file, and some of them may have become others.
    pub(super) is_update: bool,
}

impl Filled {
    fn of(copied: Copied, is_update: bool) -> Self {
        Self {
            bytes: copied.bytes,
            digest: copied.digest,
            is_update,
        }
    }
}

/// Gives a new file what its source has, sharing blocks where that can be: those of the source, else those of
/// the basis' file that are the same.
pub(super) fn from_source(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    from: &File,
    to: &File,
    before: &Stat,
) -> Result<Filled, CopyError> {
    let build = worker.build;
    let path = worker.path().to_owned();
    let sparse = before.has_holes();
    if before.size >= WORTH_SHARING
        && worker.share(from, to, before)?
        // What was shared cannot change any more, so it is what is read.
        && let Some(shared) = reopen_to_read(to)?
    {
        let mut check = |_| build.check_at(&path);
        let read = worker.copier.digest(&shared, sparse, &mut check)?;
        return Ok(Filled::of(read, false));
    }
    if let Some(filled) = over_basis(worker, (item, &path), from, to, before)? {
        return Ok(filled);
    }
    let mut wrote = |length| build.wrote(&path, length);
    let copied = worker
        .copier
        .copy(from, to, sparse, before.size, &mut wrote)?;
    Ok(Filled::of(copied, false))
}

/// Shares the blocks of what the basis has at the same path, and writes what differs from that. `None`, and
/// the new file is empty, where it has nothing like it or no blocks can be shared.
fn over_basis(
    worker: &mut Worker<'_>,
    (item, path): (&BuildItem, &StoredPath),
    from: &File,
    to: &File,
    before: &Stat,
) -> Result<Option<Filled>, CopyError> {
    let build = worker.build;
    let Some(entry) = item.basis.as_deref() else {
        return Ok(None);
    };
    // Far away each block that is compared has to come here.
    if build.is_distant || entry.tree != 0 || !entry.may_share_blocks(before) {
        return Ok(None);
    }
    let Some(stored) = worker
        .basis_dir()
        .and_then(|dir| dir.file(entry.stored_name()).ok())
    else {
        return Ok(None);
    };
    let Ok(found) = Stat::of_fd(&stored) else {
        return Ok(None);
    };
    if found.kind != Kind::File
        || build.never_link(found.ino)
        || !worker.share(&stored, to, &found)?
    {
        return Ok(None);
    }
    let sparse = before.has_holes();
    let Some(there) = reopen_to_read(to)? else {
        return Ok(None);
    };
    let shared = Shared {
        to,
        there: &there,
        size: found.size,
    };
    let mut passed = |passed| build.passed(path, passed);
    let updated = worker
        .copier
        .update(from, shared, (sparse, before.size), &mut passed)?;
    if updated.is_none() {
        to.set_len(0).map_err(CopyError::Write)?;
    }
    Ok(updated.map(|copied| Filled::of(copied, true)))
}

/// Shares the blocks of the basis' file, if the source is read to have that content. Whoever changes
/// a mode may have changed the content before, and put its time back.
pub(super) fn from_basis(
    worker: &mut Worker<'_>,
    dir: &Dir,
    entry: &Entry,
    source: &File,
    to: &File,
) -> Result<Option<Filled>, CopyError> {
    let (Some(digest), Ok(stored)) = (entry.digest, dir.file(entry.stored_name())) else {
        return Ok(None);
    };
    let Ok(found) = Stat::of_fd(&stored) else {
        return Ok(None);
    };
    if found.kind != Kind::File
        || found.size != entry.size
        || found.size < WORTH_SHARING
        || worker.build.never_link(found.ino)
        || !worker.share(&stored, to, &found)?
    {
        return Ok(None);
    }
    let build = worker.build;
    let sparse = found.has_holes();
    let mut check = |_| build.check();
    let read = worker.copier.digest(source, sparse, &mut check)?;
    Ok((read.digest == digest).then(|| Filled::of(read, false)))
}

/// Another description of a file that is open to be written; where there is none, the file is empty again.
/// Its mode may keep its owner from reading it.
fn reopen_to_read(file: &File) -> Result<Option<File>, CopyError> {
    use std::os::fd::AsRawFd as _;
    let opened = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
    if opened.is_none() {
        file.set_len(0).map_err(CopyError::Write)?;
    }
    Ok(opened)
}

impl Worker<'_> {
    /// Makes an empty file share the blocks of another, which is as described, where the file system can; a
    /// source whose file system cannot is asked once. Where it does not share all of them, it is empty again.
    pub(super) fn share(&self, from: &File, to: &File, found: &Stat) -> Result<bool, CopyError> {
        let build = self.build;
        let lock = || {
            let nothing = &build.shares_nothing;
            nothing.lock().unwrap_or_else(PoisonError::into_inner)
        };
        if lock().contains(&found.dev) {
            return Ok(false);
        }
        let shared = rustix::fs::ioctl_ficlone(to, from);
        if let Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS | Errno::INVAL) =
            shared
        {
            lock().insert(found.dev);
        }
        // Others have no blocks to share in this one: it is copied, and the next one is asked again.
        only_whole(shared.is_ok(), to, found.size)
    }
}

/// Whether a file has got all that was to be cloned into it; else it is emptied. A kernel that fails on the
/// way keeps what it came to, and XFS of Linux before its mend of xfstests' generic/562 calls that a success.
fn only_whole(is_shared: bool, to: &File, size: u64) -> Result<bool, CopyError> {
    let is_whole = is_shared && to.metadata().map_err(CopyError::Write)?.len() >= size;
    if !is_whole {
        to.set_len(0).map_err(CopyError::Write)?;
    }
    Ok(is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_that_ended_on_the_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (is_shared, there, expected) in [(true, 10, true), (true, 9, false), (false, 10, false)]
        {
            std::fs::write(&path, vec![1; there]).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            assert_eq!(only_whole(is_shared, &file, 10).unwrap(), expected);
            let left = if expected { there as u64 } else { 0 };
            assert_eq!(file.metadata().unwrap().len(), left);
        }
    }
}
