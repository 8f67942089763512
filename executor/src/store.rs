//! A destination's folder: where its snapshots, records and leftovers stand.
//!
//! Only names and small records; copying, publishing and deleting are the steps' work.

use std::{ffi::OsStr, fs::File};

use rustix::io::Errno;
use schema::{
    Digest, FailureCode, SnapshotId, Tier,
    plan::Basis,
    record::{self, DestinationRecord, RotationRecord, SnapshotMarks, SnapshotRecord},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    event::Stop,
    manifest::{self, Chunks, Reader},
    state_dir::{KeptDigest, KeptDigests, KeptElsewhere},
    sys::{Dir, Kind, Stat},
    view,
};

/// Folder of everything that is not a snapshot.
pub const BACKUP: &str = ".backup";
/// This destination's record.
pub const DESTINATION_FILE: &str = "destination.json";
/// The lock's file.
pub const LOCK_FILE: &str = "lock";
/// When retention was last applied.
pub const ROTATION_FILE: &str = "rotation.json";
/// Snapshots being made.
pub const PARTIAL: &str = "partial";
/// Snapshots being removed.
pub const TRASH: &str = "trash";
/// Folder of adoptions that were begun.
pub const ADOPT: &str = "adopt";
/// Folder of snapshots on their way from one tier to another.
pub const MOVING: &str = "moving";
/// Records, one folder a snapshot.
pub const SNAPSHOTS: &str = "snapshots";
/// A snapshot's record.
pub const SNAPSHOT_FILE: &str = "snapshot.json";
/// What was said of a snapshot since.
pub const MARKS_FILE: &str = "marks.json";
/// The link to the newest good snapshot.
pub const LATEST: &str = "latest";

/// Longest JSON file that is read, in bytes: the record of a snapshot with a thousand problems at
/// the longest paths that there are, each byte of them escaped, has two thirds of it.
pub const LONGEST_JSON: u64 = 32 << 20;
/// Longest that the records of all snapshots of a destination may be together, in bytes: they are in
/// memory at once. Two hundred snapshots with a thousand problems each have half of it.
pub const LONGEST_RECORDS: u64 = 64 << 20;
/// Longest manifest file that is read at once, in bytes; streams have no limit.
pub const LONGEST_MANIFEST: u64 = 4 << 30;

/// An open destination.
#[derive(Debug)]
pub struct Store {
    /// The host's folder.
    pub root: Dir,
    /// `.backup` in it.
    pub backup: Dir,
    /// The host's folder as people know it, for messages.
    pub path: String,
    /// `.backup` is closed to who runs this, as it is to all but its owner: there are no records,
    /// and what is in the tiers can be restored by those who may read it.
    pub closed: bool,
    /// The digests of manifests that this machine sealed here, as far as it remembers them.
    pub kept: KeptDigests,
    /// Those that it keeps of further snapshots under the ids of other destinations.
    pub kept_elsewhere: KeptElsewhere,
}

