//! Decides how the new snapshot is copied to the cloud.
//!
//! Only `cloud.syncMode = "copy"` is decided here, which never removes anything from the remote;
//! the config check refuses the other modes.

use schema::{
    Finding,
    config::{Cloud, Provider},
    plan::{Action, CloudSyncStep},
};

use super::{Draft, facts::Facts};

/// The copy, where one is asked for and there are local snapshots to copy.
pub(crate) fn decide(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let cloud = &facts.config.cloud;
    facts.destination.filter(|_| cloud.enable)?;
    let remote = remote(cloud, facts.host);
    let mut arguments: Vec<String> = ["copy", "{snapshot}", &remote, "--links"]
        .map(str::to_owned)
        .into();
    if let Some(file) = &cloud.config_file {
        arguments.extend(["--config".to_owned(), file.to_string()]);
    }
    if let Some(limit) = &cloud.bandwidth_limit {
        arguments.extend(["--bwlimit".to_owned(), limit.clone()]);
    }
    // A line of progress now and then, for the log.
    let stats = [
        "--stats",
        "1m",
        "--stats-one-line",
        "--stats-log-level",
        "NOTICE",
    ];
    arguments.extend(stats.map(str::to_owned));
    let action = Action::CloudSync(CloudSyncStep {
        program: "rclone".to_owned(),
        arguments,
        remote,
        config_file: cloud.config_file.clone(),
        timeout: cloud.timeout.clone(),
    });
    // After the rotation, which moves the snapshot to where it stays.
    Some(Draft {
        action,
        needs: &["snapshot"],
        after: super::After::Kinds(&["rotate"]),
    })
}

/// The host's folder on the remote.
fn remote(cloud: &Cloud, host: &str) -> String {
    let remote = match cloud.provider {
        Provider::ProtonDrive => "proton:",
        Provider::Custom => cloud.remote.as_deref().unwrap_or("proton:"),
    };
    let path = cloud.remote_path.trim_matches('/');
    let between = if remote.ends_with([':', '/']) {
        ""
    } else {
        "/"
    };
    let below = if path.is_empty() { "" } else { "/" };
    format!("{remote}{between}{path}{below}{host}/current")
}
