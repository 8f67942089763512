//! Resolving a configured path, one component at a time.
//!
//! A run as root follows a symlink on the way only if root or the user it runs as made it:
//! whoever owns a folder on the way could otherwise point a source at files of others.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use rustix::io::Errno;

use super::{Dir, Kind, Stat, answer, mounts, owners::is_trusted_owner};
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
/// Fails if something on the way is not there, is no folder or cannot be looked at; `ELOOP` too for a
/// symlink made by another user, and `ETIMEDOUT` where a mount on the way does not answer.
pub fn resolve(path: &Path) -> Result<Resolved, Errno> {
    resolve_seeing(path, &mut |_, _| {})
}

/// Resolves an absolute path and shows `see` all that has a say in where it leads: each folder on the
/// way, as it was opened, each symlink, and what stands at its end, with the path of each.
///
/// # Errors
/// As [`resolve`]; what is the reason for that was shown before.
pub fn resolve_seeing(path: &Path, see: &mut dyn FnMut(&[u8], &Stat)) -> Result<Resolved, Errno> {
    let root = Dir::root()?;
    see(b"/", &root.stat_self()?);
    let mut way = Way {
        dir: root,
        open: vec![],
        rest: path_components(path.as_os_str()),
        links: 0,
        passed: Vec::new(),
    };
    let silent = mounts::that_may_fall_silent();
    loop {
        let Some(name) = way.rest.pop() else {
            let stat = way.dir.stat_self()?;
            return Ok(way.end_at(".".into(), stat));
        };
        if name == ".." {
            way.step_up()?;
            continue;
        }
        let above = way.passed.len();
        way.passed.push(b'/');
        way.passed.extend_from_slice(name.as_bytes());
        if silent.contains(&way.passed) {
            answer::wait_for_answer(&way.passed)?;
            watch::watch_mount(&way.passed);
        }
        let stat = way.dir.stat(&name)?;
        match stat.kind {
            Kind::Symlink => {
                see(&way.passed, &stat);
                way.passed.truncate(above);
                way.follow_symlink(&name, &stat)?;
            }
            Kind::Folder if way.rest.is_empty() => {
                // An automount point becomes what is mounted there only once it is opened.
                let stat = way.dir.folder(&name)?.stat_self()?;
                see(&way.passed, &stat);
                return Ok(way.end_at(name, stat));
            }
            Kind::Folder => {
                let child = match way.dir.folder(&name) {
                    // To go through a folder it need not be readable.
                    Err(Errno::ACCESS) => way.dir.named_only(&name)?,
                    opened => opened?,
                };
                see(&way.passed, &child.stat_self()?);
                way.open.push(std::mem::replace(&mut way.dir, child));
            }
            _ if way.rest.is_empty() => {
                see(&way.passed, &stat);
                return Ok(way.end_at(name, stat));
            }
            _ => return Err(Errno::NOTDIR),
        }
    }
}

/// How far a path is resolved.
struct Way {
    /// The folder that it leads to so far.
    dir: Dir,
    /// The folders above that one, from the root.
    open: Vec<Dir>,
    /// The components that are left, last first.
    rest: Vec<OsString>,
    /// Symlinks that were followed.
    links: u32,
    /// The names on the way so far, each after a slash.
    passed: Vec<u8>,
}

impl Way {
    /// Goes to the folder above; above the root is the root.
    fn step_up(&mut self) -> Result<(), Errno> {
        let slash = self.passed.iter().rposition(|byte| *byte == b'/');
        self.passed.truncate(slash.unwrap_or(0));
        self.dir = self.open.pop().map_or_else(Dir::root, Ok)?;
        Ok(())
    }

    /// Puts what a symlink points to before the components that are left.
    fn follow_symlink(&mut self, name: &OsStr, stat: &Stat) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MAX_LINKS || !is_trusted_owner(stat.uid) {
            return Err(Errno::LOOP);
        }
        let target = self.dir.read_symlink(name)?;
        if target.as_bytes().starts_with(b"/") {
            self.dir = Dir::root()?;
            self.open.clear();
            self.passed.clear();
        }
        self.rest.extend(path_components(&target));
        Ok(())
    }

    fn end_at(self, name: OsString, stat: Stat) -> Resolved {
        Resolved {
            parent: self.dir,
            name,
            stat,
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
