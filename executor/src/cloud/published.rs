//! Records and manifests on the remote: which snapshots are there, and which uploads did not end.
//!
//! `manifests/<id>/` gets `attempt-<n>.json`, `snapshot.json` and the manifest before the first file
//! changes, and `uploaded-<n>.json` after the last. So whoever finds a folder without the latter
//! knows which files are in doubt, even on a new machine.

use std::{collections::BTreeMap, ffi::OsStr, fs::File, io::BufReader};

use schema::{
    SnapshotId,
    cloud::{MANIFESTS, UploadRecord},
    record::SnapshotRecord,
};
use serde::Deserialize;

use super::{memory::RemoteCache, rclone::Rclone};
use crate::{
    bounded::{BoundedLines, LONGEST_LISTED_LINE},
    error::{Error, Result},
    event::Stop,
    manifest::{self, Reader},
    store::{LONGEST_MANIFEST, SNAPSHOT_FILE, read_json},
};

/// The list of files that an upload left in `current` although its snapshot does not have them.
pub const KEPT: &str = "kept.mtree.zst";
/// Files beside a manifest: a record, and two for each attempt.
const MOST_FILES: usize = 10_000;

/// What the remote has of one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteSnapshot {
    /// The newest attempt that ended well.
    pub uploaded: Option<u64>,
    /// The newest attempt.
    pub attempt: u64,
    /// Files there with their sizes.
    pub files: BTreeMap<String, u64>,
    /// What is there of it was found to be damaged: nothing can be restored by it.
    pub damaged: bool,
}

/// All that the remote has of snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteManifests {
    /// What it has of each.
    pub of: BTreeMap<SnapshotId, RemoteSnapshot>,
    /// The machines that say that the copies are theirs.
    pub owners: Vec<String>,
    /// Whether it has manifests of layout `history`.
    pub has_history: bool,
}

/// An item of `rclone lsjson`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    path: String,
    size: i64,
    #[serde(default)]
    is_dir: bool,
}

/// What a listing says of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteItem {
    /// Its path below the folder that was listed, as rclone names it.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// Lists what is below a folder of the remote. False where there is no such folder.
///
/// # Errors
/// Fails if the remote cannot be asked, or answers what rclone does not say.
pub fn list_remote(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    folder: &str,
    options: &[&str],
    each: &mut dyn FnMut(RemoteItem),
) -> Result<bool> {
    const LISTING: &str = "listing.json";
    let arguments = ["lsjson", folder, "--no-modtime", "--no-mimetype"];
    let arguments = [&arguments[..], options].concat();
    let there = rclone.must(&arguments, &|| cache.new_file(LISTING).map(Some))?;
    if !there {
        return Ok(false);
    }
    let unread = |because: String| {
        Error::failed(format!(
            "cloud copy failed: rclone's list of {folder} cannot be read: {because}"
        ))
    };
    // One item a line, so that a list of millions is never in memory as text.
    let mut room = rclone.most_listed;
    for line in BoundedLines::new(BufReader::new(cache.file(LISTING)?), LONGEST_LISTED_LINE) {
        let line = line.map_err(|error| unread(error.to_string()))?;
        let line = line.trim().trim_end_matches(',');
        if matches!(line, "" | "[" | "]" | "[]") {
            continue;
        }
        let item: Listed = serde_json::from_str(line).map_err(|error| unread(error.to_string()))?;
        room = rclone.take_room(room, &item.path, folder)?;
        if item.is_dir || item.size >= 0 {
            each(RemoteItem {
                path: item.path,
                size: u64::try_from(item.size).unwrap_or(0),
                is_folder: item.is_dir,
            });
        }
    }
    Ok(true)
}

/// The machine that a file of this name says that the copies are of.
#[must_use]
pub fn machine_of(name: &str) -> Option<String> {
    let machine = name.strip_prefix("owner-")?.strip_suffix(".json")?;
    Some(machine.to_owned())
}

/// The name of the file that says that the copies are of this machine.
pub(super) fn owner_file(machine: &str) -> String {
    format!("owner-{machine}.json")
}

/// What the remote has of each snapshot, and whose it is.
///
/// # Errors
/// Fails if it cannot be asked.
pub fn list_remote_manifests(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
) -> Result<RemoteManifests> {
    let mut found = RemoteManifests::default();
    let folder = format!("{remote}/{MANIFESTS}");
    list_remote(
        rclone,
        cache,
        &folder,
        &["-R", "--files-only"],
        &mut |item| {
            let Some((id, name)) = item.path.split_once('/') else {
                found.owners.extend(machine_of(&item.path));
                let of_history = item.path.split_once('.');
                let is_id = |(name, _): (&str, _)| name.parse::<SnapshotId>().is_ok();
                found.has_history |= of_history.is_some_and(is_id);
                return;
            };
            let Ok(id) = id.parse::<SnapshotId>() else {
                return;
            };
            let on_remote = found.of.entry(id).or_default();
            if let Some(number) = attempt_number(name, "uploaded-") {
                on_remote.uploaded = on_remote.uploaded.max(Some(number));
                on_remote.attempt = on_remote.attempt.max(number);
            }
            if let Some(number) = attempt_number(name, "attempt-") {
                on_remote.attempt = on_remote.attempt.max(number);
            }
            on_remote.files.insert(name.to_owned(), item.size);
        },
    )?;
    Ok(found)
}

