//! Bringing a snapshot, or a part of it, back from the remote into a folder of the form of a
//! destination, from which a restore works as from any other.
//!
//! Each file is compared with the manifest's digest. Where a file was replaced since, it is in the
//! history of the first attempt after the snapshot's, and where it was moved, under its later name;
//! so older snapshots come back, too, as long as their history is kept.

use std::{collections::BTreeMap, ffi::OsStr, fs::File};

use schema::{
    Digest, FailureCode, SnapshotId, StoredPath, StoredPathBuf, amount,
    record::{SNAPSHOT_FORMAT_VERSION, SnapshotRecord},
};

use super::{
    history::{self, History, HistoryPlace},
    memory::RemoteCache,
    names,
    published::{self, Published, RemoteSnapshot},
    rclone::Rclone,
};
use crate::{
    copy::{Copier, CopyError},
    error::{Error, Result},
    event::{Context, Event, Phase, Progress},
    manifest::{self, Entry, Reader, SegmentWriter, segments},
    remove::remove_tree,
    store::{BACKUP, LONGEST_MANIFEST, SNAPSHOT_FILE, SNAPSHOTS, write_record},
    sys::{Dir, Kind},
};

/// What is asked for.
pub struct WantedFiles<'a> {
    /// The host's folder on the remote.
    pub remote: &'a str,
    /// The host's folder in the folder that is filled.
    pub host: &'a str,
    /// The snapshot; the newest upload where none is named.
    pub id: Option<SnapshotId>,
    /// Paths in the snapshot, without a leading slash; an empty one is all of it.
    pub paths: &'a [StoredPathBuf],
}

impl WantedFiles<'_> {
    pub(super) fn has(&self, path: &StoredPath) -> bool {
        self.paths.iter().any(|above| path.is_within(above))
    }
}

/// What was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The snapshot.
    pub id: SnapshotId,
    /// Files that are there and whole.
    pub files: u64,
    /// Files that the remote does not have as they were.
    pub missing: u64,
    /// Newer uploads whose records there are damaged, which were passed over.
    pub damaged: Vec<SnapshotId>,
}

/// A file that is to be brought.
pub(super) struct MissingFile {
    pub(super) entry: Entry,
    /// Where it may be, the likeliest last.
    pub(super) places: Vec<HistoryPlace>,
}

/// Which snapshots the remote has, with the attempt that brought each.
///
/// # Errors
/// Fails if the remote cannot be asked.
pub fn uploaded_snapshots(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
) -> Result<BTreeMap<SnapshotId, RemoteSnapshot>> {
    let mut manifests_there = published::list_remote_manifests(rclone, cache, remote)?.of;
    manifests_there.retain(|_, on_remote| on_remote.uploaded.is_some());
    Ok(manifests_there)
}

/// Fills a folder with what is asked for. Can be repeated: what is whole stays.
///
/// # Errors
/// Refused where the remote has no such snapshot or here is no room; failed where the remote cannot
/// be reached.
pub fn fetch_files(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    into: (&Dir, &str),
    wanted: &WantedFiles<'_>,
) -> Result<Brought> {
    let manifests_there = uploaded_snapshots(rclone, cache, wanted.remote)?;
    let WholeUpload {
        id,
        published,
        damaged,
    } = find_whole_upload(rclone, cache, wanted, &manifests_there)?;
    let on_remote = &manifests_there[&id];
    let (folder, named) = into;
    let download = Download {
        rclone,
        cache,
        wanted,
        published: &published,
        tree: make_destination(
            (folder, named),
            wanted.host,
            &carried_of(cache, id, &published)?,
            rclone.context,
        )?,
        tree_path: format!("{named}/{}/daily/{id}", wanted.host),
    };
    let attempt = on_remote.uploaded.unwrap_or(0);
    let history = History::read(rclone, cache, wanted.remote, attempt)?;
    let Shortfall { whole, left, bytes } = download.find_shortfall(&history, attempt)?;
    check_room_for_download(folder, named, bytes)?;
    let files = whole + download.bring_files(left)?;
    // What is still not there, or not whole, the restore tells by its path.
    let missing = download.count_wanted()?.saturating_sub(files);
    Ok(Brought {
        id,
        files,
        missing,
        damaged,
    })
}

/// An upload whose records are whole.
struct WholeUpload {
    id: SnapshotId,
    published: Published,
    /// Newer ones that were passed over.
    damaged: Vec<SnapshotId>,
}

