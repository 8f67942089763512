//! Reclaims what earlier runs left, then makes sure that there is room.

use std::{
    ffi::OsStr,
    time::{Duration, Instant},
};

use rustix::{fs::StatVfs, io::Errno};
use schema::{
    FailureCode, SnapshotId, amount,
    journal::{Outcome, Status},
    plan::SpaceCheckStep,
};

use crate::{
    error::{Error, ErrorKind, MAKE_ROOM, Result},
    event::Context,
    remove::remove_tree,
    scan::lost::is_lost,
    store::{BACKUP, PARTIAL, SNAPSHOTS, Store, TRASH},
    sys::subvolume::is_btrfs,
};

/// Ends interrupted removals, discards what no run continues, clears records of snapshots that
/// somebody removed, and looks at the free space. What cannot be removed ends nothing: it is told.
///
/// # Errors
/// A refusal if there is too little space.
pub fn run_space_check_step(
    store: &Store,
    step: &SpaceCheckStep,
    context: Context<'_>,
) -> Result<Outcome> {
    super::repair::remove_repair_area(store, context)?;
    let trash = store.area(TRASH)?;
    let partial = store.area(PARTIAL)?;
    for discarded in &step.discard_partial {
        let name = discarded.id.to_string();
        match partial.rename_new(OsStr::new(&name), &trash, OsStr::new(&name)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => {
                return Err(store.io("discard", &format!("{BACKUP}/{PARTIAL}/{name}"), error));
            }
        }
    }
    let mut stuck = Vec::new();
    let discarded = step.discard_partial.iter().map(|partial| partial.id);
    for id in step.empty_trash.iter().copied().chain(discarded) {
        stuck.extend(empty_trash_of(store, id, context)?);
    }
    for id in &step.clear_records {
        stuck.extend(clear_records(store, *id, context)?);
    }
    drop_empty_records(store);
    let wanted = step.needed_bytes.saturating_add(step.min_free_bytes);
    let size = free_once_given_back(store, wanted, context)?;
    let free = size.f_bavail.saturating_mul(size.f_frsize);
    if free < step.needed_bytes.saturating_add(step.min_free_bytes) {
        return Err(Error::refused(format!(
            "insufficient space: {} has {} free, the snapshot needs up to {}, local.minSpaceGB keeps {}",
            store.path,
            amount::bytes(free),
            amount::bytes(step.needed_bytes),
            amount::bytes(step.min_free_bytes)
        ))
        .coded(FailureCode::NoSpace)
        .hint(too_full(&stuck, "lower local.minSpaceGB, or use a larger drive")));
    }
    if let Some(needed) = step.needed_inodes
        && size.f_files > 0
        && size.f_favail < needed
    {
        return Err(Error::refused(format!(
            "insufficient space: {} has {} inodes free, the snapshot needs up to {needed}",
            store.path, size.f_favail
        ))
        .coded(FailureCode::NoSpace)
        .hint(too_full(
            &stuck,
            "leave more out with local.excludePatterns, or use a file system with more inodes",
        )));
    }
    let mut outcome = Outcome::success(format!(
        "{} free, up to {} needed",
        amount::bytes(free),
        amount::bytes(step.needed_bytes)
    ));
    add_stuck(&mut outcome, &stuck);
    Ok(outcome)
}

/// How long is waited for the room of removed subvolumes to grow, and in all.
const STANDSTILL: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(120);
/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// The free space. btrfs gives the room of a removed subvolume back later: where too little is free, that
/// is waited for as long as it becomes more.
fn free_once_given_back(store: &Store, wanted: u64, context: Context<'_>) -> Result<StatVfs> {
    let look = || {
        rustix::fs::fstatvfs(&store.root)
            .map_err(|error| store.io("look at", "the free space", error))
    };
    let free = |size: &StatVfs| size.f_bavail.saturating_mul(size.f_frsize);
    let mut size = look()?;
    if free(&size) >= wanted || !is_btrfs(&store.root) || store.root.give_back_room().is_err() {
        return Ok(size);
    }
    let began = Instant::now();
    let mut grew = began;
    while free(&size) < wanted && grew.elapsed() < STANDSTILL && began.elapsed() < LONGEST {
        context.stop.check()?;
        std::thread::sleep(PAUSE);
        let now = look()?;
        if free(&now) > free(&size) {
            grew = Instant::now();
        }
        size = now;
    }
    Ok(size)
}

