//! Whether live sources look damaged beside what is there: then they go up as suspect, and nothing is let go
//! until a person has looked.

use schema::{SnapshotId, record::SnapshotRecord};

use super::{HistoryRemote, KnownHistory};
use crate::{
    cloud::{difference::guard, live},
    error::Result,
    manifest::Reader,
};

impl HistoryRemote<'_> {
    /// Whether a snapshot there is suspect, and nobody accepted it.
    pub(super) fn is_suspect(&self, known: &KnownHistory, record: &SnapshotRecord) -> bool {
        !record.suspect.is_empty() && !self.marks(known, record.id).accepted
    }

    /// The newest snapshot there that waits for a person to look at it.
    pub(super) fn newest_suspect(&self, known: &KnownHistory) -> Option<SnapshotId> {
        let all = known.records.values().map(|one| &one.snapshot);
        let suspect = all.filter(|record| self.is_suspect(known, record));
        suspect.map(|record| record.id).max()
    }

    /// Writes into the record of live sources why they are suspect, beside the newest snapshot there that is
    /// not, and since when.
    pub(super) fn judge_live(
        &self,
        known: &KnownHistory,
        record: &mut SnapshotRecord,
    ) -> Result<()> {
        let newest = known.newest().map(|newest| &newest.snapshot);
        let good = known.newest_of(|one| !self.is_suspect(known, &one.snapshot));
        let Some(reference) = good.map(|good| &good.snapshot) else {
            return Ok(());
        };
        let Some(because) = self.suspicion(record, reference)? else {
            return Ok(());
        };
        let before = newest.filter(|newest| self.is_suspect(known, newest));
        // Like the one before, it is the same event: who accepts that accepts both.
        let like = match before {
            Some(before) if self.suspicion(record, before)?.is_none() => Some(before),
            _ => None,
        };
        record.suspect_since =
            Some(like.map_or(record.id, |like| like.suspect_since.unwrap_or(like.id)));
        record.suspect = vec![because];
        Ok(())
    }

    /// Why live sources look damaged beside a snapshot there; none where they do not.
    fn suspicion(
        &self,
        record: &SnapshotRecord,
        beside: &SnapshotRecord,
    ) -> Result<Option<String>> {
        let made = self.cache.file(live::NEW)?;
        let made = Reader::new(made).map_err(|error| self.io("read", live::NEW, error))?;
        let judged =
            guard::compare_with_earlier((record, made), (beside, self.manifest_of(beside.id)?))?;
        Ok(judged.suspicion())
    }
}
