//! Remembers what verifications of a destination found, and which shares of it were read.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{FailureCode, SnapshotId, clock::is_ahead, config::Subset, verify::DamagedFile};
use serde::{Deserialize, Serialize};

use super::{files::VERIFIED, open::StateDir};
use crate::{error::Result, store::Store};

/// What comparing snapshots with their manifests found, by destination.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Verified {
    destinations: BTreeMap<String, Remembered>,
}

/// What is remembered of a destination's snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// Stored files that are known to be damaged, sorted by inode.
    pub damaged: Vec<DamagedFile>,
    /// When each snapshot was last compared in full and found whole.
    pub verified: BTreeMap<SnapshotId, DateTime<FixedOffset>>,
    /// Which shares of the data health checks have read.
    pub shares: Shares,
    /// Manifests that were found damaged.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub manifests: BTreeMap<SnapshotId, ManifestFault>,
    /// How many entries of a snapshot are damaged otherwise than in a stored file: missing, say.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<SnapshotId, u64>,
}

/// A manifest that was found damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFault {
    /// What is wrong with it.
    pub because: String,
    /// The same as a code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
    /// Inode, size in bytes and time of the file that it was found of; none where there was none.
    /// Another file may be whole.
    pub file: Option<(u64, u64, String)>,
}

impl ManifestFault {
    /// What was found of a snapshot's manifest.
    #[must_use]
    pub fn of(store: &Store, id: SnapshotId, because: String, code: Option<FailureCode>) -> Self {
        let file = store.manifest_stat(id);
        let file = file.map(|stat| (stat.ino, stat.size, stat.mtime.to_string()));
        Self {
            because,
            code,
            file,
        }
    }

    /// Whether the file is still the one that it was found of.
    #[must_use]
    pub fn holds(&self, store: &Store, id: SnapshotId) -> bool {
        *self == Self::of(store, id, self.because.clone(), self.code)
    }
}

/// Which shares of a destination's data were read, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// Of how many.
    pub(crate) of: u32,
    /// When each was last read.
    pub(crate) read: BTreeMap<u32, DateTime<FixedOffset>>,
}

impl Shares {
    /// The share whose turn it is: one that was never read, from the configured one on, else the
    /// one that was read longest ago. What a clock that was ahead says is read again.
    pub(crate) fn next(&self, wanted: Subset, now: DateTime<FixedOffset>) -> u32 {
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

    pub(crate) fn was_read(&mut self, part: u32, of: u32, at: DateTime<FixedOffset>) {
        if self.of != of {
            *self = Self {
                of,
                read: BTreeMap::new(),
            };
        }
        self.read.insert(part, at);
    }
}

impl StateDir {
    /// What is remembered of a destination's snapshots.
    ///
    /// Nothing where that is damaged: it only spares work that is done again then.
    #[must_use]
    pub fn remembered(&self, destination: &str) -> Remembered {
        let mut verified = self.verified();
        verified
            .destinations
            .remove(destination)
            .unwrap_or_default()
    }

    /// Remembers this of a destination's snapshots, instead of what was remembered.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn remember(&self, destination: &str, found: Remembered) -> Result<()> {
        let mut verified = self.verified();
        verified.destinations.insert(destination.to_owned(), found);
        self.of_destination(None).keep(VERIFIED, &verified)
    }

    /// One file for all destinations, whatever their names: their ids tell them apart.
    fn verified(&self) -> Verified {
        let common = self.of_destination(None);
        common.recall(VERIFIED).unwrap_or_default()
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
