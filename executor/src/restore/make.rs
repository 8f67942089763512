//! Making entries under temporary names, for [`super::naming`] to give them their final ones.
//!
//! An entry gets its final name by one rename, once it is whole. In a folder that nobody else can come into
//! folders and most files have theirs from the beginning, and a mark that says that they are not whole: of
//! a folder a name in it, of a file its mode. Nothing that was made elsewhere is opened for writing.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};
use schema::journal::ProblemKind;

use super::{
    compare,
    item::RestoreItem,
    job::{ShownPath, inode_group},
    metadata::{self, Faults, Handle},
    names,
    naming::{name_taken, new_temporary, place_entry, remove_temporary},
    place::Holds,
    source::RestoreSource,
    vouching,
};
use crate::{
    copy::{Copied, Copier, CopyError},
    error::{Error, failure_code, system_reason},
    event::Stop,
    leases::{LeasePatience, open_reason},
    sys::{Dir, Kind, Stat, attributes},
};

/// Why an entry was not made.
#[derive(Debug)]
pub(super) enum RestoreFault {
    /// This entry only; the restore goes on.
    Entry(ProblemKind, String),
    /// Its content is not what the manifest recorded; the restore goes on.
    Damaged(String),
    /// All of it ends here.
    All(Error),
}

impl RestoreFault {
    /// The system refused to make something in the target.
    pub(super) fn of(error: impl Into<io::Error>, path: ShownPath<'_>) -> Self {
        let error = error.into();
        if error.kind() == io::ErrorKind::Interrupted {
            return Self::All(Error::interrupted());
        }
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::All(
                Error::failed(format!(
                    "insufficient space: cannot write {path}: {}",
                    system_reason(&error)
                ))
                .coded(failure_code(&error))
                .hint("free space there, then run the same restore again: it goes on where it stopped"),
            ),
            Some(Errno::ROFS) => Self::All(Error::io("write", path.to_string().as_bytes(), error)),
            _ => Self::Entry(ProblemKind::NotStored, system_reason(&error)),
        }
    }
}

/// Device and inode number.
pub(super) type Inode = (u64, u64);

/// A finished entry, under a temporary name or under its final one.
#[derive(Debug)]
pub(super) struct Made {
    /// Its name for now.
    pub(super) temporary: OsString,
    /// That is its final name.
    pub(super) is_placed: bool,
    /// Its inode.
    pub(super) inode: Option<Inode>,
    /// Its content is not what the manifest recorded.
    pub(super) damaged: bool,
    /// Bytes that were written.
    pub(super) bytes: u64,
}

/// Where an entry is made.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    /// The folder.
    pub(super) dir: &'a Dir,
    /// The final name in it.
    pub(super) name: &'a OsStr,
    /// The folder gives its entries an access control list.
    pub(super) inherits: bool,
    /// This restore made the folder and has not given it away yet: nobody else can come into it, and what is
    /// made in it is ours.
    pub(super) is_private: bool,
    /// What the file system gives back.
    pub(super) holds: Holds,
    /// The whole path, for messages.
    pub(super) shown: ShownPath<'a>,
}

/// Copies a file, metadata included.
pub(super) fn make_file(
    (parent, leases): (&Dir, &LeasePatience),
    item: &RestoreItem,
    spot: Spot<'_>,
    copier: &mut Copier,
    stop: &Stop,
    faults: &mut Faults,
) -> Result<Made, RestoreFault> {
    let unreadable = |message: String| RestoreFault::Entry(ProblemKind::Unreadable, message);
    let from = leases
        .open(item.wanted.uid, &mut || stop.check(), || {
            parent.file(&item.stored_name)
        })
        .map_err(RestoreFault::All)?
        .map_err(|error| unreadable(open_reason(error)))?;
    let stat = Stat::of_fd(&from).map_err(|error| unreadable(system_reason(&error.into())))?;
    if stat.kind != Kind::File {
        return Err(unreadable("it is no regular file any more".into()));
    }
    let is_placed = is_made_in_place(item, spot);
    let (to, temporary) = match is_placed {
        true => new_in_place(spot)?,
        false => new_temporary(spot.name, |temporary| spot.dir.new_file(temporary, 0o600))
            .map_err(|error| RestoreFault::of(error, spot.shown))?,
    };
    let to = (&to, is_placed);
    let filled = fill_file(&from, to, &stat, item, spot, copier, stop, faults);
    match filled {
        Ok((inode, bytes, damaged)) => Ok(Made {
            temporary,
            is_placed,
            inode,
            damaged,
            bytes,
        }),
        Err(fault) => {
            let _ = spot.dir.remove_file(&temporary);
            Err(fault)
        }
    }
}

