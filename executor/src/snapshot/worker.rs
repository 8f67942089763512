//! One thread's place at the work: the entry at hand, and what it comes to.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::io::Errno;
use schema::{
    SnapshotId, StoredPath, StoredPathBuf, amount, escape,
    journal::{Problem, ProblemKind},
    plan::SnapshotStep,
    record::Capabilities,
};

use super::{
    copied_log::CopiedFile,
    file, folder,
    job::{Done, Item, Job, Place, Tally, What},
    limits::{MAX_PROBLEMS, ends_everything, free_bytes, too_little_space},
    other,
};
use crate::{
    copy::Copier,
    error::{Error, Result, reason},
    event::Context,
    flush::Flusher,
    manifest::{Entry, MOST_KEPT},
    store::Store,
    survey::{Moves, Since, is_recent},
    sys::{Dir, Folder, Kind, Owners, Stat, attributes::Attributes, bytes, stat::Nanos},
};

/// Bytes written between two looks at the free space.
const SPACE_STEP: u64 = 64 << 20;

/// What all threads share.
pub(super) struct Shop<'a> {
    pub(super) store: &'a Store,
    pub(super) step: &'a SnapshotStep,
    pub(super) context: Context<'a>,
    pub(super) capabilities: Capabilities,
    pub(super) privileged: bool,
    /// The new tree.
    pub(super) tree: &'a Dir,
    /// The basis' tree.
    pub(super) basis: Option<Folder>,
    /// What rsync or an interrupted run copied, by the copies' inode numbers.
    pub(super) copied: HashMap<u64, CopiedFile>,
    pub(super) moves: Moves,
    /// The trees of others that are linked to, in the order of their manifests.
    pub(super) also: Vec<Folder>,
    /// Something was linked to one of these.
    pub(super) also_linked: AtomicBool,
    /// When the sources of the basis, and of the others, were read: what is unchanged since.
    pub(super) since: Vec<Since>,
    /// What the new tree is judged by.
    pub(super) reference: Reference,
    /// When this run's sources were looked at.
    pub(super) read_from: Nanos,
    /// Which source inode a basis inode was linked for, where others may ask for it: two files must
    /// not become one because they are alike.
    pub(super) given: Mutex<HashMap<u64, (u64, u64)>>,
    /// Device numbers of sources whose blocks the destination was found not to share.
    pub(super) shares_nothing: Mutex<HashSet<u64>>,
    pub(super) copiers: Mutex<Vec<Copier>>,
    /// Bytes written so far.
    pub(super) written: AtomicU64,
    /// Has them put on the disk.
    pub(super) flusher: Flusher,
    /// The work has failed somewhere.
    pub(super) ended: AtomicBool,
    /// Each file and folder is synced by itself.
    pub(super) one_by_one: bool,
    /// A sync failed: what was written since the last checkpoint must not be trusted.
    pub(super) unsynced: AtomicBool,
}

/// What a new tree is judged by.
pub(super) enum Reference {
    /// The basis.
    Basis,
    /// Another snapshot, with those that stored its content.
    Other(BTreeSet<SnapshotId>),
}

