//! One regular file: linked to the basis where the basis has it, or taken over from a clone of it; copied
//! otherwise.
//!
//! Invariant: a file is only linked to an inode of the basis that has its content, mode, owner, time
//! and attributes, because all names of an inode share them.

use std::{ffi::OsStr, sync::atomic::Ordering};

use schema::{StoredPath, journal::ProblemKind};

use super::{
    build_context::Reference,
    capability_checks,
    content::Content,
    copying, feed, inherit,
    jobs::{BuildItem, FirstName, LinkGroup},
    limits::ends_everything,
    resumed_copy,
    stored_file::{StorageMethod, Stored},
    worker::Worker,
};
use crate::{
    copy::CopyError,
    error::{Error, Result},
    manifest::{Entry, Looks, xattrs_digest},
    survey::Change,
    sys::{Dir, Kind, Stat, attributes},
};

/// Puts a regular file into the new tree.
pub(super) fn make_file(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    stat: &Stat,
    group: Option<&LinkGroup>,
) -> Result<()> {
    let Some(new) = worker.new_dir()? else {
        return Ok(());
    };
    let because = capability_checks::why_refused(worker, &new, &item.name)?;
    let refuses_size = || worker.build.capabilities.refuses_size(stat.size);
    if let Some(because) = because.or_else(refuses_size) {
        worker.problem(ProblemKind::NotStored, because);
        return Ok(());
    }
    let Some(group) = group else {
        if let Some(mut stored) = store_file(worker, item, &new, stat)? {
            stored.entry.group = None;
            return count_file(worker, item, stored);
        }
        return Ok(());
    };
    // Whoever comes to another name of this file waits until the first one is there.
    let mut first = group.first();
    if let Some(first) = &*first
        && link_to_first(worker, item, &new, first)?
    {
        return Ok(());
    }
    // The first name, or one more than an inode can have: then this becomes the first of another.
    if let Some(mut stored) = store_file(worker, item, &new, stat)? {
        // Names that cannot be one inode here share a number all the same, so that a restore makes
        // them one again; not so if the file changed between them.
        let same = first
            .as_ref()
            .is_none_or(|first| first.entry.digest == stored.entry.digest);
        stored.entry.group = same.then_some(group.number);
        if stored.inode == (stat.dev, stat.ino) {
            *first = Some(FirstName {
                node: worker.node()?,
                name: item.name.clone(),
                entry: stored.entry.clone(),
            });
        }
        return count_file(worker, item, stored);
    }
    Ok(())
}

/// Links or copies a file. `None` where it was listed as a problem.
fn store_file(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    stat: &Stat,
) -> Result<Option<Stored>> {
    let basis = item
        .basis
        .as_deref()
        .filter(|entry| entry.kind == Kind::File);
    if let Some(entry) = basis
        && entry.tree != 0
        && is_unchanged(worker, item, entry, stat)?
        && let Some(stored) = link_elsewhere(worker, item, new, entry, stat)?
    {
        return Ok(Some(stored));
    }
    let basis = basis.filter(|entry| entry.tree == 0);
    if let Some(entry) = basis
        && is_unchanged(worker, item, entry, stat)?
        && let Some(dir) = worker.basis_dir()
        && let Some(stored) =
            link_to_basis(worker, item, new, (&dir, entry.stored_name()), entry, stat)?
    {
        return Ok(Some(stored));
    }
    if let Some(stored) = link_moved(worker, item, new, stat)? {
        return Ok(Some(stored));
    }
    if let Some(stored) = resumed_copy::take_over_copy(worker, item, new, stat)? {
        return Ok(Some(stored));
    }
    if let Some(stored) = feed::copy_from_feed(worker, item, new, stat)? {
        return Ok(Some(stored));
    }
    // Mode, owner or attributes changed: the basis may have the content, to share its blocks.
    if let Some(entry) = basis
        && entry.same_content(stat)
        && !entry.looks_like(stat)
        && let Some(dir) = worker.basis_dir()
        && let Some(stored) =
            copying::copy_file(worker, item, new, stat, Content::Basis(&dir, entry))?
    {
        return Ok(Some(stored));
    }
    copying::copy_file(worker, item, new, stat, Content::Source)
}

