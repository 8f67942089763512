//! Where a restore goes: the folder that holds the target, and what stands at its name.
//!
//! Only looks. The one path that is resolved is the target's parent, once.

use std::{
    ffi::{OsStr, OsString},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use rustix::{fs::fgetxattr_query, io::Errno};
use schema::{escape::display, record::Capabilities};

use super::lookup::FoundEntry;
use crate::{
    error::{Error, Result},
    store::Store,
    sys::{Dir, Kind, Stat, bytes, mounts, resolve},
};

/// Where a restore goes.
#[derive(Debug)]
pub(super) struct RestoreTarget {
    /// The folder that holds the target.
    pub(super) parent: Dir,
    /// The target's name there; `.` for the root of the file-system tree.
    pub(super) name: OsString,
    /// What stands there.
    pub(super) stat: Option<Stat>,
    /// The target's path.
    pub(super) path: Vec<u8>,
    /// The same, for messages.
    pub(super) shown: String,
    /// What its file system holds, as far as comparing needs to know.
    pub(super) holds: Holds,
    /// What is known of its file system by its type, for the names that it cannot hold.
    pub(super) can: Capabilities,
}

/// Which metadata a file system gives back as it got it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds {
    /// Permission bits.
    pub(super) modes: bool,
    /// Owners, and we may set them.
    pub(super) owners: bool,
    /// Attributes in the `user` namespace, and those that only root may set.
    pub(super) xattrs: bool,
    /// POSIX access control lists.
    pub(super) acls: bool,
    /// Step of modification times, in nanoseconds.
    pub(super) time_step_ns: u32,
    /// Owner and time of a symlink itself, and not of what it points to.
    pub(super) symlink_metadata: bool,
    /// We are root.
    pub(super) privileged: bool,
}

impl Holds {
    /// Whether an attribute can be given to an entry and comes back.
    pub(super) fn attribute(self, name: &[u8]) -> bool {
        if name.starts_with(b"system.posix_acl_") {
            self.acls
        } else {
            self.xattrs && (self.privileged || name.starts_with(b"user."))
        }
    }
}

/// Looks at an absolute target; with `through`, at what it leads to where it is a symlink.
pub(super) fn inspect_target(target: &[u8], store: &Store, through: bool) -> Result<RestoreTarget> {
    let mut shown = display(target);
    let path = Path::new(OsStr::from_bytes(target));
    let resolved =
        |path: &Path| resolve::resolve(path).map_err(|error| unresolved_error(&shown, path, error));
    let io = |error: Errno| Error::io("open", target, error);
    // Without a last name (`/`, `x/..`) the target is a folder that is there.
    let (parent, name) = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let found = resolved(parent)?;
            if found.stat.kind != Kind::Folder {
                return Err(unresolved_error(&shown, parent, Errno::NOTDIR));
            }
            (found.folder().map_err(io)?, name.to_owned())
        }
        _ => (resolved(path)?.folder().map_err(io)?, OsString::from(".")),
    };
    let (mut parent, mut name) = (parent, name);
    let mut stat = parent.look(&name).map_err(io)?;
    let is_link = |stat: Stat| stat.kind == Kind::Symlink;
    if through && stat.is_some_and(is_link) {
        let found = resolved(path)?;
        (parent, name, stat) = (found.parent, found.name, Some(found.stat));
        shown.push_str(" (through its symlink)");
    }
    let folder = match stat {
        Some(stat) if stat.kind == Kind::Folder => parent.folder(&name).map_err(io)?,
        _ => parent.again().map_err(io)?,
    };
    let holder = folder.stat_self().map_err(io)?;
    let (holds, can) = probe_target(&folder, &holder);
    check_outside(folder, store, &shown)?;
    Ok(RestoreTarget {
        parent,
        name,
        stat,
        path: target.to_vec(),
        shown,
        holds,
        can,
    })
}

fn unresolved_error(target: &str, folder: &Path, error: Errno) -> Error {
    let word = schema::shell::word(bytes(folder.as_os_str()));
    let folder = display(bytes(folder.as_os_str()));
    match error {
        Errno::NOENT => Error::refused(format!(
            "cannot restore to {target}: the folder {folder} is not there"
        ))
        .hint(format!("make it first: `mkdir -p {word}`")),
        Errno::LOOP => Error::refused(format!(
            "cannot restore to {target}: a symlink in {folder} was made by another user or leads in a circle"
        ))
        .hint("name the folder that the symlink points to"),
        Errno::NOTDIR => Error::refused(format!(
            "cannot restore to {target}: {folder} is not a folder"
        ))
        .hint("choose another target"),
        error => Error::io("look at", folder.as_bytes(), error),
    }
}

