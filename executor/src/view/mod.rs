//! The view of the snapshots for users: read-only mounts of the tiers, in a folder of their own.
//!
//! The owner of a file may write to it wherever its path leads, and a file of a snapshot is that of all
//! snapshots that have it unchanged. So the host's folder on the destination is closed to users, and
//! what they see are its tiers and the links to all snapshots, bound read-only below `/run/backup`: nobody can write through such a
//! mount, whoever owns what is there. A mount shows what a folder has at any time; only `latest` is a
//! link of the view's own. Records and manifests, which list all names, are not in it.

pub(crate) mod place;

use std::{
    fs,
    io::ErrorKind,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::{
            ffi::OsStrExt as _,
            fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount},
    process::geteuid,
};
use schema::{Tier, inventory::UserView};

use self::place::VIEWS;
pub use self::place::{is_view, view_path};
use crate::{
    error::{Error, Result, system_reason},
    store::{BACKUP, BY_TIME, LATEST, Store},
    sys::{Dir, Stat, mounts, open},
};

/// How users may see a tier: nothing in it is written, nor does it give rights or devices.
const READ_ONLY: MountFlags = MountFlags::BIND
    .union(MountFlags::RDONLY)
    .union(MountFlags::NOSUID)
    .union(MountFlags::NODEV);
/// The view while it is changed, when nobody gets into it.
const CLOSED: u32 = 0o700;
/// The view as users see it.
const OPEN: u32 = 0o755;

/// How the view of a host's folder is: `root` is that folder, where it can be opened. Writes nothing.
#[must_use]
pub fn look_at_view(host_folder: &str, root: Option<&Dir>) -> UserView {
    let path = view_path(host_folder);
    let is_there = Path::new(&path).is_dir();
    let faults = root.map(|root| shown_of(root).any(|folder| !shows(&path, root, folder)));
    UserView {
        is_complete: is_there && faults == Some(false),
        is_there,
        impossible: why_impossible(),
        by_unit: is_closed_in(),
        path,
    }
}

/// Makes the view of a destination as it should be. Can be repeated.
///
/// # Errors
/// Fails if something cannot be mounted; there is no view then.
pub fn make_view(store: &Store) -> Result<()> {
    let path = view_path(&store.path);
    let made = converge(store, &path);
    if made.is_err() {
        // Rather none than one that can be written to.
        let _ = remove_view(&store.path);
    }
    made.map_err(|error| {
        let reason = system_reason(&error);
        Error::failed(format!(
            "users cannot read the snapshots (local.readableByUsers): the read-only view {path} \
             cannot be made: {reason}"
        ))
        .because(error)
        .hint("set local.readableByUsers to false, or see why nothing can be mounted there")
    })
}