/// Whether a file can have its final name from the beginning: only its mode is set once it is whole, so
/// that it is known as unfinished until then. Some attributes are a mode as well.
fn is_made_in_place(item: &RestoreItem, spot: Spot<'_>) -> bool {
    let wanted = &item.wanted;
    let has_attributes = wanted.xattrs_digest.is_some() || !wanted.xattrs_kept.is_empty();
    spot.is_private && item.listed && !has_attributes && wanted.mode != names::UNFINISHED_MODE
}

/// Makes an unfinished file under its final name.
fn new_in_place(spot: Spot<'_>) -> Result<(File, OsString), RestoreFault> {
    match spot.dir.new_file(spot.name, names::UNFINISHED_MODE) {
        Ok(file) => Ok((file, spot.name.to_owned())),
        Err(Errno::EXIST) => Err(name_taken()),
        Err(error) => Err(RestoreFault::of(error, spot.shown)),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "two files and what is between them"
)]
fn fill_file(
    from: &File,
    (to, is_placed): (&File, bool),
    stat: &Stat,
    item: &RestoreItem,
    spot: Spot<'_>,
    copier: &mut Copier,
    stop: &Stop,
    faults: &mut Faults,
) -> Result<(Option<Inode>, u64, bool), RestoreFault> {
    let sparse = stat.allocated < stat.size;
    let Copied {
        bytes: length,
        digest,
    } = copier
        .copy(from, to, sparse, stat.size, &mut |_| stop.check())
        .map_err(|error| match error {
            CopyError::Read(error) | CopyError::Write(error) => RestoreFault::of(error, spot.shown),
            CopyError::Ended(error) => RestoreFault::All(error),
        })?;
    let damaged =
        length != item.wanted.size || item.wanted.digest.is_some_and(|wanted| wanted != digest);
    let without_rights;
    let item = if damaged {
        // It is kept to be looked at: nobody gets rights by content that was put there since.
        without_rights = vouching::without_rights(item);
        &without_rights
    } else {
        item
    };
    let handle = Handle::Open(to.as_fd());
    if spot.inherits {
        metadata::clear_inherited(&handle);
    }
    if is_placed {
        metadata::finish_ours(&handle, item, spot.holds, faults);
    } else {
        let attributes = metadata::wanted_attributes(item, || attributes::of_fd(from));
        faults.of_attributes(&attributes);
        metadata::apply_metadata(&handle, item, &attributes.all, 0, spot.holds, faults);
        metadata::apply_time(&handle, item, spot.holds, faults);
    }
    // Only who has other names is asked for its inode again.
    let inode = if inode_group(item).is_some() {
        let made = Stat::of_fd(to).map_err(|error| RestoreFault::of(error, spot.shown))?;
        Some((made.dev, made.ino))
    } else {
        None
    };
    Ok((inode, length, damaged))
}

