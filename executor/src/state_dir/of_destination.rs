//! The state directory as one destination sees it: as if it were the only one.
//!
//! Runs are common: what their reports say of others is left out. What is remembered of a named destination
//! apart from runs, such as which disks were used by its name, lies in `destinations/<name>/`.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{Report, config::DestinationName};

use super::open::StateDir;
use crate::{
    error::{Error, Result},
    sys::Dir,
};

/// Folder of what is remembered of named destinations.
pub(super) const OF: &str = "destinations";

impl StateDir {
    /// The same directory as a destination sees it; `None` is the base, of `local` and `cloud`.
    #[must_use]
    pub fn of_destination(&self, name: Option<&DestinationName>) -> Self {
        Self {
            of: name.filter(|name| !name.is_predefined()).cloned(),
            ..self.clone()
        }
    }

    /// A report as it would be if this destination had been the only one; none if it was not among those of
    /// the run.
    pub(super) fn seen_in(&self, report: Report) -> Option<Report> {
        match &self.of {
            None if !report.is_of_several() => Some(report),
            None => report.chain(&DestinationName::new(DestinationName::LOCAL)),
            Some(name) => report.chain(name),
        }
    }

    /// The path of a small file of this destination, relative to the state directory.
    pub(super) fn own_path(&self, file: &str) -> String {
        match &self.of {
            None => file.to_owned(),
            Some(name) => format!("{OF}/{name}/{file}"),
        }
    }

    /// The folder of the small files of this destination; `None` if it is missing.
    pub(super) fn own_folder(&self) -> Result<Option<Dir>> {
        let Some(name) = &self.of else {
            return Ok(None);
        };
        let found = self.dir.folder(OsStr::new(OF));
        match found.and_then(|all| all.folder(OsStr::new(name.as_str()))) {
            Ok(own) => Ok(Some(own)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io(
                "open",
                self.named(&self.own_path("")).as_bytes(),
                error,
            )),
        }
    }

    /// The same, made where it is missing.
    pub(super) fn own_folder_or_new(&self) -> Result<Option<Dir>> {
        let Some(name) = &self.of else {
            return Ok(None);
        };
        let made = self.dir.folder_or_new(OsStr::new(OF), 0o700);
        let made = made.and_then(|all| all.folder_or_new(OsStr::new(name.as_str()), 0o700));
        made.map(Some)
            .map_err(|error| Error::io("make", self.named(&self.own_path("")).as_bytes(), error))
    }

    /// The names of the destinations of which something is remembered.
    pub(super) fn named_destinations(&self) -> Vec<DestinationName> {
        let Ok(all) = self.dir.folder(OsStr::new(OF)) else {
            return Vec::new();
        };
        let names = all.names().unwrap_or_default();
        let mut names: Vec<DestinationName> = names
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect();
        names.sort();
        names
    }
}
