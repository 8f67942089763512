//! Checks whether rclone is there and reaches the remote: by one short listing, nothing else.

use std::{process::Command, time::Duration};

use schema::{
    config::{Cloud, Provider},
    health::ToolFound,
};

use crate::{
    error::Result,
    event::Context,
    process::{Captured, Limits, ProcessExit, capture_output},
};

/// Longest time for asking rclone what it is.
const ANSWERS: Duration = Duration::from_secs(20);
/// Longest time for reaching the remote; rclone's own limits are shorter.
const REACHES: Duration = Duration::from_secs(45);

/// Runs `rclone version`.
pub(super) fn ask_rclone_version(context: Context<'_>) -> Result<ToolFound> {
    let mut command = Command::new("rclone");
    command.arg("version").current_dir("/");
    let ended = ask_rclone(&mut command, ANSWERS, context)?;
    let first = ended.stdout.lines().next().unwrap_or_default();
    // `rclone v1.75.2`, and `rclone v1.60.1-DEV` of a distribution.
    let version = first.strip_prefix("rclone v").map(str::to_owned);
    let fault = match (&version, &ended.exit) {
        (Some(_), _) => None,
        (None, ProcessExit::TimedOut) => Some("it does not answer".to_owned()),
        (None, exit) if exit.is_success() => {
            Some(format!("`rclone version` tells no version: {first}"))
        }
        (None, exit) => Some(format!("it {exit}")),
    };
    Ok(ToolFound { version, fault })
}

/// Why the remote cannot be listed; none if it can.
pub(super) fn why_unreachable(cloud: &Cloud, context: Context<'_>) -> Result<Option<String>> {
    let remote = match cloud.provider {
        Provider::ProtonDrive => "proton:",
        Provider::Custom => cloud.remote.as_deref().unwrap_or("proton:"),
    };
    let mut command = Command::new("rclone");
    command
        .args(["lsd", remote, "--max-depth=1", "--retries=1"])
        .args(["--low-level-retries=1", "--contimeout=10s", "--timeout=30s"])
        // A remote may be a folder named relative to where rclone runs.
        .current_dir("/");
    if let Some(file) = &cloud.config_file {
        command.arg(format!("--config={file}"));
    }
    let ended = ask_rclone(&mut command, REACHES, context)?;
    Ok(match &ended.exit {
        exit if exit.is_success() => None,
        ProcessExit::TimedOut => Some(format!("rclone did not end in {} s", REACHES.as_secs())),
        _ => Some(format!("rclone {}", ended.with_last_words())),
    })
}

fn ask_rclone(command: &mut Command, limit: Duration, context: Context<'_>) -> Result<Captured> {
    let limits = Limits::within(limit).stopped_by(context.stop);
    capture_output(command, Vec::new(), limits)
}
