//! Decides whom to tell: a dead man's switch of the start, everyone of the result, whatever it is.

use schema::{
    Finding,
    plan::{Action, AnnounceStep, Channel, NotifyStep},
};

use super::Draft;
use crate::{facts::Facts, findings::trust::is_untrusted};

/// The ping of a dead man's switch before anything else.
pub(crate) fn decide_announce(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let wanted = &facts.config.notifications;
    let switch = wanted.healthcheck.as_ref().filter(|_| wanted.enable)?;
    Some(Draft::last(Action::Announce(AnnounceStep {
        url: switch.url.clone(),
        url_file: switch.url_file.clone(),
    })))
}

/// The notification, where one is asked for. A dead man's switch waits for every result.
pub(crate) fn decide_notify(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let wanted = &facts.config.notifications;
    let of_any = wanted.on_success || wanted.on_failure;
    let channels: Vec<Channel> = wanted
        .channels()
        .into_iter()
        .filter(|channel| of_any || matches!(channel, Channel::Healthcheck { .. }))
        .filter(|channel| match channel {
            Channel::Command { program } => !is_untrusted(facts.inventory, program),
            _ => true,
        })
        .collect();
    if channels.is_empty() {
        return None;
    }
    Some(Draft::last(Action::Notify(NotifyStep {
        on_success: wanted.on_success,
        on_failure: wanted.on_failure,
        channels,
        last_good: facts.last_good,
    })))
}
