//! One snapshot's manifest and tree side by side, both in the manifest's order.
//!
//! Folders are compared here, because the way leads through them; all else goes to the readers in
//! batches. Neither manifest nor tree is ever in memory.

use std::{
    collections::HashSet,
    convert::Infallible,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    sync::Arc,
};

use rustix::io::Errno;
use schema::{
    SnapshotId, StoredPath, StoredPathBuf, amount,
    record::{Capabilities, SnapshotRecord},
    verify::DamageKind,
};

use super::{
    compare::{self, Holds, kind_noun},
    pass::{Pass, Raw, wrong_kind},
    read::{ReadBatch, ReadJob, Readers},
    snapshots::FoundSnapshot,
};
use crate::{
    ahead::{Asks, FoldersAhead},
    error::{Error, Result, system_reason},
    event::Stop,
    manifest::{self, Entry, Reader, Segments, segments},
    store::{Store, StoredManifest, record_path},
    sys::{
        Dir, Folder, Kind, Stat,
        attributes::{self, Attributes},
        bytes,
    },
};

/// A folder on the way.
struct FolderLevel {
    dir: Arc<Dir>,
    /// The same with where it stands in the tree, where threads go ahead.
    place: Option<(Folder, StoredPathBuf)>,
    /// The names still to meet, last first.
    names: Vec<OsString>,
    /// Names that were passed before anything in the manifest asked for them.
    passed: Vec<OsString>,
    /// Names that stand for other ones, which are met out of order.
    met: HashSet<OsString>,
    path: StoredPathBuf,
}

/// A folder that is not there, with what the manifest has below it.
struct Lost {
    raw: Raw,
    below: u64,
}

/// Compares one snapshot; `at` is its place in the list of all.
pub(super) fn compare_snapshot(
    pass: &Pass<'_>,
    store: &Store,
    all: &[FoundSnapshot],
    at: usize,
    readers: &Readers<'_>,
) -> Result<u64> {
    let found = &all[at];
    if let Err(because) = &found.record {
        pass.found_at_root(at, DamageKind::Record, because.clone());
    }
    let record = found.record.as_ref().ok();
    if let Some(mut because) = record.and_then(|record| store.changed(record)) {
        let kept = store.kept.get(&found.id);
        if let Some(since) = kept.and_then(|kept| kept.differs_since) {
            let since = since.format("%Y-%m-%d at %H:%M");
            because.push_str(&format!(", first noticed on {since}"));
        }
        pass.found_at_root(at, DamageKind::Changed, because);
    }
    let reader = match open_manifest(store, found, record) {
        Ok(reader) => reader,
        Err(fault) => {
            let because = &fault.because;
            let message = format!("{because}; entries and content were not compared");
            pass.found(Raw {
                shared_by: fault.shared_by(store, found.id, all),
                ..Raw::new(at, StoredPath::root(), DamageKind::Manifest, message)
            });
            return Ok(0);
        }
    };
    let tree = match store.snapshot(found.home, found.id) {
        Ok(tree) => tree,
        Err(error) => {
            pass.found_at_root(at, DamageKind::Unreadable, error.message);
            return Ok(0);
        }
    };
    let mut merge = Merge {
        pass,
        at,
        capabilities: pass.capabilities,
        holds: Holds::new(pass.capabilities, None),
        readers,
        batch: ReadBatch::default(),
        tree: Some(tree),
        levels: Vec::new(),
        ahead: FoldersAhead::start(pass.width, Asks::Attributes),
        lost: None,
        entries: 0,
        files: 0,
    };
    for entry in reader {
        pass.stop.check()?;
        match entry {
            Ok(entry) => merge.entry(entry),
            Err(error) => {
                let message = format!("cannot be read further: {}", system_reason(&error));
                pass.found_at_root(at, DamageKind::Manifest, message);
                merge.levels.clear();
                break;
            }
        }
    }
    merge.end(record);
    Ok(merge.entries)
}

