//! The root of the room: put together in memory, of what the plan says, and entered.
//!
//! All of it happens in the room's own mount namespace. Everything that is shown is opened first, without
//! following a symlink, because what is mounted next hides it.

use std::{
    ffi::{CString, OsStr},
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, unlinkat},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
    },
    process::{chdir, pivot_root},
};
use schema::drill::{RoomMount, Shown};

use super::{
    Order, outline,
    remount::{is_real_root, remount_read_only},
    room::no_room,
};
use crate::{
    error::{Error, Result},
    sys::{Dir, Kind, Stat, open},
};

/// Folders one of which every machine has: what is mounted there hides it from the room's process alone.
const STANDS: [&str; 4] = ["/tmp", "/run", "/mnt", "/usr"];
/// Nothing in the room gives rights or is a device, but what is said to be.
const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
/// The name of the root in the stand.
const ROOT: &str = "root";
/// What holds what is written in the room: never more than a part of the memory.
const IN_MEMORY: &std::ffi::CStr = c"size=25%,mode=0755";
/// The same for what anybody may write to, of which there are several.
const FOR_ALL: &std::ffi::CStr = c"size=5%,mode=1777";
/// The devices that hold nothing.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Links that programs expect among them.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Something of the machine or the snapshot that is shown.
enum Opened {
    Folder(Dir),
    Other(OwnedFd),
}

/// Puts the root together and enters it; gives the paths at which nothing can be written although it was meant.
///
/// # Errors
/// The system refuses a mount, or the snapshot is not the one that was meant.
pub(super) fn make_root(order: &Order) -> Result<Vec<String>> {
    let mut maker = build(order, &order.plan.mounts, PLAIN)?;
    for at in std::mem::take(&mut maker.to_close) {
        maker
            .forbid_writing(&at)
            .map_err(|error| cannot_show(&at, error))?;
    }
    enter(&maker).map_err(|error| no_room("enter its own root", error.into()))?;
    Ok(maker.read_only)
}

/// The root of a container, which another program enters.
pub(super) struct ContainerRoot {
    /// What holds it, and has room for more.
    pub(super) stand: Dir,
    /// Where that is mounted.
    pub(super) stands_at: &'static str,
    /// The root.
    pub(super) root: Dir,
    /// Paths at which nothing can be written.
    pub(super) read_only: Vec<String>,
}

impl ContainerRoot {
    /// The path of the root.
    pub(super) fn path(&self) -> String {
        format!("{}/{ROOT}", self.stands_at)
    }
}

/// Puts the root of a container together, in which everything can be written to.
///
/// # Errors
/// As [`make_root`].
pub(super) fn make_container_root(order: &Order, mounts: &[RoomMount]) -> Result<ContainerRoot> {
    let maker = build(order, mounts, MountFlags::NODEV)?;
    let root = maker.root();
    let root = root.map_err(|error| no_room("enter its own root", error.into()))?;
    Ok(ContainerRoot {
        root,
        stand: maker.stand,
        stands_at: maker.stands_at,
        read_only: maker.read_only,
    })
}

/// Puts a root together of these mounts.
fn build(order: &Order, mounts: &[RoomMount], flags: MountFlags) -> Result<Maker> {
    let snapshot = open_snapshot(order)?;
    let opened = open_all(mounts, &snapshot)?;
    let devices = open_devices();
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(|error| no_room("mount anything", error.into()))?;
    let (stand, stands_at) =
        make_stand().map_err(|error| no_room("mount anything", error.into()))?;
    let mut maker = Maker {
        layers: new_folder(&stand, "layers")?,
        stand,
        stands_at,
        flags,
        number: 0,
        read_only: Vec::new(),
        to_close: Vec::new(),
    };
    maker.make_base(mounts, &opened)?;
    for (mount, opened) in mounts.iter().zip(&opened) {
        if mount.at != "/" {
            maker
                .make(mount, opened.as_ref(), &devices)
                .map_err(|error| cannot_show(&mount.at, error))?;
        }
    }
    Ok(maker)
}

fn cannot_show(at: &str, error: Errno) -> Error {
    Error::failed(format!(
        "{at} cannot be shown in the room of the drill: {}",
        crate::error::system_reason(&error.into())
    ))
}

