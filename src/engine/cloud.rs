//! What works on the remote, without any destination: what is there, whether it is whole, and bringing
//! it back.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use chrono::{DateTime, FixedOffset};
use executor::{
    Error,
    cloud::{
        fetch::{self, Brought, WantedFiles},
        memory::RemoteCache,
        rclone::{self, CopyPlace, Credentials, Rclone},
        remote_history::Compared,
        staging::{Staging, open_staging},
        verify::{self, Share, VerifyDepth},
    },
    error::Result,
    event::Silent,
    remove::remove_tree,
    state_dir::StateDir,
    sys::resolve::resolve,
};
use planner::{
    restore::{config_of_downloads, folder_to_download},
    schedule::cloud_share_of,
    stored_snapshot::{find_as_of, find_only_uploaded, find_uploaded},
};
use schema::{SnapshotId, StoredPathBuf, config::AbsolutePath, output::cloud::CloudVerification};

use super::{Engine, Observer, destination::naming_error, operation::Operation, remote::Ask};

const RCLONE: &str = "rclone";

/// How much of the copy in the cloud is read, besides comparing all sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloudDepth {
    /// Hashes of the remote, and of files without one the share of the day.
    #[default]
    OfTheDay,
    /// Nothing.
    SizesOnly,
    /// One part of several is downloaded.
    Part {
        /// Which, from 1.
        part: u32,
        /// Of how many.
        of: u32,
    },
    /// All is downloaded.
    Full,
}

/// What of the cloud is to be brought.
pub(super) struct DownloadRequest<'a> {
    /// The snapshot's name, as it is named on a disk.
    pub(super) snapshot: &'a str,
    /// Instead of it, the newest one that was started at this time or before.
    pub(super) as_of: Option<DateTime<FixedOffset>>,
    /// Paths as they were on the machine, or patterns.
    pub(super) paths: &'a [PathBuf],
    /// Where downloads are kept meanwhile.
    pub(super) staging: Option<&'a Path>,
}

/// Files that were brought from the cloud, as a destination of their own.
#[derive(Debug, Clone)]
pub(super) struct CloudDownload {
    /// An engine whose destination they are.
    pub(super) engine: Engine,
    /// The snapshot that they are of.
    pub(super) id: SnapshotId,
    /// How many files there are, and what was passed over.
    pub(super) brought: Brought,
    /// Where they came from.
    pub(super) remote: String,
}

impl Engine {
    /// The snapshots on the remote that can be restored from, the newest first.
    ///
    /// # Errors
    /// Fails if rclone or the remote cannot be asked, or if another run is at work.
    pub fn list_cloud(&self, observer: &dyn Observer) -> Result<Vec<SnapshotId>> {
        let remote = self.cloud_remote();
        self.unlogged(observer)
            .with_rclone(&remote, |rclone, cache| {
                let uploaded = fetch::uploaded_snapshots(rclone, cache, &remote)?;
                Ok(uploaded.into_keys().rev().collect())
            })
    }

    /// Compares a mirror with its newest upload's manifest, or the contents of a remote with history with the
    /// manifests there: with that of one snapshot where one is named, else with all.
    ///
    /// # Errors
    /// Fails if rclone or the remote cannot be asked, if the remote has no such snapshot, or if another run
    /// is at work.
    pub fn verify_cloud(
        &self,
        snapshot: Option<&str>,
        depth: CloudDepth,
        observer: &dyn Observer,
    ) -> Result<CloudVerification> {
        let operation = self.unlogged(observer);
        let remote = self.cloud_remote();
        let what = match snapshot.filter(|_| self.is_of_remote()) {
            Some(name) => Compared::Snapshot(self.snapshot_there(name, observer)?),
            None => Compared::All,
        };
        let share = match depth {
            CloudDepth::OfTheDay => {
                let (part, of) = cloud_share_of(operation.now.date_naive());
                Share::Part { part, of }
            }
            CloudDepth::SizesOnly => Share::None,
            CloudDepth::Part { part, of } => Share::Part { part, of },
            CloudDepth::Full => Share::All,
        };
        let look = VerifyDepth {
            share,
            hashes_first: depth == CloudDepth::OfTheDay,
        };
        let staging = self.open_staging(None, &format!("verify {remote}"))?;
        let path = staging.path.to_string_lossy();
        let into = (&staging.folder, &*path);
        let found = match self.is_of_remote() {
            true => operation.with_history(|remote| match depth {
                CloudDepth::OfTheDay => remote.verify_all(what, into, look),
                _ => remote.verify(what, into, look),
            }),
            false => operation.with_rclone(&remote, |rclone, cache| {
                verify::verify_upload(rclone, cache, into, &remote, look)
            }),
        }?;
        if what == Compared::All {
            operation.note_reading(&remote, share, &found);
        }
        Ok(found)
    }

