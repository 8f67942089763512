//! The digests of the manifests that this machine sealed, by destination: who changes a snapshot on the
//! disk, its manifest and its record all alike, does not change what is kept here.
//!
//! Without the file everything goes on: what stands on a destination is taken over as it is.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{Digest, SnapshotId, record::SnapshotRecord};
use serde::{Deserialize, Serialize};

use super::{files::SEALED, open::StateDir};
use crate::{error::Result, store::Store};

/// Version of the file's format.
const FORMAT_VERSION: u32 = 1;
/// Snapshots of a destination that are remembered at most, the newest: some hundred bytes each.
const MOST_SNAPSHOTS: usize = 4096;
/// Destinations that are remembered at most.
const MOST_DESTINATIONS: usize = 64;

/// `sealed.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sealed {
    format_version: u32,
    destinations: BTreeMap<String, KeptDigests>,
}

/// The kept digests of a destination's snapshots.
pub type KeptDigests = BTreeMap<SnapshotId, KeptDigest>;

/// What is kept of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDigest {
    /// Its digest.
    pub digest: Digest,
    /// Since when it is kept.
    pub since: DateTime<FixedOffset>,
    /// It was found on the destination, and not sealed by this machine as far as it remembers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
    /// When it was first noticed that the snapshot's record names another manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs_since: Option<DateTime<FixedOffset>>,
}

impl KeptDigest {
    /// What is kept of a manifest from now on.
    #[must_use]
    pub fn new(digest: Digest, now: DateTime<FixedOffset>) -> Self {
        Self {
            digest,
            since: now,
            taken_over: false,
            differs_since: None,
        }
    }
}

impl StateDir {
    /// The kept digests of a destination's snapshots; none where nothing is kept of it, or where that
    /// is damaged.
    #[must_use]
    pub fn kept_digests(&self, destination: &str) -> Option<KeptDigests> {
        self.sealed().destinations.remove(destination)
    }

    /// Gives an open destination the digests that are kept of its snapshots.
    #[must_use]
    pub fn with_kept_digests(&self, mut store: Store) -> Store {
        let record = store.destination().ok().flatten();
        let kept = record.and_then(|record| self.kept_digests(&record.id));
        store.kept = kept.unwrap_or_default();
        store
    }

    /// Changes what is kept of a destination's snapshots.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn change_kept_digests(
        &self,
        destination: &str,
        change: impl FnOnce(&mut KeptDigests),
    ) -> Result<()> {
        let mut sealed = self.sealed();
        let before = sealed.destinations.get(destination).cloned();
        let mut kept = before.clone().unwrap_or_default();
        change(&mut kept);
        while kept.len() > MOST_SNAPSHOTS {
            kept.pop_first();
        }
        if before.as_ref() == Some(&kept) {
            return Ok(());
        }
        sealed.format_version = FORMAT_VERSION;
        sealed.destinations.insert(destination.to_owned(), kept);
        // A machine with more disks than that begins anew with those that it has not used for long.
        while sealed.destinations.len() > MOST_DESTINATIONS {
            let newest = |kept: &KeptDigests| kept.values().map(|one| one.since).max();
            let others = sealed.destinations.iter();
            let others = others.filter(|(id, _)| *id != destination);
            let oldest = others.min_by_key(|(_, kept)| newest(kept));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            sealed.destinations.remove(&oldest);
        }
        self.keep(SEALED, &sealed)
    }

    fn sealed(&self) -> Sealed {
        self.recall(SEALED).unwrap_or_default()
    }
}

/// Notes since when the records of snapshots name other manifests than those that are kept, and
/// forgets it of those that name them again. Writes only where that is news.
///
/// # Errors
/// Fails if the state directory cannot be written.
pub fn note_changed<'r>(
    state: &StateDir,
    store: &Store,
    records: impl Iterator<Item = &'r SnapshotRecord>,
    now: DateTime<FixedOffset>,
) -> Result<()> {
    let Ok(Some(destination)) = store.destination() else {
        return Ok(());
    };
    let found: BTreeMap<SnapshotId, Digest> = records
        .map(|record| (record.id, record.manifest_digest))
        .collect();
    let is_news = store.kept.iter().any(|(id, kept)| {
        let found = found.get(id);
        found.is_some_and(|found| (*found != kept.digest) != kept.differs_since.is_some())
    });
    if !is_news {
        return Ok(());
    }
    state.change_kept_digests(&destination.id, |all| {
        for (id, kept) in all {
            match found.get(id) {
                Some(found) if *found != kept.digest => {
                    kept.differs_since = kept.differs_since.or(Some(now));
                }
                Some(_) => kept.differs_since = None,
                None => {}
            }
        }
    })
}
