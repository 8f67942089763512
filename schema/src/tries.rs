//! How often timers tried in vain: `tries.json` in the state directory.

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

/// Runs of one period that timers began, whatever became of them. Written before each begins, so that
/// those count too that die before they leave a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// The period: when the schedule elapsed; none where nothing is scheduled.
    pub since: Option<DateTime<FixedOffset>>,
    /// How many.
    pub count: u32,
    /// When the last one began, or ended if it did.
    pub last_at: DateTime<FixedOffset>,
}

impl Tries {
    /// One more in this period, after those that are known.
    #[must_use]
    pub fn one_more(
        known: Option<Self>,
        since: Option<DateTime<FixedOffset>>,
        now: DateTime<FixedOffset>,
    ) -> Self {
        let before = known.filter(|known| known.since == since);
        Self {
            since,
            count: before.map_or(0, |before| before.count).saturating_add(1),
            last_at: now,
        }
    }
}
