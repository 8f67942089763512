//! The digests of the manifests that this machine sealed, by destination: who changes a snapshot on the
//! disk, its manifest and its record all alike, does not change what is kept here.
//!
//! Without the file everything goes on: what stands on a destination is taken over as it is.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, FixedOffset};
use schema::{Digest, SnapshotId, record::SnapshotRecord};
use serde::{Deserialize, Serialize};

use super::{
    files::SEALED,
    open::StateDir,
    record_index::{FileFacts, latest_at_rest, latest_before},
};
use crate::{
    error::Result,
    store::{Store, read_json, write_json},
    sys::Stat,
};

/// Version of the file's format.
const FORMAT_VERSION: u32 = 1;
/// Snapshots of a destination that are remembered at most: some hundred bytes each.
const MOST_SNAPSHOTS: usize = 4096;
/// Of these, how many that were only found there. Who writes to the disk may plant any number, and must
/// not make this machine forget what it sealed.
const MOST_TAKEN_OVER: usize = 2048;
/// After so long a change has another time where times are fine; many of the clock's steps.
const FINE_STEPS: Duration = Duration::from_millis(100);
/// Destinations that are remembered at most.
const MOST_DESTINATIONS: usize = 64;

/// `sealed.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Sealed {
    format_version: u32,
    destinations: BTreeMap<String, KeptDigests>,
}

/// The file that was parsed last, as the kernel described it before, if it had been at rest then.
static PARSED: Mutex<Option<(Key, Arc<Sealed>)>> = Mutex::new(None);

/// By what a file is known: its file system, and the rest.
type Key = (u64, FileFacts);

/// The kept digests of a destination's snapshots.
pub type KeptDigests = BTreeMap<SnapshotId, KeptDigest>;

/// What is kept of snapshots under the ids of all other destinations.
pub type KeptElsewhere = BTreeMap<SnapshotId, Vec<KeptDigest>>;

/// What is kept of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDigest {
    /// Its digest.
    pub digest: Digest,
    /// Since when it is kept.
    #[serde(with = "schema::time_text")]
    pub since: DateTime<FixedOffset>,
    /// It was found on the destination, and not sealed by this machine as far as it remembers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
    /// When it was first noticed that the snapshot's record names another manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs_since: Option<DateTime<FixedOffset>>,
}

impl KeptDigest {
    /// What is kept of a manifest from now on.
    #[must_use]
    pub fn new(digest: Digest, now: DateTime<FixedOffset>) -> Self {
        Self {
            digest,
            since: now,
            taken_over: false,
            differs_since: None,
        }
    }
}

impl StateDir {
    /// Gives an open destination the digests that are kept of its snapshots.
    #[must_use]
    pub fn with_kept_digests(&self, mut store: Store) -> Store {
        self.read_kept_digests(&mut store);
        store
    }

    /// Reads again which digests are kept of a destination's snapshots. Its id stands on the disk, so
    /// those that are kept under other ids are read, too.
    pub fn read_kept_digests(&self, store: &mut Store) {
        let record = store.destination().ok().flatten();
        let own = record.map(|record| record.id);
        let sealed = self.sealed();
        let kept = own.as_ref().and_then(|id| sealed.destinations.get(id));
        store.kept = kept.cloned().unwrap_or_default();
        store.kept_elsewhere = KeptElsewhere::new();
        let others = sealed.destinations.iter();
        let others = others.filter(|(id, _)| own.as_ref() != Some(*id));
        for (id, kept) in others.flat_map(|(_, kept)| kept) {
            if !store.kept.contains_key(id) {
                let elsewhere = store.kept_elsewhere.entry(*id).or_default();
                elsewhere.push(kept.clone());
            }
        }
    }

    /// Changes what is kept of a destination's snapshots.
    ///
    /// # Errors
    /// Fails if the state directory cannot be written.
    pub fn change_kept_digests(
        &self,
        destination: &str,
        change: impl FnOnce(&mut KeptDigests),
    ) -> Result<()> {
        let sealed = self.sealed();
        let before = sealed.destinations.get(destination);
        let mut kept = before.cloned().unwrap_or_default();
        change(&mut kept);
        drop_surplus(&mut kept);
        if before == Some(&kept) {
            return Ok(());
        }
        let mut sealed = Arc::unwrap_or_clone(sealed);
        sealed.format_version = FORMAT_VERSION;
        sealed.destinations.insert(destination.to_owned(), kept);
        // A machine with more disks than that begins anew with those that it has not used for long.
        while sealed.destinations.len() > MOST_DESTINATIONS {
            let newest = |kept: &KeptDigests| {
                let sealed_here = kept.values().any(|one| !one.taken_over);
                (sealed_here, kept.values().map(|one| one.since).max())
            };
            let others = sealed.destinations.iter();
            let others = others.filter(|(id, _)| *id != destination);
            let oldest = others.min_by_key(|(_, kept)| newest(kept));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            sealed.destinations.remove(&oldest);
        }
        self.keep_sealed(&sealed)
    }

