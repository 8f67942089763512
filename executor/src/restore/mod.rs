//! Restoring an entry of a snapshot: the target becomes that entry, and never holds it.
//!
//! [`plan_restore`] only compares; [`run_restore_step`] does what the plan says and decides nothing more. Both see the
//! same stream of entries ([`source`]). Never writes to a snapshot, never follows a symlink
//! below the target, never takes anything away: what is in the way is kept aside.

mod belongs;
mod choice;
mod compare;
mod copying;
mod frames;
mod item;
mod job;
mod leaves;
mod lookup;
mod make;
mod metadata;
mod names;
mod naming;
mod paths;
mod place;
mod read_back;
mod recorded;
mod restorer;
mod rights;
mod room;
mod run;
mod scan;
mod source;
mod tally;
mod vouching;

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use schema::{
    escape::{escape, unescape},
    journal::Outcome,
    plan::RestoreStep,
};

pub use choice::Choice;
pub use paths::{Selection, select_paths};
pub use recorded::RecordedSnapshot;
pub use room::check_room;
pub use tally::without_foretold;

use job::RestoreJob;

use crate::{
    error::{Error, Result},
    event::Context,
    store::Store,
    sys::{Dir, bytes},
};

/// What a person wants restored.
pub struct Request<'a> {
    /// The snapshot.
    pub from: &'a RecordedSnapshot<'a>,
    /// The folder that holds it, relative to the host's folder, such as `daily/<id>`.
    pub home_folder: &'a str,
    /// The snapshot's tree.
    pub tree: Dir,
    /// The path as it was on the source, with or without the leading slash; `/` for everything.
    pub path: &'a Path,
    /// What becomes the path's content; a relative one is of the current folder.
    pub target: &'a Path,
    /// Replace what differs, keeping the old aside.
    pub overwrite: bool,
    /// Suffix of what is kept aside.
    pub aside_suffix: String,
    /// What of it, whose it becomes and how sure to be.
    pub choice: Choice,
    /// Paths relative to the target where a symlink leads to what was backed up through it.
    pub through: Vec<Vec<u8>>,
}

/// Says what a restore would do. Reads only.
///
/// # Errors
/// Refused if the path is not in the snapshot or the target cannot become it; failed if either
/// cannot be looked at.
pub fn plan_restore(request: &Request<'_>, context: &Context<'_>) -> Result<RestoreStep> {
    if request.aside_suffix.is_empty() || request.aside_suffix.contains(['/', '\0']) {
        return Err(Error::failed(format!(
            "`{}` cannot be the end of a name",
            request.aside_suffix.escape_default()
        )));
    }
    let target = absolute_target(request.target)?;
    let job = RestoreJob::new(
        request.from,
        request.home_folder,
        &request.tree,
        lookup::clean_path(request.path)?,
        bytes(target.as_os_str()),
        request.overwrite,
        request.choice.clone(),
        request.through.clone(),
    )?
    .judged(context.stop)?;
    let totals = scan::scan_target(&job, true, context)?;
    Ok(RestoreStep {
        snapshot: request.from.id,
        folder: request.home_folder.to_owned(),
        path: escape(&job.found.path),
        only: job.choice.only.iter().map(|name| escape(name)).collect(),
        target: escape(bytes(target.as_os_str())),
        owner: request.choice.owner,
        numeric_ids: request.choice.numeric_ids,
        read_back: request.choice.read_back,
        special: request.choice.special,
        overwrite: request.overwrite,
        aside_suffix: request.aside_suffix.clone(),
        creates: totals.creates,
        already_there: totals.already_there,
        bytes: totals.bytes,
        conflicts: totals.conflicts,
        conflict_count: totals.conflict_count,
        put_right: totals.put_right,
        put_right_count: totals.put_right_count,
        unlisted: totals.unlisted,
        unlisted_count: totals.unlisted_count,
        through: request.through.iter().map(|path| escape(path)).collect(),
    })
}

/// Whether a snapshot has something at a path.
#[must_use]
pub fn has_path(from: &RecordedSnapshot<'_>, home_folder: &str, tree: &Dir, path: &Path) -> bool {
    let find = || {
        let (clean, names) = (lookup::clean_path(path)?, from.names()?);
        lookup::find(tree, clean, home_folder, &names, || from.manifest())
    };
    find().is_ok()
}

/// Restores what a step says. Can be interrupted, and run again to go on.
///
/// # Errors
/// Refused, with nothing changed, if something differs and may not be replaced or if there is no
/// room; failed if the target's file system fails; interrupted if it was asked to stop.
pub fn run_restore_step(
    store: &Store,
    step: &RestoreStep,
    context: &Context<'_>,
) -> Result<Outcome> {
    let text = |name: &str, text: &str| {
        unescape(text).ok_or_else(|| Error::failed(format!("the step's {name} is no path: {text}")))
    };
    let (path, target) = (text("path", &step.path)?, text("target", &step.target)?);
    if !target.starts_with(b"/") {
        return Err(Error::failed(format!(
            "the step's target {} is not absolute",
            step.target
        )));
    }
    let path = lookup::clean_path(Path::new(OsStr::from_bytes(&path)))?;
    let tree = open_snapshot_tree(store, &step.folder)?;
    let from = RecordedSnapshot::new(store, step.snapshot);
    let job = RestoreJob::new(
        &from,
        &step.folder,
        &tree,
        path,
        &target,
        step.overwrite,
        Choice {
            only: step
                .only
                .iter()
                .map(|name| text("only", name))
                .collect::<Result<_>>()?,
            owner: step.owner,
            numeric_ids: step.numeric_ids,
            read_back: step.read_back,
            special: step.special,
        },
        step.through
            .iter()
            .map(|path| text("through", path))
            .collect::<Result<_>>()?,
    )?
    .judged(context.stop)?;
    run::restore_all(&job, step, context)
}

fn absolute_target(target: &Path) -> Result<PathBuf> {
    std::path::absolute(target)
        // Without the slash at its end, which would follow a symlink.
        .map(|target| target.components().collect())
        .map_err(|error| Error::io("look at", bytes(target.as_os_str()), error))
}

/// Opens a snapshot's folder by its names, which stand escaped.
fn open_snapshot_tree(store: &Store, folder: &str) -> Result<Dir> {
    let parts: Vec<&str> = folder.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(Error::failed(format!(
            "{folder} is not a snapshot's folder"
        )));
    }
    store.folder(&parts)
}
