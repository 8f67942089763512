//! Copying one regular file into the new tree, content and metadata.

use std::{ffi::OsStr, fs::File, sync::PoisonError};

use rustix::io::Errno;
use schema::journal::ProblemKind;

use super::{
    content::{self, Content, Filled},
    jobs::{BuildItem, CompletedCopy},
    limits::{SET_ID, ends_attributes, ends_everything, free_bytes},
    stored_file::Stored,
    worker::Worker,
};
use crate::{
    copy::CopyError,
    error::{Error, Result, system_reason},
    manifest::{Entry, xattrs_digest},
    survey::{excess_holes, left_out_reason},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
        open,
    },
    watch::Storing,
};

/// How often a file that changes while it is read is read again.
const TRIES: u32 = 3;
/// Files with more bytes of holes are read once: their owner could have them read over and over.
const LONG: u64 = 1 << 30;
/// Room that must be left on a destination that lacks it only for the holes of a file.
const SPARE: u64 = 64 << 20;
/// The pieces that disks give to files: what `st_blocks` counts (inode(7)), and what most use.
const BLOCKS: [u64; 2] = [512, 4096];

/// Copies a file. `None` where it was listed as a problem; for content of the basis also where it
/// is not the basis' content, or no blocks can be shared.
pub(super) fn copy_file(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    stat: &Stat,
    content: Content<'_>,
) -> Result<Option<Stored>> {
    let name = &item.name;
    let mut read_before = None;
    for attempt in 1..=TRIES {
        let from = match worker.open_source(item, stat)? {
            Ok(from) => from,
            Err(error) => {
                worker.clear(new, name)?;
                worker.not_read(error);
                return Ok(None);
            }
        };
        let before = stat_of(worker, &from)?;
        if before.kind != Kind::File {
            worker.clear(new, name)?;
            worker.problem(ProblemKind::Vanished, "became something else than a file");
            return Ok(None);
        }
        if !may_be_read(worker, &from, &before, stat) {
            worker.clear(new, name)?;
            worker.problem(ProblemKind::Unreadable, left_out_reason(&before));
            return Ok(None);
        }
        let content = match content {
            // What was said of the basis was said of this very state of the source.
            Content::Basis(..) if !before.same_inode(stat) || before.ctime != stat.ctime => {
                Content::Source
            }
            content => content,
        };
        let once = copy_once(worker, item, new, &from, &before, content)?;
        let Some((copy, mut entry)) = once else {
            return Ok(None);
        };
        let after = stat_of(worker, &from)?;
        // A name that was taken away, as when another file is renamed over it, changes no content.
        let same_content = after.size == before.size && after.mtime == before.mtime;
        // Nor does whatever moves the change time while the same is read twice; some file systems
        // make one up at each look.
        let same_again =
            entry.digest.is_some() && read_before == Some((entry.digest, before.mtime));
        let steady = same_content
            && (after.ctime == before.ctime || after.nlink < before.nlink || same_again);
        if !steady && attempt < TRIES && excess_holes(&before) <= LONG {
            read_before = Some((entry.digest, before.mtime));
            remove_copy(worker, new, item)?;
            continue;
        }
        entry.torn = !steady;
        if steady && let Some(digest) = entry.digest {
            worker.tally.copies.push(CompletedCopy {
                inode: copy.ino,
                source_inode: before.ino,
                source_ctime: before.ctime,
                digest,
            });
        }
        return Ok(Some(Stored::copied(item, entry, copy, &before)));
    }
    Ok(None)
}

/// Whether the holes of a file are about those that it had when it was judged: whoever owns it may have
/// made terabytes of them since.
fn may_be_read(worker: &Worker<'_>, file: &File, opened: &Stat, judged: &Stat) -> bool {
    let grown = worker.build.grown.lock();
    let mut grown = grown.unwrap_or_else(PoisonError::into_inner);
    grown.takes_growth(file, opened, judged)
}

fn stat_of(worker: &Worker<'_>, file: &File) -> Result<Stat> {
    Stat::of_fd(file).map_err(|error| Error::io("look at", &worker.here(), error))
}

/// Removes what this run made and does not keep.
pub(super) fn remove_copy(worker: &Worker<'_>, new: &Dir, item: &BuildItem) -> Result<()> {
    match new.remove_file(&item.name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::io("remove", &worker.here(), error)),
    }
}

