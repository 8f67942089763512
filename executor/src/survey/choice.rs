//! A source choice says which sources are surveyed; their order, and the file systems they are on.

use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt as _, path::PathBuf};

use schema::{
    StoredPath,
    config::{self, AbsolutePath},
    path::rest_below,
    plan::SnapshotStep,
};

use super::{bounds::Bounds, tags::Tags};
use crate::sys::mounts::{self, Mount};

/// Which sources are looked at, and how.
#[derive(Clone)]
pub struct SourceChoice<'a> {
    /// The sources.
    pub sources: Vec<&'a AbsolutePath>,
    /// What is left out.
    pub exclude_patterns: &'a [String],
    /// Which tags leave out their folder.
    pub tags: Tags<'a>,
    /// Do not cross mount points below a source.
    pub one_file_system: bool,
    /// Have their file systems written to the disk first, because a snapshot is made of what is
    /// found.
    pub sync: bool,
    /// Bytes of holes that are read of the files of each owner.
    pub max_hole_bytes: u64,
}

/// Sources, each once, in the order of manifests, so that one pass over a manifest serves all.
pub(crate) fn in_manifest_order<'a>(
    sources: impl IntoIterator<Item = &'a AbsolutePath>,
) -> Vec<&'a AbsolutePath> {
    let mut order: Vec<&AbsolutePath> = sources.into_iter().collect();
    order.sort_by(|a, b| a.as_stored().cmp(b.as_stored()));
    order.dedup();
    order
}

impl<'a> From<&'a config::Local> for SourceChoice<'a> {
    fn from(local: &'a config::Local) -> Self {
        Self {
            sources: local.sources.iter().collect(),
            exclude_patterns: &local.exclude_patterns,
            tags: Tags {
                caches: local.exclude_caches,
                names: &local.exclude_if_present,
            },
            one_file_system: local.one_file_system,
            sync: false,
            max_hole_bytes: local.max_hole_bytes(),
        }
    }
}

impl<'a> From<&'a SnapshotStep> for SourceChoice<'a> {
    fn from(step: &'a SnapshotStep) -> Self {
        Self {
            sources: step.sources.iter().map(|source| &source.path).collect(),
            exclude_patterns: &step.exclude_patterns,
            tags: Tags {
                caches: step.exclude_caches,
                names: &step.exclude_if_present,
            },
            one_file_system: step.one_file_system,
            sync: true,
            max_hole_bytes: step.max_hole_bytes,
        }
    }
}

/// A path on each of the file systems that will be looked at, by the table of mounts alone: what is
/// passed over or excluded is not touched.
pub(crate) fn file_systems(sources: &[&AbsolutePath], bounds: &Bounds<'_>) -> Vec<PathBuf> {
    let all = mounts::all_mounts().unwrap_or_default();
    let mut devices = HashSet::new();
    let mut paths = Vec::new();
    for source in sources {
        let path = source.as_str().as_bytes();
        let below = |mount: &&Mount| {
            rest_below(&mount.mount_point, path).is_some_and(|rest| {
                let rest = StoredPath::new(rest);
                let excluded = |path: &StoredPath| {
                    let at = source.as_stored();
                    let found = bounds.excludes.matches_placed(at, path, 0, true);
                    found.is_some()
                };
                !rest.is_root() && !rest.ancestors_from_top().any(excluded)
            })
        };
        // The last one of a place is the one that is seen.
        let around = |mount: &&Mount| rest_below(path, &mount.mount_point).is_some();
        let own = all.iter().filter(around);
        let own = own
            .enumerate()
            .max_by_key(|(at, mount)| (mount.mount_point.len(), *at));
        if own.is_none_or(|(_, mount)| devices.insert(mount.device.as_str())) {
            paths.push(source.as_path().to_owned());
        }
        if bounds.one_file_system {
            continue;
        }
        for mount in all.iter().filter(below) {
            if devices.insert(mount.device.as_str()) {
                paths.push(OsStr::from_bytes(&mount.mount_point).into());
            }
        }
    }
    paths
}
