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

use super::{Dir, Kind, Stat};

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
    /// The system's reason.
    pub fn folder(&self) -> Result<Dir, Errno> {
        self.parent.folder(&self.name)
    }
}

/// Resolves an absolute path.
///
/// # Errors
/// The system's reason; `ELOOP` too for a symlink made by another user.
pub fn resolve(path: &Path) -> Result<Resolved, Errno> {
    let trusted = geteuid().as_raw();
    let mut dir = Dir::root()?;
    let mut open = vec![];
    let mut rest: Vec<OsString> = components(path.as_os_str());
    let mut links = 0;
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
            dir = open.pop().map_or_else(Dir::root, Ok)?;
            continue;
        }
        let stat = dir.stat(&name)?;
        match stat.kind {
            Kind::Symlink => {
                links += 1;
                if links > MAX_LINKS || (stat.uid != 0 && stat.uid != trusted) {
                    return Err(Errno::LOOP);
                }
                let target = dir.read_symlink(&name)?;
                if target.as_bytes().starts_with(b"/") {
                    dir = Dir::root()?;
                    open.clear();
                }
                rest.extend(components(&target));
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

/// The components of a path, last first; empty ones and `.` left out.
fn components(path: &OsStr) -> Vec<OsString> {
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
