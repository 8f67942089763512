//! What the configuration can say and this version cannot do yet.
//!
//! Owns nothing else: a feature that is added is removed here. A config that asks for more than
//! there is gets a plain sentence, not a backup that silently does less.

use schema::Config;

use super::rules::{Finding, when};

/// The rsync engine.
pub(super) fn rsync(config: &Config) -> Vec<Finding> {
    when(config.local.enable && config.local.use_rsync, || {
        Finding::new(
            "local.useRsync",
            "the rsync engine is not part of this version",
        )
        .expected("false, the built-in engine, which makes the same layout")
        .hint("set `local.useRsync` to false")
        .with(&["local.enable"])
    })
}

/// Channels other than `command`.
pub(super) fn channels(config: &Config) -> Vec<Finding> {
    let n = &config.notifications;
    let channels = [
        ("notifications.desktop", n.desktop, "false"),
        ("notifications.email", n.email.is_some(), "null"),
        ("notifications.ntfy", n.ntfy.is_some(), "null"),
        ("notifications.webhook", n.webhook.is_some(), "null"),
        ("notifications.healthcheck", n.healthcheck.is_some(), "null"),
    ];
    channels
        .into_iter()
        .filter(|(_, used, _)| n.enable && *used)
        .map(|(path, _, off)| {
            Finding::new(path, "this channel is not part of this version")
                .expected(format!(
                    "{off}; `notifications.command` is the channel there is"
                ))
                .hint(format!(
                    "set `{path}` to {off}, and `notifications.command` to an executable that tells \
                     you"
                ))
                .with(&["notifications.enable"])
        })
        .collect()
}