/// Opens a manifest whose digest is the one that the record has, and all of whose segments are whole.
///
/// # Errors
/// What is wrong, in a sentence.
pub(super) fn open_manifest(
    store: &Store,
    found: &FoundSnapshot,
    record: Option<&SnapshotRecord>,
) -> std::result::Result<Reader, Box<DamagedManifest>> {
    let said = |error: Error| DamagedManifest::of(error.message);
    let mut stored = store.stored_manifest(found.id).map_err(said)?;
    let io = |error: std::io::Error| said(store.manifest_io("read", found.id, error));
    let digest = match (&mut stored, record) {
        (StoredManifest::Segments(segments), _) => Some(segments.digest()),
        (StoredManifest::Whole(file), Some(_)) => {
            Some(manifest::digest_of_file(file, &Stop::default()).map_err(io)?)
        }
        (StoredManifest::Whole(_), None) => None,
    };
    if let (Some(record), Some(digest)) = (record, digest)
        && digest != record.manifest_digest
    {
        let path = record_path(found.id, store.manifest_name(found.id));
        return Err(DamagedManifest::of(format!(
            "{} has digest {}, and {} was sealed",
            store.named(&path),
            digest.short(),
            record.manifest_digest.short()
        )));
    }
    let segments = match stored {
        StoredManifest::Whole(file) => return Reader::new(file).map_err(io),
        StoredManifest::Segments(segments) => segments,
    };
    let Ok(faults) = segments.faults(&|| Ok::<_, Infallible>(()));
    if let Some((_, first)) = faults.first() {
        let folder = store.named(&record_path(found.id, segments::FOLDER));
        return Err(Box::new(DamagedManifest {
            because: segments::describe_lost(&folder, faults.len(), first),
            damaged: faults.into_iter().map(|(at, _)| at).collect(),
            segments: Some(*segments),
        }));
    }
    Reader::of_segments(Arc::new(*segments)).map_err(io)
}

/// Why a manifest cannot be compared with.
pub(super) struct DamagedManifest {
    because: String,
    segments: Option<Segments>,
    /// The segments that are damaged.
    damaged: Vec<usize>,
}

impl DamagedManifest {
    fn of(because: String) -> Box<Self> {
        Box::new(Self {
            because,
            segments: None,
            damaged: Vec::new(),
        })
    }

    /// The other snapshots that have a damaged segment of this manifest in theirs, as the same inode.
    fn shared_by(&self, store: &Store, id: SnapshotId, all: &[FoundSnapshot]) -> Vec<SnapshotId> {
        let Some(own) = &self.segments else {
            return Vec::new();
        };
        let others = all.iter().map(|one| one.id).filter(|other| *other != id);
        let shares = |other: &SnapshotId| {
            let other = store.segments(*other).ok().flatten();
            other.is_some_and(|other| self.damaged.iter().any(|at| other.shares(*at, own)))
        };
        others.filter(shares).collect()
    }
}

struct Merge<'a> {
    pass: &'a Pass<'a>,
    at: usize,
    capabilities: &'a Capabilities,
    holds: Holds,
    readers: &'a Readers<'a>,
    batch: ReadBatch,
    /// The snapshot's own folder, until it is entered.
    tree: Option<Dir>,
    levels: Vec<FolderLevel>,
    ahead: Option<FoldersAhead>,
    lost: Option<Lost>,
    entries: u64,
    files: u64,
}

