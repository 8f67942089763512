//! The policy over time: what exists after each run, as if every run sealed a complete snapshot.
//!
//! Owns the replay only. It must not decide anything itself: each day's verdict is `decide`'s, so
//! what the simulation shows is what a machine does.

use chrono::NaiveDateTime;
use schema::{ExpireReason, SnapshotId, Tier};
use serde::Serialize;

use super::{Candidate, Policy, decide};

/// What exists after one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedDay {
    /// When the run took place; wall-clock time, taken as UTC.
    pub at: NaiveDateTime,
    /// The snapshot that the run sealed.
    pub id: SnapshotId,
    /// The dailies that stay, oldest first.
    pub daily: Vec<SnapshotId>,
    /// The weeklies that stay, oldest first.
    pub weekly: Vec<SnapshotId>,
    /// The monthlies that stay, oldest first.
    pub monthly: Vec<SnapshotId>,
    /// What stays for another reason only, such as the newest when no daily is kept.
    pub other: Vec<SnapshotId>,
    /// What the run deleted, oldest first.
    pub expired: Vec<SimulatedExpiry>,
}

/// A snapshot that a simulated run deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedExpiry {
    /// Which one.
    pub id: SnapshotId,
    /// Why.
    pub reason: ExpireReason,
}

/// Replays these runs in their order, pruning after each.
#[must_use]
pub fn simulate(policy: &Policy, runs: impl Iterator<Item = NaiveDateTime>) -> Vec<SimulatedDay> {
    let mut held: Vec<Candidate> = Vec::new();
    runs.map(|at| {
        let now = at.and_utc();
        let id = SnapshotId::from_local(at).first_free(|id| held.iter().any(|one| one.id == id));
        held.push(Candidate {
            id,
            started_at: now,
            day: at.date(),
            complete: true,
            suspect: false,
            pinned: false,
            verified: false,
        });
        let decision = decide(policy, now, &held);
        held.retain(|one| decision.keep.contains_key(&one.id));
        SimulatedDay {
            at,
            id,
            daily: decision.in_tier(Tier::Daily).collect(),
            weekly: decision.in_tier(Tier::Weekly).collect(),
            monthly: decision.in_tier(Tier::Monthly).collect(),
            other: decision
                .kept_by_time()
                .filter(|(_, kept)| kept.tiers.is_empty())
                .map(|(id, _)| id)
                .collect(),
            expired: decision
                .expired_by_time()
                .map(|(id, expired)| SimulatedExpiry {
                    id,
                    reason: expired.reason,
                })
                .collect(),
        }
    })
    .collect()
}
