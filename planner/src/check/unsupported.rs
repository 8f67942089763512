//! What the configuration can say and this version cannot do yet.
//!
//! Owns nothing else: a feature that is added is removed here. A config that asks for more than
//! there is gets a plain sentence, not a backup that silently does less.

use schema::{Config, config::SyncMode};

use super::rules::{Finding, when};

/// Cloud copies that are not of local snapshots.
pub(super) fn cloud(config: &Config) -> Vec<Finding> {
    let (cloud, local) = (&config.cloud, config.local.enable);
    // `move` without local snapshots has a fault of its own.
    let alone = cloud.enable && !local && cloud.sync_mode != SyncMode::Move;
    when(alone, || {
        Finding::new(
            "cloud.enable",
            "cloud copies without local snapshots are not part of this version",
        )
        .expected("false, or true together with `local.enable`")
        .hint("set `local.enable` to true")
        .with(&["local.enable"])
    })
}