impl Shop<'_> {
    /// When the sources were read that an entry is of.
    pub(super) fn since(&self, entry: &Entry) -> &Since {
        // None are read that have none.
        &self.since[usize::from(entry.tree).min(self.since.len() - 1)]
    }

    /// The tree that an entry is of.
    pub(super) fn tree_of(&self, entry: &Entry) -> Option<&Folder> {
        match usize::from(entry.tree) {
            0 => self.basis.as_ref(),
            other => self.also.get(other - 1),
        }
    }

    /// Ends the work here if it was asked to stop or failed elsewhere.
    pub(super) fn check(&self) -> Result<()> {
        self.context.stop.check()?;
        if self.ended.load(Ordering::Relaxed) {
            return Err(Error::failed("the work ended with another error"));
        }
        Ok(())
    }

    /// A sync failed.
    pub(super) fn sync_failed(&self) {
        self.unsynced.store(true, Ordering::Relaxed);
    }

    /// Bytes were written: looks at the free space now and then.
    pub(super) fn wrote(&self, bytes: u64) -> Result<()> {
        self.flusher.wrote(0, bytes);
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        if before / SPACE_STEP != (before + bytes) / SPACE_STEP {
            self.check_space()?;
        }
        self.check()
    }

    /// Ends the work where the destination has less space than must stay free.
    pub(super) fn check_space(&self) -> Result<()> {
        let free = free_bytes(self.tree)
            .map_err(|error| self.store.io("look at", "the free space", error))?;
        if free < self.step.min_free_bytes {
            return Err(too_little_space(self.store, free, self.step.min_free_bytes));
        }
        Ok(())
    }

    /// What rsync or an interrupted run copied from this source to this inode.
    pub(super) fn copied_before(&self, stat: &Stat, copy: &Stat) -> Option<&CopiedFile> {
        let found = self.copied.get(&copy.ino)?;
        // Touched while that run looked at it: it may have been touched once more after it was read.
        if found.read_from != self.read_from && is_recent(stat, found.read_from) {
            return None;
        }
        (found.source_ino == stat.ino && found.source_ctime == stat.ctime && copy.size == stat.size)
            .then_some(found)
    }

    /// Whether an inode of the destination is known to be damaged.
    pub(super) fn never_link(&self, inode: u64) -> bool {
        self.step.never_link.binary_search(&inode).is_ok()
    }

    /// Whether a basis inode may be linked for this source inode.
    pub(super) fn may_give(&self, inode: u64, source: (u64, u64)) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        *given.entry(inode).or_insert(source) == source
    }

    /// Does a job.
    pub(super) fn work(&self, job: Job) -> Done {
        let copier = {
            let mut copiers = self.copiers.lock().unwrap_or_else(PoisonError::into_inner);
            copiers.pop().unwrap_or_default()
        };
        let Job {
            source,
            items,
            full,
            leaves,
            ..
        } = job;
        let mut worker = Worker {
            shop: self,
            copier,
            tally: Tally::default(),
            hand: None,
        };
        let result = worker.all(full, items);
        let Worker { copier, tally, .. } = worker;
        let mut copiers = self.copiers.lock().unwrap_or_else(PoisonError::into_inner);
        copiers.push(copier);
        Done {
            source,
            leaves,
            tally,
            result,
        }
    }
}

/// One thread at work on a job.
pub(super) struct Worker<'w> {
    pub(super) shop: &'w Shop<'w>,
    pub(super) copier: Copier,
    pub(super) tally: Tally,
    hand: Option<Hand>,
}

/// The folder at hand, and the path of the entry.
struct Hand {
    place: Arc<Place>,
    path: StoredPathBuf,
    new: Option<Arc<Dir>>,
    basis: Option<Option<Arc<Dir>>>,
    source: Option<std::result::Result<Arc<Dir>, Errno>>,
}

impl<'w> Worker<'w> {
    fn all(&mut self, full: Vec<Arc<Place>>, items: Vec<Item>) -> Result<()> {
        for place in full {
            self.shop.check()?;
            folder::finish(self, &place)?;
        }
        for item in items {
            self.shop.check()?;
            self.one(item)?;
        }
        Ok(())
    }

    fn one(&mut self, mut item: Item) -> Result<()> {
        // All that is in a folder that the destination cannot hold was listed with it.
        if item.place.is_lost() {
            if let What::Folder(_, child) = &item.what {
                child.lose();
            }
            return Ok(());
        }
        self.take_up(&item.place, std::mem::take(&mut item.path));
        match &item.what {
            What::Folder(stat, child) => folder::enter(self, &item, stat, child),
            What::File(stat, group) => file::file(self, &item, stat, group.as_deref()),
            What::Other(stat, group) => other::other(self, &item, stat, group.as_deref()),
            What::Root(stat) => {
                folder::root(self, &item, stat);
                Ok(())
            }
            What::Unreadable(error) => {
                self.problem(ProblemKind::Unreadable, reason(&(*error).into()));
                Ok(())
            }
            What::NoSource(error) => {
                let because = reason(&(*error).into());
                self.problem(
                    ProblemKind::Unreadable,
                    format!("the source is not there or cannot be read: {because}"),
                );
                Ok(())
            }
            What::Vanished => {
                self.vanished();
                Ok(())
            }
        }
    }

