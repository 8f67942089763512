//! Lets old snapshots go on a remote with history.

use schema::{Plan, journal::Outcome, plan::ExpireStep};

use super::remote::with_remote;
use crate::{error::Result, event::Context, state_dir::StateDir};

/// Lets go what is to go, and takes away what was let go long enough ago.
///
/// # Errors
/// Refused where the copies are another machine's; fails if the remote cannot be reached or written to.
pub fn run_expire_step(
    state: &StateDir,
    plan: &Plan,
    name: &str,
    step: &ExpireStep,
    context: Context<'_>,
) -> Result<Outcome> {
    with_remote(state, name, (&step.call, 0), context, |remote| {
        remote.expire(step, plan.created_at)
    })
}
