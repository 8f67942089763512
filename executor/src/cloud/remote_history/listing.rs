//! One list of `records`, and whatever of what it names is not kept here yet.

use std::{collections::BTreeMap, ffi::OsStr, io::Write as _};

use schema::{
    SnapshotId,
    record::SnapshotMarks,
    remote_history::{MANIFESTS, RECORDS, RemoteRecord},
};

use super::{HistoryRemote, RemoteListing, cached::BODIES, layout};
use crate::{
    cloud::{
        published::{self, RemoteItem},
        rclone::{FileFaults, RcloneExit},
    },
    error::{Error, Result},
    store::{LONGEST_JSON, LONGEST_MANIFEST, read_json},
    sys::Dir,
};

/// Where manifests come.
const INCOMING: &str = "incoming";

/// What the remote has.
#[derive(Debug, Clone, Default)]
pub struct KnownHistory {
    /// The list that said so.
    pub listing: RemoteListing,
    /// The snapshots that are there, each with a whole manifest here.
    pub records: BTreeMap<SnapshotId, RemoteRecord>,
    /// Those whose record or manifest is damaged there.
    pub damaged: Vec<SnapshotId>,
}

impl KnownHistory {
    /// The snapshot that was made last.
    #[must_use]
    pub fn newest(&self) -> Option<&RemoteRecord> {
        self.newest_of(|_| true)
    }

    /// The same of those of which something is true.
    pub(super) fn newest_of(&self, is: impl Fn(&RemoteRecord) -> bool) -> Option<&RemoteRecord> {
        let order = |record: &&RemoteRecord| {
            (
                record.snapshot.sequence,
                record.uploaded_at,
                record.snapshot.id,
            )
        };
        let all = self.records.values().filter(|record| is(record));
        all.max_by_key(order)
    }
}

/// Whether a file of records or marks is what was written: it ends with its own digest.
fn is_whole(bodies: &Dir, name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let read: Result<Option<serde_json::Value>> = read_json(bodies, &name, &name);
    read.is_ok_and(|read| read.is_some())
}

