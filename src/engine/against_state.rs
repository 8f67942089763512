//! Which manifests this machine sealed, for comparing a disk with that: what the state directory keeps,
//! and where that is lost what the copies in the cloud tell.

use executor::{
    Error,
    cloud::{
        memory::RemoteCache,
        sealed::{self, SealedDigests},
    },
    error::Result,
    state_dir::{knows_sealed, learn_sealed},
    store::Store,
    verify::snapshots::FoundSnapshot,
};
use schema::SnapshotId;

use super::{Engine, operation::Operation};

impl Operation<'_> {
    /// Gives the destination the digests of the manifests that this machine sealed; gives those
    /// snapshots of which the copies in the cloud told it.
    ///
    /// # Errors
    /// Refused where nothing is known of any snapshot; fails if the remote is to be asked and cannot.
    pub(super) fn know_sealed(
        &self,
        store: &mut Store,
        all: &[FoundSnapshot],
        ask_cloud: bool,
    ) -> Result<Vec<SnapshotId>> {
        let ids = all.iter().map(|one| one.id);
        let unknown: Vec<SnapshotId> = ids.filter(|id| !knows_sealed(store, *id)).collect();
        let mut told = self.digests_from_cloud(&unknown, ask_cloud)?;
        told.retain(|id, _| unknown.contains(id));
        if !told.is_empty() {
            self.remember_or_notice(|state| learn_sealed(state, store, &told, self.now));
        }
        let is_known = |one: &FoundSnapshot| store.kept_elsewhere.contains_key(&one.id);
        if store.kept.is_empty() && !all.iter().any(is_known) {
            return Err(self.engine.nothing_kept(ask_cloud));
        }
        Ok(told.into_keys().collect())
    }

    fn digests_from_cloud(&self, ids: &[SnapshotId], ask_cloud: bool) -> Result<SealedDigests> {
        let remote = self.engine.cloud_remote();
        if ids.is_empty() || !self.engine.config.cloud.enable && !ask_cloud {
            return Ok(SealedDigests::new());
        }
        if ask_cloud {
            return self.with_rclone(&remote, |rclone, cache| {
                sealed::fetch_digests(rclone, cache, &remote, ids)
            });
        }
        let state = self.engine.state()?;
        let cache = state.and_then(|state| RemoteCache::open(&state, &remote).ok().flatten());
        Ok(cache
            .map(|cache| sealed::remembered_digests(&cache))
            .unwrap_or_default())
    }
}

impl Engine {
    /// The refusal to compare with what is kept where nothing is.
    fn nothing_kept(&self, asked_cloud: bool) -> Error {
        let state = schema::escape::display(self.state_dir.as_os_str().as_encoded_bytes());
        let (also, or_ask) = match (asked_cloud, self.config.cloud.enable) {
            (true, _) => (", and neither does the copy in the cloud", ""),
            (false, true) => (
                "",
                "`backup verify --against-state --cloud` asks the copy in the cloud; otherwise ",
            ),
            (false, false) => ("", ""),
        };
        Error::refused(format!(
            "{state} (--state-dir) keeps no digests of manifests on this disk{also}, so nothing can be compared with them"
        ))
        .hint(format!(
            "name the state directory of the machine that made the snapshots; where it is lost, {or_ask}the \
             next run keeps those of what is there, and `backup verify --all` compares the snapshots \
             with their own manifests"
        ))
    }
}
