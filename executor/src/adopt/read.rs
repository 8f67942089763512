//! Reading a tree for its manifest: each stored inode once, whatever number of snapshots share it.
//!
//! Reads only. Threads read content; lines are written in the manifest's order.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    os::unix::ffi::OsStrExt as _,
    sync::Arc,
};

use rustix::io::Errno;
use schema::{
    SnapshotId, StoredPath, StoredPathBuf,
    journal::{Problem, ProblemKind},
    record::{SnapshotTotals, SourceRecord},
};

use super::tree::{KnownInodes, Tree, group_inodes};
use crate::{
    copy::{Copier, CopyError},
    error::{Error, Result, system_reason},
    event::{Context, Event, Phase, Progress, Stop},
    manifest::{Entry, xattrs_digest},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
    },
    walk::{Visit, Walk},
    worker_pool::{Coordinator, run_in_order},
};

/// Entries that one job reads, and their bytes.
const ENTRIES: usize = 256;
const BYTES: u64 = 8 << 20;
/// Problems that a record lists.
const LISTED: usize = 1000;

/// What a tree holds.
pub(crate) struct Read {
    pub(crate) totals: SnapshotTotals,
    pub(crate) stored_by: BTreeMap<SnapshotId, u64>,
    pub(crate) files_stored_by: BTreeMap<SnapshotId, u64>,
    pub(crate) sources: Vec<SourceRecord>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) bytes_read: u64,
}

/// What is known of a tree besides what it holds.
pub(crate) trait Model {
    /// Whether an entry at this path, its true one, is asked for; what is not is not read.
    fn is_wanted(&self, _path: &StoredPath) -> bool {
        true
    }
    /// The true path of what stands at this one.
    fn path(&self, stored: StoredPathBuf) -> StoredPathBuf;
    /// Adds to an entry what its place in the tree cannot tell. Entries come in the manifest's
    /// order. Says whether it is as a neighbour has it.
    fn complete(&mut self, entry: &mut Entry, attributes: &Attributes) -> Result<bool>;
    /// Whether entries come in another order than the manifest's, or more are to come at the end.
    fn is_unordered(&self) -> bool;
    /// Entries that have no place in the tree, once all that have one were given.
    fn absent(&mut self) -> Vec<Entry>;
}

/// Nothing more is known.
pub(super) struct Nothing;

impl Model for Nothing {
    fn path(&self, stored: StoredPathBuf) -> StoredPathBuf {
        stored
    }

    fn complete(&mut self, _: &mut Entry, _: &Attributes) -> Result<bool> {
        Ok(false)
    }

    fn is_unordered(&self) -> bool {
        false
    }

    fn absent(&mut self) -> Vec<Entry> {
        Vec::new()
    }
}

/// Where entries go, in the manifest's order.
pub(crate) type EntrySink<'a> = dyn FnMut(&Entry) -> std::io::Result<()> + 'a;

/// Reads a tree and gives its entries; `above` are those of the folders around it.
pub(crate) fn read_tree(
    tree: &Tree<'_>,
    above: Vec<Entry>,
    sink: &mut EntrySink<'_>,
    known: &mut KnownInodes,
    model: &mut dyn Model,
    context: Context<'_>,
) -> Result<Read> {
    let groups = group_inodes(tree, context)?;
    let sources = tree.sources.iter().map(|path| SourceRecord {
        path: path.clone(),
        present: false,
        mounted: false,
        entries: 0,
        files: 0,
    });
    let mut reading = TreeReading {
        tree,
        context,
        walk: tree.walk()?,
        device: tree.device()?,
        known,
        model,
        waiting: Vec::new(),
        groups,
        under_way: HashSet::new(),
        counted: HashSet::new(),
        sink,
        read: Read {
            totals: SnapshotTotals::default(),
            stored_by: BTreeMap::new(),
            files_stored_by: BTreeMap::new(),
            sources: sources.collect(),
            problems: Vec::new(),
            bytes_read: 0,
        },
    };
    for entry in above {
        reading.write(&entry, 0, tree.id)?;
    }
    let width = context.width_on(&tree.parent);
    run_in_order(width, &mut reading, &|items: Vec<ReadItem>| {
        let mut copier = Copier::default();
        let items = items.into_iter();
        items
            .map(|item| item.look(&mut copier, context.stop))
            .collect()
    })?;
    reading.end()?;
    Ok(reading.read)
}

/// An entry that is ready to be written.
struct Ready {
    entry: Entry,
    attributes: Attributes,
    allocated: u64,
    stored: SnapshotId,
}

/// An entry on its way to a thread.
struct ReadItem {
    entry: Entry,
    stat: Stat,
    /// The folder that holds it; of a folder, itself.
    dir: Arc<Dir>,
    name: OsString,
    /// Its content is not known.
    reads: bool,
    /// Its extended attributes, once it was looked at.
    attributes: Attributes,
}

