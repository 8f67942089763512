//! Finds out which rclone there is, what it is configured for, and what it finds in its environment.

use std::{process::Command, time::Duration};

use schema::{cloud::RcloneFound, config::AbsolutePath};

use super::{credentials::read_original, ini};
use crate::{
    error::{Error, ErrorKind, Result},
    process::{Limits, ask_version, capture_output},
    secret_file::{SecretFile, open_secret_file},
    trust,
};

/// The key of the configuration that names rclone's.
const CONFIG_OPTION: &str = "cloud.configFile";
/// Longest time for asking rclone about itself.
const ANSWERS: Duration = Duration::from_secs(20);

/// The same failure with what to try by hand, unless it says so already.
#[must_use]
pub fn with_rclone_hint(
    error: Error,
    program: &str,
    config: Option<&AbsolutePath>,
    remote: &str,
) -> Error {
    if error.kind != ErrorKind::Failed {
        return error;
    }
    let config = config.map(|file| format!(" --config={file}"));
    let name = remote.split(':').next().unwrap_or_default();
    error.hint(format!(
        "try by hand: {program}{} lsd {name}:",
        config.unwrap_or_default()
    ))
}

/// What rclone finds in its environment: its own variables set options, so that they could make a
/// dry run of an upload; only those that say where its configuration is stay.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let configures = text.starts_with("RCLONE_CONFIG") || text == "RCLONE_PASSWORD_COMMAND";
        if text.starts_with("RCLONE_") && !configures {
            command.env_remove(&name);
        }
    }
    // Half of what a start of an older rclone takes is a table of the widths of letters, which is for those who
    // look around in its `ncdu` alone (tcell, https://github.com/gdamore/tcell/blob/main/README.md).
    command.env("TCELL_MINIMIZE", "1");
}

/// Asks rclone for its version.
#[must_use]
pub fn find_rclone(program: &str) -> RcloneFound {
    let mut command = Command::new(program);
    clean_environment(&mut command);
    match ask_version(command.arg("version"), parse_version) {
        Ok(version) => RcloneFound {
            version: Some(version),
            fault: None,
        },
        Err(fault) => RcloneFound {
            version: None,
            fault: Some(fault),
        },
    }
}

/// The version in `rclone v1.75.2`.
fn parse_version(line: &str) -> Option<String> {
    let version = line.strip_prefix("rclone v")?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| version.trim().to_owned())
}

/// Whether rclone's configuration has a remote; none where that cannot be told: it is encrypted, or
/// the remote needs no name there.
#[must_use]
pub fn has_remote(program: &str, config: Option<&AbsolutePath>, remote: &str) -> Option<bool> {
    let (name, _) = remote.split_once(':')?;
    // A remote that is described where it is named begins with a colon, and options follow a comma.
    let name = name.split(',').next().unwrap_or_default();
    if name.is_empty() || name.contains('/') {
        return None;
    }
    // What the environment defines is not listed by all versions.
    let variable: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    if std::env::var_os(format!("RCLONE_CONFIG_{variable}_TYPE")).is_some() {
        return Some(true);
    }
    // To ask rclone takes longer than all else that is looked at before a run.
    let read = config.and_then(|file| read_original(file).ok());
    if read.is_some_and(|(_, text)| ini::describes(&text, name)) {
        return Some(true);
    }
    let remotes = list_remotes(program, config)?;
    let mut remotes = remotes.iter();
    Some(remotes.any(|remote| remote.strip_suffix(':') == Some(name)))
}

/// The remotes that rclone's configuration has, such as `nas:`; none where that cannot be told.
#[must_use]
pub fn list_remotes(program: &str, config: Option<&AbsolutePath>) -> Option<Vec<String>> {
    let mut command = Command::new(program);
    clean_environment(&mut command);
    command.args(["listremotes", "--ask-password=false"]);
    if let Some(file) = config {
        check_config(file).ok()?;
        command.arg(format!("--config={file}"));
    }
    command.current_dir("/");
    let asked = capture_output(&mut command, Vec::new(), Limits::within(ANSWERS)).ok()?;
    let remotes = asked.stdout.lines().map(|line| line.trim().to_owned());
    asked.exit.is_success().then(|| remotes.collect())
}

/// Why a configuration that holds credentials is not used: others could read it, or write into it where
/// everything goes and which programs rclone runs.
///
/// # Errors
/// A failure that says why.
pub fn check_config(file: &AbsolutePath) -> Result<()> {
    open_config(file).map(|_| ())
}

/// Opens a configuration that holds credentials.
///
/// # Errors
/// A failure that says why it is not used.
pub(super) fn open_config(file: &AbsolutePath) -> Result<SecretFile> {
    let opened = open_secret_file(file, CONFIG_OPTION).map_err(|fault| {
        Error::failed(fault.message).hint(if fault.is_unsafe {
            fault.hint
        } else {
            "name rclone's configuration: rclone config file".to_owned()
        })
    })?;
    // It can name programs that rclone starts.
    match trust::find_distrust(file.as_path())? {
        Some(distrust) => Err(distrust.refuse(CONFIG_OPTION)),
        None => Ok(opened),
    }
}
