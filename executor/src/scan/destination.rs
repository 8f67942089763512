//! Scans the destination as it is found; writes nothing.

use std::{ffi::OsStr, io};

use rustix::io::Errno;
use schema::{
    FailureCode, SnapshotId,
    config::Local,
    escape,
    inventory::{DestinationState, InTheWay, Leftover, NeighbourHost},
    record::{Capabilities, RotationRecord},
};

use super::{
    lost::lost_snapshots,
    tiers::{in_the_way, list_tiers, scan_tiers},
};
use crate::{
    error::{Result, failure_code, system_reason},
    event::Context,
    side_by_side::{both, with_each},
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

/// A destination that was looked at.
#[derive(Debug)]
pub struct ScannedDestination {
    /// What was found.
    pub state: DestinationState,
    /// The index of its records, with what was read beside it.
    pub index: RecordIndex,
    /// It, open as it was looked at; none where it is not there or not set up.
    pub store: Option<Store>,
}

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
) -> Result<ScannedDestination> {
    let mut used = RecordIndex::empty();
    let mut state = DestinationState::absent(local.mount_point.clone());
    let store = scan_with(local, folder, (index, &mut used), &mut state, context)?;
    Ok(ScannedDestination {
        state,
        index: used,
        store,
    })
}

fn scan_with(
    local: &Local,
    folder: &str,
    index: (&dyn Fn(&str) -> RecordIndex, &mut RecordIndex),
    state: &mut DestinationState,
    context: Context<'_>,
) -> Result<Option<Store>> {
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
            return Ok(None);
        }
    };
    scan_mount(state, &resolved, &dir, &stat);
    // What stands on the root disk below an unmounted mount point is not the destination.
    if local.require_mount && !state.mounted {
        return Ok(None);
    }
    let store = match Store::open(&dir, local.mount_point.as_str(), folder) {
        Ok(Some(store)) => store,
        Ok(None) => {
            state.beside = scan_neighbours(&dir, local.mount_point.as_str());
            return Ok(None);
        }
        Err(error) if error.code == Some(FailureCode::InTheWay) => {
            state.record_fault = Some(error.message);
            state.record_fault_code = error.code;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    state.user_view = view(Some(&store.root));
    scan_store(&store, state, index, context)?;
    Ok(Some(store))
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
    let at_once = context.questions_at_once(&store.root);
    let apart = at_once > 1;
    let (record, listed) = both(apart, || store.destination(), &|| {
        list_tiers(store, at_once)
    });
    match record {
        Ok(record) => state.record = record,
        Err(error) => {
            state.record_fault = Some(error.message);
            state.record_fault_code = error.code;
        }
    }
    if let Some(record) = &state.record {
        *index = index_of(&record.id);
    }
    let scan = || scan_tiers(store, listed, state, index, RecordRoom::default(), at_once);
    let look_around = || {
        let latest = || store.root.read_symlink(OsStr::new(LATEST)).ok();
        both(apart, || store.rotation(), &latest)
    };
    let look_at_areas = || {
        let areas: &[&str] = if store.closed { &[] } else { &[PARTIAL, TRASH] };
        with_each(areas, at_once, &|area| scan_leftovers(store, area, context))
    };
    let scan = || both(apart, scan, &look_around);
    let (((), (rotation, latest)), areas) = both(apart, scan, &look_at_areas);
    match rotation {
        Ok(rotation) => state.rotation = rotation,
        Err(error) => {
            state.rotation = after_newest(state);
            state.rotation_fault = Some(error.message);
        }
    }
    state.latest = latest.map(|target| escape::display(bytes(&target)));
    if store.closed {
        return Ok(());
    }
    let has_snapshots = !state.snapshots.is_empty();
    let mut areas = areas.into_iter().map(|area| {
        let area = area?;
        state.in_the_way.extend(area.in_the_way);
        let left = area.leftovers.into_iter().map(|(mut left, is_clone)| {
            // A clone shares with others what nobody can tell: it is not counted on.
            if has_snapshots && is_clone {
                left.bytes = 0;
            }
            left
        });
        Ok(left.collect())
    });
    let partial = areas.next().transpose()?;
    let trash = areas.next().transpose()?;
    (state.partial, state.trash) = (partial.unwrap_or_default(), trash.unwrap_or_default());
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
        ahead: Vec::new(),
    })
}

/// What is left in `partial` or `trash`.
#[derive(Default)]
struct Area {
    /// Each with whether it is a clone.
    leftovers: Vec<(Leftover, bool)>,
    in_the_way: Option<InTheWay>,
}

/// The trees in `partial` or `trash` with what they hold for themselves.
fn scan_leftovers(store: &Store, area: &str, context: Context<'_>) -> Result<Area> {
    let opened = store.backup.folder(OsStr::new(area));
    let (names, dir) = match opened.and_then(|dir| Ok((dir.names()?, dir))) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(Area::default()),
        Err(error) => {
            let path = format!("{BACKUP}/{area}");
            return Ok(Area {
                in_the_way: Some(in_the_way(&store.backup, area, &path, error)),
                ..Area::default()
            });
        }
    };
    let mut leftovers = Vec::new();
    for name in names {
        if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
            let left = measure_leftover(id, &dir, &name, context)?;
            leftovers.push((left, matches!(dir.subvolume(&name), Ok(Some(_)))));
        }
    }
    Ok(Area {
        leftovers,
        in_the_way: None,
    })
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
