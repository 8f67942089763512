//! The small files of the state directory: read as far as they can be, set aside where they cannot.
//!
//! Each only spares work or a message: what a damaged one remembered is done without, or found
//! again elsewhere. It is never a reason for no backup.

use std::ffi::OsStr;

use rustix::{fs::StatVfsMountFlags, io::Errno};
use schema::{
    drill::Drill,
    health::Health,
    notified::{Deferrals, MailedReport, NotifiedError},
    tries::Tries,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    aside::set_aside,
    destinations::Destinations,
    files::{DESTINATIONS, RUNS, SEALED, VERIFIED},
    history::{DRILL, HEALTH},
    notified::{DEFERRALS, MAILED_REPORT, TOLD_ERROR, TRIES},
    of_destination::OF,
    open::StateDir,
    remotes::damaged_remotes,
    verified::Verified,
};
use crate::{
    error::{Error, Result},
    store::{read_json, write_json},
};

/// What a run writes down of itself on a machine with few snapshots, with some to spare.
const LEAST_BYTES: u64 = 256 << 10;
const LEAST_INODES: u64 = 16;

impl StateDir {
    /// What a file remembers; nothing where it is missing or damaged.
    pub(super) fn recall<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.read_own(name).unwrap_or_default()
    }

    /// Reads a small file of this destination.
    pub(super) fn read_own<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.named(&self.own_path(name));
        match (&self.of, self.own_folder()?) {
            (None, _) => read_json(&self.dir, name, &path),
            (Some(_), Some(own)) => read_json(&own, name, &path),
            (Some(_), None) => Ok(None),
        }
    }

    /// Replaces what a file remembers; a damaged one is set aside.
    pub(super) fn keep<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<()> {
        let own = self.own_folder_or_new()?;
        let there: Result<Option<T>> = self.read_own(name);
        if there.is_err() {
            self.set_aside(&self.own_path(name))?;
        }
        let dir = own.as_ref().unwrap_or(&self.dir);
        write_json(dir, name, &self.named(&self.own_path(name)), value)
    }

    /// Files that cannot be read, each with the reason. Writes nothing.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let faults = self.damaged().into_iter();
        faults.map(|(_, because)| because).collect()
    }

    /// Why nothing at all can be written here: the file system is read-only, or a sandbox makes it so.
    #[must_use]
    pub fn read_only(&self) -> Option<String> {
        let size = rustix::fs::fstatvfs(&self.dir).ok()?;
        size.f_flag.contains(StatVfsMountFlags::RDONLY).then(|| {
            let path = self.named("");
            let path = path.trim_end_matches('/');
            format!("{path} (--state-dir) is on a read-only file system")
        })
    }

    /// Why no run can be written down here: the file system is full or read-only. Writes nothing;
    /// none also where that cannot be told.
    #[must_use]
    pub fn unwritable(&self) -> Option<String> {
        if let Some(because) = self.read_only() {
            return Some(because);
        }
        let size = rustix::fs::fstatvfs(&self.dir).ok()?;
        let path = self.named("");
        let path = path.trim_end_matches('/');
        // What only root may use is there for root.
        let blocks = if rustix::process::geteuid().is_root() {
            size.f_bfree
        } else {
            size.f_bavail
        };
        let free = blocks.saturating_mul(size.f_frsize);
        let no_inodes = size.f_files > 0 && size.f_ffree < LEAST_INODES;
        (free < LEAST_BYTES || no_inodes).then(|| {
            let free = if no_inodes {
                "no inodes".to_owned()
            } else {
                schema::amount::bytes(free)
            };
            format!(
                "insufficient space: {path} (--state-dir) has {free} free, less than the {} that \
                 a run may write there",
                schema::amount::bytes(LEAST_BYTES)
            )
        })
    }

    /// Sets damaged files aside, under a name that says when, and makes the list of known
    /// destinations anew from what the runs tell.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub(super) fn mend(&self) -> Result<()> {
        for (name, _) in self.damaged() {
            let owner = match name
                .strip_prefix(OF)
                .and_then(|rest| rest.strip_prefix('/'))
            {
                None => self.of_destination(None),
                Some(rest) => {
                    let of = rest.split('/').next().unwrap_or_default().parse().ok();
                    self.of_destination(of.as_ref())
                }
            };
            let is_list = name == owner.own_path(DESTINATIONS);
            let known = is_list.then(|| owner.used_destinations());
            self.set_aside(&name)?;
            if let Some(known) = known.transpose()?
                && !known.is_empty()
            {
                owner.keep(DESTINATIONS, &Destinations { known })?;
            }
        }
        Ok(())
    }

    fn damaged(&self) -> Vec<(String, String)> {
        fn inspect_file<T: DeserializeOwned>(
            state: &StateDir,
            name: &str,
        ) -> Option<(String, String)> {
            let read: Result<Option<T>> = state.read_own(name);
            let error = read.err()?;
            Some((state.own_path(name), error.message))
        }
        let base = self.of_destination(None);
        let of = |state: &Self| {
            [
                inspect_file::<Destinations>(state, DESTINATIONS),
                inspect_file::<Health>(state, HEALTH),
                inspect_file::<Drill>(state, DRILL),
                inspect_file::<Tries>(state, TRIES),
            ]
        };
        let all = [
            inspect_file::<Destinations>(&base, DESTINATIONS),
            inspect_file::<Verified>(&base, VERIFIED),
            // It grows with the snapshots, and is parsed already.
            self.read_sealed()
                .err()
                .map(|error| (SEALED.to_owned(), error.message)),
            inspect_file::<Health>(&base, HEALTH),
            inspect_file::<Drill>(&base, DRILL),
            inspect_file::<Deferrals>(&base, DEFERRALS),
            inspect_file::<NotifiedError>(&base, TOLD_ERROR),
            inspect_file::<Tries>(&base, TRIES),
            inspect_file::<MailedReport>(&base, MAILED_REPORT),
        ];
        let mut all: Vec<(String, String)> = all.into_iter().flatten().collect();
        for name in self.named_destinations() {
            all.extend(of(&self.of_destination(Some(&name))).into_iter().flatten());
        }
        if let Err(Errno::NOTDIR | Errno::LOOP) = self.dir.folder(OsStr::new(RUNS)) {
            all.push((
                RUNS.to_owned(),
                format!("{} is no folder", self.named(RUNS)),
            ));
        }
        all.extend(damaged_remotes(&self.dir, &|path| self.named(path)));
        all
    }

    /// Sets a file aside, which is named relative to the state directory.
    fn set_aside(&self, path: &str) -> Result<()> {
        let done = self.dir.descend(path.as_bytes());
        done.and_then(|(dir, name)| set_aside(&dir, &name.to_string_lossy()))
            .map_err(|error| Error::io("set aside", self.named(path).as_bytes(), error))
    }
}