/// An entry that was looked at.
struct ReadItemResult {
    item: ReadItem,
    read: u64,
    fault: Result<Option<String>>,
}

impl ReadItem {
    fn look(mut self, copier: &mut Copier, stop: &Stop) -> ReadItemResult {
        let mut read = 0;
        let fault = match self.all(copier, stop, &mut read) {
            Ok(()) => Ok(None),
            Err(CopyError::Ended(error)) => Err(error),
            Err(CopyError::Read(error) | CopyError::Write(error)) => {
                Ok(Some(system_reason(&error)))
            }
        };
        ReadItemResult {
            item: self,
            read,
            fault,
        }
    }

    fn all(
        &mut self,
        copier: &mut Copier,
        stop: &Stop,
        bytes_read: &mut u64,
    ) -> std::result::Result<(), CopyError> {
        let io = |error: Errno| CopyError::Read(error.into());
        let attributes = match self.stat.kind {
            Kind::Folder => attributes::of_fd(self.dir.as_ref()).map_err(io)?,
            Kind::File => {
                let file = self.dir.file(&self.name).map_err(io)?;
                let opened = Stat::of_fd(&file).map_err(io)?;
                if !opened.same_inode(&self.stat) || opened.size != self.stat.size {
                    return Err(CopyError::Read(std::io::Error::other(
                        "it changed while it was read: another tool is at work",
                    )));
                }
                if self.reads {
                    let sparse = self.stat.allocated < self.stat.size;
                    let read = copier.digest(&file, sparse, &mut |_| stop.check())?;
                    *bytes_read = read.bytes;
                    self.entry.digest = Some(read.digest);
                }
                attributes::of_fd(&file).map_err(io)?
            }
            Kind::Symlink => {
                let target = self.dir.read_symlink(&self.name).map_err(io)?;
                self.entry.target = Some(target.as_bytes().to_vec());
                attributes::of_entry(&self.dir, &self.name).map_err(io)?
            }
            _ => attributes::of_entry(&self.dir, &self.name).map_err(io)?,
        };
        self.entry.xattrs_digest = xattrs_digest(&attributes);
        self.attributes = attributes;
        Ok(())
    }
}

struct TreeReading<'a> {
    tree: &'a Tree<'a>,
    context: Context<'a>,
    walk: Walk<'static>,
    /// The file system of the destination's own folder.
    device: u64,
    known: &'a mut KnownInodes,
    model: &'a mut dyn Model,
    /// Entries that come in another order than the manifest's.
    waiting: Vec<Ready>,
    groups: HashSet<u64>,
    /// Inodes that a thread is to read, so that their other names need not be.
    under_way: HashSet<u64>,
    /// Inodes with several names here whose bytes were counted.
    counted: HashSet<u64>,
    sink: &'a mut EntrySink<'a>,
    read: Read,
}

