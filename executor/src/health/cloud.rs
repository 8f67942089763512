//! Checks whether rclone is there and reaches the remote: by one short listing, nothing else.

use std::{process::Command, time::Duration};

use schema::config::{Cloud, Provider};

use crate::{
    cloud::{
        memory::RemoteCache,
        rclone::{CopyPlace, Credentials, check_config, clean_environment},
    },
    error::Result,
    event::Context,
    process::{Limits, ProcessExit, capture_output},
    state_dir::StateDir,
};

const RCLONE: &str = "rclone";

/// Longest time for reaching the remote; rclone's own limits are shorter.
const REACHES: Duration = Duration::from_secs(45);

/// Why the remote cannot be listed; none if it can. What rclone saves of its credentials meanwhile is
/// kept in the state directory, with what is remembered of the host's folder there.
pub(super) fn why_unreachable(
    cloud: &Cloud,
    (state, folder): (Option<&StateDir>, &str),
    context: Context<'_>,
) -> Result<Option<String>> {
    let given = cloud.config_file.as_ref();
    let prepared = match state {
        Some(state) => RemoteCache::open_or_new(state, folder)
            .and_then(|cache| Credentials::prepare(RCLONE, given, &cache, CopyPlace::State(state))),
        None => given
            .map_or(Ok(()), check_config)
            .map(|()| Credentials::none()),
    };
    let credentials = match prepared {
        Ok(credentials) => credentials,
        Err(error) => return Ok(Some(error.message)),
    };
    let found = list_remote(cloud, &credentials, context);
    credentials.keep("health", context);
    found
}

fn list_remote(
    cloud: &Cloud,
    credentials: &Credentials,
    context: Context<'_>,
) -> Result<Option<String>> {
    let remote = match cloud.provider {
        Provider::ProtonDrive => "proton:",
        Provider::Custom => cloud.remote.as_deref().unwrap_or("proton:"),
    };
    let given = cloud
        .config_file
        .as_ref()
        .map(|file| format!("--config={file}"));
    let mut command = Command::new(RCLONE);
    clean_environment(&mut command);
    command
        .args(["lsd", remote, "--max-depth=1", "--retries=1"])
        .args(["--low-level-retries=1", "--contimeout=10s", "--timeout=30s"])
        .args(credentials.options(given.as_slice()))
        // A remote may be a folder named relative to where rclone runs.
        .current_dir("/");
    let limits = Limits::within(REACHES).stopped_by(context.stop);
    let ended = capture_output(&mut command, Vec::new(), limits)?;
    Ok(match &ended.exit {
        exit if exit.is_success() => None,
        ProcessExit::TimedOut => Some(format!("rclone did not end in {} s", REACHES.as_secs())),
        _ => {
            let said = credentials.conceal(&ended.with_last_words());
            Some(format!("rclone {said}"))
        }
    })
}
