//! What each snapshot is kept for and what its deletion would free, as things stand now.
//!
//! Owns nothing of its own: retention and sharing say it, here it is put together for people.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeZone, Utc};
use schema::{Config, ExpireReason, KeepReason, SnapshotId, inventory::DestinationState};

use crate::{
    facts,
    retention::{self, Policy},
    sharing::{self, Holding},
};

/// How a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Why it is kept; empty if it is not.
    pub kept: Vec<KeepReason>,
    /// Why it goes in the next rotation; none if it is kept.
    pub expires: Option<ExpireReason>,
    /// Bytes that are freed if it alone is deleted.
    pub frees: u64,
    /// Whether that is exact. Where it is not, more may be freed, never less.
    pub exact: bool,
}

/// How each snapshot stands, if retention were applied now.
#[must_use]
pub fn overview<Z: TimeZone>(
    config: &Config,
    destination: &DestinationState,
    now: DateTime<Z>,
) -> BTreeMap<SnapshotId, Standing> {
    let mut snapshots: Vec<_> = destination.snapshots.iter().collect();
    snapshots.sort_by_key(|one| (one.record.started_at.to_utc(), one.record.id));
    let held: Vec<Holding> = snapshots
        .iter()
        .map(|one| Holding::of(&one.record))
        .collect();
    let found: Vec<_> = snapshots.iter().map(|one| facts::candidate(one)).collect();
    let policy = Policy::of(&config.local);
    let decision = retention::decide_retention(&policy, now.with_timezone(&Utc), &found);
    let (frees, exact) = sharing::alone(&held);
    held.iter()
        .zip(frees)
        .map(|(one, frees)| {
            let kept = decision.keep.get(&one.id);
            let expired = decision.expire.get(&one.id);
            let standing = Standing {
                kept: kept.map(|kept| kept.reasons.clone()).unwrap_or_default(),
                expires: expired.map(|expired| expired.reason),
                frees,
                exact,
            };
            (one.id, standing)
        })
        .collect()
}