/// Removes the folders of records in which nothing was ever put: of runs that ended between that and
/// the tree. Only what is empty can go, and only where no snapshot misses it.
fn drop_empty_records(store: &Store) {
    let Ok(records) = store.area(SNAPSHOTS) else {
        return;
    };
    let homes = store.homes();
    for name in records.names().unwrap_or_default() {
        let id = name.to_str().and_then(|name| name.parse().ok());
        if id.is_some_and(|id| matches!(homes.home_of(id), Ok(None))) {
            let _ = records.remove_folder(&name);
        }
    }
}

/// What to do where there is too little room although the plan foresaw enough.
fn too_full(stuck: &[StuckDeletion], otherwise: &str) -> String {
    let trash = stuck.first().map_or_else(String::new, |first| {
        format!(
            "{} cannot be removed ({}): {}; ",
            first.path,
            first.because,
            how_to_remove(&first.path)
        )
    });
    format!("{trash}{MAKE_ROOM}; or {otherwise}")
}

/// How something can be removed that cannot be now.
fn how_to_remove(path: &str) -> String {
    let path = schema::shell::word(path);
    format!(
        "`lsattr -R {path}` shows what is immutable, and `chattr -R -ia {path}` ends that; else look \
         at `dmesg` and check the file system"
    )
}

/// What of a deletion stays, and why.
pub(super) struct StuckDeletion {
    id: SnapshotId,
    path: String,
    because: String,
}

/// Says what cannot be removed, and how it can be. The deletion is not done, so neither is the step.
pub(super) fn add_stuck(outcome: &mut Outcome, stuck: &[StuckDeletion]) {
    let Some(first) = stuck.first() else {
        return;
    };
    let ids: Vec<String> = stuck.iter().map(|one| one.id.to_string()).collect();
    outcome.status = outcome.status.max(Status::Incomplete);
    outcome.message = format!(
        "{}; {} cannot be removed wholly from the trash: {}",
        outcome.message,
        ids.join(", "),
        first.because
    );
    outcome.hint = Some(format!(
        "{}. the next run tries again",
        how_to_remove(&first.path)
    ));
}

/// Ends the removal of a snapshot: its records, then its tree. Gives what cannot be removed.
///
/// Invariant: the tree goes last, because it is by its name in the trash that the next run finds
/// an interrupted removal.
///
/// # Errors
/// An interruption, or areas that cannot even be opened.
pub(super) fn empty_trash_of(
    store: &Store,
    id: SnapshotId,
    context: Context<'_>,
) -> Result<Option<StuckDeletion>> {
    // Published again under this id: its records are not the trash's.
    let records = match store.home_of(id)? {
        Some(_) => None,
        None => remove_area_entry(store, SNAPSHOTS, id, context)?,
    };
    let tree = remove_area_entry(store, TRASH, id, context)?;
    if records.is_some() && tree.is_none() {
        // What holds the room is gone; the name stays, for the records.
        let name = id.to_string();
        let _ = store.area(TRASH)?.make_folder(OsStr::new(&name), 0o700);
    }
    Ok(records.or(tree))
}

/// Removes the record of a snapshot that somebody else removed, if that is still so.
fn clear_records(
    store: &Store,
    id: SnapshotId,
    context: Context<'_>,
) -> Result<Option<StuckDeletion>> {
    if !is_lost(store, id)? {
        return Ok(None);
    }
    remove_area_entry(store, SNAPSHOTS, id, context)
}

fn remove_area_entry(
    store: &Store,
    area: &str,
    id: SnapshotId,
    context: Context<'_>,
) -> Result<Option<StuckDeletion>> {
    let name = id.to_string();
    let dir = store.area(area)?;
    let path = store.named(&format!("{BACKUP}/{area}/{name}"));
    match remove_tree(&dir, OsStr::new(&name), &path, context) {
        Ok(()) => Ok(None),
        Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
        Err(Error { message, .. }) => Ok(Some(StuckDeletion {
            id,
            path,
            because: message,
        })),
    }
}
