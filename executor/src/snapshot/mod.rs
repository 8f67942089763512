//! Making a snapshot: a tree in `partial` is brought to equal the sources, sealed and published.
//!
//! Invariant (law 4): data and manifest are on disk before the one rename that publishes. The
//! tree in `partial` may start empty or hold what an interrupted run left; [`build`] converges
//! either to the survey of the sources, and so it does with a clone of the basis ([`inherit`]).

mod adopt;
mod as_before;
mod build;
mod build_context;
mod capability_checks;
mod compared;
mod content;
mod copying;
mod dispatch;
mod doubt;
mod feed;
mod file;
mod folder;
mod inherit;
mod jobs;
mod limits;
mod other;
mod outcome;
mod resume_journal;
mod resumed_copy;
pub(crate) mod rsync;
pub(crate) mod seal;
mod start;
mod stored_file;
mod worker;

use schema::{config::AbsolutePath, journal::Outcome, plan::SnapshotStep, record::Engine};

pub use self::feed::Feed;
pub(crate) use self::outcome::describe_suspicion;
use self::{outcome::outcome_of_snapshot, rsync::Filled};
use crate::{
    error::{Error, Result},
    event::Context,
    scan::{self, Looks},
    store::Store,
    survey::Survey,
};

/// Makes, seals and publishes the snapshot of a step; where that was done before, says so.
///
/// `survey` is what the plan was made from, if nothing ran since that may have changed the sources; without
/// it these are looked at as `looks` has it. `feed` is what another destination was given in the same run, if it can be read.
///
/// # Errors
/// What ended the work: an interruption, a destination that cannot be written, too little space.
/// The tree in `partial` stays and is continued.
pub fn run_snapshot_step(
    store: &Store,
    run_id: &str,
    step: &SnapshotStep,
    (survey, looks): (Option<Survey>, &mut Looks),
    feed: Option<&Feed>,
    context: Context<'_>,
) -> Result<Outcome> {
    if let Some(record) = store.record(step.id)?
        && record.run_id == run_id
    {
        let open_because = seal::publish_snapshot(store, step, &record)?;
        return Ok(outcome_of_snapshot(&record, (None, None), open_because));
    }
    let survey = match survey {
        Some(mut survey) => {
            // It was made of all sources that are configured; the plan leaves out what need not be there.
            let is_planned = |path: &AbsolutePath| step.sources.iter().any(|one| one.path == *path);
            survey.sources.retain(|one| is_planned(&one.path));
            survey
        }
        None => survey_sources(store, step, looks, context)?,
    };
    check_any_source(&survey)?;
    let found = survey.sources.iter().flat_map(|source| &source.found);
    let costs = found.filter_map(|found| found.cost.clone());
    let costs_most = costs.max_by_key(|cost| cost.bytes);
    let left_out = survey.left_out.total();
    let gone = survey.gone.clone();
    let destination = store.destination()?.ok_or_else(|| {
        Error::failed(format!("{} has no destination.json", store.path))
            .hint("run `backup apply` again: it sets the destination up")
    })?;
    let mut started = start::start_tree(store, step, &destination.capabilities, context.stop)?;
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
        Engine::Rsync => rsync::fill_by_rsync(store, step, &started, (&survey, feed), context)?,
    };
    if filled.is_some() {
        // What rsync copied is there to be made equal to the sources.
        started.look_at_everything();
    }
    let Filled { heard, fresh } = filled.unwrap_or_default();
    let found = (survey, &fresh, feed);
    let mut built = build::build_tree(store, run_id, step, &started, found, context)?;
    heard.add_to(&mut built, &started.tree);
    let record = seal::seal_snapshot(store, run_id, step, &started, (built, gone), context)?;
    let open_because = seal::publish_snapshot(store, step, &record)?;
    let mut outcome = outcome_of_snapshot(&record, (costs_most, left_out), open_because);
    if let Some(feed) = feed {
        feed.tell(&mut outcome);
    }
    Ok(outcome)
}

/// Refuses to make a snapshot of nothing: a pre-script may have made the sources, or not.
fn check_any_source(survey: &Survey) -> Result<()> {
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
fn survey_sources(
    store: &Store,
    step: &SnapshotStep,
    looks: &mut Looks,
    context: Context<'_>,
) -> Result<Survey> {
    let basis = step
        .basis
        .as_ref()
        .map(|basis| || store.manifests(basis.id, &step.also_link));
    let record = match &step.basis {
        Some(basis) if step.also_link.is_empty() => store.record(basis.id)?,
        _ => None,
    };
    let basis = basis.as_ref().map(|manifest| scan::ComparedBasis {
        manifest,
        stretched: record.as_ref(),
    });
    let never = store
        .root
        .stat_self()
        .map_err(|error| store.io("look at", "", error))?;
    let mut never = vec![(never.dev, never.ino)];
    never.extend_from_slice(looks.left_out());
    let found = looks
        .scans
        .scan(&step.into(), basis, None, &never, context)?;
    Ok(found.1)
}