    /// What is kept; nothing where the file is damaged.
    fn sealed(&self) -> Arc<Sealed> {
        self.read_sealed().unwrap_or_default()
    }

    /// What is kept. Every opening of a destination asks for it, and it grows with the snapshots: the
    /// file that this process has parsed is not parsed again.
    ///
    /// # Errors
    /// Fails if the file is there and cannot be read.
    pub(super) fn read_sealed(&self) -> Result<Arc<Sealed>> {
        let stat = self.dir.look(OsStr::new(SEALED)).ok().flatten();
        let mut last = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(stat), Some((of, sealed))) = (&stat, &*last)
            && *of == key_of(stat)
        {
            return Ok(Arc::clone(sealed));
        }
        *last = None;
        let sealed: Option<Sealed> = read_json(&self.dir, SEALED, &self.named(SEALED))?;
        let sealed = Arc::new(sealed.unwrap_or_default());
        let settled = stat.filter(is_settled);
        *last = settled.map(|stat| (key_of(&stat), Arc::clone(&sealed)));
        Ok(sealed)
    }

    /// Replaces what is kept; a damaged file is set aside.
    fn keep_sealed(&self, sealed: &Sealed) -> Result<()> {
        match self.read_sealed() {
            Ok(_) => write_json(&self.dir, SEALED, &self.named(SEALED), sealed),
            Err(_) => self.of_destination(None).keep(SEALED, sealed),
        }
    }
}

/// Whether a file was last changed so long ago that another change has another time. A time that is no
/// whole millisecond is of a file system whose steps are those of the kernel's clock, ten milliseconds at
/// most.
fn is_settled(stat: &Stat) -> bool {
    let latest = match stat.ctime % 1_000_000 {
        0 => latest_at_rest(),
        _ => latest_before(FINE_STEPS),
    };
    FileFacts::is_at_rest(stat, latest)
}

fn key_of(stat: &Stat) -> Key {
    (stat.dev, FileFacts::of(stat))
}

/// Whether this machine knows by itself which manifest of a snapshot it sealed.
#[must_use]
pub fn knows_sealed(store: &Store, id: SnapshotId) -> bool {
    let elsewhere = store.kept_elsewhere.get(&id).into_iter().flatten();
    let mut all = store.kept.get(&id).into_iter().chain(elsewhere);
    all.any(|kept| !kept.taken_over)
}

/// Keeps which manifests were sealed by what the copies in the cloud tell, of snapshots of which this
/// machine does not know it by itself.
///
/// # Errors
/// Fails if the destination's record or the state directory cannot be read or written.
pub fn learn_sealed(
    state: &StateDir,
    store: &mut Store,
    told: &BTreeMap<SnapshotId, Digest>,
    now: DateTime<FixedOffset>,
) -> Result<()> {
    let Some(destination) = store.destination()? else {
        return Ok(());
    };
    let new = told.iter().filter(|(id, _)| !knows_sealed(store, **id));
    let new: Vec<_> = new.map(|(id, digest)| (*id, *digest)).collect();
    state.change_kept_digests(&destination.id, |kept| {
        for (id, digest) in new {
            kept.insert(id, KeptDigest::new(digest, now));
        }
    })?;
    state.read_kept_digests(store);
    Ok(())
}

/// How many more snapshots of a destination may be taken over as they are found.
#[must_use]
pub fn room_to_take_over(kept: &KeptDigests) -> usize {
    let taken_over = kept.values().filter(|one| one.taken_over).count();
    let room = MOST_SNAPSHOTS.saturating_sub(kept.len());
    room.min(MOST_TAKEN_OVER.saturating_sub(taken_over))
}

/// Forgets what is too many: what was only found on the destination goes first, the latest to be found
/// before all others, and then the oldest of what was sealed.
fn drop_surplus(kept: &mut KeptDigests) {
    let surplus = kept.len().saturating_sub(MOST_SNAPSHOTS);
    let mut found: Vec<_> = kept
        .iter()
        .filter(|(_, one)| one.taken_over)
        .map(|(id, one)| (std::cmp::Reverse(one.since), *id))
        .collect();
    found.sort_unstable();
    for (_, id) in found.into_iter().take(surplus) {
        kept.remove(&id);
    }
    while kept.len() > MOST_SNAPSHOTS {
        kept.pop_first();
    }
}

