//! Records on a remote with history what a person says of a snapshot there.

use schema::{journal::Outcome, plan::RemoteMarkStep};

use super::{mark::say, remote::with_remote};
use crate::{error::Result, event::Context, state_dir::StateDir};

/// Writes the mark, if it is not what was last said.
///
/// # Errors
/// Refused if there is no such snapshot; fails if the remote cannot be reached or written to.
pub fn run_remote_mark_step(
    state: &StateDir,
    name: &str,
    step: &RemoteMarkStep,
    context: Context<'_>,
) -> Result<Outcome> {
    let id = step.mark.id();
    let message = with_remote(state, name, (&step.call, 0), context, |remote| {
        let known = remote.refresh()?;
        let (marks, message) = say(&step.mark, Some(remote.marks(&known, id)));
        remote.mark(&known, id, &marks)?;
        Ok(message)
    })?;
    Ok(Outcome::success(message))
}
