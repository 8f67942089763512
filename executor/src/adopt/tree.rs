//! Walks the trees that are adopted as a whole, and learns what they share with each other.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    sync::LazyLock,
};

use rustix::io::Errno;
use schema::{
    Digest, SnapshotId, StoredPath, StoredPathBuf, Tier, config::AbsolutePath, pattern::Excludes,
};

use crate::{
    error::{Error, Result},
    event::Context,
    manifest::Cursor,
    store::Store,
    survey::Bounds,
    sys::{Dir, Kind, Stat, bytes},
    walk::{Visit, Walk},
};

static NOTHING: LazyLock<Excludes> = LazyLock::new(Excludes::default);

/// Stored inodes that several snapshots may have, by [`Stat::identity`]: the digest of their content and
/// the snapshot that first stored it.
pub(crate) type KnownInodes = HashMap<u64, (Digest, SnapshotId)>;

/// A tree to read.
pub(crate) struct Tree<'a> {
    /// The snapshot that it becomes.
    pub(crate) id: SnapshotId,
    /// Its path in the snapshot.
    pub(crate) at: StoredPathBuf,
    /// The folder that holds it, and its name there.
    pub(crate) parent: Dir,
    pub(crate) name: OsString,
    /// The configured sources.
    pub(crate) sources: &'a [AbsolutePath],
}

impl Tree<'_> {
    /// The number of the file system that the destination's own folder is on.
    pub(crate) fn device(&self) -> Result<u64> {
        let stat = self.parent.stat_self();
        stat.map(|stat| stat.dev)
            .map_err(|error| Error::io("look at", bytes(&self.name), error))
    }

    pub(crate) fn walk(&self) -> Result<Walk<'static>> {
        let io = |error: Errno| Error::io("look at", bytes(&self.name), error);
        let stat = self.parent.stat(&self.name).map_err(io)?;
        let parent = self.parent.again().map_err(io)?;
        Ok(walk_whole(parent, self.name.clone(), &stat))
    }

    /// The path in the snapshot of a path in the tree.
    pub(crate) fn path(&self, path: &StoredPath) -> StoredPathBuf {
        self.at.join(path)
    }
}

pub(crate) fn walk_whole(parent: Dir, name: OsString, stat: &Stat) -> Walk<'static> {
    let bounds = Bounds {
        excludes: &NOTHING,
        one_file_system: true,
        never: &[],
    };
    Walk::new(parent, name, stat, bounds)
}

/// Inodes that have several names in this tree: one file with several names, as its source was.
pub(crate) fn group_inodes(tree: &Tree<'_>, context: Context<'_>) -> Result<HashSet<u64>> {
    let mut seen: HashMap<u64, bool> = HashMap::new();
    for visit in tree.walk()? {
        context.stop.check()?;
        if let Visit::Leaf(stat) = visit
            && stat.nlink > 1
        {
            seen.entry(stat.ino)
                .and_modify(|again| *again = true)
                .or_insert(false);
        }
    }
    seen.retain(|_, again| *again);
    Ok(seen.into_keys().collect())
}

/// Learns which inodes of a snapshot have which content, of all or of some.
pub(crate) fn learn_from_manifest(
    store: &Store,
    id: SnapshotId,
    home: Tier,
    wanted: Option<&HashSet<u64>>,
    known: &mut KnownInodes,
    context: Context<'_>,
) -> Result<()> {
    let dir = store.snapshot(home, id)?;
    let io = |error: Errno| store.io("look at", &format!("{home}/{id}"), error);
    let mut walk = walk_whole(
        dir.again().map_err(io)?,
        ".".into(),
        &dir.stat_self().map_err(io)?,
    );
    let mut cursor = Cursor::new(store.rest_of_manifest(id)?);
    let device = store.root.stat_self().map_err(io)?.dev;
    // What other tools made shares nothing with a subvolume.
    let is_wanted = |stat: &Stat| match wanted {
        Some(wanted) => wanted.contains(&stat.identity(device)),
        None => stat.nlink > 1 && stat.dev == device,
    };
    while let Some(visit) = walk.next() {
        context.stop.check()?;
        if let Visit::Leaf(stat) = visit
            && stat.kind == Kind::File
            && is_wanted(&stat)
            && !known.contains_key(&stat.identity(device))
            && let Some(entry) = cursor
                .find(walk.path())
                .map_err(|error| store.io("read", &format!("the manifest of {id}"), error))?
            && let (Some(digest), Some(stored)) = (entry.digest, entry.stored)
        {
            known.insert(stat.identity(device), (digest, stored));
        }
    }
    Ok(())
}