/// Makes a symlink, FIFO, socket or device, metadata included.
pub(super) fn make_special(
    source: &RestoreSource,
    item: &RestoreItem,
    spot: Spot<'_>,
    faults: &mut Faults,
) -> Result<Made, RestoreFault> {
    let Spot {
        dir, name, shown, ..
    } = spot;
    let wanted = &item.wanted;
    let target = wanted.target.as_deref().unwrap_or_default();
    let ((), temporary) = new_temporary(name, |temporary| match wanted.kind {
        Kind::Symlink => dir.make_symlink(OsStr::from_bytes(target), temporary),
        kind => dir.make_special(temporary, kind, wanted.device.unwrap_or_default()),
    })
    .map_err(|error| match RestoreFault::of(error, shown) {
        RestoreFault::Entry(kind, because) => RestoreFault::Entry(
            kind,
            format!("cannot make a {}: {because}", kind_noun(wanted.kind)),
        ),
        other => other,
    })?;
    match finish_other(source, item, spot, &temporary, faults) {
        Ok(inode) => Ok(Made {
            temporary,
            is_placed: false,
            inode: Some(inode),
            damaged: false,
            bytes: 0,
        }),
        Err(error) => {
            let _ = dir.remove_file(&temporary);
            Err(RestoreFault::of(error, shown))
        }
    }
}

fn finish_other(
    source: &RestoreSource,
    item: &RestoreItem,
    spot: Spot<'_>,
    temporary: &OsStr,
    faults: &mut Faults,
) -> Result<Inode, Errno> {
    // By descriptor, and only if it is what was made: the folder may be another user's.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(spot.dir, temporary, flags, Mode::empty())?;
    let opened = Stat::of_fd(&fd)?;
    let same_device = item
        .wanted
        .device
        .is_none_or(|device| device == opened.device);
    if opened.kind != item.wanted.kind || opened.nlink != 1 || !same_device {
        return Err(Errno::STALE);
    }
    let inode = (opened.dev, opened.ino);
    if opened.kind == Kind::Symlink && !spot.holds.symlink_metadata {
        return Ok(inode);
    }
    let handle = Handle::Named(fd.as_fd());
    if spot.inherits && opened.kind != Kind::Symlink {
        metadata::clear_inherited(&handle);
    }
    let attributes = compare::attributes_of(source, item);
    faults.of_attributes(&attributes);
    let attributes = attributes.all;
    metadata::apply_metadata(&handle, item, &attributes, 0, spot.holds, faults);
    metadata::apply_time(&handle, item, spot.holds, faults);
    Ok((opened.dev, opened.ino))
}

fn kind_noun(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "character device",
        Kind::BlockDevice => "block device",
    }
}

/// Makes an empty folder that is marked as unfinished, in the place of what is renamed `aside`.
pub(super) fn make_folder(spot: Spot<'_>, aside: Option<&str>) -> Result<Dir, RestoreFault> {
    let Spot {
        dir, name, shown, ..
    } = spot;
    let fault = |error| RestoreFault::of(error, shown);
    if spot.is_private {
        // One without its mark, which a kill may leave, is empty and in a folder that is ours: the next
        // restore takes it over.
        return match dir.make_folder(name, 0o700) {
            Ok(()) => mark_folder(spot, name).map_err(fault),
            Err(Errno::EXIST) => Err(name_taken()),
            Err(error) => Err(fault(error)),
        };
    }
    let ((), temporary) =
        new_temporary(name, |temporary| dir.make_folder(temporary, 0o700)).map_err(fault)?;
    let made = mark_folder(spot, &temporary).map_err(|error| {
        remove_temporary(dir, &temporary);
        fault(error)
    })?;
    place_entry(spot, &temporary, aside)?;
    Ok(made)
}

/// Opens a folder that was made just now, and marks it as unfinished.
fn mark_folder(spot: Spot<'_>, name: &OsStr) -> Result<Dir, Errno> {
    let made = spot.dir.folder(name)?;
    if spot.inherits {
        metadata::clear_inherited(&Handle::Open(made.as_fd()));
    }
    made.new_file(OsStr::new(names::MARKER), 0o600)?;
    Ok(made)
}

