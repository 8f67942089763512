//! Opening the state directory, and the folders in it.

use std::{
    collections::HashMap,
    ffi::OsStr,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::{Arc, Mutex},
};

use rustix::io::Errno;
use schema::{FailureCode, config::DestinationName};

use super::{record_index, remotes};
use crate::{
    cloud::staging,
    error::{Error, Result},
    sys::{Dir, bytes, stat::Nanos},
    trust,
};

const WHAT: &str = "the state directory";
/// How deep the files of runs lie.
const DEPTH: u32 = 3;

/// Whether a name in the state directory is of what nothing is decided by: what is remembered of
/// remotes, which is looked at as what comes from outside, downloads and logs; and of what is judged
/// when it is read.
fn is_judged_apart(name: &OsStr) -> bool {
    let name = bytes(name);
    let is_download = name.starts_with(staging::PREFIX.as_bytes());
    let apart = [remotes::AREA, record_index::AREA, "log"];
    apart.iter().any(|apart| name == apart.as_bytes()) || is_download
}

/// An open state directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    pub(super) dir: Arc<Dir>,
    /// The numbers of runs that were read of it, by name: a run keeps the one that it was begun with.
    pub(super) numbers: Arc<Mutex<HashMap<String, (u64, Nanos)>>>,
    /// The named destination whose view this is.
    pub(crate) of: Option<DestinationName>,
    pub(super) path: String,
}

impl StateDir {
    /// Opens a state directory; `None` if there is none.
    ///
    /// # Errors
    /// Refused if others could change what is in it, which decides what is continued; fails if it is
    /// there and cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let bytes = path.as_os_str().as_encoded_bytes();
        let named = schema::escape::display(bytes);
        let dir = match trust::open_folder(path, WHAT) {
            Ok(dir) => dir,
            Err(error) if error.code == Some(FailureCode::NotFound) => return Ok(None),
            Err(error) => {
                return Err(error.hint(format!(
                    "name another with --state-dir, run as the user that owns it, or allow it: \
                     `chmod u+rwX {}`",
                    schema::shell::word(bytes)
                )));
            }
        };
        let below = trust::find_distrust_below(&dir, path, DEPTH, &is_judged_apart)?;
        match below {
            Some(distrust) => Err(distrust.refuse(&format!("{WHAT} {named}"))),
            None => Ok(Some(Self {
                dir: Arc::new(dir),
                numbers: Arc::default(),
                of: None,
                path: named,
            })),
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

    /// Whether it has a name yet: not where it was removed since it was opened.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.dir.stat_self().is_ok_and(|stat| stat.nlink > 0)
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
