//! Checks whether rclone is there and reaches the remote: by one short listing, nothing else.

use std::{process::Command, time::Duration};

use schema::config::{Cloud, Provider};

use crate::{
    cloud::rclone::clean_environment,
    error::Result,
    event::Context,
    process::{Limits, ProcessExit, capture_output},
};

/// Longest time for reaching the remote; rclone's own limits are shorter.
const REACHES: Duration = Duration::from_secs(45);

/// Why the remote cannot be listed; none if it can.
pub(super) fn why_unreachable(cloud: &Cloud, context: Context<'_>) -> Result<Option<String>> {
    let remote = match cloud.provider {
        Provider::ProtonDrive => "proton:",
        Provider::Custom => cloud.remote.as_deref().unwrap_or("proton:"),
    };
    let mut command = Command::new("rclone");
    clean_environment(&mut command);
    command
        .args(["lsd", remote, "--max-depth=1", "--retries=1"])
        .args(["--low-level-retries=1", "--contimeout=10s", "--timeout=30s"])
        // A remote may be a folder named relative to where rclone runs.
        .current_dir("/");
    if let Some(file) = &cloud.config_file {
        command.arg(format!("--config={file}"));
    }
    let limits = Limits::within(REACHES).stopped_by(context.stop);
    let ended = capture_output(&mut command, Vec::new(), limits)?;
    Ok(match &ended.exit {
        exit if exit.is_success() => None,
        ProcessExit::TimedOut => Some(format!("rclone did not end in {} s", REACHES.as_secs())),
        _ => Some(format!("rclone {}", ended.with_last_words())),
    })
}
