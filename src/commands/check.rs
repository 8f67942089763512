//! `check`: validates a configuration.

use anyhow::Result;

use crate::{cli::Check, exit, out::Out, settings::Settings};

/// Validates a configuration and says so.
pub(crate) fn run(arguments: &Check, settings: &Settings, out: &Out) -> Result<u8> {
    let path = arguments.file.as_ref().unwrap_or(&settings.config_path);
    let checked = settings.checked(path, out)?;
    if settings.json {
        out.data_json(&checked.warnings);
        return Ok(exit::DONE);
    }
    for warning in &checked.warnings {
        out.say(&format!("warning: {warning}"));
    }
    if !settings.quiet {
        out.data(&format!("{}: valid", path.display()));
    }
    Ok(exit::DONE)
}
