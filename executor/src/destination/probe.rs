//! Finding out what a file system can hold, by trying in a folder that goes away again.
//!
//! Network file systems accept what they then do not do, so everything is looked at again. A disk
//! that fails while it is tried out is not one that holds less: it is tried again, now and in later
//! runs.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read as _,
    os::unix::fs::FileExt as _,
    thread::{Scope, ScopedJoinHandle},
};

use rustix::io::Errno;
use schema::record::Capabilities;

use super::{
    probe_clones,
    probe_names::probe_names,
    tries::{Tries, is_passing_fault},
};
use crate::{
    survey::Bounds,
    sys::{
        Dir, Kind, Stat, attributes,
        distance::round_trip,
        open,
        stat::{Nanos, same_time},
        subvolume::is_btrfs,
    },
    threads::start_scoped_thread,
    walk::{Visit, Walk},
};

const FOLDER: &str = ".probe";
/// A time with every decimal in use shows which of them survive.
const TIME: Nanos = 1_234_567_891_123_456_789;
/// `f_type` of FAT in `linux/magic.h`.
const FAT: u64 = 0x4d44;

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probed {
    /// What the file system can hold; of what could not be tried out, nothing.
    pub(super) capabilities: Capabilities,
    /// Something could not be tried out, because the disk failed or was full at that moment.
    pub(super) unsure: bool,
}

/// Tries out what the file system of a folder can hold. What it seems not to hold is tried twice.
pub(super) fn probe_capabilities(backup: &Dir) -> Result<Probed, Errno> {
    probe_until(backup, |found| !found.lack(&best_capabilities()))
}

/// The same where something is known from before: what is as it was need not be tried twice.
pub(super) fn probe_again(backup: &Dir, before: &Capabilities) -> Result<Probed, Errno> {
    probe_until(backup, |found| found == before)
}

fn probe_until(backup: &Dir, is_sure: impl Fn(&Capabilities) -> bool) -> Result<Probed, Errno> {
    let first = probe_once(backup);
    if let Ok(found) = &first
        && !found.unsure
        && is_sure(&found.capabilities)
    {
        return first;
    }
    match (first, probe_once(backup)) {
        (Ok(first), Ok(second)) => {
            let capabilities = first.capabilities.or(&second.capabilities);
            let all = !capabilities.lack(&best_capabilities());
            Ok(Probed {
                capabilities,
                unsure: !all && first.unsure && second.unsure,
            })
        }
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(Probed {
            unsure: found.unsure || found.capabilities.lack(&best_capabilities()),
            ..found
        }),
        (Err(error), Err(_)) => Err(error),
    }
}

/// What whoever tries this out can find at best.
fn best_capabilities() -> Capabilities {
    let as_root = rustix::process::geteuid().is_root();
    Capabilities {
        owners: as_root,
        devices: as_root,
        tried_as_root: as_root,
        ..Capabilities::all()
    }
}

fn probe_once(backup: &Dir) -> Result<Probed, Errno> {
    remove_probe_folder(backup);
    backup.make_folder(OsStr::new(FOLDER), 0o700)?;
    let tries = Tries::default();
    let is_far = round_trip(backup).is_some();
    let result = backup
        .folder(OsStr::new(FOLDER))
        .and_then(|dir| try_out(&dir, &tries, is_far));
    remove_probe_folder(backup);
    Ok(Probed {
        capabilities: result?,
        unsure: tries.unsure.get(),
    })
}

