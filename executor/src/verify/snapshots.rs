//! Which snapshots there are, found without trusting any record.
//!
//! A damaged record must not keep the snapshot, or any other, from being looked at.

use std::{collections::BTreeSet, ffi::OsStr};

use chrono::{DateTime, FixedOffset, Utc};
use schema::{SnapshotId, Tier, record::SnapshotRecord, verify::AgainstState};

use crate::{
    error::{Error, Result},
    state_dir::RecordIndex,
    store::{RecordRoom, Records, SNAPSHOT_FILE, Store, record_path},
    sys::Kind,
};

/// A snapshot that stands in a tier and has records.
#[derive(Debug)]
pub struct FoundSnapshot {
    /// Its id: the name of its folder.
    pub id: SnapshotId,
    /// The tier whose folder holds it.
    pub home: Tier,
    /// Its record without what it shares with others, or what is wrong with it.
    pub record: std::result::Result<SnapshotRecord, String>,
    /// A person said that it is as it should be although it is suspect.
    accepted: bool,
}

impl FoundSnapshot {
    /// When it was made: by its record, or else by its name, where `offset` is the local one.
    #[must_use]
    pub fn started_at(&self, offset: FixedOffset) -> DateTime<Utc> {
        match &self.record {
            Ok(record) => record.started_at.to_utc(),
            Err(_) => {
                let local = self.id.local();
                (local - chrono::TimeDelta::seconds(offset.local_minus_utc().into())).and_utc()
            }
        }
    }

    /// Whether `latest` may mean it. One whose record is damaged counts: it is to be looked at.
    #[must_use]
    pub fn counts(&self) -> bool {
        match &self.record {
            Ok(record) => record.suspect.is_empty() || self.accepted,
            Err(_) => true,
        }
    }
}

/// What was found in the tiers.
#[derive(Debug, Default)]
pub struct FoundSnapshots {
    /// The snapshots, oldest first.
    pub all: Vec<FoundSnapshot>,
    /// Tiers and names in them that could not be looked at, so that there may be more.
    pub not_looked_at: Vec<Error>,
}

/// All snapshots of a destination; `offset` is the local one.
#[must_use]
pub fn all_snapshots(store: &Store, offset: FixedOffset) -> FoundSnapshots {
    let mut found = FoundSnapshots::default();
    let mut seen = BTreeSet::new();
    let mut room = RecordRoom::of_outlines();
    let records = store.all_records();
    for tier in Tier::ALL {
        // One that cannot be opened hides no other.
        let names = store.tier(tier).and_then(|dir| {
            let names = dir.map(|dir| dir.names().map(|names| (dir, names)));
            let io = |error| store.io("list", tier.folder(), error);
            names.transpose().map_err(io)
        });
        let (dir, names) = match names {
            Ok(None) => continue,
            Ok(Some(found)) => found,
            Err(error) => {
                found.not_looked_at.push(error);
                continue;
            }
        };
        for name in names {
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match dir.look(&name) {
                Ok(Some(stat)) if stat.kind == Kind::Folder && !seen.contains(&id) => {}
                Ok(_) => continue,
                Err(error) => {
                    let at = format!("{}/{id}", tier.folder());
                    found.not_looked_at.push(store.io("look at", &at, error));
                    continue;
                }
            }
            let records = match records.of(id) {
                Ok(None) => continue,
                Ok(Some(records)) => Ok(records),
                Err(error) => Err(error.message),
            };
            seen.insert(id);
            let marks = records.as_ref().ok().and_then(|found| found.marks().ok());
            found.all.push(FoundSnapshot {
                id,
                home: tier,
                accepted: marks.is_some_and(|marks| marks.accepted),
                record: records.and_then(|found| read_record(store, &found, id, &mut room)),
            });
        }
    }
    found
        .all
        .sort_by_key(|one| (one.started_at(offset), one.id));
    found
}

/// How the records of all snapshots compare with the digests that are kept of their manifests.
#[must_use]
pub fn compare_with_kept(store: &Store, all: &[FoundSnapshot]) -> AgainstState {
    let mut found = AgainstState::default();
    for one in all {
        let named = one.record.as_ref().map(|record| record.manifest_digest);
        let kept = match named {
            Ok(named) => store.kept_of(one.id, named),
            Err(_) => store.kept.get(&one.id),
        };
        match (kept, named) {
            (None, _) => found.unknown.push(one.id),
            // That its record cannot be read is told as damage of the record.
            (Some(_), Err(_)) => {}
            (Some(kept), Ok(named)) if kept.digest != named => found.changed.push(one.id),
            (Some(kept), Ok(_)) if kept.taken_over => found.taken_over.push(one.id),
            (Some(_), Ok(_)) => found.same += 1,
        }
    }
    let there: BTreeSet<SnapshotId> = all.iter().map(|one| one.id).collect();
    let gone = store.kept.keys().filter(|id| !there.contains(id));
    found.gone = gone.copied().collect();
    found
}

fn read_record(
    store: &Store,
    records: &Records<'_>,
    id: SnapshotId,
    room: &mut RecordRoom,
) -> std::result::Result<SnapshotRecord, String> {
    let path = store.named(&record_path(id, SNAPSHOT_FILE));
    match records.record_within(room, &mut RecordIndex::empty()) {
        Ok(Some(record)) if record.id == id => Ok(record),
        Ok(Some(record)) => Err(format!("{path} is the record of {}", record.id)),
        Ok(None) => Err(format!("{path} is missing")),
        Err(error) => Err(error.message),
    }
}

/// Refuses a folder of a tier that this program did not make; another name it lets pass.
///
/// # Errors
/// That refusal.
pub fn refuse_unmanaged(store: &Store, all: &[FoundSnapshot], name: &str) -> Result<()> {
    let name = name.trim_end_matches('/');
    let (tiers, name) = match name.split_once('/') {
        None => (Tier::ALL.to_vec(), name),
        Some((tier, name)) => (tier.parse().into_iter().collect(), name),
    };
    if all.iter().any(|one| one.id.to_string() == name) {
        return Ok(());
    }
    for tier in tiers {
        if is_standing(store, tier, name)? {
            return Err(Error::refused(format!(
                "{tier}/{name} was not made by this program and has no manifest to compare it with"
            ))
            .hint("`backup list` shows all snapshots"));
        }
    }
    Ok(())
}

/// Whether anything of this name stands in a tier.
fn is_standing(store: &Store, tier: Tier, name: &str) -> Result<bool> {
    let Some(dir) = store.tier(tier)? else {
        return Ok(false);
    };
    let single = !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..";
    Ok(single
        && dir
            .look(OsStr::new(name))
            .is_ok_and(|there| there.is_some()))
}