impl Store {
    /// Opens the host's folder below an open mount point; `None` if it was never set up.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn open(mount_point: &Dir, mount_path: &str, folder: &str) -> Result<Option<Self>> {
        let own = format!("{}/{folder}", mount_path.trim_end_matches('/'));
        let opened = mount_point.folder(OsStr::new(folder));
        let (opened, path) = match opened {
            // Users see it through a view.
            Err(Errno::ACCESS) => match view::open_view(&own) {
                Some((root, view)) => (Ok(root), view),
                None => return Err(not_allowed(&own)),
            },
            opened => (opened, own),
        };
        let io = |error: Errno| Error::io("open", path.as_bytes(), error);
        let root = match opened {
            Ok(root) => root,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(no_folder(&path)),
            Err(error) => return Err(io(error)),
        };
        match root.folder(OsStr::new(BACKUP)) {
            Ok(backup) => Ok(Some(Self {
                root,
                backup,
                path,
                closed: false,
                kept: KeptDigests::new(),
                kept_elsewhere: KeptElsewhere::new(),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::ACCESS) => {
                let backup = root.named_only(OsStr::new(BACKUP)).map_err(io)?;
                Ok(Some(Self {
                    root,
                    backup,
                    path,
                    closed: true,
                    kept: KeptDigests::new(),
                    kept_elsewhere: KeptElsewhere::new(),
                }))
            }
            Err(Errno::NOTDIR | Errno::LOOP) => Err(no_folder(&format!("{path}/{BACKUP}"))),
            Err(error) => Err(io(error)),
        }
    }

    /// A path in the destination, for messages.
    #[must_use]
    pub fn named(&self, relative: &str) -> String {
        format!("{}/{relative}", self.path)
    }

    /// Opens a folder below the host's, such as `daily`; `None` if it is not there, or if something
    /// else has its name: no symlink is followed.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn tier(&self, tier: Tier) -> Result<Option<Dir>> {
        match self.root.folder(OsStr::new(tier.folder())) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(self.io("open", tier.folder(), error)),
        }
    }

    /// Opens a folder of `.backup`, making it where it is missing.
    ///
    /// # Errors
    /// Fails if the folder cannot be made or opened.
    pub fn area(&self, name: &str) -> Result<Dir> {
        self.backup
            .folder_or_new(OsStr::new(name), 0o700)
            .map_err(|error| self.io("open", &format!("{BACKUP}/{name}"), error))
    }

    /// Opens a snapshot's tree.
    ///
    /// # Errors
    /// Fails if it is not there or cannot be opened.
    pub fn snapshot(&self, home: Tier, id: SnapshotId) -> Result<Dir> {
        let name = format!("{home}/{id}");
        self.root
            .folder(OsStr::new(home.folder()))
            .and_then(|tier| tier.folder(OsStr::new(&id.to_string())))
            .map_err(|error| self.io("open", &name, error))
    }

    /// Opens a folder below the host's by its names, which stand escaped.
    ///
    /// # Errors
    /// Fails if it is not there or cannot be opened.
    pub fn folder(&self, names: &[&str]) -> Result<Dir> {
        let mut dir = self.root.again().map_err(|e| self.io("open", "", e))?;
        for name in names {
            let bytes = schema::escape::unescape(name)
                .ok_or_else(|| Error::failed(format!("{name} is not a name")))?;
            dir = dir
                .folder(std::os::unix::ffi::OsStrExt::from_bytes(bytes.as_slice()))
                .map_err(|error| self.io("open", &names.join("/"), error))?;
        }
        Ok(dir)
    }

    /// The tier whose folder holds a snapshot's tree; a symlink in a tier does not count.
    ///
    /// # Errors
    /// Fails if a tier cannot be looked at.
    pub fn home_of(&self, id: SnapshotId) -> Result<Option<Tier>> {
        let mut unread = None;
        for tier in Tier::ALL {
            match self.stands_in(tier, id) {
                Ok(true) => return Ok(Some(tier)),
                Ok(false) => {}
                // It may be in another one.
                Err(error) => unread = Some(error),
            }
        }
        unread.map_or(Ok(None), Err)
    }

    fn stands_in(&self, tier: Tier, id: SnapshotId) -> Result<bool> {
        let Some(dir) = self.tier(tier)? else {
            return Ok(false);
        };
        let name = id.to_string();
        let stat = dir
            .look(OsStr::new(&name))
            .map_err(|error| self.io("look at", &format!("{tier}/{name}"), error))?;
        Ok(stat.is_some_and(|stat| stat.kind == Kind::Folder))
    }

    /// Opens the folder of a snapshot's records; `None` if it has none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn records(&self, id: SnapshotId) -> Result<Option<Dir>> {
        if self.closed {
            return Ok(None);
        }
        let name = id.to_string();
        let opened = self
            .backup
            .folder(OsStr::new(SNAPSHOTS))
            .map(|snapshots| snapshots.folder(OsStr::new(&name)));
        let opened = match opened {
            // Something else has the name of the folder of all records.
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            opened => opened.and_then(|records| records),
        };
        match opened {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.io("open", &format!("{BACKUP}/{SNAPSHOTS}/{name}"), error)),
        }
    }

    /// A snapshot's record; `None` where it has none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn record(&self, id: SnapshotId) -> Result<Option<SnapshotRecord>> {
        let Some(dir) = self.records(id)? else {
            return Ok(None);
        };
        read_json(
            &dir,
            SNAPSHOT_FILE,
            &self.named(&record_path(id, SNAPSHOT_FILE)),
        )
    }

    /// The same, where the records that are in memory already leave room for it: takes its size from
    /// `room`.
    ///
    /// # Errors
    /// As [`Self::record`], and if there is no room for it.
    pub fn record_within(&self, id: SnapshotId, room: &mut u64) -> Result<Option<SnapshotRecord>> {
        let there = self
            .records(id)
            .ok()
            .flatten()
            .and_then(|dir| dir.look(OsStr::new(SNAPSHOT_FILE)).ok().flatten());
        let size = there.map_or(0, |stat| stat.size);
        if size > *room && size <= LONGEST_JSON {
            let path = self.named(&record_path(id, SNAPSHOT_FILE));
            let limit = schema::amount::bytes(LONGEST_RECORDS);
            return Err(Error::failed(format!(
                "cannot read {path}: the records of all snapshots are longer than {limit} together"
            )));
        }
        let record = self.record(id)?;
        *room = room.saturating_sub(size);
        Ok(record)
    }

    /// What was said of a snapshot since it was sealed.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn marks(&self, id: SnapshotId) -> Result<SnapshotMarks> {
        let Some(dir) = self.records(id)? else {
            return Ok(SnapshotMarks::default());
        };
        let marks = read_json(&dir, MARKS_FILE, &self.named(&record_path(id, MARKS_FILE)))?;
        Ok(marks.unwrap_or_default())
    }

    /// Opens a snapshot's manifest.
    ///
    /// # Errors
    /// Fails if it is not there or is not a manifest.
    pub fn manifest(&self, id: SnapshotId) -> Result<Reader> {
        let file = self.manifest_file(id)?;
        Reader::new(file).map_err(|error| self.io("read", &manifest_path(id), error))
    }

    /// Opens the manifest of a snapshot's basis, read together with those of others that files are
    /// linked to. Of these, what cannot be opened is done without.
    ///
    /// # Errors
    /// As [`Self::manifest`], for the basis.
    pub fn manifests(&self, basis: SnapshotId, also: &[Basis]) -> Result<Reader> {
        let others = also.iter().filter_map(|other| self.manifest(other.id).ok());
        // Entries are told apart by their place in the list, so either all are read or none.
        let others: Vec<Reader> = others.collect();
        let basis = self.manifest(basis)?;
        Ok(if others.len() == also.len() {
            basis.with(others)
        } else {
            basis
        })
    }

    /// Opens a snapshot's manifest to be read as text.
    ///
    /// # Errors
    /// Fails if it is not there or is not a manifest.
    pub fn manifest_text(&self, id: SnapshotId) -> Result<Chunks> {
        let file = self.manifest_file(id)?;
        Chunks::new(file).map_err(|error| self.io("read", &manifest_path(id), error))
    }

    /// Whether a snapshot's manifest is there and a file with something in it; its content is not
    /// looked at.
    ///
    /// # Errors
    /// What is wrong, in a sentence that names the file.
    pub fn manifest_present(&self, id: SnapshotId) -> std::result::Result<(), String> {
        let file = self.manifest_file(id).map_err(|error| error.message)?;
        let stat = Stat::of_fd(&file);
        let path = self.named(&manifest_path(id));
        match stat {
            Ok(stat) if stat.kind != Kind::File => Err(format!("{path} is not a file")),
            Ok(stat) if stat.size == 0 => Err(format!("{path} is empty")),
            Ok(_) => Ok(()),
            Err(error) => Err(self.io("look at", &manifest_path(id), error).message),
        }
    }

    /// What the kernel says of a snapshot's manifest; `None` where it cannot be looked at.
    #[must_use]
    pub fn manifest_stat(&self, id: SnapshotId) -> Option<Stat> {
        let records = self.records(id).ok()??;
        records.look(OsStr::new(manifest::FILE_NAME)).ok()?
    }

    /// Whether this machine made a snapshot, or found it when it first looked at this destination, as
    /// far as it remembers anything of it. What appears later was put there by somebody else.
    #[must_use]
    pub fn is_known(&self, id: SnapshotId) -> bool {
        let Some(first) = self.kept.values().map(|kept| kept.since).min() else {
            return true;
        };
        let kept = self.kept.get(&id);
        kept.is_some_and(|kept| !kept.taken_over || kept.since == first)
    }

    /// What this machine keeps of a snapshot whose manifest is said to have this digest: under the id
    /// that the destination has, or else under another one, as of a copy of this disk. Whoever gives
    /// a disk the id of another one makes this machine forget nothing that way.
    #[must_use]
    pub fn kept_of(&self, id: SnapshotId, named: Digest) -> Option<&KeptDigest> {
        self.kept.get(&id).or_else(|| {
            let others = self.kept_elsewhere.get(&id)?;
            let same = others.iter().find(|kept| kept.digest == named);
            same.or_else(|| others.first())
        })
    }

    /// Whether a snapshot's record names another manifest than the one that this machine sealed, in
    /// words: somebody changed both.
    #[must_use]
    pub fn changed(&self, record: &SnapshotRecord) -> Option<String> {
        let kept = self.kept_of(record.id, record.manifest_digest)?;
        if kept.digest == record.manifest_digest {
            return None;
        }
        Some(format!(
            "its record names the manifest {}, and {} was sealed",
            record.manifest_digest.short(),
            kept.digest.short()
        ))
    }

    /// Whether a snapshot's manifest can be read from end to end and is the one that was sealed.
    ///
    /// # Errors
    /// What is wrong, in a sentence that names the file; or an interruption.
    pub fn manifest_fault(&self, record: &SnapshotRecord, stop: &Stop) -> Result<Option<String>> {
        let id = record.id;
        let path = self.named(&manifest_path(id));
        if let Err(fault) = self.manifest_present(id) {
            return Ok(Some(fault));
        }
        if let Some(changed) = self.changed(record) {
            return Ok(Some(changed));
        }
        let read = || -> Result<Digest> {
            let mut file = self.manifest_file(id)?;
            manifest::digest_of_file(&mut file, stop)
                .map_err(|error| self.io("read", &manifest_path(id), error))
        };
        let found = read();
        stop.check()?;
        match found {
            Ok(digest) if digest == record.manifest_digest => Ok(None),
            Ok(_) => Ok(Some(format!("{path} is not the manifest that was sealed"))),
            Err(error) => Ok(Some(error.message)),
        }
    }

    fn manifest_file(&self, id: SnapshotId) -> Result<File> {
        let dir = self.records(id)?.ok_or_else(|| {
            let path = self.named(&manifest_path(id));
            Error::failed(format!("snapshot {id} has no records: {path} is missing"))
        })?;
        dir.file(OsStr::new(manifest::FILE_NAME))
            .map_err(|error| self.io("open", &manifest_path(id), error))
    }

    /// The destination's own record; `None` where there is none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn destination(&self) -> Result<Option<DestinationRecord>> {
        // Not the same as not there: nobody may take it for a new one.
        let path = self.named(&format!("{BACKUP}/{DESTINATION_FILE}"));
        read_json(&self.backup, DESTINATION_FILE, &path)
    }

    /// When retention was last applied.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn rotation(&self) -> Result<Option<RotationRecord>> {
        if self.closed {
            return Ok(None);
        }
        let path = self.named(&format!("{BACKUP}/{ROTATION_FILE}"));
        read_json(&self.backup, ROTATION_FILE, &path)
    }

    /// The system's reason for a failure at a path in the destination.
    #[must_use]
    pub fn io(&self, doing: &str, relative: &str, error: impl Into<std::io::Error>) -> Error {
        Error::io(doing, self.named(relative).as_bytes(), error)
    }
}