/// Gives the file the inode of its first name, if that is in the new tree already.
fn link_to_first(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    first: &FirstName,
) -> Result<bool> {
    // Some destinations make a copy and say that they linked.
    if !worker.build.capabilities.hard_links {
        return Ok(false);
    }
    let dir = first
        .node
        .new
        .open()
        .map_err(|error| Error::io("open", &worker.here(), error))?;
    let is_there = item.node.may_hold_others()
        && match (dir.stat(&first.name), new.stat(&item.name)) {
            (Ok(first), Ok(there)) => there.same_inode(&first),
            _ => false,
        };
    let linked = match is_there {
        true => Ok(()),
        false => {
            worker.clear(new, &item.name)?;
            new.link_from(&dir, &first.name, &item.name)
        }
    };
    match linked {
        Ok(()) => {}
        Err(error) if ends_everything(error) => {
            return Err(Error::io("link", &worker.here(), error));
        }
        // No more links to this inode: this name becomes the first of another.
        Err(_) => return Ok(false),
    }
    let entry = Entry {
        path: worker.path().to_owned(),
        ..first.entry.clone()
    };
    let own = entry.stored == Some(worker.build.step.id);
    let tally = &mut worker.tally;
    tally.totals.files += 1;
    tally.totals.bytes += entry.size;
    tally.unchanged_files += u64::from(!own);
    judge_by_reference(worker, item, &entry, !own);
    worker.list(&item.name, &entry)?;
    Ok(true)
}

/// Whether the source is as the basis has it: surely untouched, or the same when read.
fn is_unchanged(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    entry: &Entry,
    stat: &Stat,
) -> Result<bool> {
    match worker.build.since(entry).change(entry, stat) {
        Change::Untouched => Ok(true),
        // A rename, another link, a restored source, a file system whose inode numbers do not last,
        // or it was touched while the basis was made.
        Change::Perhaps => same_when_read(worker, item, entry, stat),
        Change::Surely => Ok(false),
    }
}

/// Whether the source has the content and the attributes of an entry, by reading it.
fn same_when_read(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    entry: &Entry,
    stat: &Stat,
) -> Result<bool> {
    let Some((digest, attributes)) = read_digests(worker, item, stat)? else {
        return Ok(false);
    };
    Ok(Some(digest) == entry.digest && attributes == entry.xattrs_digest)
}

type Digests = (schema::Digest, Option<schema::Digest>);

/// The digests of the source's content and attributes; none if it is not what it was.
fn read_digests(worker: &mut Worker<'_>, item: &BuildItem, stat: &Stat) -> Result<Option<Digests>> {
    if let Some(read) = feed::what_was_read(worker, item, stat)
        && let Some(digest) = read.digest
    {
        return Ok(Some((digest, read.xattrs_digest)));
    }
    let Ok(file) = worker.open_source(item, stat)? else {
        return Ok(None);
    };
    // What stands there now is read and compared, whatever its inode number, which not every file
    // system keeps from one look to the next.
    let looks = Entry::of(StoredPath::root(), stat);
    let Some(before) = Stat::of_fd(&file)
        .ok()
        .filter(|found| looks.looks_like(found))
    else {
        return Ok(None);
    };
    // Whose attributes cannot be read is not known to be the same: that is listed by who copies it.
    let Ok(attributes) = attributes::of_fd(&file) else {
        return Ok(None);
    };
    let build = worker.build;
    let sparse = stat.allocated < stat.size;
    let read = worker.copier.digest(&file, sparse, &mut |_| build.check());
    let steady = |found: Stat| looks.looks_like(&found) && found.ctime == before.ctime;
    match read {
        Ok(read) if Stat::of_fd(&file).is_ok_and(steady) => {
            Ok(Some((read.digest, xattrs_digest(&attributes))))
        }
        Err(CopyError::Ended(error)) => Err(error),
        _ => Ok(None),
    }
}

