//! Objects that are damaged on the remote: remembered, for the next upload to put them again, and named after files
//! that people know.

use std::collections::{BTreeMap, HashSet};

use schema::{
    Digest, SnapshotId,
    journal::{Problem, ProblemKind},
    output::cloud::CloudVerification,
};

use super::{
    HistoryRemote, KnownHistory,
    layout::{object_file, object_of},
};
use crate::{
    error::{Error, Result},
    manifest::FILE_NAME,
    sys::Kind,
};

/// Problems that are listed one by one.
const LISTED: usize = 1000;

impl HistoryRemote<'_> {
    /// Remembers what is damaged, for the next upload to put it again; what was not looked at stays so.
    pub(super) fn remember_damage(
        &self,
        is_compared: &dyn Fn(Digest) -> bool,
        damaged: &BTreeMap<Digest, String>,
    ) -> Result<()> {
        let before = self.cache.damaged();
        let is_elsewhere =
            |name: &&String| object_of(name).is_some_and(|digest| !is_compared(digest));
        let mut now: HashSet<String> = before.iter().filter(is_elsewhere).cloned().collect();
        now.extend(damaged.keys().map(|digest| object_file(*digest)));
        if now != before {
            self.cache.remember_damaged(&now)?;
        }
        self.unput(&damaged.keys().copied().collect())
    }

    /// Finds a file of each damaged object, in the newest snapshot that has one, for people.
    pub(super) fn name_damage(
        &self,
        damaged: BTreeMap<Digest, String>,
        found: CloudVerification,
        known: &KnownHistory,
    ) -> Result<CloudVerification> {
        let newest_first: Vec<SnapshotId> = known.records.keys().rev().copied().collect();
        self.name_damage_in(&newest_first, damaged, found)
    }

    /// The same in the first of these snapshots that has one.
    pub(super) fn name_damage_in(
        &self,
        snapshots: &[SnapshotId],
        mut damaged: BTreeMap<Digest, String>,
        mut found: CloudVerification,
    ) -> Result<CloudVerification> {
        found.damage_count = damaged.len() as u64;
        for id in snapshots {
            if damaged.is_empty() || found.damage.len() >= LISTED {
                break;
            }
            for entry in self.manifest_of(*id)?.without_names() {
                self.rclone.context.stop.check()?;
                let entry =
                    entry.map_err(|error| Error::io("read", FILE_NAME.as_bytes(), error))?;
                let one = entry.digest.filter(|_| entry.kind == Kind::File);
                let Some(because) = one.and_then(|digest| damaged.remove(&digest)) else {
                    continue;
                };
                if found.damage.len() < LISTED {
                    found.damage.push(Problem {
                        path: entry.path.shown(),
                        kind: ProblemKind::Unreadable,
                        message: format!("{because} (in {id})"),
                    });
                }
            }
        }
        found.damage.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}
