//! What is kept of a remote, in the form of a destination: records, manifests and marks of its snapshots,
//! without their trees.
//!
//! `records/` has the files as they are on the remote, by which is known which of them are new;
//! `destination/<host>` is what is made of them, which [`crate::store::Store`] opens as any other. All of it
//! can be lost: it is fetched anew.

use std::{ffi::OsStr, fs::File};

use rustix::io::Errno;
use schema::{
    Digest, SnapshotId,
    inventory::SnapshotState,
    record::{Capabilities, DestinationRecord, FORMAT_VERSION, SnapshotMarks},
    remote_history::{HistoryMemory, RemoteContent, RemoteRecord},
};

use super::{HistoryRemote, RemoteListing, layout};
use crate::{
    cloud::memory::RemoteCache,
    error::Result,
    manifest::{Cursor, FILE_NAME, Reader},
    remove::remove_tree,
    state_dir::StateDir,
    store::{
        BACKUP, DESTINATION_FILE, MARKS_FILE, SNAPSHOT_FILE, SNAPSHOTS, read_json, write_json,
        write_record,
    },
    survey::Since,
    sys::{Dir, machine::machine_id},
};

/// Files of `records` as they are on the remote.
pub(super) const BODIES: &str = "records";
/// The mount point of what is made of them.
pub(super) const DESTINATION: &str = "destination";
/// Manifests of what is let go.
pub(super) const EXPIRED: &str = "expired";
/// Where snapshots without a tree stand: no rule reads it.
const TIER: &str = "daily";

/// Where the destination is that knows what a remote has, as far as this machine has asked it: a mount
/// point, for a configuration; `None` where nothing is known, or not all that was there when it was asked
/// first. Writes nothing.
///
/// # Errors
/// Fails if what is kept of the remote cannot be opened.
pub fn known_destination(state: &StateDir, remote: &str, host: &str) -> Result<Option<String>> {
    let Some(cache) = RemoteCache::open(state, remote)? else {
        return Ok(None);
    };
    let own = cache.dir().folder(OsStr::new(DESTINATION));
    let own = own.and_then(|dir| dir.folder(OsStr::new(host)));
    let there = own.and_then(|dir| dir.folder(OsStr::new(BACKUP)));
    let made = there.and_then(|dir| dir.look(OsStr::new(DESTINATION_FILE)));
    Ok(made
        .is_ok_and(|made| made.is_some())
        .then(|| cache.named(DESTINATION)))
}

/// The snapshots that a remote was last known to have, by their records there. Writes nothing.
#[must_use]
pub fn known_records(cache: &RemoteCache) -> Vec<RemoteRecord> {
    let Ok(bodies) = cache.dir().folder(OsStr::new(BODIES)) else {
        return Vec::new();
    };
    let names = bodies.names().unwrap_or_default();
    let ids = names
        .iter()
        .filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok());
    ids.filter_map(|id| read_body(&bodies, id)).collect()
}

/// What a remote was last known to have, with what is remembered of what is let go. Writes nothing.
#[must_use]
pub fn known_content(cache: &RemoteCache, memory: &HistoryMemory) -> RemoteContent {
    let is_there = |id: SnapshotId| memory.expired.iter().all(|one| one.id != id);
    let records = known_records(cache).into_iter();
    let records: Vec<RemoteRecord> = records.filter(|one| is_there(one.snapshot.id)).collect();
    let marks = KnownMarks::of_cache(cache);
    let same = records.iter().flat_map(|record| &record.same);
    RemoteContent {
        same: same.chain(&memory.same).cloned().collect(),
        snapshots: records
            .into_iter()
            .map(|record| SnapshotState {
                home: schema::Tier::Daily,
                marks: marks.of(record.snapshot.id),
                record: record.snapshot,
                marks_fault: None,
                manifest_fault: None,
                manifest_fault_code: None,
                changed_since: None,
                damaged: 0,
            })
            .collect(),
        expired: memory.expired.clone(),
        settled_at: memory.settled_at,
        lost: Vec::new(),
    }
}

/// What is kept here of what was said of snapshots there.
struct KnownMarks {
    bodies: Option<Dir>,
    listing: RemoteListing,
}

impl KnownMarks {
    fn of_cache(cache: &RemoteCache) -> Self {
        let bodies = cache.dir().folder(OsStr::new(BODIES)).ok();
        let names = bodies.as_ref().and_then(|dir| dir.names().ok());
        let mut listing = RemoteListing::default();
        for name in names.unwrap_or_default() {
            listing.add(&name.to_string_lossy(), 0);
        }
        Self { bodies, listing }
    }

