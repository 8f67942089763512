//! A destination's folder: where its snapshots, records and leftovers stand.
//!
//! Only names and small records; copying, publishing and deleting are the steps' work.

mod early;
mod homes;
mod json;
mod manifests;
mod record_room;
mod records;

use std::{
    ffi::OsStr,
    sync::{Mutex, PoisonError},
};

use rustix::io::Errno;
use schema::{
    FailureCode, SnapshotId, Tier,
    record::{DestinationRecord, RotationRecord},
};

pub(crate) use self::{
    early::{EarlyRecords, FoundRecords},
    manifests::{Damaged, StoredManifest},
};
pub use self::{
    homes::Homes,
    json::{read_json, write_json, write_record},
    manifests::ManifestDamage,
    record_room::RecordRoom,
    records::{AllRecords, Records},
};
use crate::{
    error::{Error, Result},
    state_dir::{KeptDigests, KeptElsewhere},
    sys::{Dir, Kind},
    view::place::open_view,
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
/// Folder of a link to each snapshot.
pub const BY_TIME: &str = "by-time";

/// Longest JSON file that is read, in bytes: the record of a snapshot with a thousand problems at
/// the longest paths that there are, each byte of them escaped, has two thirds of it.
pub const LONGEST_JSON: u64 = 32 << 20;
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
    /// The destination's own record, once it was read; nobody but the holder of its lock writes it.
    record: Mutex<Option<DestinationRecord>>,
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
            Err(Errno::ACCESS) => match open_view(&own) {
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
            Ok(backup) => Ok(Some(Self::new(root, backup, path, false))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::ACCESS) => {
                let backup = root.named_only(OsStr::new(BACKUP)).map_err(io)?;
                Ok(Some(Self::new(root, backup, path, true)))
            }
            Err(Errno::NOTDIR | Errno::LOOP) => Err(no_folder(&format!("{path}/{BACKUP}"))),
            Err(error) => Err(io(error)),
        }
    }

    fn new(root: Dir, backup: Dir, path: String, closed: bool) -> Self {
        Self {
            root,
            backup,
            path,
            closed,
            kept: KeptDigests::new(),
            kept_elsewhere: KeptElsewhere::new(),
            record: Mutex::default(),
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

    /// The destination's own record; `None` where there is none. It is read once: it may be far away.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub fn destination(&self) -> Result<Option<DestinationRecord>> {
        let mut known = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            // Not the same as not there: nobody may take it for a new one.
            *known = read_json(&self.backup, DESTINATION_FILE, &self.destination_path())?;
        }
        Ok(known.clone())
    }

    /// Whether every symlink can be made and read there, as far as that was tried out.
    ///
    /// # Errors
    /// As [`Self::destination`].
    pub(crate) fn has_symlinks(&self) -> Result<bool> {
        let destination = self.destination()?;
        Ok(destination.is_none_or(|record| record.capabilities.symlinks))
    }

    /// Writes the destination's own record.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub(crate) fn write_destination(&self, record: &DestinationRecord) -> Result<()> {
        let mut known = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        // What stands there after a failure is not known.
        *known = None;
        write_json(
            &self.backup,
            DESTINATION_FILE,
            &self.destination_path(),
            record,
        )?;
        *known = Some(record.clone());
        Ok(())
    }

    fn destination_path(&self) -> String {
        self.named(&format!("{BACKUP}/{DESTINATION_FILE}"))
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