    fn take_up(&mut self, place: &Arc<Place>, path: StoredPathBuf) {
        match &mut self.hand {
            Some(hand) if Arc::ptr_eq(&hand.place, place) => hand.path = path,
            hand => {
                *hand = Some(Hand {
                    place: Arc::clone(place),
                    path,
                    new: None,
                    basis: None,
                    source: None,
                });
            }
        }
    }

    /// The folder at hand becomes this one, for what is said of it.
    pub(super) fn turn_to(&mut self, place: &Arc<Place>) {
        self.take_up(place, place.path.clone());
    }

    fn hand(&self) -> Result<&Hand> {
        self.hand
            .as_ref()
            .ok_or_else(|| Error::failed("an entry outside of every folder"))
    }

    /// The place at hand.
    pub(super) fn place(&self) -> Result<Arc<Place>> {
        self.hand().map(|hand| Arc::clone(&hand.place))
    }

    /// Path in the snapshot of the entry at hand.
    pub(super) fn path(&self) -> &StoredPath {
        self.hand
            .as_ref()
            .map_or(StoredPath::root(), |hand| &hand.path)
    }

    /// Path of the entry at hand for messages: as on the machine.
    pub(super) fn here(&self) -> Vec<u8> {
        self.path().to_absolute()
    }

    /// The folder being filled; none where it could not be made, which is listed.
    pub(super) fn new_dir(&mut self) -> Result<Option<Arc<Dir>>> {
        let hand = self.hand()?;
        if let Some(dir) = &hand.new {
            return Ok(Some(Arc::clone(dir)));
        }
        match hand.place.new.open_or_make() {
            Ok(dir) => {
                if let Some(hand) = &mut self.hand {
                    hand.new = Some(Arc::clone(&dir));
                }
                Ok(Some(dir))
            }
            Err(error) => {
                // If whoever makes the folder itself did not come to it yet, it is lost with all
                // that is in it, which is listed then.
                let place = Arc::clone(&hand.place);
                let end = place.end();
                if end.entry.is_some() || ends_everything(error) {
                    drop(end);
                    self.not_stored("make the folder", error)?;
                } else {
                    place.lose();
                }
                Ok(None)
            }
        }
    }

    /// The same folder in the basis.
    pub(super) fn basis_dir(&mut self) -> Option<Arc<Dir>> {
        let hand = self.hand.as_mut()?;
        hand.basis
            .get_or_insert_with(|| {
                hand.place
                    .basis
                    .as_ref()
                    .and_then(|basis| basis.open().ok())
            })
            .clone()
    }

