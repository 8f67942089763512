//! What the steps of one run share, for each destination apart: one that is absent, full or damaged is
//! nothing to the others.

use std::collections::BTreeMap;

use schema::{
    Config, Plan, StoredPath,
    config::DestinationName,
    journal::{JournalEvent, Outcome, Status},
    plan::{
        Action, CloudSyncStep, Step, UploadFeed, UploadStep,
        chain::{chain_id, plain_id},
    },
};

use super::session::Session;
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Context, Event, Observer},
    journal::{Journal, Replay},
    scan::Looks,
    state_dir::StateDir,
    steps::{cloud_sync::run_mirror_step, feed::OpenFeed, upload::run_upload_step},
    store::Store,
    survey::Survey,
};

/// Surveys of the sources, each as one destination has them; `None` is the base, of `local` and `cloud`.
pub type Surveys = BTreeMap<Option<DestinationName>, Survey>;

/// What is done for a named remote with what other destinations have.
#[derive(Clone, Copy)]
pub(super) enum ToRemote<'a> {
    /// To one with history, the live sources too.
    History(&'a UploadStep),
    /// To a mirror.
    Mirror(&'a CloudSyncStep),
}

impl<'a> ToRemote<'a> {
    pub(super) fn of(action: &'a Action) -> Option<Self> {
        match action {
            Action::Upload(upload) => Some(Self::History(upload)),
            Action::CloudSync(sync) if !sync.from.is_empty() => Some(Self::Mirror(sync)),
            _ => None,
        }
    }

    fn remote(self) -> &'a str {
        match self {
            Self::History(upload) => &upload.call.remote,
            Self::Mirror(sync) => &sync.remote,
        }
    }
}

/// The sessions of a run, by destination.
pub(super) struct Sessions {
    /// The state directory.
    pub(super) state: StateDir,
    all: BTreeMap<Option<DestinationName>, Session>,
    looks: Looks,
    /// What the plan was made from, where it is for several destinations.
    config: Option<Config>,
}

impl Sessions {
    /// Sessions for all destinations that have steps in a plan. Steps of nobody are of the destination
    /// whose view the state directory is: what is done there alone has no chains.
    pub(super) fn new(state: &StateDir, plan: &Plan) -> Self {
        let named = plan.steps.iter().map(|step| step.of.clone());
        let all = named.chain([None]).map(|of| {
            let own = state.of_destination(of.as_ref().or(state.of.as_ref()));
            let session = Session::new(own, plan, of.as_ref());
            (of, session)
        });
        Self {
            state: state.clone(),
            all: all.collect(),
            looks: Looks::new(state, plan),
            config: plan
                .is_of_several()
                .then(|| state.config_of(&plan.run_id))
                .flatten(),
        }
    }

    /// How a step ended, in the words in which a person configures its destination and asks for it.
    pub(super) fn in_own_words(&self, step: &Step, mut outcome: Outcome) -> Outcome {
        if let (Some(config), Some(name)) = (&self.config, &step.of) {
            config.end_in_words_of(name, &mut outcome);
        }
        outcome
    }

    /// That of one destination alone.
    pub(super) fn only(mut self, of: Option<&DestinationName>) -> Self {
        self.all.retain(|name, _| name.as_ref() == of);
        self.looks.scans.end();
        self
    }

    /// Hands what the sources were found to hold to those who make snapshots of it.
    pub(super) fn take_surveys(&mut self, surveys: Surveys) {
        for (of, survey) in surveys {
            if let Some(session) = self.all.get_mut(&of) {
                session.survey = Some(survey);
            }
        }
    }

    /// The session of a step's destination, with what all share.
    ///
    /// # Errors
    /// Fails for one that has no steps in the plan.
    pub(super) fn of_step(&mut self, step: &Step) -> Result<(&mut Session, &mut Looks)> {
        let session = self.all.get_mut(&step.of);
        let session = session.ok_or_else(|| Error::failed("the plan has no such destination"))?;
        self.looks.begin(&step.id);
        Ok((session, &mut self.looks))
    }