/// Copies content and metadata once. `None` as for [`copy_file`].
fn copy_once(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    from: &File,
    before: &Stat,
    content: Content<'_>,
) -> Result<Option<(Stat, Entry)>> {
    worker.clear(new, &item.name)?;
    // With its mode from the start, which mostly is what it then has: nobody else gets here.
    let to = match new.new_file(&item.name, before.mode & 0o777) {
        Ok(to) => to,
        Err(error) => {
            worker.not_stored("create the file", error)?;
            return Ok(None);
        }
    };
    let made = worker.look_when_made(&to)?;
    let filled = match content {
        Content::Source => content::from_source(worker, item, from, &to, before),
        Content::Basis(dir, entry) => match content::from_basis(worker, dir, entry, from, &to) {
            // It is copied from its source then.
            Ok(None) => {
                remove_copy(worker, new, item)?;
                return Ok(None);
            }
            Ok(Some(copied)) => Ok(copied),
            Err(error) => Err(error),
        },
    };
    let filled = match filled {
        Ok(filled) => filled,
        Err(error) => {
            not_filled(worker, item, new, before, error)?;
            return Ok(None);
        }
    };
    let mut entry = Entry {
        digest: Some(filled.digest),
        stored: Some(worker.build.step.id),
        size: filled.bytes,
        ..Entry::of(worker.path(), before)
    };
    let attributes = match attributes::of_fd(from) {
        Ok(attributes) => attributes,
        Err(error) => {
            entry.unread = true;
            worker.attributes_not_read(error);
            Attributes::new()
        }
    };
    entry.xattrs_digest = xattrs_digest(&attributes);
    let looks = (made, before.has_holes());
    let copy = dress(worker, &to, &mut entry, attributes, &filled, looks)?;
    Ok(Some((copy, entry)))
}

/// Gives a file that was filled its metadata, and puts it on the disk where each is by itself; gives what the
/// kernel says of it. It is said what it looked like when it was made, and whether it may have holes.
pub(super) fn dress(
    worker: &mut Worker<'_>,
    to: &File,
    entry: &mut Entry,
    attributes: Attributes,
    filled: &Filled,
    (made, is_sparse): (Option<Stat>, bool),
) -> Result<Stat> {
    let length = filled.bytes;
    let made = look_at_copy(worker, to, made, (length, is_sparse))?;
    let mut copy = set_metadata(worker, to, entry, attributes, made)?;
    if filled.is_update {
        // XFS keeps room around what was written for a while, and gives it back.
        copy.allocated = copy.allocated.min(length.next_multiple_of(BLOCKS[1]));
    }
    worker.sync_one(|| {
        let _storing = Storing::new(to, length);
        to.sync_all()
    })?;
    Ok(copy)
}

/// Removes a new file that could not be filled, which is listed.
fn not_filled(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    before: &Stat,
    error: CopyError,
) -> Result<()> {
    match error {
        CopyError::Ended(error) => return Err(error),
        CopyError::Read(error) => {
            remove_copy(worker, new, item)?;
            worker.problem(ProblemKind::Unreadable, system_reason(&error));
        }
        CopyError::Write(error) => {
            let _ = new.remove_file(&item.name);
            if lacks_room_for_holes(worker, &error, before) {
                let because = "the destination has no room for its holes, which it stores as zeros";
                worker.problem(ProblemKind::NotStored, because);
            } else {
                worker.not_stored("write", error)?;
            }
        }
    }
    Ok(())
}

/// What the kernel says of a file that was filled. Where what it takes on the disk follows from its size,
/// as of the first one that was filled, somebody far away is not asked about each.
fn look_at_copy(
    worker: &Worker<'_>,
    to: &File,
    made: Option<Stat>,
    (length, sparse): (u64, bool),
) -> Result<Stat> {
    let takes = |block: u64| length.div_ceil(block) * block;
    let known = &worker.build.block_bytes;
    let Some(made) = made.filter(|_| !sparse) else {
        return stat_of(worker, to);
    };
    if let Some(Some(block)) = known.get() {
        return Ok(Stat {
            size: length,
            allocated: takes(*block),
            ..made
        });
    }
    let found = stat_of(worker, to)?;
    // A length that tells the one from the other.
    if takes(BLOCKS[0]) != takes(BLOCKS[1]) {
        let mut blocks = BLOCKS.into_iter();
        let _ = known.set(blocks.find(|block| found.allocated == takes(*block)));
    }
    Ok(found)
}