/// Refuses a target in the destination: snapshots are never written to.
pub(super) fn check_outside(folder: Dir, store: &Store, shown: &str) -> Result<()> {
    let io = |error: Errno| Error::io("look at", shown.as_bytes(), error);
    let root = store.root.stat_self().map_err(io)?;
    let mut dir = folder;
    let mut stat = dir.stat_self().map_err(io)?;
    loop {
        if stat.same_inode(&root) {
            return Err(Error::refused(format!(
                "cannot restore to {shown}: it is in the destination {}",
                store.path
            ))
            .hint("choose a target outside the destination; snapshots are never written to"));
        }
        // A user who may not look further up has reached no place of the destination either.
        let Ok(up) = dir.folder(OsStr::new("..")) else {
            return Ok(());
        };
        let above = up.stat_self().map_err(io)?;
        if above.same_inode(&stat) && above.mount == stat.mount {
            return Ok(());
        }
        (dir, stat) = (up, above);
    }
}

fn probe_target(folder: &Dir, stat: &Stat) -> (Holds, Capabilities) {
    let mounts = mounts::all_mounts().unwrap_or_default();
    let mount = mounts::mount_of(&mounts, stat);
    let file_system = mount.map_or("", |mount| mount.file_system.as_str());
    let is_exfat = file_system == "fuseblk" && mount.is_some_and(|mount| is_exfat(&mount.source));
    let known = Capabilities::of_type(if is_exfat { "exfat" } else { file_system });
    // Their servers or mount options decide, silently.
    let foreign = matches!(
        file_system,
        "cifs" | "smb3" | "ntfs" | "ntfs3" | "fuseblk" | "9p"
    );
    let privileged = rustix::process::geteuid().is_root();
    let has = |name: &str| fgetxattr_query(folder, name) != Err(Errno::NOTSUP);
    let holds = Holds {
        modes: !foreign && known.as_ref().is_none_or(|known| known.modes),
        owners: privileged && !foreign && known.as_ref().is_none_or(|known| known.owners),
        symlink_metadata: file_system != "fuse.sshfs",
        xattrs: has("user.backup"),
        acls: has("system.posix_acl_access"),
        time_step_ns: known.as_ref().map_or(1, |known| known.time_step_ns),
        privileged,
    };
    let can = known.unwrap_or_else(|| Capabilities {
        // Windows' servers, and most others by default.
        case_sensitive: !matches!(file_system, "cifs" | "smb3"),
        // Some that programs serve have none, and the kernel refuses them as it refuses what may not be.
        hard_links: !file_system.starts_with("fuse"),
        ..Capabilities::all()
    });
    (holds, can)
}

/// Whether a device holds exFAT, which the kernel does not tell of what a program serves: by the name
/// in its first sector (exFAT file system specification, 3.1.2).
fn is_exfat(device: &[u8]) -> bool {
    let mut start = [0; 11];
    std::fs::File::open(OsStr::from_bytes(device))
        .and_then(|mut device| device.read_exact(&mut start))
        .is_ok_and(|()| start[3..] == *b"EXFAT   ")
}

/// Refuses a file for a folder and a folder for a file: a restore never nests by surprise.
pub(super) fn check_kinds(place: &RestoreTarget, found: &FoundEntry) -> Result<()> {
    let Some(stat) = &place.stat else {
        return Ok(());
    };
    let (target, path) = (&place.shown, display(&found.path));
    match (stat.kind, found.kind) {
        (Kind::Folder, kind) if kind != Kind::Folder => {
            let within = format!(
                "{}/{}",
                target.trim_end_matches('/'),
                display(found.path.file_name())
            );
            Err(
                Error::refused(format!("{target} is a folder and /{path} is not"))
                    .hint(format!("to put it into that folder, name it: {within}")),
            )
        }
        (Kind::File, Kind::Folder) => Err(Error::refused(format!(
            "{target} is a file and /{path} is a folder"
        ))
        .hint(format!(
            "choose a folder or a name that is not taken, such as {target}.restored"
        ))),
        _ => Ok(()),
    }
}

impl RestoreTarget {
    /// A folder of the file system that is written to: the target, or the one that will hold it.
    pub(super) fn folder(&self) -> std::result::Result<Dir, Errno> {
        match self.stat {
            Some(stat) if stat.kind == Kind::Folder => self.parent.folder(&self.name),
            _ => self.parent.again(),
        }
    }

    /// Whether nothing stands there, or a folder without anything in it.
    pub(super) fn is_empty(&self) -> bool {
        match self.stat {
            None => true,
            Some(stat) if stat.kind == Kind::Folder => {
                let names = self
                    .parent
                    .folder(&self.name)
                    .and_then(|dir| dir.list_once());
                names.is_ok_and(|names| names.is_empty())
            }
            Some(_) => false,
        }
    }

    /// The target could not be written.
    pub(super) fn io(&self, error: impl Into<std::io::Error>) -> Error {
        Error::io("write", self.shown.as_bytes(), error)
    }
}

/// Bytes that may still be written to the target's file system.
pub(super) fn free_bytes(place: &RestoreTarget) -> Result<u64> {
    let free = place.folder().and_then(rustix::fs::fstatvfs);
    free.map(|free| free.f_bavail.saturating_mul(free.f_frsize))
        .map_err(|error| Error::io("look at", place.shown.as_bytes(), error))
}