    /// The snapshot on the remote with history that a person named.
    fn snapshot_there(&self, name: &str, observer: &dyn Observer) -> Result<SnapshotId> {
        let known = self.known(Ask::Always, observer)?;
        let unlogged = known.unlogged(&Silent);
        let destination = unlogged.destination_with_records()?;
        let named = unlogged.named_snapshot(name, &destination)?;
        named.to_compare().map_err(naming_error)
    }

    /// A refusal for a name that no snapshot here has and one in the cloud has, as far as that is
    /// remembered.
    pub(super) fn refuse_only_uploaded(
        &self,
        name: &str,
        now: DateTime<FixedOffset>,
    ) -> Option<Error> {
        if !self.config.cloud.enable || self.of.is_some() {
            return None;
        }
        let uploaded = self.remembered_copies()?.memory.uploaded;
        let id = find_only_uploaded(name, &uploaded, now)?;
        let remote = self.cloud_remote();
        Some(
            Error::refused(format!(
                "snapshot {id} is not on the disk; it is in the cloud, at {remote}"
            ))
            .hint("`backup ... --from cloud` brings it from there"),
        )
    }

    /// The folder of the downloads: the same for the same remote, so that a restore that was
    /// interrupted goes on.
    pub(super) fn open_staging(&self, named: Option<&Path>, remote: &str) -> Result<Staging> {
        match named {
            Some(around) => open_staging(around, "--staging", remote),
            None => open_staging(&self.state_dir, "the state directory", remote),
        }
    }
}

