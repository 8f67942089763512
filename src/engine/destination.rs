//! The destination as the engine's verbs meet it: looked at, opened for reading, or refused.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use executor::{
    Error,
    cloud::memory::recall_upload,
    destination::host_inodes,
    error::{Result, failure_code, mount_hint, system_reason},
    event::{Context, Stop},
    scan,
    state_dir::{RecordIndex, StateDir},
    store::Store,
    sys::{mounts::is_mounted, resolve::resolve},
    verify::memory,
};
use planner::stored_snapshot::{NamingRefusal, StoredSnapshot, find_stored};
use schema::{
    FailureCode, amount,
    cloud::{CloudMemory, CloudState},
    config::DestinationName,
    inventory::DestinationState,
};

use super::{Engine, operation::Operation};

/// The machine's host name.
#[must_use]
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// A name that means no snapshot, or not one that serves, as an error.
pub(super) fn naming_error(refusal: NamingRefusal) -> Error {
    Error::refused(refusal.message).hint(refusal.hint)
}

/// How the records of snapshots are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordReading {
    /// Each is read: what is wrong with one is noticed.
    All,
    /// Those that this machine has read before, and that were not changed since, are recalled.
    Changed,
    /// The same, and what was read is kept to be recalled.
    ChangedAndKept,
}

impl Operation<'_> {
    /// Looks at the destination only, and at what is remembered of it.
    pub(super) fn look_at_destination(&self) -> Result<DestinationState> {
        self.look_by(RecordReading::Changed)
    }

    /// The same with records that are looked at in this way.
    pub(super) fn look_by(&self, reading: RecordReading) -> Result<DestinationState> {
        self.engine.look_at_destination(reading, self.context)
    }

    /// The destination, which must be there.
    pub(super) fn destination_present(&self) -> Result<DestinationState> {
        Ok(self.destination_and_store()?.0)
    }

    /// The same with it, open for reading, where it is set up.
    pub(super) fn destination_and_store(&self) -> Result<(DestinationState, Option<Store>)> {
        let engine = self.engine;
        engine.require_local()?;
        let (destination, store) = engine.look_with_store(RecordReading::Changed, self.context)?;
        let is_missing = engine.config.local.require_mount && !destination.mounted;
        if !destination.present || is_missing {
            let because = destination.absent_because.as_deref();
            return Err(engine.not_mounted(because, destination.absent_code));
        }
        Ok((destination, store))
    }

    /// The destination, which must be there, and whose records this user may read.
    pub(super) fn destination_with_records(&self) -> Result<DestinationState> {
        let destination = self.destination_present()?;
        self.engine.require_records(&destination)?;
        Ok(destination)
    }

    /// The same with it, open for reading, which must be set up as well.
    pub(super) fn records_and_store(&self) -> Result<(DestinationState, Store)> {
        let (destination, store) = self.destination_and_store()?;
        self.engine.require_records(&destination)?;
        let store = store.map_or_else(|| self.engine.open_store_present(), Ok)?;
        Ok((destination, store))
    }

    /// The snapshot on this destination that a person named.
    pub(super) fn named_snapshot(
        &self,
        name: &str,
        destination: &DestinationState,
    ) -> Result<StoredSnapshot> {
        find_stored(name, destination, self.now).map_err(naming_error)
    }
}

impl Engine {
    /// Looks at the destination only, and at what is remembered of it.
    pub(super) fn look_at_destination(
        &self,
        reading: RecordReading,
        context: Context<'_>,
    ) -> Result<DestinationState> {
        Ok(self.look_with_store(reading, context)?.0)
    }

    /// The same with the destination itself, open for reading, where it is there and set up.
    pub(super) fn look_with_store(
        &self,
        reading: RecordReading,
        context: Context<'_>,
    ) -> Result<(DestinationState, Option<Store>)> {
        let (mut found, store) = self.scan_destination(reading, context)?;
        self.recall_destination(&mut found, store.as_ref())?;
        Ok((found, store))
    }