impl HistoryRemote<'_> {
    /// Lists `records`: one request for each thousand files, whatever the remote holds.
    ///
    /// # Errors
    /// Fails if the remote cannot be asked; refused where it needs a newer version of this program.
    pub fn list(&self) -> Result<RemoteListing> {
        let mut listing = RemoteListing::default();
        // With the slash some remotes are asked once instead of twice.
        let folder = format!("{}/", self.records());
        let each = &mut |item: RemoteItem| listing.add(&item.path, item.size);
        let exists =
            published::list_remote(self.rclone, self.cache, &folder, &["--files-only"], each)?;
        listing.exists = exists;
        if listing.format > u64::from(schema::remote_history::FORMAT_VERSION) {
            return Err(Error::refused(format!(
                "{} was written by a newer version of backup, in a form that this one does not know",
                self.remote
            ))
            .hint("install that version here; nothing was changed"));
        }
        Ok(listing)
    }

    /// Looks at what the remote has, and brings what is not kept here: one list where nothing is new.
    ///
    /// # Errors
    /// As [`Self::list`], or if the cache cannot be written.
    pub fn refresh(&self) -> Result<KnownHistory> {
        let listing = self.list()?;
        self.fetch_bodies(&listing)?;
        let mut known = KnownHistory {
            listing,
            ..KnownHistory::default()
        };
        for (id, _) in known.listing.live() {
            match self.body(id) {
                Some(record) if record.manifest_bytes <= LONGEST_MANIFEST => {
                    known.records.insert(id, record);
                }
                _ => known.damaged.push(id),
            }
        }
        self.fetch_manifests(&mut known)?;
        self.forget_but(&|id| known.records.contains_key(&id), &|id| {
            known.listing.expired.contains(&id)
        })?;
        for (id, record) in &known.records {
            self.make_snapshot(record, &self.marks_in(&known.listing, *id))?;
        }
        // Without it nothing counts as known: it comes last.
        self.make_destination()?;
        Ok(known)
    }

    /// Brings records and marks that are not here as they are there, and forgets those that are there
    /// no more.
    fn fetch_bodies(&self, listing: &RemoteListing) -> Result<()> {
        let bodies = self.bodies()?;
        let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
        for (id, size) in listing.live() {
            wanted.insert(layout::record_file(id), size);
            if let Some((number, size)) = listing.marks.get(&id) {
                wanted.insert(layout::marks_file(id, *number), *size);
            }
        }
        for name in bodies
            .names()
            .map_err(|error| self.io("list", BODIES, error))?
        {
            let size = name.to_str().and_then(|name| wanted.get(name));
            let stat = bodies.stat(&name);
            let same = size.is_some_and(|size| stat.is_ok_and(|stat| stat.size == *size));
            // What is damaged here may be whole there.
            if same && is_whole(&bodies, &name) {
                wanted.remove(name.to_str().unwrap_or_default());
            } else {
                bodies
                    .remove_file(&name)
                    .map_err(|error| self.io("remove", BODIES, error))?;
            }
        }
        // What is longer than anything that is written there is not brought.
        wanted.retain(|_, size| *size <= LONGEST_JSON);
        let wanted: Vec<String> = wanted.into_keys().collect();
        self.bring(RECORDS, &wanted, BODIES)
    }

    /// Brings the manifests that are not here. What is not whole makes its snapshot a damaged one.
    fn fetch_manifests(&self, known: &mut KnownHistory) -> Result<()> {
        let mut wanted = Vec::new();
        for (id, record) in &known.records {
            if !self.has_manifest(record)? {
                wanted.push(*id);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let incoming = self.cache.empty_area(INCOMING, self.rclone.context)?;
        let names: Vec<String> = wanted.iter().map(|id| layout::manifest_file(*id)).collect();
        self.bring(MANIFESTS, &names, INCOMING)?;
        for id in wanted {
            let record = &known.records[&id];
            if !self.take_manifest(record, &incoming, &layout::manifest_file(id))? {
                known.records.remove(&id);
                known.damaged.push(id);
            }
        }
        known.damaged.sort_unstable();
        Ok(())
    }

    /// Brings files of a folder of the remote to one of the cache. What is not there, or cannot be read
    /// there, does not come.
    pub(super) fn bring(&self, folder: &str, names: &[String], into: &str) -> Result<()> {
        self.bring_to(folder, names, &self.cache.named(into))
    }

    /// The same to any folder.
    pub(super) fn bring_to(&self, folder: &str, names: &[String], to: &str) -> Result<()> {
        const LIST: &str = "bring.list";
        if names.is_empty() {
            return Ok(());
        }
        let mut list = names.join("\n");
        list.push('\n');
        self.cache
            .new_file(LIST)?
            .write_all(list.as_bytes())
            .map_err(|error| self.io("write", LIST, error))?;
        let (from, list) = (self.at(folder), self.cache.named(LIST));
        let arguments = [
            "copy",
            &from,
            to,
            "--files-from-raw",
            &list,
            "--no-traverse",
        ];
        let mut told = FileFaults::default();
        match self
            .rclone
            .call(&arguments, None, &mut told, &mut |_| Ok(()))?
        {
            RcloneExit::Badly {
                connection,
                message,
            } if !told.is_of_files() && !told.is_of_content() => {
                Err(self.rclone.failed(connection, &message))
            }
            RcloneExit::Badly { .. } | RcloneExit::NotThere | RcloneExit::Well => Ok(()),
        }
    }

    /// What was last said of a snapshot; where that cannot be read, a person may have pinned it.
    pub(super) fn marks_in(&self, listing: &RemoteListing, id: SnapshotId) -> SnapshotMarks {
        let Some((number, _)) = listing.marks.get(&id) else {
            return SnapshotMarks::default();
        };
        let name = layout::marks_file(id, *number);
        let read = self
            .bodies()
            .and_then(|bodies| read_json(&bodies, &name, &name));
        read.unwrap_or_default()
            .unwrap_or_else(SnapshotMarks::unknown)
    }

    /// Whether the host's folder has copies of layout `mirror`, which one that is new must not stand beside.
    pub(super) fn has_mirror(&self) -> Result<bool> {
        let mut found = false;
        let each = &mut |item: RemoteItem| {
            found |= item.is_folder && item.path == schema::cloud::CURRENT;
        };
        let folder = format!("{}/", self.remote);
        published::list_remote(self.rclone, self.cache, &folder, &["--dirs-only"], each)?;
        Ok(found)
    }

    /// Keeps a file that was just written to `records` as it is there.
    pub(super) fn keep_body(&self, name: &str, from: &str) -> Result<()> {
        let bodies = self.bodies()?;
        self.cache
            .dir()
            .rename_to(OsStr::new(from), &bodies, OsStr::new(name))
            .map_err(|error| self.io("rename", from, error))
    }
}
