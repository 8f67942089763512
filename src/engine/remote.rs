//! Remotes with history. What this machine knows of one has the form of a destination, so that verbs which
//! read records and manifests work on that as on any disk; only what is brought or written asks the remote.

use executor::{
    Error, ErrorKind,
    cloud::{
        memory::RemoteCache,
        remote_history::{self, HistoryRemote, KnownHistory},
    },
    error::Result,
    event::Silent,
    state_dir::StateDir,
};
use planner::restore::config_of_downloads;
use schema::{
    Inventory, SnapshotId,
    cloud::{CloudMemory, UploadRecord},
    config::{AbsolutePath, DestinationName, Layout, RemoteOptions},
    output::list::SnapshotList,
    remote_history::RemoteRecord,
};

use super::{Engine, Notice, Observer, operation::Operation};

/// Whether a remote is asked what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// It is; where it does not answer, what is known of it serves.
    Always,
    /// Only where nothing is known of it.
    IfUnknown,
    /// It is not.
    Never,
}

impl Engine {
    /// Whether this is the view of a remote with history.
    #[must_use]
    pub fn is_of_remote(&self) -> bool {
        self.remote_with_history().is_some()
    }

    /// The remote with history whose view this is.
    pub(super) fn remote_with_history(&self) -> Option<(&DestinationName, RemoteOptions)> {
        let options = self.remote.filter(|it| it.layout == Layout::History)?;
        Some((self.of.as_ref()?, options))
    }

    /// Whether this is the view of a named remote that is a mirror: in it that is the cloud, and there are no
    /// snapshots but the copies there.
    #[must_use]
    pub fn is_of_mirror(&self) -> bool {
        let remote = self.remote.as_ref();
        remote.is_some_and(|remote| remote.layout == Layout::Mirror)
    }

    /// The engine whose destination can be read: of a remote what is known of it, after it was asked if it is
    /// to be; any other is itself.
    ///
    /// # Errors
    /// Those of the remote, where nothing is known of it; refused where it must not be read; an interruption.
    pub(super) fn known(&self, ask: Ask, observer: &dyn Observer) -> Result<Self> {
        if !self.is_of_remote() {
            return Ok(self.clone());
        }
        let remote = self.cloud_remote();
        let kept = self.kept()?;
        let is_known = kept.is_some();
        if let Some(kept) = kept.filter(|_| ask != Ask::Always) {
            return Ok(kept);
        }
        let nothing = || {
            Error::refused(format!("nothing is known of {remote} yet"))
                .hint("`backup list` asks it, and a run that uploads")
        };
        if ask == Ask::Never {
            return Err(nothing());
        }
        // What is known serves as well, so that each vain attempt is no news.
        let told: &dyn Observer = if is_known { &Silent } else { observer };
        match self.unlogged(told).with_history(|it| it.refresh()) {
            Ok(KnownHistory { damaged, .. }) => {
                if !damaged.is_empty() {
                    let (remote, damaged) = (&*remote, &*damaged);
                    observer.notice(&Notice::DamagedThere { remote, damaged });
                }
            }
            // What others do there, or a network that is away, is no reason to show nothing.
            Err(error) if [ErrorKind::Failed, ErrorKind::Busy].contains(&error.kind) => {
                let Some(kept) = self.kept()? else {
                    return Err(error);
                };
                observer.notice(&Notice::NotAsked {
                    remote: &remote,
                    because: &error.message,
                });
                return Ok(kept);
            }
            Err(error) => return Err(error),
        }
        self.kept()?.ok_or_else(nothing)
    }

    /// The engine whose destination can be read without asking anybody; none where nothing is known of it.
    #[must_use]
    pub fn unasked(&self) -> Option<Self> {
        self.known(Ask::Never, &Silent).ok()
    }

    /// The engine whose destination is what is known of the remote; none where that is nothing.
    fn kept(&self) -> Result<Option<Self>> {
        let Some(state) = self.state()? else {
            return Ok(None);
        };
        let (remote, host) = (self.cloud_remote(), self.host_folder());
        let Some(place) = remote_history::known_destination(&state, &remote, &host)? else {
            return Ok(None);
        };
        let place: AbsolutePath = place
            .parse()
            .map_err(|because| Error::failed(format!("{place} cannot be used: {because}")))?;
        Ok(Some(Self {
            config: config_of_downloads(&self.config, &host, place),
            remote: None,
            known_of: Some(remote),
            ..self.clone()
        }))
    }

