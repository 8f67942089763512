//! Making a snapshot: a tree in `partial` is brought to equal the sources, sealed and published.
//!
//! Invariant (law 4): data and manifest are on disk before the one rename that publishes. The
//! tree in `partial` may start empty or hold what an interrupted run left; [`build`] converges
//! either to the survey of the sources. A file system that can clone a snapshot only needs another
//! [`start`].

mod adopt;
mod build;
mod compared;
mod copied_log;
mod copying;
mod file;
mod folder;
mod holds;
mod job;
mod kept;
mod other;
pub(crate) mod rsync;
pub(crate) mod seal;
mod start;
mod worker;

use self::rsync::Filled;
use schema::{
    amount,
    journal::{Outcome, Problem, ProblemKind, Sealed, Status},
    plan::SnapshotStep,
    record::{Engine, SnapshotRecord},
};

use crate::{
    error::{Error, MAKE_ROOM, Result},
    event::Context,
    scan,
    store::Store,
    survey::Survey,
};

/// Problems listed in a record; more are only counted.
const MAX_PROBLEMS: usize = 1000;

/// Makes, seals and publishes the snapshot of a step; where that was done before, says so.
///
/// `survey` is what the plan was made from, if nothing ran since that may have changed the sources.
///
/// # Errors
/// What ended the work: an interruption, a destination that cannot be written, too little space.
/// The tree in `partial` stays and is continued.
pub fn run(
    store: &Store,
    run_id: &str,
    step: &SnapshotStep,
    survey: Option<Survey>,
    context: Context<'_>,
) -> Result<Outcome> {
    if let Some(record) = store.record(step.id)?
        && record.run_id == run_id
    {
        seal::publish(store, step, &record)?;
        return Ok(outcome(&record));
    }
    let survey = match survey {
        Some(survey) => survey,
        None => look(store, step, context)?,
    };
    is_something(&survey)?;
    let mut started = start::start(store, step)?;
    if started.continued {
        rsync::end_orphans(store)?;
    }
    let filled = match step.engine {
        Engine::BuiltIn => None,
        Engine::Adopted => {
            return Err(
                Error::failed("the plan's snapshot has no engine that makes one")
                    .hint("make a new plan with this version of the program"),
            );
        }
        Engine::Rsync => rsync::fill(store, step, &started, &survey, context)?,
    };
    // What rsync copied is there to be made equal to the sources.
    started.continued |= filled.is_some();
    let Filled { heard, fresh } = filled.unwrap_or_default();
    let mut built = build::build(store, run_id, step, &started, (survey, &fresh), context)?;
    heard.add_to(&mut built, &started.tree);
    let record = seal::seal(store, run_id, step, &started, built, context)?;
    seal::publish(store, step, &record)?;
    Ok(outcome(&record))
}

/// Refuses to make a snapshot of nothing: a pre-script may have made the sources, or not.
fn is_something(survey: &Survey) -> Result<()> {
    if survey.sources.iter().any(|source| source.found.is_ok()) {
        return Ok(());
    }
    let paths = survey.sources.iter().map(|source| source.path.as_str());
    let paths: Vec<&str> = paths.take(3).collect();
    Err(Error::refused(format!(
        "nothing to back up: none of {} (local.sources) can be read",
        paths.join(", ")
    ))
    .hint(
        "mount or create the sources, in the pre-script if it does that, or correct local.sources",
    ))
}

/// Looks at the sources.
fn look(store: &Store, step: &SnapshotStep, context: Context<'_>) -> Result<Survey> {
    let basis = step
        .basis
        .as_ref()
        .map(|basis| || store.manifests(basis.id, &step.also_link));
    let basis = basis
        .as_ref()
        .map(|open| open as &dyn Fn() -> Result<crate::manifest::Reader>);
    let never = store
        .root
        .stat_self()
        .map_err(|error| store.io("look at", "", error))?;
    let never = Some((never.dev, never.ino));
    scan::sources(&step.into(), basis, None, never, context).map(|(_, survey)| survey)
}

/// What a sealed snapshot means for its step.
fn outcome(record: &SnapshotRecord) -> Outcome {
    let totals = record.totals;
    let sealed = Sealed {
        id: record.id,
        complete: record.complete,
        suspect: record.suspect.clone(),
        totals,
    };
    let unlisted = totals.errors + totals.torn;
    let since = record.suspect_since;
    let (status, message, hint) = if !record.suspect.is_empty() {
        (
            Status::Incomplete,
            format!(
                "snapshot {} is suspect{}: {}",
                record.id,
                since
                    .filter(|since| *since != record.id)
                    .map_or_else(String::new, |since| format!(" as {since} is")),
                record.suspect.join("; ")
            ),
            Some(format!(
                "look at what changed; if it is as it should be: backup accept {}",
                since.unwrap_or(record.id)
            )),
        )
    } else if !record.complete {
        (
            Status::Incomplete,
            format!(
                "snapshot {} has {}",
                record.id,
                amount::plural(unlisted, "problem", "problems")
            ),
            Some(hint(&record.problems).to_owned()),
        )
    } else {
        (
            Status::Succeeded,
            format!(
                "snapshot {}: {}, {} copied, {} hard-linked",
                record.id,
                amount::plural(totals.files, "file", "files"),
                amount::count(totals.files_copied),
                amount::count(totals.files_linked)
            ),
            None,
        )
    };
    Outcome {
        status,
        message,
        hint,
        sealed: Some(sealed),
        problems: record.problems.clone(),
        ..Outcome::default()
    }
}

/// What to do about the problems of a snapshot.
fn hint(problems: &[Problem]) -> &'static str {
    let not_stored = |problem: &Problem| problem.kind == ProblemKind::NotStored;
    if problems.iter().any(not_stored) {
        "see the paths listed; what the destination cannot hold, rename or leave out with \
         local.excludePatterns, or use a drive with ext4, xfs or btrfs"
    } else {
        "see the paths listed; exclude what need not be backed up"
    }
}

/// The errors after which nothing more can be written to a destination.
fn ends_everything(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(
        error,
        Errno::NOSPC
            | Errno::DQUOT
            | Errno::IO
            | Errno::ROFS
            | Errno::STALE
            | Errno::NXIO
            | Errno::NODEV
            | Errno::NOTCONN
            | Errno::SHUTDOWN
    )
}

/// The same for an attribute. A value that is too large for the file system is `ENOSPC` on ext4,
/// however much space is left: it is kept in the manifest.
fn ends_attributes(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    ends_everything(error) && !matches!(error, Errno::NOSPC | Errno::DQUOT)
}

/// The refusal to fill the destination beyond its limit.
fn too_little_space(store: &Store, free: u64, limit: u64) -> Error {
    Error::failed(format!(
        "insufficient space: {} has {} left, local.minSpaceGB keeps {} free",
        store.path,
        amount::bytes(free),
        amount::bytes(limit)
    ))
    .hint(format!("{MAKE_ROOM}; or lower local.minSpaceGB"))
}
