//! Brings the tiers to the wanted layout: moves, links, `latest`, and deletions last of all.
//!
//! Invariant: a deletion is one rename into the trash, then the slow part. Each change is looked
//! for first, so that the whole can be repeated after an interruption.

use std::ffi::OsStr;

use chrono::{DateTime, FixedOffset, TimeDelta};
use rustix::io::Errno;
use schema::{
    SnapshotId, Tier, amount,
    journal::{Outcome, Sealed, Status},
    plan::{DeletePurpose, DeleteStep, Deletion, Lost, Move, RotateStep, Rotation},
    record::RotationRecord,
};

use super::{
    by_time, moving,
    space_check::{StuckDeletion, add_stuck, empty_trash_of},
};
use crate::{
    error::{Error, Result},
    event::Context,
    snapshot::seal::{follow_with_latest, point_latest},
    store::{BACKUP, LATEST, ROTATION_FILE, SNAPSHOTS, Store, TRASH, write_record},
    sys::{Dir, Kind},
};

/// Longer than a run takes.
const LONGEST_RUN: TimeDelta = TimeDelta::days(7);

/// Rotates after a snapshot that was sealed in this run.
///
/// # Errors
/// Fails if the destination cannot be written, or on an interruption.
pub fn run_rotate_step(
    store: &Store,
    run_id: &str,
    step: &RotateStep,
    sealed: Option<&Sealed>,
    context: Context<'_>,
) -> Result<Outcome> {
    // Law 7: nothing is deleted in a run that did not seal a good snapshot.
    let Some(sealed) = sealed else {
        return Ok(skipped_outcome("no snapshot was sealed in this run"));
    };
    let rotation = match (&step.on_incomplete, sealed.complete) {
        (Some(rotation), false) => rotation,
        _ => &step.on_complete,
    };
    if !sealed.suspect.is_empty() {
        ask_approval(store, run_id, rotation)?;
        return Ok(skipped_outcome(
            "the new snapshot is suspect, so everything stays as it is",
        ));
    }
    // Before the first of them, so that either all are made or none.
    let newest = sealed.id;
    if rotation.deletions.iter().any(|one| one.id == newest) {
        return Err(Error::failed(format!(
            "the plan would delete {newest}, which this run sealed"
        ))
        .hint("nothing was deleted; please report this with the run's folder"));
    }
    let symlinks = store.has_symlinks()?;
    converge_layout(store, rotation, symlinks, context)?;
    let mut stuck = Vec::new();
    for deletion in &rotation.deletions {
        stuck.extend(delete_snapshot(store, deletion, context)?);
    }
    if rotation.withheld.is_empty() {
        remember_rotation(store, run_id, context)?;
    } else {
        ask_approval(store, run_id, rotation)?;
    }
    let mut outcome = rotation_outcome(rotation);
    add_stuck(&mut outcome, &stuck);
    Ok(outcome)
}

/// Deletes snapshots without making one.
///
/// # Errors
/// Fails if the destination cannot be written, or on an interruption.
pub fn run_delete_step(
    store: &Store,
    run_id: &str,
    step: &DeleteStep,
    context: Context<'_>,
) -> Result<Outcome> {
    let rotation = &step.rotation;
    let goes = |id: &str| {
        rotation
            .deletions
            .iter()
            .any(|one| one.id.to_string() == id)
    };
    let latest = rotation.latest.as_deref();
    if let Some(id) = latest.and_then(|target| target.rsplit('/').next())
        && goes(id)
    {
        return Err(Error::failed(format!(
            "the plan would delete {id}, the newest good snapshot"
        ))
        .hint("nothing was deleted; please report this with the run's folder"));
    }
    converge_layout(store, rotation, store.has_symlinks()?, context)?;
    let mut freed = 0_u64;
    let mut stuck = Vec::new();
    for deletion in &rotation.deletions {
        stuck.extend(give_back(store, deletion, context)?);
        freed = freed.saturating_add(deletion.frees);
    }
    if step.purpose == DeletePurpose::Prune {
        remember_rotation(store, run_id, context)?;
    }
    let ids: Vec<String> = rotation
        .deletions
        .iter()
        .map(|one| one.id.to_string())
        .collect();
    let why = match step.purpose {
        DeletePurpose::MakeRoom => " to make room",
        DeletePurpose::Prune | DeletePurpose::Delete => "",
    };
    let mut outcome = Outcome::success(if ids.is_empty() {
        "nothing was deleted".to_owned()
    } else {
        format!(
            "{} deleted{why} ({}): {}{}",
            amount::plural(ids.len() as u64, "snapshot", "snapshots"),
            amount::bytes(freed),
            ids.join(", "),
            and_lost(&rotation.deletions)
        )
    });
    outcome.deleted.clone_from(&rotation.deletions);
    add_stuck(&mut outcome, &stuck);
    Ok(outcome)
}

