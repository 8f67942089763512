//! Moves a snapshot to another tier so that every link to it resolves at every instant.
//!
//! Two exchanges by way of a folder in `.backup`, because a link that is exchanged with the folder
//! it leads to leads to itself on one side of the exchange. At each instant the name in the old
//! tier is the snapshot or leads to it:
//!
//! 1. the folder is exchanged with a link `moving/ID` that from the old tier leads to `moving/ID`;
//! 2. in the new tier a link to `moving/ID` is made, and the old tier's name leads there;
//! 3. the folder is exchanged with the new tier's link.
//!
//! A snapshot that is a read-only subvolume cannot be moved: it is writable on the way. Whoever takes the
//! destination's lock next makes it read-only again ([`lock_snapshots`]) where that was cut short.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{SnapshotId, Tier, plan::Move};

use crate::{
    error::Result,
    store::{BACKUP, MOVING, Store},
    sys::{Dir, Kind, subvolume::is_btrfs},
};

/// A link before it gets its name.
const BESIDE: &str = "link";

/// Moves a snapshot, leaving a link to it where it was; false where the file system cannot
/// exchange two names, and nothing was done.
///
/// # Errors
/// Fails if the destination cannot be read or written.
pub(super) fn promote_snapshot(store: &Store, change: &Move, from: &Dir, to: &Dir) -> Result<bool> {
    let id = change.id.to_string();
    let name = OsStr::new(&id);
    let at = format!("{BACKUP}/{MOVING}/{id}");
    let io = |error: Errno| store.io("move by", &at, error);
    let moving = store.area(MOVING)?;
    clear_name(&moving, name).map_err(io)?;
    match moving.make_symlink(OsStr::new(&link_target(&id)), name) {
        Ok(()) => {}
        Err(error) if lacks_exchange(error) => return Ok(false),
        Err(error) => return Err(io(error)),
    }
    from.unlock_subvolume(name).map_err(io)?;
    match moving.exchange(name, from, name) {
        Ok(()) => {}
        Err(error) if lacks_exchange(error) => {
            clear_name(&moving, name).map_err(io)?;
            return Ok(false);
        }
        Err(error) => return Err(io(error)),
    }
    from.sync().map_err(io)?;
    moving.sync().map_err(io)?;
    arrive_in_tier(
        store,
        &moving,
        (change.from, from),
        (change.to, to),
        change.id,
    )?;
    Ok(true)
}

/// From the way to the new tier.
fn arrive_in_tier(
    store: &Store,
    moving: &Dir,
    (_, from): (Tier, &Dir),
    (tier, to): (Tier, &Dir),
    id: SnapshotId,
) -> Result<()> {
    let text = id.to_string();
    let name = OsStr::new(&text);
    let at = format!("{tier}/{text}");
    let io = |error: Errno| store.io("move to", &at, error);
    replace_link(moving, to, name, &link_target(&text)).map_err(io)?;
    // The new tier may be as new as its link, and the old tier's is going to lead there.
    to.sync().and_then(|()| store.root.sync()).map_err(io)?;
    replace_link(moving, from, name, &format!("../{tier}/{text}")).map_err(io)?;
    from.sync().map_err(io)?;
    to.sync().map_err(io)?;
    moving.exchange(name, to, name).map_err(io)?;
    to.sync().map_err(io)?;
    let _ = to.lock_subvolume(name);
    clear_name(moving, name)
        .and_then(|()| moving.sync())
        .map_err(io)
}

/// Makes read-only each snapshot that is a subvolume and is not: of a run that was killed between that
/// and the rename. What cannot be done is left: the run tells that of the snapshot that it makes, and no run
/// believes that nothing was written to one that was open.
pub(crate) fn lock_snapshots(store: &Store) {
    // Nowhere else are there any, and no folder of many snapshots is looked through for them.
    if !is_btrfs(&store.root) {
        return;
    }
    for tier in Tier::ALL {
        let Ok(Some(dir)) = store.tier(tier) else {
            continue;
        };
        for one in dir.list().unwrap_or_default() {
            let id = one.name.to_str().map(str::parse::<SnapshotId>);
            if one.is_folder() && matches!(id, Some(Ok(_))) {
                let _ = dir.lock_subvolume(&one.name);
            }
        }
    }
}

