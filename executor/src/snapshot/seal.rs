//! Sealing and publishing: the only way a tree in `partial` becomes a snapshot.
//!
//! Invariant: manifest, data and record are on disk before the rename; the rename never replaces;
//! a failed sync is never tried again into success.

use std::ffi::OsStr;

use chrono::Local;
use rustix::io::Errno;
use schema::{
    Gone, SnapshotId,
    plan::SnapshotStep,
    record::{ReadSpan, SNAPSHOT_FORMAT_VERSION, SnapshotRecord},
};

use super::{
    build::{Built, report_sync},
    resume_journal,
    start::Started,
};
use crate::{
    error::{Error, Result},
    event::Context,
    manifest::segments,
    steps::by_time::link_by_time,
    store::{BACKUP, LATEST, PARTIAL, SNAPSHOT_FILE, SNAPSHOTS, Store, record_path, write_record},
    sys::Kind,
    watch::{Storing, WHOLE},
};

/// Puts everything on disk and writes the record.
pub(super) fn seal_snapshot(
    store: &Store,
    run_id: &str,
    step: &SnapshotStep,
    started: &Started,
    (built, gone): (Built, Option<Gone>),
    context: Context<'_>,
) -> Result<SnapshotRecord> {
    context.stop.check()?;
    report_sync(context);
    let (suspect, suspect_since) = why_suspect(store, step, &built)?;
    let manifest_digest = built
        .manifest
        .finish()
        .map_err(|error| store.io("write", &record_path(step.id, segments::FOLDER), error))?;
    sync_tree(store, step, started)?;
    let totals = built.totals;
    let record = SnapshotRecord {
        format_version: SNAPSHOT_FORMAT_VERSION,
        id: step.id,
        host: host_of(store),
        run_id: run_id.to_owned(),
        started_at: step.started_at,
        sealed_at: context.clock.now(),
        day: step.day,
        sequence: next_sequence(store, step)?,
        read: Some(ReadSpan {
            from: built.read_from,
            until: Local::now().fixed_offset(),
        }),
        complete: totals.errors == 0 && totals.torn == 0 && built.sources.iter().all(|s| s.present),
        suspect,
        suspect_since,
        basis: step.basis.as_ref().map(|basis| basis.id),
        line_from: line_from(store, step, built.also_linked)?,
        engine: step.engine,
        made_by: concat!("backup ", env!("CARGO_PKG_VERSION")).to_owned(),
        sources: built.sources,
        exclude_patterns: step.exclude_patterns.clone(),
        exclude_caches: step.exclude_caches,
        exclude_if_present: step.exclude_if_present.clone(),
        totals,
        stored_by: built.stored_by,
        files_stored_by: built.files_stored_by,
        manifest: segments::LIST_PATH.to_owned(),
        manifest_digest,
        gone,
        problems: built.problems,
        subvolume: started.tree.is_subvolume(),
        manifest_rebuilt_at: None,
        record_rebuilt_at: None,
    };
    let path = store.named(&record_path(step.id, SNAPSHOT_FILE));
    write_record(&started.records, SNAPSHOT_FILE, &path, &record)?;
    for (dir, name) in [
        (&started.area, PARTIAL),
        (&store.area(SNAPSHOTS)?, SNAPSHOTS),
    ] {
        dir.sync()
            .map_err(|error| store.io("sync", &format!("{BACKUP}/{name}"), error))?;
    }
    Ok(record)
}

/// Puts the tree on disk. Where that fails, the next run copies again what may not have got there.
fn sync_tree(store: &Store, step: &SnapshotStep, started: &Started) -> Result<()> {
    let storing = Storing::new(&started.tree, WHOLE);
    let synced = started.tree.sync_file_system();
    drop(storing);
    let Err(error) = synced else {
        return Ok(());
    };
    resume_journal::forget_unsynced(&started.records)
        .map_err(|error| store.io("write", "the log of copied files", error))?;
    Err(store.io("sync", &format!("{BACKUP}/{PARTIAL}/{}", step.id), error).hint(
        "the disk could not store what was written: look at `dmesg`; the next run copies it again",
    ))
}

/// One more than the basis'.
fn next_sequence(store: &Store, step: &SnapshotStep) -> Result<u64> {
    let Some(basis) = &step.basis else {
        return Ok(1);
    };
    let record = store.record(basis.id)?;
    Ok(record.map_or(0, |record| record.sequence).saturating_add(1))
}