/// Links a file that the basis has at another path: the same inode of the source with the same
/// looks, else one with the same content.
fn link_moved(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    stat: &Stat,
) -> Result<Option<Stored>> {
    let build = worker.build;
    if build.basis.is_none() || stat.size == 0 {
        return Ok(None);
    }
    if let Some(entry) = build.moves.surely(stat) {
        // A folder above was renamed: nothing was done to the file itself.
        let same = build.since(entry).moved_untouched(entry, stat)
            || same_when_read(worker, item, entry, stat)?;
        if same && let Some(stored) = link_elsewhere(worker, item, new, entry, stat)? {
            return Ok(Some(stored));
        }
    }
    let mut candidates = build
        .moves
        .of_size(stat.size)
        .filter(|entry| entry.looks_like(stat))
        .peekable();
    if candidates.peek().is_none() {
        return Ok(None);
    }
    let Some((digest, attributes)) = read_digests(worker, item, stat)? else {
        return Ok(None);
    };
    for entry in candidates {
        if entry.digest == Some(digest)
            && entry.xattrs_digest == attributes
            && let Some(stored) = link_elsewhere(worker, item, new, entry, stat)?
        {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

fn link_elsewhere(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    entry: &Entry,
    stat: &Stat,
) -> Result<Option<Stored>> {
    let Some(tree) = worker.build.tree_of(entry) else {
        return Ok(None);
    };
    let above = entry.path.parent().unwrap_or_default();
    let opened = tree.open().and_then(|tree| match above.is_root() {
        true => tree.again(),
        false => tree.folder_below(above),
    });
    let Ok(dir) = opened else {
        return Ok(None);
    };
    let from = (&dir, entry.stored_name());
    link_to_basis(worker, item, new, from, entry, stat)
}

/// Gives the file an inode of the basis, if that is what the basis' manifest says.
fn link_to_basis(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    (from, from_name): (&Dir, &OsStr),
    entry: &Entry,
    stat: &Stat,
) -> Result<Option<Stored>> {
    let build = worker.build;
    if entry.tree == 0 && build.doubtful.has(&entry.path) {
        return Ok(None);
    }
    // Only of a file that surely stayed where it was nobody else can be given the inode.
    let stayed = build.since(entry).untouched(entry, stat) && *entry.path == *worker.path();
    let asks = !stayed || stat.nlink > 1 || entry.group.is_some();
    let source = asks.then_some((stat.dev, stat.ino));
    let copy = match give_inode(worker, item, new, (from, from_name), &entry.into(), source)? {
        Given::Linked(copy) => copy,
        // A file that shares all blocks, or a copy of the source, serves as well.
        Given::Refused(found) => {
            let stored = (from, from_name, &found);
            match copying::clone_stored_file(worker, item, new, stored, entry)? {
                Some(made) => made,
                None => return Ok(None),
            }
        }
        Given::Not => return Ok(None),
    };
    if entry.tree != 0 {
        build.also_linked.store(true, Ordering::Relaxed);
    }
    let mut listed = Entry {
        tree: 0,
        // What the source says now: its inode may be another one of the same looks.
        ino: stat.ino,
        ctime: stat.ctime,
        immutable: stat.immutable,
        append_only: stat.append_only,
        // It was read wholly now, or it would not have been found to be the same.
        unread: false,
        ..entry.clone()
    };
    if *listed.path != *worker.path() {
        listed.path = worker.path().to_owned();
    }
    Ok(Some(Stored {
        entry: listed,
        how: StorageMethod::Linked,
        copy,
        inode: (stat.dev, stat.ino),
        unchanged: true,
    }))
}

/// What became of giving an inode of the basis one more name.
pub(super) enum Given {
    /// It has it.
    Linked(Stat),
    /// It may have it, and the kernel refused: another subvolume, or as many names as there can be.
    Refused(Stat),
    /// It must not have it: it is not what the manifest says, or another file's.
    Not,
}

/// Gives an inode of the basis one more name, if it is what the basis' manifest says. `source` is the
/// device and inode number of the file where another one may ask for the same inode.
pub(super) fn give_inode(
    worker: &mut Worker<'_>,
    item: &BuildItem,
    new: &Dir,
    (from, from_name): (&Dir, &OsStr),
    looks: &Looks,
    source: Option<(u64, u64)>,
) -> Result<Given> {
    if !looks.is_stored {
        return Ok(Given::Not);
    }
    let Ok(found) = from.stat(from_name) else {
        return Ok(Given::Not);
    };
    let build = worker.build;
    let whole =
        found.kind == Kind::File && found.size == looks.size && build.is_time(&found, looks.mtime);
    // Whoever could write to the destination may have put it there: the manifest is all that counts.
    let gives_more = found.mode & !looks.mode & 0o6000 != 0;
    if !whole
        || gives_more
        || build.never_link(found.ino)
        || source.is_some_and(|source| !build.may_give(found.ino, source))
    {
        return Ok(Given::Not);
    }
    let name = &item.name;
    let there = if item.node.may_hold_others() {
        new.look(name)
            .map_err(|error| Error::io("look at", &worker.here(), error))?
    } else {
        None
    };
    let is_it = |there: &Stat| there.same_inode(&found) || inherit::is_clone(there, &found);
    if let Some(there) = there.filter(is_it) {
        return Ok(Given::Linked(there));
    }
    worker.clear(new, name)?;
    match new.link_from(from, from_name, name) {
        Ok(()) => Ok(Given::Linked(found)),
        Err(error) if ends_everything(error) => Err(Error::io("link", &worker.here(), error)),
        // EXDEV, EMLINK, EPERM, ENOTSUP.
        Err(_) => Ok(Given::Refused(found)),
    }
}

/// Counts a file as what it is against the reference. `unchanged` says that it is as the basis has it.
fn judge_by_reference(worker: &mut Worker<'_>, item: &BuildItem, entry: &Entry, unchanged: bool) {
    let (was_there, as_before) = match &worker.build.reference {
        Reference::Basis => {
            let there = item.basis.as_ref();
            let there = there.is_some_and(|basis| basis.tree == 0 && basis.kind == Kind::File);
            (there, unchanged)
        }
        // What it has is known by its path; what moved since, by who stored it: all that the basis
        // has of those that it holds content of, it has from there.
        Reference::Other(origins) => (
            item.reference.is_some(),
            (item.reference.is_some() && item.reference == entry.digest)
                || entry.stored.is_some_and(|by| origins.contains(&by)),
        ),
    };
    let tally = &mut worker.tally;
    tally.files_as_before += u64::from(as_before);
    if was_there && !as_before {
        tally.files_changed += 1;
        tally.changed.get_or_insert_with(|| entry.path.clone());
    }
}

/// Counts a file that a clone has from the basis; what it takes is counted there.
pub(super) fn count_taken_over(worker: &mut Worker<'_>, item: &BuildItem, entry: &Entry) {
    let tally = &mut worker.tally;
    tally.totals.add_file(entry.size, false);
    tally.unchanged_files += 1;
    judge_by_reference(worker, item, entry, true);
}

/// Counts a file that is kept as the basis has it, by which the new tree is judged.
pub(super) fn count_kept(worker: &mut Worker<'_>, size: u64) {
    let tally = &mut worker.tally;
    tally.totals.add_file(size, false);
    tally.unchanged_files += 1;
    tally.files_as_before += 1;
}

/// Counts a file that stands in the new tree, and lists it.
fn count_file(worker: &mut Worker<'_>, item: &BuildItem, stored: Stored) -> Result<()> {
    let Stored {
        entry,
        how,
        copy,
        unchanged,
        ..
    } = stored;
    let tally = &mut worker.tally;
    let is_copied = matches!(how, StorageMethod::Copied);
    tally.totals.add_file(entry.size, is_copied);
    tally.unchanged_files += u64::from(unchanged);
    judge_by_reference(worker, item, &entry, unchanged);
    if entry.torn {
        worker.problem(ProblemKind::Torn, "kept changing while it was read");
    }
    let by = entry.stored.unwrap_or(worker.build.step.id);
    worker.stores(by, &copy);
    worker.list(&item.name, &entry)
}