impl Merge<'_> {
    fn entry(&mut self, entry: Entry) {
        self.entries += 1;
        self.files += u64::from(entry.kind == Kind::File);
        self.pass.count_entry();
        if let Some(tree) = self.tree.take() {
            if entry.path.is_empty() {
                self.holds = Holds::new(self.capabilities, Some(&entry));
                let tree = Arc::new(tree);
                let top = || (Folder::top_of(Arc::clone(&tree)), StoredPathBuf::new());
                let place = self.ahead.as_ref().map(|_| top());
                if !self.enter_ahead(place.as_ref(), &entry) {
                    self.enter(tree, &entry);
                }
            } else {
                let message = "does not begin with the snapshot itself".to_owned();
                let raw = Raw::new(self.at, StoredPath::root(), DamageKind::Manifest, message);
                self.lost = Some(Lost { raw, below: 0 });
            }
            if self.lost.is_none() {
                return;
            }
        }
        if let Some(lost) = &mut self.lost {
            // Of a snapshot that is lost itself the first entry is its own.
            if lost.raw.path.is_root() || entry.path.is_below(&lost.raw.path) {
                lost.below += u64::from(!entry.path.is_root());
                return;
            }
        }
        self.tell_lost();
        self.leave_to(&entry.path);
        let present = self.meet(&entry);
        if entry.absent {
            if present {
                self.extra(&entry.path);
            }
            return;
        }
        if !present {
            self.missing(&entry);
            return;
        }
        let Some(level) = self.levels.last() else {
            return;
        };
        if entry.kind == Kind::Folder {
            let dir = Arc::clone(&level.dir);
            let name = entry.stored_name();
            let below = |(folder, path): &(Folder, StoredPathBuf)| {
                (folder.child(name), path.join(bytes(name)))
            };
            let place = level.place.as_ref().map(below);
            self.enter_folder(&dir, place, &entry);
            return;
        }
        self.batch.push(ReadJob {
            dir: Arc::clone(&level.dir),
            entry,
        });
        if self.batch.is_full(self.pass.width) {
            self.send();
        }
    }

    /// Goes into a folder, or notes that it and all below it cannot be compared.
    fn enter_folder(&mut self, above: &Dir, place: Option<(Folder, StoredPathBuf)>, entry: &Entry) {
        if self.enter_ahead(place.as_ref(), entry) {
            return;
        }
        let name = entry.stored_name();
        match above.folder(name) {
            Ok(dir) => self.enter(Arc::new(dir), entry),
            Err(Errno::NOENT) => self.missing(entry),
            Err(error) => {
                let kind = above.stat(name).map(|stat| stat.kind);
                let raw = match kind {
                    Ok(kind) if kind != Kind::Folder => {
                        let what = wrong_kind(kind, Kind::Folder);
                        Raw::new(self.at, &entry.path, DamageKind::WrongKind, what)
                    }
                    _ => self.unreadable(&entry.path, error),
                };
                self.lost = Some(Lost { raw, below: 0 });
            }
        }
    }

    /// Hands what was collected to the readers.
    fn send(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.snapshot = self.at;
        batch.holds = Some(self.holds);
        self.readers.give(batch);
    }

    /// Compares a folder's metadata and goes into it.
    fn enter(&mut self, dir: Arc<Dir>, entry: &Entry) {
        let looked = dir.stat_self().and_then(|stat| Ok((stat, dir.names()?)));
        let (stat, names) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                let raw = self.unreadable(&entry.path, error);
                self.lost = Some(Lost { raw, below: 0 });
                return;
            }
        };
        let stored = attributes::of_fd(&*dir);
        self.compare_and_enter((dir, None), stat, names, stored, entry);
    }

    /// Goes into a folder as those who go ahead found it; says whether they did.
    fn enter_ahead(&mut self, place: Option<&(Folder, StoredPathBuf)>, entry: &Entry) -> bool {
        let listed = match (&self.ahead, place) {
            (Some(ahead), Some((folder, path))) => ahead.come_to(path, || folder.clone()),
            _ => None,
        };
        let (Some(listed), Some((_, path))) = (listed, place) else {
            return false;
        };
        let names = listed.entries.into_iter().map(|one| one.name);
        let mut names: Vec<_> = names.collect();
        names.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
        let place = Some((listed.folder, path.clone()));
        let stored = listed.attributes;
        let stored = stored.unwrap_or_else(|| attributes::of_fd(&*listed.dir));
        self.compare_and_enter((listed.dir, place), listed.stat, names, stored, entry);
        true
    }

    /// The same for a folder of which all is known; `names` in their order.
    fn compare_and_enter(
        &mut self,
        (dir, place): (Arc<Dir>, Option<(Folder, StoredPathBuf)>),
        stat: Stat,
        mut names: Vec<OsString>,
        stored: std::result::Result<Attributes, Errno>,
        entry: &Entry,
    ) {
        if let (true, Ok(stored)) = (self.levels.is_empty(), &stored) {
            self.holds = self.holds.below(stored);
        }
        let mut faults = compare::compare_metadata(entry, &stat, self.holds);
        faults.extend(compare::compare_attributes(entry, stored, self.holds));
        if !faults.is_empty() {
            let message = faults.join("; ");
            let raw = Raw::new(self.at, &entry.path, DamageKind::Metadata, message);
            self.pass.found(raw);
        }
        names.reverse();
        self.levels.push(FolderLevel {
            dir,
            place,
            names,
            passed: Vec::new(),
            met: HashSet::new(),
            path: entry.path.clone(),
        });
    }

    /// Leaves folders until the one at hand is above this path.
    fn leave_to(&mut self, path: &StoredPath) {
        while let Some(level) = self.levels.last() {
            if level.path.is_root() || path.is_below(&level.path) {
                return;
            }
            self.leave();
        }
    }

    /// Leaves a folder: what was not met in it is not in the manifest.
    fn leave(&mut self) {
        let Some(level) = self.levels.pop() else {
            return;
        };
        let names = level.passed.iter().chain(level.names.iter().rev());
        for name in names.filter(|name| !level.met.contains(*name)) {
            self.extra(&level.path.join(bytes(name)));
        }
    }

    /// Goes on to an entry's name in the folder at hand; says whether the tree has it.
    fn meet(&mut self, entry: &Entry) -> bool {
        let Some(level) = self.levels.last_mut() else {
            return false;
        };
        let (folder, wanted) = entry.path.split_name().unwrap_or_default();
        if *level.path != *folder {
            return false;
        }
        if let Some(stored) = &entry.stored_as {
            level.met.insert(stored.clone());
            return level.dir.stat(stored).is_ok();
        }
        loop {
            match level.names.last() {
                Some(name) if bytes(name) < wanted => level.passed.extend(level.names.pop()),
                Some(name) if bytes(name) == wanted => {
                    level.names.pop();
                    return true;
                }
                // A file system that spells names in its own way has it all the same.
                _ if entry.absent => return false,
                _ => return level.dir.stat(OsStr::from_bytes(wanted)).is_ok(),
            }
        }
    }

    fn missing(&mut self, entry: &Entry) {
        let message = format!("{} that is not there", kind_noun(entry.kind));
        let raw = Raw {
            expected: entry.digest,
            ..Raw::new(self.at, &entry.path, DamageKind::Missing, message)
        };
        if entry.kind == Kind::Folder {
            self.lost = Some(Lost { raw, below: 0 });
        } else {
            self.pass.found(raw);
        }
    }

    fn extra(&self, path: &StoredPath) {
        let message = "is not in the manifest".to_owned();
        self.pass
            .found(Raw::new(self.at, path, DamageKind::Extra, message));
    }

    fn unreadable(&self, path: &StoredPath, error: Errno) -> Raw {
        let message = format!("cannot be opened: {}", system_reason(&error.into()));
        Raw::new(self.at, path, DamageKind::Unreadable, message)
    }

    /// Tells of a folder that is not there once it is known what was in it.
    fn tell_lost(&mut self) {
        if let Some(Lost { mut raw, below }) = self.lost.take() {
            if below > 0 {
                let below = amount::plural(below, "entry", "entries");
                raw.message = format!("{}, nor are the {below} below it", raw.message);
            }
            self.pass.found(raw);
        }
    }

    fn end(&mut self, record: Option<&SnapshotRecord>) {
        self.tell_lost();
        while !self.levels.is_empty() {
            self.leave();
        }
        self.send();
        let counted = record.filter(|_| !self.pass.stop.is_asked());
        if let Some(record) = counted
            && (self.entries, self.files) != (record.totals.entries, record.totals.files)
        {
            let message = format!(
                "the record counts {} and the manifest has {}",
                amount::plural(record.totals.entries, "entry", "entries"),
                amount::plural(self.entries, "entry", "entries"),
            );
            self.pass
                .found_at_root(self.at, DamageKind::Record, message);
        }
    }
}