    /// Uploads to a remote from the disks that are there. Those that have no steps in this run are opened for it
    /// and let go of.
    ///
    /// # Errors
    /// As [`run_upload_step`] and [`run_mirror_step`].
    pub(super) fn upload(
        &mut self,
        plan: &Plan,
        step: &Step,
        to: ToRemote<'_>,
        context: Context<'_>,
    ) -> Result<Outcome> {
        let from = step.action.feeds();
        let is_live = step.action.live().is_some();
        let mut lent = Vec::new();
        let mut away = Vec::new();
        for feed in from {
            let of = session_of(feed);
            let has = self.all.get(&of).is_some_and(Session::has_destination);
            if !has {
                let state = self.state.of_destination(of.as_ref());
                let session = Session::reading(state, &feed.destination);
                lent.push((of.clone(), self.all.insert(of.clone(), session)));
            }
            let Some(session) = self.all.get_mut(&of) else {
                continue;
            };
            match session.store().and_then(|store| check_feed(store, feed)) {
                Ok(()) => {}
                Err(error) if may_be_missing(&error) => {
                    away.push((feed.of.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
        let is_there = |feed: &&UploadFeed| away.iter().all(|(of, _)| *of != feed.of);
        let feeds: Vec<OpenFeed<'_>> = from
            .iter()
            .filter(is_there)
            .filter_map(|feed| {
                let store = self.all.get(&session_of(feed))?.opened()?;
                Some(OpenFeed { feed, store })
            })
            .collect();
        let state = self.state.of_destination(step.of.as_ref());
        let done = match away.first() {
            Some((of, error)) if feeds.is_empty() && !is_live => Ok(Outcome {
                status: Status::Deferred,
                message: format!(
                    "nothing is uploaded to {}: {of}: {}",
                    to.remote(),
                    error.message
                ),
                ..error.clone().into_outcome(Status::Deferred)
            }),
            _ => match to {
                ToRemote::Mirror(sync) => run_mirror_step(&feeds, &state, &step.id, sync, context),
                ToRemote::History(upload) => {
                    run_upload_step(&feeds, &state, plan, &step.id, upload, context)
                }
            },
        };
        for (of, before) in lent {
            match before {
                Some(session) => self.all.insert(of, session),
                None => self.all.remove(&of),
            };
        }
        done
    }

    /// Opens the destinations again that were checked before a run was interrupted. In a run for several,
    /// one that cannot be opened is out of it and the others go on: how its check ended is written anew.
    ///
    /// # Errors
    /// What keeps the only destination from being used; an interruption; a journal that cannot be written.
    pub(super) fn reopen(
        &mut self,
        plan: &Plan,
        journal: &mut Journal,
        replay: &mut Replay,
        context: Context<'_>,
    ) -> Result<()> {
        for (of, session) in &mut self.all {
            let check = chain_id("destination-check", of.as_ref());
            let serves = |outcome: &Outcome| outcome.status.serves();
            if !replay.outcome(&check).is_some_and(serves) {
                continue;
            }
            let mut own = plan.steps.iter();
            let is_left = |step: &Step| {
                step.of == *of && !step.is_of_frame() && replay.outcome(&step.id).is_none()
            };
            // What is away once its own steps have ended is none of theirs.
            if !own.any(is_left) {
                continue;
            }
            let error = match session.store() {
                Ok(_) => continue,
                Err(error) => error,
            };
            // The only one is waited for by the run as a whole.
            let outcome = outcome_in_chain(plan, &error).filter(|_| !plan.chains.is_empty());
            let Some(outcome) = outcome else {
                return Err(error);
            };
            end_step(&check, outcome, (journal, replay), context)?;
        }
        // Each is locked by its first step, as in a run that was not interrupted.
        for session in self.all.values_mut() {
            session.close();
        }
        Ok(())
    }

    /// Lets users see the newest snapshots as `latest`, where they have a view.
    pub(super) fn refresh_views(&self) {
        for session in self.all.values() {
            session.refresh_view();
        }
    }
}

/// The destination whose session is a disk's.
fn session_of(feed: &UploadFeed) -> Option<DestinationName> {
    (!feed.of.is_predefined()).then(|| feed.of.clone())
}

/// Refuses a disk that is not the one that the plan found.
fn check_feed(store: &Store, feed: &UploadFeed) -> Result<()> {
    let found = store.destination()?;
    if found.is_some_and(|found| found.id == feed.destination.destination_id) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "what is mounted at {} is not the disk that was there when the plan was made",
        feed.destination.mount_point
    ))
    .hint("attach that disk, and run it again"))
}

/// Whether a disk is passed over that cannot be opened for this: another run may use it, too.
fn may_be_missing(error: &Error) -> bool {
    error.kind == ErrorKind::Busy || error.kind.step_status().is_some()
}

/// Ends a step that was not done by this run's own doing.
///
/// # Errors
/// Fails if the journal cannot be written.
pub(super) fn end_step(
    step: &str,
    outcome: Outcome,
    (journal, replay): (&mut Journal, &mut Replay),
    context: Context<'_>,
) -> Result<()> {
    context.observer.event(Event::StepFinished {
        step,
        outcome: &outcome,
    });
    let event = JournalEvent::StepFinished {
        step: step.to_owned(),
        at: context.clock.now(),
        outcome,
    };
    journal.append(&event)?;
    replay.events.push(event);
    Ok(())
}

/// How a step ends that met this error; none where that ends the run. A destination that another run
/// uses holds up nothing but its own chain, where there are several.
pub(super) fn outcome_in_chain(plan: &Plan, error: &Error) -> Option<Outcome> {
    let status = match (error.kind, error.kind.step_status()) {
        (_, Some(status)) => status,
        (ErrorKind::Busy, None) if !plan.chains.is_empty() => Status::Deferred,
        (_, None) => return None,
    };
    Some(Outcome {
        unusable_basis: error.is_of_basis().then(|| error.message.clone()),
        ..error.clone().into_outcome(status)
    })
}

/// Names steps by their whole ids to whom those tell of that know only their plain ones.
pub(super) struct InChain<'a> {
    /// Who is told.
    pub(super) observer: &'a dyn Observer,
    /// The id of the step that is at work.
    pub(super) step: &'a str,
}

impl Observer for InChain<'_> {
    fn event(&self, event: Event<'_>) {
        self.observer.event(match event {
            Event::ScriptLine { step, line } if step == plain_id(self.step) => Event::ScriptLine {
                step: self.step,
                line,
            },
            other => other,
        });
    }

    fn at_hand(&self, path: &StoredPath) {
        self.observer.at_hand(path);
    }
}
