//! Reading and checking a configuration.

use std::path::Path;

use chrono::Local;
use executor::{
    Error, bounded::LONGEST_CONFIG, cloud::rclone::has_remote, error::system_reason,
    secret_file::unusable_secrets, state_dir::StateDir, sys::resolve::same_file_system, trust,
};
use planner::{
    check::{self, Checked, Fault, nested},
    findings::code,
};
use schema::{
    Config, FailureCode, Finding,
    config::AbsolutePath,
    escape,
    inventory::{UntrustedFile, UnusableSecret},
    output::copies::Copies,
};

use super::Engine;

/// Why there is no configuration.
#[derive(Debug, Clone)]
pub enum ConfigFault {
    /// The file cannot be read; the sentence names it.
    Unreadable(String),
    /// Others than root and the user who runs this could change it: nothing of it is used.
    Untrusted(Error),
    /// These faults are in it.
    Invalid(Vec<Fault>),
}

impl std::fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(message) => f.write_str(message),
            Self::Untrusted(error) => f.write_str(&error.message),
            Self::Invalid(faults) => f.write_str(check::render(faults).trim_end()),
        }
    }
}

impl std::error::Error for ConfigFault {}

/// A configuration that is valid, and what the machine says of it.
#[derive(Debug, Clone)]
pub struct CheckedConfig {
    /// What is allowed and probably not meant.
    pub warnings: Vec<Fault>,
    /// That rclone does not know the remote of the copies in the cloud, where it can be asked.
    pub no_credentials: Option<String>,
    /// That a drill is to start services, and this machine has nothing to do that with.
    pub no_container: Option<String>,
    /// Files that hold secrets and that others could read or change.
    pub unsafe_secrets: Vec<UnusableSecret>,
    /// That databases are copied as files, as far as the last run saw any.
    pub databases: Option<Finding>,
    /// How many copies there will be of each list of sources.
    pub copies: Vec<Copies>,
    /// What a run will be refused for: others could change what it would run.
    pub untrusted: Vec<UntrustedFile>,
}

/// Checks a configuration that is no file.
///
/// # Errors
/// Fails if it says something that is not valid: all faults at once.
pub fn check_config_text(json: &str) -> Result<Config, ConfigFault> {
    let checked = check::check_config(json.as_bytes()).map_err(ConfigFault::Invalid)?;
    Ok(checked.config)
}

/// Reads a configuration and checks it. What the file says is judged by it alone; what the clock makes
/// of it is among the warnings.
///
/// # Errors
/// Fails if the file cannot be read, if others could change it, or if it says something that is not
/// valid: all faults at once.
pub fn read_config(path: &Path) -> Result<Checked, ConfigFault> {
    let read = trust::read_file(path, "the configuration", LONGEST_CONFIG);
    let bytes = read.map_err(|error| match error.code {
        Some(FailureCode::Untrusted) => ConfigFault::Untrusted(error),
        _ => {
            let cause = std::error::Error::source(&error);
            let cause = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
            let reason = cause.map_or_else(|| error.message.clone(), system_reason);
            let path = escape::display(path.as_os_str().as_encoded_bytes());
            ConfigFault::Unreadable(format!("cannot read the configuration {path}: {reason}"))
        }
    })?;
    let mut checked = check_bytes(path, &bytes).map_err(ConfigFault::Invalid)?;
    let now = Local::now().fixed_offset();
    let never = check::never_again(&checked.config, now);
    checked.warnings.extend(never);
    Ok(checked)
}

/// Checks the content of the file at a path.
///
/// # Errors
/// Fails if it says something that is not valid: all faults at once.
pub fn check_bytes(path: &Path, bytes: &[u8]) -> Result<Checked, Vec<Fault>> {
    // The folder that the name is in, whatever the name leads to.
    let above = std::path::absolute(path).ok();
    let above = above.as_ref().and_then(|path| path.parent());
    let folder = above.and_then(|above| above.canonicalize().ok());
    match folder.as_ref().and_then(|folder| folder.to_str()) {
        Some(folder) => check::check_config_in(folder, bytes),
        None => check::check_config(bytes),
    }
}

/// Checks a configuration on the machine that it is for. Nothing is looked at but rclone's own
/// configuration, the folders of sources and what is remembered in `state_dir`.
///
/// # Errors
/// As [`read_config`].
pub fn check_config(path: &Path, state_dir: &Path) -> Result<CheckedConfig, ConfigFault> {
    let Checked {
        config,
        mut warnings,
        remarks,
    } = read_config(path)?;
    warnings.extend(remarks);
    // Which sources are on one file system only the machine can say.
    let same =
        |one: &AbsolutePath, other: &AbsolutePath| same_file_system(one.as_path(), other.as_path());
    let nested = nested(&config, &same);
    if !nested.is_empty() {
        return Err(ConfigFault::Invalid(nested));
    }
    Ok(CheckedConfig {
        warnings,
        unsafe_secrets: unsafe_secrets(&config),
        no_credentials: missing_credentials(&config),
        no_container: super::containers::missing_container(&config),
        databases: databases(&config, state_dir),
        copies: Engine::open(config.clone(), state_dir).count_copies(),
        untrusted: untrusted(&config, state_dir),
    })
}

/// What of all that decides what a run does others could change.
fn untrusted(config: &Config, state_dir: &Path) -> Vec<UntrustedFile> {
    let mut files = super::inventory::look_at_deciding_files(config);
    if let Err(error) = StateDir::open(state_dir)
        && error.code == Some(FailureCode::Untrusted)
    {
        files.push(UntrustedFile {
            option: "--state-dir".to_owned(),
            path: state_dir.display().to_string(),
            because: error.message,
            hint: error.hint.unwrap_or_default(),
        });
    }
    files
}

/// Files that hold secrets and that others could read or change. One that is missing may only be so
/// here, as where a system is built: a plan says it.
fn unsafe_secrets(config: &Config) -> Vec<UnusableSecret> {
    unusable_secrets(config, |fault| fault.is_unsafe)
}

/// That rclone, asked here and now, does not know the remote of the copies in the cloud. Where it
/// cannot be asked, as where a system is built, a plan says it.
fn missing_credentials(config: &Config) -> Option<String> {
    let cloud = &config.cloud;
    let remote = planner::cloud_remote(cloud, "");
    let known = cloud
        .enable
        .then(|| has_remote("rclone", cloud.config_file.as_ref(), &remote));
    (known.flatten() == Some(false)).then(|| {
        let name = remote.split(':').next().unwrap_or_default();
        let place = cloud.config_file.as_ref().map_or_else(
            || "cloud.configFile: not set, and rclone's configuration of this user".to_owned(),
            |file| format!("cloud.configFile: {file}"),
        );
        format!(
            "{place} has no remote `{name}:`, so there are no credentials for the copies in the \
             cloud; make it with `rclone config`"
        )
    })
}

/// That databases are copied as files, as far as the last run saw any: nothing is looked at for it.
fn databases(config: &Config, state_dir: &Path) -> Option<Finding> {
    if config.pre_backup_script.is_some() {
        return None;
    }
    let state = StateDir::open(state_dir).ok()??;
    state.noticed(code::DATABASES_AS_FILES).ok()?
}
