//! Putting objects: in batches, each object noted as it comes through.
//!
//! A batch is tried again by us and not by rclone, which would put all of it again.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ffi::OsStr,
    time::Duration,
};

use schema::{Digest, remote_history::OBJECTS};

use super::{
    HistoryRemote,
    layout::{object_file, object_of},
    put_list::PutList,
    staging::{PUT, PUT_OBJECTS, StagedObject},
    upload::SourceTree,
};
use crate::{
    cloud::{
        rclone::{FileFaults, RcloneExit},
        roots::SeenFile,
    },
    copy::Copier,
    error::{Error, Result},
    manifest::{FILE_NAME, Reader},
    remove::remove_tree,
    sys::Kind,
};

/// Objects of a batch: each is a symlink in the cache meanwhile, and a name in memory.
const OBJECTS_AT_ONCE: usize = 65_536;
/// Their bytes.
const BYTES_AT_ONCE: u64 = 4 << 30;
/// Waits between the attempts of a batch.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];
/// Most objects that are left out of one upload. Where there are more, it is the remote that is full or
/// out of order, and a snapshot without them would be none.
const MOST_LEFT_OUT: usize = 1000;
/// Objects that are asked back where a remote refuses them, and their bytes.
const ASKED_BACK: usize = 1000;
const BYTES_ASKED_BACK: u64 = 1 << 30;
/// Why a live file is not put.
const CHANGED: &str = "it changed or vanished while it was uploaded";

/// Objects that are put for one upload.
pub(super) struct Putting<'a> {
    pub(super) remote: HistoryRemote<'a>,
    pub(super) source: SourceTree<'a>,
    pub(super) list: PutList,
    /// What came through.
    pub(super) put: u64,
    pub(super) bytes: u64,
    /// What did not, and why.
    pub(super) left_out: BTreeMap<Digest, String>,
    /// How many of those are for another reason than that a source changed.
    pub(super) refused: usize,
    /// Objects that are damaged there and were not put again yet.
    pub(super) damaged: HashSet<Digest>,
}

/// How an attempt ended: where one before lost the connection and this one says nothing of single files, what
/// it says instead (of S3: that the folder is a file) is no news.
fn lost_before(ended: RcloneExit, told: &FileFaults, lost: &mut Option<String>) -> RcloneExit {
    let RcloneExit::Badly {
        connection,
        message,
    } = ended
    else {
        return ended;
    };
    if connection && !told.is_of_files() {
        *lost = Some(message.clone());
    }
    match lost {
        Some(before) if !connection && told.faults.is_empty() => RcloneExit::Badly {
            connection: true,
            message: before.clone(),
        },
        _ => RcloneExit::Badly {
            connection,
            message,
        },
    }
}