/// Removes what was tried out, now or by a run that was killed.
fn remove_probe_folder(backup: &Dir) {
    // Twice: a disk that fails once may have failed here.
    for _ in 0..2 {
        let Ok(Some(stat)) = backup.look(OsStr::new(FOLDER)) else {
            return;
        };
        let Ok(parent) = backup.again() else {
            return;
        };
        if let Ok(inner) = backup.folder(OsStr::new(FOLDER))
            && is_btrfs(&inner)
        {
            let _ = probe_clones::remove_tried(&inner);
        }
        let nothing = schema::pattern::Excludes::default();
        let bounds = Bounds {
            excludes: &nothing,
            one_file_system: true,
            never: &[],
        };
        let mut walk = Walk::new(parent, FOLDER.into(), &stat, bounds);
        while let Some(visit) = walk.next() {
            let _ = match visit {
                Visit::Leaf(_) => walk.parent().remove_file(walk.name()),
                Visit::Leave(_) => walk.parent().remove_folder(walk.name()),
                _ => Ok(()),
            };
        }
    }
}

/// Tries all of it. Where each question goes a long way (`is_far`), what has entries of its own in the folder
/// is tried at once with the rest.
fn try_out(dir: &Dir, tries: &Tries, is_far: bool) -> Result<Capabilities, Errno> {
    let as_root = rustix::process::geteuid().is_root();
    let name = OsStr::new("file");
    let file = dir.new_file(name, 0o600)?;
    let inner = OsStr::new("folder");
    dir.make_folder(inner, 0o700)?;
    let inner = dir.folder(inner)?;
    std::thread::scope(|scope| {
        let hard_links = begin(scope, is_far, tries, |_| hard_links(dir, &inner));
        let symlinks = begin(scope, is_far, tries, |tries| {
            let symlinks = holds_symlinks(dir, tries);
            Ok((symlinks, symlinks && symlink_metadata(dir, tries)?))
        });
        let specials = begin(scope, is_far, tries, |tries| {
            let fifos = holds_special(tries, dir, "fifo", Kind::Fifo)?
                && holds_special(tries, dir, "socket", Kind::Socket)?;
            let devices = as_root && holds_special(tries, dir, "device", Kind::CharDevice)?;
            Ok((fifos, devices))
        });
        let names = begin(scope, is_far, tries, |tries| probe_names(&inner, tries));
        let metadata = metadata(dir, name, &file, tries);
        let case_sensitive = dir.look(OsStr::new("FILE")).map(|there| there.is_none());
        // All of them end before anything is said of one.
        let hard_links = hard_links.end(tries);
        let symlinks = symlinks.end(tries);
        let specials = specials.end(tries);
        let names = names.end(tries);
        let (symlinks, symlink_metadata) = symlinks?;
        let (fifos, devices) = specials?;
        let (names, name_max) = names?;
        let is_fat = u64::try_from(rustix::fs::fstatfs(dir)?.f_type) == Ok(FAT);
        Ok(Capabilities {
            hard_links: hard_links?,
            symlinks,
            symlink_metadata: symlink_metadata || !symlinks,
            fifos,
            devices,
            case_sensitive: case_sensitive?,
            name_max,
            names,
            file_max: is_fat.then_some(Capabilities::FAT_FILE_MAX),
            tried_as_root: as_root,
            clones: probe_clones::can_clone(dir),
            ..metadata?
        })
    })
}

/// What of a file's metadata is held, and what is not tried here as where nothing is.
fn metadata(dir: &Dir, name: &OsStr, file: &File, tries: &Tries) -> Result<Capabilities, Errno> {
    let as_root = rustix::process::geteuid().is_root();
    let mut modes = true;
    for mode in [0o640, 0o4711] {
        modes &= tries.done(open::set_mode(file, mode)).is_some() && dir.stat(name)?.mode == mode;
    }
    let owners = as_root && tries.done(open::set_owner(file, 12_345, 23_456)).is_some() && {
        let found = dir.stat(name)?;
        (found.uid, found.gid) == (12_345, 23_456)
    };
    let xattrs = holds_attribute(tries, file, b"user.backup.probe", b"1");
    let acls = holds_attribute(tries, file, b"system.posix_acl_access", &acl_bytes());
    let time_step = time_step(tries, dir, name, file)?;
    Ok(Capabilities {
        modes,
        owners,
        xattrs,
        acls,
        times: time_step.is_some(),
        time_step_ns: time_step.unwrap_or(1),
        ..Capabilities::all()
    })
}

