//! Makes sure that the right destination is there.

use schema::{
    journal::{Outcome, Status},
    plan::DestinationCheckStep,
};

use crate::{destination, error::Result, state_dir::StateDir, store::Store, view};

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
    let message = match changed {
        Some(changed) => format!("{message}: {changed}"),
        None => message,
    };
    Ok(match update_view(store, step) {
        Ok(None) => Outcome::success(message),
        Ok(Some(view)) => Outcome::success(format!("{message}; {view}")),
        // The snapshots are what matters: the run goes on.
        Err(error) => Outcome {
            message: format!("{message}; {}", error.message),
            ..error.into_outcome(Status::Incomplete)
        },
    })
}

/// Makes the view of the snapshots for users, or takes it away where they are not to have one any more;
/// says so.
fn update_view(store: &Store, step: &DestinationCheckStep) -> Result<Option<String>> {
    if step.read_only {
        return Ok(None);
    }
    if let Some(path) = &step.user_view {
        view::make_view(store)?;
        return Ok(Some(format!("users read it at {path}")));
    }
    if step.readable_by_users || !view::look_at_view(&store.path, None).can_be_taken_away() {
        return Ok(None);
    }
    view::remove_view(&store.path)?;
    Ok(Some("users no longer read it".to_owned()))
}