impl Putting<'_> {
    /// Puts these objects, which are sorted; the manifest says where they are.
    pub(super) fn put_missing(&mut self, missing: &[Digest], manifest: Reader) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let mut is_taken = vec![false; missing.len()];
        let (mut batch, mut bytes) = (Vec::new(), 0_u64);
        for entry in manifest.without_names() {
            self.remote.rclone.context.stop.check()?;
            let entry = entry.map_err(|error| Error::io("read", FILE_NAME.as_bytes(), error))?;
            let (Kind::File, Some(digest), false) = (entry.kind, entry.digest, entry.absent) else {
                continue;
            };
            let Ok(at) = missing.binary_search(&digest) else {
                continue;
            };
            if std::mem::replace(&mut is_taken[at], true) {
                continue;
            }
            bytes = bytes.saturating_add(entry.size);
            batch.push(StagedObject {
                digest,
                path: entry.stored_path().to_owned(),
                size: entry.size,
                seen: self.source.live.is_some().then(|| SeenFile::of(&entry)),
            });
            if batch.len() >= OBJECTS_AT_ONCE || bytes >= BYTES_AT_ONCE {
                self.put_batch(&std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        for (digest, _) in missing
            .iter()
            .zip(is_taken)
            .filter(|(_, is_taken)| !is_taken)
        {
            self.leave_out(*digest, "it is not on the disk".to_owned())?;
        }
        self.put_batch(&batch)
    }

    fn put_batch(&mut self, batch: &[StagedObject]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let by_digest: BTreeMap<Digest, &StagedObject> =
            batch.iter().map(|object| (object.digest, object)).collect();
        let mut left: BTreeSet<Digest> = by_digest.keys().copied().collect();
        let mut stage = self.remote.stage(batch, self.source)?;
        let mut waits = WAITS.iter();
        let mut lost = None;
        let (ended, told) = loop {
            let before = left.clone();
            let (ended, told) = self.call(&by_digest, &mut left)?;
            let ended = lost_before(ended, &told, &mut lost);
            if left.is_empty() {
                break (ended, told);
            }
            let Some(wait) = waits.next() else {
                break (ended, told);
            };
            before
                .difference(&left)
                .for_each(|digest| stage.remove(*digest));
            self.remote.rclone.wait(*wait)?;
        };
        self.settle_batch(&by_digest, left, &ended, told)?;
        let area = self.remote.cache.named(PUT);
        remove_tree(
            self.remote.cache.dir(),
            OsStr::new(PUT),
            &area,
            self.remote.rclone.context,
        )
    }

    /// One call of rclone; what came through is not `left` any more.
    fn call(
        &mut self,
        batch: &BTreeMap<Digest, &StagedObject>,
        left: &mut BTreeSet<Digest>,
    ) -> Result<(RcloneExit, FileFaults)> {
        let (remote, live) = (self.remote, self.source.live);
        let (from, to) = (remote.cache.named(PUT_OBJECTS), remote.objects());
        let arguments = [
            "copy",
            &from,
            &to,
            // The links' files.
            "--copy-links",
            // What is there is known: nothing is asked of each.
            "--no-traverse",
            "--no-check-dest",
            // Objects have no times; it would be a request each.
            "--sftp-set-modtime=false",
        ];
        let mut told = FileFaults::quiet();
        let mut changed = BTreeMap::new();
        let (list, put, bytes, damaged) = (
            &mut self.list,
            &mut self.put,
            &mut self.bytes,
            &mut self.damaged,
        );
        let ended = remote
            .rclone
            .call(&arguments, None, &mut told, &mut |name| {
                let Some(object) = object_of(name).and_then(|digest| batch.get(&digest)) else {
                    return Ok(());
                };
                let holds = |seen: &SeenFile| live.is_none_or(|roots| seen.holds(roots));
                if !object.seen.as_ref().is_none_or(holds) {
                    // Of what came through under this name nobody knows what it is.
                    changed.insert(object.digest, CHANGED.to_owned());
                    return Ok(());
                }
                if left.remove(&object.digest) {
                    *put += 1;
                    *bytes = bytes.saturating_add(object.size);
                    damaged.remove(&object.digest);
                }
                list.add(object.digest)
                    .map_err(|error| remote.io("write", "put.list", error))
            })?;
        for (digest, because) in changed {
            left.remove(&digest);
            // That sources change is nothing that the remote could help.
            self.left_out.insert(digest, because);
        }
        Ok((ended, told))
    }

    /// What becomes of the objects of a batch that did not come through.
    fn settle_batch(
        &mut self,
        batch: &BTreeMap<Digest, &StagedObject>,
        mut left: BTreeSet<Digest>,
        ended: &RcloneExit,
        mut told: FileFaults,
    ) -> Result<()> {
        if left.is_empty() {
            return Ok(());
        }
        if let RcloneExit::Badly {
            connection: true,
            message,
        } = ended
            && !told.is_of_files()
        {
            return Err(self.remote.rclone.failed(true, message));
        }
        for digest in self.ask_back(batch, &left)? {
            left.remove(&digest);
            self.damaged.remove(&digest);
            self.list
                .add(digest)
                .map_err(|error| self.remote.io("write", "put.list", error))?;
        }
        let none_came = left.len() == batch.len() && batch.len() > 1;
        for digest in left {
            let said = told.faults.remove(&object_file(digest));
            let because = said.or_else(|| match ended {
                RcloneExit::NotThere => Some("it vanished from the disk".to_owned()),
                RcloneExit::Badly { .. } | RcloneExit::Well => None,
            });
            let message = match ended {
                RcloneExit::Badly { message, .. } => message.clone(),
                RcloneExit::Well | RcloneExit::NotThere => {
                    format!("{} ended without a complaint", self.remote.rclone.program)
                }
            };
            match because {
                Some(because) if !none_came => self.leave_out(digest, because)?,
                _ => {
                    return Err(self.remote.rclone.failed(
                        false,
                        &format!("{} takes no objects: {message}", self.remote.objects()),
                    ));
                }
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, digest: Digest, because: String) -> Result<()> {
        self.refused += 1;
        if self.refused <= MOST_LEFT_OUT {
            self.left_out.insert(digest, because);
            return Ok(());
        }
        Err(Error::failed(format!(
            "cloud copy failed: more than {MOST_LEFT_OUT} contents could not be put to {}: {because}",
            self.remote.objects()
        ))
        .hint("see what the remote says, and whether it has room; the next run goes on"))
    }

    /// Those of the objects that the remote has as they should be: one that may not overwrite what a lost
    /// upload left there refuses to take it again.
    fn ask_back(
        &self,
        batch: &BTreeMap<Digest, &StagedObject>,
        left: &BTreeSet<Digest>,
    ) -> Result<Vec<Digest>> {
        const AREA: &str = "asked";
        let bytes: u64 = left
            .iter()
            .filter_map(|digest| batch.get(digest))
            .map(|one| one.size)
            .sum();
        if left.len() > ASKED_BACK || bytes > BYTES_ASKED_BACK {
            return Ok(Vec::new());
        }
        let remote = self.remote;
        let dir = remote.cache.empty_area(AREA, remote.rclone.context)?;
        let names: Vec<String> = left.iter().map(|digest| object_file(*digest)).collect();
        let mut whole = Vec::new();
        // That it cannot be asked is no news here.
        if let Err(error) = remote.bring(OBJECTS, &names, AREA)
            && error.kind != crate::ErrorKind::Failed
        {
            return Err(error);
        }
        for (digest, name) in left.iter().zip(&names) {
            let file = dir
                .descend(name.as_bytes())
                .and_then(|(dir, name)| dir.file(name));
            let read = file.map(|file| {
                let stop = remote.rclone.context.stop;
                Copier::default().digest(&file, false, &mut |_| stop.check())
            });
            if matches!(read, Ok(Ok(read)) if read.digest == *digest) {
                whole.push(*digest);
            }
        }
        remove_tree(
            remote.cache.dir(),
            OsStr::new(AREA),
            &remote.cache.named(AREA),
            remote.rclone.context,
        )?;
        Ok(whole)
    }
}
