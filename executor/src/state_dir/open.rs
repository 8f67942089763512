//! Opening the state directory, and the folders in it.

use std::{ffi::OsStr, os::unix::fs::DirBuilderExt as _, path::Path};

use rustix::io::Errno;

use crate::{
    error::{Error, Result},
    sys::{Dir, resolve::resolve},
};

/// An open state directory.
#[derive(Debug)]
pub struct StateDir {
    pub(super) dir: Dir,
    path: String,
}

impl StateDir {
    /// Opens a state directory; `None` if there is none.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let named = path.as_os_str().as_encoded_bytes();
        match resolve(path).and_then(|resolved| resolved.folder()) {
            Ok(dir) => Ok(Some(Self {
                dir,
                path: schema::escape::display(named),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("open", named, error).hint(format!(
                "name another with --state-dir, run as the user that owns it, or allow it: \
                     `chmod u+rwX {}`",
                schema::shell::word(named)
            ))),
        }
    }

    /// Opens a state directory, making it where it is missing.
    ///
    /// # Errors
    /// Fails if the folder cannot be made or opened.
    pub fn open_or_new(path: &Path) -> Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| {
                let in_the_way = path.symlink_metadata().is_ok_and(|there| !there.is_dir());
                let named = path.as_os_str().as_encoded_bytes();
                Error::io("make", named, error).hint(if in_the_way {
                    format!(
                        "something else stands there; move it away: `mv {} {}`",
                        schema::shell::word(named),
                        schema::shell::word([named, b".saved"].concat())
                    )
                } else {
                    "name another with --state-dir, or run as root".to_owned()
                })
            })?;
        Self::open(path)?.ok_or_else(|| Error::failed("the state directory vanished"))
    }

    /// Opens a folder of its own for something else that is remembered, making it where it is
    /// missing; with its path.
    ///
    /// # Errors
    /// Fails if the folder cannot be made or opened.
    pub fn area(&self, name: &str) -> Result<(Dir, String)> {
        let path = self.named(name);
        let make = || self.dir.folder_or_new(OsStr::new(name), 0o700);
        let made = match make() {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                self.dir.set_aside(OsStr::new(name)).and_then(|()| make())
            }
            made => made,
        };
        let dir = made.map_err(|error| Error::io("make", path.as_bytes(), error))?;
        Ok((dir, path))
    }

    /// As [`Self::area`], but `None` if it is missing. Writes nothing.
    ///
    /// # Errors
    /// Fails if it is there and cannot be opened.
    pub fn existing_area(&self, name: &str) -> Result<Option<(Dir, String)>> {
        let path = self.named(name);
        match self.dir.folder(OsStr::new(name)) {
            Ok(dir) => Ok(Some((dir, path))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io("open", path.as_bytes(), error)),
        }
    }

    pub(super) fn named(&self, relative: &str) -> String {
        format!("{}/{relative}", self.path.trim_end_matches('/'))
    }
}