/// Takes the view of a host's folder away. Can be repeated.
///
/// # Errors
/// Fails if it is there and cannot be taken away.
pub fn remove_view(host_folder: &str) -> Result<()> {
    let path = view_path(host_folder);
    if !Path::new(&path).is_dir() {
        return Ok(());
    }
    let io = |error: std::io::Error| {
        Error::io("take away", path.as_bytes(), error).hint("`sudo backup view --remove`")
    };
    close(&path).map_err(io)?;
    for folder in folders() {
        unmount_all(&Path::new(&path).join(folder)).map_err(io)?;
    }
    // Nothing is mounted in it any more: these folders are empty.
    for name in folders().chain([BACKUP]) {
        let _ = fs::remove_dir(Path::new(&path).join(name));
    }
    let _ = fs::remove_file(Path::new(&path).join(LATEST));
    for folder in Path::new(&path).ancestors() {
        if folder == Path::new(VIEWS) || fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Brings the view's `latest` up to date, where there is a view.
pub fn refresh_latest(store: &Store) {
    let path = PathBuf::from(view_path(&store.path));
    if geteuid().is_root() && path.is_dir() {
        let _ = link_latest(store, &path);
    }
}

/// Why no view can be made by this user here; none if it can.
fn why_impossible() -> Option<String> {
    if !geteuid().is_root() {
        return Some("only root can mount something".to_owned());
    }
    // CAP_SYS_ADMIN is bit 21 of the effective capabilities (capabilities(7)).
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    let may = bits.is_none_or(|bits| bits & (1 << 21) != 0);
    (!may).then(|| "the capability to mount something is missing here".to_owned())
}

/// Whether this is a unit of systemd that sees mounts of its own, which nobody else would see: the
/// view is made after the run then, by the unit that began it.
fn is_closed_in() -> bool {
    let space = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    // A sandbox that takes capabilities away also keeps from looking at the first process.
    let is_shared = match (space("self"), space("1")) {
        (Ok(own), Ok(first)) => own == first,
        _ => false,
    };
    !is_shared && std::env::var_os("INVOCATION_ID").is_some()
}

fn converge(store: &Store, path: &str) -> std::io::Result<()> {
    let (own, above) = (Path::new(path), Path::new(path).parent());
    if let Some(above) = above {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(OPEN).create(above)?;
        // Whatever the mask takes away: each of them is to be passed through.
        for folder in above.ancestors().take_while(|it| it.starts_with(VIEWS)) {
            check_own(folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(OPEN))?;
        }
    }
    make_folder(own, CLOSED)?;
    // There is nothing to see in it: it says that records are not for users.
    make_folder(&own.join(BACKUP), CLOSED)?;
    for folder in folders() {
        if folder == BY_TIME && !store.has_symlinks().unwrap_or(false) {
            continue;
        }
        // A tier that comes later is seen at once. What stands in its place is told elsewhere.
        match store.root.folder_or_new(folder.as_ref(), OPEN) {
            // The host's folder above keeps users away from it; whatever a mask took away comes back.
            Ok(dir) => open::set_mode(&dir, OPEN)?,
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let stale: Vec<&str> = shown_of(&store.root)
        .filter(|folder| !shows(path, &store.root, folder))
        .collect();
    if !stale.is_empty() {
        // Nobody opens anything while it can be written to for an instant.
        close(path)?;
        for folder in stale {
            show(store, path, folder)?;
        }
    }
    link_latest(store, own)?;
    fs::set_permissions(own, fs::Permissions::from_mode(OPEN))
}

/// Binds one folder, read-only.
fn show(store: &Store, path: &str, folder: &str) -> std::io::Result<()> {
    let at = Path::new(path).join(folder);
    unmount_all(&at)?;
    make_folder(&at, CLOSED)?;
    let dir = store.root.folder(folder.as_ref())?;
    mount_bind(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()), &at)?;
    mount_remount(&at, READ_ONLY, "")?;
    if shows(path, &store.root, folder) {
        Ok(())
    } else {
        Err(Errno::IO.into())
    }
}

/// What users see of a host's folder: the tiers, and the links to all snapshots.
fn folders() -> impl Iterator<Item = &'static str> {
    Tier::ALL.into_iter().map(Tier::folder).chain([BY_TIME])
}

/// Those that a host's folder has.
fn shown_of(root: &Dir) -> impl Iterator<Item = &'static str> {
    let is_folder = |folder: &&str| root.folder((*folder).as_ref()).is_ok();
    folders().filter(is_folder)
}

/// Whether the view shows a folder, and nobody can write to it there.
fn shows(path: &str, root: &Dir, folder: &str) -> bool {
    let at = Path::new(path).join(folder);
    let seen = fs::File::open(&at);
    let seen = seen.and_then(|seen| Ok((Stat::of_fd(&seen)?, rustix::fs::fstatvfs(&seen)?)));
    let wanted = root.folder(folder.as_ref());
    let wanted = wanted.and_then(|dir| dir.stat_self());
    let (Ok((seen, mounted)), Ok(wanted)) = (seen, wanted) else {
        return false;
    };
    let flags = rustix::fs::StatVfsMountFlags::RDONLY | rustix::fs::StatVfsMountFlags::NOSUID;
    (seen.dev, seen.ino) == (wanted.dev, wanted.ino) && mounted.f_flag.contains(flags)
}

/// Makes `latest` lead where the destination's does.
fn link_latest(store: &Store, view: &Path) -> std::io::Result<()> {
    let link = view.join(LATEST);
    let Ok(target) = store.root.read_symlink(LATEST.as_ref()) else {
        return match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    if fs::read_link(&link).is_ok_and(|there| there.as_os_str() == target.as_os_str()) {
        return Ok(());
    }
    let beside = view.join(format!(".{LATEST}.new"));
    let _ = fs::remove_file(&beside);
    std::os::unix::fs::symlink(&target, &beside)?;
    fs::rename(&beside, &link)
}

/// Keeps everybody but root out of the view.
fn close(path: &str) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(CLOSED))
}

/// A folder of root's own, made where it is missing.
fn make_folder(path: &Path, mode: u32) -> std::io::Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    check_own(path)
}

fn check_own(path: &Path) -> std::io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() && (found.uid() == 0 || found.uid() == geteuid().as_raw()) {
        return Ok(());
    }
    Err(Errno::NOTDIR.into())
}

/// Takes away whatever is mounted at a path. Files that are open there stay so until they are closed.
fn unmount_all(path: &Path) -> std::io::Result<()> {
    // Each mount may hide another one.
    for _ in 0..16 {
        let mounted = mounts::all_mounts()?;
        let here = |mount: &mounts::Mount| mount.mount_point == path.as_os_str().as_bytes();
        if !mounted.iter().any(here) {
            return Ok(());
        }
        unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    }
    Err(Errno::BUSY.into())
}
