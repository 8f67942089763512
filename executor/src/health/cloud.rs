//! Whether rclone is there, and whether it reaches the remote: one short listing, nothing else.

use std::{process::Command, sync::Mutex, time::Duration};

use schema::{
    config::{Cloud, Provider},
    health::ToolFound,
};

use crate::{
    error::Result,
    event::{Context, Event, Observer},
    steps::child::{self, Ended},
};

/// Longest time for asking rclone what it is.
const TELLS: Duration = Duration::from_secs(20);
/// Longest time for reaching the remote; rclone's own limits are shorter.
const REACHES: Duration = Duration::from_secs(45);

/// Keeps the first line that a program prints.
#[derive(Default)]
struct FirstLine(Mutex<Option<String>>);

impl Observer for FirstLine {
    fn event(&self, event: Event<'_>) {
        if let (Event::ScriptLine { line, .. }, Ok(mut first)) = (event, self.0.lock()) {
            first.get_or_insert_with(|| line.to_owned());
        }
    }
}

/// Runs `rclone version`.
pub(super) fn rclone(context: Context<'_>) -> Result<ToolFound> {
    let mut command = Command::new("rclone");
    command.arg("version").current_dir("/");
    let said = FirstLine::default();
    let heard = Context {
        observer: &said,
        ..context
    };
    let ended = child::run(command, "health", TELLS, heard)?;
    let first = said.0.into_inner().ok().flatten().unwrap_or_default();
    // `rclone v1.75.2`, and `rclone v1.60.1-DEV` of a distribution.
    let version = first.strip_prefix("rclone v").map(str::to_owned);
    let fault = match (&version, ended) {
        (Some(_), _) => None,
        (None, Ended::Badly { how, .. }) => Some(format!("it {how}")),
        (None, Ended::TooLate) => Some("it does not answer".to_owned()),
        (None, Ended::Well) => Some(format!("`rclone version` tells no version: {first}")),
    };
    Ok(ToolFound { version, fault })
}

/// Why the remote cannot be listed; none if it can.
pub(super) fn unreachable(cloud: &Cloud, context: Context<'_>) -> Result<Option<String>> {
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
    let silent = FirstLine::default();
    let heard = Context {
        observer: &silent,
        ..context
    };
    Ok(match child::run(command, "health", REACHES, heard)? {
        Ended::Well => None,
        Ended::Badly { how, last_line } => Some(format!("rclone {how}: {last_line}")),
        Ended::TooLate => Some(format!("rclone did not end in {} s", REACHES.as_secs())),
    })
}
