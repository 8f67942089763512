//! Scans the destination as it is found; writes nothing.

use std::{ffi::OsStr, io};

use rustix::io::Errno;
use schema::{
    FailureCode, SnapshotId,
    config::Local,
    escape,
    inventory::{DestinationState, Leftover, NeighbourHost},
    record::{Capabilities, RotationRecord},
};

use super::{
    lost::lost_snapshots,
    tiers::{in_the_way, scan_tiers},
};
use crate::{
    error::{Result, failure_code, system_reason},
    event::Context,
    state_dir::RecordIndex,
    store::{BACKUP, LATEST, PARTIAL, RecordRoom, SNAPSHOTS, Store, TRASH},
    survey::Bounds,
    sys::{
        Dir, Kind, Stat, bytes,
        location::locate,
        mounts,
        resolve::{Resolved, resolve},
        uuid,
    },
    view::look_at_view,
    walk::{Visit, Walk},
};

/// Looks at the destination of a configuration.
///
/// `index` gives the index of a destination's records by its id; what was read beside it is noted there.
///
/// # Errors
/// Fails if it is there and cannot be read, or an interruption.
pub fn scan_destination(
    local: &Local,
    folder: &str,
    index: &dyn Fn(&str) -> RecordIndex,
    context: Context<'_>,
) -> Result<(DestinationState, RecordIndex)> {
    let mut used = RecordIndex::empty();
    let state = scan_with(local, folder, (index, &mut used), context)?;
    Ok((state, used))
}

fn scan_with(
    local: &Local,
    folder: &str,
    index: (&dyn Fn(&str) -> RecordIndex, &mut RecordIndex),
    context: Context<'_>,
) -> Result<DestinationState> {
    let mut state = DestinationState::absent(local.mount_point.clone());
    let host_folder = format!(
        "{}/{folder}",
        local.mount_point.as_str().trim_end_matches('/')
    );
    let view = |root: Option<&Dir>| {
        let found = look_at_view(&host_folder, root);
        (local.readable_by_users || found.is_there).then_some(found)
    };
    state.user_view = view(None);
    let opened = resolve(local.mount_point.as_path()).and_then(|resolved| {
        let dir = resolved.folder()?;
        let stat = dir.stat_self()?;
        Ok((resolved, dir, stat))
    });
    let (resolved, dir, stat) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let error = io::Error::from(error);
            state.absent_code = failure_code(&error);
            state.absent_because = Some(system_reason(&error));
            return Ok(state);
        }
    };
    scan_mount(&mut state, &resolved, &dir, &stat);
    // What stands on the root disk below an unmounted mount point is not the destination.
    if local.require_mount && !state.mounted {
        return Ok(state);
    }
    let store = match Store::open(&dir, local.mount_point.as_str(), folder) {
        Ok(Some(store)) => store,
        Ok(None) => {
            state.beside = scan_neighbours(&dir, local.mount_point.as_str());
            return Ok(state);
        }
        Err(error) if error.code == Some(FailureCode::InTheWay) => {
            state.record_fault = Some(error.message);
            state.record_fault_code = error.code;
            return Ok(state);
        }
        Err(error) => return Err(error),
    };
    state.user_view = view(Some(&store.root));
    scan_store(&store, &mut state, index, context)?;
    Ok(state)
}

/// What is mounted there, and how much it holds.
fn scan_mount(state: &mut DestinationState, resolved: &Resolved, dir: &Dir, stat: &Stat) {
    state.present = true;
    state.mounted = mounts::is_mounted(stat);
    let all = mounts::all_mounts().unwrap_or_default();
    state.place = Some(locate(resolved, stat, &all));
    if let Some(mount) = mounts::mount_of(&all, stat) {
        state.read_only = mount.read_only;
        state.file_system = Some(mount.file_system.clone());
        state.file_system_uuid = uuid::file_system_uuid(dir, mount);
        state.expected_capabilities = Capabilities::of_type(&mount.file_system);
    }
    if let Ok(size) = rustix::fs::fstatvfs(dir) {
        state.free_bytes = size.f_bavail.saturating_mul(size.f_frsize);
        state.total_bytes = size.f_blocks.saturating_mul(size.f_frsize);
        // btrfs and others make inodes as needed and say 0.
        state.free_inodes = (size.f_files > 0).then_some(size.f_favail);
    }
}