    /// What was last said of a snapshot; where that cannot be read, a person may have pinned it.
    fn of(&self, id: SnapshotId) -> SnapshotMarks {
        let (Some(bodies), Some((number, _))) = (&self.bodies, self.listing.marks.get(&id)) else {
            return SnapshotMarks::default();
        };
        let name = layout::marks_file(id, *number);
        let read = read_json(bodies, &name, &name).unwrap_or_default();
        read.unwrap_or_else(SnapshotMarks::unknown)
    }
}

/// A record as it is on the remote; none where it is damaged, not there or another one's.
fn read_body(bodies: &Dir, id: SnapshotId) -> Option<RemoteRecord> {
    let name = layout::record_file(id);
    let read = read_json(bodies, &name, &name).unwrap_or_default();
    read.filter(|record: &RemoteRecord| {
        record.snapshot.id == id && record.format_version <= FORMAT_VERSION
    })
}

impl HistoryRemote<'_> {
    /// Where the destination is that knows what the remote has.
    #[must_use]
    pub fn destination_path(&self) -> String {
        self.cache.named(DESTINATION)
    }

    /// A folder of the cache, made where it is missing. All of it can be had again: what stands in the way of
    /// one is taken away.
    pub(super) fn folder(&self, names: &[&str]) -> Result<Dir> {
        let io = |error| self.io("make", &names.join("/"), error);
        let mut dir = self.cache.dir().again().map_err(io)?;
        for name in names {
            let name = OsStr::new(name);
            dir = match dir.folder_or_new(name, 0o700) {
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    dir.remove_file(name).map_err(io)?;
                    dir.folder_or_new(name, 0o700).map_err(io)?
                }
                made => made.map_err(io)?,
            };
        }
        Ok(dir)
    }

    pub(super) fn bodies(&self) -> Result<Dir> {
        self.folder(&[BODIES])
    }

    /// The folder of a snapshot's records.
    fn records_of(&self, id: SnapshotId) -> Result<(Dir, String)> {
        let id = id.to_string();
        let names = [DESTINATION, self.host, BACKUP, SNAPSHOTS, &id];
        Ok((self.folder(&names)?, self.cache.named(&names.join("/"))))
    }

    /// The destination's own record, made where it is missing or cannot be read.
    pub(super) fn make_destination(&self) -> Result<()> {
        let dir = self.folder(&[DESTINATION, self.host, BACKUP])?;
        let there: Option<DestinationRecord> =
            read_json(&dir, DESTINATION_FILE, DESTINATION_FILE).unwrap_or_default();
        if there.is_some() {
            return Ok(());
        }
        let record = DestinationRecord {
            format_version: FORMAT_VERSION,
            id: id_of_remote(self.remote),
            host: self.host.to_owned(),
            created_at: self.rclone.context.clock.now(),
            machine: machine_id(),
            capabilities: Capabilities::all(),
        };
        let path = self.cache.named(&format!(
            "{DESTINATION}/{}/{BACKUP}/{DESTINATION_FILE}",
            self.host
        ));
        write_json(&dir, DESTINATION_FILE, &path, &record)
    }

    /// A record as it is on the remote; none where it is damaged, not there or another one's.
    pub(super) fn body(&self, id: SnapshotId) -> Option<RemoteRecord> {
        read_body(&self.bodies().ok()?, id)
    }

    /// Whether a snapshot's manifest is here. It was compared with its record when it came.
    pub(super) fn has_manifest(&self, record: &RemoteRecord) -> Result<bool> {
        let (dir, path) = self.records_of(record.snapshot.id)?;
        let stat = dir
            .look(OsStr::new(FILE_NAME))
            .map_err(|error| self.io("look at", &path, error))?;
        Ok(stat.is_some_and(|stat| stat.size == record.manifest_bytes))
    }

    /// Takes a manifest over that stands in a folder of the cache, if it is the record's.
    pub(super) fn take_manifest(
        &self,
        record: &RemoteRecord,
        from: &Dir,
        name: &str,
    ) -> Result<bool> {
        let io = |error: Errno| self.io("rename", name, error);
        let Ok(mut file) = from.file(OsStr::new(name)) else {
            return Ok(false);
        };
        let digest = crate::manifest::digest_of_file(&mut file, self.rclone.context.stop);
        self.rclone.context.stop.check()?;
        if !digest.is_ok_and(|digest| digest == record.snapshot.manifest_digest) {
            return Ok(false);
        }
        file.sync_all()
            .map_err(|error| self.io("write", name, error))?;
        let (dir, _) = self.records_of(record.snapshot.id)?;
        from.rename_to(OsStr::new(name), &dir, OsStr::new(FILE_NAME))
            .map_err(io)?;
        dir.sync().map_err(io)?;
        Ok(true)
    }

    /// Forgets those of these snapshots' manifests here that are not what they were when they came, so that
    /// they come once more; whether there were any.
    ///
    /// # Errors
    /// An interruption, or a cache that cannot be written.
    pub fn forget_damaged(&self, of: &dyn Fn(SnapshotId) -> bool) -> Result<bool> {
        let mut found = false;
        for name in self.bodies()?.names().unwrap_or_default() {
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            let id = id.and_then(|id| id.parse().ok()).filter(|id| of(*id));
            let Some(record) = id.and_then(|id| self.body(id)) else {
                continue;
            };
            let (dir, path) = self.records_of(record.snapshot.id)?;
            let Ok(mut file) = dir.file(OsStr::new(FILE_NAME)) else {
                continue;
            };
            let digest = crate::manifest::digest_of_file(&mut file, self.rclone.context.stop);
            self.rclone.context.stop.check()?;
            if digest.is_ok_and(|digest| digest == record.snapshot.manifest_digest) {
                continue;
            }
            found = true;
            dir.remove_file(OsStr::new(FILE_NAME))
                .map_err(|error| self.io("remove", &format!("{path}/{FILE_NAME}"), error))?;
        }
        Ok(found)
    }

    /// Makes a snapshot of a record whose manifest is here.
    pub(super) fn make_snapshot(&self, record: &RemoteRecord, marks: &SnapshotMarks) -> Result<()> {
        let id = record.snapshot.id;
        let (dir, path) = self.records_of(id)?;
        let there: Option<schema::record::SnapshotRecord> =
            read_json(&dir, SNAPSHOT_FILE, &path).unwrap_or_default();
        if there.as_ref() != Some(&record.snapshot) {
            write_record(&dir, SNAPSHOT_FILE, &path, &record.snapshot)?;
        }
        let there: Option<SnapshotMarks> = read_json(&dir, MARKS_FILE, &path).unwrap_or_default();
        if there.unwrap_or_default() != *marks {
            write_record(&dir, MARKS_FILE, &path, marks)?;
        }
        self.folder(&[DESTINATION, self.host, TIER, &id.to_string()])?;
        Ok(())
    }

    /// Forgets all snapshots but these. What goes with those that are let go is told by their manifests,
    /// which stay.
    pub(super) fn forget_but(
        &self,
        keep: &dyn Fn(SnapshotId) -> bool,
        is_let_go: &dyn Fn(SnapshotId) -> bool,
    ) -> Result<()> {
        for names in [
            [DESTINATION, self.host, TIER].as_slice(),
            &[DESTINATION, self.host, BACKUP, SNAPSHOTS],
        ] {
            let dir = self.folder(names)?;
            let at = names.join("/");
            for name in dir.names().map_err(|error| self.io("list", &at, error))? {
                let id = name.to_str().and_then(|name| name.parse().ok());
                if !id.is_some_and(keep) {
                    if let Some(id) = id.filter(|id| is_let_go(*id)) {
                        self.set_manifest_aside(&dir, id)?;
                    }
                    let path = self
                        .cache
                        .named(&format!("{at}/{}", name.to_string_lossy()));
                    remove_tree(&dir, &name, &path, self.rclone.context)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the manifest of a snapshot that is let go, if its folder in `snapshots` has it.
    fn set_manifest_aside(&self, snapshots: &Dir, id: SnapshotId) -> Result<()> {
        let own = snapshots.folder(OsStr::new(&id.to_string()));
        let Ok(own) = own else { return Ok(()) };
        let aside = self.folder(&[EXPIRED])?;
        let name = layout::manifest_file(id);
        match own.rename_to(OsStr::new(FILE_NAME), &aside, OsStr::new(&name)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.io("rename", &name, error)),
        }
    }

    /// The manifest of the last upload, as far as it is here, with when the sources were read that it
    /// describes.
    #[must_use]
    pub fn last_manifest(&self) -> Option<(Cursor, Since)> {
        let id = self.memory().last?.id;
        let since = self
            .body(id)
            .map_or_else(Since::never, |record| Since::of(&record.snapshot));
        Some((Cursor::new(self.manifest_of(id).ok()?), since))
    }

    /// The manifest of a snapshot that is there, as it is on the remote.
    pub(super) fn manifest_file_of(&self, id: SnapshotId) -> Result<File> {
        let (dir, path) = self.records_of(id)?;
        dir.file(OsStr::new(FILE_NAME))
            .map_err(|error| self.io("read", &format!("{path}/{FILE_NAME}"), error))
    }

    /// The same, to be read.
    pub(super) fn manifest_of(&self, id: SnapshotId) -> Result<Reader> {
        let file = self.manifest_file_of(id)?;
        Reader::new(file).map_err(|error| self.io("read", FILE_NAME, error))
    }
}

/// The id of the destination that stands for a remote, in the form of a UUID.
#[must_use]
pub fn id_of_remote(remote: &str) -> String {
    let hex = Digest::of(remote.as_bytes()).to_string();
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ]
    .join("-")
}
