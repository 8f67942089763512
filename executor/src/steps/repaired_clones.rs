//! Snapshots that are subvolumes are healed as clones, each of which takes its snapshot's place at one
//! instant.
//!
//! Invariant (law 5): nothing is written to a published snapshot. A clone is on disk, whole, before it is
//! exchanged with it; what was there before is removed with the rest of the area, now or by the next run.

use std::{collections::BTreeSet, ffi::OsStr};

use rustix::io::Errno;
use schema::SnapshotId;

use crate::{
    error::Result,
    event::Context,
    remove::remove_tree,
    store::Store,
    sys::Dir,
    watch::{Storing, WHOLE},
};

/// The clones that stand in the area.
#[derive(Default)]
pub(super) struct RepairedClones {
    made: BTreeSet<SnapshotId>,
    changed: BTreeSet<SnapshotId>,
}

impl RepairedClones {
    /// The clone of a snapshot, made now if it is not there.
    pub(super) fn tree_of(
        &mut self,
        area: &Dir,
        id: SnapshotId,
        tree: &Dir,
    ) -> std::result::Result<Dir, Errno> {
        let name = id.to_string();
        let name = OsStr::new(&name);
        if !self.made.contains(&id) {
            area.clone_subvolume(tree, name)?;
            self.made.insert(id);
        }
        area.folder(name)
    }

    /// Something in the clone of a snapshot is as it should be again.
    pub(super) fn change(&mut self, id: SnapshotId) {
        self.changed.insert(id);
    }

    /// Puts each clone that was changed in its snapshot's place.
    pub(super) fn publish_all(
        &self,
        store: &Store,
        area: &Dir,
        context: Context<'_>,
    ) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        context.stop.check()?;
        let storing = Storing::new(area, WHOLE);
        let synced = area.sync_file_system();
        drop(storing);
        synced.map_err(|error| store.io("sync", "the repaired snapshots", error))?;
        for id in &self.changed {
            publish(store, area, *id)?;
        }
        Ok(())
    }
}

fn publish(store: &Store, area: &Dir, id: SnapshotId) -> Result<()> {
    let text = id.to_string();
    let name = OsStr::new(&text);
    let Some(home) = store.home_of(id)? else {
        // Somebody removed it meanwhile.
        return Ok(());
    };
    let Some(tier) = store.tier(home)? else {
        return Ok(());
    };
    let at = format!("{home}/{text}");
    let replaced = tier
        .unlock_subvolume(name)
        .and_then(|_| area.exchange(name, &tier, name))
        .and_then(|()| tier.sync())
        .and_then(|()| area.sync());
    // Whichever stands there now. The next run tries again what cannot be done.
    let _ = tier.lock_subvolume(name);
    replaced.map_err(|error| store.io("replace", &at, error))
}

/// Removes the clones, or what they took the place of, that stand in the area.
pub(super) fn remove_clones(area: &Dir, named: &str, context: Context<'_>) -> Result<()> {
    for name in area.names().unwrap_or_default() {
        if matches!(area.subvolume(&name), Ok(Some(_))) {
            let path = format!("{named}/{}", name.to_string_lossy());
            remove_tree(area, &name, &path, context)?;
        }
    }
    Ok(())
}
