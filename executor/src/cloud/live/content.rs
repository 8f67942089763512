//! The content of a file: what the last upload's manifest or another name of the file says, else what is
//! read.

use std::fs::File;

use rustix::io::Errno;
use schema::{Digest, SnapshotId, StoredPath, journal::ProblemKind, record::SnapshotRecord};

use super::making::Making;
use crate::{
    cloud::memory::RemoteCache,
    copy::CopyError,
    error::{Error, Result, system_reason},
    manifest::{Cursor, Entry},
    store::{SNAPSHOT_FILE, read_json},
    survey::{Since, left_out_reason},
    sys::{Kind, Stat},
};

/// How often a file that changes while it is read is read again.
const TRIES: u32 = 3;

/// The manifest of the last upload, with when the sources were read that it describes.
pub(super) fn last_upload(cache: &RemoteCache, id: SnapshotId) -> Option<(Cursor, Since)> {
    let manifest = cache.manifest(id)?;
    let cached = cache.cached_snapshot(id)?;
    let record = read_json(&cached, SNAPSHOT_FILE, SNAPSHOT_FILE);
    let record: Option<SnapshotRecord> = record.unwrap_or_default();
    // Where nothing tells it, all is read.
    let since = record.map_or_else(Since::never, |record| Since::of(&record));
    Some((Cursor::new(manifest), since))
}

/// A file with the content that is recorded of it.
pub(super) struct SettledFile {
    /// How it was before it was read.
    pub(super) stat: Stat,
    pub(super) digest: Digest,
    /// Since which snapshot it has this content, where that is another one.
    pub(super) stored: Option<SnapshotId>,
}

impl Making<'_> {
    /// Finds a file's content in the last manifest or under another name of it, or reads it; nothing
    /// where it cannot be read, which is noted.
    pub(super) fn settle_content(
        &mut self,
        path: &StoredPath,
        file: &File,
        stat: &Stat,
    ) -> Result<Option<SettledFile>> {
        let last = match &mut self.last {
            Some((last, _)) => last.find(path).ok().flatten(),
            None => None,
        };
        let known = self.content_of_other_name(stat);
        let mut tries = 0;
        let mut read_before = None;
        let (stat, digest, stored) = loop {
            let before = Stat::of_fd(file).map_err(|error| Error::io("look at", path, error))?;
            if before.kind != Kind::File {
                self.unread(path, Errno::STALE);
                return Ok(None);
            }
            if let Some(last) = last
                .as_ref()
                .filter(|last| self.is_untouched(last, &before))
                && let Some(digest) = last.digest
            {
                break (before, digest, last.stored);
            }
            if let Some(digest) = known
                && (before.ino, before.ctime) == (stat.ino, stat.ctime)
            {
                break (before, digest, None);
            }
            // Each try reads what is there then.
            if !self.holes.takes(&before) {
                if let Some((before, digest)) = read_before {
                    break (before, digest, None);
                }
                self.problem(path, ProblemKind::Unreadable, left_out_reason(&before));
                return Ok(None);
            }
            let Some(digest) = self.read_content(path, file, &before)? else {
                return Ok(None);
            };
            tries += 1;
            let after = Stat::of_fd(file).map_err(|error| Error::io("look at", path, error))?;
            // What still changes is found out when it was uploaded: the entry says how it was.
            if (after.ctime, after.size) == (before.ctime, before.size) || tries == TRIES {
                break (before, digest, None);
            }
            read_before = Some((before, digest));
        };
        Ok(Some(SettledFile {
            stat,
            digest,
            stored,
        }))
    }

    /// Whether a file surely is as the last manifest says.
    fn is_untouched(&self, entry: &Entry, stat: &Stat) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|(_, since)| since.untouched(entry, stat))
    }

    /// What another name of the file was found to have.
    fn content_of_other_name(&self, stat: &Stat) -> Option<Digest> {
        let group = self.groups.get(&(stat.dev, stat.ino));
        group.filter(|_| stat.nlink > 1).and_then(|one| one.1)
    }

    /// Reads a file; nothing where it cannot be read, which is noted.
    fn read_content(
        &mut self,
        path: &StoredPath,
        file: &File,
        stat: &Stat,
    ) -> Result<Option<Digest>> {
        let stop = self.context.stop;
        let sparse = stat.allocated < stat.size;
        match self.copier.digest(file, sparse, &mut |_| stop.check()) {
            Ok(read) => Ok(Some(read.digest)),
            Err(CopyError::Ended(error)) => Err(error),
            Err(CopyError::Read(error) | CopyError::Write(error)) => {
                self.problem(path, ProblemKind::Unreadable, system_reason(&error));
                Ok(None)
            }
        }
    }
}
