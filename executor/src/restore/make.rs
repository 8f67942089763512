//! Making entries under temporary names and giving them their final ones.
//!
//! An entry gets its final name by one rename, once it is whole. What had the name is renamed
//! first and never removed. Nothing that was made elsewhere is opened for writing.

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
    job::inode_group,
    metadata::{self, Faults, Handle},
    names,
    place::Holds,
    source::RestoreSource,
    vouching,
};
use crate::{
    copy::{Copied, Copier, CopyError},
    error::{Error, Result, failure_code, system_reason},
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
    pub(super) fn of(error: impl Into<io::Error>, path: &str) -> Self {
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
            Some(Errno::ROFS) => Self::All(Error::io("write", path.as_bytes(), error)),
            _ => Self::Entry(ProblemKind::NotStored, system_reason(&error)),
        }
    }
}

/// Device and inode number.
pub(super) type Inode = (u64, u64);

/// A finished entry under a temporary name.
#[derive(Debug)]
pub(super) struct Made {
    /// Its name for now.
    pub(super) temporary: OsString,
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
    /// What the file system gives back.
    pub(super) holds: Holds,
    /// The whole path, for messages.
    pub(super) shown: &'a str,
}

/// Copies a file, metadata included.
pub(super) fn make_file(
    (parent, leases): (&Dir, &LeasePatience),
    item: &RestoreItem,
    spot: Spot<'_>,
    copier: &mut Copier,
    stop: &Stop,
    faults: &mut Faults,
) -> std::result::Result<Made, RestoreFault> {
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
    let (to, temporary) = new_temporary(spot.name, |temporary| spot.dir.new_file(temporary, 0o600))
        .map_err(|error| RestoreFault::of(error, spot.shown))?;
    let filled = fill_file(&from, &to, &stat, item, spot, copier, stop, faults);
    match filled {
        Ok((inode, bytes, damaged)) => Ok(Made {
            temporary,
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

#[expect(
    clippy::too_many_arguments,
    reason = "two files and what is between them"
)]
fn fill_file(
    from: &File,
    to: &File,
    stat: &Stat,
    item: &RestoreItem,
    spot: Spot<'_>,
    copier: &mut Copier,
    stop: &Stop,
    faults: &mut Faults,
) -> std::result::Result<(Option<Inode>, u64, bool), RestoreFault> {
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
    let attributes = metadata::wanted_attributes(item, || attributes::of_fd(from));
    faults.of_attributes(&attributes);
    let attributes = attributes.all;
    let handle = Handle::Open(to.as_fd());
    if spot.inherits {
        metadata::clear_inherited(&handle);
    }
    metadata::apply_metadata(&handle, item, &attributes, 0, spot.holds, faults);
    metadata::apply_time(&handle, item, spot.holds, faults);
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
) -> std::result::Result<Made, RestoreFault> {
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
) -> std::result::Result<Inode, Errno> {
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

/// Makes an empty folder that is marked as unfinished.
pub(super) fn make_folder(spot: Spot<'_>) -> std::result::Result<(Dir, OsString), RestoreFault> {
    let Spot {
        dir,
        name,
        inherits,
        shown,
        ..
    } = spot;
    let ((), temporary) = new_temporary(name, |temporary| dir.make_folder(temporary, 0o700))
        .map_err(|error| RestoreFault::of(error, shown))?;
    let made = dir.folder(&temporary).and_then(|made| {
        if inherits {
            metadata::clear_inherited(&Handle::Open(made.as_fd()));
        }
        made.new_file(OsStr::new(names::MARKER), 0o600)?;
        Ok(made)
    });
    made.map(|made| (made, temporary.clone())).map_err(|error| {
        remove_temporary(dir, &temporary);
        RestoreFault::of(error, shown)
    })
}

/// Gives a second name to an entry of this kind that was restored before.
pub(super) fn make_link(
    first_dir: &Dir,
    first: &OsStr,
    (kind, inode): (Kind, Inode),
    dir: &Dir,
    name: &OsStr,
) -> std::result::Result<Made, Errno> {
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
        inode: Some(inode),
        damaged: false,
        bytes: 0,
    })
}

fn new_temporary<T>(
    name: &OsStr,
    make: impl Fn(&OsStr) -> std::result::Result<T, Errno>,
) -> std::result::Result<(T, OsString), Errno> {
    let mut last = Errno::EXIST;
    for _ in 0..100 {
        let temporary = names::temporary_name(name);
        match make(&temporary) {
            Ok(made) => return Ok((made, temporary)),
            Err(Errno::EXIST) => last = Errno::EXIST,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Gives a finished entry its name, after what has the name was renamed aside.
pub(super) fn place_entry(
    spot: Spot<'_>,
    temporary: &OsStr,
    aside: Option<&str>,
) -> std::result::Result<(), RestoreFault> {
    let Spot {
        dir, name, shown, ..
    } = spot;
    let placed = match aside {
        Some(suffix) => rename_beside(dir, name, name, suffix).and_then(|_| {
            // Also if something took the name just now: what we made has no claim on it.
            dir.rename_new(temporary, dir, name)
        }),
        None => dir.rename_new(temporary, dir, name),
    };
    placed.map_err(|error| {
        remove_temporary(dir, temporary);
        match error {
            Errno::EXIST => name_taken(),
            error => RestoreFault::of(error, shown),
        }
    })
}

/// Something has the name that was free, or equal, when the restore began.
pub(super) fn name_taken() -> RestoreFault {
    RestoreFault::Entry(
        ProblemKind::NotStored,
        "something else took its name meanwhile".into(),
    )
}

/// Renames an entry to a free name beside another; gives that name.
pub(super) fn rename_beside(
    dir: &Dir,
    entry: &OsStr,
    name: &OsStr,
    suffix: &str,
) -> std::result::Result<OsString, Errno> {
    for attempt in 1..1000 {
        let beside = names::neighbouring_name(name, suffix, attempt);
        match dir.rename_new(entry, dir, &beside) {
            Ok(()) => return Ok(beside),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}

/// Keeps damaged content beside its name; the same damage is kept once.
pub(super) fn keep_damaged(
    dir: &Dir,
    temporary: &OsStr,
    name: &OsStr,
    stop: &Stop,
) -> Result<std::result::Result<OsString, Errno>> {
    let beside = names::neighbouring_name(name, names::DAMAGED, 1);
    if let (Ok(Some(there)), Ok(new)) = (dir.look(&beside), dir.stat(temporary))
        && there.kind == Kind::File
        && there.size == new.size
    {
        let kept = compare::digest_of(dir, &beside, &there, stop)?;
        if kept.is_some() && kept == compare::digest_of(dir, temporary, &new, stop)? {
            let _ = dir.remove_file(temporary);
            return Ok(Ok(beside));
        }
    }
    Ok(rename_beside(dir, temporary, name, names::DAMAGED))
}

/// Removes what an earlier, interrupted restore left under a temporary name.
pub(super) fn remove_temporary(dir: &Dir, name: &OsStr) {
    if dir.remove_file(name).is_ok() {
        return;
    }
    // A folder holds at most its mark before it gets its final name; any other stays.
    if let Ok(folder) = dir.folder(name) {
        let _ = folder.remove_file(OsStr::new(names::MARKER));
        let _ = dir.remove_folder(name);
    }
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
) -> std::result::Result<bool, RestoreFault> {
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

/// Ends a folder: metadata, then the mark goes, then the time. `is_new` if it was made for this.
pub(super) fn finish_folder(
    folder: &Dir,
    item: &RestoreItem,
    attributes: &attributes::Attributes,
    (is_new, marked): (bool, bool),
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
    metadata::apply_metadata(&handle, item, attributes, open, holds, faults);
    if marked {
        let _ = folder.remove_file(OsStr::new(names::MARKER));
    }
    if closed {
        metadata::apply_metadata(&handle, item, attributes, 0, holds, &mut Faults::default());
    }
    metadata::apply_time(&handle, item, holds, faults);
}
