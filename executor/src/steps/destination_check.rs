//! Makes sure that the right destination is there.

use schema::{journal::Outcome, plan::DestinationCheckStep};

use crate::{destination, error::Result, state_dir::StateDir, store::Store};

/// Remembers the destination that was checked, and looks again at what it can hold.
///
/// # Errors
/// Fails if the state directory cannot be written.
pub(crate) fn remember_and_inspect(
    state: &StateDir,
    store: &Store,
    step: &DestinationCheckStep,
) -> Result<Outcome> {
    if step.remember {
        state.remember_destination(&step.destination_id)?;
    }
    let path = &store.path;
    let message = if step.create {
        format!("set up {path}")
    } else {
        format!("{path} is there")
    };
    let changed = if step.create || step.read_only {
        None
    } else {
        destination::inspect_again(store)
    };
    Ok(Outcome::success(match changed {
        Some(changed) => format!("{message}: {changed}"),
        None => message,
    }))
}
