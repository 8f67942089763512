//! What the steps of a maintenance plan would say, without a run.
//!
//! Decided and worded by the steps themselves; nothing is written, locked or tried out. What only the
//! doing shows is not foretold: a disk that cannot be written to, or what it turns out to hold.

use schema::{
    Plan,
    plan::{Action, MarkStep},
};

use super::{dispatch::with_other_manifest, session::is_other_manifest};
use crate::{
    error::{Error, Result},
    steps,
    store::Store,
};

/// A step that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foretold {
    /// Its id.
    pub step: String,
    /// What it would say.
    pub message: String,
}

/// What each step of a plan would say that checks a destination or marks snapshots; the others say
/// nothing beforehand. `store` is the destination, where it is set up.
///
/// # Errors
/// As the steps, where they refuse before they write.
pub fn foretell_steps(store: Option<&Store>, plan: &Plan) -> Result<Vec<Foretold>> {
    let mut all = Vec::new();
    for step in &plan.steps {
        let message = match &step.action {
            Action::DestinationCheck(check) => steps::destination_check::foretell_check(check),
            Action::Mark(mark) => {
                let store = store.ok_or_else(|| Error::failed("the destination is not open"))?;
                foretell_mark(store, mark)?
            }
            Action::RemoteMark(step) => {
                let store = store.ok_or_else(|| Error::failed("nothing is known of the remote"))?;
                steps::mark::foretell_mark_step(store, &step.mark)?
            }
            _ => continue,
        };
        all.push(Foretold {
            step: step.id.clone(),
            message,
        });
    }
    Ok(all)
}

fn foretell_mark(store: &Store, mark: &MarkStep) -> Result<String> {
    let message = steps::mark::foretell_mark_step(store, mark)?;
    let MarkStep::Accept { id } = mark else {
        return Ok(message);
    };
    let record = store.record(*id).ok().flatten();
    let is_other = record.is_some_and(|one| is_other_manifest(store, *id, one.manifest_digest));
    Ok(match is_other {
        true => with_other_manifest(&message),
        false => message,
    })
}