/// Gives a second name to an entry of this kind that was restored before.
pub(super) fn make_link(
    first_dir: &Dir,
    first: &OsStr,
    (kind, inode): (Kind, Inode),
    dir: &Dir,
    name: &OsStr,
) -> Result<Made, Errno> {
    let is_it = |stat: Stat| (stat.dev, stat.ino) == inode && stat.kind == kind;
    if !is_it(first_dir.stat(first)?) {
        return Err(Errno::STALE);
    }
    let ((), temporary) =
        new_temporary(name, |temporary| dir.link_from(first_dir, first, temporary))?;
    // Whoever owns the folder may have exchanged the name in between.
    if !dir.stat(&temporary).is_ok_and(is_it) {
        let _ = dir.remove_file(&temporary);
        return Err(Errno::STALE);
    }
    Ok(Made {
        temporary,
        is_placed: false,
        inode: Some(inode),
        damaged: false,
        bytes: 0,
    })
}

/// Gives an entry that is there with the right content the metadata that it is to have. False if it
/// is no more what was compared, or has names elsewhere that would change with it: it is then made
/// anew.
pub(super) fn put_right(
    source: &RestoreSource,
    item: &RestoreItem,
    spot: Spot<'_>,
    there: &Stat,
    faults: &mut Faults,
) -> Result<bool, RestoreFault> {
    let shown = |error: Errno| RestoreFault::of(error, spot.shown);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(spot.dir, spot.name, flags, Mode::empty()).map_err(shown)?;
    let opened = Stat::of_fd(&fd).map_err(shown)?;
    let is_it =
        opened.same_inode(there) && opened.kind == there.kind && opened.ctime == there.ctime;
    // In a folder of another user a second name may have been put here for us to change the first.
    let is_shared =
        opened.nlink > 1 && (inode_group(item).is_none() || opened.uid != item.wanted.uid);
    if !is_it || is_shared {
        return Ok(false);
    }
    let attributes = compare::attributes_of(source, item);
    faults.of_attributes(&attributes);
    let attributes = attributes.all;
    let handle = Handle::Named(fd.as_fd());
    let held = attributes::of_entry(spot.dir, spot.name).unwrap_or_default();
    let spare = compare::spare_attributes(&attributes, &held, spot.holds);
    metadata::remove_spare(&handle, &spare, faults);
    metadata::apply_metadata(&handle, item, &attributes, 0, spot.holds, faults);
    metadata::apply_time(&handle, item, spot.holds, faults);
    Ok(true)
}

/// Ends a folder: metadata, then the mark goes, then the time. `is_new` if it was made for this, `is_ours` if
/// it belongs to us for certain.
pub(super) fn finish_folder(
    folder: &Dir,
    item: &RestoreItem,
    attributes: &attributes::Attributes,
    (is_new, is_ours, marked): (bool, bool, bool),
    holds: Holds,
    faults: &mut Faults,
) {
    let handle = Handle::Open(folder.as_fd());
    // The mark can only go while we may write to the folder.
    let closed = item.wanted.mode & 0o300 != 0o300 && !rustix::process::geteuid().is_root();
    let open = if closed { 0o300 } else { 0 };
    if !is_new {
        let held = attributes::of_fd(folder).unwrap_or_default();
        let spare = compare::spare_attributes(attributes, &held, holds);
        metadata::remove_spare(&handle, &spare, faults);
    }
    match is_ours {
        true => metadata::apply_metadata_to_ours(&handle, item, attributes, open, holds, faults),
        false => metadata::apply_metadata(&handle, item, attributes, open, holds, faults),
    }
    if marked
        && let Err(error) = folder.remove_file(OsStr::new(names::MARKER))
        && error != Errno::NOENT
    {
        faults.sentences.push(format!(
            "{}, the mark of an unfinished restore, cannot be removed: {}; the same command again removes it",
            names::MARKER,
            system_reason(&error.into())
        ));
    }
    if closed {
        metadata::apply_metadata(&handle, item, attributes, 0, holds, &mut Faults::default());
    }
    metadata::apply_time(&handle, item, holds, faults);
}
