//! Which manifests this machine sealed, as the copies in the cloud tell it: for one that lost its state
//! directory. Whoever changes a disk does not change these.

use std::{collections::BTreeMap, ffi::OsStr, io::Write as _};

use schema::{
    Digest, SnapshotId,
    cloud::{MANIFESTS, UploadRecord},
};

use super::{fetch, memory::RemoteCache, published::uploaded_name, rclone::Rclone};
use crate::{
    error::{Error, Result},
    remove::remove_tree,
    store::{LONGEST_JSON, read_json},
    sys::Dir,
};

/// Folder of the cache where the records are meanwhile.
const AREA: &str = "sealed";
/// Longest that the records may be together that are brought, in bytes.
const LONGEST_RECORDS: u64 = 64 << 20;

/// The digests of the sealed manifests, by snapshot.
pub type SealedDigests = BTreeMap<SnapshotId, Digest>;

/// What the newest upload told that is remembered here, without asking the remote.
#[must_use]
pub fn remembered_digests(cache: &RemoteCache) -> SealedDigests {
    let last = cache.memory().ok().and_then(|memory| memory.last);
    let last = last.and_then(|last| Some((last.id, last.sealed_digest?)));
    last.into_iter().collect()
}

/// Asks the remote which manifests of these snapshots were sealed. What was uploaded before digests of
/// them were written there, or is damaged there, is not among them.
///
/// # Errors
/// Fails if the remote cannot be asked or the cache cannot be written.
pub fn fetch_digests(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
    ids: &[SnapshotId],
) -> Result<SealedDigests> {
    let there = fetch::uploaded_snapshots(rclone, cache, remote)?;
    // What is longer than anything that is written there is not brought.
    let mut room = LONGEST_RECORDS;
    let mut wanted: Vec<(SnapshotId, String)> = Vec::new();
    for id in ids.iter().rev() {
        let Some((on_remote, attempt)) = there.get(id).and_then(|one| Some((one, one.uploaded?)))
        else {
            continue;
        };
        let name = uploaded_name(attempt);
        let size = on_remote.files.get(&name).copied().unwrap_or(u64::MAX);
        if size <= room.min(LONGEST_JSON) {
            room -= size;
            wanted.push((*id, name));
        }
    }
    if wanted.is_empty() {
        return Ok(SealedDigests::new());
    }
    let area = cache.empty_area(AREA, rclone.context)?;
    bring_records(rclone, cache, remote, &wanted)?;
    let read = |(id, name): &(SnapshotId, String)| {
        let upload = read_upload(&area, *id, name)?;
        Some((*id, upload.sealed_digest?))
    };
    let digests = wanted.iter().filter_map(read).collect();
    remove_tree(
        cache.dir(),
        OsStr::new(AREA),
        &cache.named(AREA),
        rclone.context,
    )?;
    Ok(digests)
}

fn bring_records(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
    wanted: &[(SnapshotId, String)],
) -> Result<()> {
    const FILES: &str = "sealed.list";
    let lines = wanted.iter().map(|(id, name)| format!("{id}/{name}\n"));
    let list: String = lines.collect();
    cache
        .new_file(FILES)?
        .write_all(list.as_bytes())
        .map_err(|error| Error::io("write", cache.named(FILES).as_bytes(), error))?;
    let (from, to) = (format!("{remote}/{MANIFESTS}"), cache.named(AREA));
    let list = cache.named(FILES);
    let arguments = [
        "copy",
        &from,
        &to,
        "--files-from-raw",
        &list,
        "--no-traverse",
    ];
    rclone.must(&arguments, &|| Ok(None)).map(|_| ())
}

/// An upload's record as it was brought; `None` where it is damaged or another one's.
fn read_upload(area: &Dir, id: SnapshotId, name: &str) -> Option<UploadRecord> {
    let folder = area.folder(OsStr::new(&id.to_string())).ok()?;
    let upload: UploadRecord = read_json(&folder, name, name).ok()??;
    (upload.id == id).then_some(upload)
}