/// Records that the tiers are as the policy wants them.
fn remember_rotation(store: &Store, run_id: &str, context: Context<'_>) -> Result<()> {
    let rotated_at = context.clock.now();
    record_rotation(
        store,
        &RotationRecord {
            rotated_at,
            run_id: run_id.to_owned(),
            unapproved: Vec::new(),
            ahead: sealed_later(store, rotated_at)?,
        },
    )
}

/// Snapshots that were sealed later than at this time by a clock that was ahead.
fn sealed_later(store: &Store, time: DateTime<FixedOffset>) -> Result<Vec<SnapshotId>> {
    // A name is the local time of a start, in whichever zone.
    let earliest = time.naive_local() - LONGEST_RUN;
    let io = |error: Errno| store.io("list", &format!("{BACKUP}/{SNAPSHOTS}"), error);
    let all = store.backup.folder(OsStr::new(SNAPSHOTS)).map_err(io)?;
    let mut ahead = Vec::new();
    for name in all.names().map_err(io)? {
        let id: Option<SnapshotId> = name.to_str().and_then(|name| name.parse().ok());
        let Some(id) = id.filter(|id| id.local() >= earliest) else {
            continue;
        };
        let record = store.record(id).ok().flatten();
        // Of one that cannot be read its name has to say it.
        let is_ahead = match record {
            Some(record) => record.sealed_at > time,
            None => id.local() > time.naive_local(),
        };
        if is_ahead {
            ahead.push(id);
        }
    }
    ahead.sort_unstable();
    Ok(ahead)
}

/// Records which deletions want a person's approval, so that waiting for it is none.
fn ask_approval(store: &Store, run_id: &str, rotation: &Rotation) -> Result<()> {
    if rotation.unapproved.is_empty() {
        return Ok(());
    }
    let before = store.rotation().ok().flatten();
    let mut unapproved = rotation.unapproved.clone();
    unapproved.extend(before.iter().flat_map(|last| &last.unapproved));
    unapproved.sort();
    unapproved.dedup();
    let ahead = before.iter().flat_map(|last| last.ahead.clone()).collect();
    record_rotation(
        store,
        &RotationRecord {
            // What was never rotated was so before all time.
            rotated_at: before.map_or_else(
                || DateTime::UNIX_EPOCH.fixed_offset(),
                |last| last.rotated_at,
            ),
            run_id: run_id.to_owned(),
            unapproved,
            ahead,
        },
    )
}

fn record_rotation(store: &Store, record: &RotationRecord) -> Result<()> {
    let path = store.named(&format!("{BACKUP}/{ROTATION_FILE}"));
    write_record(&store.backup, ROTATION_FILE, &path, record)
}

fn skipped_outcome(because: &str) -> Outcome {
    Outcome {
        status: Status::Incomplete,
        message: because.to_owned(),
        ..Outcome::default()
    }
}

fn rotation_outcome(rotation: &Rotation) -> Outcome {
    let snapshots = |count: usize| amount::plural(count as u64, "snapshot", "snapshots");
    let kept = rotation.keep.len() + rotation.withheld.len();
    let mut outcome = Outcome::success(format!(
        "{} deleted, {} kept{}",
        snapshots(rotation.deletions.len()),
        snapshots(kept),
        and_lost(&rotation.deletions)
    ));
    outcome.deleted.clone_from(&rotation.deletions);
    if let Some(finding) = &rotation.withheld_because {
        outcome.status = Status::Incomplete;
        outcome.message = finding.message.clone();
        outcome.hint.clone_from(&finding.hint);
    }
    outcome
}

/// What went for good with what was deleted, as the end of a sentence.
fn and_lost(deletions: &[Deletion]) -> String {
    if deletions.is_empty() {
        return String::new();
    }
    format!("; with what was deleted went {}", Lost::with(deletions))
}

