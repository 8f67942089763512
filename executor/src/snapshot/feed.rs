//! What another destination was given in the same run: content that need not be read once more from a source
//! that takes longer to read.
//!
//! Invariant: what comes from there is what its manifest, which this machine sealed, says of the very state in
//! which the source was found, and has the digest that stands there. All else is read from the source.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use schema::{
    SnapshotId, amount,
    config::DestinationName,
    escape,
    journal::{Outcome, Status},
    record::SnapshotRecord,
    shell,
};

use super::{
    content, copying,
    jobs::{BuildItem, CompletedCopy},
    stored_file::Stored,
    worker::Worker,
};
use crate::{
    copy::CopyError,
    error::{Error, Result},
    event::Stop,
    manifest::{Cursor, Entry, xattrs_digest},
    store::Store,
    survey::{Change, FoundSource, Since, excess_holes, nanos_of},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
        distance::is_farther,
        stat::Nanos,
    },
};

/// Bytes of holes beyond which a file is read where they are holes.
const MANY_HOLES: u64 = 64 << 20;

/// A snapshot of this run on another destination.
#[derive(Debug)]
pub struct Feed {
    of: DestinationName,
    store: Store,
    record: SnapshotRecord,
    tree: Dir,
    since: Since,
    files: AtomicU64,
    bytes: AtomicU64,
    refused: Mutex<Refused>,
}

/// What it was said to have and has not.
#[derive(Debug, Default)]
struct Refused {
    files: u64,
    first: Option<String>,
}

impl Feed {
    /// Opens the snapshot that this run made on a destination.
    ///
    /// # Errors
    /// Why nothing can be taken from there.
    pub fn open(
        of: DestinationName,
        store: Store,
        (run_id, id): (&str, SnapshotId),
        stop: &Stop,
    ) -> Result<Self> {
        let record = store.record(id)?.filter(|record| record.run_id == run_id);
        let record =
            record.ok_or_else(|| Error::failed(format!("it has no snapshot {id} of this run")))?;
        if let Some(fault) = store.manifest_fault(&record, stop)? {
            return Err(Error::failed(fault));
        }
        let home = store.home_of(id)?;
        let home = home.ok_or_else(|| Error::failed(format!("the tree of {id} is gone")))?;
        Ok(Self {
            tree: store.snapshot(home, id)?,
            since: Since::of(&record),
            of,
            store,
            record,
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refused: Mutex::default(),
        })
    }

    /// Its manifest, to be gone through beside the survey.
    pub(super) fn manifest(&self) -> Result<Cursor> {
        self.store.manifest(self.record.id).map(Cursor::new)
    }

    /// Whether a source takes longer to read than what is here.
    pub(super) fn is_nearer_than(&self, source: &FoundSource) -> bool {
        let top = match source.stat.kind {
            Kind::Folder => source.parent.folder(&source.name),
            _ => source.parent.again(),
        };
        top.is_ok_and(|top| is_farther(&top, &self.tree))
    }

    /// Whether an entry here is of the state in which a source was found. `read_from` is when that was.
    fn is_of(&self, entry: &Entry, stat: &Stat, read_from: Nanos) -> bool {
        match self.since.change(entry, stat) {
            Change::Untouched => true,
            // One walk through the sources was for both: what was touched since is compared by the next one.
            Change::Perhaps => {
                let read = self.record.read.as_ref();
                read.is_some_and(|read| nanos_of(read.from) == read_from) && entry.untouched(stat)
            }
            Change::Surely => false,
        }
    }

    /// It has not what its manifest says.
    fn refuse(&self, worker: &Worker<'_>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.files += 1;
        refused
            .first
            .get_or_insert_with(|| escape::display(&worker.here()));
    }

