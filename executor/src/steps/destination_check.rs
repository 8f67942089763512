//! Makes sure that the right destination is there.

use schema::{journal::Outcome, plan::DestinationCheckStep};

use crate::{error::Result, event::Context, run::Session};

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
    let path = &session.store()?.path;
    Ok(Outcome::success(if step.create {
        format!("set up {path}")
    } else {
        format!("{path} is there")
    }))
}
