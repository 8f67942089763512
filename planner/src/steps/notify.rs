//! Decides whom to tell of the result, which runs whatever the result is.

use schema::{
    Finding,
    plan::{Action, NotifyStep},
};

use super::{Draft, facts::Facts};

/// The notification, where one is asked for and there is a command to hand it to.
pub(crate) fn decide(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let wanted = &facts.config.notifications;
    let command = wanted.command.clone()?;
    (wanted.enable && (wanted.on_success || wanted.on_failure)).then(|| {
        Draft::last(Action::Notify(NotifyStep {
            on_success: wanted.on_success,
            on_failure: wanted.on_failure,
            command,
        }))
    })
}