    /// Says how a snapshot ended for which content was taken from here.
    pub(super) fn tell(&self, outcome: &mut Outcome) {
        let files = self.files.load(Ordering::Relaxed);
        let of = &self.of;
        if files > 0 && outcome.status == Status::Succeeded {
            outcome.message.push_str(&format!(
                "; content of {} ({}) came from {of}",
                amount::plural(files, "file", "files"),
                amount::bytes(self.bytes.load(Ordering::Relaxed))
            ));
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = &refused.first {
            outcome.message.push_str(&format!(
                "; {of} did not have what it was given of {} (such as {first}), which came from the sources",
                amount::plural(refused.files, "file", "files"),
            ));
            outcome.hint.get_or_insert_with(|| {
                format!(
                    "nothing is missing from this snapshot; see what {of} has lost: `backup verify --full \
                     --destination {} {}`",
                    shell::word(of.as_str()),
                    self.record.id
                )
            });
        }
    }
}

/// What is known of a file of a source that another destination was just given: it was read for that.
pub(super) fn what_was_read<'i>(
    worker: &Worker<'_>,
    item: &'i BuildItem,
    stat: &Stat,
) -> Option<&'i Entry> {
    let build = worker.build;
    let entry = item.fed.as_deref()?;
    let is_whole = entry.kind == Kind::File && entry.digest.is_some();
    (is_whole && build.feed?.is_of(entry, stat, build.read_from)).then_some(entry)
}

/// Copies a file from where it was just copied to. `None` where that has it not, or not as it is to be: it comes
/// from its source then.
pub(super) fn copy_from_feed(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    stat: &Stat,
) -> Result<Option<Stored>> {
    let (Some(feed), Some(entry)) = (worker.build.feed, what_was_read(worker, item, stat)) else {
        return Ok(None);
    };
    let Some(attributes) = attributes_of_source(worker, item, stat, entry)? else {
        return Ok(None);
    };
    let opened = worker
        .fed_dir(&feed.tree, entry)
        .and_then(|dir| dir.file(entry.stored_name()));
    let found = opened.and_then(|file| Ok((Stat::of_fd(&file)?, file)));
    let is_whole = |found: &Stat| found.kind == Kind::File && found.size == entry.size;
    let Some((found, from)) = found.ok().filter(|(found, _)| is_whole(found)) else {
        feed.refuse(worker);
        return Ok(None);
    };
    if excess_holes(stat) > MANY_HOLES && !found.has_holes() {
        return Ok(None);
    }
    worker.clear(new, &item.name)?;
    // Why it cannot be made, or written, says who copies it from its source.
    let Ok(to) = new.new_file(&item.name, stat.mode & 0o777) else {
        return Ok(None);
    };
    let made = worker.look_when_made(&to)?;
    let filled = match content::from_source(worker, item, &from, &to, &found) {
        Ok(filled) if Some(filled.digest) == entry.digest => filled,
        Err(CopyError::Ended(error)) => return Err(error),
        other => {
            copying::remove_copy(worker, new, item)?;
            if !matches!(other, Err(CopyError::Write(_))) {
                feed.refuse(worker);
            }
            return Ok(None);
        }
    };
    let mut listed = Entry {
        digest: entry.digest,
        stored: Some(worker.build.step.id),
        xattrs_digest: entry.xattrs_digest,
        ..Entry::of(worker.path(), stat)
    };
    let looks = (made, found.has_holes());
    let copy = copying::dress(worker, &to, &mut listed, attributes, &filled, looks)?;
    feed.files.fetch_add(1, Ordering::Relaxed);
    feed.bytes.fetch_add(listed.size, Ordering::Relaxed);
    worker.tally.copies.push(CompletedCopy {
        inode: copy.ino,
        source_inode: stat.ino,
        source_ctime: stat.ctime,
        digest: filled.digest,
    });
    Ok(Some(Stored::copied(item, listed, copy, stat)))
}

/// The attributes of the source, which only it surely has; nobody is asked for those of a file that had none.
/// `None` if they are not what they were.
fn attributes_of_source(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    stat: &Stat,
    entry: &Entry,
) -> Result<Option<Attributes>> {
    if entry.xattrs_digest.is_none() {
        return Ok(Some(Attributes::new()));
    }
    let Ok(source) = worker.open_source(item, stat)? else {
        return Ok(None);
    };
    let found = attributes::of_fd(&source).ok();
    Ok(found.filter(|found| xattrs_digest(found) == entry.xattrs_digest))
}