    /// The folder that the entry at hand is found in, and its name there.
    pub(super) fn source<'i>(
        &mut self,
        item: &'i Item,
    ) -> std::result::Result<(Arc<Dir>, &'i OsStr), Errno> {
        if let Some(from) = &item.from {
            return Ok((from.0.open()?, &from.1));
        }
        let hand = self.hand.as_mut().ok_or(Errno::NOENT)?;
        let dir = hand
            .source
            .get_or_insert_with(|| match &hand.place.source {
                Some(source) => source.open(),
                None => Err(Errno::NOENT),
            })
            .clone()?;
        Ok((dir, &item.name))
    }

    /// Lists a problem with the entry at hand.
    pub(super) fn problem(&mut self, kind: ProblemKind, message: impl Into<String>) {
        let totals = &mut self.tally.totals;
        match kind {
            ProblemKind::Unreadable | ProblemKind::NotStored | ProblemKind::Metadata => {
                totals.errors += 1;
            }
            ProblemKind::Vanished => totals.vanished += 1,
            ProblemKind::Torn => totals.torn += 1,
        }
        if self.tally.problems.len() < MAX_PROBLEMS {
            self.tally.problems.push(Problem {
                path: escape::display(&self.here()),
                kind,
                message: message.into(),
            });
        }
    }

    /// The entry at hand was there and then was not.
    pub(super) fn vanished(&mut self) {
        self.problem(ProblemKind::Vanished, "was there and then was not");
    }

    /// The attributes of the entry at hand cannot be read, which is listed.
    pub(super) fn attributes_not_read(&mut self, error: Errno) {
        self.problem(
            ProblemKind::Metadata,
            format!("cannot read its attributes: {}", reason(&error.into())),
        );
    }

    /// The entry at hand cannot be read: it is gone, or listed as unreadable.
    pub(super) fn not_read(&mut self, error: Errno) {
        match error {
            // A folder on the way became something else, or another folder.
            Errno::NOENT | Errno::STALE | Errno::NOTDIR | Errno::LOOP => self.vanished(),
            error => self.problem(ProblemKind::Unreadable, reason(&error.into())),
        }
    }

    /// A failure to write to the destination: the end of everything, or a problem of this entry.
    pub(super) fn not_stored(
        &mut self,
        doing: &str,
        error: impl Into<std::io::Error>,
    ) -> Result<()> {
        let error = error.into();
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        if errno.is_none_or(ends_everything) {
            return Err(Error::io(doing, &self.here(), error));
        }
        let because = errno.and_then(|errno| super::holds::explains(doing, errno));
        let because = because.map_or_else(|| reason(&error), str::to_owned);
        self.problem(ProblemKind::NotStored, format!("cannot {doing}: {because}"));
        Ok(())
    }

    /// Writes the entry at hand to the manifest, with the name that it was stored under, and counts
    /// it.
    pub(super) fn list(&mut self, name: &OsStr, entry: &Entry) -> Result<()> {
        self.tally.totals.entries += 1;
        let mut entry = Cow::Borrowed(entry);
        let is_own = entry.path.file_name() == bytes(name) || entry.absent;
        self.tally.totals.renamed += u64::from(!is_own);
        let stored_as = (!is_own).then(|| name.to_owned());
        if entry.stored_as != stored_as {
            entry.to_mut().stored_as = stored_as;
        }
        let kept = entry.xattrs_kept.iter();
        let kept: usize = kept.map(|(name, value)| name.len() + value.len()).sum();
        if kept > MOST_KEPT {
            // A line that nobody could read would cost the whole manifest.
            self.problem(
                ProblemKind::NotStored,
                format!(
                    "its extended attributes are {} that the destination cannot hold, and the \
                     manifest keeps at most {}",
                    amount::bytes(kept as u64),
                    amount::bytes(MOST_KEPT as u64)
                ),
            );
            entry.to_mut().xattrs_kept = Attributes::new();
        }
        let owners = Owners::of(entry.uid, entry.gid);
        entry.write_line_of(&owners, &mut self.tally.lines);
        let place = &self.hand()?.place;
        if place.is_continued() {
            place.made().insert(name.to_owned());
        }
        Ok(())
    }

    /// Counts bytes on disk, and files, for the snapshot that first stored them.
    pub(super) fn stores(&mut self, by: SnapshotId, stat: &Stat) {
        let stored: &mut BTreeMap<_, _> = &mut self.tally.stored_by;
        *stored.entry(by).or_default() += stat.allocated;
        if stat.kind == Kind::File {
            *self.tally.files_stored_by.entry(by).or_default() += 1;
        }
    }

    /// Makes room for a name where an interrupted run may have left something.
    pub(super) fn clear(&self, dir: &Dir, name: &OsStr) -> Result<()> {
        if !self.hand()?.place.is_continued() {
            return Ok(());
        }
        match dir.remove_file(name) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {
                let named = escape::display(&self.here());
                crate::remove::remove_tree(dir, name, &named, self.shop.context)
            }
            Err(error) => Err(Error::io("remove", &self.here(), error)),
        }
    }
}
