//! `check`: validates a configuration.

use anyhow::Result;
use backup::engine::check_config;

use crate::{cli::Check, exit, out::Out, render, settings::Settings};

/// Validates a configuration and says so.
pub(crate) fn check_config_file(arguments: &Check, settings: &Settings, out: &Out) -> Result<u8> {
    let path = arguments.file.as_ref().unwrap_or(&settings.config_path);
    let checked = check_config(path, &settings.state_dir);
    let checked = checked.map_err(|fault| settings.explain_fault(path, fault, out))?;
    if settings.json {
        out.print_json(&render::check::config_faults(&checked.warnings));
        return Ok(exit::DONE);
    }
    for warning in &checked.warnings {
        out.print_unless_quiet(&format!("warning: {warning}"));
    }
    if let Some(missing) = &checked.no_credentials {
        out.print_unless_quiet(&format!("warning: {missing}"));
    }
    if let Some(found) = &checked.databases {
        let hint = found.hint.as_ref();
        let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
        out.print_unless_quiet(&format!("note: {}{hint}", found.message));
    }
    if !settings.quiet {
        out.print_data(&format!("{}: valid", path.display()));
    }
    Ok(exit::DONE)
}
