//! Which snapshots there are, found without trusting any record.
//!
//! A damaged record must not keep the snapshot, or any other, from being looked at.

use std::ffi::OsStr;

use chrono::{DateTime, FixedOffset, Utc};
use schema::{SnapshotId, Tier, record::SnapshotRecord};

use crate::{
    error::{Error, Result},
    store::{SNAPSHOT_FILE, Store, record_path},
    sys::Kind,
};

/// A snapshot that stands in a tier and has records.
#[derive(Debug)]
pub struct Found {
    /// Its id: the name of its folder.
    pub id: SnapshotId,
    /// The tier whose folder holds it.
    pub home: Tier,
    /// Its record, or what is wrong with it.
    pub record: std::result::Result<SnapshotRecord, String>,
    /// A person said that it is as it should be although it is suspect.
    accepted: bool,
}

impl Found {
    /// When it was made: by its record, or else by its name.
    fn started_at(&self, offset: FixedOffset) -> DateTime<Utc> {
        match &self.record {
            Ok(record) => record.started_at.to_utc(),
            Err(_) => {
                let local = self.id.local();
                (local - chrono::TimeDelta::seconds(offset.local_minus_utc().into())).and_utc()
            }
        }
    }

    /// Whether `latest` may mean it. One whose record is damaged counts: it is to be looked at.
    fn counts(&self) -> bool {
        match &self.record {
            Ok(record) => record.suspect.is_empty() || self.accepted,
            Err(_) => true,
        }
    }
}

/// All snapshots of a destination, oldest first; `offset` is the local one.
///
/// # Errors
/// When the tiers cannot be listed.
pub fn all(store: &Store, offset: FixedOffset) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    for tier in Tier::ALL {
        let Some(dir) = store.tier(tier)? else {
            continue;
        };
        let names = dir
            .names()
            .map_err(|error| store.io("list", tier.folder(), error))?;
        for name in names {
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let folder = dir.stat(&name).is_ok_and(|stat| stat.kind == Kind::Folder);
            if folder && store.records(id)?.is_some() {
                all.push(Found {
                    id,
                    home: tier,
                    record: record(store, id),
                    accepted: store.marks(id).is_ok_and(|marks| marks.accepted),
                });
            }
        }
    }
    all.sort_by_key(|one| (one.started_at(offset), one.id));
    Ok(all)
}

fn record(store: &Store, id: SnapshotId) -> std::result::Result<SnapshotRecord, String> {
    let path = store.named(&record_path(id, SNAPSHOT_FILE));
    match store.record(id) {
        Ok(Some(record)) if record.id == id => Ok(record),
        Ok(Some(record)) => Err(format!("{path} is the record of {}", record.id)),
        Ok(None) => Err(format!("{path} is missing")),
        Err(error) => Err(error.message),
    }
}

/// The place in the list of the snapshot that a person named: `latest`, an id, or `tier/id`.
///
/// # Errors
/// A refusal where there is none of that name, or one that this program did not make.
pub fn find(store: &Store, all: &[Found], name: &str) -> Result<usize> {
    let refused =
        |message: String| Error::refused(message).hint("`backup list` shows all snapshots");
    let name = name.trim_end_matches('/');
    let (tier, name) = match name.split_once('/') {
        Some((tier, id)) => {
            let tier = tier.parse::<Tier>().map_err(|()| {
                refused(format!("`{tier}` is not a tier: daily, weekly or monthly"))
            })?;
            (Some(tier), id)
        }
        None => (None, name),
    };
    if name == "latest" {
        let newest = all.iter().rposition(Found::counts);
        return newest.ok_or_else(|| refused("there is no snapshot yet".to_owned()));
    }
    let id: Option<SnapshotId> = name.parse().ok();
    if let Some(at) = all.iter().position(|one| Some(one.id) == id) {
        // In a tier a snapshot may stand as a link; it is the same snapshot.
        let there = match tier {
            Some(tier) => tier == all[at].home || stands(store, tier, name)?,
            None => true,
        };
        if there {
            return Ok(at);
        }
    }
    let tiers = tier.map_or_else(|| Tier::ALL.to_vec(), |tier| vec![tier]);
    for tier in tiers {
        if stands(store, tier, name)? {
            return Err(refused(format!(
                "{tier}/{name} was not made by this program and has no manifest to compare it with"
            )));
        }
    }
    Err(refused(format!("there is no snapshot `{name}`")))
}

/// Whether anything of this name stands in a tier.
fn stands(store: &Store, tier: Tier, name: &str) -> Result<bool> {
    let Some(dir) = store.tier(tier)? else {
        return Ok(false);
    };
    let single = !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..";
    Ok(single
        && dir
            .look(OsStr::new(name))
            .is_ok_and(|there| there.is_some()))
}