    /// Looks at the destination only; gives it, open for reading, where it is there and set up.
    pub(super) fn scan_destination(
        &self,
        reading: RecordReading,
        context: Context<'_>,
    ) -> Result<(DestinationState, Option<Store>)> {
        // Whoever may not read the state directory is told of it where it is needed.
        let state = self.state().ok().flatten();
        let index_of = |id: &str| match (&state, reading) {
            (None, _) | (_, RecordReading::All) => RecordIndex::empty(),
            (Some(state), reading) => {
                state.record_index(id, reading == RecordReading::ChangedAndKept)
            }
        };
        let local = &self.config.local;
        let found = scan::scan_destination(local, &self.host_folder(), &index_of, context)?;
        let Some(state) = state else {
            return Ok((found.state, found.store));
        };
        // It only spares work: where it cannot be kept, that is done again.
        let _ = state.keep_record_index(&found.index);
        let store = found.store.map(|store| self.with_digests(&state, store));
        Ok((found.state, store))
    }

    /// The destination with the digests that are kept of its manifests. What is known of a remote has none: a
    /// manifest that travelled is another file than the one that was sealed.
    fn with_digests(&self, state: &StateDir, store: Store) -> Store {
        match self.known_of {
            Some(_) => store,
            None => state.with_kept_digests(store),
        }
    }

    /// Puts what is remembered of a destination that was looked at into what was found.
    pub(super) fn recall_destination(
        &self,
        found: &mut DestinationState,
        store: Option<&Store>,
    ) -> Result<()> {
        if let (Some(state), Some(store)) = (self.state().ok().flatten(), store) {
            memory::recognize_destination(&state, found)?;
            memory::recall_damage(&state, store, found)?;
        }
        Ok(())
    }

    /// Refuses where this user may not read the records: what there is, and whether it is good, only
    /// they say.
    pub(super) fn require_records(&self, found: &DestinationState) -> Result<()> {
        if found.record_fault_code != Some(FailureCode::PermissionDenied) {
            return Ok(());
        }
        let path = format!("{}/{}/.backup", found.mount_point, self.host_folder());
        let newest = found.unmanaged.iter().map(|one| &one.name).max();
        let readable = newest.map_or_else(String::new, |newest| {
            let count = found.unmanaged.len() as u64;
            let folders = amount::plural(count, "folder", "folders");
            format!(
                "; `backup restore` reads from {folders} there as far as their files allow it, the \
                 newest is {newest}"
            )
        });
        Err(Error::refused(format!(
            "not allowed to look at {path}, which says what is stored and whether it is good{readable}"
        ))
        .coded(FailureCode::PermissionDenied)
        .hint("run it as the user to whom it belongs: `sudo backup ...`"))
    }

    /// The inodes that no walk through sources enters: the folders that destinations have of this host.
    pub(super) fn inodes_left_out(&self) -> Vec<(u64, u64)> {
        host_inodes(&self.whole, &self.host_folder())
    }

    /// Whether a path is in the folder that a disk has of this host, whatever it is called there.
    #[must_use]
    pub fn is_stored(&self, path: &Path) -> bool {
        let hosts = self.inodes_left_out();
        let above = std::path::absolute(path).ok();
        let above = above.as_deref().and_then(Path::parent);
        let above = above.and_then(|above| above.canonicalize().ok());
        let is_host = |folder: &Path| {
            let found = folder.metadata();
            found.is_ok_and(|found| hosts.contains(&(found.dev(), found.ino())))
        };
        above.is_some_and(|above| above.ancestors().any(is_host))
    }

