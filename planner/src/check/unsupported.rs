//! What the configuration can say and this version cannot do yet.
//!
//! Owns nothing else: a feature that is added is removed here. A config that asks for more than
//! there is gets a plain sentence, not a backup that silently does less.

use schema::{Config, config::SyncMode};

use super::rules::{Finding, when};

/// Cloud copies other than `copy` of local snapshots.
pub(super) fn cloud(config: &Config) -> Vec<Finding> {
    let (cloud, local) = (&config.cloud, config.local.enable);
    let mut findings = when(
        cloud.enable && local && cloud.sync_mode != SyncMode::Copy,
        || {
            Finding::new(
                "cloud.syncMode",
                "only \"copy\" is part of this version, which removes nothing from the remote",
            )
            .expected("\"copy\"")
            .hint("set `cloud.syncMode` to \"copy\"")
            .with(&["cloud.enable"])
        },
    );
    // `move` without local snapshots has a fault of its own.
    let alone = cloud.enable && !local && cloud.sync_mode != SyncMode::Move;
    findings.extend(when(alone, || {
        Finding::new(
            "cloud.enable",
            "cloud copies without local snapshots are not part of this version",
        )
        .expected("false, or true together with `local.enable`")
        .hint("set `local.enable` to true")
        .with(&["local.enable"])
    }));
    findings
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
