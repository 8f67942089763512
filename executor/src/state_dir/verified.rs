//! Remembers what verifications of a destination found, and which shares of it were read.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    Config, FailureCode, SnapshotId, clock::is_ahead, config::Subset, health::ReadBack,
    verify::DamagedFile,
};
use serde::{Deserialize, Serialize};

use super::{files::VERIFIED, open::StateDir};
use crate::{cloud::remote_history::id_of_remote, error::Result, store::Store};

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
    /// When content was last read and compared, however much of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<DateTime<FixedOffset>>,
}

impl Remembered {
    /// When content was last read and compared, however much of it.
    #[must_use]
    pub fn last_read_at(&self) -> Option<DateTime<FixedOffset>> {
        let parts = self.shares.read.values();
        parts
            .chain(self.verified.values())
            .chain(&self.read_at)
            .max()
            .copied()
    }
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
    /// The one that is next, because a reading of it ended at this place before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) begun: Option<(u32, u16)>,
}

impl Shares {
    /// The share whose turn it is: one that was never read, from the configured one on, else the
    /// one that was read longest ago. What a clock that was ahead says is read again.
    pub(crate) fn next(&self, wanted: Subset, now: DateTime<FixedOffset>) -> u32 {
        if self.of != wanted.of {
            return wanted.part;
        }
        if let Some((part, _)) = self.begun {
            return part;
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
                ..Self::default()
            };
        }
        self.read.insert(part, at);
        self.begun = None;
    }

    /// The share whose turn it is, and the place in it where an earlier reading ended.
    #[must_use]
    pub fn next_place(&self, wanted: Subset, now: DateTime<FixedOffset>) -> (u32, Option<u16>) {
        let part = self.next(wanted, now);
        let begun = self.begun.filter(|begun| begun.0 == part);
        (part, begun.map(|(_, place)| place))
    }

    /// Notes what was read of the shares: all of them if `all`, else this one, which ended before its end if
    /// a place is given.
    pub fn note_share(
        &mut self,
        (part, of): (u32, u32),
        ended: Option<u16>,
        all: bool,
        at: DateTime<FixedOffset>,
    ) {
        if self.of != of {
            *self = Self {
                of,
                ..Self::default()
            };
        }
        match ended {
            Some(place) => self.begun = Some((part, place)),
            None if all => self.note_all(at),
            None => self.was_read(part, of, at),
        }
    }

    /// Notes that a share was read out of turn; where the data is cut otherwise it is none of these.
    pub fn note_out_of_turn(&mut self, part: u32, of: u32, at: DateTime<FixedOffset>) {
        if self.of == of {
            self.read.insert(part, at);
        }
    }

    /// Notes that everything was read.
    pub fn note_all(&mut self, at: DateTime<FixedOffset>) {
        self.read = (1..=self.of).map(|part| (part, at)).collect();
        self.begun = None;
    }

    /// How many shares were read at one time or another, and when the one that was read longest ago was.
    #[must_use]
    pub fn read_so_far(&self) -> (u32, Option<DateTime<FixedOffset>>) {
        let count = u32::try_from(self.read.len()).unwrap_or(u32::MAX);
        (count, self.read.values().min().copied())
    }
}

impl StateDir {
    /// When what stands on the disks and on the remote of a configuration was last read back; `remote` is the
    /// host's folder there.
    #[must_use]
    pub fn read_back(&self, config: &Config, remote: &str) -> ReadBack {
        let verified = self.verified().destinations;
        let last = |id: &String| verified.get(id).and_then(Remembered::last_read_at);
        let disks = config.local.enable.then(|| self.known_destinations().ok());
        let disks = disks.flatten().unwrap_or_default();
        let remote = config.cloud.enable.then(|| id_of_remote(remote));
        ReadBack {
            disk_at: disks.iter().filter_map(last).max(),
            remote_at: remote.as_ref().and_then(last),
        }
    }

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

    #[test]
    fn a_share_whose_reading_ended_early_is_next_from_there_on() {
        let at = |hour: i64| {
            let start: DateTime<FixedOffset> = "2025-01-16T00:00:00+01:00".parse().unwrap();
            start + chrono::TimeDelta::hours(hour)
        };
        let wanted = Subset::new(1, 3);
        let mut shares = Shares::default();
        shares.note_share((1, 3), None, false, at(0));
        shares.note_share((2, 3), Some(700), false, at(1));
        assert_eq!(shares.next_place(wanted, at(2)), (2, Some(700)));
        assert_eq!(shares.read_so_far(), (1, Some(at(0))));
        shares.note_share((2, 3), None, false, at(2));
        assert_eq!(shares.next_place(wanted, at(3)), (3, None));
        shares.note_share((3, 3), Some(9), false, at(3));
        shares.note_all(at(4));
        assert_eq!(shares.read_so_far(), (3, Some(at(4))));
        // By hand, out of turn, and cut otherwise: none of these shares.
        shares.note_out_of_turn(1, 3, at(5));
        shares.note_out_of_turn(1, 30, at(9));
        assert_eq!(shares.next_place(wanted, at(10)), (2, None));
        let of_older = r#"{"of":3,"read":{}}"#;
        let read: Shares = serde_json::from_str(of_older).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), of_older);
    }
}