    /// Brings manifests once more that are damaged here; whether there were any.
    ///
    /// # Errors
    /// Those of the remote; an interruption.
    pub(super) fn mend_known(&self, observer: &dyn Observer) -> Result<bool> {
        self.unlogged(observer).with_history(|remote| {
            let found = remote.forget_damaged(&|_| true)?;
            if found {
                remote.refresh()?;
            }
            Ok(found)
        })
    }

    /// What this machine remembers of a remote with history, in the words of a copy in the cloud.
    ///
    /// # Errors
    /// Fails if it is there and cannot be read.
    pub(super) fn recall_history(&self, state: &StateDir) -> Result<CloudMemory> {
        let remote = self.cloud_remote();
        let mut memory = remote_history::recall_history(state, &remote)?.as_cloud();
        // A machine that uploaded nothing yet may have asked what is there.
        if memory.last.is_none()
            && let Some(cache) = RemoteCache::open(state, &remote)?
        {
            let known = remote_history::known_records(&cache);
            let order = |one: &&RemoteRecord| (one.snapshot.sequence, one.uploaded_at);
            memory.last = known.iter().max_by_key(order).map(upload_of);
            memory.uploaded = known.iter().map(|one| one.snapshot.id).collect();
        }
        Ok(memory)
    }

    /// What is known of the snapshots on a remote with history, without asking it; none where that is
    /// nothing.
    pub(super) fn known_list(&self) -> Option<SnapshotList> {
        let known = self.unasked()?;
        let operation = known.unlogged(&Silent);
        let found = operation.look_at_destination().ok()?;
        let remote = self.cloud_remote();
        Some(planner::list_remote_snapshots(
            &known.config,
            &found,
            &remote,
            operation.now,
        ))
    }

    /// The refusal of what only disks can do.
    pub(super) fn refuse_remote(&self) -> Result<()> {
        let Some(name) = self.of.as_ref().filter(|_| self.remote.is_some()) else {
            return Ok(());
        };
        if self.is_of_mirror() {
            return Err(Error::refused(format!(
                "{name} is a mirror, and this is for snapshots that stand by themselves"
            ))
            .hint("list, restore and verify work there"));
        }
        Err(
            Error::refused(format!("{name} is a remote, and this is for disks only"))
                .hint(
                    "list, find, diff, restore, verify, pin, unpin, accept, prune and delete work there",
                ),
        )
    }
}

impl Operation<'_> {
    /// Adds to what is known of the remote what goes with those that are let go, and with those that are
    /// taken away.
    pub(super) fn add_lost(
        &self,
        inventory: &mut Inventory,
        let_go: &[SnapshotId],
        taken: &[SnapshotId],
    ) -> Result<()> {
        let content = inventory.cloud.as_mut().and_then(|it| it.history.as_mut());
        let (Some(content), Some(state)) = (content, self.engine.state()?) else {
            return Ok(());
        };
        let (remote, host) = (self.engine.cloud_remote(), self.engine.host_folder());
        if let Some(cache) = RemoteCache::open(&state, &remote)? {
            let stop = self.context.stop;
            content.lost = remote_history::find_lost(&cache, &host, content, let_go, taken, stop)?;
        }
        Ok(())
    }

    /// Works with the remote whose view the engine is.
    pub(super) fn with_history<T>(
        &self,
        work: impl FnOnce(HistoryRemote<'_>) -> Result<T>,
    ) -> Result<T> {
        let (remote, host) = (self.engine.cloud_remote(), self.engine.host_folder());
        self.with_rclone(&remote, |rclone, cache| {
            work(HistoryRemote {
                rclone,
                cache,
                remote: &remote,
                host: &host,
            })
        })
    }
}

fn upload_of(record: &RemoteRecord) -> UploadRecord {
    UploadRecord {
        format_version: record.format_version,
        id: record.snapshot.id,
        attempt: 0,
        uploaded_at: record.uploaded_at,
        files: record.snapshot.totals.files,
        bytes: record.snapshot.totals.bytes,
        manifest_digest: record.snapshot.manifest_digest,
        made_by: record.made_by.clone(),
        not_uploaded: record.not_uploaded.clone(),
        withheld: None,
        kept_digest: None,
        sealed_digest: record.sealed_digest,
    }
}