fn attempt_number(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(".json")?;
    digits.parse().ok()
}

/// Name of the record of an attempt that ended well.
#[must_use]
pub fn uploaded_name(attempt: u64) -> String {
    format!("uploaded-{attempt}.json")
}

/// The snapshots that were uploaded to their end, in the order of their uploads, the newest first.
#[must_use]
pub fn newest_first(
    manifests_there: &BTreeMap<SnapshotId, RemoteSnapshot>,
) -> Vec<(SnapshotId, u64)> {
    let whole = manifests_there
        .iter()
        .filter(|(_, on_remote)| !on_remote.damaged);
    let mut found: Vec<(SnapshotId, u64)> = whole
        .filter_map(|(id, on_remote)| Some((*id, on_remote.uploaded?)))
        .collect();
    found.sort_unstable_by_key(|(id, attempt)| std::cmp::Reverse((*attempt, *id)));
    found
}

/// Brings a snapshot's record and manifest to the cache; `None` if what is on the remote is not
/// whole.
///
/// # Errors
/// Fails if the remote cannot be asked.
pub fn fetch_published(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
    id: SnapshotId,
    on_remote: &RemoteSnapshot,
) -> Result<Option<Published>> {
    if let Some(there) = Published::at(cache, id, on_remote)? {
        return Ok(Some(there));
    }
    fetch_anew(rclone, cache, remote, id, on_remote)
}

/// As [`fetch_published`], but whatever is in the cache already.
///
/// # Errors
/// Fails if the remote cannot be asked.
pub fn fetch_anew(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
    id: SnapshotId,
    on_remote: &RemoteSnapshot,
) -> Result<Option<Published>> {
    cache.clear_cached_snapshot(id, rclone.context)?;
    // What is longer than anything that is written there is not brought.
    let bytes = on_remote
        .files
        .values()
        .fold(0, |sum: u64, size| sum.saturating_add(*size));
    if bytes > LONGEST_MANIFEST || on_remote.files.len() > MOST_FILES {
        return Ok(None);
    }
    let (_, path) = cache.cached_snapshot_or_new(id)?;
    let from = format!("{remote}/{MANIFESTS}/{id}");
    rclone.must(&["copy", &from, &path], &|| Ok(None))?;
    Published::at(cache, id, on_remote)
}

/// A snapshot's record and manifest in the cache, whole.
pub struct Published {
    /// The snapshot's record.
    pub record: SnapshotRecord,
    /// The upload's record, where it ended well.
    pub upload: Option<UploadRecord>,
    file: File,
    kept: Option<File>,
}

/// A manifest from its start.
fn from_start(file: &File) -> Result<Reader> {
    use std::io::Seek as _;
    let open = || -> std::io::Result<Reader> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Reader::new(file)
    };
    open().map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))
}

impl Published {
    fn at(cache: &RemoteCache, id: SnapshotId, on_remote: &RemoteSnapshot) -> Result<Option<Self>> {
        let Some(dir) = cache.cached_snapshot(id) else {
            return Ok(None);
        };
        // What is no record counts as not there: it is fetched, or was cut off by a kill.
        let record: Option<SnapshotRecord> =
            read_json(&dir, SNAPSHOT_FILE, SNAPSHOT_FILE).unwrap_or_default();
        let upload: Option<UploadRecord> = match on_remote.uploaded {
            Some(attempt) => {
                let name = uploaded_name(attempt);
                match read_json(&dir, &name, &name).unwrap_or_default() {
                    Some(upload) => Some(upload),
                    None => return Ok(None),
                }
            }
            None => None,
        };
        let Some(record) = record.filter(|record| record.id == id) else {
            return Ok(None);
        };
        let Ok(mut file) = dir.file(OsStr::new(manifest::FILE_NAME)) else {
            return Ok(None);
        };
        let whole = manifest::digest_of_file(&mut file, &Stop::default())
            .is_ok_and(|digest| digest == record.manifest_digest);
        if !whole {
            return Ok(None);
        }
        // Without it more is uploaded than has to be.
        let kept = upload.as_ref().and_then(|upload| upload.kept_digest);
        let kept = kept.and_then(|wanted| {
            let mut file = dir.file(OsStr::new(KEPT)).ok()?;
            let digest = manifest::digest_of_file(&mut file, &Stop::default()).ok()?;
            (digest == wanted).then_some(file)
        });
        Ok(Some(Self {
            record,
            upload,
            file,
            kept,
        }))
    }

    /// Files of earlier uploads that this one left where they were, if they are known.
    ///
    /// # Errors
    /// Fails if the file in the cache cannot be read.
    pub fn kept(&self) -> Result<Option<Reader>> {
        self.kept.as_ref().map(from_start).transpose()
    }

    /// Reads the manifest from its start.
    ///
    /// # Errors
    /// Fails if the file in the cache cannot be read.
    pub fn reader(&self) -> Result<Reader> {
        from_start(&self.file)
    }
}
