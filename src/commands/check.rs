//! `check`: validates a configuration.

use anyhow::Result;
use executor::{cloud::rclone::has_remote, state_dir::StateDir, sys::resolve::same_file_system};
use planner::{check::nested, findings::code};
use schema::{Config, config::AbsolutePath};

use crate::{cli::Check, exit, out::Out, render, settings::Settings};

/// Validates a configuration and says so.
pub(crate) fn run(arguments: &Check, settings: &Settings, out: &Out) -> Result<u8> {
    let path = arguments.file.as_ref().unwrap_or(&settings.config_path);
    let checked = settings.checked(path, out)?;
    // Which sources are on one file system only the machine can say.
    let same =
        |one: &AbsolutePath, other: &AbsolutePath| same_file_system(one.as_path(), other.as_path());
    let nested = nested(&checked.config, &same);
    if !nested.is_empty() {
        return Err(settings.invalid(path, &nested, out));
    }
    if settings.json {
        out.data_json(&render::check::config_faults(&checked.warnings));
        return Ok(exit::DONE);
    }
    for warning in &checked.warnings {
        out.say(&format!("warning: {warning}"));
    }
    if let Some(missing) = no_credentials(&checked.config) {
        out.say(&format!("warning: {missing}"));
    }
    if let Some(databases) = databases(&checked.config, settings) {
        out.say(&format!("note: {databases}"));
    }
    if !settings.quiet {
        out.data(&format!("{}: valid", path.display()));
    }
    Ok(exit::DONE)
}

/// That rclone, asked here and now, does not know the remote of the copies in the cloud. Where it
/// cannot be asked, as where a system is built, a plan says it.
fn no_credentials(config: &Config) -> Option<String> {
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
             cloud\n  hint: make it with `rclone config`"
        )
    })
}

/// That databases are copied as files, as far as the last run saw any: nothing is looked at for it.
fn databases(config: &Config, settings: &Settings) -> Option<String> {
    if config.pre_backup_script.is_some() {
        return None;
    }
    let state = StateDir::open(&settings.state_dir).ok()??;
    let found = state.noticed(code::DATABASES_AS_FILES).ok()??;
    let hint = found.hint.map(|hint| format!("\n  hint: {hint}"));
    Some(format!("{}{}", found.message, hint.unwrap_or_default()))
}
