//! Bringing a snapshot, or a part of it, back into a folder of the form of a destination, from which a
//! restore works as from any other.
//!
//! Objects come under their digests, each once; then each file of the tree becomes a name of its object,
//! and is read and compared with the manifest.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{Digest, SnapshotId, StoredPath, StoredPathBuf, remote_history::OBJECTS};

use super::{HistoryRemote, KnownHistory, holes, layout::object_file};
use crate::{
    cloud::fetch::{
        Brought, CarriedSnapshot, WantedFiles, check_room_for_download, is_whole, make_destination,
    },
    error::{Error, Result},
    manifest::{Entry, FILE_NAME},
    remove::remove_tree,
    sys::{Dir, Kind},
};

/// Objects that are asked for at once, and their bytes.
const AT_ONCE: usize = 16_384;
const BYTES_AT_ONCE: u64 = 4 << 30;
/// Where they come.
const COME: &str = "objects";

impl HistoryRemote<'_> {
    /// Fills a folder, which is given with its path, with what is asked for. Can be repeated: what is whole
    /// stays.
    ///
    /// # Errors
    /// Refused where the remote has no such snapshot or here is no room; failed where the remote cannot be
    /// reached.
    pub fn fetch_files(&self, into: (&Dir, &str), wanted: &WantedFiles<'_>) -> Result<Brought> {
        let known = self.refresh()?;
        let id = self.choose(&known, wanted.id)?;
        let newer = known
            .damaged
            .iter()
            .filter(|damaged| wanted.id.is_none() && **damaged > id);
        let damaged = newer.copied().collect();
        let record = &known.records[&id];
        let carried = CarriedSnapshot {
            record: &record.snapshot,
            sealed_digest: record
                .sealed_digest
                .filter(|_| record.not_uploaded.is_empty()),
            manifest: self.manifest_file_of(id)?,
        };
        let (folder, named) = into;
        let mut download = Download {
            remote: *self,
            id,
            wanted,
            tree: make_destination(into, wanted.host, &carried, self.rclone.context)?,
            last: None,
        };
        let missing = download.find_missing()?;
        let bytes = missing
            .iter()
            .fold(0, |sum: u64, (_, size)| sum.saturating_add(*size));
        check_room_for_download(folder, named, bytes)?;
        let io = |error: Errno| Error::io("make", named.as_bytes(), error);
        let come = folder.folder_or_new(OsStr::new(COME), 0o700).map_err(io)?;
        self.bring_objects(&missing, &format!("{named}/{COME}"))?;
        let (files, missing) = download.place_all(&come)?;
        remove_tree(
            folder,
            OsStr::new(COME),
            &format!("{named}/{COME}"),
            self.rclone.context,
        )?;
        Ok(Brought {
            id,
            files,
            missing,
            damaged,
        })
    }

    /// The snapshot that is asked for, or the newest.
    fn choose(&self, known: &KnownHistory, id: Option<SnapshotId>) -> Result<SnapshotId> {
        let newest = || known.newest().map(|newest| newest.snapshot.id);
        match id.or_else(newest) {
            Some(id) if known.records.contains_key(&id) => Ok(id),
            Some(id) if known.damaged.contains(&id) => {
                Err(Error::failed(format!("record or manifest of {id} on {} is damaged", self.remote))
                    .hint("name another snapshot"))
            }
            Some(id) => {
                let there: Vec<String> = known.records.keys().rev().take(5).map(ToString::to_string).collect();
                Err(Error::refused(format!("snapshot {id} is not on {}", self.remote))
                    .hint(format!("there are {}", there.join(", "))))
            }
            None => Err(Error::refused(format!("no snapshot was uploaded to {}", self.remote)).hint(
                "compare remote, remotePath and hostname with those of the machine that made the copies",
            )),
        }
    }

    /// Brings objects to a folder of this path.
    pub(super) fn bring_objects(&self, objects: &[(Digest, u64)], to: &str) -> Result<()> {
        let (mut names, mut bytes) = (Vec::new(), 0_u64);
        for (digest, size) in objects {
            names.push(object_file(*digest));
            bytes = bytes.saturating_add(*size);
            if names.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE {
                self.bring_to(OBJECTS, &std::mem::take(&mut names), to)?;
                bytes = 0;
            }
        }
        self.bring_to(OBJECTS, &names, to)
    }
}

