//! Finding out what a file system can hold, by trying in a folder that goes away again.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::record::Capabilities;

use crate::sys::{Dir, Kind, attributes, dir::open};

const FOLDER: &str = ".probe";

/// Tries out what the file system of a folder can hold.
pub(super) fn probe(backup: &Dir) -> Result<Capabilities, Errno> {
    clean(backup);
    backup.make_folder(OsStr::new(FOLDER), 0o700)?;
    let result = backup
        .folder(OsStr::new(FOLDER))
        .and_then(|dir| try_out(&dir));
    clean(backup);
    result
}

fn clean(backup: &Dir) {
    if let Ok(dir) = backup.folder(OsStr::new(FOLDER)) {
        for name in dir.names().unwrap_or_default() {
            let _ = dir.remove_file(&name);
        }
    }
    let _ = backup.remove_folder(OsStr::new(FOLDER));
}

fn try_out(dir: &Dir) -> Result<Capabilities, Errno> {
    let name = OsStr::new("file");
    let file = dir.new_file(name, 0o600)?;
    let look = || dir.stat(name);

    let hard_links = dir.link_from(dir, name, OsStr::new("link")).is_ok()
        && dir
            .stat(OsStr::new("link"))
            .and_then(|link| Ok(link.ino == look()?.ino))
            .unwrap_or(false);
    let symlink = OsStr::new("symlink");
    let symlinks = dir.make_symlink(OsStr::new("a/b"), symlink).is_ok()
        && dir
            .stat(symlink)
            .is_ok_and(|stat| stat.kind == Kind::Symlink);
    let fifo = OsStr::new("fifo");
    let fifos = dir.make_special(fifo, Kind::Fifo, (0, 0)).is_ok()
        && dir.stat(fifo).is_ok_and(|stat| stat.kind == Kind::Fifo);

    // Some network file systems accept these calls and do nothing: only looking again tells.
    let modes = [0o640, 0o4711]
        .iter()
        .all(|mode| open::set_mode(&file, *mode).is_ok() && look().is_ok_and(|s| s.mode == *mode));
    let owners = rustix::process::geteuid().is_root()
        && open::set_owner(&file, 12_345, 23_456).is_ok()
        && look().is_ok_and(|stat| (stat.uid, stat.gid) == (12_345, 23_456));
    let holds = |name: &[u8], value: &[u8]| {
        attributes::set_fd(&file, name, value).is_ok()
            && attributes::of_fd(&file).is_ok_and(|all| all.iter().any(|(found, _)| found == name))
    };
    let xattrs = holds(b"user.backup.probe", b"1");
    let acls = holds(b"system.posix_acl_access", &acl());

    // A time with every decimal in use shows which of them survive.
    let time: i128 = 1_234_567_891_123_456_789;
    let kept = open::set_mtime(&file, time).and_then(|()| Ok(look()?.mtime))?;
    let time_step_ns = [1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000]
        .into_iter()
        .find(|step| (kept - time).unsigned_abs() < u128::from(*step))
        .unwrap_or(2_000_000_000);

    let case_sensitive = dir.stat(OsStr::new("FILE")).is_err();
    let name_max = rustix::fs::fstatvfs(dir)?.f_namemax;
    Ok(Capabilities {
        hard_links,
        symlinks,
        modes,
        owners,
        xattrs,
        acls,
        fifos,
        case_sensitive,
        time_step_ns,
        name_max: u32::try_from(name_max).unwrap_or(u32::MAX),
    })
}

/// A small ACL in the kernel's form (`linux/posix_acl_xattr.h`): user::rw-, user:12345:r--,
/// group::r--, mask::r--, other::---.
fn acl() -> Vec<u8> {
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
