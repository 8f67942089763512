//! Resolving a configured path, one component at a time.
//!
//! A run as root follows a symlink on the way only if root or the user it runs as made it:
//! whoever owns a folder on the way could otherwise point a source at files of others.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use rustix::{io::Errno, process::geteuid};

use super::{Dir, Kind, Stat, answer, mounts};
use crate::watch;

/// The most symlinks on the way, as path_resolution(7) limits them.
const MAX_LINKS: u32 = 40;

/// Where a path leads: an open folder and a name in it that is not a symlink.
#[derive(Debug)]
pub struct Resolved {
    /// The folder that holds it; for the root itself, the root.
    pub parent: Dir,
    /// Its name; `.` for the root itself.
    pub name: OsString,
    /// What the kernel says of it.
    pub stat: Stat,
}

impl Resolved {
    /// Opens it as a folder.
    ///
    /// # Errors
    /// Fails if it is no folder or cannot be opened.
    pub fn folder(&self) -> Result<Dir, Errno> {
        self.parent.folder(&self.name)
    }
}

/// Resolves an absolute path.
///
/// # Errors
/// Fails if it is no folder or cannot be opened; `ELOOP` too for a symlink made by another user, and `ETIMEDOUT` where a
/// mount on the way does not answer.
pub fn resolve(path: &Path) -> Result<Resolved, Errno> {
    let trusted = geteuid().as_raw();
    let mut dir = Dir::root()?;
    let mut open = vec![];
    let mut rest: Vec<OsString> = path_components(path.as_os_str());
    let mut links = 0;
    let silent = mounts::that_may_fall_silent();
    // The names on the way so far, each after a slash.
    let mut way: Vec<u8> = Vec::new();
    loop {
        let Some(name) = rest.pop() else {
            let stat = dir.stat_self()?;
            return Ok(Resolved {
                parent: dir,
                name: ".".into(),
                stat,
            });
        };
        if name == ".." {
            way.truncate(way.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
            dir = open.pop().map_or_else(Dir::root, Ok)?;
            continue;
        }
        let above = way.len();
        way.push(b'/');
        way.extend_from_slice(name.as_bytes());
        if silent.contains(&way) {
            answer::wait_for_answer(&way)?;
            watch::watch_mount(&way);
        }
        let stat = dir.stat(&name)?;
        match stat.kind {
            Kind::Symlink => {
                way.truncate(above);
                links += 1;
                if links > MAX_LINKS || (stat.uid != 0 && stat.uid != trusted) {
                    return Err(Errno::LOOP);
                }
                let target = dir.read_symlink(&name)?;
                if target.as_bytes().starts_with(b"/") {
                    dir = Dir::root()?;
                    open.clear();
                    way.clear();
                }
                rest.extend(path_components(&target));
            }
            Kind::Folder if rest.is_empty() => {
                // An automount point becomes what is mounted there only once it is opened.
                let stat = dir.folder(&name)?.stat_self()?;
                return Ok(Resolved {
                    parent: dir,
                    name,
                    stat,
                });
            }
            Kind::Folder => {
                let child = dir.folder(&name)?;
                open.push(std::mem::replace(&mut dir, child));
            }
            _ if rest.is_empty() => {
                return Ok(Resolved {
                    parent: dir,
                    name,
                    stat,
                });
            }
            _ => return Err(Errno::NOTDIR),
        }
    }
}

/// Whether two paths are on one file system, so that a walk through it comes from the one to the
/// other; false where one of them cannot be looked at.
#[must_use]
pub fn same_file_system(one: &Path, other: &Path) -> bool {
    let found = [one, other].map(|path| resolve(path).map(|found| found.stat));
    let [Ok(one), Ok(other)] = found else {
        return false;
    };
    let all = mounts::all_mounts().unwrap_or_default();
    let device = |stat: &Stat| mounts::mount_of(&all, stat).map(|mount| &mount.device);
    one.dev == other.dev && device(&one) == device(&other)
}

/// The components of a path, last first; empty ones and `.` left out.
fn path_components(path: &OsStr) -> Vec<OsString> {
    path.as_bytes()
        .rsplit(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(|part| OsStr::from_bytes(part).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symlinks_and_dots_lead_where_the_kernel_says() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink("a/b/../b", root.join("relative")).unwrap();
        std::os::unix::fs::symlink(root.join("relative"), root.join("absolute")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();

        let file = resolve(&root.join("absolute/file")).unwrap();
        assert_eq!(file.name, "file");
        assert_eq!(file.stat.kind, Kind::File);
        let folder = resolve(&root.join("absolute")).unwrap();
        assert_eq!(folder.name, "b");
        assert!(folder.folder().unwrap().stat("file".as_ref()).is_ok());
        assert_eq!(resolve(&root.join("loop")).unwrap_err(), Errno::LOOP);
        assert_eq!(resolve(&root.join("none")).unwrap_err(), Errno::NOENT);
        assert_eq!(resolve(Path::new("/")).unwrap().name, ".");
    }
}
