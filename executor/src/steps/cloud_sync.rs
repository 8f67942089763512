//! Copies the snapshot that this run sealed to the cloud, with rclone.
//!
//! Owns the start and the end of rclone; what it is told is in the plan. rclone only reads the
//! snapshot, and never runs in it.

use std::process::Command;

use schema::{
    journal::{Outcome, Sealed, Status},
    plan::CloudSyncStep,
};

use super::child::{self, Ended};
use crate::{
    error::{Error, Result},
    event::Context,
    store::Store,
    sys::{Kind, resolve::resolve},
};

/// What rclone's last line says when it never came to copying.
const NO_CONNECTION: [&str; 10] = [
    "dial tcp",
    "no such host",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "timeout",
    "401",
    "Unauthorized",
    "didn't find section in config file",
    "couldn't",
];

/// Copies the sealed snapshot.
///
/// # Errors
/// An interruption, or a destination that cannot be read.
pub fn run(
    store: &Store,
    name: &str,
    step: &CloudSyncStep,
    sealed: Option<&Sealed>,
    context: Context<'_>,
) -> Result<Outcome> {
    let Some(sealed) = sealed.filter(|sealed| sealed.suspect.is_empty()) else {
        return Ok(Outcome::not(
            Status::Incomplete,
            format!(
                "nothing is copied to {}: this run made no good snapshot",
                step.remote
            ),
            "see why the snapshot is suspect; after `backup accept` the next run copies again",
        ));
    };
    if let Some(refusal) = readable_by_others(step) {
        return Ok(refusal);
    }
    let home = store
        .home_of(sealed.id)?
        .ok_or_else(|| Error::failed(format!("snapshot {} is gone", sealed.id)))?;
    let folder = store.named(&format!("{home}/{}", sealed.id));
    let mut command = Command::new(&step.program);
    command
        .args(
            step.arguments
                .iter()
                .map(|argument| match argument.as_str() {
                    "{snapshot}" => &folder,
                    _ => argument,
                }),
        )
        // A remote may be a folder named relative to where rclone runs: never in a snapshot.
        .current_dir("/");
    let ended = child::run(command, name, step.timeout.as_duration(), context)?;
    let hint = format!(
        "try by hand: {}{} lsd {}",
        step.program,
        step.config_file
            .as_ref()
            .map(|file| format!(" --config={file}"))
            .unwrap_or_default(),
        step.remote.split(':').next().unwrap_or_default().to_owned() + ":"
    );
    Ok(match ended {
        Ended::Well => Outcome::success(format!("{} is at {}", sealed.id, step.remote)),
        Ended::Badly { how, last_line } => {
            let what = if NO_CONNECTION.iter().any(|sign| last_line.contains(sign)) {
                "connection failed"
            } else {
                "cloud copy failed"
            };
            let message = format!("{what}: {} {how}: {last_line}", step.program);
            Outcome::not(Status::Failed, message, hint)
        }
        Ended::TooLate => Outcome::not(
            Status::Failed,
            format!(
                "cloud copy failed: {} did not end within {} (cloud.timeout)",
                step.program, step.timeout
            ),
            "raise cloud.timeout; the next run goes on with what is not copied yet",
        ),
    })
}

/// Why a configuration that holds credentials is not used.
fn readable_by_others(step: &CloudSyncStep) -> Option<Outcome> {
    let file = step.config_file.as_ref()?;
    let refuse = |message: String, hint: String| Some(Outcome::not(Status::Failed, message, hint));
    match resolve(file.as_path()) {
        Ok(found) if found.stat.kind != Kind::File => refuse(
            format!("{file} (cloud.configFile) is not a file"),
            "name rclone's configuration: rclone config file".to_owned(),
        ),
        Ok(found) if found.stat.mode & 0o077 != 0 => refuse(
            format!("{file} (cloud.configFile) can be read by others, and it holds credentials"),
            format!("chmod 600 {file}"),
        ),
        Ok(_) => None,
        Err(error) => refuse(
            format!(
                "{file} (cloud.configFile) cannot be read: {}",
                crate::error::reason(&error.into())
            ),
            "name rclone's configuration: rclone config file".to_owned(),
        ),
    }
}
