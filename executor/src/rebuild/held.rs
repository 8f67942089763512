//! What a snapshot holds, as its tree or its manifest tells.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use rustix::io::Errno;
use schema::{
    Digest, SnapshotId, StoredPath, StoredPathBuf,
    journal::Problem,
    record::{Capabilities, SnapshotRecord, SnapshotTotals, SourceRecord},
};

use super::{
    NEW_MANIFEST, Records,
    model::{Neighbour, Within},
};
use crate::{
    adopt::{
        read::{self, EntrySink, Read},
        tree::{self, KnownInodes, Tree, walk_whole},
    },
    error::{Error, ErrorKind, Result},
    manifest::{Cursor, Entry, Reader, SegmentWriter, Segments, segments},
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

    fn count(&mut self, entry: &Entry, id: SnapshotId) {
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

/// Whether an entry at a path is to be read from the tree.
pub(super) type Wanted<'a> = dyn Fn(&StoredPath) -> bool + 'a;

impl Records<'_> {
    /// Makes the manifest anew: from what is left of it and of others, and else from the tree.
    pub(super) fn make_manifest(
        &self,
        sealed: Option<&SnapshotRecord>,
        neighbours: &[FoundSnapshot],
    ) -> Result<Held> {
        let (store, id, context) = (self.store, self.step.id, self.context);
        let io = |error: std::io::Error| self.io("write", NEW_MANIFEST, error);
        let begin = |basis| {
            SegmentWriter::new(&self.dir, NEW_MANIFEST, basis, context.threads, true).map_err(io)
        };
        if let Some(rest) = self.rest_of_segments(sealed, neighbours)? {
            let mut writer = begin(Some(rest.segments()))?;
            let problems = self.write_rest(&rest, neighbours, &mut writer)?;
            let digest = writer.finish().map_err(io)?;
            let open = || {
                let made = Segments::open_named(&self.dir, NEW_MANIFEST).map_err(io)?;
                Reader::of_segments(Arc::new(made)).map_err(io)
            };
            let held = self.count(digest, &open)?.ok_or_else(|| {
                Error::failed(format!("the tree of snapshot {id} cannot be read"))
            })?;
            return Ok(Held { problems, ..held });
        }
        let nearest = neighbours
            .iter()
            .find_map(|found| store.segments(found.id).ok()?);
        let mut writer = begin(nearest.map(Arc::new))?;
        let open = |found: &FoundSnapshot| store.rest_of_manifest(found.id);
        let all = |_: &StoredPath| true;
        let read = self.read_tree(neighbours, &open, &all, &mut |entry| writer.write(entry))?;
        Ok(Held {
            digest: writer.finish().map_err(io)?,
            totals: read.totals,
            stored_by: read.stored_by,
            files_stored_by: read.files_stored_by,
            sources: read.sources,
            problems: read.problems,
        })
    }

    /// Reads what is wanted of the tree, with what neighbours know of it; `open` opens the manifest of
    /// one of them.
    pub(super) fn read_tree(
        &self,
        neighbours: &[FoundSnapshot],
        open: &dyn Fn(&FoundSnapshot) -> Result<Reader>,
        wanted: &Wanted<'_>,
        sink: &mut EntrySink<'_>,
    ) -> Result<Read> {
        let (store, id, context) = (self.store, self.step.id, self.context);
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
        let mut known = self.learn_shared(&tree, wanted, neighbours)?;
        let can = match store.destination() {
            Ok(Some(record)) => record.capabilities,
            _ => Capabilities::all(),
        };
        let mut model = Neighbour::none(can.clone());
        for found in neighbours {
            match Neighbour::read(can.clone(), &|| open(found), wanted, context) {
                Ok(read) => {
                    model = read;
                    break;
                }
                Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
                // Another one may serve.
                Err(_) => {}
            }
        }
        let mut model = Within { wanted, model };
        read::read_tree(&tree, Vec::new(), sink, &mut known, &mut model, context)
    }

    /// The content of the inodes that are shared with snapshots whose manifests are whole: what
    /// they should hold, whatever they hold now.
    fn learn_shared(
        &self,
        tree: &Tree<'_>,
        wanted: &Wanted<'_>,
        neighbours: &[FoundSnapshot],
    ) -> Result<KnownInodes> {
        let mut shared = HashSet::new();
        let device = tree.device()?;
        let mut walk = tree.walk()?;
        while let Some(visit) = walk.next() {
            self.context.stop.check()?;
            if let crate::walk::Visit::Leaf(stat) = visit
                && stat.kind == Kind::File
                && stat.may_be_shared(device)
                && wanted(walk.path())
            {
                shared.insert(stat.identity(device));
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
    pub(super) fn count(
        &self,
        digest: Digest,
        open: &dyn Fn() -> Result<Reader>,
    ) -> Result<Option<Held>> {
        let id = self.step.id;
        let Ok(reader) = open() else {
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
        (held.stored_by, held.files_stored_by) = match self.sum_stored(open) {
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            Err(_) => return Ok(None),
            Ok(stored) => stored,
        };
        Ok(Some(held))
    }

    /// Bytes on disk and regular files by the snapshot that stored them.
    fn sum_stored(
        &self,
        open: &dyn Fn() -> Result<Reader>,
    ) -> Result<(BTreeMap<SnapshotId, u64>, BTreeMap<SnapshotId, u64>)> {
        let (store, id) = (self.store, self.step.id);
        let dir = store.snapshot(self.home, id)?;
        let io = |error: Errno| store.io("look at", &format!("{}/{id}", self.home), error);
        let stat = dir.stat_self().map_err(io)?;
        let mut walk = walk_whole(dir, ".".into(), &stat);
        let mut cursor = Cursor::new(open()?);
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
                .map_err(|error| self.io("read", segments::FOLDER, error))?;
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