/// Something that is tried out, with whether its answer can be relied on.
enum Begun<'scope, T> {
    Done(Result<T, Errno>),
    UnderWay(ScopedJoinHandle<'scope, (Result<T, Errno>, bool)>),
}

/// Tries something out: on a thread of its own where that saves time and can be had.
fn begin<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    is_far: bool,
    tries: &Tries,
    work: impl Fn(&Tries) -> Result<T, Errno> + Send + Copy + 'scope,
) -> Begun<'scope, T> {
    let apart = move || {
        let tries = Tries::default();
        (work(&tries), tries.unsure.get())
    };
    match is_far.then(|| start_scoped_thread(scope, "probe", apart)) {
        Some(Ok(thread)) => Begun::UnderWay(thread),
        _ => Begun::Done(work(tries)),
    }
}

impl<T> Begun<'_, T> {
    fn end(self, tries: &Tries) -> Result<T, Errno> {
        match self {
            Self::Done(found) => found,
            Self::UnderWay(thread) => {
                let (found, unsure) = thread.join().unwrap_or((Err(Errno::IO), true));
                tries.unsure.set(tries.unsure.get() | unsure);
                found
            }
        }
    }
}

/// Whether folders can be cloned there, tried by itself.
pub(super) fn probe_only_clones(backup: &Dir) -> Result<bool, Errno> {
    remove_probe_folder(backup);
    backup.make_folder(OsStr::new(FOLDER), 0o700)?;
    let found = backup
        .folder(OsStr::new(FOLDER))
        .map(|dir| probe_clones::can_clone(&dir));
    remove_probe_folder(backup);
    found
}

