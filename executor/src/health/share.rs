//! The next share of the stored data: read, compared, and remembered, so that as many checks as
//! there are shares read everything once.
//!
//! Each destination has its own turn, because two of them may take turns.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    clock::is_ahead,
    config::Subset,
    health::VerifiedShare,
    verify::{Depth, Verification},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    event::Context,
    state_dir::StateDir,
    store::Store,
    verify::{self, memory, snapshots},
};

/// Which shares of a destination's data were read, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// Of how many.
    of: u32,
    /// When each was last read.
    read: BTreeMap<u32, DateTime<FixedOffset>>,
}

impl Shares {
    /// The share whose turn it is: one that was never read, from the configured one on, else the
    /// one that was read longest ago. What a clock that was ahead says is read again.
    fn next(&self, wanted: Subset, now: DateTime<FixedOffset>) -> u32 {
        if self.of != wanted.of {
            return wanted.part;
        }
        let mut in_turn = (wanted.part..=wanted.of).chain(1..wanted.part);
        in_turn
            .find(|part| self.read.get(part).is_none_or(|at| is_ahead(*at, now)))
            .or_else(|| {
                let oldest = self.read.iter().min_by_key(|(_, at)| **at);
                oldest.map(|(part, _)| *part)
            })
            .unwrap_or(wanted.part)
    }

    fn was_read(&mut self, part: u32, of: u32, at: DateTime<FixedOffset>) {
        if self.of != of {
            *self = Self {
                of,
                read: BTreeMap::new(),
            };
        }
        self.read.insert(part, at);
    }
}

/// Reads and compares the next share of all snapshots, and remembers what was found in the state
/// directory. None where there is no snapshot yet.
///
/// # Errors
/// An interruption, a destination that cannot be read at all, or a state directory that cannot be
/// written. Damage is in the result.
pub fn read_share(
    state: &StateDir,
    store: &Store,
    wanted: Subset,
    context: Context<'_>,
) -> Result<Option<VerifiedShare>> {
    let Some(destination) = store.destination()? else {
        return Ok(None);
    };
    let all = snapshots::all(store, *context.clock.now().offset())?;
    if all.is_empty() {
        return Ok(None);
    }
    let mut shares = state.remembered(&destination.id).shares;
    let (part, of) = (shares.next(wanted, context.clock.now()), wanted.of);
    let chosen: Vec<usize> = (0..all.len()).collect();
    let found = verify::run(store, &all, &chosen, Depth::Subset { part, of }, context)?;
    memory::learn(state, store, &all, &found)?;
    shares.was_read(part, of, found.ended_at);
    let mut remembered = state.remembered(&destination.id);
    remembered.shares = shares.clone();
    state.remember(&destination.id, remembered)?;
    Ok(Some(summary(&found, part, &shares)))
}

fn summary(found: &Verification, part: u32, shares: &Shares) -> VerifiedShare {
    let first = found.damage.first().map(|damage| {
        let name = damage.names.first();
        let name = name.map_or_else(String::new, |name| {
            format!("{}/{}: ", name.snapshot, name.path)
        });
        format!("{name}{}", damage.message)
    });
    VerifiedShare {
        part,
        of: shares.of,
        parts_read: u32::try_from(shares.read.len()).unwrap_or(u32::MAX),
        oldest_at: shares
            .read
            .values()
            .min()
            .copied()
            .unwrap_or(found.ended_at),
        files_read: found.files_read,
        bytes_read: found.bytes_read,
        damage_count: found.damage_count,
        first_damage: first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_checks_as_there_are_shares_read_everything_once() {
        let at = |hour: i64| {
            let start: DateTime<FixedOffset> = "2025-01-16T00:00:00+01:00".parse().unwrap();
            start + chrono::TimeDelta::hours(hour)
        };
        let wanted = Subset::new(3, 5);
        let mut shares = Shares::default();
        let mut round = |from: i64| {
            let one = |hour| {
                let part = shares.next(wanted, at(hour));
                shares.was_read(part, 5, at(hour));
                part
            };
            (from..from + 5).map(one).collect::<Vec<u32>>()
        };
        assert_eq!(round(0), [3, 4, 5, 1, 2]);
        assert_eq!(round(5), [3, 4, 5, 1, 2]);
        // Another number of shares cuts the data anew.
        assert_eq!(shares.next(Subset::new(2, 7), at(20)), 2);
        shares.was_read(2, 7, at(20));
        assert_eq!((shares.of, shares.read.len()), (7, 1));
        assert_eq!(shares.next(Subset::new(2, 7), at(21)), 3);
        // Read under a clock that was ahead: its turn comes as if it had not been.
        assert_eq!(shares.next(Subset::new(2, 7), at(10)), 2);
    }
}