/// Ends moves that were interrupted: each snapshot on the way comes to a tier whose name leads to
/// it, else to the daily one.
///
/// # Errors
/// Fails if the destination cannot be read or written.
pub(crate) fn finish_moves(store: &Store) -> Result<()> {
    let moving = match store.backup.folder(OsStr::new(MOVING)) {
        Ok(moving) => moving,
        // Something else of that name holds no snapshots.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(error) => return Err(store.io("open", &format!("{BACKUP}/{MOVING}"), error)),
    };
    let at = format!("{BACKUP}/{MOVING}");
    let io = |error: Errno| store.io("look at", &at, error);
    for name in moving.names().map_err(io)? {
        let name = name.as_os_str();
        let stat = moving.look(name).map_err(io)?;
        match stat.map(|stat| stat.kind) {
            Some(Kind::Symlink) => clear_name(&moving, name).map_err(io)?,
            Some(Kind::Folder) => {
                if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
                    finish_one(store, &moving, id)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn finish_one(store: &Store, moving: &Dir, id: SnapshotId) -> Result<()> {
    let text = id.to_string();
    let name = OsStr::new(&text);
    let at = format!("{BACKUP}/{MOVING}/{text}");
    let io = |error: Errno| store.io("move from", &at, error);
    moving.unlock_subvolume(name).map_err(io)?;
    let mut here = Vec::new();
    for tier in Tier::ALL.into_iter().rev() {
        let Some(dir) = store.tier(tier)? else {
            continue;
        };
        let is_link = dir.look(name).map_err(io)?.map(|stat| stat.kind) == Some(Kind::Symlink);
        if is_link && dir.read_symlink(name).map_err(io)? == link_target(&text).as_str() {
            here.push((tier, dir));
        }
    }
    let Some((tier, to)) = here.first() else {
        if let Some(daily) = store.tier(Tier::Daily)? {
            let there = daily.look(name).map_err(io)?;
            match there.map(|stat| stat.kind) {
                None => moving.rename_new(name, &daily, name).map_err(io)?,
                // After a power cut it may lead to a tier that never got it.
                Some(Kind::Symlink) if store.home_of(id)?.is_none() => {
                    moving.exchange(name, &daily, name).map_err(io)?;
                    daily.sync().map_err(io)?;
                    clear_name(moving, name).map_err(io)?;
                }
                Some(_) => return Ok(()),
            }
            return daily.sync().and_then(|()| moving.sync()).map_err(io);
        }
        return Ok(());
    };
    for (_, other) in &here[1..] {
        replace_link(moving, other, name, &format!("../{tier}/{text}")).map_err(io)?;
        other.sync().map_err(io)?;
    }
    moving.exchange(name, to, name).map_err(io)?;
    to.sync().map_err(io)?;
    clear_name(moving, name)
        .and_then(|()| moving.sync())
        .map_err(io)
}

/// Makes a link to a snapshot in a folder of the host's, or has it lead elsewhere, at one instant; what is no
/// link stays.
///
/// # Errors
/// Fails if the destination cannot be read or written.
pub(super) fn link_to(
    store: &Store,
    dir: &Dir,
    folder: &str,
    id: SnapshotId,
    target: &str,
) -> Result<()> {
    let text = id.to_string();
    let name = OsStr::new(&text);
    let io = |error: Errno| store.io("link", &format!("{folder}/{text}"), error);
    match dir.look(name).map_err(io)?.map(|stat| stat.kind) {
        None => match dir.make_symlink(OsStr::new(target), name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(io(error)),
        },
        Some(Kind::Symlink) if dir.read_symlink(name).map_err(io)? != target => {
            replace_link(&store.area(MOVING)?, dir, name, target).map_err(io)
        }
        Some(_) => Ok(()),
    }
}

/// Replaces a link by another, or makes it.
fn replace_link(
    moving: &Dir,
    dir: &Dir,
    name: &OsStr,
    target: &str,
) -> std::result::Result<(), Errno> {
    let beside = OsStr::new(BESIDE);
    clear_name(moving, beside)?;
    moving.make_symlink(OsStr::new(target), beside)?;
    moving.rename_to(beside, dir, name)
}

/// Removes a link of a folder of the host's, if there is one, and has that last; anything else of the name stays.
pub(super) fn remove_link(dir: &Dir, name: &OsStr) -> std::result::Result<(), Errno> {
    let there = dir.look(name)?;
    if there.is_none_or(|stat| stat.kind != Kind::Symlink) {
        return Ok(());
    }
    dir.remove_file(name)?;
    dir.sync()
}

/// Removes what has a name in the folder of moves, if anything has.
fn clear_name(dir: &Dir, name: &OsStr) -> std::result::Result<(), Errno> {
    match dir.remove_file(name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What leads from a tier to a snapshot on its way.
fn link_target(id: &str) -> String {
    format!("../{BACKUP}/{MOVING}/{id}")
}

/// Whether the file system lacks links or the exchange of two names. Some FUSE programs pass the flag
/// over and rename a link onto a folder, which no system does.
fn lacks_exchange(error: Errno) -> bool {
    matches!(
        error,
        Errno::INVAL
            | Errno::NOSYS
            | Errno::NOTSUP
            | Errno::PERM
            | Errno::ACCESS
            | Errno::ISDIR
            | Errno::NOTDIR
    )
}