/// Notes since when the records of snapshots name other manifests than those that are kept, and
/// forgets it of those that name them again. Writes only where that is news.
///
/// # Errors
/// Fails if the state directory cannot be written.
pub fn note_changed<'r>(
    state: &StateDir,
    store: &Store,
    records: impl Iterator<Item = &'r SnapshotRecord>,
    now: DateTime<FixedOffset>,
) -> Result<()> {
    let Ok(Some(destination)) = store.destination() else {
        return Ok(());
    };
    let found: BTreeMap<SnapshotId, Digest> = records
        .map(|record| (record.id, record.manifest_digest))
        .collect();
    let is_news = store.kept.iter().any(|(id, kept)| {
        let found = found.get(id);
        found.is_some_and(|found| (*found != kept.digest) != kept.differs_since.is_some())
    });
    let elsewhere = changed_elsewhere(store, &found);
    if !is_news && elsewhere.is_empty() {
        return Ok(());
    }
    state.change_kept_digests(&destination.id, |all| {
        for (id, digest) in elsewhere {
            all.entry(id).or_insert(KeptDigest {
                taken_over: true,
                ..KeptDigest::new(digest, now)
            });
        }
        for (id, kept) in all {
            match found.get(id) {
                Some(found) if *found != kept.digest => {
                    kept.differs_since = kept.differs_since.or(Some(now));
                }
                Some(_) => kept.differs_since = None,
                None => {}
            }
        }
    })
}

/// Snapshots of which other digests are kept under other ids of destinations than their records name,
/// and nothing under this one's, with what is kept.
fn changed_elsewhere(
    store: &Store,
    found: &BTreeMap<SnapshotId, Digest>,
) -> Vec<(SnapshotId, Digest)> {
    let not_kept = found.iter().filter(|(id, _)| !store.kept.contains_key(id));
    let changed = not_kept.filter_map(|(id, named)| {
        let kept = store.kept_of(*id, *named)?;
        (kept.digest != *named).then_some((*id, kept.digest))
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<FixedOffset> {
        DateTime::from_timestamp(1_700_000_000 + second, 0)
            .unwrap_or_default()
            .fixed_offset()
    }

    fn id(year: usize, number: usize) -> SnapshotId {
        let (hour, minute, second) = (number / 3600, number / 60 % 60, number % 60);
        format!("{year}-01-01_{hour:02}-{minute:02}-{second:02}")
            .parse()
            .unwrap()
    }

    fn kept(number: usize, taken_over: bool, since: i64) -> KeptDigest {
        KeptDigest {
            taken_over,
            ..KeptDigest::new(Digest::of(&number.to_be_bytes()), at(since))
        }
    }

    #[test]
    fn what_is_found_on_a_disk_pushes_nothing_out_that_was_sealed() {
        let sealed = (0..100).map(|n| (id(2025, n), kept(n, false, 0)));
        let planted = (0..MOST_SNAPSHOTS).map(|n| (id(2099, n), kept(n, true, 9)));
        let first = (0..50).map(|n| (id(2024, n), kept(n, true, 0)));
        let mut all: KeptDigests = sealed.clone().chain(planted).chain(first.clone()).collect();
        drop_surplus(&mut all);
        assert_eq!(all.len(), MOST_SNAPSHOTS);
        for (id, one) in sealed.chain(first) {
            assert_eq!(all.get(&id), Some(&one), "{id}");
        }
    }

    #[test]
    fn of_what_was_sealed_the_newest_is_kept() {
        let sealed = (0..MOST_SNAPSHOTS + 3).map(|n| (id(2025, n), kept(n, false, 0)));
        let mut all: KeptDigests = sealed.collect();
        drop_surplus(&mut all);
        assert_eq!(all.len(), MOST_SNAPSHOTS);
        assert_eq!(all.first_key_value().unwrap().0, &id(2025, 3));
    }

    #[test]
    fn only_so_many_are_taken_over() {
        let mut all = KeptDigests::new();
        assert_eq!(room_to_take_over(&all), MOST_TAKEN_OVER);
        all.extend((0..MOST_TAKEN_OVER).map(|n| (id(2099, n), kept(n, true, 0))));
        assert_eq!(room_to_take_over(&all), 0);
        all.extend((0..MOST_SNAPSHOTS).map(|n| (id(2025, n), kept(n, false, 0))));
        drop_surplus(&mut all);
        assert_eq!(room_to_take_over(&all), 0);
        assert!(all.values().all(|one| !one.taken_over));
    }

    #[test]
    fn what_is_kept_is_common_whatever_the_destination_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open_or_new(folder.path()).unwrap();
        let usb = state.of_destination(Some(&"usb".parse().unwrap()));
        // Also where the file that it stands in is damaged.
        std::fs::write(folder.path().join(SEALED), "{").unwrap();
        usb.change_kept_digests("disk", |all| {
            all.insert(id(2025, 1), kept(1, false, 0));
        })
        .unwrap();
        assert!(state.sealed().destinations.contains_key("disk"));
        assert!(!folder.path().join("destinations/usb/sealed.json").exists());
    }
}
