//! One regular file: linked to the basis where it is unchanged, copied otherwise.

use std::{ffi::OsStr, fs::File, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use schema::{Digest, SnapshotId, journal::ProblemKind};

use super::{
    ends_attributes, ends_everything, holds,
    state::{Group, State},
};
use crate::{
    copy::CopyError,
    error::{Error, Result, reason},
    manifest::{Entry, xattrs_digest},
    sys::{
        Dir, Kind, Stat,
        attributes::{self, Attributes},
        dir::open,
    },
};

/// How often a file that changes while it is read is read again.
const TRIES: u32 = 3;

/// Puts a regular file into the new tree.
pub(super) fn file(
    state: &mut State<'_>,
    parent: &Dir,
    source_name: &OsStr,
    name: &OsStr,
    stat: Stat,
) -> Result<()> {
    let because = holds::refuses(state, name)?;
    if let Some(because) = because.or_else(|| state.capabilities.refuses_size(stat.size)) {
        state.problem(ProblemKind::NotStored, because);
        return Ok(());
    }
    if stat.nlink > 1 && link_to_group(state, name, &stat)? {
        return Ok(());
    }
    let basis_entry = find_in_basis(state)?;
    if let Some(entry) = &basis_entry
        && entry.kind == Kind::File
        && unchanged(state, parent, source_name, entry, &stat)?
        && link_to_basis(state, name, entry, &stat)?
    {
        return Ok(());
    }
    let same_content_as = basis_entry.and_then(|entry| entry.digest);
    copy(state, parent, source_name, name, stat, same_content_as)
}

/// The basis' entry of the path at hand.
pub(super) fn find_in_basis(state: &mut State<'_>) -> Result<Option<Entry>> {
    let Some(basis) = &mut state.basis else {
        return Ok(None);
    };
    let found = basis.cursor.find(&state.path);
    found.map_err(|error| {
        state
            .store
            .io("read", "the basis' manifest", error)
            .hint("run `backup list`; `backup apply --fresh` starts without continuing")
    })
}

/// Gives the file the inode of its first name, if that is in the new tree already.
fn link_to_group(state: &mut State<'_>, name: &OsStr, stat: &Stat) -> Result<bool> {
    // Some destinations make a copy and say that they linked.
    if !state.capabilities.hard_links {
        return Ok(false);
    }
    let Some(group) = state.groups.get(&(stat.dev, stat.ino)).cloned() else {
        return Ok(false);
    };
    let (first_dir, first_name) =
        descend(state.tree, &group.path).map_err(|error| Error::io("open", &group.path, error))?;
    state.make_room(name)?;
    match state.level()?.new.link_from(&first_dir, first_name, name) {
        Ok(()) => {}
        Err(error) if ends_everything(error) => {
            return Err(Error::io("link", &state.here(), error));
        }
        // No more links to this inode: this name becomes the first of another.
        Err(_) => return Ok(false),
    }
    let entry = Entry {
        path: state.path.clone(),
        group: Some(group.number),
        ..group.entry
    };
    state.totals.files += 1;
    state.totals.bytes += stat.size;
    if entry.stored != Some(state.step.id) {
        state.unchanged_files += 1;
    }
    state.list(&entry)?;
    Ok(true)
}

/// Whether the source is as the basis has it: surely untouched, or the same when read.
fn unchanged(
    state: &mut State<'_>,
    parent: &Dir,
    source_name: &OsStr,
    entry: &Entry,
    stat: &Stat,
) -> Result<bool> {
    if entry.untouched(stat) {
        return Ok(true);
    }
    // Same looks, but the kernel says that something was done to it: only reading tells. A rename,
    // another link or a restored source do this.
    if !entry.looks_like(stat) || entry.torn {
        return Ok(false);
    }
    let Ok(file) = parent.file(source_name) else {
        return Ok(false);
    };
    if !Stat::of_fd(&file).is_ok_and(|open| open.kind == Kind::File && open.same_inode(stat)) {
        return Ok(false);
    }
    let attributes = attributes::of_fd(&file).unwrap_or_default();
    if xattrs_digest(&attributes) != entry.xattrs_digest {
        return Ok(false);
    }
    let stop = state.context.stop;
    let sparse = stat.allocated < stat.size;
    match state.copier.digest(&file, sparse, &mut |_| stop.check()) {
        Ok(read) => Ok(Some(read.digest) == entry.digest),
        Err(CopyError::Ended(error)) => Err(error),
        Err(CopyError::Read(_) | CopyError::Write(_)) => Ok(false),
    }
}

/// Gives the file the basis' inode, if that is what its manifest says.
fn link_to_basis(state: &mut State<'_>, name: &OsStr, entry: &Entry, stat: &Stat) -> Result<bool> {
    let Some(stored) = entry.stored else {
        return Ok(false);
    };
    let level = state.level()?;
    let Some(basis_dir) = &level.basis else {
        return Ok(false);
    };
    let Ok(found) = basis_dir.stat(name) else {
        return Ok(false);
    };
    let whole =
        found.kind == Kind::File && found.size == entry.size && state.is_time(&found, entry.mtime);
    if !whole {
        return Ok(false);
    }
    let source = (stat.dev, stat.ino);
    let many = stat.nlink > 1 || entry.group.is_some();
    if let (true, Some(basis)) = (many, &mut state.basis)
        && *basis.given.entry(found.ino).or_insert(source) != source
    {
        return Ok(false);
    }
    let level = state.level()?;
    let there = level
        .made
        .is_some()
        .then(|| level.new.look(name))
        .transpose();
    let there = there.map_err(|error| Error::io("look at", &state.here(), error))?;
    if there
        .flatten()
        .is_none_or(|there| !there.same_inode(&found))
    {
        clear(state, name)?;
        let level = state.level()?;
        let Some(basis_dir) = &level.basis else {
            return Ok(false);
        };
        match level.new.link_from(basis_dir, name, name) {
            Ok(()) => {}
            Err(error) if ends_everything(error) => {
                return Err(Error::io("link", &state.here(), error));
            }
            // EMLINK, EPERM, ENOTSUP: a copy serves as well.
            Err(_) => return Ok(false),
        }
    }
    let mut listed = Entry {
        path: state.path.clone(),
        // What the source says now: its inode may be another one of the same looks.
        ino: stat.ino,
        ctime: stat.ctime,
        group: None,
        ..entry.clone()
    };
    state.totals.files += 1;
    state.totals.bytes += stat.size;
    state.totals.files_linked += 1;
    state.totals.bytes_linked += stat.size;
    state.unchanged_files += 1;
    state.stores(stored, &found);
    join_group(state, stat, &mut listed);
    state.list(&listed)?;
    Ok(true)
}

/// Copies the file, unless an interrupted run did.
fn copy(
    state: &mut State<'_>,
    parent: &Dir,
    source_name: &OsStr,
    name: &OsStr,
    stat: Stat,
    basis_digest: Option<Digest>,
) -> Result<()> {
    if let Some((copy, digest)) = kept_copy(state, name, &stat)?
        && let Some((wanted, held)) = attributes_of_both(state, parent, source_name, name, &stat)
    {
        let mut entry = copied_entry(state, &stat, digest);
        entry.xattrs_digest = xattrs_digest(&wanted);
        // What could not be stored then stands nowhere but in the manifest.
        entry.xattrs_kept = wanted;
        entry.xattrs_kept.retain(|one| !held.contains(one));
        return count_copied(state, &stat, &copy, entry, basis_digest);
    }
    let mut before = stat;
    for attempt in 1..=TRIES {
        let from = match parent.file(source_name) {
            Ok(from) => from,
            Err(Errno::NOENT) => {
                clear(state, name)?;
                state.problem(ProblemKind::Vanished, "was there and then was not");
                return Ok(());
            }
            Err(error) => {
                clear(state, name)?;
                state.problem(ProblemKind::Unreadable, reason(&error.into()));
                return Ok(());
            }
        };
        let opened =
            Stat::of_fd(&from).map_err(|error| Error::io("look at", &state.here(), error))?;
        if opened.kind != Kind::File {
            clear(state, name)?;
            state.problem(ProblemKind::Vanished, "became something else than a file");
            return Ok(());
        }
        before = if attempt == 1 && opened.same_inode(&before) {
            before
        } else {
            opened
        };
        if attempt == 1 {
            state.make_room(name)?;
        } else {
            clear(state, name)?;
        }
        let Some((to, entry)) = copy_once(state, &from, name, &before)? else {
            return Ok(());
        };
        let after =
            Stat::of_fd(&from).map_err(|error| Error::io("look at", &state.here(), error))?;
        let steady =
            after.size == before.size && after.mtime == before.mtime && after.ctime == before.ctime;
        if !steady && attempt < TRIES {
            continue;
        }
        let mut entry = entry;
        if !steady {
            entry.torn = true;
            state.problem(ProblemKind::Torn, "kept changing while it was read");
        }
        let copy = Stat::of_fd(&to).map_err(|error| Error::io("look at", &state.here(), error))?;
        if steady && let Some(digest) = entry.digest {
            state
                .log
                .record(copy.ino, &before, digest)
                .map_err(|error| state.store.io("write", "the log of copied files", error))?;
        }
        return count_copied(state, &before, &copy, entry, basis_digest);
    }
    Ok(())
}

/// Copies content and metadata once. `None` where the entry was listed as a problem.
fn copy_once(
    state: &mut State<'_>,
    from: &File,
    name: &OsStr,
    before: &Stat,
) -> Result<Option<(File, Entry)>> {
    let to = match state.level()?.new.new_file(name, 0o600) {
        Ok(to) => to,
        Err(error) => {
            state.not_stored("create the file", error)?;
            return Ok(None);
        }
    };
    let sparse = before.allocated < before.size;
    let mut copier = std::mem::take(&mut state.copier);
    let copied = copier.copy(from, &to, sparse, &mut |length| {
        state.written += length;
        if state.written - state.written_at_check >= 64 << 20 {
            state.report();
            return state.tick();
        }
        state.context.stop.check()
    });
    state.copier = copier;
    let copied = match copied {
        Ok(copied) => copied,
        Err(CopyError::Ended(error)) => return Err(error),
        Err(CopyError::Read(error)) => {
            clear(state, name)?;
            state.problem(ProblemKind::Unreadable, reason(&error));
            return Ok(None);
        }
        Err(CopyError::Write(error)) => {
            let _ = state.level()?.new.remove_file(name);
            state.not_stored("write", error)?;
            return Ok(None);
        }
    };
    let mut entry = copied_entry(state, before, copied.digest);
    entry.size = copied.bytes;
    let attributes = match attributes::of_fd(from) {
        Ok(attributes) => attributes,
        Err(error) => {
            state.problem(
                ProblemKind::Metadata,
                format!("cannot read its attributes: {}", reason(&error.into())),
            );
            Attributes::new()
        }
    };
    entry.xattrs_digest = xattrs_digest(&attributes);
    set_metadata(state, &to, &mut entry, attributes)?;
    state.sync_one(|| to.sync_all())?;
    Ok(Some((to, entry)))
}

/// Sets owner, attributes, mode and time, in the order in which none undoes another.
fn set_metadata(
    state: &mut State<'_>,
    to: &File,
    entry: &mut Entry,
    attributes: Attributes,
) -> Result<()> {
    if state.privileged
        && let Err(error) = open::set_owner(to, entry.uid, entry.gid)
        && state.capabilities.owners
    {
        state.not_stored("set the owner", error)?;
    }
    let mut all_set = true;
    for (name, value) in &attributes {
        match attributes::set_fd(to, name, value) {
            Ok(()) => {}
            Err(error) if ends_attributes(error) => {
                return Err(Error::io("store an attribute of", &state.here(), error));
            }
            Err(_) => all_set = false,
        }
    }
    entry.xattrs_kept = state.not_held(attributes, all_set, || attributes::of_fd(to));
    if let Err(error) = open::set_mode(to, state.mode_there(Kind::File, entry.mode))
        && state.capabilities.modes
    {
        state.not_stored("set the mode", error)?;
    }
    state.time_set(open::set_mtime(to, entry.mtime))
}

/// A copy that an interrupted run made, if it can be trusted.
fn kept_copy(state: &mut State<'_>, name: &OsStr, stat: &Stat) -> Result<Option<(Stat, Digest)>> {
    let level = state.level()?;
    if level.made.is_none() {
        return Ok(None);
    }
    let Ok(Some(copy)) = level.new.look(name) else {
        return Ok(None);
    };
    if copy.kind != Kind::File {
        return Ok(None);
    }
    let Some((digest, durable)) = state.copied_before(stat, &copy) else {
        return Ok(None);
    };
    // A power cut may have left the content on disk and taken what came after it; and where inode
    // numbers do not last, this may be another one's record.
    if !has_metadata(state, &copy, stat) {
        return Ok(None);
    }
    if durable {
        return Ok(Some((copy, digest)));
    }
    let Ok(file) = state.level()?.new.file(name) else {
        return Ok(None);
    };
    let stop = state.context.stop;
    match state
        .copier
        .digest(&file, copy.allocated < copy.size, &mut |_| stop.check())
    {
        Ok(read) if read.digest == digest => {
            state.sync_one(|| file.sync_all())?;
            Ok(Some((copy, digest)))
        }
        Err(CopyError::Ended(error)) => Err(error),
        _ => Ok(None),
    }
}

/// Whether a copy has the metadata of its source, as far as the destination can hold it.
fn has_metadata(state: &State<'_>, copy: &Stat, stat: &Stat) -> bool {
    let can = &state.capabilities;
    state.is_time(copy, stat.mtime)
        && (!can.modes || copy.mode == state.mode_there(Kind::File, stat.mode))
        && (!can.owners || !state.privileged || (copy.uid, copy.gid) == (stat.uid, stat.gid))
}

/// The attributes of a source that is still the same, and of its copy.
fn attributes_of_both(
    state: &State<'_>,
    parent: &Dir,
    source_name: &OsStr,
    name: &OsStr,
    stat: &Stat,
) -> Option<(Attributes, Attributes)> {
    let source = parent.file(source_name).ok()?;
    let wanted = attributes::of_fd(&source).ok()?;
    let opened = Stat::of_fd(&source).ok()?;
    let copy = state.level().ok()?.new.file(name).ok()?;
    let held = attributes::of_fd(&copy).ok()?;
    (opened.same_inode(stat) && opened.ctime == stat.ctime).then_some((wanted, held))
}

fn copied_entry(state: &State<'_>, stat: &Stat, digest: Digest) -> Entry {
    Entry {
        digest: Some(digest),
        stored: Some(state.step.id),
        ..Entry::of(&state.path, stat)
    }
}

fn count_copied(
    state: &mut State<'_>,
    stat: &Stat,
    copy: &Stat,
    mut entry: Entry,
    basis_digest: Option<Digest>,
) -> Result<()> {
    let id: SnapshotId = state.step.id;
    state.totals.files += 1;
    state.totals.bytes += entry.size;
    state.totals.files_copied += 1;
    state.totals.bytes_copied += entry.size;
    if entry.digest.is_some() && entry.digest == basis_digest {
        state.unchanged_files += 1;
    }
    state.stores(id, copy);
    join_group(state, stat, &mut entry);
    state.list(&entry)
}

/// Gives a name in the folder at hand the inode of a path in the new tree; says whether it could.
pub(super) fn link_to_path(state: &State<'_>, path: &[u8], name: &OsStr) -> Result<bool> {
    let (dir, last) = descend(state.tree, path).map_err(|error| Error::io("open", path, error))?;
    match state.level()?.new.link_from(&dir, last, name) {
        Ok(()) => Ok(true),
        Err(error) if ends_everything(error) => Err(Error::io("link", &state.here(), error)),
        Err(_) => Ok(false),
    }
}

/// Remembers the first name of a file that has several. Where its names cannot be one inode here,
/// they share a number all the same, so that a restore makes them one again.
pub(super) fn join_group(state: &mut State<'_>, stat: &Stat, entry: &mut Entry) {
    if stat.nlink < 2 {
        return;
    }
    let before = state.groups.get(&(stat.dev, stat.ino));
    let number = before
        .filter(|group| group.entry.digest == entry.digest)
        .map(|group| group.number);
    let number = number.unwrap_or_else(|| {
        state.last_group += 1;
        state.last_group
    });
    entry.group = Some(number);
    let group = Group {
        number,
        path: entry.path.clone(),
        entry: entry.clone(),
    };
    state.groups.insert((stat.dev, stat.ino), group);
}

/// Makes room for a name where an interrupted run may have left something.
pub(super) fn clear(state: &State<'_>, name: &OsStr) -> Result<()> {
    let level = state.level()?;
    match level.new.remove_file(name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            let named = schema::escape::display(&state.here());
            crate::remove::remove_tree(&level.new, name, &named, state.context)
        }
        Err(error) => Err(Error::io("remove", &state.here(), error)),
    }
}

/// Opens the folder of a path in the new tree, and gives the last name.
fn descend<'p>(tree: &Dir, path: &'p [u8]) -> std::result::Result<(Dir, &'p OsStr), Errno> {
    let mut dir = tree.again()?;
    let mut parts = path.split(|byte| *byte == b'/');
    let name = parts.next_back().unwrap_or_default();
    for part in parts {
        dir = dir.folder(OsStr::from_bytes(part))?;
    }
    Ok((dir, OsStr::from_bytes(name)))
}
