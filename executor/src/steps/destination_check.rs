//! Makes sure that the right destination is there.

use schema::{journal::Outcome, plan::DestinationCheckStep};

use crate::{destination, error::Result, event::Context, run::Session};

/// Checks the destination, sets it up where it is new, takes its lock and remembers it.
///
/// # Errors
/// A refusal if it is not the right one, or that another run holds it.
pub fn run(
    session: &mut Session<'_>,
    step: &DestinationCheckStep,
    context: Context<'_>,
) -> Result<Outcome> {
    session.prepare(step, context)?;
    if step.remember {
        session.state.remember_destination(&step.destination_id)?;
    }
    let store = session.store()?;
    let path = &store.path;
    let message = if step.create {
        format!("set up {path}")
    } else {
        format!("{path} is there")
    };
    let changed = if step.create || step.read_only {
        None
    } else {
        destination::look_again(store)
    };
    Ok(Outcome::success(match changed {
        Some(changed) => format!("{message}: {changed}"),
        None => message,
    }))
}
