//! What the snapshot of one destination may take from one that another got before it in the same run.
//!
//! Nobody is held up by that: what cannot be opened is told, and all comes from the sources.

use schema::{
    Plan,
    config::DestinationName,
    journal::Outcome,
    plan::{Action, ContentFrom, SnapshotStep, Step},
};

use crate::{
    destination::open_checked,
    error::{Error, Result},
    event::Context,
    snapshot::Feed,
    state_dir::StateDir,
};

/// What content may be taken from, if anything.
#[derive(Debug, Default)]
pub(super) struct Feeding {
    pub(super) feed: Option<Feed>,
    /// What the plan names and cannot be read, each with the reason.
    passed_over: Vec<String>,
}

impl Feeding {
    /// Opens the first of those that the plan names which can be read.
    ///
    /// # Errors
    /// An interruption.
    pub(super) fn open(
        state: &StateDir,
        plan: &Plan,
        (step, snapshot): (&Step, &SnapshotStep),
        context: Context<'_>,
    ) -> Result<Self> {
        let mut this = Self::default();
        for from in &snapshot.content_from {
            match open_one(state, plan, step, from, context) {
                Ok(feed) => {
                    this.feed = Some(feed);
                    break;
                }
                Err(error) => {
                    context.stop.check()?;
                    this.passed_over
                        .push(format!("{}: {}", from.of, error.message));
                }
            }
        }
        Ok(this)
    }

    /// Says how a snapshot ended that was made with this.
    pub(super) fn tell(&self, outcome: &mut Outcome) {
        if !self.passed_over.is_empty() {
            let passed_over = self.passed_over.join("; ");
            outcome
                .message
                .push_str(&format!("; nothing came from {passed_over}"));
        }
    }
}

/// Opens the snapshot that this run has made of a destination; nobody may be kept from it meanwhile, so its lock
/// is not taken.
fn open_one(
    state: &StateDir,
    plan: &Plan,
    step: &Step,
    from: &ContentFrom,
    context: Context<'_>,
) -> Result<Feed> {
    let of: Option<&DestinationName> = (!from.of.is_predefined()).then_some(&from.of);
    let before = plan.steps.iter().take_while(|one| one.id != step.id);
    let mut own = before.filter(|one| one.of.as_ref() == of);
    let check = own.find_map(|one| match &one.action {
        Action::DestinationCheck(check) => Some(check),
        _ => None,
    });
    let is_made =
        own.any(|one| matches!(&one.action, Action::Snapshot(made) if made.id == from.snapshot));
    let Some(check) = check.filter(|_| is_made) else {
        return Err(Error::failed("it gets no snapshot before this one"));
    };
    let store = state
        .of_destination(of)
        .with_kept_digests(open_checked(check)?);
    let snapshot = (plan.run_id.as_str(), from.snapshot);
    Feed::open(from.of.clone(), store, snapshot, context.stop)
}
