//! What a snapshot holds, as its tree or its manifest tells.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
};

use rustix::io::Errno;
use schema::{
    Digest, SnapshotId, StoredPathBuf,
    journal::Problem,
    record::{Capabilities, SnapshotTotals, SourceRecord},
};

use super::{NEW_MANIFEST, Records, model::Neighbour};
use crate::{
    adopt::{
        read::{self, Read},
        tree::{self, KnownInodes, Tree, walk_whole},
    },
    error::{Error, ErrorKind, Result},
    manifest::{self, Cursor, Writer},
    remove::remove_tree,
    store::record_path,
    sys::Kind,
    verify::snapshots::FoundSnapshot,
};

/// What a snapshot holds.
pub(super) struct Held {
    pub(super) digest: Digest,
    pub(super) totals: SnapshotTotals,
    pub(super) stored_by: BTreeMap<SnapshotId, u64>,
    pub(super) files_stored_by: BTreeMap<SnapshotId, u64>,
    pub(super) sources: Vec<SourceRecord>,
    pub(super) problems: Vec<Problem>,
}

impl Held {
    pub(super) fn entries_and_files(&self) -> (u64, u64) {
        (self.totals.entries, self.totals.files)
    }

    fn count(&mut self, entry: &manifest::Entry, id: SnapshotId) {
        let totals = &mut self.totals;
        totals.entries += 1;
        match entry.kind {
            Kind::Folder => totals.folders += 1,
            Kind::File => totals.add_file(entry.size, entry.stored == Some(id)),
            _ => {}
        }
        read::count_in(&mut self.sources, entry);
    }
}

impl Records<'_> {
    /// Makes the manifest anew from the tree.
    pub(super) fn read_tree(&self, neighbours: &[FoundSnapshot]) -> Result<Held> {
        let (store, id, context) = (self.store, self.step.id, self.context);
        let io = |error: std::io::Error| self.io("write", NEW_MANIFEST, error);
        let shown = store.named(&record_path(id, NEW_MANIFEST));
        remove_tree(&self.dir, OsStr::new(NEW_MANIFEST), &shown, context)?;
        let file = self
            .dir
            .new_file(OsStr::new(NEW_MANIFEST), 0o600)
            .map_err(|error| io(error.into()))?;
        let writer = Writer::with_threads(file, context.threads).map_err(io)?;
        let parent = store.tier(self.home)?.ok_or_else(|| {
            Error::failed(format!(
                "{} is no folder any more",
                store.named(self.home.folder())
            ))
        })?;
        let sources: Vec<_> = self.list_sources(neighbours).map(|one| one.path).collect();
        let tree = Tree {
            id,
            at: StoredPathBuf::new(),
            parent,
            name: id.to_string().into(),
            sources: &sources,
        };
        let mut known = self.learn_shared(&tree, neighbours)?;
        let can = match store.destination() {
            Ok(Some(record)) => record.capabilities,
            _ => Capabilities::all(),
        };
        let mut model = Neighbour::none(can.clone());
        for found in neighbours {
            match Neighbour::read(can.clone(), store, found, context) {
                Ok(read) => {
                    model = read;
                    break;
                }
                Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
                // Another one may serve.
                Err(_) => {}
            }
        }
        let Read {
            manifest,
            totals,
            stored_by,
            files_stored_by,
            sources,
            problems,
            ..
        } = read::read_tree(&tree, Vec::new(), writer, &mut known, &mut model, context)?;
        Ok(Held {
            digest: manifest.finish().map_err(io)?,
            totals,
            stored_by,
            files_stored_by,
            sources,
            problems,
        })
    }

    /// The content of the inodes that are shared with snapshots whose manifests are whole: what
    /// they should hold, whatever they hold now.
    fn learn_shared(&self, tree: &Tree<'_>, neighbours: &[FoundSnapshot]) -> Result<KnownInodes> {
        let mut shared = HashSet::new();
        for visit in tree.walk()? {
            self.context.stop.check()?;
            if let crate::walk::Visit::Leaf(stat) = visit
                && stat.kind == Kind::File
                && stat.nlink > 1
            {
                shared.insert(stat.ino);
            }
        }
        let mut known = KnownInodes::new();
        for found in neighbours {
            if known.len() == shared.len() {
                break;
            }
            let learned = tree::learn_from_manifest(
                self.store,
                found.id,
                found.home,
                Some(&shared),
                &mut known,
                self.context,
            );
            match learned {
                Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
                // What it does not tell is read.
                _ => {}
            }
        }
        Ok(known)
    }

    /// The sources that a neighbour's record lists, else the configured ones.
    fn list_sources<'n>(
        &'n self,
        neighbours: &'n [FoundSnapshot],
    ) -> impl Iterator<Item = SourceRecord> + 'n {
        let record = neighbours
            .iter()
            .find_map(|found| found.record.as_ref().ok());
        let paths: Vec<_> = match record {
            Some(record) => record.sources.iter().map(|one| one.path.clone()).collect(),
            None => self.step.sources.clone(),
        };
        paths.into_iter().map(|path| SourceRecord {
            path,
            present: false,
            mounted: false,
            entries: 0,
            files: 0,
        })
    }

    /// Counts what a manifest has; none where it cannot be read to its end.
    pub(super) fn count(&self, digest: Digest) -> Result<Option<Held>> {
        let (store, id) = (self.store, self.step.id);
        let Ok(reader) = store.manifest(id) else {
            return Ok(None);
        };
        let mut held = Held {
            digest,
            totals: SnapshotTotals::default(),
            stored_by: BTreeMap::new(),
            files_stored_by: BTreeMap::new(),
            sources: self.list_sources(&self.neighbours()?).collect(),
            problems: Vec::new(),
        };
        for entry in reader {
            self.context.stop.check()?;
            let Ok(entry) = entry else {
                return Ok(None);
            };
            held.count(&entry, id);
        }
        if held.totals.entries == 0 {
            return Ok(None);
        }
        (held.stored_by, held.files_stored_by) = match self.sum_stored() {
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            Err(_) => return Ok(None),
            Ok(stored) => stored,
        };
        Ok(Some(held))
    }

    /// Bytes on disk and regular files by the snapshot that stored them.
    fn sum_stored(&self) -> Result<(BTreeMap<SnapshotId, u64>, BTreeMap<SnapshotId, u64>)> {
        let (store, id) = (self.store, self.step.id);
        let dir = store.snapshot(self.home, id)?;
        let io = |error: Errno| store.io("look at", &format!("{}/{id}", self.home), error);
        let stat = dir.stat_self().map_err(io)?;
        let mut walk = walk_whole(dir, ".".into(), &stat);
        let mut cursor = Cursor::new(store.manifest(id)?);
        let mut stored_by: BTreeMap<SnapshotId, u64> = BTreeMap::new();
        let mut files_stored_by = BTreeMap::new();
        let mut counted = HashSet::new();
        while let Some(visit) = walk.next() {
            self.context.stop.check()?;
            let (crate::walk::Visit::Leaf(stat) | crate::walk::Visit::Enter(stat)) = visit else {
                continue;
            };
            let entry = cursor
                .find(walk.path())
                .map_err(|error| self.io("read", manifest::FILE_NAME, error))?;
            let again = stat.kind == Kind::File && stat.nlink > 1 && !counted.insert(stat.ino);
            if !again {
                let stored = entry.and_then(|entry| entry.stored).unwrap_or(id);
                *stored_by.entry(stored).or_default() += stat.allocated;
                if stat.kind == Kind::File {
                    *files_stored_by.entry(stored).or_default() += 1;
                }
            }
        }
        Ok((stored_by, files_stored_by))
    }
}
