//! Files of whole snapshots that share an inode with a snapshot that somebody changed: hard links make
//! one file of many, so whoever changed it there changed it here too. Writes nothing.

use chrono::{DateTime, FixedOffset};
use schema::{
    SnapshotId, StoredPath, Tier, escape,
    verify::{DamagedFile, StoredName},
};

use super::pass::MOST;
use crate::{
    copy::{Copier, CopyError},
    error::Result,
    event::Context,
    manifest::{Cursor, Entry},
    store::Store,
    sys::{Dir, Kind, Stat},
};

/// The files of a whole snapshot, `id` in tier `home`, whose content is not what its manifest says,
/// as far as the manifests of changed ones give them away: same size and time, and another digest.
///
/// # Errors
/// An interruption. What cannot be read gives nothing away.
pub fn find_forged(
    store: &Store,
    (id, home): (SnapshotId, Tier),
    changed: &[SnapshotId],
    context: Context<'_>,
) -> Result<Vec<DamagedFile>> {
    let mut found = Vec::new();
    let Ok(tree) = store.snapshot(home, id) else {
        return Ok(found);
    };
    let mut copier = Copier::default();
    for other in changed {
        let (Ok(whole), Ok(other)) = (store.manifest(id), store.manifest(*other)) else {
            continue;
        };
        let mut other = Cursor::new(other);
        for entry in whole {
            context.stop.check()?;
            let Ok(entry) = entry else {
                break;
            };
            if entry.kind != Kind::File || entry.digest.is_none() {
                continue;
            }
            let Ok(there) = other.find(&entry.path) else {
                break;
            };
            let is_suspicious = |there: Entry| {
                (there.size, there.mtime) == (entry.size, entry.mtime)
                    && there.digest != entry.digest
            };
            if !there.is_some_and(is_suspicious) {
                continue;
            }
            let now = context.clock.now();
            let forged = forged_file(&tree, id, &entry, &mut copier, now, context)?;
            let is_new = |one: &DamagedFile| {
                let mut known = found.iter();
                !known.any(|known: &DamagedFile| known.inode == one.inode)
            };
            found.extend(forged.filter(is_new));
            if found.len() >= MOST {
                return Ok(found);
            }
        }
    }
    found.sort_by_key(|one| one.inode);
    Ok(found)
}

/// The file of an entry, if its content is not what the entry says.
fn forged_file(
    tree: &Dir,
    id: SnapshotId,
    entry: &Entry,
    copier: &mut Copier,
    now: DateTime<FixedOffset>,
    context: Context<'_>,
) -> Result<Option<DamagedFile>> {
    let path: &StoredPath = entry.stored_path();
    let opened = tree.descend(path).and_then(|(dir, name)| dir.file(name));
    let Ok(file) = opened else {
        return Ok(None);
    };
    let Ok(stat) = Stat::of_fd(&file) else {
        return Ok(None);
    };
    let read = copier.digest(&file, stat.allocated < stat.size, &mut |_| {
        context.stop.check()
    });
    let digest = match read {
        Ok(read) => read.digest,
        Err(CopyError::Ended(error)) => return Err(error),
        Err(CopyError::Read(_) | CopyError::Write(_)) => return Ok(None),
    };
    Ok((Some(digest) != entry.digest).then(|| DamagedFile {
        inode: stat.ino,
        names: vec![StoredName {
            snapshot: id,
            path: escape::escape(&entry.path),
        }],
        expected: entry.digest,
        found_at: now,
    }))
}
