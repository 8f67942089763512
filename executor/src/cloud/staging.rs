//! The folder that downloads are kept in until what they are for has ended.
//!
//! They are of private files, and a restore as root trusts what lies there. So the folder belongs to the
//! user who runs this and is open to nobody else, in a folder in which nobody else can put another in
//! its place; its name cannot be foretold. One that an interrupted restore left is gone on with if all
//! that is in it belongs to that user.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use rustix::io::Errno;
use schema::{Digest, FailureCode};

use crate::{
    error::{Error, Result},
    sys::{Dir, Kind, bytes},
    trust,
};

/// What the names of all of them begin with.
pub(crate) const PREFIX: &str = "download-";

/// An open folder for downloads.
#[derive(Debug)]
pub struct Staging {
    /// The folder.
    pub folder: Dir,
    /// Its path.
    pub path: PathBuf,
}

/// Opens the folder of downloads of a remote in another folder, which `option` names: the one that an
/// interrupted restore left there, or a new one.
///
/// # Errors
/// Refused if others could change what is in the folder around it; fails if it cannot be made.
pub fn open_staging(around: &Path, option: &str, remote: &str) -> Result<Staging> {
    let io = |doing: &str, error| Error::io(doing, around.as_os_str().as_bytes(), error);
    let around_path = std::path::absolute(around)
        .map_err(|error| Error::io("look at", around.as_os_str().as_bytes(), error))?;
    let folder = open_or_make(&around_path, option)?;
    let key = format!("{PREFIX}{}", Digest::of(remote.as_bytes()).short());
    let with_more = format!("{key}-");
    let names = folder.names().map_err(|error| io("list", error))?;
    let of_remote = |name: &&OsString| {
        let name = bytes(name);
        name == key.as_bytes() || name.starts_with(with_more.as_bytes())
    };
    for name in names.iter().filter(of_remote) {
        if let Some(left) = open_left(&folder, name) {
            let path = around_path.join(name);
            return Ok(Staging { folder: left, path });
        }
    }
    let name = format!("{with_more}{}", random_digits()?);
    let name = OsStr::new(&name);
    let made = folder.make_folder(name, 0o700);
    let made = made.and_then(|()| folder.folder(name));
    Ok(Staging {
        folder: made.map_err(|error| io("make a folder in", error))?,
        path: around_path.join(name),
    })
}

/// Opens the folder around it, making what is missing of its path for its owner alone.
fn open_or_make(path: &Path, option: &str) -> Result<Dir> {
    match trust::open_shared_folder(path, option) {
        Ok((folder, _)) => Ok(folder),
        Err(error) if error.code == Some(FailureCode::NotFound) => {
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(error);
            };
            let folder = open_or_make(above, option)?;
            match folder.make_folder(name, 0o700) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(Error::io("make", path.as_os_str().as_bytes(), error)),
            }
            trust::open_shared_folder(path, option).map(|(folder, _)| folder)
        }
        Err(error) => Err(error),
    }
}

/// The folder that an interrupted restore left, if nobody else can have written to it.
fn open_left(around: &Dir, name: &OsStr) -> Option<Dir> {
    let left = around.folder(name).ok()?;
    let stat = left.stat_self().ok()?;
    (trust::is_private(&stat) && is_wholly_own(&left)).then_some(left)
}

/// Whether all that is in a folder belongs to the user who runs this.
fn is_wholly_own(folder: &Dir) -> bool {
    let Ok(names) = folder.names() else {
        return false;
    };
    names.iter().all(|name| {
        let stat = folder.stat(name);
        stat.is_ok_and(|stat| {
            let is_own = stat.uid == geteuid().as_raw();
            let below = |name| folder.folder(name).is_ok_and(|below| is_wholly_own(&below));
            is_own && (stat.kind != Kind::Folder || below(name))
        })
    })
}

/// Sixteen digits that nobody can foretell.
fn random_digits() -> Result<String> {
    let source = "/dev/urandom";
    let mut bytes = [0; 8];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::io("read", source.as_bytes(), error))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    const REMOTE: &str = "nas:Backups/ash";

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_an_interrupted_restore_left_is_gone_on_with_and_what_is_open_to_others_is_not() {
        let temporary = tempfile::tempdir().unwrap();
        let around = temporary.path().join("new/stage");
        let open = || open_staging(&around, "--staging", REMOTE).unwrap();
        let first = open();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&first.path), mode(&around)), (0o700, 0o700));
        fs::create_dir(first.path.join("ash")).unwrap();
        assert_eq!(open().path, first.path);
        let other = open_staging(&around, "--staging", "nas:Backups/elm").unwrap();
        assert_ne!(other.path, first.path);
        set_mode(&first.path, 0o750);
        let second = open();
        assert_ne!(second.path, first.path);
        // A link of that name leads nowhere.
        fs::remove_dir_all(&first.path).unwrap();
        fs::remove_dir_all(&second.path).unwrap();
        symlink(temporary.path(), &first.path).unwrap();
        let third = open();
        assert!(third.path.symlink_metadata().unwrap().is_dir());
    }

    #[test]
    fn in_a_folder_that_all_write_to_it_is_made_only_if_it_stays_where_it_is() {
        let temporary = tempfile::tempdir().unwrap();
        set_mode(temporary.path(), 0o1777);
        let staging = open_staging(temporary.path(), "--staging", REMOTE).unwrap();
        assert!(staging.path.starts_with(temporary.path()));
        set_mode(temporary.path(), 0o777);
        let error = open_staging(temporary.path(), "--staging", REMOTE).unwrap_err();
        assert_eq!(error.code, Some(FailureCode::Untrusted));
        assert!(error.hint.unwrap().contains("chmod go-w"));
        // Nothing is made in such a folder either.
        open_staging(&temporary.path().join("new"), "--staging", REMOTE).unwrap_err();
        assert!(!temporary.path().join("new").exists());
    }
}