/// The host's folder is named after the host.
fn host_of(store: &Store) -> String {
    store.path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Why a snapshot is suspect, and since which one for the same event.
fn why_suspect(
    store: &Store,
    step: &SnapshotStep,
    built: &Built,
) -> Result<(Vec<String>, Option<SnapshotId>)> {
    let when = &step.suspect_when;
    let entries = built.totals.entries;
    let reasons = built
        .compared
        .suspect(when, entries, built.files_as_before, &built.sources);
    if reasons.is_empty() {
        return Ok((reasons, None));
    }
    let like = when.like.as_ref();
    let like = built
        .compared
        .like_before(like, entries, built.unchanged_files, &built.sources);
    if let Some(since) = like
        && store.marks(since).is_ok_and(|marks| marks.accepted)
    {
        // Somebody accepted it while this one was being made, and all that are like it.
        return Ok((Vec::new(), None));
    }
    Ok((reasons, Some(like.unwrap_or(step.id))))
}

/// The last snapshot of this one's line that was linked to others than its basis as well.
fn line_from(store: &Store, step: &SnapshotStep, also_linked: bool) -> Result<Option<SnapshotId>> {
    if also_linked {
        return Ok(Some(step.id));
    }
    let Some(basis) = &step.basis else {
        return Ok(None);
    };
    Ok(store.record(basis.id)?.and_then(|record| record.line_from))
}

/// Publishes a sealed snapshot by one rename; nothing to do where that was done before. Gives what keeps it
/// from being closed to all who write, if anything does.
pub(super) fn publish_snapshot(
    store: &Store,
    step: &SnapshotStep,
    record: &SnapshotRecord,
) -> Result<Option<Errno>> {
    let name = step.id.to_string();
    let name = OsStr::new(&name);
    let area = store.area(PARTIAL)?;
    let tier_name = step.home.folder();
    let at = format!("{tier_name}/{}", step.id);
    let root_mode = store
        .root
        .stat_self()
        .map_err(|error| store.io("look at", "", error))?
        .mode;
    let daily = store
        .root
        .folder_or_new(OsStr::new(tier_name), root_mode)
        .map_err(|error| store.io("make", tier_name, error))?;
    match area.rename_new(name, &daily, name) {
        Ok(()) => {}
        // The run that was interrupted published it, and may have moved it on.
        Err(Errno::NOENT) if store.home_of(step.id)?.is_some() => {}
        Err(Errno::EXIST) => {
            return Err(Error::failed(format!(
                "{} is taken by something that is not this snapshot",
                store.named(&at)
            ))
            .hint("move it away and run `backup apply` again: the snapshot itself is finished"));
        }
        Err(error) => return Err(store.io("publish", &at, error)),
    }
    for dir in [&daily, &area, &store.root] {
        dir.sync().map_err(|error| store.io("sync", &at, error))?;
    }
    let mut open_because = None;
    if let Some(home) = store.home_of(step.id)?
        && let Some(tier) = store.tier(home)?
    {
        // After the rename, which a read-only one refuses. The next run tries it again.
        open_because = tier.lock_subvolume(name).err();
    }
    if let Some(home) = store.home_of(step.id)? {
        let target = format!("{home}/{}", step.id);
        match (record.suspect.is_empty(), store.has_symlinks()?) {
            (false, _) => {}
            (true, true) => point_latest(store, &target)?,
            (true, false) => follow_with_latest(store, &target)?,
        }
        link_by_time(store, step.id, home);
    }
    if let Some(records) = store.records(step.id)? {
        match records.remove_file(OsStr::new(resume_journal::FILE_NAME)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(store.io("remove", "the log of copied files", error)),
        }
    }
    Ok(open_because)
}

/// Makes `latest` point to a snapshot, by renaming a finished link over it.
///
/// Where the file system has no symlinks there is no `latest`. Anything else of that name is the
/// user's and stays.
///
/// # Errors
/// Fails if the link cannot be made or renamed.
pub(crate) fn point_latest(store: &Store, target: &str) -> Result<()> {
    let io = |error: Errno| store.io("replace", LATEST, error);
    let latest = OsStr::new(LATEST);
    let there = store.root.look(latest).map_err(io)?;
    match there.map(|stat| stat.kind) {
        Some(Kind::Symlink) if store.root.read_symlink(latest).map_err(io)? == target => {
            return Ok(());
        }
        None | Some(Kind::Symlink) => {}
        Some(_) => return Ok(()),
    }
    let beside = OsStr::new(".latest.new");
    match store.root.remove_file(beside) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(io(error)),
    }
    match store.root.make_symlink(OsStr::new(target), beside) {
        Ok(()) => {}
        Err(Errno::PERM | Errno::ACCESS | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {
            return Ok(());
        }
        Err(error) => return Err(io(error)),
    }
    store.root.rename_over(beside, latest).map_err(io)?;
    store.root.sync().map_err(io)
}

/// Keeps a `latest` that is there right where none is made: on a file system that holds some symlinks and
/// not all, or that held them when it was mounted another way.
///
/// # Errors
/// As [`point_latest`].
pub(crate) fn follow_with_latest(store: &Store, target: &str) -> Result<()> {
    let there = store.root.look(OsStr::new(LATEST));
    let there = there.map_err(|error| store.io("look at", LATEST, error))?;
    match there.is_some_and(|stat| stat.kind == Kind::Symlink) {
        true => point_latest(store, target),
        false => Ok(()),
    }
}