/// A download of files of one snapshot into a tree.
struct Download<'a> {
    remote: HistoryRemote<'a>,
    id: SnapshotId,
    wanted: &'a WantedFiles<'a>,
    tree: Dir,
    /// The folder in which a file was placed last, by its path.
    last: Option<(StoredPathBuf, Dir)>,
}

impl Download<'_> {
    /// Does something for each file that is asked for.
    fn each(&mut self, work: &mut dyn FnMut(&mut Self, Entry) -> Result<()>) -> Result<()> {
        for entry in self.remote.manifest_of(self.id)? {
            let entry = entry.map_err(|error| Error::io("read", FILE_NAME.as_bytes(), error))?;
            if entry.kind == Kind::File && self.wanted.has(&entry.path) {
                self.remote.rclone.context.stop.check()?;
                work(self, entry)?;
            }
        }
        Ok(())
    }

    /// The contents of files that are not here as they should be, each once.
    fn find_missing(&mut self) -> Result<Vec<(Digest, u64)>> {
        let mut missing = Vec::new();
        self.each(&mut |this, entry| {
            if let Some(digest) = entry.digest
                && !is_whole(&this.tree, &entry, this.remote.rclone.context)?
            {
                missing.push((digest, entry.size));
            }
            Ok(())
        })?;
        missing.sort_unstable();
        missing.dedup_by_key(|(digest, _)| *digest);
        Ok(missing)
    }

    /// Gives each file its object; gives how many are whole, and how many are not.
    fn place_all(&mut self, come: &Dir) -> Result<(u64, u64)> {
        let (mut whole, mut missing) = (0, 0);
        self.each(&mut |this, entry| {
            let context = this.remote.rclone.context;
            let is_there = is_whole(&this.tree, &entry, context)?
                || (this.place(come, &entry)? && is_whole(&this.tree, &entry, context)?);
            *(if is_there { &mut whole } else { &mut missing }) += 1;
            Ok(())
        })?;
        Ok((whole, missing))
    }

    /// Gives a file the content of its object; false where that did not come.
    fn place(&mut self, come: &Dir, entry: &Entry) -> Result<bool> {
        let Some(digest) = entry.digest else {
            return Ok(false);
        };
        let path = entry.stored_path();
        let io = |error: std::io::Error| Error::io("write", path.as_bytes(), error);
        let object = object_file(digest);
        let Ok((from, from_name)) = come.descend(object.as_bytes()) else {
            return Ok(false);
        };
        let Ok(file) = from.file(from_name) else {
            return Ok(false);
        };
        if let (Ok(stat), Ok(came)) = (from.stat(from_name), from.file_or_new(from_name, 0o600)) {
            holes::dig(&came, &stat, self.remote.rclone.context.stop)?;
        }
        let dir = self.folder_of(path)?;
        let name = entry.stored_name();
        match dir.remove_file(name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io(error.into())),
        }
        if dir.link_from(&from, from_name, name).is_ok() {
            return Ok(true);
        }
        // Where files have one name each, or this one has as many as it may have.
        let mut to = dir
            .new_file(name, 0o600)
            .map_err(|error| io(error.into()))?;
        std::io::copy(&mut &file, &mut to).map_err(io)?;
        Ok(true)
    }

    /// The folder of a path in the tree, made where it is missing.
    fn folder_of(&mut self, path: &StoredPath) -> Result<&Dir> {
        let above = path.parent().unwrap_or_default().to_owned();
        if self.last.as_ref().is_none_or(|(last, _)| *last != above) {
            let io = |error: Errno| Error::io("make", above.as_bytes(), error);
            let mut dir = self.tree.again().map_err(io)?;
            for name in above
                .as_bytes()
                .split(|byte| *byte == b'/')
                .filter(|name| !name.is_empty())
            {
                dir = dir
                    .folder_or_new(std::os::unix::ffi::OsStrExt::from_bytes(name), 0o700)
                    .map_err(io)?;
            }
            return Ok(&self.last.insert((above, dir)).1);
        }
        match &self.last {
            Some((_, dir)) => Ok(dir),
            None => Err(Error::failed("a folder is gone")),
        }
    }
}