/// Whether a file can have a name in two folders.
fn hard_links(dir: &Dir, inner: &Dir) -> Result<bool, Errno> {
    let (one, other) = (OsStr::new("one"), OsStr::new("other"));
    let put = |file: &File, byte: &[u8]| {
        let written = file.write_all_at(byte, 0).and_then(|()| file.sync_all());
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    put(&dir.new_file(one, 0o600)?, b"1")?;
    match inner.link_from(dir, one, other) {
        Ok(()) => {}
        // Without hard links there are no backups: that is not concluded from a disk that fails.
        Err(error) if is_passing_fault(error) => return Err(error),
        Err(_) => return Ok(false),
    }
    if dir.stat(one)?.same_inode(&inner.stat(other)?) {
        return Ok(true);
    }
    // A copy, or a link on a file system that gives each name its own number, as sshfs does: then
    // what is written to one of them is in both.
    put(&inner.file_or_new(other, 0o600)?, b"2")?;
    let mut byte = [0];
    let read = dir.file(one)?.read_exact(&mut byte);
    Ok(read.is_ok() && byte == *b"2")
}

/// Whether symlinks can be made and read: some sshfs makes those that lead out of a folder and
/// then refuses to read them.
fn holds_symlinks(dir: &Dir, tries: &Tries) -> bool {
    for (name, target) in [("inner", "a/b"), ("outer", "../a"), ("absolute", "/a")] {
        let (name, target) = (OsStr::new(name), OsStr::new(target));
        let made = tries.done(dir.make_symlink(target, name)).is_some();
        if !made
            || tries
                .done(dir.read_symlink(name))
                .is_none_or(|found| found != target)
        {
            return false;
        }
    }
    true
}

/// Whether the time of a symlink can be set, and not that of what it points to instead.
fn symlink_metadata(dir: &Dir, tries: &Tries) -> Result<bool, Errno> {
    let (target, symlink) = (OsStr::new("target"), OsStr::new("leads to target"));
    dir.new_file(target, 0o600)?;
    dir.make_symlink(target, symlink)?;
    let before = dir.stat(target)?.mtime;
    let set = tries.done(dir.set_mtime(symlink, TIME)).is_some();
    let (now, target) = (dir.stat(symlink)?.mtime, dir.stat(target)?.mtime);
    Ok(set && target == before && same_time(now, TIME, 2_000_000_000))
}

fn holds_special(tries: &Tries, dir: &Dir, name: &str, kind: Kind) -> Result<bool, Errno> {
    // What `/dev/null` is.
    let device = (1, 3);
    let name = OsStr::new(name);
    // The kernel says EIO where a FUSE file system made a file of it.
    let made = match dir.make_special(name, kind, device) {
        Err(Errno::IO) if dir.look(name)?.is_some() => false,
        result => tries.done(result).is_some(),
    };
    let is_it =
        |stat: Stat| stat.kind == kind && (kind != Kind::CharDevice || stat.device == device);
    Ok(made && tries.done(dir.stat(name)).is_some_and(is_it))
}

fn holds_attribute(tries: &Tries, file: &File, name: &[u8], value: &[u8]) -> bool {
    let is_it = |(found, has): &(Vec<u8>, Vec<u8>)| found == name && has == value;
    tries
        .done(attributes::set_fd(file, name, value))
        .and_then(|()| tries.done(attributes::of_fd(file)))
        .is_some_and(|all| all.iter().any(is_it))
}

/// The step of modification times in nanoseconds; none where they cannot be set.
fn time_step(tries: &Tries, dir: &Dir, name: &OsStr, file: &File) -> Result<Option<u32>, Errno> {
    if tries.done(open::set_mtime(file, TIME)).is_none() {
        return Ok(None);
    }
    let apart = (dir.stat(name)?.mtime - TIME).unsigned_abs();
    let steps = [
        1,
        100,
        1_000,
        1_000_000,
        10_000_000,
        1_000_000_000,
        2_000_000_000,
    ];
    Ok(steps.into_iter().find(|step| apart < u128::from(*step)))
}

/// A small ACL in the kernel's form (`linux/posix_acl_xattr.h`): user::rw-, user:12345:r--,
/// group::r--, mask::r--, other::---.
fn acl_bytes() -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, u32::MAX),
        (0x02, 4, 12_345),
        (0x04, 4, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 0, u32::MAX),
    ];
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linux_file_system_holds_everything_and_the_probe_leaves_nothing() {
        // Not in /tmp, which may be a tmpfs without `user` attributes on older kernels.
        let temporary = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let at = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = at.folder().unwrap();
        // What a killed run left is no obstacle.
        dir.make_folder(OsStr::new(FOLDER), 0o700).unwrap();
        let left = dir.folder(OsStr::new(FOLDER)).unwrap();
        left.new_file(OsStr::new("file"), 0o600).unwrap();
        left.make_folder(OsStr::new("folder"), 0o700).unwrap();

        // At once or one after the other, it is the same.
        dir.make_folder(OsStr::new("far"), 0o700).unwrap();
        let far = dir.folder(OsStr::new("far")).unwrap();
        let tries = Tries::default();
        let at_once = try_out(&far, &tries, true).unwrap();
        assert!(!tries.unsure.get());
        crate::remove::remove_tree(
            &dir,
            OsStr::new("far"),
            "far",
            crate::event::Context::silent(&crate::event::Stop::default()),
        )
        .unwrap();

        let found = probe_capabilities(&dir).unwrap();
        assert!(!found.unsure);
        assert_eq!(found.capabilities, at_once);
        let found = found.capabilities;
        let as_root = rustix::process::geteuid().is_root();
        let expected = Capabilities {
            owners: as_root,
            devices: as_root,
            tried_as_root: as_root,
            // More than others hold, if the project is on btrfs.
            clones: found.clones,
            ..Capabilities::all()
        };
        assert_eq!(found, expected);
        assert!(dir.names().unwrap().is_empty());
    }
}