/// The refusal of a destination where something else stands in the place of its own folder.
fn no_folder(path: &str) -> Error {
    Error::refused(format!("{path} is no folder, but a file or a symlink"))
        .coded(FailureCode::InTheWay)
        .hint("put the folder back that was there; `backup init` sets aside what is there and begins anew")
}

/// That this user may not look at something, which is no word about what is there.
fn not_allowed(path: &str) -> Error {
    Error::refused(format!(
        "not allowed to look at {path}: it is for its owner alone"
    ))
    .coded(FailureCode::PermissionDenied)
    .hint(
        "run it as its owner: `sudo backup ...`; with local.readableByUsers users read their own files \
         there",
    )
}

/// Path of a file of a snapshot's records, relative to the host's folder.
#[must_use]
pub fn record_path(id: SnapshotId, file: &str) -> String {
    format!("{BACKUP}/{SNAPSHOTS}/{id}/{file}")
}

fn manifest_path(id: SnapshotId) -> String {
    record_path(id, manifest::FILE_NAME)
}

/// Reads a JSON file; `None` if it is not there.
///
/// # Errors
/// Fails if it cannot be read, is not what it should be, or does not have the digest that it says.
pub fn read_json<T: DeserializeOwned>(dir: &Dir, name: &str, path: &str) -> Result<Option<T>> {
    let bytes = dir
        .read_whole(name, LONGEST_JSON)
        .map_err(|error| Error::io("read", path.as_bytes(), error))?;
    bytes
        .map(|bytes| {
            record::without_digest(bytes)
                .and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()))
                .map_err(|because| Error::failed(format!("cannot read {path}: {because}")))
        })
        .transpose()
}

/// Replaces a JSON file in one step by one that ends with its own digest, so that a flipped bit is
/// known for what it is.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_record(dir: &Dir, name: &str, path: &str, value: &impl Serialize) -> Result<()> {
    let bytes = pretty_json(path, value)?;
    dir.write_whole(name, &record::append_digest(bytes))
        .map_err(|error| Error::io("write", path.as_bytes(), error))
}

/// Replaces a JSON file in one step.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_json(dir: &Dir, name: &str, path: &str, value: &impl Serialize) -> Result<()> {
    let bytes = pretty_json(path, value)?;
    dir.write_whole(name, &bytes)
        .map_err(|error| Error::io("write", path.as_bytes(), error))
}

fn pretty_json(path: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::failed(format!("cannot write {path}: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}