    /// Opens the destination for reading, where it is there.
    pub(super) fn open_store(&self) -> Result<Option<Store>> {
        let local = &self.config.local;
        let Ok(resolved) = resolve(local.mount_point.as_path()) else {
            return Ok(None);
        };
        let Ok(dir) = resolved.folder() else {
            return Ok(None);
        };
        let mounted = dir.stat_self().is_ok_and(|stat| is_mounted(&stat));
        if local.require_mount && !mounted {
            return Ok(None);
        }
        let store = Store::open(&dir, local.mount_point.as_str(), &self.host_folder())?;
        // Whoever may not read the state directory does without what is kept there.
        let state = self.state().ok().flatten();
        Ok(store.map(|store| match &state {
            Some(state) => self.with_digests(state, store),
            None => store,
        }))
    }

    /// Opens the destination for reading, which must be there and set up.
    pub(super) fn open_store_present(&self) -> Result<Store> {
        self.require_local()?;
        let local = &self.config.local;
        let path = &local.mount_point;
        let opened = resolve(path.as_path()).and_then(|found| {
            let dir = found.folder()?;
            Ok((dir.stat_self()?, dir))
        });
        let because = match opened {
            Err(error) => Some(error.into()),
            Ok((stat, _)) if local.require_mount && !is_mounted(&stat) => None,
            Ok(_) => {
                return self.open_store()?.ok_or_else(|| {
                    Error::refused(format!("nothing was ever backed up to {path}"))
                        .hint(self.hint_of_other_hosts())
                });
            }
        };
        let code = because.as_ref().and_then(failure_code);
        let because = because.as_ref().map(system_reason);
        Err(self.not_mounted(because.as_deref(), code))
    }

    /// What to do where this host name has no backups: those of other names may be what is looked for.
    fn hint_of_other_hosts(&self) -> String {
        let stop = Stop::default();
        let context = Context::silent(&stop);
        let none = |_: &str| RecordIndex::empty();
        let found = scan::scan_destination(&self.config.local, &self.host_folder(), &none, context);
        let beside = found.map(|found| found.state.beside).unwrap_or_default();
        let names: Vec<&str> = beside
            .iter()
            .map(|one| one.folder.as_str())
            .take(5)
            .collect();
        match names.first() {
            None => "`backup apply` makes the first snapshot".to_owned(),
            Some(first) => format!(
                "there are backups of {} beside it: set hostname to that name to read them, or, if \
                 it is this machine's old one, run `backup init --take-over {}`",
                names.join(", "),
                schema::shell::word_of_escaped(first)
            ),
        }
    }

    /// Refuses where there are no local snapshots.
    pub(super) fn require_local(&self) -> Result<()> {
        self.refuse_remote()?;
        if self.config.local.enable {
            return Ok(());
        }
        let disks = self.config.chains();
        let disks: Vec<&str> = disks.iter().map(DestinationName::as_str).collect();
        let hint = match disks.as_slice() {
            [] => "set local.enable to true".to_owned(),
            names => format!(
                "name one of the others: --destination {}",
                names.join(", or ")
            ),
        };
        Err(Error::refused("local.enable is false: there are no local snapshots").hint(hint))
    }

    /// The refusal of a destination that is not there.
    fn not_mounted(&self, because: Option<&str>, code: Option<FailureCode>) -> Error {
        let path = &self.config.local.mount_point;
        Error::refused(format!(
            "destination not mounted: {} at {path} (local.mountPoint)",
            because.unwrap_or("nothing is mounted")
        ))
        .coded(code.or(Some(FailureCode::NotMounted)))
        .hint(mount_hint(code, path.as_str()))
    }

    /// What is remembered of the copies on the remote, whichever way they stand there.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub(super) fn recall_copies(&self, state: &StateDir) -> Result<CloudMemory> {
        match self.is_of_remote() {
            true => self.recall_history(state),
            false => recall_upload(state, &self.cloud_remote()),
        }
    }

    /// What this machine remembers of its copies in the cloud, without looking at rclone.
    pub(super) fn remembered_copies(&self) -> Option<CloudState> {
        let state = self.state().ok().flatten()?;
        let memory = self.recall_copies(&state).ok()?;
        Some(CloudState {
            memory,
            ..CloudState::default()
        })
    }
}