/// The upload that is asked for, or the newest one whose records are whole.
fn find_whole_upload(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    wanted: &WantedFiles<'_>,
    manifests_there: &BTreeMap<SnapshotId, RemoteSnapshot>,
) -> Result<WholeUpload> {
    let mut damaged = Vec::new();
    loop {
        let mut whole = manifests_there.clone();
        whole.retain(|id, _| !damaged.contains(id));
        let id = if whole.is_empty() {
            None
        } else {
            Some(choose_snapshot(&whole, wanted)?)
        };
        let id = id.map_or_else(|| choose_snapshot(manifests_there, wanted), Ok)?;
        if !damaged.contains(&id)
            && let Some(published) =
                published::fetch_published(rclone, cache, wanted.remote, id, &manifests_there[&id])?
        {
            return Ok(WholeUpload {
                id,
                published,
                damaged,
            });
        }
        if wanted.id.is_some() || damaged.contains(&id) {
            return Err(Error::failed(format!(
                "the manifest of {id} on {} is damaged",
                wanted.remote
            ))
            .hint("name another snapshot; `backup restore --from cloud --list` shows them"));
        }
        damaged.push(id);
    }
}

/// A download of files of one upload into a snapshot's tree.
struct Download<'a> {
    rclone: &'a Rclone<'a>,
    cache: &'a RemoteCache,
    wanted: &'a WantedFiles<'a>,
    published: &'a Published,
    tree: Dir,
    tree_path: String,
}

/// What is in a tree and what is not yet.
struct Shortfall {
    /// Files that are there and whole.
    whole: u64,
    left: Vec<MissingFile>,
    /// Sum of the sizes of those that are left.
    bytes: u64,
}

impl Download<'_> {
    /// Looks which of the files that are asked for are there.
    fn find_shortfall(&self, history: &History, attempt: u64) -> Result<Shortfall> {
        let mut shortfall = Shortfall {
            whole: 0,
            left: Vec::new(),
            bytes: 0,
        };
        for entry in self.published.reader()? {
            let entry =
                entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
            if entry.kind != Kind::File || !self.wanted.has(&entry.path) {
                continue;
            }
            self.rclone.context.stop.check()?;
            if is_whole(&self.tree, &entry, self.rclone.context)? {
                shortfall.whole += 1;
                continue;
            }
            let Some(key) = names::remote_name(&entry) else {
                continue;
            };
            shortfall.bytes = shortfall.bytes.saturating_add(entry.size);
            let places = history.places(&key, attempt);
            shortfall.left.push(MissingFile { entry, places });
        }
        Ok(shortfall)
    }

    /// Tries all places of each file; gives how many came whole.
    fn bring_files(&self, mut left: Vec<MissingFile>) -> Result<u64> {
        let mut files = 0;
        while !left.is_empty() {
            left = download_files(
                self.rclone,
                self.cache,
                self.wanted.remote,
                &self.tree_path,
                left,
            )?;
            let mut still = Vec::new();
            for missing in left {
                if is_whole(&self.tree, &missing.entry, self.rclone.context)? {
                    files += 1;
                } else {
                    still.push(missing);
                }
            }
            still.retain(|missing| !missing.places.is_empty());
            left = still;
        }
        Ok(files)
    }

    /// How many files are asked for.
    fn count_wanted(&self) -> Result<u64> {
        let mut count = 0;
        for entry in self.published.reader()? {
            let entry =
                entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
            count += u64::from(entry.kind == Kind::File && self.wanted.has(&entry.path));
        }
        Ok(count)
    }
}

pub(super) fn choose_snapshot(
    manifests_there: &BTreeMap<SnapshotId, RemoteSnapshot>,
    wanted: &WantedFiles<'_>,
) -> Result<SnapshotId> {
    let newest = published::newest_first(manifests_there)
        .first()
        .map(|(id, _)| *id);
    let Some(newest) = newest else {
        return Err(
            Error::refused(format!("no snapshot was uploaded to {}", wanted.remote)).hint(
                "compare cloud.remote, cloud.remotePath and hostname with those of the machine \
                 that made the copies",
            ),
        );
    };
    match wanted.id {
        None => Ok(newest),
        Some(id) if manifests_there.contains_key(&id) => Ok(id),
        Some(id) => {
            let there: Vec<String> = manifests_there
                .keys()
                .rev()
                .take(5)
                .map(ToString::to_string)
                .collect();
            Err(
                Error::refused(format!("snapshot {id} is not on {}", wanted.remote))
                    .hint(format!("there are {}", there.join(", "))),
            )
        }
    }
}

/// A snapshot's record and manifest as they were on the remote.
pub(super) struct CarriedSnapshot<'a> {
    pub(super) record: &'a SnapshotRecord,
    /// Digest of the manifest that was sealed on the destination, where that is known.
    pub(super) sealed_digest: Option<Digest>,
    /// The manifest, from its start.
    pub(super) manifest: File,
}

fn carried_of<'a>(
    cache: &RemoteCache,
    id: SnapshotId,
    published: &'a Published,
) -> Result<CarriedSnapshot<'a>> {
    let cached = cache
        .cached_snapshot(id)
        .ok_or_else(|| Error::failed(format!("the manifest of {id} is gone")))?;
    let manifest = cached
        .file(OsStr::new(manifest::FILE_NAME))
        .map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
    let upload = published.upload.as_ref();
    Ok(CarriedSnapshot {
        record: &published.record,
        sealed_digest: upload.and_then(|upload| upload.sealed_digest),
        manifest,
    })
}

