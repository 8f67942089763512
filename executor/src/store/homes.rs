//! Where the trees of all snapshots stand, found by listing each tier once.

use std::{collections::HashMap, ffi::OsStr};

use rustix::io::Errno;
use schema::{SnapshotId, Tier};

use super::Store;
use crate::{
    error::{Error, Result},
    sys::{Dir, Kind, Listed},
};

/// Where the trees of all snapshots stood a moment ago.
#[derive(Debug)]
pub struct Homes<'a> {
    store: &'a Store,
    tiers: HashMap<SnapshotId, Tier>,
    /// Whether all tiers that are there were listed.
    is_whole: bool,
}

impl Store {
    /// Lists the tiers, to ask of many snapshots where they stand.
    #[must_use]
    pub fn homes(&self) -> Homes<'_> {
        let mut tiers = HashMap::new();
        let mut is_whole = true;
        for tier in Tier::ALL {
            let opened = self.root.folder(OsStr::new(tier.folder()));
            let listed = opened.and_then(|dir| Ok((dir.list_once()?, dir)));
            let (listed, dir) = match listed {
                Ok(listed) => listed,
                // As where one is looked for alone, see `home_of`.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(_) => {
                    is_whole = false;
                    continue;
                }
            };
            for one in listed {
                let Some(id) = one.name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                match is_folder(&dir, &one) {
                    Ok(true) => {
                        tiers.entry(id).or_insert(tier);
                    }
                    Ok(false) => {}
                    Err(_) => is_whole = false,
                }
            }
        }
        Homes {
            store: self,
            tiers,
            is_whole,
        }
    }
}

impl Homes<'_> {
    /// All snapshots, each with the tier whose folder holds it.
    ///
    /// # Errors
    /// Fails if a tier could not be listed.
    pub fn all(self) -> Result<HashMap<SnapshotId, Tier>> {
        match self.is_whole {
            true => Ok(self.tiers),
            false => Err(Error::failed("not all tiers can be listed")),
        }
    }

    /// The tier whose folder holds a snapshot's tree, as [`Store::home_of`] says it.
    ///
    /// # Errors
    /// Fails if a tier cannot be looked at.
    pub fn home_of(&self, id: SnapshotId) -> Result<Option<Tier>> {
        match self.is_whole {
            true => Ok(self.tiers.get(&id).copied()),
            false => self.store.home_of(id),
        }
    }
}

/// Whether an entry that a folder lists is a folder; it is looked at where its folder does not say so.
fn is_folder(dir: &Dir, one: &Listed) -> std::result::Result<bool, Errno> {
    if one.kind.is_some() {
        return Ok(one.is_folder());
    }
    let stat = dir.look(&one.name)?;
    Ok(stat.is_some_and(|stat| stat.kind == Kind::Folder))
}
