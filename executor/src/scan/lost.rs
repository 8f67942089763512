//! Snapshots of which there is a record and nothing else.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
};

use rustix::io::Errno;
use schema::SnapshotId;

use crate::{
    error::Result,
    store::{ADOPT, Homes, MOVING, PARTIAL, SNAPSHOT_FILE, SNAPSHOTS, Store, TRASH},
    sys::Listed,
};

/// Snapshots that were sealed and are neither in a tier nor on their way in or out. Those that stood in a
/// tier a moment ago are not asked for.
///
/// # Errors
/// Fails if the records cannot be listed.
pub(crate) fn lost_snapshots(
    store: &Store,
    standing: &HashSet<SnapshotId>,
) -> Result<Vec<SnapshotId>> {
    let io = |error: Errno| store.io("list", SNAPSHOTS, error);
    let records = match store.backup.folder(OsStr::new(SNAPSHOTS)) {
        Ok(records) => records,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let names = records.names().map_err(io)?.into_iter();
    let named = names.filter_map(|name| Some((name.to_str()?.parse().ok()?, name)));
    let others: Vec<(SnapshotId, OsString)> =
        named.filter(|(id, _)| !standing.contains(id)).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    // After the records: what is made meanwhile has none among them.
    let places = Places::of(store);
    let mut lost = Vec::new();
    for (id, name) in others {
        let is_sealed = || {
            records
                .folder(&name)
                .and_then(|folder| folder.look(OsStr::new(SNAPSHOT_FILE)))
                .is_ok_and(|there| there.is_some())
        };
        // What moved while all was listed is asked for once more.
        if places.is_nowhere(id)? && is_sealed() && is_lost(store, id)? {
            lost.push(id);
        }
    }
    lost.sort_unstable();
    Ok(lost)
}

/// Whether a snapshot surely is nowhere at this moment: what cannot be looked at may be there.
///
/// # Errors
/// Fails if the tiers cannot be looked at.
pub(crate) fn is_lost(store: &Store, id: SnapshotId) -> Result<bool> {
    let name = id.to_string();
    let on_its_way = AREAS.iter().any(|area| {
        let there = store
            .backup
            .folder(OsStr::new(area))
            .and_then(|area| area.look(OsStr::new(&name)));
        !matches!(there, Ok(None) | Err(Errno::NOENT))
    });
    let is_adopting = !names_in(store, ADOPT).is_ok_and(|names| names.is_empty());
    Ok(!on_its_way && !is_adopting && store.home_of(id)?.is_none())
}

/// Where snapshots are on their way into a tier or out of it.
const AREAS: [&str; 3] = [PARTIAL, TRASH, MOVING];

/// What stands in an area; nothing where there is no such area.
fn names_in(store: &Store, area: &str) -> std::result::Result<Vec<Listed>, Errno> {
    match store.backup.folder(OsStr::new(area)) {
        Ok(area) => area.list_once(),
        Err(Errno::NOENT) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// All places where a snapshot may stand, each listed once.
struct Places<'a> {
    homes: Homes<'a>,
    /// What is on its way, by its name; none where that cannot be listed.
    on_its_way: Option<HashSet<OsString>>,
    /// An adoption writes its records before it moves what they are of.
    is_adopting: bool,
}

impl<'a> Places<'a> {
    /// The tiers come last: what goes into one meanwhile was on its way before.
    fn of(store: &'a Store) -> Self {
        let mut on_its_way = Some(HashSet::new());
        for area in AREAS {
            match (names_in(store, area), &mut on_its_way) {
                (Ok(listed), Some(all)) => all.extend(listed.into_iter().map(|one| one.name)),
                (Err(_), all) => *all = None,
                (Ok(_), None) => {}
            }
        }
        Self {
            on_its_way,
            is_adopting: !names_in(store, ADOPT).is_ok_and(|names| names.is_empty()),
            homes: store.homes(),
        }
    }

    fn is_nowhere(&self, id: SnapshotId) -> Result<bool> {
        let name = OsString::from(id.to_string());
        let is_on_its_way = self
            .on_its_way
            .as_ref()
            .is_none_or(|all| all.contains(&name));
        Ok(!is_on_its_way && !self.is_adopting && self.homes.home_of(id)?.is_none())
    }
}
