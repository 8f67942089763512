//! History that is old enough, and what is remembered of the clock for that.

use chrono::{DateTime, FixedOffset};
use schema::{
    SnapshotId,
    cloud::{HISTORY, HistoryFolder, MANIFESTS},
};

use super::{super::published, context::Upload};
use crate::error::Result;

/// Runs whose clocks are remembered.
const RUNS: usize = 8;
/// Clocks that say when a history folder was made.
const CLOCKS: usize = 3;

impl Upload<'_> {
    /// Removes history that is old enough, and manifests that cannot be restored without it; gives
    /// how many folders went.
    pub(super) fn expire(&mut self) -> Result<u64> {
        let expire = &self.step.expire;
        if expire.is_empty() {
            return Ok(0);
        }
        let mut there = Vec::new();
        let history = self.at(HISTORY);
        let options = ["--dirs-only"];
        published::list_remote(&self.rclone, &self.cache, &history, &options, &mut |item| {
            there.extend(item.path.parse::<SnapshotId>().ok());
        })?;
        // By the order of the uploads, which no clock can change.
        let last = expire
            .iter()
            .filter_map(|id| {
                self.manifests_there
                    .get(id)
                    .map(|on_remote| on_remote.attempt)
            })
            .max()
            .unwrap_or(0);
        let id = self.id();
        let without: Vec<SnapshotId> = self
            .manifests_there
            .iter()
            .filter(|(other, on_remote)| **other != id && on_remote.attempt < last)
            .map(|(other, _)| *other)
            .collect();
        // Remembered first: after a kill here nobody else has taken them away.
        self.memory.uploaded.retain(|id| !without.contains(id));
        self.cache.remember(&self.memory)?;
        let mut gone = 0;
        for id in there.iter().filter(|id| expire.contains(*id)) {
            self.purge(HISTORY, *id)?;
            gone += 1;
        }
        for other in without {
            self.purge(MANIFESTS, other)?;
            self.manifests_there.remove(&other);
        }
        Ok(gone)
    }

    /// Remembers what is there now, and what the clock says.
    pub(super) fn remember(&mut self, expired: &[SnapshotId]) -> Result<()> {
        let now = self.rclone.context.clock.now();
        let uploaded = self
            .manifests_there
            .iter()
            .filter(|(_, on_remote)| on_remote.uploaded.is_some() && !on_remote.damaged);
        self.memory.uploaded = uploaded.map(|(id, _)| *id).collect();
        self.memory.history.retain(|one| !expired.contains(&one.id));
        for id in &self.memory.uploaded {
            if !expired.contains(id) && !self.memory.history.iter().any(|one| one.id == *id) {
                self.memory.history.push(HistoryFolder {
                    id: *id,
                    since: now,
                    seen: vec![now],
                });
            }
        }
        for one in &mut self.memory.history {
            note_clock(one, now);
        }
        self.memory.history.sort_by_key(|one| one.id);
        let runs = &mut self.memory.runs;
        runs.retain(|run| run.date_naive() != now.date_naive());
        runs.push(now);
        let old = runs.len().saturating_sub(RUNS);
        runs.drain(..old);
        self.cache.remember(&self.memory)
    }
}

/// Notes what another run's clock says, until there are enough of other days.
fn note_clock(one: &mut HistoryFolder, now: DateTime<FixedOffset>) {
    if one.seen.is_empty() {
        // From a version that believed the first.
        one.seen = vec![one.since; CLOCKS];
    }
    let days = one.seen.iter().map(DateTime::date_naive);
    let known = days.clone().any(|day| day == now.date_naive());
    if one.seen.len() < CLOCKS && !known {
        one.seen.push(now);
    }
}