impl TreeReading<'_> {
    /// The true path of what is at hand.
    fn path(&self) -> StoredPathBuf {
        self.model.path(self.tree.path(self.walk.path()))
    }

    /// Writes an entry in its turn.
    fn ready(&mut self, ready: Ready) -> Result<()> {
        if self.model.is_unordered() {
            self.waiting.push(ready);
            return Ok(());
        }
        self.written(ready).map(|_| ())
    }

    fn written(&mut self, ready: Ready) -> Result<bool> {
        let Ready {
            mut entry,
            attributes,
            allocated,
            stored,
        } = ready;
        let known = self.model.complete(&mut entry, &attributes)?;
        self.write(&entry, allocated, stored)?;
        Ok(known)
    }

    /// Writes what waited for its turn.
    fn end(&mut self) -> Result<()> {
        if !self.model.is_unordered() {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        let is_in = |here: &HashSet<StoredPathBuf>, entry: &Entry| {
            here.contains(entry.path.parent().unwrap_or_default())
        };
        let mut absent = self.model.absent().into_iter().peekable();
        let mut here: HashSet<StoredPathBuf> = HashSet::new();
        let id = self.tree.id;
        for ready in waiting {
            while let Some(entry) = absent.next_if(|entry| entry.path < ready.entry.path) {
                if is_in(&here, &entry) {
                    self.write(&entry, 0, id)?;
                }
            }
            // What the tree has now is not absent.
            absent.next_if(|entry| entry.path == ready.entry.path);
            let folder = (ready.entry.kind == Kind::Folder).then(|| ready.entry.path.clone());
            if self.written(ready)? {
                here.extend(folder);
            }
        }
        for entry in absent {
            if is_in(&here, &entry) {
                self.write(&entry, 0, id)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, path: &StoredPath, stat: Stat, is_folder: bool) -> ReadItem {
        let entry = Entry {
            // Of the source's inode nothing is known: the next run compares content.
            ino: 0,
            ctime: 0,
            group: (!is_folder && self.groups.contains(&stat.ino)).then_some(stat.ino),
            immutable: false,
            append_only: false,
            ..Entry::of(path, &stat)
        };
        let identity = stat.identity(self.device);
        let is_known = stat.kind == Kind::File
            && stat.may_be_shared(self.device)
            && (self.known.contains_key(&identity)
                || (stat.nlink > 1 && !self.under_way.insert(identity)));
        ReadItem {
            entry,
            stat,
            dir: Arc::clone(if is_folder {
                self.walk.folder()
            } else {
                self.walk.parent()
            }),
            name: self.walk.name().clone(),
            reads: stat.kind == Kind::File && !is_known,
            attributes: Attributes::new(),
        }
    }

    fn problem(&mut self, path: &StoredPath, message: String) {
        self.read.totals.errors += 1;
        if self.read.problems.len() < LISTED {
            self.read.problems.push(Problem {
                path: path.shown(),
                kind: ProblemKind::Unreadable,
                message,
            });
        }
    }

    /// Gives an entry and counts it.
    fn write(&mut self, entry: &Entry, allocated: u64, stored: SnapshotId) -> Result<()> {
        (self.sink)(entry).map_err(|error| Error::io("write", b"the manifest", error))?;
        let totals = &mut self.read.totals;
        totals.entries += 1;
        match entry.kind {
            Kind::Folder => totals.folders += 1,
            Kind::File => totals.add_file(entry.size, stored == self.tree.id),
            _ => {}
        }
        *self.read.stored_by.entry(stored).or_default() += allocated;
        if entry.kind == Kind::File {
            *self.read.files_stored_by.entry(stored).or_default() += 1;
        }
        count_in(&mut self.read.sources, entry);
        Ok(())
    }
}

/// Counts an entry for the sources that it is of.
pub(crate) fn count_in(sources: &mut [SourceRecord], entry: &Entry) {
    for source in sources {
        if entry.path.is_within(source.path.as_stored()) {
            source.present = true;
            source.entries += 1;
            source.files += u64::from(entry.kind == Kind::File);
        }
    }
}

impl Coordinator for TreeReading<'_> {
    type Job = Vec<ReadItem>;
    type Output = Vec<ReadItemResult>;

    fn next_job(&mut self) -> Result<Option<Vec<ReadItem>>> {
        let mut items = Vec::new();
        let mut bytes = 0;
        while items.len() < ENTRIES && bytes < BYTES {
            self.context.stop.check()?;
            let Some(visit) = self.walk.next() else {
                break;
            };
            let path = self.path();
            if !self.model.is_wanted(&path) {
                continue;
            }
            let item = match visit {
                Visit::Enter(stat) => self.item(&path, stat, true),
                Visit::Leaf(stat) => self.item(&path, stat, false),
                Visit::Unreadable(_, error) => {
                    self.problem(&path, system_reason(&error.into()));
                    continue;
                }
                Visit::MountPoint(_) => {
                    self.problem(&path, "something is mounted there".to_owned());
                    continue;
                }
                Visit::Vanished => {
                    self.problem(&path, "it is gone: another tool is at work".to_owned());
                    continue;
                }
                Visit::Leave(_) | Visit::Listed(_) | Visit::Excluded | Visit::Destination => {
                    continue;
                }
            };
            if item.reads {
                bytes += item.stat.size;
            }
            items.push(item);
        }
        Ok((!items.is_empty()).then_some(items))
    }

    fn take_output(&mut self, done: Vec<ReadItemResult>) -> Result<()> {
        for ReadItemResult { item, read, fault } in done {
            self.read.bytes_read += read;
            let ReadItem {
                mut entry,
                stat,
                attributes,
                ..
            } = item;
            if let Some(because) = fault? {
                self.problem(&entry.path, because);
                continue;
            }
            let mut stored = self.tree.id;
            let identity = stat.identity(self.device);
            if entry.kind == Kind::File {
                if let Some(digest) = entry.digest {
                    if stat.nlink > 1 {
                        self.known.insert(identity, (digest, stored));
                    }
                } else if let Some((digest, first)) = self.known.get(&identity) {
                    (entry.digest, stored) = (Some(*digest), *first);
                } else {
                    // Its first name could not be read, and was told.
                    let because = "it could not be read under its other name".to_owned();
                    self.problem(&entry.path, because);
                    continue;
                }
                entry.stored = Some(stored);
            }
            let is_again = entry.group.is_some() && !self.counted.insert(stat.ino);
            let allocated = if is_again { 0 } else { stat.allocated };
            self.ready(Ready {
                entry,
                attributes,
                allocated,
                stored,
            })?;
        }
        self.while_waiting()
    }

    fn while_waiting(&mut self) -> Result<()> {
        self.context.observer.event(Event::Progress(Progress {
            phase: Phase::Verify,
            entries: self.read.totals.entries,
            bytes: self.read.bytes_read,
            ..Progress::default()
        }));
        self.context.stop.check()
    }

    fn on_failure(&mut self) {
        // Each reading asks for itself whether to stop.
    }
}