/// Makes a file of a stored one that cannot be linked to, as between two subvolumes: another inode with
/// the same blocks, metadata and attributes. `None` where no blocks can be shared.
pub(super) fn clone_stored_file(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    (from, from_name, found): (&Dir, &OsStr, &Stat),
    entry: &Entry,
) -> Result<Option<Stat>> {
    let Ok(stored) = from.file(from_name) else {
        return Ok(None);
    };
    if !Stat::of_fd(&stored).is_ok_and(|opened| opened.same_inode(found)) {
        return Ok(None);
    }
    // What it has of attributes is what the manifest does not keep.
    let attributes = match entry.xattrs_digest {
        None => Ok(Attributes::new()),
        Some(_) => attributes::of_fd(&stored),
    };
    let Ok(attributes) = attributes else {
        return Ok(None);
    };
    let to = match new.new_file(&item.name, entry.mode & 0o777) {
        Ok(to) => to,
        Err(error) if ends_everything(error) => {
            return Err(Error::io("create", &worker.here(), error));
        }
        Err(_) => return Ok(None),
    };
    if found.size > 0 && !matches!(worker.share(&stored, &to, found), Ok(true)) {
        remove_copy(worker, new, item)?;
        return Ok(None);
    }
    let held = attributes.clone();
    let mut made = entry.clone();
    let looks = stat_of(worker, &to)?;
    let copy = set_metadata(worker, &to, &mut made, attributes, looks)?;
    if !made.xattrs_kept.is_empty() && attributes::of_fd(&to).ok().as_ref() != Some(&held) {
        // Copied from its source, all of them are set, or kept in the manifest.
        remove_copy(worker, new, item)?;
        return Ok(None);
    }
    worker.sync_one(|| to.sync_all())?;
    Ok(Some(copy))
}

/// Whether a destination is full only because it cannot store the holes of one file, which was removed
/// again: that ends nothing.
fn lacks_room_for_holes(worker: &Worker<'_>, error: &std::io::Error, stat: &Stat) -> bool {
    let build = worker.build;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let holes = stat.size.saturating_sub(stat.allocated);
    let needed = build
        .step
        .min_free_bytes
        .saturating_add(stat.allocated)
        .saturating_add(SPARE);
    errno == Some(Errno::NOSPC)
        && holes > SPARE
        && free_bytes(build.tree).is_ok_and(|free| free >= needed)
}

/// Sets owner, attributes, mode and time, in the order in which none undoes another, as far as they
/// are not as they should be. Gives what the kernel says of the copy, but for these.
pub(super) fn set_metadata(
    worker: &mut Worker<'_>,
    to: &File,
    entry: &mut Entry,
    attributes: Attributes,
    mut made: Stat,
) -> Result<Stat> {
    let build = worker.build;
    // Most files of a machine are root's, and so is what root makes.
    let own = (made.uid, made.gid) == (entry.uid, entry.gid);
    if build.sets_owners()
        && !own
        && let Err(error) = open::set_owner(to, entry.uid, entry.gid)
    {
        worker.not_stored("set the owner", error)?;
    }
    let mut all_set = true;
    for (name, value) in &attributes {
        match attributes::set_fd(to, name, value) {
            Ok(()) => {}
            Err(error) if ends_attributes(error) => {
                return Err(Error::io("store an attribute of", &worker.here(), error));
            }
            Err(_) => all_set = false,
        }
    }
    if !attributes.is_empty() {
        made = stat_of(worker, to)?;
    }
    entry.xattrs_kept = build.not_held(attributes, all_set, || attributes::of_fd(to));
    let mode = build.mode_there(Kind::File, entry.mode);
    // A change of owner takes set-id bits away.
    let right = made.mode == mode && (own || mode & SET_ID == 0);
    if !right
        && let Err(error) = open::set_mode(to, mode)
        && build.capabilities.modes
    {
        worker.not_stored("set the mode", error)?;
    }
    worker.time_set(open::set_mtime(to, entry.mtime))?;
    Ok(made)
}

impl Worker<'_> {
    /// What a file looks like that was just made, where each later look is a question to somebody far
    /// away: this once the kernel knows it from making it.
    pub(super) fn look_when_made(&self, to: &File) -> Result<Option<Stat>> {
        let build = self.build;
        let asks_less = build.one_by_one && build.is_distant;
        asks_less.then(|| stat_of(self, to)).transpose()
    }
}
