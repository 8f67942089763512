//! `by-time/ID`: a link to each snapshot in one folder, whatever tier holds it, for programs that show previous
//! versions: Samba's shadow_copy2, httm, file managers.
//!
//! Nothing is decided by these links and nothing is read through them: they follow from where the snapshots
//! stand, so no plan names them, and what keeps them from being made is no failure of anything. A link is made
//! after its snapshot is there, leads to a moved one before the way from its old tier goes, and goes before its
//! snapshot does. So none leads nowhere; whoever takes the destination's lock makes up what a kill left.

use std::{collections::BTreeMap, ffi::OsStr};

use rustix::io::Errno;
use schema::{SnapshotId, Tier};

use super::moving::{link_to, remove_link};
use crate::{
    error::Result,
    store::{BY_TIME, Store},
    sys::{Dir, distance::is_distant},
};

/// Makes the link to a snapshot, or has it lead to where the snapshot is now.
pub(crate) fn link_by_time(store: &Store, id: SnapshotId, home: Tier) {
    let linked = twice(|| match folder(store, true)? {
        Some(dir) => link_to(store, &dir, BY_TIME, id, &target(id, home)),
        None => Ok(()),
    });
    // The way that it leads by is about to go. To remove one takes no room, and what is missing is made up.
    if linked.is_err() {
        unlink_by_time(store, id);
    }
}

/// Removes the link to a snapshot that is about to go.
pub(crate) fn unlink_by_time(store: &Store, id: SnapshotId) {
    let name = id.to_string();
    let name = OsStr::new(&name);
    let _ = twice(|| {
        let Some(dir) = folder(store, false)? else {
            return Ok(());
        };
        let io = |error: Errno| store.io("remove", &format!("{BY_TIME}/{id}"), error);
        // To last before the snapshot goes, so that no power cut leaves a link to nothing.
        remove_link(&dir, name).map_err(io)
    });
}

/// Does something, once more where it fails; then it is left to the next run.
fn twice(change: impl Fn() -> Result<()>) -> Result<()> {
    change().or_else(|_| change())
}

/// Makes a link to each snapshot that has none, and removes those that lead to none.
pub(crate) fn mend_by_time(store: &Store) {
    let _ = mend(store);
}

fn mend(store: &Store) -> Result<()> {
    let homes = store.homes().all()?;
    let Some(dir) = folder(store, !homes.is_empty())? else {
        return Ok(());
    };
    let io = |error: Errno| store.io("look at", BY_TIME, error);
    let listed = dir.list_once().map_err(io)?;
    let there: BTreeMap<SnapshotId, &OsStr> = listed
        .iter()
        .filter_map(|one| Some((one.name.to_str()?.parse().ok()?, one.name.as_os_str())))
        .collect();
    for (id, name) in &there {
        if !homes.contains_key(id) {
            remove_link(&dir, name).map_err(io)?;
        }
    }
    // One that is there leads to its snapshot by way of an old tier at worst; far away each look is a request.
    let looks = !is_distant(&dir);
    for (id, home) in &homes {
        let wanted = target(*id, *home);
        let leads_there =
            |name: &OsStr| dir.read_symlink(name).is_ok_and(|to| to == wanted.as_str());
        if !there
            .get(id)
            .is_some_and(|name| !looks || leads_there(name))
        {
            link_to(store, &dir, BY_TIME, *id, &wanted)?;
        }
    }
    Ok(())
}

/// The folder of the links, which is made if it is to be; none where the destination holds no links, or
/// something else has the name.
fn folder(store: &Store, is_made: bool) -> Result<Option<Dir>> {
    let name = OsStr::new(BY_TIME);
    if is_made && !store.has_symlinks()? {
        return Ok(None);
    }
    let opened = match is_made {
        true => store
            .root
            .stat_self()
            .and_then(|root| store.root.folder_or_new(name, root.mode)),
        false => store.root.folder(name),
    };
    match opened {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(store.io("open", BY_TIME, error)),
    }
}

fn target(id: SnapshotId, home: Tier) -> String {
    format!("../{home}/{id}")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{
        store::{BACKUP, MOVING},
        sys::resolve::resolve,
    };

    #[test]
    fn a_link_that_cannot_follow_its_snapshot_goes() {
        let folder = tempfile::tempdir().unwrap();
        let host = folder.path().join("host");
        fs::create_dir_all(host.join(BACKUP)).unwrap();
        let mount = resolve(folder.path()).unwrap().folder().unwrap();
        let path = folder.path().to_str().unwrap();
        let store = Store::open(&mount, path, "host").unwrap().unwrap();
        let id: SnapshotId = "2025-01-12_02-00-00".parse().unwrap();
        let link = host.join(BY_TIME).join(id.to_string());
        link_by_time(&store, id, Tier::Daily);
        let leads_to = |tier: Tier| {
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(&target(id, tier)));
        };
        leads_to(Tier::Daily);
        link_by_time(&store, id, Tier::Weekly);
        leads_to(Tier::Weekly);
        // Where a link is made before it takes the place of another.
        let beside = host.join(BACKUP).join(MOVING);
        fs::remove_dir_all(&beside).unwrap();
        fs::write(&beside, "").unwrap();
        link_by_time(&store, id, Tier::Monthly);
        assert!(link.symlink_metadata().is_err());
        fs::remove_file(&beside).unwrap();
        link_by_time(&store, id, Tier::Monthly);
        leads_to(Tier::Monthly);
    }
}
