//! Brings the tiers to the wanted layout: moves, links, `latest`, and deletions last of all.
//!
//! Invariant: a deletion is one rename into the trash, then the slow part. Each change is looked
//! for first, so that the whole can be repeated after an interruption.

use std::ffi::OsStr;

use rustix::io::Errno;
use schema::{
    SnapshotId, Tier, amount,
    journal::{Outcome, Sealed, Status},
    plan::{Deletion, RotateStep, Rotation},
    record::RotationRecord,
};

use super::space_check::empty;
use crate::{
    error::{Error, Result},
    event::Context,
    snapshot::seal::point_latest,
    store::{BACKUP, ROTATION_FILE, Store, TRASH, write_json},
    sys::{Dir, Kind},
};

/// Rotates after a snapshot that was sealed in this run.
///
/// # Errors
/// The system's reason, or an interruption.
pub fn run(
    store: &Store,
    run_id: &str,
    step: &RotateStep,
    sealed: Option<&Sealed>,
    context: Context<'_>,
) -> Result<Outcome> {
    // Law 7: nothing is deleted in a run that did not seal a good snapshot.
    let Some(sealed) = sealed else {
        return Ok(skipped("no snapshot was sealed in this run"));
    };
    if !sealed.suspect.is_empty() {
        return Ok(skipped(
            "the new snapshot is suspect, so everything stays as it is",
        ));
    }
    let rotation = match (&step.on_incomplete, sealed.complete) {
        (Some(rotation), false) => rotation,
        _ => &step.on_complete,
    };
    // A plan from before the destination was tried out may want links where none can be.
    let destination = store.destination()?;
    let symlinks = destination.is_none_or(|record| record.capabilities.symlinks);
    converge(store, rotation, symlinks, context)?;
    let newest = sealed.id;
    for deletion in &rotation.deletions {
        if deletion.id == newest {
            return Err(Error::failed(format!(
                "the plan would delete {newest}, which this run sealed"
            ))
            .hint("nothing more was deleted; please report this with the run's folder"));
        }
        delete(store, deletion, context)?;
    }
    let record = RotationRecord {
        rotated_at: context.clock.now(),
        run_id: run_id.to_owned(),
    };
    let path = store.named(&format!("{BACKUP}/{ROTATION_FILE}"));
    if rotation.withheld.is_empty() {
        write_json(&store.backup, ROTATION_FILE, &path, &record)?;
    }
    let mut outcome = outcome(rotation);
    let wants_links = !rotation.links.is_empty() || rotation.latest.is_some();
    if wants_links && !symlinks {
        outcome
            .message
            .push_str("; links are left out, for the destination has no symlinks");
    }
    Ok(outcome)
}

fn skipped(because: &str) -> Outcome {
    Outcome {
        status: Status::Incomplete,
        message: because.to_owned(),
        ..Outcome::default()
    }
}

fn outcome(rotation: &Rotation) -> Outcome {
    let snapshots = |count: usize| amount::plural(count as u64, "snapshot", "snapshots");
    let kept = rotation.keep.len() + rotation.withheld.len();
    let mut outcome = Outcome::success(format!(
        "{} deleted, {} kept",
        snapshots(rotation.deletions.len()),
        snapshots(kept)
    ));
    if let Some(finding) = &rotation.withheld_because {
        outcome.status = Status::Incomplete;
        outcome.message = finding.message.clone();
        outcome.hint.clone_from(&finding.hint);
    }
    outcome
}

/// Moves, links and `latest`.
fn converge(
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
    for unlink in &rotation.unlinks {
        context.stop.check()?;
        if let Some(dir) = store.tier(unlink.tier)? {
            remove_link(store, &dir, unlink.tier, unlink.id)?;
        }
    }
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
        remove_link(store, &to, change.to, change.id)?;
        from.rename_new(name, &to, name)
            .map_err(|error| store.io("move to", &at, error))?;
        for dir in [&to, &from] {
            dir.sync().map_err(|error| store.io("sync", &at, error))?;
        }
    }
    for link in rotation.links.iter().filter(|_| symlinks) {
        context.stop.check()?;
        let dir = tier_dir(link.tier)?;
        let name = link.id.to_string();
        let at = format!("{}/{name}", link.tier);
        match dir.make_symlink(OsStr::new(&link.target), OsStr::new(&name)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(store.io("link", &at, error)),
        }
        dir.sync().map_err(|error| store.io("sync", &at, error))?;
    }
    if let (Some(target), true) = (&rotation.latest, symlinks) {
        point_latest(store, target)?;
    }
    Ok(())
}

/// Removes a symlink of a tier; anything else of that name stays.
fn remove_link(store: &Store, dir: &Dir, tier: Tier, id: SnapshotId) -> Result<()> {
    let name = id.to_string();
    let name = OsStr::new(&name);
    let at = format!("{tier}/{id}");
    let there = dir
        .look(name)
        .map_err(|error| store.io("look at", &at, error))?;
    if there.is_some_and(|stat| stat.kind == Kind::Symlink) {
        dir.remove_file(name)
            .and_then(|()| dir.sync())
            .map_err(|error| store.io("remove", &at, error))?;
    }
    Ok(())
}

/// Deletes a snapshot that is in the cloud, after its links.
pub(super) fn give_back(store: &Store, deletion: &Deletion, context: Context<'_>) -> Result<()> {
    for tier in Tier::ALL {
        if let Some(dir) = store.tier(tier)? {
            remove_link(store, &dir, tier, deletion.id)?;
        }
    }
    // The rotation before may have moved it.
    let home = store.home_of(deletion.id)?.unwrap_or(deletion.home);
    let deletion = Deletion {
        home,
        ..deletion.clone()
    };
    delete(store, &deletion, context)
}

/// Deletes a snapshot: one rename, then the slow part.
fn delete(store: &Store, deletion: &Deletion, context: Context<'_>) -> Result<()> {
    context.stop.check()?;
    let name = deletion.id.to_string();
    let name = OsStr::new(&name);
    let at = format!("{}/{}", deletion.home, deletion.id);
    let trash = store.area(TRASH)?;
    if let Some(tier) = store.tier(deletion.home)? {
        let there = tier
            .look(name)
            .map_err(|error| store.io("look at", &at, error))?;
        if there.is_some_and(|stat| stat.kind == Kind::Folder) {
            tier.rename_new(name, &trash, name)
                .and_then(|()| trash.sync())
                .and_then(|()| tier.sync())
                .map_err(|error| store.io("delete", &at, error))?;
        }
    }
    empty(store, deletion.id, context)
}
