//! The second look: every name that shares a damaged inode, in all snapshots.
//!
//! Only made where there is damage, so that a pass without any remembers no names.

use std::{
    collections::{BTreeSet, HashMap},
    os::unix::ffi::OsStrExt as _,
};

use schema::{StoredPathBuf, escape, verify::StoredName};

use super::snapshots::FoundSnapshot;
use crate::{
    error::Result,
    event::Stop,
    store::Store,
    sys::{Dir, Kind},
};

/// A damaged inode.
#[derive(Debug, Default)]
pub(super) struct WantedNames {
    /// How many names it has: everywhere, or in each clone that has it.
    pub(super) links: u32,
    /// It is in a subvolume.
    pub(super) is_cloned: bool,
    /// Paths at which it was met.
    pub(super) paths: BTreeSet<StoredPathBuf>,
    /// Its names.
    pub(super) names: BTreeSet<StoredName>,
}

impl WantedNames {
    /// Whether no further names need be looked for. A clone has what it shares at the same paths.
    fn are_all(&self) -> bool {
        let count = match self.is_cloned {
            true => self
                .names
                .iter()
                .map(|name| &name.path)
                .collect::<BTreeSet<_>>()
                .len(),
            false => self.names.len(),
        };
        count as u64 >= u64::from(self.links)
    }
}

/// Finds all names of these inodes, by their identities, on a destination whose own folder is on
/// `device`.
pub(super) fn find_names(
    (store, device): (&Store, u64),
    all: &[FoundSnapshot],
    wanted: &mut HashMap<u64, WantedNames>,
    stop: &Stop,
) -> Result<()> {
    // Most files stand at the same path in every snapshot.
    for found in all {
        let Ok(tree) = store.snapshot(found.home, found.id) else {
            continue;
        };
        for (inode, one) in wanted.iter_mut() {
            stop.check()?;
            for path in &one.paths {
                let there = tree.descend(path).and_then(|(dir, name)| dir.stat(name));
                if there
                    .is_ok_and(|stat| stat.identity(device) == *inode && stat.kind != Kind::Folder)
                {
                    one.names.insert(StoredName {
                        snapshot: found.id,
                        path: path.escaped(),
                    });
                }
            }
        }
    }
    if wanted.values().all(WantedNames::are_all) {
        return Ok(());
    }
    for found in all {
        if let Ok(tree) = store.snapshot(found.home, found.id) {
            walk_tree((&tree, device), found, wanted, stop)?;
        }
    }
    Ok(())
}

/// Looks at every name of a snapshot.
fn walk_tree(
    (tree, device): (&Dir, u64),
    found: &FoundSnapshot,
    wanted: &mut HashMap<u64, WantedNames>,
    stop: &Stop,
) -> Result<()> {
    let opened = tree.again().and_then(|dir| Ok((dir.names()?, dir)));
    let Ok((names, dir)) = opened else {
        return Ok(());
    };
    let mut path = StoredPathBuf::new();
    let mut stack = vec![(dir, names, 0)];
    while let Some((dir, names, length)) = stack.last_mut() {
        stop.check()?;
        path.truncate(*length);
        let Some(name) = names.pop() else {
            stack.pop();
            continue;
        };
        path.push(name.as_bytes());
        // What cannot be looked at was told by the first look.
        let Ok(stat) = dir.stat(&name) else { continue };
        if stat.kind != Kind::Folder {
            if let Some(one) = wanted.get_mut(&stat.identity(device)) {
                one.names.insert(StoredName {
                    snapshot: found.id,
                    path: path.escaped(),
                });
            }
            continue;
        }
        if let Ok((below, names)) = dir
            .folder(&name)
            .and_then(|below| below.names().map(|names| (below, names)))
        {
            let length = path.len();
            stack.push((below, names, length));
        }
    }
    Ok(())
}

/// Whether a name leads to this inode.
pub(super) fn leads_to(store: &Store, name: &StoredName, inode: u64) -> bool {
    let Some(path) = escape::unescape(&name.path) else {
        return false;
    };
    let Ok(Some(home)) = store.home_of(name.snapshot) else {
        return false;
    };
    let Ok(tree) = store.snapshot(home, name.snapshot) else {
        return false;
    };
    let there = tree.descend(&path).and_then(|(dir, name)| dir.stat(name));
    there.is_ok_and(|stat| stat.ino == inode && stat.kind != Kind::Folder)
}

/// The path of a name as the kernel has it.
pub(super) fn path_of(name: &StoredName) -> StoredPathBuf {
    let path = escape::unescape(&name.path);
    path.unwrap_or_else(|| name.path.as_bytes().to_vec()).into()
}