/// What stands in this host's folder.
fn scan_store(
    store: &Store,
    state: &mut DestinationState,
    (index_of, index): (&dyn Fn(&str) -> RecordIndex, &mut RecordIndex),
    context: Context<'_>,
) -> Result<()> {
    match store.destination() {
        Ok(record) => state.record = record,
        Err(error) => {
            state.record_fault = Some(error.message);
            state.record_fault_code = error.code;
        }
    }
    if let Some(record) = &state.record {
        *index = index_of(&record.id);
    }
    scan_tiers(store, state, index, RecordRoom::default());
    match store.rotation() {
        Ok(rotation) => state.rotation = rotation,
        Err(error) => {
            state.rotation = after_newest(state);
            state.rotation_fault = Some(error.message);
        }
    }
    state.latest = match store.root.read_symlink(OsStr::new(LATEST)) {
        Ok(target) => Some(escape::display(bytes(&target))),
        Err(_) => None,
    };
    if store.closed {
        return Ok(());
    }
    state.partial = scan_leftovers(store, PARTIAL, state, context)?;
    state.trash = scan_leftovers(store, TRASH, state, context)?;
    let standing = state.snapshots.iter().map(|one| one.record.id);
    state.lost = lost_snapshots(store, &standing.collect()).unwrap_or_default();
    if let Err(error) = store.backup.folder(OsStr::new(SNAPSHOTS))
        && error != Errno::NOENT
    {
        let path = format!("{BACKUP}/{SNAPSHOTS}");
        let found = in_the_way(&store.backup, SNAPSHOTS, &path, error);
        state.in_the_way.push(found);
    }
    state.in_the_way.sort();
    Ok(())
}

/// Folders of other hosts that are looked at.
const MAX_BESIDE: usize = 100;

/// The folders of other hosts: a machine that was renamed has its backups in one of them.
pub(super) fn scan_neighbours(dir: &Dir, path: &str) -> Vec<NeighbourHost> {
    let names = dir.names().unwrap_or_default();
    let found = names.iter().filter_map(|name| {
        let folder = name.to_str()?;
        let store = Store::open(dir, path, folder).ok()??;
        let record = store.destination().ok()??;
        Some(NeighbourHost {
            folder: folder.to_owned(),
            id: record.id,
            machine: record.machine,
        })
    });
    found.take(MAX_BESIDE).collect()
}

/// The rotation to assume where its record is damaged: the one after which the fewest deletions
/// need no approval.
fn after_newest(state: &DestinationState) -> Option<RotationRecord> {
    let sealed = state.snapshots.iter().map(|one| &one.record);
    let newest = sealed.max_by_key(|record| record.sealed_at)?;
    Some(RotationRecord {
        rotated_at: newest.sealed_at,
        run_id: newest.run_id.clone(),
        unapproved: Vec::new(),
    })
}

/// The trees in `partial` or `trash` with what they hold for themselves.
fn scan_leftovers(
    store: &Store,
    area: &str,
    state: &mut DestinationState,
    context: Context<'_>,
) -> Result<Vec<Leftover>> {
    let opened = store.backup.folder(OsStr::new(area));
    let (names, dir) = match opened.and_then(|dir| Ok((dir.names()?, dir))) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => {
            let path = format!("{BACKUP}/{area}");
            let found = in_the_way(&store.backup, area, &path, error);
            state.in_the_way.push(found);
            return Ok(Vec::new());
        }
    };
    let mut leftovers = Vec::new();
    for name in names {
        if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
            let mut left = measure_leftover(id, &dir, &name, context)?;
            // A clone shares with others what nobody can tell: it is not counted on.
            if !state.snapshots.is_empty() && matches!(dir.subvolume(&name), Ok(Some(_))) {
                left.bytes = 0;
            }
            leftovers.push(left);
        }
    }
    Ok(leftovers)
}

/// Bytes on disk and entries of a tree, without what other trees share and what cannot be removed.
fn measure_leftover(
    id: SnapshotId,
    dir: &Dir,
    name: &OsStr,
    context: Context<'_>,
) -> Result<Leftover> {
    let excludes = schema::pattern::Excludes::default();
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: false,
        never: &[],
    };
    let mut left = Leftover {
        id,
        bytes: 0,
        entries: 0,
        stuck: 0,
    };
    let Ok(stat) = dir.stat(name) else {
        return Ok(left);
    };
    let dir = dir
        .again()
        .map_err(|error| crate::Error::io("open", bytes(name), error))?;
    let walk = Walk::new(dir, name.to_owned(), &stat, bounds);
    // Of each open folder, whether it holds its entries fast, and whether something in it stays.
    let mut folders: Vec<(bool, bool)> = Vec::new();
    let is_fast = |stat: &Stat| stat.immutable || stat.append_only;
    for visit in walk {
        context.stop.check()?;
        let (stat, stays) = match visit {
            Visit::Enter(stat) => {
                folders.push((is_fast(&stat), false));
                continue;
            }
            Visit::Leave(stat) => (stat, folders.pop().is_some_and(|(_, stays)| stays)),
            Visit::Leaf(stat) => (stat, false),
            _ => continue,
        };
        let mut around = folders.last_mut();
        let held = around.as_ref().is_some_and(|(holds, _)| *holds);
        if stays || held || is_fast(&stat) {
            left.stuck += 1;
            if let Some((_, stays)) = &mut around {
                *stays = true;
            }
            continue;
        }
        left.entries += 1;
        if stat.kind == Kind::Folder || stat.nlink == 1 {
            left.bytes += stat.allocated;
        }
    }
    Ok(left)
}