/// Moves, links and `latest`.
fn converge_layout(
    store: &Store,
    rotation: &Rotation,
    symlinks: bool,
    context: Context<'_>,
) -> Result<()> {
    let root_mode = store
        .root
        .stat_self()
        .map_err(|error| store.io("look at", "", error))?
        .mode;
    let tier_dir = |tier: Tier| {
        store
            .root
            .folder_or_new(OsStr::new(tier.folder()), root_mode)
            .map_err(|error| store.io("make", tier.folder(), error))
    };
    for change in &rotation.moves {
        context.stop.check()?;
        let at = format!("{}/{}", change.to, change.id);
        let name = change.id.to_string();
        let name = OsStr::new(&name);
        let (from, to) = (tier_dir(change.from)?, tier_dir(change.to)?);
        let there = from.look(name).map_err(|e| store.io("look at", &at, e))?;
        if there.is_none_or(|stat| stat.kind != Kind::Folder) {
            // Moved by the run that was interrupted.
            continue;
        }
        if symlinks && moving::promote_snapshot(store, change, &from, &to)? {
            continue;
        }
        unlink_in_tier(store, &to, change.to, change.id)?;
        from.unlock_subvolume(name)
            .and_then(|_| from.rename_new(name, &to, name))
            .map_err(|error| store.io("move to", &at, error))?;
        let _ = to.lock_subvolume(name);
        for dir in [&to, &from] {
            dir.sync().map_err(|error| store.io("sync", &at, error))?;
        }
    }
    for link in rotation.links.iter().filter(|_| symlinks) {
        context.stop.check()?;
        let dir = tier_dir(link.tier)?;
        moving::link_to(store, &dir, link.tier.folder(), link.id, &link.target)?;
        let at = format!("{}/{}", link.tier, link.id);
        dir.sync().map_err(|error| store.io("sync", &at, error))?;
    }
    match &rotation.latest {
        Some(target) if symlinks => point_latest(store, target)?,
        _ => follow_moved(store, rotation)?,
    }
    for change in &rotation.moves {
        by_time::link_by_time(store, change.id, change.to);
    }
    // Links go when nothing leads through them any more: those that are not wanted, and the way
    // from where a snapshot was to where it went.
    let wanted = |tier: Tier, id: SnapshotId| {
        let mut links = rotation.links.iter();
        links.any(|link| (link.tier, link.id) == (tier, id))
    };
    let unlinks = rotation.unlinks.iter().map(|one| (one.tier, one.id));
    let left = rotation.moves.iter().map(|one| (one.from, one.id));
    for (tier, id) in unlinks.chain(left).filter(|(tier, id)| !wanted(*tier, *id)) {
        context.stop.check()?;
        if let Some(dir) = store.tier(tier)? {
            unlink_in_tier(store, &dir, tier, id)?;
        }
    }
    Ok(())
}

/// Points a `latest` to where its snapshot went, if that is one that was moved.
fn follow_moved(store: &Store, rotation: &Rotation) -> Result<()> {
    let Ok(target) = store.root.read_symlink(OsStr::new(LATEST)) else {
        return Ok(());
    };
    let from = |change: &&Move| target == *format!("{}/{}", change.from, change.id);
    match rotation.moves.iter().find(from) {
        Some(change) => follow_with_latest(store, &format!("{}/{}", change.to, change.id)),
        None => Ok(()),
    }
}

/// Removes the link of a tier; anything else of that name stays.
fn unlink_in_tier(store: &Store, dir: &Dir, tier: Tier, id: SnapshotId) -> Result<()> {
    let name = id.to_string();
    moving::remove_link(dir, OsStr::new(&name))
        .map_err(|error| store.io("remove", &format!("{tier}/{id}"), error))
}

/// Deletes a snapshot that is in the cloud, after its links.
pub(super) fn give_back(
    store: &Store,
    deletion: &Deletion,
    context: Context<'_>,
) -> Result<Option<StuckDeletion>> {
    for tier in Tier::ALL {
        if let Some(dir) = store.tier(tier)? {
            unlink_in_tier(store, &dir, tier, deletion.id)?;
        }
    }
    // The rotation before may have moved it.
    let home = store.home_of(deletion.id)?.unwrap_or(deletion.home);
    let deletion = Deletion {
        home,
        ..deletion.clone()
    };
    delete_snapshot(store, &deletion, context)
}

/// Deletes a snapshot: one rename, then the slow part.
fn delete_snapshot(
    store: &Store,
    deletion: &Deletion,
    context: Context<'_>,
) -> Result<Option<StuckDeletion>> {
    context.stop.check()?;
    by_time::unlink_by_time(store, deletion.id);
    let name = deletion.id.to_string();
    let name = OsStr::new(&name);
    let at = format!("{}/{}", deletion.home, deletion.id);
    let trash = store.area(TRASH)?;
    if let Some(tier) = store.tier(deletion.home)? {
        let there = tier
            .look(name)
            .map_err(|error| store.io("look at", &at, error))?;
        if there.is_some_and(|stat| stat.kind == Kind::Folder) {
            tier.unlock_subvolume(name)
                .and_then(|_| tier.rename_new(name, &trash, name))
                .and_then(|()| trash.sync())
                .and_then(|()| tier.sync())
                .map_err(|error| store.io("delete", &at, error))?;
        }
    }
    empty_trash_of(store, deletion.id, context)
}