impl Operation<'_> {
    /// Brings what is asked for from the remote.
    pub(super) fn download(&self, request: &DownloadRequest<'_>) -> Result<CloudDownload> {
        let engine = self.engine;
        let host = engine.host_folder();
        let remote = engine.cloud_remote();
        let Staging { folder, path } = engine.open_staging(request.staging, &remote)?;
        let paths: Vec<StoredPathBuf> = request
            .paths
            .iter()
            .map(|path| folder_to_download(path))
            .collect();
        let of_history = engine.is_of_remote();
        let known = of_history
            .then(|| self.known_snapshot(request))
            .transpose()?;
        let wanted = |id| WantedFiles {
            remote: &remote,
            host: &host,
            id,
            paths: &paths,
        };
        let named = path.to_string_lossy();
        let into = (&folder, &*named);
        let brought = match known {
            Some(id) => self.with_history(|remote| {
                remote.forget_damaged(&|one| one == id)?;
                remote.fetch_files(into, &wanted(Some(id)))
            }),
            None => self.with_rclone(&remote, |rclone, cache| {
                // Damaged records are passed over for the newest only, whose name is nobody's choice.
                let is_newest = request.snapshot.trim_end_matches('/') == "latest";
                let id = if is_newest && request.as_of.is_none() {
                    None
                } else {
                    let uploaded = fetch::uploaded_snapshots(rclone, cache, &remote)?;
                    Some(self.uploaded_snapshot(
                        request,
                        uploaded.into_keys().collect(),
                        &remote,
                    )?)
                };
                fetch::fetch_files(rclone, cache, into, &wanted(id))
            }),
        }?;
        let mount_point = path
            .to_str()
            .and_then(|text| text.parse::<AbsolutePath>().ok())
            .ok_or_else(|| {
                Error::refused(format!(
                    "{} cannot be used",
                    schema::escape::display(path.as_os_str().as_encoded_bytes())
                ))
            })?;
        let engine = Engine {
            config: config_of_downloads(&engine.config, &host, mount_point),
            remote: None,
            known_of: None,
            ..engine.clone()
        };
        Ok(CloudDownload {
            engine,
            id: brought.id,
            brought,
            remote,
        })
    }

    /// Which of the snapshots of a remote with history is meant.
    fn known_snapshot(&self, request: &DownloadRequest<'_>) -> Result<SnapshotId> {
        let known = self.engine.known(Ask::Always, self.observer)?;
        let operation = known.unlogged(self.observer);
        let found = operation.destination_present()?;
        if found.snapshots.is_empty() && found.unmanaged.is_empty() {
            let remote = self.engine.cloud_remote();
            return Err(
                Error::refused(format!("no snapshot was uploaded to {remote}")).hint(
                    "compare remote, remotePath and hostname with those of the machine that made the copies",
                ),
            );
        }
        let named = match request.as_of {
            Some(time) => find_as_of(time, &found).map_err(naming_error)?,
            None => operation.named_snapshot(request.snapshot, &found)?,
        };
        named.to_compare().map_err(naming_error)
    }

    /// Which of the uploaded snapshots is meant.
    fn uploaded_snapshot(
        &self,
        request: &DownloadRequest<'_>,
        uploaded: Vec<SnapshotId>,
        remote: &str,
    ) -> Result<SnapshotId> {
        let found = find_uploaded(request.snapshot, request.as_of, &uploaded, self.now);
        found.map_err(|message| {
            Error::refused(format!("{message} (at {remote})"))
                .hint("`backup restore --from cloud --list` shows what is on the remote")
        })
    }

    /// Works with rclone and what is kept of a remote.
    pub(super) fn with_rclone<T>(
        &self,
        remote: &str,
        work: impl FnOnce(&Rclone<'_>, &RemoteCache) -> Result<T>,
    ) -> Result<T> {
        let config_file = self.engine.config.cloud.config_file.as_ref();
        if let Some(file) = config_file {
            rclone::check_config(file)?;
        }
        let state = self.engine.state_or_new()?;
        let _lock = state.lock()?;
        self.call_rclone(&state, remote, None, work)
    }

    /// The same without the lock, until its time is over: what others work on must be left alone.
    pub(super) fn call_rclone<T>(
        &self,
        state: &StateDir,
        remote: &str,
        until: Option<(Instant, String)>,
        work: impl FnOnce(&Rclone<'_>, &RemoteCache) -> Result<T>,
    ) -> Result<T> {
        let config_file = self.engine.config.cloud.config_file.as_ref();
        let cache = RemoteCache::open_or_new(state, remote)?;
        let options = planner::cloud_options(&self.engine.config.cloud);
        // Twice what the last upload had, as far as it is known here.
        let last = cache.memory().ok().and_then(|memory| memory.last);
        let known = last.map_or(0, |last| last.files.saturating_mul(2));
        let credentials =
            Credentials::prepare(RCLONE, config_file, &cache, CopyPlace::State(state))?;
        let rclone = Rclone {
            program: RCLONE,
            options: &options,
            credentials: &credentials,
            step: "cloud",
            until,
            stall: rclone::longest_stall(None),
            most_listed: rclone::listing_limit(known),
            context: self.context,
        };
        let done = work(&rclone, &cache);
        credentials.keep("cloud", self.context);
        done.map_err(|error| rclone::with_rclone_hint(error, RCLONE, config_file, remote))
    }
}

impl CloudDownload {
    /// Throws the downloads away.
    pub(super) fn discard(&self) -> Result<()> {
        let place = &self.engine.config.local.mount_point;
        let operation = self.engine.unlogged(&Silent);
        let Ok(found) = resolve(place.as_path()) else {
            return Ok(());
        };
        remove_tree(
            &found.parent,
            &found.name,
            place.as_str(),
            operation.context,
        )
    }
}