/// Opens the snapshot's folder, which must be the one that was meant.
fn open_snapshot(order: &Order) -> Result<Dir> {
    let found = Dir::root().and_then(|root| root.folder_below(relative(&order.folder)));
    let found = found.map_err(|error| Error::io("open", order.folder.as_bytes(), error))?;
    let stat = found
        .stat_self()
        .map_err(|error| Error::io("look at", order.folder.as_bytes(), error))?;
    if (stat.dev, stat.ino) != (order.device, order.inode) {
        return Err(Error::failed(format!(
            "{} was replaced while the drill began",
            order.folder
        ))
        .hint("run it again"));
    }
    Ok(found)
}

/// Opens what each of the mounts shows.
fn open_all(mounts: &[RoomMount], snapshot: &Dir) -> Result<Vec<Option<Opened>>> {
    let machine = Dir::root().map_err(|error| Error::io("open", b"/", error))?;
    let open_one = |mount: &RoomMount| {
        let found = match &mount.shows {
            Shown::Restored { path } => open_at(snapshot, path.as_bytes()),
            Shown::Machine { path } | Shown::Outline { path } => open_at(&machine, relative(path)),
            _ => return Ok(None),
        };
        found
            .map(Some)
            .map_err(|error| cannot_show(&mount.at, error))
    };
    mounts.iter().map(open_one).collect()
}

fn open_at(root: &Dir, path: &[u8]) -> std::result::Result<Opened, Errno> {
    if path.is_empty() {
        return root.again().map(Opened::Folder);
    }
    let (parent, name) = root.descend(path)?;
    match parent.folder(name) {
        Ok(folder) => Ok(Opened::Folder(folder)),
        Err(Errno::NOTDIR | Errno::LOOP) => open_any(&parent, name).map(Opened::Other),
        Err(error) => Err(error),
    }
}

/// Names whatever stands there, without opening it.
fn open_any(parent: &Dir, name: &OsStr) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn open_devices() -> Vec<(&'static str, OwnedFd)> {
    let folder = Dir::root().and_then(|root| root.folder(OsStr::new("dev")));
    let Ok(folder) = folder else {
        return Vec::new();
    };
    let all = DEVICES.iter().copied();
    all.filter_map(|name| Some((name, open_any(&folder, OsStr::new(name)).ok()?)))
        .collect()
}

/// A file system in memory that holds all layers, mounted where only this process sees it.
fn make_stand() -> std::result::Result<(Dir, &'static str), Errno> {
    let root = Dir::root()?;
    let at = STANDS
        .into_iter()
        .find(|at| root.folder(name_of(at)).is_ok());
    let at = at.ok_or(Errno::NOENT)?;
    mount("tmpfs", at, "tmpfs", PLAIN, Some(c"size=25%,mode=0700"))?;
    Ok((root.folder(name_of(at))?, at))
}

fn new_folder(parent: &Dir, name: &str) -> Result<Dir> {
    parent
        .folder_or_new(OsStr::new(name), 0o755)
        .map_err(|error| Error::io("make", name.as_bytes(), error))
}

