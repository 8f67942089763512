//! An upload that is under way: what is uploaded, where to, and what is known of what is there.

use std::collections::{BTreeMap, HashSet};

use schema::{
    Digest, SnapshotId,
    cloud::{CloudMemory, Withheld},
    plan::CloudSyncStep,
    record::SnapshotRecord,
};

use crate::cloud::{memory::RemoteCache, published::RemoteSnapshot, rclone::Rclone, roots::Roots};

pub(super) const UPLOAD: &str = "upload.list";
pub(super) const ASIDE: &str = "aside.list";
pub(super) const ALL: &str = "all.list";

/// What is uploaded; the manifest that travels is in the cache.
pub(super) struct Carried<'a> {
    pub(super) folder: &'a str,
    pub(super) record: SnapshotRecord,
    /// Digest of the manifest on the destination, where there is one.
    pub(super) sealed_digest: Option<Digest>,
    pub(super) accepted: bool,
    pub(super) live: Option<&'a Roots>,
}

/// An upload that is under way.
pub(super) struct Upload<'a> {
    pub(super) step: &'a CloudSyncStep,
    pub(super) rclone: Rclone<'a>,
    pub(super) cache: RemoteCache,
    pub(super) source: Carried<'a>,
    pub(super) memory: CloudMemory,
    pub(super) manifests_there: BTreeMap<SnapshotId, RemoteSnapshot>,
    pub(super) attempt: u64,
    /// The host's name, for whoever finds the copies.
    pub(super) host: &'a str,
    /// Earlier uploads that are not there any more, though nobody here let them go.
    pub(super) vanished: Vec<SnapshotId>,
    /// Uploads whose records there are damaged.
    pub(super) damaged: Vec<SnapshotId>,
    /// What is not taken away.
    pub(super) withheld: Option<Withheld>,
    /// Files that were found damaged there, by their names in rclone.
    pub(super) rotten: HashSet<String>,
}

impl Upload<'_> {
    pub(super) fn id(&self) -> SnapshotId {
        self.source.record.id
    }

    pub(super) fn at(&self, folder: &str) -> String {
        format!("{}/{folder}", self.step.remote)
    }
}