/// The host's folder with the snapshot's records, and the snapshot's tree.
pub(super) fn make_destination(
    (folder, named): (&Dir, &str),
    host: &str,
    carried: &CarriedSnapshot<'_>,
    context: Context<'_>,
) -> Result<Dir> {
    let name = carried.record.id.to_string();
    let below = |names: &[&str]| -> Result<Dir> {
        let mut dir = folder
            .again()
            .map_err(|error| Error::io("open", named.as_bytes(), error))?;
        for name in names {
            dir = dir
                .folder_or_new(OsStr::new(name), 0o700)
                .map_err(|error| Error::io("make", named.as_bytes(), error))?;
        }
        Ok(dir)
    };
    let records = below(&[host, BACKUP, SNAPSHOTS, &name])?;
    let sealed = carried.sealed_digest;
    if sealed.is_some_and(|sealed| sealed != carried.record.manifest_digest) {
        write_as_sealed(&records, carried, context, named)?;
        return below(&[host, "daily", &name]);
    }
    write_record(&records, SNAPSHOT_FILE, named, carried.record)?;
    let io = |error: std::io::Error| Error::io("write", named.as_bytes(), error);
    let from = carried.manifest.try_clone().map_err(io)?;
    records
        .copy_whole(manifest::FILE_NAME, from, LONGEST_MANIFEST)
        .map_err(io)?;
    below(&[host, "daily", &name])
}

/// Writes a manifest as a destination has it, and its record: where nothing had to be added to it for the
/// remote, it is to the byte what was sealed, and its digest is the one that this machine keeps.
fn write_as_sealed(
    records: &Dir,
    carried: &CarriedSnapshot<'_>,
    context: Context<'_>,
    named: &str,
) -> Result<()> {
    // What an interrupted fetch left there, of an earlier version too.
    for name in [manifest::FILE_NAME, segments::FOLDER] {
        remove_tree(records, OsStr::new(name), named, context)?;
    }
    let io = |error: std::io::Error| Error::io("write", named.as_bytes(), error);
    let mut writer =
        SegmentWriter::new(records, segments::FOLDER, None, context.threads, false).map_err(io)?;
    let manifest = carried.manifest.try_clone().map_err(io)?;
    for entry in Reader::new(manifest).map_err(io)? {
        let entry =
            entry.map_err(|error| Error::io("read", manifest::FILE_NAME.as_bytes(), error))?;
        context.stop.check()?;
        writer.write(&entry).map_err(io)?;
    }
    let record = SnapshotRecord {
        format_version: SNAPSHOT_FORMAT_VERSION,
        manifest: segments::LIST_PATH.to_owned(),
        manifest_digest: writer.finish().map_err(io)?,
        ..carried.record.clone()
    };
    write_record(records, SNAPSHOT_FILE, named, &record)
}

/// Downloads each file from its likeliest place, which is struck off.
pub(super) fn download_files(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
    tree: &str,
    mut left: Vec<MissingFile>,
) -> Result<Vec<MissingFile>> {
    let mut wanted = Vec::new();
    for missing in &mut left {
        if let (Some(place), Some(key)) = (missing.places.pop(), names::remote_name(&missing.entry))
        {
            wanted.push((place, key));
        }
    }
    history::download_moved(rclone, cache, remote, tree, &wanted)?;
    Ok(left)
}

/// Whether a file is there as the manifest has it.
pub(super) fn is_whole(tree: &Dir, entry: &Entry, context: Context<'_>) -> Result<bool> {
    let Ok((dir, name)) = tree.descend(entry.stored_path()) else {
        return Ok(false);
    };
    let there = dir.look(name).unwrap_or_default();
    if there.is_none_or(|stat| stat.kind != Kind::File || stat.size != entry.size) {
        return Ok(false);
    }
    let Ok(file) = dir.file(name) else {
        return Ok(false);
    };
    context.observer.event(Event::Progress(Progress {
        phase: Phase::Cloud,
        ..Progress::default()
    }));
    let mut tick = |_| context.stop.check();
    match Copier::default().digest(&file, false, &mut tick) {
        Ok(read) => Ok(Some(read.digest) == entry.digest),
        Err(CopyError::Ended(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Refuses where the downloads would not fit.
pub(super) fn check_room_for_download(folder: &Dir, named: &str, bytes: u64) -> Result<()> {
    let size = rustix::fs::fstatvfs(folder)
        .map_err(|error| Error::io("look at", named.as_bytes(), error))?;
    let free = size.f_bavail.saturating_mul(size.f_frsize);
    if bytes <= free {
        return Ok(());
    }
    Err(Error::refused(format!(
        "insufficient space: {} are to be downloaded to {named}, and {} are free",
        amount::bytes(bytes),
        amount::bytes(free)
    ))
    .coded(FailureCode::NoSpace)
    .hint("name a folder with more room with --staging"))
}