/// Enters the new root and leaves the old one behind, with all that is mounted there.
fn enter(maker: &Maker) -> std::result::Result<(), Errno> {
    chdir(path_of(&maker.root()?))?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

/// Puts a root together.
struct Maker {
    /// What holds the layers, and the root while it is made.
    stand: Dir,
    /// Where that is mounted.
    stands_at: &'static str,
    /// What nothing that is shown may give.
    flags: MountFlags,
    layers: Dir,
    /// How many layers there are.
    number: u32,
    /// Where nothing can be written although it was meant.
    read_only: Vec<String>,
    /// Where nothing is to be written once all is there.
    to_close: Vec<String>,
}

impl Maker {
    /// The root as it is now.
    fn root(&self) -> std::result::Result<Dir, Errno> {
        self.stand.folder(OsStr::new(ROOT))
    }

    /// What the root begins with: the snapshot, where it is of all, else nothing.
    fn make_base(&mut self, mounts: &[RoomMount], opened: &[Option<Opened>]) -> Result<()> {
        let target = new_folder(&self.stand, ROOT)?;
        let all = mounts.iter().zip(opened);
        let base = all.into_iter().find(|(mount, _)| mount.at == "/");
        let done = match base {
            Some((_, Some(Opened::Folder(lower)))) => self.lay_over("/", lower, &path_of(&target)),
            _ => mount(
                "tmpfs",
                path_of(&target),
                "tmpfs",
                self.flags,
                Some(IN_MEMORY),
            ),
        };
        done.map_err(|error| cannot_show("/", error))
    }

    /// Makes what one mount says.
    fn make(
        &mut self,
        mounted: &RoomMount,
        opened: Option<&Opened>,
        devices: &[(&'static str, OwnedFd)],
    ) -> std::result::Result<(), Errno> {
        let at = mounted.at.as_str();
        match (&mounted.shows, opened) {
            (Shown::Restored { .. }, Some(Opened::Folder(lower))) => {
                self.clear_link(at)?;
                let target = self.folder_at(at)?;
                self.lay_over(at, lower, &path_of(&target))
            }
            (Shown::Machine { .. }, Some(Opened::Folder(lower))) => {
                let target = self.folder_at(at)?;
                let before = self.read_only.len();
                self.lay_over(at, lower, &path_of(&target))?;
                // Nobody means to write there; but what is shown in it needs a place until all is there.
                if self.read_only.len() == before {
                    self.to_close.push(at.to_owned());
                }
                self.read_only.truncate(before);
                Ok(())
            }
            (Shown::Restored { .. } | Shown::Machine { .. }, Some(Opened::Other(file))) => {
                self.show_file(at, file)
            }
            (Shown::Link { target }, _) => {
                let (parent, name) = self.parent_of(at)?;
                match parent.make_symlink(OsStr::new(target), OsStr::new(name)) {
                    Err(Errno::EXIST) => Ok(()),
                    made => made,
                }
            }
            (Shown::Outline { .. }, Some(Opened::Folder(machines))) => {
                outline::draw(machines, &self.folder_at(at)?)
            }
            (Shown::Hidden, _) => self.hide(at),
            (Shown::Temporary, _) => self.mount_new(at, "tmpfs", PLAIN, Some(FOR_ALL)),
            (Shown::Processes, _) => {
                let flags = PLAIN | MountFlags::NOEXEC | MountFlags::RDONLY;
                match self.mount_new(at, "proc", flags, None) {
                    // A container that hides parts of its own lets nobody have a whole one.
                    Err(Errno::PERM) => Ok(()),
                    made => made,
                }
            }
            (Shown::Devices, _) => self.make_devices(at, devices),
            _ => self.folder_at(at).map(drop),
        }
    }

    /// Takes a symlink away that the machine has where the snapshot has a folder: sources are resolved. Only
    /// the room's own layer changes.
    fn clear_link(&self, at: &str) -> std::result::Result<(), Errno> {
        let (parent, name) = self.parent_of(at)?;
        let name = OsStr::new(name);
        if name.is_empty() {
            return Ok(());
        }
        match parent.look(name)? {
            Some(found) if found.kind == Kind::Symlink => parent.remove_file(name),
            _ => Ok(()),
        }
    }

    /// The folder at a path of the root; what is missing on the way is made.
    fn folder_at(&self, at: &str) -> std::result::Result<Dir, Errno> {
        let mut folder = self.root()?;
        for part in at.split('/').filter(|part| !part.is_empty()) {
            folder = folder.folder_or_new(OsStr::new(part), 0o755)?;
        }
        Ok(folder)
    }

    fn parent_of<'p>(&self, at: &'p str) -> std::result::Result<(Dir, &'p str), Errno> {
        let (parent, name) = at.rsplit_once('/').ok_or(Errno::INVAL)?;
        Ok((self.folder_at(parent)?, name))
    }

    fn mount_new(
        &self,
        at: &str,
        kind: &str,
        flags: MountFlags,
        data: Option<&std::ffi::CStr>,
    ) -> std::result::Result<(), Errno> {
        mount(kind, path_of(&self.folder_at(at)?), kind, flags, data)
    }

    /// Shows a folder with room above it for what is written; where that cannot be had, read-only.
    fn lay_over(&mut self, at: &str, lower: &Dir, target: &str) -> std::result::Result<(), Errno> {
        self.number += 1;
        let number = self.number.to_string();
        let layer = self.layers.folder_or_new(OsStr::new(&number), 0o755)?;
        let upper = layer.folder_or_new(OsStr::new("upper"), 0o755)?;
        let work = layer.folder_or_new(OsStr::new("work"), 0o755)?;
        let stat = lower.stat_self()?;
        // In a user namespace there may be nobody with that number.
        let _ = open::set_owner(&upper, stat.uid, stat.gid);
        open::set_mode(&upper, stat.mode)?;
        let own = if is_real_root() { "" } else { ",userxattr" };
        let options = format!(
            "lowerdir={},upperdir={},workdir={},metacopy=off{own}",
            path_of(lower),
            path_of(&upper),
            path_of(&work)
        );
        let options = CString::new(options).map_err(|_| Errno::INVAL)?;
        if mount(
            "overlay",
            target,
            "overlay",
            self.flags,
            Some(options.as_c_str()),
        )
        .is_ok()
        {
            return Ok(());
        }
        self.read_only.push(at.to_owned());
        mount_bind(path_of(lower), target)?;
        let again = match at {
            "/" => self.root()?,
            at => self.folder_at(at)?,
        };
        remount_read_only(&again, PLAIN)
    }

    /// Shows a file, read-only.
    fn show_file(&mut self, at: &str, file: &OwnedFd) -> std::result::Result<(), Errno> {
        let (parent, name) = self.parent_of(at)?;
        let name = OsStr::new(name);
        if Stat::of_fd(file)?.kind == Kind::Symlink {
            let target = rustix::fs::readlinkat(file, "", Vec::new())?;
            return parent.make_symlink(
                std::os::unix::ffi::OsStrExt::from_bytes(target.as_bytes()),
                name,
            );
        }
        match parent.new_file(name, 0o644) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        mount_bind(path_of(file), path_of(&open_any(&parent, name)?))?;
        remount_read_only(&open_any(&parent, name)?, PLAIN)
    }

    /// Lets a path show nothing.
    fn hide(&mut self, at: &str) -> std::result::Result<(), Errno> {
        let root = self.root()?;
        let found = root.descend(relative(at)).and_then(|(parent, name)| {
            let stat = parent.stat(name)?;
            Ok((parent, name, stat))
        });
        let (parent, name, stat) = match found {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(error),
        };
        if stat.kind != Kind::Folder {
            return unlinkat(&parent, name, AtFlags::empty());
        }
        let flags = PLAIN | MountFlags::RDONLY;
        self.mount_new(at, "tmpfs", flags, Some(IN_MEMORY))
    }

    fn make_devices(
        &self,
        at: &str,
        devices: &[(&'static str, OwnedFd)],
    ) -> std::result::Result<(), Errno> {
        self.mount_new(at, "tmpfs", MountFlags::NOSUID, Some(c"size=16M,mode=0755"))?;
        let folder = self.folder_at(at)?;
        for (name, device) in devices {
            let name = OsStr::new(name);
            folder.new_file(name, 0o666)?;
            mount_bind(path_of(device), path_of(&open_any(&folder, name)?))?;
            // So that nobody changes to whom the machine's own belongs; writing to a device is no matter of that.
            remount_read_only(&open_any(&folder, name)?, MountFlags::NOSUID)?;
        }
        for (name, target) in DEVICE_LINKS {
            folder.make_symlink(OsStr::new(target), OsStr::new(name))?;
        }
        let shared = folder.folder_or_new(OsStr::new("shm"), 0o777)?;
        open::set_mode(&shared, 0o1777)
    }

    /// Lets nobody write to what the machine shows.
    fn forbid_writing(&self, at: &str) -> std::result::Result<(), Errno> {
        remount_read_only(&self.folder_at(at)?, PLAIN)
    }
}

/// The path of something open, for the calls that know no descriptors.
pub(super) fn path_of(open: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", open.as_fd().as_raw_fd())
}

fn relative(path: &str) -> &[u8] {
    path.trim_matches('/').as_bytes()
}

/// The name of a folder in the root.
fn name_of(path: &str) -> &OsStr {
    OsStr::new(path.trim_start_matches('/'))
}
